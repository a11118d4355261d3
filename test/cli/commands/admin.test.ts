import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Logger, LogLevel } from "effect"
import { spawn } from "node:child_process"
import * as Admin from "../../../src/cli/commands/admin.js"
import type * as Operator from "../../../src/operate/Operator.js"
import * as Principal from "../../../src/platform/Principal.js"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import * as H from "../../utils/http.js"
import { bin, cleanEnv } from "../../utils/server.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const faultOf = (...operands: ReadonlyArray<string>): string =>
  Either.match(Admin.actionOf(operands), {
    onLeft: ({ faults }) => `${faults[0]?.argument}: ${faults[0]?.message}`,
    onRight: () => "no fault"
  })

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
  it("reads what is to be done", () => {
    const cases: ReadonlyArray<readonly [ReadonlyArray<string>, Operator.Action | undefined]> = [
      [["status"], undefined],
      [["breaker", "open"], { action: "breaker/open" }],
      [["breaker", "release"], { action: "breaker/release" }],
      [["call", "cancel", "81"], { action: "call/cancel", id: "81" }],
      [["breaker", "reset"], { action: "breaker/reset" }],
      [["ladder", "pin", "cache-only"], { action: "ladder/pin", mode: "cache-only" }],
      [["ladder", "unpin"], { action: "ladder/unpin" }],
      [["warehouse", "unlatch"], { action: "warehouse/unlatch" }],
      [["reload"], { action: "config/reload" }],
      [["quota", "reset", "ana"], { action: "quota/reset", client: "ana" }]
    ]
    for (const [operands, action] of cases) {
      assert.deepStrictEqual(Admin.actionOf(operands), Either.right(action), operands.join(" "))
    }
    assert.deepStrictEqual(
      Admin.actionOf(["quota", "reset", "ana"], "queries_per_day"),
      Either.right({ action: "quota/reset", client: "ana", quota: "queries_per_day" })
    )
    assert.deepStrictEqual(
      Admin.actionOf(["warehouse", "unlatch"], undefined, "ANN"),
      Either.right({ action: "warehouse/unlatch", user: "ANN" })
    )
  })

  it("says what is wrong with it", () => {
    assert.match(faultOf("ladder", "pin", "panic"), /^admin ladder pin: mode: expected one of normal, /)
    assert.match(faultOf("ladder", "pin"), /mode: is missing/)
    assert.match(faultOf("quota", "reset"), /client: is missing/)
    for (const operands of [["breaker"], ["breaker", "explode"], ["status", "now"], ["a", "b", "c", "d"]]) {
      assert.match(faultOf(...operands), /expected status, breaker open\|release\|reset/, operands.join(" "))
    }
    assert.isTrue(Either.isLeft(Admin.actionOf(["breaker", "open", "now"])))
    assert.isTrue(Either.isLeft(Admin.actionOf(["quota", "reset", "ana"], "moons")))
    assert.isTrue(Either.isLeft(Admin.actionOf(["breaker", "reset"], undefined, "ANN")))
  })

  it.scopedLive("operates a server that runs, with the key of an administrator", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ auth })
      const status = yield* run(server, ["status", "--json"], "sesame")
      assert.strictEqual(status.code, 0, status.stderr)
      assert.strictEqual(JSON.parse(status.stdout).circuit.phase, "closed")
      const pinned = yield* run(server, ["ladder", "pin", "constrained"], "sesame")
      assert.deepInclude(pinned, {
        code: 0,
        stdout: "the mode is constrained, whatever the signals say\n",
        stderr: ""
      })
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
})
