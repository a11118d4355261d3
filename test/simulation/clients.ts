/**
 * Clients of several temperaments. A client wants things; for each it calls, and what it does when a call
 * fails is what tells the temperaments apart.
 */
import { Cause, Exit, Option, Predicate } from "effect"
import { RateLimited } from "../../src/guard/RateLimiter.js"
import type { Asked } from "./calls.js"
import { Call } from "./calls.js"
import type { Court } from "./invariants/Court.js"
import type { Tokens } from "./invariants/Tokens.js"
import type { Stream } from "./Random.js"
import type { Answer } from "./server.js"
import type { Statistics } from "./statistics.js"
import type { VirtualClock } from "./VirtualClock.js"

export interface Temperament {
  readonly name: string
  /** Asks for no more than is reasonable, and does as it is told: the ones that must not suffer. */
  readonly wellBehaved: boolean
  readonly tier: string
  readonly arrivals:
    /** One after the other, without memory. */
    | { readonly _tag: "steady"; readonly everyMs: number }
    /** So many at once, then nothing for long. */
    | { readonly _tag: "bursts"; readonly everyMs: number; readonly size: number; readonly withinMs: number }
    /** So many at any time: the next one as soon as one is over. */
    | { readonly _tag: "loops"; readonly parallel: number; readonly pauseMs: number }
  readonly afterFailure:
    | { readonly _tag: "gives up" }
    /**
     * Comes back after exactly the time it was told, or so many milliseconds early; after `untoldMs`
     * when it was told nothing, or not at all.
     */
    | {
        readonly _tag: "waits"
        readonly times: number
        readonly earlyMs: number
        readonly untoldMs?: number | undefined
      }
    /** Comes back at once. */
    | { readonly _tag: "storms"; readonly times: number; readonly pauseMs: number }
  /** Part of the calls that it cancels, and after how long; some in the instant of another event, turns later. */
  readonly cancels?: { readonly part: number; readonly afterMs: number; readonly turns: number } | undefined
  /** Active only for so long, so often; each client when it likes, or all `together`. */
  readonly episodes?:
    { readonly everyMs: number; readonly lastMs: number; readonly together?: boolean } | undefined
  /** Part of what it wants that is metadata, and part of its statements that is wrong. */
  readonly metadata: number
  readonly mistakes: number
  readonly deadlineMs: number
  readonly timeoutMs: number
  /** Different things it may ask for. */
  readonly questions: number
}

export interface ClientOptions {
  readonly name: string
  readonly temperament: Temperament
}

/** What the client needs of the world. */
export interface World {
  readonly time: VirtualClock
  readonly court: Court
  readonly tokens: Tokens | undefined
  readonly statistics: Statistics
  /** Starts a call; the result interrupts it. */
  readonly call: (call: Call, done: (exit: Exit.Exit<Answer, unknown>) => void) => () => void
  /** Runs the task when the next statement ends, of any client. */
  readonly whenStatementEnds: (task: () => void) => void
  readonly nextId: () => number
  readonly working: () => boolean
  /** No client begins anything new at or after this, milliseconds. */
  readonly untilMs: number
}

/** A loop that has nothing to do looks again after this. */
const LOOK_AGAIN_MS = 30_000
/** Longest that a client waits to come back. */
const PATIENCE_MS = 90_000

const retryAfterOf = (error: unknown): number | undefined =>
  Predicate.hasProperty(error, "retryAfterMs") && typeof error.retryAfterMs === "number"
    ? error.retryAfterMs
    : undefined

const codeOf = (exit: Exit.Exit<Answer, unknown>): string => {
  if (Exit.isSuccess(exit)) return exit.value.stale ? "stale" : "ok"
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (error === undefined) return Cause.isInterruptedOnly(exit.cause) ? "cancelled" : "defect"
  if (Predicate.isTagged(error, "WarehouseError") && Predicate.hasProperty(error, "reason"))
    return String(error.reason)
  return Predicate.hasProperty(error, "_tag") ? String(error._tag) : "unknown"
}

/** The client made a mistake, and nothing but another statement helps. */
const ownFault = new Set(["InvalidStatement", "NotFound", "RepeatedFailure"])

interface Wish {
  readonly since: number
  readonly asked: Pick<Asked, "class" | "question" | "mistaken">
  tries: number
}

