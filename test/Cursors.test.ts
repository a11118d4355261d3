import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as Cursors from "../src/Cursors.js"
import * as Fakes from "./utils/fakeGuards.js"

const refused = { _tag: "ToolError", code: "RESULT_NOT_AVAILABLE", retryable: false }
const words = (effect: Effect.Effect<unknown, { readonly message: string }>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

describe("a cursor", () => {
  it.effect("leads its own client to the row it names", () =>
    Effect.gen(function* () {
      const cursors = yield* Cursors.make()
      const cursor = yield* cursors.issue("q-1", 100).pipe(Fakes.as("ann"))
      expect(yield* cursors.open("q-1", cursor).pipe(Fakes.as("ann"))).toBe(100)
    })
  )

  it.effect("is refused in the same words when it is foreign, forged, of another result or expired", () =>
    Effect.gen(function* () {
      const cursors = yield* Cursors.make({ lifeMs: 1000 })
      const cursor = yield* cursors.issue("q-1", 100).pipe(Fakes.as("ann"))
      const [payload = "", mac = ""] = cursor.split(".")
      const forged = Buffer.from(JSON.stringify(["q-1", 0, 9e15])).toString("base64url")
      const open = (id: string, text: string, client = "ann", tier = "default") =>
        words(cursors.open(id, text).pipe(Fakes.as(client, tier)))
      const told = [
        yield* open("q-1", cursor, "ben"),
        yield* open("q-1", cursor, "ann", "gold"),
        yield* open("q-2", cursor),
        yield* open("q-1", `${forged}.${mac}`),
        yield* open("q-1", `${payload}.${mac.slice(1)}`),
        yield* open("q-1", `${payload}.`),
        yield* open("q-1", payload),
        yield* open("q-1", `${cursor}.x`),
        yield* open("q-1", ""),
        yield* open("q-1", "\0é"),
        yield* words(cursors.open("q-1", undefined).pipe(Fakes.as("ann")))
      ]
      yield* TestClock.adjust(999)
      expect(yield* cursors.open("q-1", cursor).pipe(Fakes.as("ann"))).toBe(100)
      yield* TestClock.adjust(1)
      told.push(yield* open("q-1", cursor))
      expect(new Set(told).size).toBe(1)
      expect(told[0]).not.toContain("q-1")
    })
  )

  it.effect("is read by a server with the same key only", () =>
    Effect.gen(function* () {
      const key = new Uint8Array(32).fill(7)
      const cursor = yield* (yield* Cursors.make({ key })).issue("q", 5)
      expect(yield* (yield* Cursors.make({ key })).open("q", cursor)).toBe(5)
      expect(yield* Effect.flip((yield* Cursors.make()).open("q", cursor))).toMatchObject(refused)
    })
  )
})

describe("a query id", () => {
  it.effect("opens the result from its first row for the client that made it, for a while", () =>
    Effect.gen(function* () {
      const cursors = yield* Cursors.make({ lifeMs: 1000 })
      yield* cursors.remember("q").pipe(Fakes.as("ann"))
      expect(yield* cursors.open("q", undefined).pipe(Fakes.as("ann"))).toBe(0)
      expect(yield* Effect.flip(cursors.open("q", undefined).pipe(Fakes.as("ben")))).toMatchObject(refused)
      yield* TestClock.adjust(1000)
      expect(yield* Effect.flip(cursors.open("q", undefined).pipe(Fakes.as("ann")))).toMatchObject(refused)
    })
  )

  it.effect("is forgotten when there are too many", () =>
    Effect.gen(function* () {
      const cursors = yield* Cursors.make({ maxEntries: 2 })
      for (const id of ["a", "b", "c"]) yield* cursors.remember(id)
      expect(yield* Effect.flip(cursors.open("a", undefined))).toMatchObject(refused)
      expect(yield* cursors.open("c", undefined)).toBe(0)
    })
  )
})
