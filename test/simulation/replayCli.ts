/**
 * `npm run replay -- --calls 100000 --seed 1`: simulated servers write their audit logs, and each log is replayed under the
 * limits that were in force, until so many calls were replayed. Ends with 1 when a decision differs.
 */
import * as Simulated from "./replay.js"

const numberOf = (name: string, otherwise: number): number => {
  const at = process.argv.indexOf(`--${name}`)
  const value = at < 0 ? otherwise : Number(process.argv[at + 1])
  if (Number.isSafeInteger(value) && value > 0) return value
  console.error(`--${name}: expected a whole number above 0`)
  process.exit(2)
}

const most = numberOf("calls", 100_000)
const first = numberOf("seed", 1)
const began = performance.now()
const kinds = new Map<string, number>()
const count = (kind: string): void => void kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
let calls = 0
let differing = 0
let seed = first
for (; calls < most; seed++) {
  const replayed = Simulated.run(seed)
  calls += replayed.results.length
  differing += replayed.differing.length
  for (const { then } of replayed.results) {
    if (then.refused !== undefined) count(`refused: ${then.refused.code} ${then.refused.scope}`)
    if (then.waitMs > 0) count("waited")
    for (const { code, scope } of then.wouldRefuse) count(`would be refused: ${code} ${scope}`)
  }
  for (const { call, now, then } of replayed.differing.slice(0, 3))
    console.error(`seed ${seed}: ${JSON.stringify({ call, then, now })}`)
  const { begunBefore, faulty, headless, missing } = replayed.log
  if (faulty.length + headless + begunBefore + missing > 0) {
    console.error(`seed ${seed}: the log has gaps`)
    differing += 1
  }
}
for (const [kind, times] of [...kinds].sort((a, b) => b[1] - a[1])) console.log(`${kind}: ${times}`)
console.log(
  `${calls} calls of ${seed - first} worlds in ${((performance.now() - began) / 1000).toFixed(0)} s: ${differing} decisions differ`
)
if (differing > 0) process.exitCode = 1