/** Sets the client going. Everything it ever does follows from its dice and from the answers it gets. */
export const start = (world: World, { name, temperament }: ClientOptions, random: Stream): void => {
  const { court, statistics, time, tokens } = world
  const { arrivals, afterFailure, cancels, episodes } = temperament
  const own = statistics.of(temperament)
  own.clients += 1
  const dice = random.between(0, episodes?.everyMs ?? 0)
  const shift = episodes?.together === true ? 0 : dice

  const active = (): boolean =>
    world.working() && (episodes === undefined || (time.now() + shift) % episodes.everyMs < episodes.lastMs)

  const over = (wish: Wish, useful: boolean, then: () => void): void => {
    own.ended(time.now() - wish.since, useful)
    then()
  }

  const attempt = (wish: Wish, then: () => void, expectation?: (error: unknown) => void): void => {
    const { asked } = wish
    const call = new Call({
      class: asked.class,
      question: asked.question,
      mistaken: asked.mistaken,
      id: world.nextId(),
      client: name,
      tier: temperament.tier,
      wanted: arrivals._tag !== "loops",
      startedAt: time.now(),
      deadlineMs: temperament.deadlineMs,
      timeoutMs: temperament.timeoutMs,
      estimatedBytes: 2_000
    })
    wish.tries += 1
    let running = true
    const interrupt = world.call(call, (exit) => {
      running = false
      const code = codeOf(exit)
      own.answered(name, code, time.now() - call.asked.startedAt)
      const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
      expectation?.(error)
      if (Exit.isSuccess(exit)) return over(wish, true, then)
      // What the client did itself is no failure of the server's.
      if (code === "cancelled" || ownFault.has(code))
        return over(wish, call.asked.mistaken || code === "cancelled", then)
      again(wish, error, then)
    })
    if (cancels !== undefined && running && random.chance(cancels.part)) {
      const cancel = () => {
        if (running) interrupt()
      }
      switch (random.integer(1, 3)) {
        case 1:
          time.afterTurns(random.integer(0, cancels.turns), cancel)
          break
        case 2:
          time.after(Math.round(random.exponential(cancels.afterMs)), cancel)
          break
        // Just when it may be its turn, because another call is done.
        default:
          world.whenStatementEnds(() => time.afterTurns(random.integer(0, 2), cancel))
      }
    }
  }

  const again = (wish: Wish, error: unknown, then: () => void): void => {
    if (afterFailure._tag === "gives up" || wish.tries > afterFailure.times) return over(wish, false, then)
    if (afterFailure._tag === "storms") {
      time.after(afterFailure.pauseMs, () => attempt(wish, then))
      return
    }
    const told = retryAfterOf(error) ?? afterFailure.untoldMs
    if (told === undefined || told > PATIENCE_MS) return over(wish, false, then)
    const moves = tokens?.movesOf(name)
    const ofOwnBucket = error instanceof RateLimited && error.scope === "client"
    const early = Math.min(afterFailure.earlyMs, told - 1)
    time.after(told - Math.max(0, early), () =>
      attempt(wish, then, (next) => {
        // Only what no other call disturbed has been promised.
        if (!ofOwnBucket || early > 0 || tokens?.movesOf(name) !== moves) return
        if (next instanceof RateLimited && next.scope === "client")
          court.report(
            "a client that waits for retryAfter is not refused again",
            `${name} waited ${told} ms in vain`
          )
      })
    )
  }

  const want = (then: () => void): void => {
    const query = !random.chance(temperament.metadata)
    own.wanted += 1
    if (arrivals._tag !== "loops") statistics.wanted()
    attempt(
      {
        since: time.now(),
        tries: 0,
        asked: {
          class: query ? "query" : "metadata",
          question: random.integer(1, temperament.questions),
          mistaken: random.chance(temperament.mistakes)
        }
      },
      then
    )
  }

  /** In whole milliseconds for one client in two, so that many things happen at the same instant. */
  const whole = random.chance(0.5)
  const soon = (ms: number, task: () => void): void => {
    const rounded = whole ? Math.max(1, Math.round(ms)) : ms
    if (time.now() + rounded < world.untilMs) time.after(rounded, task)
  }
  const nothing = (): void => {}

  switch (arrivals._tag) {
    case "steady": {
      const next = (): void =>
        soon(random.exponential(arrivals.everyMs), () => {
          if (active()) want(nothing)
          next()
        })
      return next()
    }
    case "bursts": {
      const next = (): void =>
        soon(random.exponential(arrivals.everyMs), () => {
          if (active())
            for (let i = 0; i < arrivals.size; i++)
              soon(random.between(0, arrivals.withinMs), () => want(nothing))
          next()
        })
      return next()
    }
    case "loops": {
      const loop = (): void => {
        if (time.now() >= world.untilMs) return
        if (active()) want(() => soon(arrivals.pauseMs, loop))
        else soon(LOOK_AGAIN_MS, loop)
      }
      for (let i = 0; i < arrivals.parallel; i++) soon(random.between(1, 1_000), loop)
      return
    }
  }
}
