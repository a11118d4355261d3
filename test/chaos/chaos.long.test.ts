/** A short form of `npm run chaos`: everything that can break, once. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import { bin } from "../utils/server.js"
import { run } from "./run.js"

it.scopedLive(
  "survives whatever breaks on the way to Snowflake: answers in time, leaks nothing, comes back",
  () =>
    Effect.gen(function* () {
      const report = yield* run({ bin, seed: 1, chaosMs: 4_000, rounds: 1, faultMs: 120 })
      process.stderr.write(`\nchaos: ${JSON.stringify(report)}\n`)
      expect(report.violations).toEqual([])
      expect(Object.values(report.struck).filter((count) => count > 0).length).toBeGreaterThan(0)
      expect(report.breaker.opened).toBeGreaterThan(0)
      expect(report.cancelled).toBeGreaterThan(0)
    })
)
