import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, TestClock } from "effect"
import { randomBytes } from "node:crypto"
import * as Cursors from "../../src/tools/Cursors.js"
import * as Fakes from "../utils/fakeGuards.js"

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
      const cursor = yield* (yield* Cursors.make({ keys: [key] })).issue("q", 5)
      expect(yield* (yield* Cursors.make({ keys: [key] })).open("q", cursor)).toBe(5)
      expect(yield* Effect.flip((yield* Cursors.make()).open("q", cursor))).toMatchObject(refused)
    })
  )
})

describe("the keys of a fleet", () => {
  const server = (...keys: ReadonlyArray<number>) =>
    Cursors.make({ lifeMs: 1000, keys: keys.map((byte) => new Uint8Array(32).fill(byte)) })

  it.effect("are replaced one server after the other, and no cursor is lost", () =>
    Effect.gen(function* () {
      const [old, between, fresh] = [yield* server(1), yield* server(2, 1), yield* server(2)]
      const ofOld = yield* old.issue("q", 5)
      const ofBetween = yield* between.issue("q", 6)
      expect(yield* between.open("q", ofOld)).toBe(5)
      expect(yield* fresh.open("q", ofBetween)).toBe(6)
      expect(yield* Effect.flip(fresh.open("q", ofOld))).toMatchObject(refused)
      expect(yield* Effect.flip(old.open("q", ofBetween))).toMatchObject(refused)
    })
  )

  it.effect("open a cursor to its own client alone, and no longer than it lives", () =>
    Effect.gen(function* () {
      const cursor = yield* (yield* server(1)).issue("q", 5).pipe(Fakes.as("ann"))
      const other = yield* server(1)
      expect(yield* other.open("q", cursor).pipe(Fakes.as("ann"))).toBe(5)
      expect(yield* Effect.flip(other.open("q", cursor).pipe(Fakes.as("ben")))).toMatchObject(refused)
      expect(yield* Effect.flip(other.open("q", undefined).pipe(Fakes.as("ann")))).toMatchObject(refused)
      yield* TestClock.adjust(1000)
      expect(yield* Effect.flip(other.open("q", cursor).pipe(Fakes.as("ann")))).toMatchObject(refused)
    })
  )

  it("are read from a text as openssl prints them, however they are separated", () => {
    const made = [
      randomBytes(32).toString("base64"),
      randomBytes(32).toString("base64url"),
      randomBytes(32).toString("hex")
    ]
    const read = (text: string) => Either.getOrThrow(Cursors.keysFromText(text))
    expect(read(`${made.join("\n")}\n`)).toEqual(made.flatMap(read))
    expect(read(made.join(", "))).toEqual(made.flatMap(read))
    expect(new Set(made.flatMap(read).map((key) => Buffer.from(key).toString("hex"))).size).toBe(3)
    for (const bytes of made.flatMap(read)) expect(bytes.length).toBeGreaterThanOrEqual(32)
  })

  it("are refused when they are short or easy to guess, and are not shown", () => {
    const problem = (text: string) => Either.getOrThrow(Either.flip(Cursors.keysFromText(text)))
    const good = randomBytes(32).toString("base64")
    expect(problem(" \n")).toContain("no key")
    expect(problem(randomBytes(16).toString("hex"))).toContain("too short")
    expect(problem(`${good} hunter2`)).toContain("too short")
    expect(problem("changeme".repeat(6))).toContain("easy to guess")
    expect(problem(`${good},${"0123456789abcdef".repeat(4)}`)).toContain("easy to guess")
    for (const text of [`${good} hunter2`, "changeme".repeat(6)]) {
      expect(problem(text)).toContain("openssl rand")
      expect(problem(text)).not.toMatch(/hunter2|changeme/)
      expect(problem(text)).not.toContain(good)
    }
  })
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
