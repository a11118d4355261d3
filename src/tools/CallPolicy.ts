/**
 * What one call may ask for: rows, bytes, seconds, functions, objects. By tier; the caller can ask for less,
 * never for more.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Live from "../platform/Live.js"
import * as Schema from "effect/Schema"
import type { Policy } from "../gate/ReadOnly.js"
import * as MaskRules from "../sql/MaskRules.js"
import type { Rules } from "../sql/ObjectRules.js"
import { unrestricted } from "../sql/ObjectRules.js"

/**
 * What a call of a tier may ask for; milliseconds, rows, and bytes of JSON.
 *
 * @since 0.1.0
 * @category models
 */
export interface TierPolicy {
  /** Rows a query returns when the caller does not say. */
  readonly defaultRows: number
  readonly maxRows: number
  /** Bytes of JSON that one result may have. */
  readonly maxResultBytes: number
  /** Time limit of one attempt of a catalog look-up, milliseconds. */
  readonly metadataTimeoutMs: number
  /** Time limit of a query when the caller does not say, milliseconds. */
  readonly statementTimeoutMs: number
  readonly maxStatementTimeoutMs: number
  /** Functions allowed beyond the built-in list. */
  readonly allowFunctions: ReadonlyArray<string>
  /** Which databases, schemas and tables may be read; all that the server's role may when there are no rules. */
  readonly objects: Rules
  /** Columns that are masked, by their full names, and as what they are seen. */
  readonly masks: MaskRules.Masks
  /** The tools that the tier has: those of `allow`, or all where it is empty, without those of `deny`. */
  readonly tools: { readonly allow: ReadonlyArray<string>; readonly deny: ReadonlyArray<string> }
  /** Whether statements may be chained with `->>`. */
  readonly allowFlow: boolean
  /** Whether files in stages may be read. */
  readonly allowStages: boolean
  /** Bytes that a statement may scan by the warehouse's own estimate; not asked for when absent. */
  readonly maxScanBytes?: number | undefined
  /** Whether that estimate counts against a quota of scanned bytes, so that it is asked for anyway. */
  readonly chargeScans: boolean
  /** Whether what statements cost counts against a quota of credits, so that it is estimated. */
  readonly chargeCredits: boolean
  /** Whether statements may resume a warehouse that is suspended. */
  readonly wakeWarehouse: boolean
}

/**
 * The policy of a tier of which nothing is configured.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: TierPolicy = {
  defaultRows: 100,
  maxRows: 10_000,
  maxResultBytes: 1024 * 1024,
  metadataTimeoutMs: 15_000,
  statementTimeoutMs: 45_000,
  maxStatementTimeoutMs: 300_000,
  allowFunctions: [],
  objects: unrestricted,
  masks: MaskRules.none,
  tools: { allow: [], deny: [] },
  allowFlow: true,
  allowStages: false,
  chargeScans: false,
  chargeCredits: false,
  wakeWarehouse: true
}

/**
 * The tools that come with the server. Not read off `Toolbox`, because settings are read before any tool is made.
 *
 * @since 0.1.0
 * @category constants
 */
export const toolNames = [
  "describe_table",
  "describe_view",
  "execute_query",
  "explain_query",
  "get_limits",
  "get_query_results",
  "list_databases",
  "list_schemas",
  "list_tables",
  "list_views",
  "profile_table",
  "query_view",
  "search_objects"
] as const

/**
 * Whether callers of the tier have the tool: it is listed for them, and their calls of it are not refused.
 *
 * @since 0.1.0
 * @category predicates
 */
export const hasTool = ({ tools: { allow, deny } }: TierPolicy, tool: string): boolean =>
  !deny.includes(tool) && (allow.length === 0 || allow.includes(tool))

/**
 * The tier of the caller does not have the tool. Nothing was charged.
 *
 * @since 0.1.0
 * @category errors
 */
