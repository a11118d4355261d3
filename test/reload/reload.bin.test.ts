import { expect, it } from "@effect/vitest"
import { bin, cleanEnv } from "../utils/server.js"
import { run } from "./run.js"
import { shortOrLong } from "../utils/long.js"

/** `npm run reload` does it a thousand times. */
const reloads = shortOrLong(10, 60)

it("the built server answers every call while its settings change under it, and obeys those in force", async () => {
  const report = await run(bin, { reloads, env: cleanEnv() })
  expect(report).toMatchObject({
    unanswered: [],
    exceeded: [],
    forgotten: [],
    refused: reloads / 10,
    generation: reloads - reloads / 10 + 1
  })
  expect(report.admitted).toBeGreaterThan(0)
}, 120_000)
