/** The documentation: what it says to type works. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { generateKeyPairSync } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "vitest"
import * as Emulator from "../../src/emulator/Emulator.js"
import { run } from "../utils/command.js"
import { freePort } from "../utils/freePort.js"
import { cleanEnv } from "../utils/server.js"
import type { Run } from "./pages.js"
import { blocks, commandsOf, pages, root, runs, scriptsOf } from "./pages.js"
import { isLong } from "../utils/long.js"

/** A user's machine: an empty home but for a key, some files, and the clients that are installed. */
const machine = Effect.acquireRelease(
  Effect.promise(async () => {
    const folder = mkdtempSync(join(tmpdir(), "snowguard-docs-"))
    const home = join(folder, "home")
    const data = join(folder, "data")
    const bin = join(folder, "bin")
    for (const path of [join(home, ".snowflake"), join(data, "exports"), bin])
      mkdirSync(path, { recursive: true })
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
    writeFileSync(join(home, ".snowflake/agent.p8"), privateKey.export({ type: "pkcs8", format: "pem" }), {
      mode: 0o600
    })
    writeFileSync(join(data, "orders.csv"), "id,amount\n1,12.50\n2,7.00\n")
    const { DuckDBInstance } = await import("@duckdb/node-api")
    const duckdb = await (await DuckDBInstance.create(":memory:")).connect()
    await duckdb.run(`COPY (SELECT 1 AS id) TO '${join(data, "exports/customers.parquet")}' (FORMAT parquet)`)
    duckdb.closeSync()
    writeFileSync(join(bin, "claude"), `#!/bin/sh\nexec node "${root}/test/docs/claude.mjs" "$@"\n`, {
      mode: 0o755
    })
    return { folder, home, data, bin }
  }),
  ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
)

/** One command of a block, as lines of the script; `i` numbers the logs. */
const scripted = (command: string, { until }: Run, i: number): string =>
  until === undefined
    ? command
    : [
        `${command} >"$LOGS/${i}" 2>&1 &`,
        "servers+=($!)",
        `until grep -q '${until}' "$LOGS/${i}"; do kill -0 $! || { cat "$LOGS/${i}"; exit 1; }; sleep 0.05; done`
      ].join("\n")

const sameCommands = (one: string, other: string): boolean =>
  commandsOf(one).join("\n") === commandsOf(other).join("\n")

const list = runs()
const all = pages()
const scripts = [...new Set(all.flatMap((page) => scriptsOf(page)))].map((script) => ({
  path: script,
  line: undefined,
  language: "sh",
  text: script
}))
/** What a new user reads. The commands of all other pages, and of the scripts that they name, are the long form. */
const first = "docs/getting-started.md"
const shell = [...all.flatMap((page) => blocks(page)), ...scripts]
  .filter(({ language }) => /^(sh|bash)$/.test(language))
  // Once, whichever page says it.
  .filter(({ text }, i, all) => all.findIndex((other) => sameCommands(other.text, text)) === i)
  .map((block) => ({
    ...block,
    commands: commandsOf(block.text)
      .map((command): Run & { readonly command: string } => ({ command, ...list[command] }))
      // Else another test runs it.
      .filter(({ by }) => by === undefined)
  }))

describe("the commands of the documentation", () => {
  for (const { commands, line, path } of shell) {
    const where = line === undefined ? path : `${path}:${line}`
    if (commands.length === 0) continue
    if (!isLong && path !== first) continue
    const needs = commands.flatMap(({ needs = [] }) => needs)
    if (needs.length > 0) {
      test(`${where} is not run: it needs ${needs.join(", ")}`, ({ skip }) => {
        console.log(`skipped: ${where} needs ${needs.join(", ")}`)
        skip()
      })
      continue
    }
    it.scopedLive(
      `${where} works for a new user: ${commands.map(({ command }) => command).join("; ")}`,
      () =>
        Effect.gen(function* () {
          const { bin, data, folder, home } = yield* machine
          const account = yield* Emulator.start()
          const ports = yield* Effect.promise(() => Promise.all([freePort(), freePort(), freePort()]))
          const script = [
            "set -euo pipefail",
            "servers=()",
            // Servers end as they should when they are told to.
            `trap 'code=$?; for one in "\${servers[@]}"; do kill "$one"; wait "$one" || code=$?; done; exit $code' EXIT`,
            ...commands.map(({ as, command, ...how }, i) => scripted(as ?? command, how, i))
          ]
            .join("\n")
            .replaceAll("/path/to/snowguard", root)
            .replaceAll("/home/ada", home)
            .replaceAll("/data/", `${data}/`)
            .replaceAll("8787", String(ports[0]))
            .replaceAll("8085", String(ports[1]))
            .replaceAll("8086", String(ports[2]))
          const ended = yield* Effect.promise(() =>
            run("bash", ["-c", script], {
              cwd: root,
              env: {
                ...cleanEnv(),
                HOME: home,
                XDG_CONFIG_HOME: join(home, ".config"),
                SNOWGUARD_STATE_DIR: join(folder, "state"),
                LOGS: folder,
                PATH: `${bin}:${process.env["PATH"]}`,
                SNOWFLAKE_ACCESS_URL: account.url
              }
            })
          )
          const said = ended.stdout + ended.stderr
          assert.strictEqual(ended.status, 0, said)
          for (const { writes } of commands)
            if (writes !== undefined) assert.match(said, new RegExp(writes, "m"))
        }),
      // Against hanging only: some start several servers.
      { timeout: 240_000 }
    )
  }
})