export class ToolDenied extends Schema.TaggedError<ToolDenied>("snowguard/ToolDenied")("ToolDenied", {
  tool: Schema.String,
  tier: Schema.String
}) {
  override get message(): string {
    return `the tier ${this.tier} does not have the tool ${this.tool}`
  }
}

/**
 * What the read-only gate is told about a statement of this tier, given where the call says that names
 * are looked up.
 *
 * @since 0.1.0
 * @category conversions
 */
export const forGate = (
  { allowFlow, allowFunctions, allowStages, chargeScans, masks, maxScanBytes, objects }: TierPolicy,
  call: Pick<Policy, "database" | "schema" | "appendLimit" | "masking"> = {}
): Policy => ({
  allowFunctions,
  objects,
  // No warehouse can tell what a chain would scan: to explain it is to run all but its first statement.
  allowFlow: allowFlow && maxScanBytes === undefined && !chargeScans,
  allowStages,
  // Nothing is known of any table: what reads one is refused.
  ...(MaskRules.isEmpty(masks) ? {} : { masking: { masks, known: () => undefined } }),
  ...call
})

/**
 * The policies of all tiers, and the key that tokens of masked values are made with. Reading one never fails.
 *
 * @since 0.1.0
 * @category context
 */
export class CallPolicy extends Context.Tag("snowguard/CallPolicy")<
  CallPolicy,
  {
    /** The policy of a tier; an unknown tier gets the one of `default`. */
    readonly of: (tier: string) => TierPolicy
    /** Whether what statements cost matters to any tier: to a quota of credits, or since it must not wake a warehouse. */
    readonly countsCredits: () => boolean
    /** The tiers that are known by name. */
    readonly tiers?: (() => ReadonlyArray<string>) | undefined
    /** The key of the tokens that masked columns are seen as; without it they cannot be. */
    readonly tokenKey?: Effect.Effect<MaskRules.TokenKey> | undefined
    /** Runs the effect after policies have changed, while the scope is open; absent where they never do. */
    readonly onChange?: Live.OnChange | undefined
  }
>() {}

/**
 * `tiers` holds what differs from {@link defaults}, by tier; what `default` says holds for all tiers
 * that do not say otherwise.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  tiers: Tiers | Live.Live<Tiers> = {},
  options: { readonly tokenKey?: Effect.Effect<Uint8Array | undefined> | undefined } = {}
): Layer.Layer<CallPolicy> => {
  const policies = Live.map(Live.from(tiers), (current) => {
    const base: TierPolicy = { ...defaults, ...current["default"] }
    const of = new Map(Object.entries(current).map(([name, own]) => [name, { ...base, ...own }]))
    const countsCredits = [base, ...of.values()].some((one) => one.chargeCredits || !one.wakeWarehouse)
    return { base, of, countsCredits }
  })
  return Layer.effect(
    CallPolicy,
    Effect.map(Effect.cached(tokenKey(options.tokenKey)), (tokenKey) => ({
      of: (tier: string) => {
        const { base, of } = policies.current()
        return of.get(tier) ?? base
      },
      countsCredits: () => policies.current().countsCredits,
      tiers: () => [...policies.current().of.keys()],
      tokenKey,
      onChange: policies.onChange
    }))
  )
}

/** The two keys of the digest. A random one of this process where none is given. */
const tokenKey = (given: Effect.Effect<Uint8Array | undefined> = Effect.succeed(undefined)) =>
  Effect.zipWith(
    given,
    Effect.promise(() => import("node:crypto")),
    (key, { createHmac, randomBytes }): MaskRules.TokenKey => {
      const secret = key ?? randomBytes(32)
      const derived = (use: string) =>
        createHmac("sha256", secret).update(`snowguard tokens ${use}`).digest("hex")
      return [derived("inner"), derived("outer")]
    }
  )

type Tiers = { readonly [tier: string]: Partial<TierPolicy> }
