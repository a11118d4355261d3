/**
 * What goes wrong, where, when and how often: the JSON that drives the emulator's faults.
 *
 * `fromMs` and `untilMs` count from the moment the script was installed. `probability` is decided anew for
 * every request a fault applies to, `count` ends a fault after that many requests. Faults are tried in the
 * order of the script: all latencies add up, of the others the first that strikes wins.
 *
 * @since 0.1.0
 */
import type * as Either from "effect/Either"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/**
 * Kinds of requests. `query` is the submission of a statement and the reading of its result.
 *
 * @since 0.1.0
 * @category models
 */
export const Where = Schema.Literal(
  "login",
  "query",
  "chunk",
  "renew",
  "heartbeat",
  "abort",
  "monitor",
  "any"
)
/**
 * @since 0.1.0
 * @category models
 */
export type Where = typeof Where.Type

const Millis = Schema.Number.pipe(Schema.finite(), Schema.nonNegative())

const window = {
  fromMs: Schema.optionalWith(Millis, { exact: true }),
  untilMs: Schema.optionalWith(Millis, { exact: true })
}

const chance = {
  ...window,
  probability: Schema.optionalWith(Schema.Number.pipe(Schema.between(0, 1)), { exact: true }),
  count: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true })
}

const anywhere = { ...chance, where: Schema.optionalWith(Where, { exact: true }) }

const kind = <K extends string, F extends Schema.Struct.Fields>(name: K, fields: F) =>
  Schema.Struct({ kind: Schema.Literal(name), ...fields })

/**
 * How long an answer is held back: always the same, evenly spread, or log-normal by its median and its
 * 99th percentile. In milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export const Delay = Schema.Union(
  Schema.Struct({ ms: Millis }),
  Schema.Struct({ minMs: Millis, maxMs: Millis }).pipe(
    Schema.filter(({ maxMs, minMs }) => minMs <= maxMs || "minMs must not be above maxMs")
  ),
  Schema.Struct({ medianMs: Millis.pipe(Schema.positive()), p99Ms: Millis.pipe(Schema.positive()) }).pipe(
    Schema.filter(({ medianMs, p99Ms }) => medianMs <= p99Ms || "medianMs must not be above p99Ms")
  )
)
/**
 * @since 0.1.0
 * @category models
 */
export type Delay = typeof Delay.Type

/**
 * | kind | what the client sees |
 * |---|---|
 * | `refused` | nobody listens on the port: the listener is closed and every connection with it |
 * | `reset` | the connection is reset before the request is looked at |
 * | `lostAnswer` | the request is carried out, then the connection is reset instead of answered |
 * | `midBodyReset` | carried out, half of the body is sent, then the connection is reset |
 * | `hang` | the request is read and never answered |
 * | `latency` | the request is looked at later |
 * | `status` | an HTTP status of 4xx or 5xx instead, with `Retry-After` if asked for; `html` for a proxy's page |
 * | `html` | a page of HTML with status 200 |
 * | `malformedJson` | carried out, but the JSON breaks off (a chunk's rows too) |
 * | `slowBody` | carried out, the body arrives in pieces over a time |
 * | `corruptGzip` | a chunk whose gzip is damaged |
 * | `expiredSession` | the session token has expired (390112); the client has to renew it. Give it a `count` or a `probability`: the driver renews and repeats for ever otherwise |
 * | `badPassword` | a login is refused (390100) |
 * | `suspendedWarehouse` | statements that need a warehouse fail with 000608 |
 * | `resourceMonitor` | they fail with 090073 |
 * | `queueTimeout` | they fail because they were queued too long |
 *
 * @since 0.1.0
 * @category models
 */
export const Fault = Schema.Union(
  kind("refused", window),
  kind("reset", anywhere),
  kind("lostAnswer", anywhere),
  kind("midBodyReset", anywhere),
  kind("hang", anywhere),
  kind("latency", { ...anywhere, delay: Delay }),
  kind("status", {
    ...anywhere,
    status: Schema.Int.pipe(Schema.between(400, 599)),
    retryAfterSeconds: Schema.optionalWith(Schema.Int.pipe(Schema.nonNegative()), { exact: true }),
    html: Schema.optionalWith(Schema.Boolean, { exact: true })
  }),
  kind("html", anywhere),
  kind("malformedJson", anywhere),
  kind("slowBody", { ...anywhere, overMs: Millis }),
  kind("corruptGzip", chance),
  kind("expiredSession", anywhere),
  kind("badPassword", chance),
  kind("suspendedWarehouse", chance),
  kind("resourceMonitor", chance),
  kind("queueTimeout", chance)
)
/**
 * @since 0.1.0
 * @category models
 */
export type Fault = typeof Fault.Type

/**
 * @since 0.1.0
 * @category models
 */
export const FaultScript = Schema.Struct({
  name: Schema.optionalWith(Schema.String, { exact: true }),
  /** Overrides the emulator's seed. */
  seed: Schema.optionalWith(Schema.Int, { exact: true }),
  faults: Schema.Array(Fault)
})
/**
 * @since 0.1.0
 * @category models
 */
export type FaultScript = typeof FaultScript.Type

/**
 * Nothing goes wrong.
 *
 * @since 0.1.0
 * @category constants
 */
export const none: FaultScript = { faults: [] }

/**
 * Unknown fields are mistakes: a misspelt `untilMs` would be an outage without an end.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode: (input: unknown) => Either.Either<FaultScript, ParseResult.ParseError> =
  Schema.decodeUnknownEither(FaultScript, { onExcessProperty: "error" })
