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
  it.effect("finds no fault in our server over HTTP", () =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* Effect.promise(() =>
        run(process.execPath, ["scripts/conformance.mjs", "--only", "fixtures"], { cwd: root })
      )
      assert.strictEqual(status, 0, stdout + stderr)
      assert.match(stdout, /Total: (\d{2,}) passed, 0 failed/)
    })
  )
})
