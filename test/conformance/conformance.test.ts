import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

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
  it.effect("finds no fault in our server over HTTP", () =>
    Effect.sync(() => {
      const { status, stderr, stdout } = spawnSync(
        process.execPath,
        ["scripts/conformance.mjs", "--only", "fixtures"],
        { cwd: root, encoding: "utf8" }
      )
      assert.strictEqual(status, 0, stdout + stderr)
      assert.match(stdout, /Total: (\d{2,}) passed, 0 failed/)
    })
  )
})
