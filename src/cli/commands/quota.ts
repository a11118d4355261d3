/**
 * `snowguard quota show | reset | export`: what is counted, on the store that the servers use, while they
 * run.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { escaped } from "../../platform/quoted.js"
import * as Main from "../../server/main.js"
import * as Quota from "../../quota/Quota.js"
import * as QuotaAdmin from "../../quota/QuotaAdmin.js"
import { clientOf, QuotaName } from "../../quota/QuotaStore.js"
import * as ServerConfig from "../../config/ServerConfig.js"
import type { UsageFault } from "../Cli.js"
import { during } from "../LiveLine.js"
import type { Input, Run } from "./Command.js"
import { agreed, isAtTerminal, print, printHanging, textOption, widthFor, write, wrong } from "./Command.js"

/** Names of clients are as they were written to the store: control characters are escaped. */
const shown = (text: string) => print(escaped(text))

/** The parser has looked at it. */
const asQuota = Schema.decodeUnknownOption(QuotaName)

/** The limits of the configuration; those of a tier that only a key names are not known here. */
const limitsOf = (settings: ServerConfig.Settings): QuotaAdmin.LimitOf => {
  const table = Quota.limitTable(ServerConfig.quotaOptions(settings))
  return (key, quota) => {
    const client = clientOf(key)
    return client === undefined
      ? table.global[quota]
      : table.limitOf(quota, client, ServerConfig.tierOf(settings, client))
  }
}

/** What is wrong with the options of `reset`, which forgets nothing by a slip. */
const resetFault = ({ options }: Input): Option.Option<UsageFault> => {
  const [all, client] = [options["all"] === true, textOption(options, "client")]
  return all === (client !== undefined)
    ? Option.some(
        wrong(
          "quota reset",
          all
            ? "expected --client NAME or --all, not both"
            : "expected --client NAME, or --all to forget what every client has used"
        )
      )
    : Option.none()
}

/** Where no server has counted yet, the answer is known, and no store is made for it. */
const withoutStore = (path: string, { action, options }: Input) =>
  Effect.gen(function* () {
    const text = escaped(`no quota store at ${path} yet: nothing has been used`)
    if (action === "export") return yield* write(process.stderr, text)
    if (options["json"] !== true) return yield* printHanging(text, 2)
    yield* write(process.stderr, text)
    yield* print(JSON.stringify({ [action === "reset" ? "reset" : "usage"]: [] }))
  })

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = (input) =>
  Effect.gen(function* () {
    const { action, options, settings } = input
    if (settings.quotaStore.kind === "memory") {
      return yield* wrong(
        "quota",
        'quota_store.kind is "memory": each server counts for itself, and no other process can read it'
      )
    }
    const json = options["json"] === true
    const client = textOption(options, "client")
    const quota = Option.getOrUndefined(asQuota(options["quota"]))
    if (action === "reset")
      yield* Option.match(resetFault(input), { onNone: () => Effect.void, onSome: Effect.fail })
    const absent = yield* Main.absentQuotaStore(settings)
    // A person is not asked where there is nothing to forget; what a script must say does not depend on it.
    if ((Option.isNone(absent) || !isAtTerminal()) && !(yield* agreed(input))) return 1
    if (Option.isSome(absent)) return yield* Effect.as(withoutStore(absent.value, input), 0)
    const limitOf = limitsOf(settings)
    const store = Main.quotaStore(settings)
    if (action === "export") {
      // Its lines are what is seen.
      yield* Effect.provide(Stream.runForEach(QuotaAdmin.exportLines({ client, limitOf }), shown), store)
      return 0
    }
    const text = yield* Effect.provide(
      action === "reset"
        ? QuotaAdmin.reset({ client, json, quota })
        : QuotaAdmin.show({ client, json, limitOf, width: widthFor(process.stdout) }),
      store
    ).pipe(during("asking the quota store"))
    yield* shown(text)
    return 0
  })
