/**
 * What goes wrong, where, when and how often: the JSON that drives the emulator's faults.
 *
 * `fromMs` and `untilMs` count from the moment the script was installed. `probability` is decided anew for
 * every request a fault applies to, `count` ends a fault after that many requests. Faults are tried in the
 * order of the script: all latencies add up, of the others the first that strikes wins.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

const oneOf = (names: ReadonlyArray<string>) => ({
  message: `is none of ${names.join(", ")}`,
  override: true
})

/**
 * Kinds of requests. `token` asks the identity provider for one, before a login. `query` is the submission of a statement and the reading of its result; `poll` is the
 * latter alone.
 */
export const Where = Schema.Literal(
  "login",
  "token",
  "query",
  "poll",
  "chunk",
  "renew",
  "heartbeat",
  "abort",
  "monitor",
  "any"
).annotations({ message: () => oneOf(Where.literals) })
export type Where = typeof Where.Type

const Millis = Schema.Number.pipe(Schema.finite(), Schema.nonNegative())

const window = {
  fromMs: Schema.optionalWith(Millis, { exact: true }),
  untilMs: Schema.optionalWith(Millis, { exact: true })
}

const chance = {
  ...window,
  probability: Schema.optionalWith(Schema.Number.pipe(Schema.between(0, 1)), { exact: true }),
  count: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  /** Only requests of statements whose text contains this, whatever its case. */
  sql: Schema.optionalWith(Schema.String, { exact: true })
}

const anywhere = { ...chance, where: Schema.optionalWith(Where, { exact: true }) }

const kind = <K extends string, F extends Schema.Struct.Fields>(name: K, fields: F) =>
  Schema.Struct({ kind: Schema.Literal(name), ...fields })

/**
 * How long an answer is held back: always the same, evenly spread, or log-normal by its median and its
 * 99th percentile. In milliseconds.
 */
export const Delay = Schema.Union(
  Schema.Struct({ ms: Millis }),
  Schema.Struct({ minMs: Millis, maxMs: Millis }).pipe(
    Schema.filter(({ maxMs, minMs }) => minMs <= maxMs || "minMs must not be above maxMs")
  ),
  Schema.Struct({ medianMs: Millis.pipe(Schema.positive()), p99Ms: Millis.pipe(Schema.positive()) }).pipe(
    Schema.filter(({ medianMs, p99Ms }) => medianMs <= p99Ms || "medianMs must not be above p99Ms")
  )
).annotations({
  message: () => ({
    message: "is none of { ms }, { minMs, maxMs } in this order and { medianMs, p99Ms } in this order",
    override: true
  })
})
export type Delay = typeof Delay.Type

/**
 * | defect | what a part holds |
 * |---|---|
 * | `short`, `long` | one row less or more than declared |
 * | `narrow`, `wide` | rows of one cell less or more than there are columns |
 * | `shapeless` | values that are no rows |
 * | `json` | the right rows, but with the content type of JSON |
 * | `truncatedGzip` | the gzip ends half-way |
 */
export const PartDefect = Schema.Literal(
  "short",
  "long",
  "narrow",
  "wide",
  "shapeless",
  "json",
  "truncatedGzip"
).annotations({ message: () => oneOf(PartDefect.literals) })
export type PartDefect = typeof PartDefect.Type

/**
 * | defect | what the answer holds |
 * |---|---|
 * | `noRowset` | no `rowset`, as when all rows are in parts |
 * | `noRowtype` | no `rowtype` |
 * | `total` | a `total` and `returned` of one row too many |
 * | `noData` | `data` is null |
 */
export const AnswerDefect = Schema.Literal("noRowset", "noRowtype", "total", "noData").annotations({
  message: () => oneOf(AnswerDefect.literals)
})
export type AnswerDefect = typeof AnswerDefect.Type

