import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { run } from "../utils/command.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

const isInstalled = (name: string): boolean => {
  try {
    createRequire(import.meta.url).resolve(`${name}/package.json`)
    return true
  } catch {
    return false
  }
}

describe.skipIf(!isInstalled("@modelcontextprotocol/conformance"))("the protocol's conformance suite", () => {
  it.effect("finds no fault in our server over HTTP, in both eras", () =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* Effect.promise(() =>
        run(process.execPath, ["scripts/conformance.mjs", "--only", "fixtures"], { cwd: root })
      )
      assert.strictEqual(status, 0, stdout + stderr)
      const [first = "", second = ""] = stdout.split("revision 2026-07-28")
      assert.match(first, /revision 2025-11-25\n[^]*Total: (\d{2,}) passed, 0 failed/)
      // What the suite does not score is all that fails.
      assert.match(second, /Total: \d{3} passed/)
      const failed = [...second.matchAll(/✗ ([\w-]+): /g)].map(([, name]) => name)
      assert.deepStrictEqual(
        failed.filter((name) => name?.startsWith("tasks-") !== true),
        ["http-custom-header-server-validation"]
      )
    })
  )
})
