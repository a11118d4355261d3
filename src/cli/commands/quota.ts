/**
 * `snowguard quota show | reset | export`: what is counted, on the store that the servers use, while they
 * run.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { escaped } from "../../platform/quoted.js"
import * as Main from "../../server/main.js"
import * as Quota from "../../quota/Quota.js"
import * as QuotaAdmin from "../../quota/QuotaAdmin.js"
import { clientOf, QuotaName } from "../../quota/QuotaStore.js"
import * as ServerConfig from "../../config/ServerConfig.js"
import type { Run } from "./Command.js"
import { confirmed, print, write, wrong } from "./Command.js"

/** Names of clients are as they were written to the store: control characters are escaped. */
const shown = (text: string) => print(escaped(text))

const isQuota = Schema.is(QuotaName)

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
    if (action !== "show" && action !== "reset" && action !== "export") {
      return yield* wrong(action ?? "quota", "expected show, reset or export")
    }
    if (settings.quotaStore.kind === "memory") {
      return yield* wrong(
        "quota",
        'quota_store.kind is "memory": each server counts for itself, and no other process can read it'
      )
    }
    const json = options["json"] === true
    const client = typeof options["client"] === "string" ? options["client"] : undefined
    const quota = options["quota"]
    if (quota !== undefined && !isQuota(quota)) {
      return yield* wrong("--quota", `expected one of ${QuotaName.literals.join(", ")}`)
    }
    const all = options["all"] === true
    if (all && (action !== "reset" || client !== undefined)) {
      return yield* wrong("--all", "is of reset only, in place of --client")
    }
    if (action === "reset" && client === undefined) {
      if (!all) {
        return yield* wrong(
          "quota reset",
          "expected --client NAME, or --all to forget what every client has used"
        )
      }
      const asks = options["yes"] !== true && process.stdin.isTTY && process.stderr.isTTY
      if (asks && !(yield* confirmed("Forget what every client has used?"))) {
        yield* write(process.stderr, "nothing was reset")
        return 1
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
