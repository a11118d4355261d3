import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { MAX_SESSIONS, run } from "./run.js"
import { inLongForm, shortOrLong } from "../utils/long.js"

const short = { users: shortOrLong(30, 40), calls: shortOrLong(120, 500), seconds: 90, seed: 17 }

it.live(
  "no statement of many users at once runs as another user, and none locks another out",
  () =>
    Effect.gen(function* () {
      const report = yield* run(short)
      expect(report.mixedUp).toEqual([])
      expect(report.lockedOut).toEqual([])
      expect(report.answered).toBeGreaterThan(50)
      expect(report.cancelled).toBeGreaterThan(10)
      expect(report.opened).toBeGreaterThan(MAX_SESSIONS)
      // Of the account's sessions each is in the pool or on its way out, at every instant.
      expect(report.beyond).toEqual([])
      expect(report.most.open).toBe(MAX_SESSIONS)
      expect(report.sessionsAtRest).toBeLessThanOrEqual(MAX_SESSIONS)
    }),
  180_000
)

inLongForm(() => {
  it.live("one key for the sessions of all users would be found", () =>
    Effect.gen(function* () {
      const { mixedUp } = yield* run({ ...short, calls: shortOrLong(40, 60), sharedKey: true })
      expect(mixedUp.length).toBeGreaterThan(0)
    })
  )
})
