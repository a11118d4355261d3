/**
 * The endpoints that steer and show the emulator; no fault ever touches them.
 *
 * | request | does |
 * |---|---|
 * | `GET /__emulator/state` | sessions, statements, requests by kind, tags, the latest statements |
 * | `GET /__emulator/faults` | the script in force, its age, how often each fault has struck |
 * | `PUT /__emulator/faults` | puts another script in force, from now on |
 * | `POST /__emulator/expire` | every session's token has expired |
 * | `POST /__emulator/reset` | no faults, no sessions, no statements, all counters zero |
 *
 * They are reachable on the control port always, and on the main port while that listens: a script that
 * begins with `refused` closes the main port at once, and with it the connection that installed it.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { FaultGate } from "./faults.js"
import * as FaultScript from "./FaultScript.js"
import type { Reply, Request } from "./http.js"
import * as Http from "./http.js"
import type { Sessions } from "./sessions.js"
import type { Counts, Status, Statements } from "./statements.js"
import type { SecondaryRoles } from "./parser.js"

export interface State {
  readonly sessions: { readonly alive: number; readonly opened: number }
  readonly statements: Counts
  /** Requests so far, by what they were. */
  readonly requests: Readonly<Record<string, number>>
  readonly connections: number
  /** Statements by their QUERY_TAG, among those that are remembered. */
  readonly tags: Readonly<Record<string, number>>
  readonly latest: ReadonlyArray<{
    readonly queryId: string
    readonly session: number
    readonly sql: string
    readonly tag: string
    readonly user: string
    readonly role: string
    readonly secondaryRoles: SecondaryRoles
    readonly status: Status
    readonly errorCode: string | null
    readonly startedAt: number
    readonly endedAt: number | null
  }>
}

export interface Services {
  readonly sessions: Sessions
  readonly statements: Statements
  readonly gate: FaultGate
  readonly requests: Map<string, number>
  readonly connections: () => number
}

const MOST_SHOWN = 50

export const state = ({ connections, requests, sessions, statements }: Services): Effect.Effect<State> =>
  Effect.map(sessions.alive, (alive): State => {
    const remembered = statements.latest(Number.MAX_SAFE_INTEGER)
    const tags: Record<string, number> = {}
    for (const { tag } of remembered) if (tag !== "") tags[tag] = (tags[tag] ?? 0) + 1
    return {
      sessions: { alive, opened: sessions.opened() },
      statements: statements.counts(),
      requests: Object.fromEntries(requests),
      connections: connections(),
      tags,
      latest: remembered.slice(-MOST_SHOWN).map((statement) => ({
        queryId: statement.queryId,
        session: statement.session.id,
        sql: statement.sql,
        tag: statement.tag,
        user: statement.session.user,
        role: statement.role,
        secondaryRoles: statement.secondaryRoles,
        status: statement.status,
        errorCode: statement.result?._tag === "Failure" ? statement.result.code : null,
        startedAt: statement.startedAt,
        endedAt: statement.endedAt ?? null
      }))
    }
  })

export const reset = (services: Services): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* services.gate.install(FaultScript.none)
    yield* services.statements.forget
    for (const session of services.sessions.all()) services.sessions.close(session)
    services.requests.clear()
  })

const parsed = (text: string): Either.Either<unknown, string> =>
  Either.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) => (cause instanceof Error ? cause.message : "not JSON")
  })

/**
 * A fault script from text, or what is wrong with it in a line or two.
 */
export const scriptFrom = (text: string): Either.Either<FaultScript.FaultScript, string> =>
  Either.flatMap(parsed(text), FaultScript.decode)

export const answer = (services: Services, path: string, request: Request): Effect.Effect<Reply> => {
  const shown = Effect.map(state(services), (state) => Http.json(state))
  const faults = Effect.map(services.gate.status, (status) => Http.json(status))
  switch (`${request.method} ${path}`) {
    case "GET state":
      return shown
    case "GET faults":
      return faults
    case "PUT faults": {
      const script = scriptFrom(request.body)
      return Either.isLeft(script)
        ? Effect.succeed(Http.json({ error: script.left }, 400))
        : Effect.zipRight(services.gate.install(script.right), faults)
    }
    case "POST expire":
      return Effect.suspend(() => {
        for (const session of services.sessions.all()) services.sessions.expire(session)
        return shown
      })
    case "POST reset":
      return Effect.zipRight(reset(services), shown)
    default:
      return Effect.succeed(Http.json({ error: `No such endpoint: ${request.method} ${path}` }, 404))
  }
}
