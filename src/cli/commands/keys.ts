/**
 * `snowguard keys create NAME | list | revoke NAME`: the API keys of the shared server, which sees a change
 * without a restart.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { escapedLine } from "../../platform/quoted.js"
import { fittingTable } from "../../platform/layout.js"
import { startFaults } from "../../server/startFaults.js"
import * as Main from "../../server/main.js"
import * as Keys from "../../mcp/auth/Keys.js"
import type { Run } from "./Command.js"
import { agreed, print, tierOption, widthFor, write, wrong } from "./Command.js"

/** Of a key without a tier its client decides. */
const tableOf = (keys: ReadonlyArray<Keys.Listed>, width: number): string =>
  fittingTable(
    [
      ["id", "client", "tier", "admin", "created", "state"],
      ...keys.map(({ admin, client, createdAt, id, revokedAt, tier }) => [
        id,
        client,
        tier ?? "-",
        admin ? "yes" : "-",
        createdAt,
        revokedAt === undefined ? "active" : `revoked ${revokedAt}`
      ])
    ],
    width
  )
    .map(escapedLine)
    .join("\n")

/**
 * A key is printed once, when it is made; what is stored cannot be turned back into it.
 *
 * @since 0.1.0
 * @category commands
 */
export const run: Run = (input) =>
  Effect.gen(function* () {
    const {
      action,
      operands: [name = ""],
      options,
      settings
    } = input
    const path = yield* Main.keysPath(settings)
    const json = options["json"] === true
    switch (action) {
      case "create": {
        const tier = yield* tierOption(input)
        const made = yield* Keys.create(path, { client: name, tier, admin: options["admin"] === true })
        // Alone on stdout, so that `K=$(snowguard keys create ada)` is the key.
        yield* print(json ? JSON.stringify(made) : made.key)
        if (!json) {
          yield* write(process.stderr, `This is the key ${made.id} of ${made.client}. It is not shown again.`)
        }
        return 0
      }
      case "list": {
        const keys = yield* Keys.list(path)
        yield* print(
          json
            ? JSON.stringify({ keys })
            : keys.length === 0
              ? "there are no keys"
              : tableOf(keys, widthFor(process.stdout))
        )
        return 0
      }
      case "revoke": {
        const named = yield* Effect.catchTag(Keys.named(path, name), "KeysFault", ({ message }) =>
          Effect.as(write(process.stderr, escapedLine(message)), undefined)
        )
        const isActive = named?.some(({ revokedAt }) => revokedAt === undefined) === true
        // Where there is nothing to revoke, there is nothing to ask.
        if (isActive && !(yield* agreed(input))) return 1
        const revoked = isActive ? yield* Keys.revoke(path, name) : []
        const ids = revoked.map(({ id }) => id)
        if (json) yield* print(JSON.stringify({ revoked }))
        else if (ids.length > 0) yield* print(`revoked: ${ids.join(", ")}`)
        if (named !== undefined && ids.length === 0) {
          yield* write(process.stderr, `${escapedLine(name)}: it was revoked before, nothing has changed`)
        }
        return ids.length === 0 ? 1 : 0
      }
      default:
        return yield* wrong(action ?? "keys", "expected create, list or revoke")
    }
  }).pipe(
    Effect.catchTags({
      KeysFault: (fault) => wrong("keys", fault.message),
      KeysFileError: startFaults.KeysFileError
    })
  )
