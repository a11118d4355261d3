/**
 * Answers a request as the faults in force have it.
 *
 * A fault strikes before the request is carried out (`reset`, `hang`, `status`, `html`, refusals), inside
 * of it (faults of the warehouse and of the statement), or after it (`lostAnswer`, broken and slow bodies,
 * parts and answers that are not what was declared).
 */
import { gunzipSync, gzipSync } from "node:zlib"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { QueryBody } from "./protocol.js"
import * as Failures from "./failures.js"
import type { FaultGate, Decision } from "./faults.js"
import type { AnswerDefect, PartDefect } from "./FaultScript.js"
import type { Services } from "./handlers.js"
import * as Handlers from "./handlers.js"
import type { Manner, Reply, Request } from "./http.js"
import * as Http from "./http.js"
import type { Route } from "./protocol.js"
import * as Protocol from "./protocol.js"
import type { StatementFault } from "./statements.js"
import { split } from "./parser.js"

type Snowflake = Exclude<Route, { readonly _tag: "Control" }>

const whole = { _tag: "Whole" } as const satisfies Manner

const titles: Readonly<Record<number, string>> = {
  403: "Forbidden",
  404: "Not Found",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Time-out"
}

const decodeQuery = Schema.decodeUnknownOption(QueryBody)

interface About {
  readonly sql: string | undefined
  /** A statement that is submitted for the first time and needs a running warehouse. */
  readonly usesWarehouse: boolean
}

const about = (services: Services, route: Snowflake, request: Request): Effect.Effect<About> => {
  if ("queryId" in route) {
    return Effect.sync(() => ({
      sql: services.statements.byQuery(route.queryId)?.sql,
      usesWarehouse: false
    }))
  }
  if (route._tag !== "Submit") return Effect.succeed({ sql: undefined, usesWarehouse: false })
  const sql = Option.getOrUndefined(decodeQuery(request.body))?.sqlText
  return Handlers.sessionOf(services.sessions, request).pipe(
    Effect.map((session): About => {
      const isNew = sql !== undefined && Handlers.repeated(services, request, session) === undefined
      const texts = isNew ? split(sql) : undefined
      return {
        sql,
        usesWarehouse:
          texts !== undefined && Either.isRight(texts) && texts.right.some((text) => text.usesWarehouse)
      }
    }),
    Effect.orElseSucceed((): About => ({ sql, usesWarehouse: false }))
  )
}

const broken = (reply: Reply, cut: number): Reply => ({ ...reply, body: reply.body.subarray(0, cut) })

/** From here on a part is large enough to be unpacked piece by piece. */
const LARGE = 32_768

/**
 * The first byte after the header of a gzip names the kind of the block; there is none of that name. A large
 * one is damaged in its middle, when its first rows have been unpacked: its checksum tells at the latest.
 */
const corrupted = (reply: Reply): Reply => {
  const body = Buffer.from(reply.body)
  if (body.length < LARGE) body[10] = 0xff
  else body.fill(0xff, body.length >> 1, (body.length >> 1) + 64)
  return { ...reply, body }
}

const plainChunk = (reply: Reply): Reply => ({
  ...reply,
  headers: { "content-type": "binary/octet-stream" },
  body: Buffer.from('["cut off')
})

/** The rows of a part as they would be sent, made into what a defect says. */
const defective = (reply: Reply, defect: PartDefect): Reply => {
  if (reply.status !== 200) return reply
  if (defect === "json")
    return { ...reply, headers: { ...reply.headers, "content-type": "application/json" } }
  if (defect === "truncatedGzip") return broken(reply, reply.body.byteLength >> 1)
  const text = gunzipSync(reply.body).toString("utf8")
  const rows: ReadonlyArray<ReadonlyArray<unknown>> = JSON.parse(`[${text}]`)
  const changed = (): ReadonlyArray<unknown> => {
    switch (defect) {
      case "short":
        return rows.slice(0, -1)
      case "long":
        return [...rows, ...rows.slice(-1)]
      case "narrow":
        return rows.map((row) => row.slice(0, -1))
      case "wide":
        return rows.map((row) => [...row, "more"])
      case "shapeless":
        return rows.map((row) => ({ row }))
    }
  }
  const inner = JSON.stringify(changed()).slice(1, -1)
  return { ...reply, body: gzipSync(inner, { level: 1 }) }
}

interface Envelope {
  data: Record<string, unknown> | null
}