/**
 * | kind | what the client sees |
 * |---|---|
 * | `refused` | nothing listens on the port: the listener is closed and every connection with it |
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
 * | `refusal` | a login, a statement, a poll, a renewal, ... is refused with a `code`, and the text and SQLSTATE that Snowflake gives it unless `message` and `sqlState` say others; {@link refusalCodes} have a text |
 * | `inProgress` | carried out, but answered at once that it is still running (333333) |
 * | `part` | a part of a result is not what was declared: see {@link PartDefect} |
 * | `answer` | the answer that holds a result is not what it should be: see {@link AnswerDefect} |
 * | `largeParts` | parts are as large as `CLIENT_RESULT_CHUNK_SIZE` allows (160 MB unless it is set) |
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
  kind("queueTimeout", chance),
  kind("refusal", {
    ...anywhere,
    code: Schema.String.pipe(Schema.pattern(/^\d{6}$/, { message: () => "is not a text of six digits" })),
    message: Schema.optionalWith(Schema.String, { exact: true }),
    sqlState: Schema.optionalWith(Schema.String, { exact: true })
  }),
  kind("inProgress", anywhere),
  kind("part", { ...chance, defect: PartDefect }),
  kind("answer", { ...chance, defect: AnswerDefect }),
  kind("largeParts", chance)
)
export type Fault = typeof Fault.Type

export const FaultScript = Schema.Struct({
  name: Schema.optionalWith(Schema.String, { exact: true }),
  /** Overrides the emulator's seed. */
  seed: Schema.optionalWith(Schema.Int, { exact: true }),
  faults: Schema.Array(Fault)
})
export type FaultScript = typeof FaultScript.Type

/**
 * Nothing goes wrong.
 */
export const none: FaultScript = { faults: [] }

/** By the name of the kind. */
const kinds = new Map(Fault.members.map((member) => [member.fields.kind.literals[0] as string, member]))

const unknownKeys = (value: object, known: ReadonlyArray<string>): ReadonlyArray<string> =>
  Object.keys(value).filter((key) => !known.includes(key))

const listed = (names: Iterable<string>): string => [...names].join(", ")

const problemIn = (at: string, error: ParseResult.ParseError): string => {
  // The last one belongs to the alternative that came closest.
  const issue = ParseResult.ArrayFormatter.formatErrorSync(error).at(-1)
  const path = issue === undefined ? "" : issue.path.map(String).join(".")
  return `${at}${path === "" ? "" : `.${path}`}: ${issue?.message ?? "not valid"}`
}

const strict = { onExcessProperty: "error" } as const

const decodeFault = Schema.decodeUnknownEither(Fault, strict)

const problemOfFault = (value: unknown, index: number): string | undefined => {
  const at = `faults[${index}]`
  const fault = Predicate.isRecord(value) ? value : undefined
  const name = fault?.["kind"]
  if (fault === undefined || typeof name !== "string") {
    return `${at}: a fault is an object with a "kind"; known kinds: ${listed(kinds.keys())}`
  }
  const schema = kinds.get(name)
  if (schema === undefined) return `${at}: unknown kind "${name}"; known kinds: ${listed(kinds.keys())}`
  const known = Object.keys(schema.fields)
  const [unknown] = unknownKeys(fault, known)
  if (unknown !== undefined)
    return `${at}: unknown key "${unknown}"; known keys of "${name}": ${listed(known)}`
  const decoded = decodeFault(fault)
  return Either.isLeft(decoded) ? problemIn(at, decoded.left) : undefined
}

/** Why this is no script, in a line for each mistake. */
const problemOf = (input: unknown): string | undefined => {
  const script = Predicate.isRecord(input) ? input : undefined
  const faults = script?.["faults"]
  if (script === undefined || !Array.isArray(faults)) {
    return 'a script is an object with a list "faults"'
  }
  const known = Object.keys(FaultScript.fields)
  const problems = [
    ...unknownKeys(script, known).map(
      (key) => `unknown key "${key}"; known keys of a script: ${listed(known)}`
    ),
    ...faults.flatMap((fault: unknown, index) => problemOfFault(fault, index) ?? [])
  ]
  return problems.length === 0 ? undefined : problems.join("\n")
}

/**
 * The script, or what is wrong with it: a line for each mistake, with what is known in its place. Unknown
 * keys are mistakes: a misspelt `untilMs` would be an outage without an end.
 */
export const decode = (input: unknown): Either.Either<FaultScript, string> => {
  const problem = problemOf(input)
  if (problem !== undefined) return Either.left(problem)
  return Either.mapLeft(Schema.decodeUnknownEither(FaultScript, strict)(input), (error) =>
    problemIn("script", error)
  )
}
