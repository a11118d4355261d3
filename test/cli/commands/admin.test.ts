import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Logger, LogLevel, Schema } from "effect"
import { spawn } from "node:child_process"
import * as Cli from "../../../src/cli/Cli.js"
import * as Commands from "../../../src/cli/Commands.js"
import * as Admin from "../../../src/cli/commands/admin.js"
import * as Operator from "../../../src/operate/Operator.js"
import * as Principal from "../../../src/platform/Principal.js"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import * as H from "../../utils/http.js"
import { bin, cleanEnv } from "../../utils/server.js"
import { inLongForm } from "../../utils/long.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

/** As a person types it. */
const requestOf = (line: string) => {
  const command = Either.getOrThrow(Cli.parse(["admin", ...line.split(" ")]))
  return command._tag === "Run" ? Admin.requestOf(command) : undefined
}

const auth = Layer.succeed(Auth.Authenticator, {
  mode: "keys",
  authenticate: (credentials) =>
    Effect.flatMap(Auth.bearer(credentials), (key) =>
      key === "sesame"
        ? Effect.succeed({ principal: Principal.make("root"), owner: "root", admin: true })
        : new Auth.AuthRefused({ reason: "invalid", description: "Unknown key." })
    ),
  remembered: () => Effect.succeedNone,
  challenge: () => "Bearer",
  resourceMetadata: Effect.runSync(Effect.succeedNone)
})

const run = (server: H.Server, operands: ReadonlyArray<string>, key?: string) =>
  Effect.async<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>(
    (resume) => {
      const child = spawn(
        process.execPath,
        [bin, "admin", ...operands, "--url", `http://127.0.0.1:${server.port}`],
        { env: cleanEnv(key === undefined ? {} : { SNOWGUARD_ADMIN_KEY: key }) }
      )
      let stdout = ""
      let stderr = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
      child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
      child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
      return Effect.sync(() => child.kill("SIGKILL"))
    }
  )

