/**
 * How callers are told apart, by the settings.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Live from "../platform/Live.js"
import * as Principal from "../platform/Principal.js"
import * as ServerConfig from "../config/ServerConfig.js"
import type { Authenticator } from "../mcp/auth/Auth.js"
import * as Auth from "../mcp/auth/Auth.js"
import * as Keys from "../mcp/auth/Keys.js"
import type { KeysFileError } from "../mcp/auth/KeysFile.js"
import * as OAuth from "../mcp/auth/OAuth.js"

const required = (key: "issuer" | "resource", value: string | undefined) =>
  value === undefined
    ? new Auth.AuthMisconfigured({
        key: `auth.${key}`,
        description: `auth.mode is "oauth", and auth.${key} is not set`
      })
    : Effect.succeed(value)

/**
 * For a server that listens on `host`, with its keys in the file `keysPath`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  given: ServerConfig.Settings | Live.Live<ServerConfig.Settings>,
  {
    host,
    keysPath
  }: { readonly host: string; readonly keysPath: Effect.Effect<string, ServerConfig.ConfigFaults> }
): Layer.Layer<Authenticator, Auth.AuthMisconfigured | KeysFileError | ServerConfig.ConfigFaults> => {
  const live = Live.from(given)
  const settings = live.current()
  const { auth } = settings
  // Asked for each request.
  const tiers: ReturnType<typeof ServerConfig.tiersOf> = {
    tierOf: (client) => ServerConfig.tierOf(live.current(), client),
    isTier: (tier) => Object.hasOwn(live.current().tiers, tier)
  }
  const local = Principal.assigned(settings.client, tiers.tierOf(settings.client))
  switch (auth.mode) {
    case "none":
      return Auth.layerNone(local)
    case "keys":
      return Layer.unwrapEffect(Effect.map(keysPath, (path) => Keys.layer({ ...tiers, path })))
    case "auto":
      return Layer.unwrapEffect(
        Effect.map(keysPath, (path) => Keys.layerAuto({ ...tiers, path, host, local }))
      )
    case "oauth":
      return Layer.unwrapEffect(
        Effect.gen(function* () {
          return OAuth.layer({
            ...tiers,
            issuer: yield* required("issuer", auth.issuer),
            resource: yield* required("resource", auth.resource),
            jwksUrl: auth.jwksUrl,
            audience: auth.audience,
            algorithms: auth.algorithms,
            scopes: auth.scopes,
            adminScope: auth.adminScope,
            clientClaim: auth.clientClaim,
            tierClaim: auth.tierClaim,
            keepTokens: settings.snowflake.identity === "exchange"
          })
        })
      )
  }
}
