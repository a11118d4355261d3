import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { run } from "../../utils/command.js"

const root = fileURLToPath(new URL("../../..", import.meta.url))

interface Attacked {
  readonly kind: string
  readonly alone: { readonly served: number }
  readonly beside: { readonly served: number; readonly refused: object }
  readonly attacker: { readonly perSecond: number; readonly statuses: object }
}

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
  it.effect("are served beside one that asks as fast as it can, and leave nothing behind", () =>
    Effect.gen(function* () {
      const few = [
        "--minutes",
        "0.04",
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
      const { stderr, stdout } = yield* Effect.promise(() =>
        run(process.execPath, ["scripts/load-http.mjs", ...few], { cwd: root })
      )
      assert.notStrictEqual(stdout, "", stderr)
      const { abuser, left, othersWith, othersWithout } = JSON.parse(stdout) as Report
      assert.strictEqual(othersWithout.served, 1, stdout)
      assert.isAtLeast(othersWith.served, 0.8, stdout)
      assert.isAbove(abuser.callsPerSecond, 0)
      assert.deepStrictEqual(left, { sessions: 0, streams: 0, fibers: 0, permits: 0, waiting: 0 })
    })
  )

  it.effect("all have their answers beside one that attacks, whose requests are answered or refused", () =>
    Effect.gen(function* () {
      const short = ["--rounds", "1", "--slice", "0.5", "--connections", "10", "--json"]
      const { stderr, stdout } = yield* Effect.promise(() =>
        run(process.execPath, ["scripts/load-http.mjs", "--attack", "limits,keys,pipelined", ...short], {
          cwd: root
        })
      )
      assert.notStrictEqual(stdout, "", stderr)
      const reports = JSON.parse(stdout) as ReadonlyArray<Attacked>
      assert.deepStrictEqual(
        reports.map(({ kind }) => kind),
        ["limits", "keys", "pipelined"]
      )
      for (const { alone, attacker, beside } of reports) {
        assert.isAbove(alone.served, 0, stdout)
        assert.isAbove(beside.served, 0, stdout)
        assert.deepStrictEqual(beside.refused, {}, stdout)
        assert.isNotEmpty(attacker.statuses, stdout)
      }
      // Each of the messages with many members was refused, none was served.
      const statuses = Object.keys(reports[1]?.attacker.statuses ?? {})
      assert.isTrue(
        statuses.every((status) => status === "400" || status === "429"),
        stdout
      )
    })
  )
})
