/**
 * The outage that `snowguard demo --outage` rehearses, as data: what goes wrong in which order.
 */
import type { Fault, FaultScript } from "./FaultScript.js"

/** A fault without the time at which it happens. */
type Timeless = Fault extends infer F ? (F extends Fault ? Omit<F, "fromMs" | "untilMs"> : never) : never

export interface Phase {
  readonly name: string
  /** One sentence for the viewer. */
  readonly description: string
  readonly lastsMs: number
  readonly faults: ReadonlyArray<Timeless>
}

/**
 * Healthy, struggling, gone, back without a warehouse, healthy: a minute.
 */
export const phases: ReadonlyArray<Phase> = [
  { name: "healthy", description: "Snowflake answers.", lastsMs: 10_000, faults: [] },
  {
    name: "struggling",
    description: "Answers take long, two in five are 503.",
    lastsMs: 15_000,
    faults: [
      { kind: "latency", where: "any", delay: { medianMs: 400, p99Ms: 3000 } },
      { kind: "status", where: "query", status: 503, probability: 0.4 }
    ]
  },
  {
    name: "down",
    description: "Nothing answers: connections are refused.",
    lastsMs: 12_000,
    faults: [{ kind: "refused" }]
  },
  {
    name: "suspended",
    description: "Snowflake is back, the warehouse is not: a resource monitor keeps it suspended.",
    lastsMs: 10_000,
    faults: [{ kind: "suspendedWarehouse" }]
  },
  { name: "recovered", description: "Everything works again.", lastsMs: 13_000, faults: [] }
]

/**
 * The script of the phases, one after the other; what the last one does goes on for ever. With a `speed`
 * of 10 everything happens in a tenth of the time.
 */
export const script = (from: ReadonlyArray<Phase> = phases, speed = 1): FaultScript => {
  const faults: Array<Fault> = []
  let fromMs = 0
  from.forEach((phase, index) => {
    const untilMs = fromMs + phase.lastsMs / speed
    const window = index === from.length - 1 ? { fromMs } : { fromMs, untilMs }
    for (const fault of phase.faults) faults.push({ ...fault, ...window })
    fromMs = untilMs
  })
  return { name: "outage rehearsal", faults }
}
