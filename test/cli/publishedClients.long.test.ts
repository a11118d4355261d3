/** Clients as they are published, against the binary; `npm run clients` has more of them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

interface Row {
  readonly client: string
  readonly transport: string
  readonly failures: ReadonlyArray<string>
  readonly [cell: string]: unknown
}

const run = Effect.promise(async () => {
  const child = spawn(process.execPath, ["scripts/clients.mjs", "--installed", "--json"], { cwd: root })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
  const [code] = await once(child, "close")
  assert.strictEqual(code, 0, stderr)
  return JSON.parse(stdout) as ReadonlyArray<Row>
})

describe("the clients of both generations of the SDK, over both transports", () => {
  it.live(
    "connect, list, call, are refused, and cancel a statement in the warehouse",
    () =>
      Effect.gen(function* () {
        const rows = yield* run
        assert.deepStrictEqual(
          rows.map(({ client, transport }) => `${client} over ${transport}`),
          ["sdk", "client, legacy", "client, auto", "client, pinned"].flatMap((client) =>
            ["stdio", "http"].map((transport) => `@modelcontextprotocol/${client} over ${transport}`)
          )
        )
        for (const { call, cancel, connect, failures, list, refusal } of rows) {
          assert.deepStrictEqual([connect, list, call, refusal, cancel], ["ok", "ok", "ok", "ok", "ok"])
          assert.deepStrictEqual(failures, [])
        }
      }),
    // The script bounds each row.
    { timeout: 420_000 }
  )
})
