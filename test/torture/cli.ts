/** `npm run torture:quota -- [--rounds N] [--store sqlite|redis] [--exact --trials N]`: one line of JSON. */
import { parseArgs } from "node:util"
import * as Run from "./run.js"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    trials: { type: "string", default: "100" },
    store: { type: "string", default: "sqlite" },
    processes: { type: "string" },
    exact: { type: "boolean", default: false }
  }
})
const target = await Run.targetOf(values.store)
if (target === undefined) {
  console.error(`the store ${values.store} is not available here`)
  process.exit(2)
}
const processes = values.processes === undefined ? {} : { processes: Number(values.processes) }
const began = performance.now()
try {
  const figures = values.exact
    ? await Run.exact(target, { trials: Number(values.trials), ...processes })
    : await Run.kill9(target, { rounds: Number(values.rounds), ...processes })
  const seconds = Math.round((performance.now() - began) / 100) / 10
  console.log(JSON.stringify({ store: values.store, seconds, ...figures }))
  const bad =
    "inexact" in figures
      ? figures.inexact
      : figures.lost + figures.invented + figures.corrupt + figures.hung + figures.aboveLimit
  process.exitCode = bad === 0 && figures.complaint === undefined ? 0 : 1
} finally {
  target.stop()
}
