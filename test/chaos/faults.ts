/** Everything that goes wrong between the server and Snowflake, as a deck to be shuffled. */
import type { Fault } from "../../src/emulator/FaultScript.js"
import type { Stream } from "../simulation/Random.js"

/** What goes wrong at a time. */
export interface Card {
  readonly name: string
  readonly faults: ReadonlyArray<Fault>
  /** Sessions that the server cannot say goodbye to, because it never heard of them, or nobody listens. */
  readonly orphans?: "struck" | "sessions" | undefined
}

const card = (name: string, ...faults: ReadonlyArray<Fault>): Card => ({ name, faults })
const orphaning = (orphans: NonNullable<Card["orphans"]>, name: string, ...faults: ReadonlyArray<Fault>) => ({
  ...card(name, ...faults),
  orphans
})

const half = { probability: 0.5 } as const

export const deck: ReadonlyArray<Card> = [
  orphaning("sessions", "refused", { kind: "refused" }),
  card("latency", { kind: "latency", where: "any", delay: { minMs: 50, maxMs: 800 }, probability: 0.7 }),
  card("late", { kind: "latency", where: "query", delay: { minMs: 2_200, maxMs: 3_500 }, ...half }),
  card("500", { kind: "status", where: "query", status: 500, ...half }),
  card("502 html", { kind: "status", where: "query", status: 502, html: true, ...half }),
  card("503", { kind: "status", where: "query", status: 503, ...half }),
  card("503 login", { kind: "status", where: "login", status: 503, ...half }),
  card("504 chunk", { kind: "status", where: "chunk", status: 504, ...half }),
  card("429", { kind: "status", where: "query", status: 429, retryAfterSeconds: 1, ...half }),
  card("403 chunk", { kind: "status", where: "chunk", status: 403 }),
  card("reset", { kind: "reset", where: "query", ...half }),
  card("reset login", { kind: "reset", where: "login" }),
  card("reset chunk", { kind: "reset", where: "chunk", ...half }),
  card("reset abort", { kind: "reset", where: "abort", ...half }),
  card("lost answer", { kind: "lostAnswer", where: "query", ...half }),
  orphaning("struck", "lost login", { kind: "lostAnswer", where: "login", count: 2 }),
  card("half body", { kind: "midBodyReset", where: "query", ...half }),
  card("half chunk", { kind: "midBodyReset", where: "chunk" }),
  card("hang", { kind: "hang", where: "query", probability: 0.3 }),
  card("hang login", { kind: "hang", where: "login", count: 1 }),
  card("hang chunk", { kind: "hang", where: "chunk", ...half }),
  card("html", { kind: "html", where: "query", ...half }),
  card("html login", { kind: "html", where: "login", ...half }),
  card("html chunk", { kind: "html", where: "chunk" }),
  card("malformed", { kind: "malformedJson", where: "query", ...half }),
  orphaning("struck", "malformed login", { kind: "malformedJson", where: "login", count: 2 }),
  card("malformed chunk", { kind: "malformedJson", where: "chunk" }),
  card("slow body", { kind: "slowBody", where: "any", overMs: 400 }),
  card("corrupt gzip", { kind: "corruptGzip" }),
  card("expired", { kind: "expiredSession", where: "query", count: 6 }),
  orphaning(
    "sessions",
    "expired for good",
    { kind: "expiredSession", where: "query", count: 2 },
    { kind: "status", where: "renew", status: 503, count: 2 }
  ),
  card("bad password", { kind: "badPassword", count: 1 }),
  card("suspended", { kind: "suspendedWarehouse" }),
  card("resource monitor", { kind: "resourceMonitor", ...half }),
  card("queue timeout", { kind: "queueTimeout", ...half })
]

/** The same order for the same seed. */
export const shuffled = (dice: Stream): Array<Card> => {
  const cards = [...deck]
  for (let i = cards.length - 1; i > 0; i--) {
    const j = dice.integer(0, i)
    ;[cards[i], cards[j]] = [cards[j]!, cards[i]!]
  }
  return cards
}
