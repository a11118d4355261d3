/**
 * Snowflake's endpoints: what each request is answered with, faults aside.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { findDatabase, findSchema } from "../warehouse/duckdb/catalog.js"
import { bindsOf, parametersOf, QueryBody } from "./protocol.js"
import type { ChunkUrls } from "./chunkUrls.js"
import type { Environment } from "./environment.js"
import { version } from "./environment.js"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"
import type { Reply, Request } from "./http.js"
import * as Http from "./http.js"
import type { Accepted, Logins } from "./login.js"
import { authenticate, LoginBody, secondFactor } from "./login.js"
import * as Tokens from "./tokens.js"
import type { Route } from "./protocol.js"
import * as Protocol from "./protocol.js"
import { badParameter } from "./sessionCommands.js"
import type { Session, Sessions } from "./sessions.js"
import type { Outcome, Statement, StatementFault, Statements } from "./statements.js"

export interface Services {
  readonly sessions: Sessions
  readonly statements: Statements
  readonly chunkUrls: ChunkUrls
  readonly accepted: Accepted
  readonly logins: Logins
  readonly environment: Pick<Environment, "engine" | "warehouses" | "roles" | "identities">
  /** How long an answer is held back for a statement that is still running. */
  readonly holdMs: number
  readonly defaults: { readonly role: string; readonly warehouse: string }
}

const tokenOf = (request: Request): string | undefined =>
  /^Snowflake Token="([^"]*)"/.exec(request.headers.authorization ?? "")?.[1]

const denied: Readonly<Record<"Expired" | "Gone" | "Unknown" | "Ended", Failure>> = {
  Expired: Failures.tokenExpired,
  Gone: Failures.sessionGone,
  Ended: Failures.refusal("390318"),
  Unknown: Failures.tokenUnknown
}

/**
 * The session a request is made in, or what it is told instead.
 */
export const sessionOf = (sessions: Sessions, request: Request): Effect.Effect<Session, Failure> =>
  Effect.flatMap(sessions.find(tokenOf(request)), (found) =>
    found._tag === "Live" ? Effect.succeed(found.session) : Effect.fail(denied[found._tag])
  )

const decodeLogin = Schema.decodeUnknownOption(Schema.parseJson(LoginBody))
const decodeQuery = Schema.decodeUnknownOption(QueryBody)
const decodeAbort = Schema.decodeUnknownOption(Schema.parseJson(Schema.Struct({ requestId: Schema.String })))

/** What an unquoted name means. */
const folded = (name: string | null): string | undefined => {
  if (name === null || name === "") return undefined
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toUpperCase()
}

/** Names that do not exist leave the session without a database, as Snowflake does. */
const namespaceOf = (services: Services, url: URL) =>
  Effect.map(Effect.option(services.environment.engine.names), (names) => {
    const catalog = Option.getOrUndefined(Option.map(names, (all) => ({ ...all, relations: [] })))
    const none = { database: undefined, schema: undefined }
    if (catalog === undefined) return none
    const database = folded(url.searchParams.get("databaseName")) ?? catalog.databases[0]?.name
    if (database === undefined || typeof findDatabase(catalog, database) !== "string") return none
    const schema = folded(url.searchParams.get("schemaName")) ?? "PUBLIC"
    return { database, schema: "_tag" in findSchema(catalog, database, schema) ? undefined : schema }
  })

