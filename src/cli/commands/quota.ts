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
import { escaped, escapedLine } from "../../platform/quoted.js"
import * as Main from "../../server/main.js"
import * as Quota from "../../quota/Quota.js"
import * as QuotaAdmin from "../../quota/QuotaAdmin.js"
import { clientOf, QuotaName } from "../../quota/QuotaStore.js"
import * as ServerConfig from "../../config/ServerConfig.js"
import type { Run } from "./Command.js"
import { confirmed, print, textOption, write, wrong } from "./Command.js"

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

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ operands, options, settings }) =>
  Effect.gen(function* () {
    const [action] = operands
    if (settings.quotaStore.kind === "memory") {
      return yield* wrong(
        "quota",
        'quota_store.kind is "memory": each server counts for itself, and no other process can read it'
      )
    }
    const json = options["json"] === true
    const client = textOption(options, "client")
    const quota = Option.getOrUndefined(asQuota(options["quota"]))
    if (action === "reset") {
      const all = options["all"] === true
      if (all === (client !== undefined)) {
        return yield* wrong(
          "quota reset",
          all
            ? "expected --client NAME or --all, not both"
            : "expected --client NAME, or --all to forget what every client has used"
        )
      }
      if (options["yes"] !== true) {
        const what = `what ${client ?? "every client"} has used${quota === undefined ? "" : ` of ${quota}`}`
        if (!process.stdin.isTTY || !process.stderr.isTTY) {
          return yield* wrong("quota reset", `there is no terminal to ask at: --yes forgets ${what}`)
        }
        if (!(yield* confirmed(`Forget ${escapedLine(what)}?`))) {
          yield* write(process.stderr, "nothing was reset")
          return 1
        }
      }
    }
    const limitOf = limitsOf(settings)
    const work =
      action === "show"
        ? Effect.flatMap(QuotaAdmin.show({ client, json, limitOf }), shown)
        : action === "reset"
          ? Effect.flatMap(QuotaAdmin.reset({ client, json, quota }), shown)
          : Stream.runForEach(QuotaAdmin.exportLines({ client, limitOf }), shown)
    return yield* Effect.as(Effect.provide(work, Main.quotaStore(settings)), 0)
  })
