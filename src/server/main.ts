/**
 * What the commands of the binary run: the wiring of `Server.ts`, with telemetry around it and its faults
 * told as those of settings.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Package from "../platform/package.js"
import { startFaults } from "./startFaults.js"
import * as Fleet from "./Fleet.js"
import type { Source } from "./Reload.js"
import * as Server from "./Server.js"
import * as Principal from "../platform/Principal.js"
import * as ServerConfig from "../config/ServerConfig.js"
import { silent } from "../warehouse/WarehouseHealth.js"
import { signedIn } from "./Warehouses.js"

export { checkEmbedded, gate } from "./Warehouses.js"
export { keysPath, layer, stateDirectory } from "./Server.js"

/** The exporter of telemetry, outermost: what runs below is traced. Loaded only where a collector is named. */
const otlp: Layer.Layer<never> = Layer.suspend(() =>
  Server.hasCollector()
    ? Layer.unwrapEffect(
        Effect.map(
          Effect.promise(() => import("../observe/Otlp.js")),
          ({ layerConfig }) => layerConfig(Package)
        )
      )
    : Layer.empty
)

/**
 * The quota store for commands that show or change it: memory in its place would have nothing to show.
 *
 * @since 0.1.0
 * @category layers
 */
export const quotaStore = (settings: ServerConfig.Settings) =>
  Fleet.parts(
    { ...settings, quotaStore: { ...settings.quotaStore, onUnavailable: "refuse" } },
    Server.stateDirectory()
  ).quotaStore

/**
 * The path of the quota store that is a file, where there is none yet.
 *
 * @since 0.1.0
 * @category getters
 */
export const absentQuotaStore = (settings: ServerConfig.Settings) =>
  Effect.sync(() => Fleet.absentStore(settings, Server.stateDirectory()))

/**
 * Serves one client over this process's stdin and stdout until it leaves. `ready` is run before it is listened to.
 *
 * @since 0.1.0
 * @category serving
 */
export const stdio = (settings: ServerConfig.Settings, ready: Effect.Effect<void> = Effect.void) =>
  Server.stdio<{}>(settings, {}, undefined, ready).pipe(
    Effect.provide(otlp),
    Effect.catchTag("AuditError", startFaults.AuditError)
  )

interface Listening {
  readonly host?: string | undefined
  readonly port?: number | undefined
}

/**
 * Settings under what the command line says. What it does not say is that of the settings, also of those that are read
 * later: a change of it needs a restart, and is named.
 *
 * @internal
 */
export const listeningAt =
  ({ host, port }: Listening) =>
  (settings: ServerConfig.Settings): ServerConfig.Settings => ({
    ...settings,
    http: { ...settings.http, host: host ?? settings.http.host, port: port ?? settings.http.port }
  })

/**
 * Serves many clients over HTTP until it is interrupted; with a `source`, under settings that can be read again.
 *
 * @since 0.1.0
 * @category serving
 */
export const http = (settings: ServerConfig.Settings, given: Listening = {}, source?: Source) => {
  const listening = listeningAt(given)
  return Effect.gen(function* () {
    if (source === undefined) return yield* Server.http(listening(settings))
    // Not on the way of a start over stdio.
    const [Reload, { Reloads }] = yield* Effect.promise(() =>
      Promise.all([import("./Reload.js"), import("../operate/Reloads.js")])
    )
    yield* source.set(listening(settings))
    const load = Effect.map(source.load, (loaded) => ({ ...loaded, settings: listening(loaded.settings) }))
    const reloads = yield* Reload.make({ ...source, load })
    return yield* Effect.provideService(Server.http(source.live), Reloads, reloads)
  }).pipe(Effect.scoped, Effect.provide(otlp), Effect.catchTags(startFaults))
}

/**
 * What is wrong with the login of `[snowflake]` whatever the account says, files included. Nothing is contacted.
 *
 * @since 0.1.0
 * @category checks
 */
export const loginFaults = ({ snowflake }: ServerConfig.Settings) =>
  Effect.flatMap(
    Effect.promise(() => import("./SnowflakeAccount.js")),
    (account) =>
      Effect.map(account.allFaults(snowflake), (faults) =>
        faults.map((fault) => ({ setting: fault.setting, message: account.described(fault) }))
      )
  )

/**
 * The identity in the account, or what is wrong; never fails. `tier` is one of the settings.
 *
 * @since 0.1.0
 * @category checks
 */
export const checkAccount = (
  settings: ServerConfig.Settings,
  caller: { readonly client?: string | undefined; readonly tier?: string | undefined } = {}
) =>
  Effect.gen(function* () {
    const [{ check, incomplete }, account] = yield* Effect.promise(() =>
      Promise.all([import("../warehouse/snowflake/check.js"), import("./SnowflakeAccount.js")])
    )
    const { identity } = settings.snowflake
    const isNamed = caller.client !== undefined || caller.tier !== undefined
    if (identity === "shared" && !isNamed) {
      const faults = yield* loginFaults(settings)
      if (faults.length > 0) {
        return incomplete(faults.map(({ message, setting }) => `snowflake.${setting} ${message}`))
      }
      const options = account.options(settings.snowflake)
      if (!account.isSignIn(settings.snowflake)) return yield* check(options)
      // The operator at this command is the person.
      const waitMs = settings.snowflake.approvalSeconds * 1000
      const signIn = yield* signedIn(settings, Server.stateDirectory(), silent.awaitApproval, waitMs)
      const principal = Principal.make(settings.client)
      const { login } = account.identityOf(settings, { signIn })(principal)
      return yield* check(Effect.map(options, (given) => ({ ...given, login })))
    }
    const faults = account.startFaults(settings)
    if (faults.length > 0) return incomplete(faults.map(({ message, setting }) => `${setting} ${message}`))
    const { client = caller.tier === undefined ? settings.client : `any of ${caller.tier}` } = caller
    const principal = Principal.make(client, caller.tier ?? ServerConfig.tierOf(settings, client))
    const identityOf = account.identityOf(settings)
    if (identity === "client" && account.hasNoUser(identityOf(principal))) {
      return isNamed
        ? incomplete(
            [
              `${caller.client === undefined ? `the tier ${principal.tier}` : `the client ${client}`} has no user of its ` +
                'own in Snowflake, and snowflake.identity is "client"'
            ],
            `set a user and its credential in ${[
              ...(caller.client === undefined ? [] : [`[clients.${client}.snowflake]`]),
              `[tiers.${principal.tier}.snowflake]`
            ].join(" or ")}`
          )
        : incomplete(
            ['snowflake.identity is "client": each client, or tier, has a user of its own in Snowflake'],
            `say whose login to check: ${account.named(settings).join(", ")}`
          )
    }
    if (identity === "exchange") {
      const exchanging = yield* Effect.promise(() => import("./TokenExchange.js"))
      const { role, warehouse } = identityOf(principal)
      return yield* exchanging.check(settings, principal, { role, warehouse })
    }
    return yield* check(
      Effect.map(account.options(settings.snowflake), (given) => ({
        ...given,
        identityOf
      })),
      principal
    )
  }).pipe(Effect.scoped)
