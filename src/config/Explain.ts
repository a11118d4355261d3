/**
 * Which settings make up the limits of one client, and where each of them comes from.
 *
 * @since 0.1.0
 */
import type { Loaded } from "./ServerConfig.js"
import * as Key from "./Key.js"
import type { Origin } from "./Resolve.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Row {
  /** What it limits: the client, its calls of one tool, all clients of its tier, or all clients. */
  readonly of: "client" | "tool" | "tier" | "all"
  readonly limit: string
  readonly value: unknown
  /** The setting that it is from. */
  readonly setting: string
  readonly source: Origin["source"]
  /** The variable, or the setting that it is inherited from or lowered to. */
  readonly from?: string | undefined
  /** The setting of the tier that a setting of the client takes the place of. */
  readonly insteadOf?: string | undefined
  /** It is counted and refuses nothing. */
  readonly observed: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Explanation {
  readonly client: string
  readonly tier: string
  /** Why it is that tier. */
  readonly tierFrom: string
  readonly rows: ReadonlyArray<Row>
}

/** Settings of a tier that are no limit of its calls. */
const others = new Set(["observe"])

const kindOf = (name: string): "rate" | "quota" | undefined =>
  /_per_(hour|day)$/.test(name)
    ? "quota"
    : /(requests_per_second|burst|initial_tokens|weight)$/.test(name)
      ? "rate"
      : undefined

/** The scope or quota by which `observe` names the limit that the setting is part of. */
const observableOf = (of: Row["of"], name: string): string =>
  kindOf(name) === "quota" ? name : of === "all" ? (name.startsWith("quer") ? "class" : "global") : of

/**
 * The limits of a client, in the tier that its key or token names, or else in that of the configuration. Undefined where
 * there is no such tier.
 *
 * @since 0.1.0
 * @category constructors
 */
export const explain = (
  { settings, sources }: Pick<Loaded, "settings" | "sources">,
  client: string,
  asked?: string | undefined
): Explanation | undefined => {
  const named = settings.clients[client]
  const tier = asked ?? named?.tier ?? "default"
  const limits = settings.tiers[tier]
  if (limits === undefined) return undefined
  const observe: ReadonlyArray<string> = limits.observe

  /** The settings under a key, by what follows it. */
  const under = (path: Key.Path): ReadonlyArray<readonly [name: string, key: string, origin: Origin]> => {
    const head = `${Key.format(path)}.`
    return [...sources].flatMap(([key, origin]) =>
      key.startsWith(head) ? [[key.slice(head.length), key, origin] as const] : []
    )
  }
  const row = (
    of: Row["of"],
    limit: string,
    value: unknown,
    setting: string,
    origin: Origin,
    insteadOf?: string
  ): ReadonlyArray<Row> => {
    if (value === undefined) return []
    const name = limit.split(".").at(-1) ?? limit
    const kind = kindOf(name)
    const { loweredTo, name: from = loweredTo, source } = origin
    return [
      {
        of,
        limit,
        value,
        setting,
        source,
        ...(from === undefined ? {} : { from }),
        ...(insteadOf === undefined ? {} : { insteadOf }),
        // `weight` of a tier is about slots, which always hold.
        observed:
          kind !== undefined &&
          limit !== "weight" &&
          (observe.includes(kind) || observe.includes(observableOf(of, name)))
      }
    ]
  }

  const ofTier = under(["tiers", tier]).flatMap(([name, key, origin]) => {
    if (others.has(name) || name.startsWith("snowflake.")) return []
    const own = Key.format(["clients", client, name])
    const ownOrigin = sources.get(own)
    const ownValue =
      named === undefined ? undefined : Key.valueAt(settings, ["clients", client, Key.camelOf(name)])
    if (ownOrigin !== undefined && ownValue !== undefined)
      return row("client", name, ownValue, own, ownOrigin, key)
    const of = name.startsWith("tools.") ? "tool" : name.startsWith("total_") ? "tier" : "client"
    return row(of, name, Key.valueAt(settings, ["tiers", tier, ...Key.camelOf(name).split(".")]), key, origin)
  })
  const ofAll = ["requests_per_second", "burst", "queries_per_second", "query_burst"].flatMap((name) => {
    const key = `limits.${name}`
    const origin = sources.get(key)
    return origin === undefined
      ? []
      : row("all", name, Key.valueAt(settings, ["limits", Key.camelOf(name)]), key, origin)
  })
  const ofAllQuotas = under(["global_quota"]).flatMap(([name, key, origin]) =>
    row("all", name, Key.valueAt(settings, ["globalQuota", Key.camelOf(name)]), key, origin)
  )
  const clientTier = sources.get(Key.format(["clients", client, "tier"]))
  return {
    client,
    tier,
    tierFrom:
      asked !== undefined
        ? "as asked: a key or a token may name its tier"
        : clientTier === undefined || clientTier.source === "default"
          ? "no setting names the client's tier; its key or token may"
          : `${Key.format(["clients", client, "tier"])} (${clientTier.source}${clientTier.name === undefined ? "" : ` ${clientTier.name}`})`,
    rows: [...ofTier, ...ofAll, ...ofAllQuotas]
  }
}
