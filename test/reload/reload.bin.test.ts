import { expect, it } from "@effect/vitest"
import { bin, cleanEnv } from "../utils/server.js"
import { run } from "./run.js"

// `npm run reload` does it a thousand times.
it("the built server answers every call while its settings change under it, and obeys those in force", async () => {
  const report = await run(bin, { reloads: 60, env: cleanEnv() })
  expect(report).toMatchObject({ unanswered: [], exceeded: [], forgotten: [], refused: 6, generation: 55 })
  expect(report.admitted).toBeGreaterThan(0)
}, 120_000)