describe("snowguard admin", () => {
  it("asks for what is to be done in the words of the server", () => {
    const cases: { readonly [line: string]: Operator.Action } = {
      "breaker open --yes": { action: "breaker/open" },
      "breaker release": { action: "breaker/release" },
      "call cancel 81 --yes": { action: "call/cancel", id: "81" },
      "breaker reset": { action: "breaker/reset" },
      "ladder pin cache-only": { action: "ladder/pin", mode: "cache-only" },
      "ladder unpin": { action: "ladder/unpin" },
      "warehouse unlatch": { action: "warehouse/unlatch" },
      "warehouse unlatch --user ANN": { action: "warehouse/unlatch", user: "ANN" },
      reload: { action: "config/reload" },
      "quota reset ana": { action: "quota/reset", client: "ana" },
      "quota reset ana --quota queries_per_day": {
        action: "quota/reset",
        client: "ana",
        quota: "queries_per_day"
      }
    }
    for (const [line, { action, ...body }] of Object.entries(cases)) {
      assert.deepEqual(requestOf(line), { path: action, body } as object, line)
    }
    assert.isUndefined(requestOf("status"))
  })

  it("has a request that a server understands for each action of the table", () => {
    const values: { readonly [operand: string]: string } = { MODE: "normal", CLIENT: "ana", ID: "81" }
    const spec: Commands.CommandSpec | undefined = Commands.commands.find(({ name }) => name === "admin")
    for (const { name, operands = [] } of spec?.actions ?? []) {
      if (name === "status") continue
      const request = requestOf([name, ...operands.map((one) => values[one.name] ?? "")].join(" "))
      const given = { action: request?.path, ...request?.body }
      const decoded = Schema.decodeUnknownEither(Operator.Action, { onExcessProperty: "error" })(given)
      assert.isTrue(Either.isRight(decoded), name)
    }
  })

  it.scopedLive("operates a server that runs, with the key of an administrator", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ auth })
      const status = yield* run(server, ["status", "--json"], "sesame")
      assert.strictEqual(status.code, 0, status.stderr)
      assert.strictEqual(JSON.parse(status.stdout).circuit.phase, "closed")
      const pinned = yield* run(server, ["ladder", "pin", "constrained"], "sesame")
      assert.deepInclude(pinned, { code: 0, stderr: "" })
      assert.match(
        pinned.stdout,
        /^the mode is constrained, whatever the signals say \(server process [2-9a-z]{6}\)\n$/
      )
      const text = yield* run(server, ["status"], "sesame")
      assert.match(text.stdout, /^circuit {4}closed: /m)
      const anonymous = yield* run(server, ["breaker", "open"])
      assert.strictEqual(anonymous.code, 1)
      assert.match(
        anonymous.stderr,
        /Use an API key made with `snowguard keys create NAME --admin`\. Set SNOWGUARD_ADMIN_KEY to it\.\n$/
      )
      const guessed = yield* run(server, ["breaker", "open"], "guess")
      assert.deepInclude(guessed, { code: 1, stdout: "" })
      assert.match(guessed.stderr, /^Unknown key\. Use an API key [^\n]+--admin`\.\n$/)
    }).pipe(quiet)
  )

  it("names the server by host, port and process, and trouble by the warehouse's own code", () => {
    const snapshot: Operator.Snapshot = {
      at: 0,
      uptime_ms: 0,
      version: "1.2.3",
      server: { host: "vm", port: 8787, process: "k7m2qd", warehouse: "duckdb" },
      circuit: { phase: "closed", trips: 0, calls: 0, failures: 0, slow: 0, held: false },
      trouble: { reason: "Unavailable", code: "000608", description: "It is suspended.", ms_ago: 2_000 },
      mode: { mode: "normal", since_ms: 0, why: "all is well", shedding: 0, pinned: false },
      pools: [],
      backoff_factor: 1,
      rate_limits: [],
      quotas: [],
      retries: { budget: 0, retries: 0 },
      cache: { entries: 0, bytes: 0, fresh_hits: 0, stale_hits: 0 },
      calls: { ok: 0, refused: 0, rejected: 0, failed: 0, cancelled: 0, bytes: 0 },
      clients: [
        {
          client: "snowguard:search",
          tier: "default",
          calls: { ok: 0, refused: 0, rejected: 0, failed: 3, cancelled: 0 },
          bytes: 0,
          last_call_ms_ago: 0,
          last_decision: "QUOTA_STORE_UNAVAILABLE",
          quotas: []
        }
      ]
    }
    const text = Admin.asText(snapshot)
    assert.match(text, /^server {5}vm:8787, process k7m2qd, snowguard 1\.2\.3, /m)
    assert.match(text, /^trouble {4}Unavailable 000608, 2 s ago: It is suspended\.$/m)
    assert.match(text, /^client .*: 0 answered, 0 refused, 3 failed; last: QUOTA_STORE_UNAVAILABLE$/m)
  })

  inLongForm(() => {
    it.scopedLive("fails where there is no call to cancel", () =>
      Effect.gen(function* () {
        const server = yield* H.server({ auth })
        const text = yield* run(server, ["call", "cancel", "81"], "sesame")
        assert.deepInclude(text, { code: 1, stdout: "" })
        assert.match(
          text.stderr,
          /^no call with the id 81 is under way on this server \(server process [2-9a-z]{6}\)\n$/
        )
        const json = yield* run(server, ["call", "cancel", "81", "--json"], "sesame")
        assert.deepInclude(json, { code: 1, stderr: "" })
        assert.deepInclude(JSON.parse(json.stdout), { changed: false })
        // What is as it was asked to be is no failure.
        for (const action of [
          ["breaker", "release"],
          ["ladder", "unpin"],
          ["quota", "reset", "ana", "--yes"]
        ]) {
          assert.strictEqual((yield* run(server, action, "sesame")).code, 0, action.join(" "))
        }
      }).pipe(quiet)
    )
  })
})
