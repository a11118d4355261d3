// The whole server over stdio, with one part of your own: a QuotaStore that keeps a ledger in a service of
// yours, in front of the store that the settings name. Run it in place of the `snowguard` command.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { appendFile } from "node:fs/promises"
import * as QuotaStore from "snowguard/QuotaStore"
import * as Server from "snowguard/Server"
import * as ServerConfig from "snowguard/ServerConfig"
import * as StderrLogger from "snowguard/StderrLogger"

/** Your database. */
class Ledger extends Context.Tag("example/Ledger")<
  Ledger,
  { readonly write: (entry: object) => Effect.Effect<void> }
>() {}

const LedgerLive = Layer.succeed(Ledger, {
  write: (entry) => Effect.promise(() => appendFile("ledger.jsonl", `${JSON.stringify(entry)}\n`))
})

/** A store of your own from scratch has the same eight operations; `QuotaStore` states their contract. */
const layer = Layer.effect(
  QuotaStore.QuotaStore,
  Effect.gen(function* () {
    const ledger = yield* Ledger
    const store = yield* QuotaStore.QuotaStore
    return QuotaStore.QuotaStore.of({
      ...store,
      reserve: (charges, ttlMs) =>
        Effect.tap(store.reserve(charges, ttlMs), ({ _tag }) => ledger.write({ decision: _tag, charges }))
    })
  })
)

const program = Effect.gen(function* () {
  const { settings } = yield* ServerConfig.load()
  // The store's own health stays visible: hence `provideMerge`. What the store needs (the ledger) is asked of
  // this program; what it may fail with is a failure of the server.
  const quotaStore = Layer.provideMerge(layer, Server.parts(settings).quotaStore)
  yield* Server.stdio(settings, { quotaStore })
})

program.pipe(
  Effect.provide([LedgerLive, StderrLogger.layer()]),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