/** An answer that holds a result, made into what a defect says; others stay as they are. */
const misdeclared = (reply: Reply, defect: AnswerDefect): Reply => {
  const answer: Envelope = JSON.parse(Buffer.from(reply.body).toString("utf8"))
  const { data } = answer
  if (data === null || data["rowset"] === undefined) return reply
  switch (defect) {
    case "noRowset":
      delete data["rowset"]
      break
    case "noRowtype":
      delete data["rowtype"]
      break
    case "total":
      data["total"] = Number(data["total"]) + 1
      data["returned"] = data["total"]
      break
    case "noData":
      answer.data = null
  }
  return { ...reply, body: Buffer.from(JSON.stringify(answer)) }
}

const early = (
  services: Services,
  route: Snowflake,
  request: Request,
  fault: NonNullable<Decision["fault"]>
): Effect.Effect<{ readonly reply: Reply; readonly manner: Manner }> | undefined => {
  const say = (reply: Reply, manner: Manner = whole) => Effect.succeed({ reply, manner })
  switch (fault.kind) {
    case "reset":
      return say(Http.json(null), { _tag: "Reset" })
    case "hang":
      return Effect.never
    case "html":
      return say(Http.html(200, "Sign in to the network"))
    case "status": {
      const title = titles[fault.status] ?? "Error"
      const headers =
        fault.retryAfterSeconds === undefined ? {} : { "retry-after": String(fault.retryAfterSeconds) }
      const reply =
        fault.html === true
          ? Http.html(fault.status, title, headers)
          : Http.json({ success: false, code: null, message: title, data: null }, fault.status)
      return say({ ...reply, headers: { ...reply.headers, ...headers } })
    }
    case "refusal": {
      const failure = Failures.refusal(fault.code, fault.message, fault.sqlState)
      if (route._tag === "Login") return say(Http.json(Protocol.refused(failure)))
      // Refused as a statement, which is known from then on by its id.
      if (route._tag === "Submit" && !Failures.refusesSession(failure)) return undefined
      return say(Http.json(Protocol.failed(failure, "queryId" in route ? route.queryId : undefined)))
    }
    case "badPassword":
      return say(Http.json(Protocol.refused(Failures.badPassword)))
    case "expiredSession":
      return Handlers.sessionOf(services.sessions, request).pipe(
        Effect.tap((session) => services.sessions.expire(session)),
        Effect.as(Failures.tokenExpired),
        Effect.merge,
        Effect.map((failure) => ({ reply: Http.json(Protocol.failed(failure)), manner: whole }))
      )
    default:
      return undefined
  }
}

const late = (reply: Reply, route: Snowflake, fault: Decision["fault"]): { reply: Reply; manner: Manner } => {
  switch (fault?.kind) {
    case "lostAnswer":
      return { reply, manner: { _tag: "Reset" } }
    case "midBodyReset":
      return { reply, manner: { _tag: "Half" } }
    case "slowBody":
      return { reply, manner: { _tag: "Slow", overMs: fault.overMs } }
    case "malformedJson":
      return {
        reply: route._tag === "Chunk" ? plainChunk(reply) : broken(reply, reply.body.byteLength >> 1),
        manner: whole
      }
    case "corruptGzip":
      return { reply: corrupted(reply), manner: whole }
    case "part":
      return { reply: defective(reply, fault.defect), manner: whole }
    case "answer":
      return { reply: misdeclared(reply, fault.defect), manner: whole }
    default:
      return { reply, manner: whole }
  }
}

/** What of a fault strikes the statement instead of its request. */
const inner = (fault: Decision["fault"]): StatementFault | undefined => {
  switch (fault?.kind) {
    case "suspendedWarehouse":
    case "resourceMonitor":
    case "queueTimeout":
    case "largeParts":
      return fault.kind
    case "refusal":
      return Failures.refusal(fault.code, fault.message, fault.sqlState)
    default:
      return undefined
  }
}

export const answer = (
  services: Services,
  gate: FaultGate,
  route: Snowflake,
  request: Request
): Effect.Effect<{ readonly reply: Reply; readonly manner: Manner }> =>
  Effect.gen(function* () {
    const { delayMs, fault } = yield* gate.decide({
      where: Protocol.whereOf(route),
      ...(yield* about(services, route, request))
    })
    if (delayMs > 0) yield* Effect.sleep(delayMs)
    const struck = fault === undefined ? undefined : early(services, route, request, fault)
    if (struck !== undefined) return yield* struck
    const own = fault?.kind === "inProgress" ? { ...services, holdMs: Handlers.AT_ONCE } : services
    return late(yield* Handlers.answer(own, route, request, inner(fault)), route, fault)
  })