const login = (services: Services, request: Request): Effect.Effect<Reply> =>
  Effect.gen(function* () {
    const { accepted, defaults, environment, logins, sessions } = services
    const body = decodeLogin(request.body)
    if (Option.isNone(body)) return Http.json(Protocol.refused(Failures.badPassword))
    const token = body.value.data.TOKEN ?? ""
    const issued =
      logins.tokens.get(token) ??
      (token === "" ? undefined : yield* accepted.tokenUser?.(token) ?? Effect.succeed(undefined))
    const user = authenticate(body.value, accepted, logins, yield* Clock.currentTimeMillis, issued)
    if (user._tag === "Failure") return Http.json(Protocol.refused(user))
    const refused = yield* secondFactor(body.value, accepted, logins)
    if (refused !== undefined) return Http.json(Protocol.refused(refused))
    const { searchParams } = request.url
    const { identities } = environment
    const asked = folded(searchParams.get("roleName"))
    const role = identities?.roleOf(user.name, asked, user.token?.role) ?? asked ?? defaults.role
    if (typeof role !== "string") return Http.json(Protocol.refused(role))
    if (environment.roles?.includes(role) === false)
      return Http.json(Protocol.refused(Failures.unknownRole(role)))
    const warehouse = folded(searchParams.get("warehouse")) ?? defaults.warehouse
    const { data } = body.value
    const session = yield* sessions.open({
      user: user.name,
      application: data.CLIENT_ENVIRONMENT?.APPLICATION ?? data.CLIENT_APP_ID ?? "",
      role,
      secondaryRoles: identities?.userOf(user.name)?.defaultSecondaryRoles ?? "ALL",
      endsAt: user.token?.endsAt ?? Number.POSITIVE_INFINITY,
      warehouse: environment.warehouses?.includes(warehouse) === false ? undefined : warehouse,
      ...(yield* namespaceOf(services, request.url)),
      parameters: parametersOf(Object.entries(data.SESSION_PARAMETERS ?? {}))
    })
    return Http.json(Protocol.loggedIn(session, version, sessions.ttlMs))
  })

const outcome = (services: Services, request: Request, statement: Statement, result: Outcome) =>
  Effect.map(Clock.currentTimeMillis, (now): Reply => {
    switch (result._tag) {
      case "Failure":
        return Http.json(Protocol.failed(result, statement.queryId))
      case "Children":
        return Http.json(Protocol.children(statement, result.children))
      case "Rows": {
        const { headers, sign } = services.chunkUrls
        const chunks = result.chunks.map((_, index) => ({
          url: sign(request.url.origin, statement.queryId, index, now)
        }))
        return Http.json(Protocol.rows(statement, result, chunks, headers))
      }
    }
  })

/**
 * In the place of {@link Services.holdMs}: answered that the statement is running, whether or not it is.
 */
export const AT_ONCE = -1

const awaited = (
  services: Services,
  request: Request,
  statement: Statement,
  ms: number
): Effect.Effect<Reply> =>
  Effect.flatMap(
    ms === AT_ONCE ? Effect.succeedNone : services.statements.wait(statement, ms),
    Option.match({
      onNone: () => Effect.succeed(Http.json(Protocol.inProgress(statement))),
      onSome: (result) => outcome(services, request, statement, result)
    })
  )

const submit = (services: Services, request: Request, session: Session, fault: StatementFault | undefined) =>
  Effect.gen(function* () {
    const decoded = decodeQuery(request.body)
    if (Option.isNone(decoded)) return Http.html(400, "Bad Request")
    const body = decoded.value
    const binds = bindsOf(body)
    if ("_tag" in binds) return Http.json(Protocol.failed(binds))
    const parameters = parametersOf(session.parameters, Object.entries(body.parameters ?? {}))
    for (const [name, value] of parameters) {
      const failure = badParameter(name, value)
      if (failure !== undefined) return Http.json(Protocol.failed(failure))
    }
    const isAsync = body.asyncExec === true
    const statement = yield* services.statements.submit(session, {
      sql: body.sqlText,
      requestId: request.url.searchParams.get("requestId") ?? undefined,
      binds,
      parameters,
      describeOnly: body.describeOnly === true,
      isAsync,
      fault
    })
    return isAsync
      ? Http.json(Protocol.inProgress(statement))
      : yield* awaited(services, request, statement, services.holdMs)
  })

