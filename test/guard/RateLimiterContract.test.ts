import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as RateLimiter from "snowguard/RateLimiter"
import * as RateLimiterContract from "snowguard/testing/RateLimiterContract"
import { someOrAll } from "../utils/long.js"

type Limiter = RateLimiter.RateLimiter["Type"]
type Make = (limits: RateLimiter.Options) => Layer.Layer<RateLimiter.RateLimiter, unknown>

/** The cases that a limiter does not keep, and what they tell. */
const broken = async (make: Make): Promise<ReadonlyArray<readonly [name: string, message: string]>> => {
  const found: Array<readonly [string, string]> = []
  for (const { name, run } of RateLimiterContract.cases(make, { numRuns: 20 })) {
    const message = await Effect.runPromise(run).then(() => undefined, String)
    if (message !== undefined) found.push([name, message])
  }
  return found
}

/** Buckets in memory of which one operation is wrong. */
const wrong =
  (change: (limiter: Limiter) => Partial<Limiter>): Make =>
  (limits) =>
    Layer.effect(
      RateLimiter.RateLimiter,
      Effect.map(RateLimiter.make(limits), (limiter) => ({ ...limiter, ...change(limiter) }))
    )

/** What every operation that asks for tokens does with the answer. */
const asking = (
  { acquire, reserve }: Limiter,
  change: <A>(asked: Effect.Effect<A, RateLimiter.RateLimited>) => Effect.Effect<A, RateLimiter.RateLimited>
): Partial<Limiter> => ({
  acquire: (request) => change(acquire(request)),
  reserve: (request, maxWaitMs) => change(reserve(request, maxWaitMs))
})

const told = (change: (refusal: RateLimiter.RateLimited) => Partial<RateLimiter.RateLimited>): Make =>
  wrong((limiter) =>
    asking(limiter, (asked) =>
      Effect.mapError(asked, (refusal) => new RateLimiter.RateLimited({ ...refusal, ...change(refusal) }))
    )
  )

/** Each fault with a case that names it. */
const faults: ReadonlyArray<readonly [name: string, make: Make, caught: string]> = [
  [
    "that decides after a look, not in one step",
    wrong(({ acquire, reserve, status }) => ({
      acquire: (request) =>
        Effect.gen(function* () {
          const isEmpty = (yield* status(request.client, request.tier)).some(({ remaining }) => remaining < 1)
          yield* Effect.yieldNow()
          if (isEmpty) return yield* acquire(request)
          return yield* Effect.catchAll(acquire(request), () => reserve(request, Infinity))
        })
    })),
    "admits exactly the burst of calls that come at the same time"
  ],
  [
    "that has one bucket for all clients",
    wrong(({ acquire }) => ({ acquire: (request) => acquire({ ...request, client: "all" }) })),
    "gives every client a bucket of its own, full at first, or with its initial tokens"
  ],
  [
    "that charges the client for what a shared bucket refuses",
    wrong(({ acquire, reserve }) => ({
      acquire: (request) =>
        Effect.tapError(acquire(request), ({ scope }) =>
          scope === "class"
            ? Effect.ignore(reserve({ ...request, class: "metadata" }, Infinity))
            : Effect.void
        )
    })),
    "charges no bucket for a refusal: not the client's for one of a shared bucket, nor the other way round"
  ],
  [
    "that tells a client to come back a millisecond too early",
    told(({ retryAfterMs }) => ({ retryAfterMs: retryAfterMs - 1 })),
    "admits a refused call after the time that it was told, not one millisecond earlier"
  ],
  [
    "that gives nothing back",
    wrong(() => ({ refund: () => Effect.succeed(undefined) })),
    "gives tokens back to every bucket that was charged, once for each admission"
  ],
  [
    "that knows no tools",
    wrong(({ acquire }) => ({ acquire: ({ tool: _, ...request }) => acquire(request) })),
    "limits a tool by a bucket of its own, and takes its weight from the client's"
  ],
  [
    "that charges what is only looked at",
    wrong(({ acquire, status }) => ({
      status: (client, tier) =>
        Effect.tap(status(client, tier), () => Effect.ignore(acquire({ client, tier, class: "query" })))
    })),
    "shows a client's own bucket first, and charges nothing for the look"
  ],
  [
    "that begins the work before it is admitted",
    wrong(({ acquire }) => ({
      limit: (request, effect) => Effect.zipLeft(effect, acquire(request))
    })),
    "runs an effect that is admitted, keeps its token when it fails, and does not begin one that is refused"
  ],
  [
    "that keeps the tokens of a wait that was interrupted",
    wrong(({ reserve }) => ({
      acquireWithin: (request, maxWaitMs) =>
        Effect.tap(reserve(request, maxWaitMs), ({ waitMs }) => Effect.sleep(waitMs))
    })),
    "gives the tokens back when the wait for them is interrupted"
  ],
  [
    "that takes any cost for one token",
    wrong(({ acquire, reserve }) => ({
      acquire: (request) => acquire({ ...request, cost: 1 }),
      reserve: (request, maxWaitMs) => reserve({ ...request, cost: 1 }, maxWaitMs)
    })),
    "decides as the model over any sequence of calls"
  ],
  [
    "that shows a token too many of a bucket of all clients that is not full",
    wrong(({ status }) => ({
      status: (client, tier) =>
        Effect.map(status(client, tier), (all) =>
          all.map((each) =>
            each.scope === "class" && each.remaining < each.burst
              ? { ...each, remaining: each.remaining + 1 }
              : each
          )
        )
    })),
    "decides as the model over any sequence of calls"
  ]
]

describe("the contract of rate limiters, for limiters written elsewhere", () => {
  it("finds nothing in buckets in memory", async () => {
    assert.deepStrictEqual(await broken(RateLimiter.layer), [])
  })

  it.each(someOrAll(faults, 3))(
    "finds a limiter %s, and tells which operations led there",
    async (_, make, caught) => {
      const found = new Map(await broken(make))
      assert.include([...found.keys()], caught)
      assert.match(
        found.get(caught) ?? "",
        /AssertionError.*\n[^]*operations, the last one last:\n {2}\d+\. \+\d+ ms \w+\(/
      )
    }
  )

  it("finds a limiter that limits nothing in every case of a refusal", async () => {
    const found = await broken(() => RateLimiter.layerNoop)
    const all = RateLimiterContract.cases(RateLimiter.layer)
    // Without buckets an effect that is admitted runs all the same; everything else is about buckets.
    assert.isAtLeast(found.length, all.length - 1)
  })

  it("leaves out the cases in which time passes for a limiter with a clock of its own", () => {
    const all = RateLimiterContract.cases(RateLimiter.layer)
    const still = RateLimiterContract.cases(RateLimiter.layer, { time: "elsewhere" })
    assert.isBelow(still.length, all.length)
  })
})
