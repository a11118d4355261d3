/**
 * The sessions of the shared server: one MCP server for each, in a scope of its own. Opened by
 * `initialize`, ended by `DELETE`, by being idle for too long, by making room for a younger one, or with
 * the scope of this registry, which first lets the calls in flight answer.
 *
 * A session carries no rights: it is found only by the caller it was opened by, who proves who he is with
 * every request.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import * as Table from "../../core/SessionTable.js"
import type { FairTurns } from "../../internal/fairTurns.js"
import { unsafeMonotonicMillis } from "../../internal/monotonic.js"
import { withoutStack } from "../../internal/withoutStack.js"
import type { Connection } from "../../McpServer.js"
import { McpServer } from "../../McpServer.js"
import type { Identity } from "../Auth.js"
import * as Observed from "../Observed.js"
import * as Metrics from "./Metrics.js"
import { SessionTransport } from "./SessionTransport.js"

/**
 * There is no room for another session, and nothing idle that could make room.
 *
 * @since 0.1.0
 * @category errors
 */
export class SessionsFull extends Schema.TaggedError<SessionsFull>("snowguard/SessionsFull")("SessionsFull", {
  bound: Schema.Literal("owner", "total"),
  limit: Schema.Number
}) {}

/** What the registry keeps of a session. */
export interface Handle {
  readonly transport: SessionTransport
  readonly connection: Connection
  readonly scope: Scope.CloseableScope
}

export interface Sessions {
  /** A new session of the caller's; it is kept if its first request is accepted. */
  readonly open: <A extends { readonly ok: boolean }, E>(
    identity: Identity,
    first: (transport: SessionTransport) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SessionsFull>
  /** Undefined for a session that does not exist, which somebody else's does not. */
  readonly find: (id: string, identity: Identity) => SessionTransport | undefined
  /** Ends a session and whatever runs in it. */
  readonly close: (id: string, identity: Identity) => Effect.Effect<boolean>
  readonly size: Effect.Effect<number>
}

const SWEEPS_PER_IDLE_TIME = 10

export interface Options extends Table.Bounds {
  readonly turns: FairTurns
}

export const make = ({
  turns,
  ...bounds
}: Options): Effect.Effect<Sessions, never, McpServer | Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* McpServer
    const clock = yield* Effect.clock
    const table = Table.make<Handle>(bounds)
    const now = () => unsafeMonotonicMillis(clock)

    const closeAll = (sessions: Iterable<Table.Session<Handle>>) =>
      Effect.forEach(sessions, ({ value }) => Scope.close(value.scope, Exit.void), {
        concurrency: "unbounded",
        discard: true
      })
    // What is closed beside the requests is closed by the registry's own fibers, not by the requests'.
    const background = yield* Scope.Scope
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        const sessions = [...table.all.values()]
        for (const { id } of sessions) Table.remove(table, id)
        Metrics.session("closed", sessions.length)
        Metrics.sessions(0)
        return closeAll(sessions)
      })
    )
    yield* Effect.sync(() => {
      const expired = Table.sweep(table, now())
      Metrics.session("expired", expired.length)
      Metrics.sessions(Table.size(table))
      return expired
    }).pipe(
      Effect.tap((expired) =>
        expired.length === 0
          ? Effect.void
          : Effect.zipRight(
              closeAll(expired),
              Effect.logDebug("idle sessions ended").pipe(Effect.annotateLogs({ sessions: expired.length }))
            )
      ),
      Effect.repeat(
        Schedule.spaced(Math.min(60_000, Math.max(1, Math.ceil(bounds.idleMs / SWEEPS_PER_IDLE_TIME))))
      ),
      Effect.forkScoped
    )

    const touch = (session: Table.Session<Handle> | undefined) => {
      if (session === undefined) return
      Table.begin(table, now(), session)
      Table.end(table, now(), session.id)
    }

    const take = (id: string) => {
      const session = Table.remove(table, id)
      Metrics.sessions(Table.size(table))
      return session === undefined ? [] : [session]
    }

    const register = (identity: Identity) =>
      Effect.gen(function* () {
        const id = randomUUID()
        const transport: SessionTransport = new SessionTransport({
          sessionId: id,
          onStarted: () => {
            const session = Table.find(table, id, identity.owner)
            if (session !== undefined) Table.begin(table, now(), session)
          },
          onSettled: () => Table.end(table, now(), id),
          turn: (work) => turns.run(identity.principal.client, work)
        })
        const scope = yield* Scope.make()
        const connection = yield* Observed.make(transport, { via: "tcp", tools: server.tools }).pipe(
          Effect.flatMap((observed) => server.connect(observed, identity.principal)),
          Scope.extend(scope)
        )
        const opening = Table.open(table, now(), {
          id,
          owner: identity.owner,
          value: { transport, connection, scope }
        })
        if (opening._tag === "Full") {
          yield* Scope.close(scope, Exit.void)
          const limit = opening.bound === "owner" ? bounds.maxPerOwner : bounds.maxSessions
          return yield* withoutStack(() => new SessionsFull({ bound: opening.bound, limit }))
        }
        Metrics.sessions(Table.size(table))
        if (opening.evicted !== undefined) {
          Metrics.session("evicted")
          yield* Effect.forkIn(closeAll([opening.evicted]), background)
        }
        return transport
      })

    return {
      open: (identity, first) =>
        Effect.acquireUseRelease(register(identity), first, ({ sessionId }, exit) =>
          Exit.isSuccess(exit) && exit.value.ok
            ? Effect.sync(() => {
                Metrics.session("opened")
                Table.end(table, now(), sessionId)
              })
            : Effect.suspend(() => closeAll(take(sessionId)))
        ),
      find: (id, identity) => {
        const session = Table.find(table, id, identity.owner)
        touch(session)
        return session?.value.transport
      },
      close: (id, identity) =>
        Effect.suspend(() => {
          const session = Table.find(table, id, identity.owner)
          if (session === undefined) return Effect.succeed(false)
          take(id)
          Metrics.session("closed")
          return session.value.connection.abandon.pipe(
            Effect.zipRight(Scope.close(session.value.scope, Exit.void)),
            Effect.uninterruptible,
            Effect.as(true)
          )
        }),
      size: Effect.sync(() => Table.size(table))
    }
  })
