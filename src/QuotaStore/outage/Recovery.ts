/**
 * Brings a quota store that was lost up to date: probes until it answers, then tells it what waits in the
 * outbox and what was admitted meanwhile, and only then is it asked again.
 *
 * Invariants: a message leaves the outbox when the store has acknowledged it, and not before; what the store
 * has lost is looked for before it is told anything that would hide it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Share } from "../../core/QuotaShareModel.js"
import * as QuotaShareSync from "../../core/QuotaShareSync.js"
import type { QuotaName, QuotaStore, QuotaStoreError } from "../../QuotaStore.js"
import type { Charge, Outbox, Word } from "./Outbox.js"
import * as Messages from "./Outbox.js"
import type { Watch } from "./Watch.js"

export interface Recovery {
  /** The store is lost. */
  readonly wake: Effect.Effect<void>
  /** Recovers whenever it is, for ever. */
  readonly run: Effect.Effect<never>
}

/** Calls go on meanwhile, so there may always be something new to tell; what is left then is told at once. */
const PASSES = 4
const AT_ONCE = 16

export const make = (options: {
  readonly store: Pick<Context.Tag.Service<QuotaStore>, "settle" | "release" | "submitted" | "usage">
  readonly share: Share<QuotaName>
  readonly outbox: Outbox
  readonly probe: { readonly firstMs: number; readonly maxMs: number; readonly id: string }
  /** Made after this, for it wakes it. */
  readonly watch: () => Watch
}): Effect.Effect<Recovery> =>
  Effect.map(Effect.makeLatch(false), (lost) => {
    const { outbox, share, store } = options
    let probes = 0

    /** Something that has to be written: a disk that is full can still be read. */
    const probe = Effect.suspend(() => {
      probes += 1
      return store.settle(options.probe.id + probes, [
        { key: "probe", quota: "requests_per_hour", amount: 0 }
      ])
    })

    const tell = (word: Word): Effect.Effect<void, QuotaStoreError> => {
      switch (word._tag) {
        case "submitted":
          return store.submitted(word.id)
        case "release":
          return store.release(word.id)
        case "settle":
          return store.settle(word.id, word.actual)
      }
    }
    const tellWords = Effect.suspend(() =>
      Effect.forEach(
        [...outbox.words.values()],
        (word) =>
          Effect.map(tell(word), () => {
            // A later word may have come meanwhile.
            if (outbox.words.get(word.id) === word) outbox.words.delete(word.id)
          }),
        { concurrency: AT_ONCE, discard: true }
      )
    )

    const charge = ({ actual, from, id, key }: Charge) =>
      Effect.gen(function* () {
        const before = yield* Clock.currentTimeMillis
        const live = actual.filter(({ until }) => before < until)
        if (live.length > 0) {
          yield* store.settle(
            id,
            live.map(({ amount, key, quota }) => ({ amount, key, quota }))
          )
          const usage = yield* store.usage(key)
          const now = yield* Clock.currentTimeMillis
          QuotaShareSync.delivered(share, now, key, live, from === "share", usage)
        }
        outbox.charges.delete(id)
      })
    const tellCharges = Effect.suspend(() =>
      Effect.forEach([...outbox.charges.values()], charge, { concurrency: AT_ONCE, discard: true })
    )

    /** What the store has said before, and does not say any more. */
    const findLosses = Effect.gen(function* () {
      const known = new Set(
        [...outbox.charges.values()].flatMap(({ from, key }) => (from === "loss" ? [key] : []))
      )
      const keys = QuotaShareSync.ownKeys(share, yield* Clock.currentTimeMillis)
      yield* Effect.forEach(
        keys.filter((key) => !known.has(key)),
        (key) =>
          Effect.gen(function* () {
            const usage = yield* store.usage(key)
            const lost = QuotaShareSync.missing(share, yield* Clock.currentTimeMillis, key, usage)
            if (lost.length === 0) return
            Messages.owe(outbox, Messages.chargesOf(outbox, "loss", lost))
            yield* Effect.logWarning("the quota store has lost what was used; it is charged again").pipe(
              Effect.annotateLogs({
                key,
                lost: lost.map(({ amount, quota }) => `${quota} ${amount}`).join(", ")
              })
            )
          }),
        { concurrency: AT_ONCE, discard: true }
      )
    })

    const harvest = (leave: boolean) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const owed = QuotaShareSync.harvest(share, now, leave)
        Messages.owe(
          outbox,
          Messages.chargesOf(
            outbox,
            "share",
            owed.flatMap(({ actual }) => actual)
          )
        )
      })

    const attempt = Effect.gen(function* () {
      yield* probe
      yield* options.watch().recovering
      yield* tellWords
      yield* findLosses
      for (let pass = 0; pass < PASSES; pass++) {
        yield* harvest(false)
        if (Messages.isEmpty(outbox)) break
        yield* tellWords
        yield* tellCharges
      }
    })

    const recover = Effect.gen(function* () {
      let delayMs = options.probe.firstMs
      for (;;) {
        options.watch().nextProbeAt = (yield* Clock.currentTimeMillis) + delayMs
        yield* Effect.sleep(delayMs)
        const done = yield* Effect.match(attempt, { onSuccess: () => undefined, onFailure: (error) => error })
        if (done === undefined) break
        yield* options.watch().failed(done)
        delayMs = Math.min(delayMs * 2, options.probe.maxMs)
      }
      yield* options.watch().recovered
      yield* harvest(true)
      // What came while the last messages were on their way.
      yield* Effect.catchAll(Effect.zipRight(tellWords, tellCharges), (error) =>
        options.watch().failed(error)
      )
    })

    return {
      wake: lost.open,
      run: Effect.forever(Effect.zipRight(Effect.zipRight(lost.await, lost.close), recover))
    }
  })
