/**
 * `npm run identities -- [--users 200] [--minutes 10] [--seed 1]`: many users at once, each acting as itself. Prints what
 * was found as JSON; exits with 1 where a statement ran as another user, or a user was locked out.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { run } from "./run.js"

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
process.exitCode = report.mixedUp.length + report.lockedOut.length > 0 ? 1 : 0
