import type { OperationClass } from "../platform/Operation.js"
import { QuotaName } from "./QuotaStore.js"
import type { Charge, OutagePolicy } from "./QuotaStore.js"

export type Limits = { readonly [K in QuotaName]?: number | undefined }

export interface LimitOptions {
  readonly tiers: { readonly [tier: string]: Limits }
  readonly clients?: { readonly [client: string]: Limits } | undefined
  readonly global?: Limits | undefined
  readonly outage?: { readonly [tier: string]: OutagePolicy } | undefined
}

interface Work {
  readonly client: string
  readonly tier: string
  readonly class: OperationClass
  readonly estimatedBytes: number
}

export const names: ReadonlyArray<QuotaName> = QuotaName.literals

export const GLOBAL = "global"
export const keyOf = (client: string): string => `client:${client}`
/** Undefined for the totals over all clients. */
export const clientOf = (key: string): string | undefined =>
  key.startsWith("client:") ? key.slice("client:".length) : undefined
export const scopeOf = (key: string): "client" | "global" => (key === GLOBAL ? "global" : "client")

/** What each class of call is charged with; `control` with nothing. */
const charged: { readonly [K in OperationClass]: ReadonlyArray<QuotaName> } = {
  control: [],
  metadata: ["requests_per_hour", "requests_per_day", "bytes_per_day"],
  query: names
}

/** Known only afterwards: a call is let in while anything is left. */
const postPaid: ReadonlySet<QuotaName> = new Set<QuotaName>([
  "bytes_per_day",
  "scan_bytes_per_day",
  "statement_seconds_per_day"
])

export const problemsOf = (where: string, limits: Limits): ReadonlyArray<string> =>
  Object.entries(limits).flatMap(([quota, limit]) =>
    !names.some((name) => name === quota)
      ? [`${where}: there is no quota ${quota}`]
      : limit !== undefined && !(limit >= 1 && limit < Number.POSITIVE_INFINITY)
        ? [`${where}: ${quota} must be a number of at least 1, not ${limit}`]
        : []
  )

export const validate = ({ clients = {}, global = {}, tiers }: LimitOptions): ReadonlyArray<string> => [
  ...(Object.hasOwn(tiers, "default") ? [] : ["tiers: there is no tier named default"]),
  ...Object.entries(tiers).flatMap(([tier, limits]) => problemsOf(`tier ${tier}`, limits)),
  ...Object.entries(clients).flatMap(([client, limits]) => problemsOf(`client ${client}`, limits)),
  ...problemsOf("global", global)
]

/** Which limit holds for whom. */
export interface LimitTable {
  readonly global: Limits
  /**
   * The most particular limit that says something wins: set at run time, configured for the client, the
   * tier's (of `default` for a tier nobody has heard of).
   */
  readonly limitOf: (
    quota: QuotaName,
    client: string,
    tier: string,
    runtime: Limits | undefined
  ) => number | undefined
  readonly chargesOf: (work: Work, runtime: Limits | undefined) => ReadonlyArray<Charge>
  /** What is held of the quotas of bytes scanned, to the byte: once it is known, it need not be post-paid. */
  readonly scanChargesOf: (work: Omit<Work, "class">, runtime: Limits | undefined) => ReadonlyArray<Charge>
}

/** What a client was charged last. */
interface Asked {
  readonly tier: string
  readonly class: OperationClass
  readonly bytes: number
  readonly runtime: Limits | undefined
  readonly charges: ReadonlyArray<Charge>
}

/** Clients of whom that is remembered, at most. */
const REMEMBERED = 1_000

export const makeTable = (options: LimitOptions): LimitTable => {
  // Maps, not records: a tier called "constructor" must not find a limitless function.
  const tiers = new Map(Object.entries(options.tiers))
  const clients = new Map(Object.entries(options.clients ?? {}))
  const fallback = tiers.get("default")
  const global = options.global ?? {}
  const outage = new Map(Object.entries(options.outage ?? {}))

  const limitOf: LimitTable["limitOf"] = (quota, client, tier, runtime) =>
    runtime?.[quota] ?? clients.get(client)?.[quota] ?? (tiers.get(tier) ?? fallback)?.[quota]

  const charge = (key: string, quota: QuotaName, limit: number, work: Work): Charge => {
    const later = postPaid.has(quota)
    const amount = quota === "bytes_per_day" ? work.estimatedBytes : later ? 0 : 1
    return chargeOf(key, quota, limit, amount, later, work)
  }

  const chargeOf = (
    key: string,
    quota: QuotaName,
    limit: number,
    amount: number,
    later: boolean,
    work: Pick<Work, "tier">
  ): Charge => {
    const onOutage = outage.get(tiers.has(work.tier) ? work.tier : "default")
    return onOutage === undefined
      ? { key, quota, limit, amount, postPaid: later }
      : { key, quota, limit, amount, postPaid: later, onOutage }
  }

  // The same client mostly asks for the same kind of work again.
  const known = new Map<string, Asked>()

  return {
    global,
    limitOf,
    scanChargesOf: (work, runtime) => {
      const quota = "scan_bytes_per_day"
      const own = limitOf(quota, work.client, work.tier, runtime)
      const total = global[quota]
      const of = (key: string, limit: number | undefined) =>
        limit === undefined ? [] : [chargeOf(key, quota, limit, work.estimatedBytes, false, work)]
      return [...of(keyOf(work.client), own), ...of(GLOBAL, total)]
    },
    chargesOf: (work, runtime) => {
      const last = known.get(work.client)
      if (
        last !== undefined &&
        last.tier === work.tier &&
        last.class === work.class &&
        last.bytes === work.estimatedBytes &&
        last.runtime === runtime
      ) {
        return last.charges
      }
      if (known.size >= REMEMBERED) known.clear()
      const charges: Array<Charge> = []
      const key = keyOf(work.client)
      for (const quota of charged[work.class]) {
        const limit = limitOf(quota, work.client, work.tier, runtime)
        if (limit !== undefined) charges.push(charge(key, quota, limit, work))
      }
      for (const quota of charged[work.class]) {
        const limit = global[quota]
        if (limit !== undefined) charges.push(charge(GLOBAL, quota, limit, work))
      }
      known.set(work.client, {
        tier: work.tier,
        class: work.class,
        bytes: work.estimatedBytes,
        runtime,
        charges
      })
      return charges
    }
  }
}
