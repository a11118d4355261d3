/**
 * The audit log read again: what each call asked of the limits, in the order in which it was decided.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { operatorPrefix } from "../observe/Audit.js"
import * as Metering from "../observe/Metering.js"
import { QuotaName } from "../quota/QuotaStore.js"

/**
 * A limit that would have refused the call, were it not observed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Would {
  readonly code: string
  readonly scope: string
  readonly retryAfterMs?: number | undefined
}

/**
 * A call that came to the limits.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  readonly client: string
  readonly tier: string
  readonly tool: string
  readonly wouldRefuse: ReadonlyArray<Would>
  readonly asked: Omit<Metering.Operation, "steps">
  /** In the order in which they took place. */
  readonly steps: ReadonlyArray<Metering.Step>
}

/**
 * An operator set to zero what a client had used.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reset {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly client: string
  /** All of them when absent. */
  readonly quota?: QuotaName | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Log {
  readonly calls: ReadonlyArray<Call>
  readonly resets: ReadonlyArray<Reset>
  /** Lines of calls, and those of them that an earlier version wrote, which did not say what a replay needs. */
  readonly lines: number
  readonly older: number
  /** What is no line of an audit log: `FILE:NUMBER`. */
  readonly faulty: ReadonlyArray<string>
  /** Operations whose first step is in none of the lines. */
  readonly headless: number
  /** Starts of servers, those whose first steps are missing, and steps that are missing between others. */
  readonly servers: number
  readonly begunBefore: number
  readonly missing: number
}

const Line = Schema.parseJson(
  Schema.Struct({
    time: Schema.String,
    v: Schema.optional(Schema.Number),
    client: Schema.String,
    tier: Schema.String,
    tool: Schema.String,
    decision: Schema.String,
    target: Schema.optional(Schema.String),
    wouldRefuse: Schema.optional(
      Schema.Array(
        Schema.Struct({
          code: Schema.String,
          scope: Schema.String,
          retryAfterMs: Schema.optional(Schema.Finite)
        })
      )
    ),
    limits: Schema.optional(Schema.Array(Metering.Operation))
  })
)

const decode = Schema.decodeUnknownEither(Line)

const isQuota = Schema.is(QuotaName)

const resetOf = ({ target, time }: typeof Line.Type): ReadonlyArray<Reset> => {
  const at = Option.map(DateTime.make(time), DateTime.toEpochMillis)
  if (Option.isNone(at) || target === undefined) return []
  // A client's name may have spaces, a quota's has none.
  const space = target.lastIndexOf(" ")
  const quota = target.slice(space + 1)
  return space > 0 && isQuota(quota)
    ? [{ at: at.value, client: target.slice(0, space), quota }]
    : [{ at: at.value, client: target }]
}

interface Gathered extends Omit<Call, "steps" | "wouldRefuse"> {
  wouldRefuse: ReadonlyArray<Would>
  readonly steps: Map<number, Metering.Step>
}

/**
 * Takes line after line; what stands in several files is taken once.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): {
  readonly add: (file: string, number: number, line: string) => void
  readonly log: () => Log
} => {
  const gathered = new Map<string, Gathered>()
  const resets = new Map<string, Reset>()
  const faulty: Array<string> = []
  const count = { lines: 0, older: 0 }

  const add = (file: string, number: number, text: string): void => {
    if (text.trim() === "") return
    const decoded = decode(text)
    if (Either.isLeft(decoded)) {
      faulty.push(`${file}:${number}`)
      return
    }
    const line = decoded.right
    if (line.tool.startsWith(operatorPrefix)) {
      if (line.tool === `${operatorPrefix}quota/reset` && line.decision === "ok")
        for (const reset of resetOf(line)) resets.set(text, reset)
      return
    }
    count.lines += 1
    if (line.v === undefined) count.older += 1
    for (const { steps, ...asked } of line.limits ?? []) {
      const key = `${asked.server} ${asked.operation}`
      const { client, tier, tool, wouldRefuse = [] } = line
      const known = gathered.get(key)
      const one = known ?? { client, tier, tool, wouldRefuse, asked, steps: new Map() }
      if (known === undefined) gathered.set(key, one)
      else if (wouldRefuse.length > 0) one.wouldRefuse = wouldRefuse
      for (const step of steps) one.steps.set(step[0], step)
    }
  }

  const log = (): Log => {
    const all = [...gathered.values()].map(({ steps, ...rest }) => ({
      ...rest,
      steps: [...steps.values()].sort((a, b) => a[0] - b[0])
    }))
    const calls = all.filter(({ steps: [first] }) => first?.[3] === "rate" || first?.[3] === "rate_refused")
    const servers = new Map<string, { first: number; last: number; count: number }>()
    for (const { asked, steps } of all) {
      const seen = servers.get(asked.server) ?? { first: Infinity, last: 0, count: 0 }
      servers.set(asked.server, seen)
      for (const [n] of steps) {
        seen.first = Math.min(seen.first, n)
        seen.last = Math.max(seen.last, n)
      }
      seen.count += steps.length
    }
    const starts = [...servers.values()]
    return {
      calls,
      resets: [...resets.values()],
      ...count,
      faulty,
      headless: all.length - calls.length,
      servers: starts.length,
      begunBefore: starts.filter(({ first }) => first > 1).length,
      missing: starts.reduce((sum, { count, first, last }) => sum + last - first + 1 - count, 0)
    }
  }
  return { add, log }
}
