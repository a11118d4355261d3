import * as A from "./ablation.js"
const only = process.env["ONLY"] ?? ""
const t0 = performance.now()
let n = 0,
  calls = 0
A.measure({
  seed: 1,
  seeds: Number(process.env["SEEDS"] ?? 5),
  of: A.ablations.filter((a) => (a.mechanism + " " + a.world).includes(only)),
  run: (r) => {
    n++
    calls += r.calls
  },
  each: (row) => {
    console.log(A.line(row), `${n} runs ${calls} calls ${((performance.now() - t0) / 1000).toFixed(0)} s`)
    if (process.env["ALL"])
      for (const [k, [a, b]] of Object.entries(row.all))
        console.log(
          `     ${k.padEnd(34)} ${a.mean.toFixed(3)} ± ${a.error.toFixed(3)}   ${b.mean.toFixed(3)} ± ${b.error.toFixed(3)}`
        )
  }
})
