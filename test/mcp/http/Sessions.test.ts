import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Ref, TestClock } from "effect"
import * as FairTurns from "../../../src/platform/fairTurns.js"
import { McpServer } from "../../../src/mcp/McpServer.js"
import * as Principal from "../../../src/platform/Principal.js"
import type { Identity } from "../../../src/mcp/auth/Auth.js"
import * as Sessions from "../../../src/mcp/http/Sessions.js"

const identity = (client: string): Identity => ({
  principal: Principal.make(client),
  owner: client,
  admin: false
})

const alice = identity("alice")
const accepted = () => Effect.succeed(new Response(null, { status: 200 }))

/** A server that counts its connections, and says nothing on them. */
const counting = Effect.map(Ref.make({ opened: 0, closed: 0 }), (counts) => ({
  counts: Ref.get(counts),
  layer: Layer.succeed(McpServer, {
    connect: () =>
      Effect.acquireRelease(
        Effect.as(
          Ref.update(counts, (now) => ({ ...now, opened: now.opened + 1 })),
          { abandon: Effect.void }
        ),
        () => Ref.update(counts, (now) => ({ ...now, closed: now.closed + 1 }))
      )
  })
}))

/** Without waits. */
const turns = FairTurns.make({ now: () => 0, soon: queueMicrotask, later: queueMicrotask })

const bounds = { maxSessions: 10, maxPerOwner: 3, idleMs: 60_000, turns }

const opened = (sessions: Sessions.Sessions, by = alice) =>
  Effect.gen(function* () {
    let id = ""
    yield* sessions.open(by, (transport) => {
      id = transport.sessionId ?? ""
      return accepted()
    })
    return id
  })

describe("sessions", () => {
  it.scoped("are forgotten when they were not used for so long, and their servers closed", () =>
    Effect.gen(function* () {
      const { counts, layer } = yield* counting
      const sessions = yield* Effect.provide(Sessions.make(bounds), layer)
      const unused = yield* opened(sessions)
      const used = yield* opened(sessions)
      yield* TestClock.adjust("50 seconds")
      assert.isDefined(sessions.find(used, alice))
      yield* TestClock.adjust("20 seconds")
      assert.isUndefined(sessions.find(unused, alice))
      assert.isDefined(sessions.find(used, alice))
      assert.deepStrictEqual(yield* counts, { opened: 2, closed: 1 })
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* counts, { opened: 2, closed: 2 })
      assert.strictEqual(yield* sessions.size, 0)
    })
  )

  it.scoped("that were never accepted leave nothing, nor do those that find no room", () =>
    Effect.gen(function* () {
      const { counts, layer } = yield* counting
      const sessions = yield* Effect.provide(Sessions.make({ ...bounds, maxPerOwner: 1 }), layer)
      yield* sessions.open(alice, () => Effect.succeed(new Response(null, { status: 406 })))
      yield* Effect.flip(sessions.open(alice, () => Effect.fail("refused")))
      assert.deepStrictEqual(yield* counts, { opened: 2, closed: 2 })
      const inside = yield* sessions.open(alice, () =>
        // While the first is being opened it is busy: there is no room for a second.
        Effect.flatMap(Effect.either(sessions.open(alice, accepted)), (second) => {
          assert.isTrue(Either.isLeft(second))
          return accepted()
        })
      )
      assert.isTrue(inside.ok)
      assert.deepStrictEqual(yield* counts, { opened: 4, closed: 3 })
      assert.strictEqual(yield* sessions.size, 1)
    })
  )

  it.effect("all end with the scope", () =>
    Effect.gen(function* () {
      const { counts, layer } = yield* counting
      yield* Effect.scoped(
        Effect.gen(function* () {
          const sessions = yield* Effect.provide(Sessions.make(bounds), layer)
          for (const client of ["a", "b", "c"]) yield* opened(sessions, identity(client))
        })
      )
      assert.deepStrictEqual(yield* counts, { opened: 3, closed: 3 })
    })
  )
})