const abort = (services: Services, statement: Statement | undefined): Effect.Effect<Reply> =>
  statement === undefined
    ? Effect.succeed(Http.json(Protocol.failed(Failures.notRunning)))
    : Effect.map(services.statements.cancel(statement), (cancelled) =>
        Http.json(cancelled ? Protocol.nothing : Protocol.failed(Failures.notRunning, statement.queryId))
      )

const chunk = (services: Services, request: Request, queryId: string, index: number) =>
  Effect.map(Clock.currentTimeMillis, (now): Reply => {
    if (!services.chunkUrls.verify(request.url, request.headers, queryId, index, now)) {
      return Http.html(403, "AccessDenied")
    }
    const result = services.statements.byQuery(queryId)?.result
    const found = result?._tag === "Rows" ? result.chunks[index] : undefined
    return found === undefined
      ? Http.html(404, "NoSuchKey")
      : {
          status: 200,
          headers: { "content-type": "binary/octet-stream", "content-encoding": "gzip" },
          body: found.gzip
        }
  })

const renew = ({ sessions }: Services, request: Request): Effect.Effect<Reply> =>
  Effect.map(sessions.renew(tokenOf(request)), (session) =>
    Http.json(
      session === undefined
        ? Protocol.failed(Failures.masterExpired)
        : Protocol.renewed(session, sessions.ttlMs)
    )
  )

/**
 * The statement that a submission repeats.
 */
export const repeated = (services: Services, request: Request, session: Session): Statement | undefined =>
  services.statements.byRequest(session, request.url.searchParams.get("requestId") ?? undefined)

export const answer = (
  services: Services,
  route: Exclude<Route, { readonly _tag: "Control" }>,
  request: Request,
  fault: StatementFault | undefined
): Effect.Effect<Reply> => {
  const { sessions, statements } = services
  const inSession = (use: (session: Session) => Effect.Effect<Reply>): Effect.Effect<Reply> =>
    sessionOf(sessions, request).pipe(
      Effect.matchEffect({
        onFailure: (failure) => Effect.succeed(Http.json(Protocol.failed(failure))),
        onSuccess: use
      })
    )
  switch (route._tag) {
    case "Login":
      return login(services, request)
    case "Token":
      return Tokens.tokenFor(request, services.accepted, services.logins, services.environment.identities)
    case "Metadata":
      return Effect.succeed(Tokens.metadata(request))
    case "Submit":
      return inSession((session) => submit(services, request, session, fault))
    case "Result":
      return inSession(({ user }) => {
        const statement = statements.byQuery(route.queryId)
        // In any session, but only by the user that ran it.
        return statement === undefined || statement.session.user !== user
          ? Effect.succeed(Http.json(Protocol.failed(Failures.resultUnknown(route.queryId), route.queryId)))
          : awaited(services, request, statement, services.holdMs)
      })
    case "Monitor":
      return inSession(() => Effect.succeed(Http.json(Protocol.monitored(statements.byQuery(route.queryId)))))
    case "AbortQuery":
      return inSession(() => abort(services, statements.byQuery(route.queryId)))
    case "AbortRequest":
      return inSession((session) =>
        abort(
          services,
          statements.byRequest(
            session,
            Option.getOrUndefined(Option.map(decodeAbort(request.body), (body) => body.requestId))
          )
        )
      )
    case "Chunk":
      return chunk(services, request, route.queryId, route.index)
    case "Renew":
      return renew(services, request)
    case "Heartbeat":
      return inSession(() => Effect.succeed(Http.json(Protocol.nothing)))
    case "Logout":
      return inSession((session) => {
        sessions.close(session)
        return Effect.as(statements.cancelAllOf(session), Http.json(Protocol.nothing))
      })
    case "Telemetry":
      return Effect.succeed(Http.json(Protocol.nothing))
    case "NotFound":
      return Effect.succeed(Http.html(404, "Not Found"))
  }
}
