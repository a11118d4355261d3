import { assert, describe, it } from "@effect/vitest"
import * as Simulated from "../simulation/replay.js"

describe("the replay of an audit log", () => {
  it(
    "takes the decisions that were taken, when the limits are those that were in force",
    { timeout: 60_000 },
    () => {
      const seen = new Set<string>()
      let calls = 0
      for (const seed of [1, 2, 3, 4, 5, 6]) {
        const { differing, log, results } = Simulated.run(seed, 6)
        assert.deepStrictEqual(differing.slice(0, 3), [], `seed ${seed}`)
        assert.deepStrictEqual([log.faulty.length, log.headless, log.begunBefore, log.missing], [0, 0, 0, 0])
        calls += results.length
        for (const { call, then } of results) {
          if (then.refused !== undefined) seen.add(`${then.refused.code} ${then.refused.scope}`)
          if (then.waitMs > 0) seen.add("waited")
          if (then.wouldRefuse.length > 0) seen.add("would refuse")
          for (const [, , , what] of call.steps) seen.add(what)
        }
      }
      console.log(calls, [...seen])
    }
  )
})
