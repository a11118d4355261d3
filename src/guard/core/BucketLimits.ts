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

/** What the calls of one tool take. */
export interface ToolLimit {
  /** The bucket of each client for this tool, full at first; none when absent. */
  readonly bucket?: Omit<Bucket, "initial"> | undefined
  /** Tokens that a call takes from the client's own bucket; 1 when absent. */
  readonly weight?: number | undefined
}

export interface TierLimits {
  readonly client: Bucket
  readonly total?: Bucket | undefined
  readonly tools?: { readonly [tool: string]: ToolLimit | undefined } | undefined
  /** Scopes that decide and charge, and refuse nothing; `client` is also `overflow`. */
  readonly observe?: ReadonlyArray<Scope> | undefined
}

export interface Limits {
  readonly global: Bucket
  readonly classes: { readonly [name: string]: Bucket | undefined }
  readonly tiers: { readonly [tier: string]: TierLimits }
  /** No bound when absent. */
  readonly maxClients?: number | undefined
  /** Part (0 to 0.9) of each shared bucket that only clients below their share of it may use; 0 when absent. */
  readonly reserved?: number | undefined
}

export type Scope = "client" | "tool" | "tier" | "class" | "global" | "overflow"

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
  /** Index into the state's `shared`; -1 for a client's own buckets. */
  readonly slot: number
}

export interface Tool {
  /** The client's bucket for the tool, where there is one. */
  readonly line: Line | undefined
  /** Column of the clients' table that the bucket is in. */
  readonly column: number
  readonly weight: number
}

export interface Tier {
  readonly client: Line
  readonly total: Line | undefined
  readonly tools: ReadonlyMap<string, Tool>
  readonly observe: ReadonlySet<Scope>
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
  /** The tools for which clients have a bucket in some tier; the columns of the clients' table. */
  readonly tools: ReadonlyArray<string>
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
    for (const [tool, limit] of Object.entries(tier.tools ?? {})) {
      check(`tiers.${name}.tools.${tool}.bucket`, limit?.bucket)
      const { weight = 1 } = limit ?? {}
      if (!(weight >= 0 && weight <= tier.client.burst))
        found.push(
          `tiers.${name}.tools.${tool}.weight must be between 0 and the burst of a client (${tier.client.burst}), not ${weight}`
        )
    }
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
    const part = scope === "client" || scope === "tool" || scope === "overflow" ? 0 : reserved
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
  const columns: Array<string> = []
  const columnOf = (tool: string): number => {
    const known = columns.indexOf(tool)
    return known < 0 ? columns.push(tool) - 1 : known
  }
  const toolOf = (name: string, { bucket, weight = 1 }: ToolLimit): Tool => {
    if (bucket === undefined) return { line: undefined, column: -1, weight }
    const { burst, rate } = bucket
    return { line: line("tool", name, { rate, burst }, -1), column: columnOf(name), weight }
  }
  const tierOf = (name: string, buckets: TierLimits): Tier => {
    const total = buckets.total === undefined ? undefined : share("tier", name, buckets.total)
    const tail = total === undefined ? [global] : [total, global]
    return {
      client: line("client", undefined, buckets.client, -1),
      total,
      observe: new Set([
        ...(buckets.observe ?? []),
        ...(buckets.observe?.includes("client") === true ? (["overflow"] as const) : [])
      ]),
      tools: new Map(
        Object.entries(buckets.tools ?? {}).flatMap(([tool, limit]) =>
          limit === undefined ? [] : [[tool, toolOf(tool, limit)] as const]
        )
      ),
      paths: new Map(classes.map((own) => [own.name ?? "", [own, ...tail]])),
      classless: tail
    }
  }
  const tiers = new Map(Object.entries(limits.tiers).map(([name, own]) => [name, tierOf(name, own)]))
  return {
    tools: columns,
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
