/**
 * What the guard costs, beside what one would put together from packages, all in one process. Run it
 * with `npm run bench:guard`; `scripts/bench-guard.mjs` says which options there are.
 */
import { parseArgs } from "node:util"
import { measureParts } from "./ablation.js"
import { measureCost } from "./cost.js"
import { bulkheadDrain, semaphoreDrain } from "./drain.js"
import type { Samples } from "./harness.js"
import { cpuOf, ratioOf, round, wallOf } from "./harness.js"
import { measureLatency } from "./latency.js"
import { measureMemory, measurePeerMemory } from "./memory.js"
import { measureSimulation } from "./simulation.js"

const { values } = parseArgs({
  options: {
    json: { type: "boolean" },
    quick: { type: "boolean" },
    parts: { type: "boolean" },
    rounds: { type: "string" }
  }
})
const quick = values.quick === true
const rounds = Math.max(1, Number(values.rounds ?? (quick ? 7 : 25)))
const ops = quick ? 10_000 : 20_000

const say = (line: string): void => {
  if (values.json !== true) console.log(line)
}
const us = (ns: number): number => round(ns / 1000, 2)

const cell = (value: number, width: number): string => value.toFixed(2).padStart(width)

const printCost = (samples: Samples): void => {
  say(`cost per call, us (median of ${rounds} interleaved rounds)        CPU      wall`)
  for (const name of samples.keys())
    say(`  ${name.padEnd(46)}${cell(us(cpuOf(samples, name)), 12)}${cell(us(wallOf(samples, name)), 10)}`)
}

const printParts = (samples: Samples): void => {
  const whole = us(cpuOf(samples, "whole"))
  say("\nwhat each part costs in a fiber, us CPU                              total    saves")
  for (const name of samples.keys()) {
    const own = us(cpuOf(samples, name))
    say(`  ${name.padEnd(46)}${cell(own, 22)}${name.startsWith("alone") ? "" : cell(whole - own, 9)}`)
  }
}

