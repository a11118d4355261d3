/** The short form of `npm run try:install`: the way in that fetches nothing. */
import { assert, it } from "@effect/vitest"
import { fileURLToPath } from "node:url"
import { run } from "../utils/command.js"
import { cleanEnv } from "../utils/server.js"
import { inLongForm } from "../utils/long.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

const tryInstall = (...args: ReadonlyArray<string>) =>
  run(process.execPath, ["scripts/try-install.mjs", ...args], { cwd: root, env: cleanEnv() })

inLongForm(() => {
  it("each client's snippet starts the built server, which answers from the sample and ends with its client", async () => {
    const { status, stderr, stdout } = await tryInstall("--only", "clients", "--json")
    assert.strictEqual(status, 0, stdout + stderr)
    const rows: ReadonlyArray<{ readonly name: string; readonly result: string }> = JSON.parse(stdout)
    assert.deepStrictEqual(
      rows.map(({ name }) => name),
      ["clients"]
    )
    assert.match(rows[0]?.result ?? "", /^7 snippets/)
  }, 300_000)
})

it("a way that is not known is told with those that are", async () => {
  const { status, stderr } = await tryInstall("--only", "pip")
  assert.strictEqual(status, 2)
  assert.match(stderr, /npx, node\d+, node22, node24, mcpb, clients, dockerfile, image, chart/)
})
