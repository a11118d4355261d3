/**
 * `npm run identities -- [--users 200] [--minutes 10] [--seed 1]`: many users at once, each acting as itself. Prints what
 * was found as JSON; exits with 1 where a statement ran as another user, a user was locked out, the account had sessions that
 * the pool did not count, or memory grew.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { MAX_SESSIONS, run } from "./run.js"

/** Megabytes of the heap a minute. Less than some minutes do not tell a leak from noise. */
const MAX_GROWTH = 1
const TELLING_MINUTES = 5

const { values } = parseArgs({
  options: {
    users: { type: "string", default: "200" },
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    "shared-key": { type: "boolean", default: false }
  }
})

const report = await Effect.runPromise(
  run({
    users: Number(values.users),
    seconds: Number(values.minutes) * 60,
    calls: Number.MAX_SAFE_INTEGER,
    seed: Number(values.seed),
    sharedKey: values["shared-key"]
  })
)
process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
const isGood =
  report.mixedUp.length + report.lockedOut.length + report.beyond.length === 0 &&
  report.sessionsAtRest <= MAX_SESSIONS &&
  (Number(values.minutes) < TELLING_MINUTES || report.heapGrowthMegabytesPerMinute <= MAX_GROWTH)
process.exitCode = isGood ? 0 : 1