const main = async (): Promise<void> => {
  if (values.parts === true) {
    printParts(await measureParts(rounds, ops))
    return
  }
  const cost = await measureCost(rounds, ops)
  printCost(cost)

  const latency = await measureLatency(rounds, quick ? 1_000 : 3_000)
  say(
    "\nlatency with one turn of the event loop, us     p50      p99  best p99   added p50  added p99  left out"
  )
  for (const [name, { addedP50, addedP99, bestP99, disturbed, p50, p99 }] of latency)
    say(
      `  ${name.padEnd(42)}${cell(p50, 8)}${cell(p99, 9)}${cell(bestP99, 10)}${cell(addedP50, 12)}${cell(addedP99, 11)}${cell(disturbed * 100, 8)} %`
    )
  const added = latency.get("guard")

  const simulation = await measureSimulation(quick ? 3 : 7, quick ? 1 : 2)
  say(`\nsimulated hours per CPU second at 10 calls/s`)
  say(
    `  buckets alone ${round(simulation.buckets, 1)}, all decisions of a call ${round(simulation.model, 1)},`
  )
  say(`  whole guard on a virtual clock ${round(simulation.guard, 1)}`)

  const drains: Array<{ readonly waiters: number; readonly ms: number }> = []
  await bulkheadDrain(1_000)
  for (const waiters of [2_500, 10_000]) drains.push({ waiters, ms: await bulkheadDrain(waiters) })
  const semaphore = { waiters: 250, ms: await semaphoreDrain(250) }
  say("\nwaiters of one slot drained")
  for (const { ms, waiters } of drains) say(`  bulkhead          ${waiters} in ${ms.toFixed(0)} ms`)
  say(`  Effect.Semaphore  ${semaphore.waiters} in ${semaphore.ms.toFixed(0)} ms`)

  say("\nheap per idle client, bytes (names not counted)")
  const sizes = quick ? [100_000] : [100_000, 1_000_000]
  const memory = []
  for (const size of sizes) {
    const found = await measureMemory(size)
    memory.push(found)
    say(
      `  ${size} clients: ${found.bytesPerClient.toFixed(0)}, and ${found.keyBytes.toFixed(0)} for the quota store's key`
    )
  }
  const peerMemory = await measurePeerMemory(100_000)
  say(`  rlf x4, 100000 clients: ${peerMemory.bytesPerClient.toFixed(0)}`)

  const report = {
    rounds,
    guard_in_fiber_us: us(cpuOf(cost, "guard, in a fiber")),
    guard_in_fiber_unsent_us: us(cpuOf(cost, "guard, in a fiber, nothing sent")),
    guard_promise_us: us(cpuOf(cost, "guard, runPromise")),
    guard_in_fiber_64_us: us(cpuOf(cost, "guard, 64 fibers")),
    guard_promise_64_us: us(cpuOf(cost, "guard, runPromise, 64 at once")),
    effect_floor_promise_us: us(cpuOf(cost, "floor: Effect, runPromise")),
    cockatiel_stack_us: us(cpuOf(cost, "rlf x4 + cockatiel")),
    opossum_stack_us: us(cpuOf(cost, "rlf x4 + opossum")),
    times_cheaper_than_cockatiel_stack: round(ratioOf(cost, "rlf x4 + cockatiel", "guard, runPromise")),
    times_cheaper_than_cockatiel_stack_64: round(
      ratioOf(cost, "rlf x4 + cockatiel, 64 at once", "guard, runPromise, 64 at once")
    ),
    ratio_to_opossum_stack: round(ratioOf(cost, "guard, runPromise", "rlf x4 + opossum")),
    ratio_in_fiber_to_opossum_stack: round(ratioOf(cost, "guard, in a fiber", "rlf x4 + opossum")),
    refusal_us: us(cpuOf(cost, "refusal, in a fiber")),
    refusals_per_second: Math.round(1e9 / cpuOf(cost, "refusal, in a fiber")),
    added_p50_us: round(added?.addedP50 ?? NaN),
    added_p99_us: round(added?.addedP99 ?? NaN),
    bytes_per_idle_client: Math.round(memory[memory.length - 1]?.bytesPerClient ?? NaN),
    bytes_per_idle_client_100k: Math.round(memory[0]?.bytesPerClient ?? NaN),
    quota_key_bytes: Math.round(memory[0]?.keyBytes ?? NaN),
    peer_bytes_per_idle_client: Math.round(peerMemory.bytesPerClient),
    waiters_drained: drains[1]?.waiters,
    waiters_drained_ms: Math.round(drains[1]?.ms ?? NaN),
    simulated_hours_per_second_buckets: round(simulation.buckets, 1),
    simulated_hours_per_second: round(simulation.model, 1),
    simulated_hours_per_second_whole_guard: round(simulation.guard, 1)
  }
  if (values.json === true) console.log(JSON.stringify(report))
  else {
    say("\ngoals")
    const goals: ReadonlyArray<readonly [string, number, string, number, boolean]> = [
      ["guard in a fiber, us", report.guard_in_fiber_us, "<=", 2.5, report.guard_in_fiber_us <= 2.5],
      ["guard through runPromise, us", report.guard_promise_us, "<=", 5, report.guard_promise_us <= 5],
      [
        "times cheaper than rlf x4 + cockatiel",
        report.times_cheaper_than_cockatiel_stack,
        ">=",
        5,
        report.times_cheaper_than_cockatiel_stack >= 5
      ],
      ["added p99, us", report.added_p99_us, "<", 15, report.added_p99_us < 15],
      ["bytes per idle client", report.bytes_per_idle_client, "<=", 215, report.bytes_per_idle_client <= 215]
    ]
    for (const [name, value, sign, goal, met] of goals)
      say(`  ${name.padEnd(40)}${String(value).padStart(8)}   goal ${sign} ${goal}${met ? "" : "   MISSED"}`)
  }
}

main().then(
  // Limiters of the peers keep a timer for each key.
  () => process.exit(0),
  (error: unknown) => {
    console.error(error)
    process.exit(1)
  }
)
