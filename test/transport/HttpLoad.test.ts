import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

interface Row {
  readonly served: number
  readonly servedPerSecond: number
}

interface Report {
  readonly othersWithout: Row
  readonly othersWith: Row
  readonly abuser: Row & { readonly callsPerSecond: number }
  readonly left: { readonly [what: string]: number }
}

describe("many clients at once", () => {
  it.effect("are served beside one who asks as fast as it can, and leave nothing behind", () =>
    Effect.sync(() => {
      const few = [
        "--minutes",
        "0.06",
        "--slice",
        "0.6",
        "--sessions",
        "6",
        "--tenants",
        "3",
        "--abuse",
        "100",
        "--json"
      ]
      const { stderr, stdout } = spawnSync(process.execPath, ["scripts/load-http.mjs", ...few], {
        cwd: root,
        encoding: "utf8"
      })
      assert.notStrictEqual(stdout, "", stderr)
      const { abuser, left, othersWith, othersWithout } = JSON.parse(stdout) as Report
      assert.strictEqual(othersWithout.served, 1, stdout)
      assert.isAtLeast(othersWith.served, 0.8, stdout)
      assert.isAbove(abuser.callsPerSecond, 0)
      assert.deepStrictEqual(left, { sessions: 0, streams: 0, fibers: 0, permits: 0, waiting: 0 })
    })
  )
})
