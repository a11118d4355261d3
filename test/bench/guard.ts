/**
 * What the guard costs, beside what one would put together from packages, all in one process. Run it with
 * `npm run bench:guard`; `--help` says which options there are.
 */
import { loadavg } from "node:os"
import { parseArgs } from "node:util"
import { measureParts } from "./ablation.js"
import { bulkheadDrain, semaphoreDrain } from "./drain.js"
import type { Samples } from "./harness.js"
import { cpuOf, round } from "./harness.js"
import type { Name } from "./hop.js"
import { measureCost, measureLatency } from "./hop.js"
import { measureMemory, measurePeerMemory } from "./memory.js"

const help = `usage: npm run bench:guard [-- options]
A guarded call that waits once for the event loop, beside rate-limiter-flexible with cockatiel or opossum around the
same wait: medians of interleaved rounds. About 90 seconds on two cores, less when they are idle.
  --quick      fewer rounds: about 30 seconds
  --rounds N   so many rounds (11; with --quick 5)
  --json       one JSON object: microseconds of CPU and bytes
  --parts      instead, what each part of the guard costs
  --node=F     a flag for node, for example --node=--cpu-prof`

const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    json: { type: "boolean" },
    parts: { type: "boolean" },
    quick: { type: "boolean" },
    rounds: { type: "string" }
  }
})
const quick = values.quick === true
const rounds = Math.max(1, Number(values.rounds ?? (quick ? 5 : 11)))

/** CPU that the guard may cost: 2 % of `execute_query` on Snowflake, 20 of which run at once. */
const BOUND_US = 80

const say = (line: string): void => {
  if (values.json !== true) console.log(line)
}

const cell = (value: number, width: number): string => value.toFixed(1).padStart(width)

const titles: { readonly [N in Name]: string } = {
  "floor: async function": "nothing, an async function",
  "floor: Effect": "nothing, an Effect",
  guard: "the guard",
  cockatiel: "rate-limiter-flexible x4 + cockatiel",
  opossum: "rate-limiter-flexible x4 + opossum"
}
const names = Object.keys(titles) as ReadonlyArray<Name>

const printParts = (samples: Samples): void => {
  const whole = cpuOf(samples, "whole") / 1000
  say("what each part costs in a fiber, us CPU                                total    saves")
  for (const name of samples.keys()) {
    const own = cpuOf(samples, name) / 1000
    say(`  ${name.padEnd(46)}${cell(own, 22)}${name.startsWith("alone") ? "" : cell(whole - own, 9)}`)
  }
}

const main = async (): Promise<void> => {
  if (values.help === true) {
    console.log(help)
    return
  }
  if (values.parts === true) {
    printParts(await measureParts(rounds, 1_500))
    return
  }
  const cost = await measureCost(rounds, 3_000)
  const latency = await measureLatency(rounds, 1_000)
  say(
    `around a call with one asynchronous hop, us (${rounds} rounds, load average ${loadavg()[0]?.toFixed(1)})`
  )
  say(
    "                                          CPU: 20 at once    alone   time: p50      p99  adds: p50      p99"
  )
  for (const name of names) {
    const { addedP50, addedP99, p50, p99 } = latency[name]
    const cpu = `${cell(cost.together[name], 15)}${cell(cost.alone[name], 9)}`
    say(
      `  ${titles[name].padEnd(40)}${cpu}${cell(p50, 12)}${cell(p99, 9)}${cell(addedP50, 11)}${cell(addedP99, 9)}`
    )
  }
  say(
    `  calls left out because another process ran: ${cell(latency.guard.disturbed * 100, 0)} % of the guard's`
  )
  say(
    `refusal by the rate limit, us CPU: ${round(cost.refusal.guard)}; rate-limiter-flexible ${round(cost.refusal.peer)}`
  )

  const drain = { waiters: 10_000, ms: Math.round(await bulkheadDrain(10_000)) }
  say(`${drain.waiters} waiters of one slot, from first to last: ${drain.ms} ms`)
  if (!quick) say(`  250 of an Effect.Semaphore: ${Math.round(await semaphoreDrain(250))} ms`)

  const size = quick ? 30_000 : 100_000
  const memory = await measureMemory(size)
  const peer = await measurePeerMemory(size)
  say(`bytes kept for an idle client, of ${size}: ${Math.round(memory.bytesPerClient)} without its name`)
  say(`  the quota store's own text of the name: ${Math.round(memory.keyBytes)}`)
  say(`  rate-limiter-flexible x4: ${Math.round(peer.bytesPerClient)}`)

  const us = (value: number): number => round(value, 1)
  const report = {
    rounds,
    guard_hop_us: us(cost.together.guard),
    cockatiel_hop_us: us(cost.together.cockatiel),
    opossum_hop_us: us(cost.together.opossum),
    effect_floor_hop_us: us(cost.together["floor: Effect"]),
    guard_hop_alone_us: us(cost.alone.guard),
    cockatiel_hop_alone_us: us(cost.alone.cockatiel),
    opossum_hop_alone_us: us(cost.alone.opossum),
    added_p50_us: us(latency.guard.addedP50),
    added_p99_us: us(latency.guard.addedP99),
    refusal_us: us(cost.refusal.guard),
    bytes_per_idle_client: Math.round(memory.bytesPerClient),
    peer_bytes_per_idle_client: Math.round(peer.bytesPerClient),
    quota_key_bytes: Math.round(memory.keyBytes),
    waiters_drained: drain.waiters,
    waiters_drained_ms: drain.ms
  }
  if (values.json === true) console.log(JSON.stringify(report))
  else say(`bound ${BOUND_US} us, 20 at once: ${report.guard_hop_us <= BOUND_US ? "kept" : "MISSED"}`)
}

main().then(
  // Limiters of the peers keep a timer for each key.
  () => process.exit(0),
  (error: unknown) => {
    console.error(error)
    process.exit(1)
  }
)
