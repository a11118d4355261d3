/**
 * The limits of `TokenBucket`: their form, their validation, and the numbers that are computed from them once.
 *
 * Every duration is a multiple of 2^-16 ms. Sums of such numbers are exact in a double for four years of
 * milliseconds, so decisions need no tolerance. Intervals are rounded up: never faster than configured. (A burst that
 * is not a whole number may be larger by the inflow of 2^-16 ms.)
 *
 * @since 0.1.0
 */

/** Tokens per second (> 0), most tokens held (>= 1), tokens at first sight (`burst` when absent). */
export interface Bucket {
  readonly rate: number
  readonly burst: number
  readonly initial?: number | undefined
}

export interface Limits {
  readonly global: Bucket
  readonly classes: { readonly [name: string]: Bucket | undefined }
  readonly tiers: {
    readonly [tier: string]: { readonly client: Bucket; readonly total?: Bucket | undefined }
  }
  /** No bound when absent. */
  readonly maxClients?: number | undefined
  /** Part (0 to 0.9) of each shared bucket that only clients below their share of it may use; 0 when absent. */
  readonly reserved?: number | undefined
}

export type Scope = "client" | "tier" | "class" | "global" | "overflow"

/** One bucket's limits, compiled: times in milliseconds. */
export interface Line {
  readonly scope: Scope
  readonly name: string | undefined
  readonly rate: number
  readonly burst: number
  readonly interval: number
  readonly depth: number
  /** Initial debt of a new bucket, which holds `initial` tokens and not `burst`. */
  readonly startDebt: number
  /** The part that only clients below their share may use; 0 where there are no shares. */
  readonly reserve: number
  /** Index into the state's `shared`; -1 for a client's own bucket. */
  readonly slot: number
}

export interface Tier {
  readonly client: Line
  readonly total: Line | undefined
  /** The shared buckets that a call passes, by its class. */
  readonly paths: ReadonlyMap<string, ReadonlyArray<Line>>
  /** The same for a class without a bucket of its own. */
  readonly classless: ReadonlyArray<Line>
}

export interface Config {
  readonly shared: ReadonlyArray<Line>
  readonly global: Line
  readonly overflow: Line
  readonly classes: ReadonlyArray<Line>
  readonly tiers: ReadonlyMap<string, Tier>
  readonly fallback: Tier
  readonly maxClients: number
  /** With more clients than this each call looks for idle clients to drop. */
  readonly sweepAbove: number
}

const GRID = 65_536
/** Onto the grid of 2^-16 ms. */
export const roundUp = (ms: number): number => Math.ceil(ms * GRID) / GRID
export const roundDown = (ms: number): number => Math.floor(ms * GRID) / GRID

/** The problems of the limits; empty when there is none. */
export const problems = (limits: Limits): ReadonlyArray<string> => {
  const found: Array<string> = []
  const check = (where: string, bucket: Bucket | undefined): void => {
    if (bucket === undefined) return
    const { burst, initial = burst, rate } = bucket
    if (!(rate > 0 && rate < Infinity)) found.push(`${where}.rate must be a positive number, not ${rate}`)
    else if (burst < Infinity && !Number.isFinite((burst / rate) * 1000 * GRID))
      found.push(`${where}.rate of ${rate} is too small`)
    if (!(burst >= 1 && burst < Infinity)) found.push(`${where}.burst must be at least 1, not ${burst}`)
    else if (!(initial >= 0 && initial <= burst))
      found.push(`${where}.initial must be between 0 and burst (${burst}), not ${initial}`)
  }
  check("global", limits.global)
  for (const [name, bucket] of Object.entries(limits.classes)) check(`classes.${name}`, bucket)
  for (const [name, tier] of Object.entries(limits.tiers)) {
    check(`tiers.${name}.client`, tier.client)
    check(`tiers.${name}.total`, tier.total)
  }
  if (!Object.hasOwn(limits.tiers, "default")) found.push("tiers must hold a tier named default")
  const { maxClients = 1, reserved = 0 } = limits
  if (!(Number.isSafeInteger(maxClients) && maxClients >= 1))
    found.push(`maxClients must be a whole number of at least 1, not ${maxClients}`)
  if (!(reserved >= 0 && reserved <= 0.9)) found.push(`reserved must be between 0 and 0.9, not ${reserved}`)
  return found
}

/** Precomputes what a decision needs. Throws for limits that have {@link problems}. */
export const compile = (limits: Limits): Config => {
  const found = problems(limits)
  const defaults = limits.tiers["default"]
  if (found.length > 0 || defaults === undefined) throw new RangeError(found.join("; "))
  const { maxClients = Infinity, reserved = 0 } = limits
  const shared: Array<Line> = []
  const line = (scope: Scope, name: string | undefined, bucket: Bucket, slot: number): Line => {
    const interval = roundUp(1000 / bucket.rate)
    const { burst, initial = burst, rate } = bucket
    const depth = roundUp(burst * interval)
    const startDebt = depth - roundDown(initial * interval)
    const part = scope === "client" || scope === "overflow" ? 0 : reserved
    const reserve = roundDown(Math.max(0, Math.min(depth * part, depth - interval)))
    return { scope, name, rate, burst, interval, depth, startDebt, reserve, slot }
  }
  const share = (scope: Scope, name: string | undefined, bucket: Bucket): Line => {
    const made = line(scope, name, bucket, shared.length)
    shared.push(made)
    return made
  }
  const global = share("global", undefined, limits.global)
  const overflow = share("overflow", undefined, defaults.client)
  const classes: Array<Line> = []
  for (const [name, bucket] of Object.entries(limits.classes))
    if (bucket !== undefined) classes.push(share("class", name, bucket))
  const tierOf = (name: string, buckets: { client: Bucket; total?: Bucket | undefined }): Tier => {
    const total = buckets.total === undefined ? undefined : share("tier", name, buckets.total)
    const tail = total === undefined ? [global] : [total, global]
    return {
      client: line("client", undefined, buckets.client, -1),
      total,
      paths: new Map(classes.map((own) => [own.name ?? "", [own, ...tail]])),
      classless: tail
    }
  }
  const tiers = new Map(Object.entries(limits.tiers).map(([name, own]) => [name, tierOf(name, own)]))
  return {
    shared,
    global,
    overflow,
    classes,
    tiers,
    fallback: tiers.get("default") ?? tierOf("default", defaults),
    maxClients,
    sweepAbove: Math.floor(maxClients * 0.75)
  }
}
