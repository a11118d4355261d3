/**
 * The log of what clients do that costs others, and of credentials that were refused: the first time at once,
 * and what is like it together every ten seconds, however often it happens.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Repeats from "../../platform/core/Repeats.js"
import type { RefusedLogin } from "./Edge.js"

/** What is the same for all that are told together. */
export interface Happening {
  readonly message: string
  readonly client: string | undefined
}

export interface EdgeLog {
  readonly told: (happening: Happening) => Effect.Effect<void>
  /** A credential was refused, or a request came without one. */
  readonly refused: (login: RefusedLogin) => Effect.Effect<void>
}

const PERIOD = "10 seconds"

/** Kinds of happenings that are kept apart. */
const MAX_KINDS = 1_000

/** Addresses and reasons that are kept apart: whoever has many addresses must not fill the log. */
const MAX_LOGINS = 100

/** Told once, then counted; `line` says how often, and `undefined` stands for what there was no room to keep apart. */
const counted = <A>(maxKinds: number, line: (about: A | undefined, times: number) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const repeats = Repeats.make<A>(maxKinds)
    const tell = Effect.suspend(() => {
      const { others, repeated } = Repeats.take(repeats)
      const lines = repeated.map(({ about, times }) => line(about, times))
      if (others > 0) lines.push(line(undefined, others))
      return Effect.all(lines, { discard: true })
    })
    yield* Effect.forkScoped(Effect.schedule(tell, Schedule.spaced(PERIOD)))
    // Nothing that was counted stays untold.
    yield* Effect.addFinalizer(() => tell)
    return (about: A): Effect.Effect<void> =>
      Effect.suspend(() =>
        Repeats.isFirst(repeats, JSON.stringify(about), about) ? line(about, 1) : Effect.void
      )
  })

export const make: Effect.Effect<EdgeLog, never, Scope.Scope> = Effect.gen(function* () {
  const told = yield* counted<Happening>(MAX_KINDS, (happening, times) =>
    Effect.annotateLogs(Effect.logWarning(happening?.message ?? "more of the kind"), {
      client: happening?.client,
      times
    })
  )
  const refused = yield* counted<RefusedLogin>(MAX_LOGINS, (login, times) =>
    login === undefined
      ? Effect.annotateLogs(Effect.logWarning("credentials refused from more addresses"), { times })
      : Effect.annotateLogs(
          // Clients that follow the protocol ask once without, to be told where a token comes from.
          login.reason === "missing"
            ? Effect.logInfo("a request came without credentials")
            : Effect.logWarning("credentials refused"),
          { ...login, times }
        )
  )
  return {
    told: ({ client, message }) => told({ message, client }),
    refused: ({ address, reason }) => refused({ address, reason })
  }
})
