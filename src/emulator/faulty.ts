/**
 * Answers a request as the faults in force have it.
 *
 * A fault strikes before the request is carried out (`reset`, `hang`, `status`, `html`, refusals), inside
 * of it (faults of the warehouse), or after it (`lostAnswer`, broken and slow bodies).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { QueryBody } from "./binds.js"
import * as Failures from "./failures.js"
import type { FaultGate } from "./faultGate.js"
import type { Decision } from "./faults.js"
import type { Services } from "./handlers.js"
import * as Handlers from "./handlers.js"
import type { Manner, Reply, Request } from "./http.js"
import * as Http from "./http.js"
import type { Route } from "./protocol.js"
import * as Protocol from "./protocol.js"
import { split } from "./sqlText.js"

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

/** A statement that is submitted for the first time and needs a running warehouse. */
const usesWarehouse = (services: Services, route: Snowflake, request: Request): Effect.Effect<boolean> =>
  route._tag !== "Submit"
    ? Effect.succeed(false)
    : Handlers.sessionOf(services.sessions, request).pipe(
        Effect.map((session) => {
          const body = decodeQuery(request.body)
          if (Option.isNone(body) || Handlers.repeated(services, request, session) !== undefined) return false
          const texts = split(body.value.sqlText)
          return Either.isRight(texts) && texts.right.some((text) => text.usesWarehouse)
        }),
        Effect.orElseSucceed(() => false)
      )

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

const early = (
  services: Services,
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
    default:
      return { reply, manner: whole }
  }
}

/**
 * @since 0.1.0
 * @category answers
 */
export const answer = (
  services: Services,
  gate: FaultGate,
  route: Snowflake,
  request: Request
): Effect.Effect<{ readonly reply: Reply; readonly manner: Manner }> =>
  Effect.gen(function* () {
    const { delayMs, fault } = yield* gate.decide({
      where: Protocol.whereOf(route),
      usesWarehouse: yield* usesWarehouse(services, route, request)
    })
    if (delayMs > 0) yield* Effect.sleep(delayMs)
    const struck = fault === undefined ? undefined : early(services, request, fault)
    if (struck !== undefined) return yield* struck
    const inside =
      fault?.kind === "suspendedWarehouse" ||
      fault?.kind === "resourceMonitor" ||
      fault?.kind === "queueTimeout"
        ? fault.kind
        : undefined
    return late(yield* Handlers.answer(services, route, request, inside), route, fault)
  })
