/**
 * The settings of `[exchange]` as the options of the token exchange, and what is asked for each caller.
 *
 * | preset | grant | beside the caller's token |
 * |---|---|---|
 * | `standard`, `okta`, `snowflake` | RFC 8693 | audience: the account's address |
 * | `keycloak` | RFC 8693 | the same, and the type of token that is wanted |
 * | `entra` | on-behalf-of (`jwt-bearer`) | `requested_token_use`; the scope names Snowflake |
 *
 * `snowflake` is not verified: no text at hand has the names of its parameters.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { Settings } from "../config/Settings.js"
import { isSafe } from "../platform/loopback.js"
import type { Principal } from "../platform/Principal.js"
import { secretFile } from "../platform/secretFile.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import * as Auth from "../warehouse/snowflake/auth.js"
import type { Fault } from "../warehouse/snowflake/auth.js"
import type { Report } from "../warehouse/snowflake/check.js"
import type { Options } from "../warehouse/snowflake/exchange.js"
import * as Exchange from "../warehouse/snowflake/exchange.js"

const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
const ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer"
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

/** Set by this server; a further parameter that replaced one would change what is asked, and for whom. */
const own = new Set([
  "grant_type",
  "client_id",
  "client_secret",
  "client_assertion",
  "client_assertion_type",
  "subject_token",
  "assertion",
  "actor_token"
])

const secretFrom = (
  setting: string,
  given: Redacted.Redacted<string> | undefined,
  path: string | undefined
): Effect.Effect<Redacted.Redacted<string>, WarehouseError> =>
  given !== undefined
    ? Effect.succeed(given)
    : Effect.mapError(
        secretFile(path ?? ""),
        (problem) =>
          new WarehouseError({
            reason: "Configuration",
            description: `exchange.${setting}: ${problem}.`,
            sent: "no"
          })
      )

/** The address of the account, which is the usual audience. */
export const accountUrl = ({ snowflake: { accessUrl, account } }: Settings): string | undefined =>
  accessUrl !== undefined && URL.canParse(accessUrl)
    ? new URL(accessUrl).origin
    : account === undefined
      ? undefined
      : Either.getOrUndefined(Either.map(Auth.addressOf(account), ({ host }) => `https://${host}`))

const tokenUrlOf = (settings: Settings): string | undefined => {
  const { issuer, preset, tokenUrl } = settings.exchange
  const account = accountUrl(settings)
  return (
    tokenUrl ??
    (preset === "snowflake" && issuer === undefined && account !== undefined
      ? `${account}/oauth/token-request`
      : undefined)
  )
}

const issuerOf = ({ auth, exchange }: Settings): string | undefined => exchange.issuer ?? auth.issuer

/** For whom: what a template may name. */
interface Named {
  readonly client: string
  readonly tier: string
  readonly role: string
  readonly warehouse: string
}

/** `{role}` and its like; in JSON as the inside of a string. */
const filled = (template: string, named: Named, inJson = false): string =>
  template.replace(/\{(client|tier|role|warehouse)\}/g, (_, name: keyof Named) =>
    inJson ? JSON.stringify(named[name]).slice(1, -1) : named[name]
  )

const detailsOf = (template: string, named: Named): Either.Either<string, string> => {
  const text = filled(template, named, true)
  return Either.try({
    try: () => JSON.stringify(JSON.parse(text)),
    catch: () => "expected JSON, in which {client}, {tier}, {role} and {warehouse} stand within strings"
  })
}

const split = (parameter: string): readonly [string, string] => {
  const at = parameter.indexOf("=")
  return [parameter.slice(0, at), parameter.slice(at + 1)]
}

/**
 * What is wrong with the exchange, by the key of the setting.
 *
 * @since 0.1.0
 * @category checks
 */
export const faults = (settings: Settings): ReadonlyArray<Fault> => {
  const { auth, exchange, tiers } = settings
  const found: Array<Fault> = []
  const fault = (setting: string, message: string) => void found.push({ setting, message })
  if (auth.mode !== "oauth") {
    fault(
      "auth.mode",
      `is "${auth.mode}", and snowflake.identity = "exchange" needs callers with access tokens: "oauth"`
    )
  }
  if (exchange.clientId === undefined) fault("exchange.client_id", "is needed for the exchange")
  const hasSecret = exchange.clientSecret !== undefined || exchange.clientSecretFile !== undefined
  const hasKey = exchange.clientKey !== undefined || exchange.clientKeyFile !== undefined
  if (exchange.clientAuth === "private_key_jwt" && !hasKey) {
    fault("exchange.client_key", `(or client_key_file) is needed for client_auth = "private_key_jwt"`)
  }
  if (exchange.clientAuth !== "private_key_jwt" && !hasSecret) {
    fault(
      "exchange.client_secret",
      `(or client_secret_file) is needed for client_auth = "${exchange.clientAuth}"`
    )
  }
  const tokenUrl = tokenUrlOf(settings)
  const where = tokenUrl ?? issuerOf(settings)
  if (where === undefined) {
    fault("exchange.issuer", "(or token_url, or auth.issuer) is needed: it says where tokens are exchanged")
  } else if (!isSafe(where)) {
    fault(
      tokenUrl === undefined ? "exchange.issuer" : "exchange.token_url",
      "expected an https address: a token that goes over http can be read on the way"
    )
  }
  if (exchange.preset === "entra" && exchange.scope === undefined) {
    fault("exchange.scope", 'is needed for the preset "entra": the scope of the Snowflake application there')
  }
  const named = { client: "c", tier: "t", role: "r", warehouse: "w" }
  const templates = [
    ["exchange.authorization_details", exchange.authorizationDetails] as const,
    ...Object.entries(tiers).map(
      ([tier, { snowflake }]) =>
        [`tiers.${tier}.snowflake.authorization_details`, snowflake.authorizationDetails] as const
    )
  ]
  for (const [key, template] of templates) {
    const details = template === undefined ? undefined : detailsOf(template, named)
    if (details !== undefined && Either.isLeft(details)) fault(key, details.left)
  }
  for (const parameter of exchange.parameters) {
    const [name] = split(parameter)
    if (own.has(name)) fault("exchange.parameters", `${name} is set by the server`)
  }
  return found
}

/**
 * Of settings without {@link faults}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const options = (settings: Settings): Options => {
  const { exchange, snowflake } = settings
  const isEntra = exchange.preset === "entra"
  return {
    issuer: issuerOf(settings),
    tokenUrl: tokenUrlOf(settings),
    clientId: exchange.clientId ?? "",
    clientAuth:
      exchange.clientAuth === "private_key_jwt"
        ? {
            _tag: "private_key_jwt",
            key: secretFrom("client_key_file", exchange.clientKey, exchange.clientKeyFile),
            keyId: exchange.clientKeyId,
            audience: exchange.clientAssertionAudience
          }
        : {
            _tag: exchange.clientAuth === "post" ? "post" : "basic",
            secret: secretFrom("client_secret_file", exchange.clientSecret, exchange.clientSecretFile)
          },
    grantType: isEntra ? ON_BEHALF_OF : TOKEN_EXCHANGE,
    subjectParameter: isEntra ? "assertion" : "subject_token",
    timeoutMs: exchange.timeoutSeconds * 1000,
    maxConcurrent: exchange.maxConcurrent,
    latchMs: snowflake.latchSeconds * 1000
  }
}

/**
 * What is asked for a caller beside its token. The role is that of its sessions: a token for one role bounds what the
 * sessions can be.
 *
 * @since 0.1.0
 * @category constructors
 */
export const parametersFor = (
  settings: Settings,
  { client, tier }: Principal,
  place: { readonly role: string | undefined; readonly warehouse: string | undefined }
): Effect.Effect<{ readonly [name: string]: string }, WarehouseError> => {
  const { exchange } = settings
  const ofTier = (settings.tiers[tier] ?? settings.tiers["default"])?.snowflake
  const named = { client, tier, role: place.role ?? "", warehouse: place.warehouse ?? "" }
  const isEntra = exchange.preset === "entra"
  const scope =
    ofTier?.scope ?? exchange.scope ?? (place.role === undefined ? "session:role-any" : "session:role:{role}")
  const details = ofTier?.authorizationDetails ?? exchange.authorizationDetails
  const audience =
    exchange.audience ?? (isEntra || exchange.resource !== undefined ? undefined : accountUrl(settings))
  const requested = exchange.requestedTokenType ?? (exchange.preset === "keycloak" ? ACCESS_TOKEN : undefined)
  const given = Object.entries({
    subject_token_type: isEntra ? undefined : (exchange.subjectTokenType ?? ACCESS_TOKEN),
    requested_token_use: isEntra ? "on_behalf_of" : undefined,
    requested_token_type: requested,
    audience,
    resource: exchange.resource,
    scope: filled(scope, named),
    authorization_details:
      details === undefined ? undefined : Either.getOrUndefined(detailsOf(details, named))
  }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  const all = Object.fromEntries([
    ...given,
    ...exchange.parameters.map(split).map(([name, value]) => [name, filled(value, named)] as const)
  ])
  if (exchange.actorToken === undefined && exchange.actorTokenFile === undefined) return Effect.succeed(all)
  return Effect.map(
    secretFrom("actor_token_file", exchange.actorToken, exchange.actorTokenFile),
    (actor) => ({
      ...all,
      actor_token: Redacted.value(actor),
      actor_token_type: exchange.actorTokenType ?? ACCESS_TOKEN
    })
  )
}

const CORRECT = "correct the section [exchange] of the configuration"

/** No token of a caller, so that its refusal says that the endpoint was found and the client is known there. */
const NO_TOKEN = "snowguard-check-no-token"

/**
 * What can be verified without a caller's token: that the endpoint is found and answers, and takes this server as a
 * client. Never fails.
 *
 * @since 0.1.0
 * @category checks
 */
export const check = (
  settings: Settings,
  principal: Principal,
  place: { readonly role: string | undefined; readonly warehouse: string | undefined }
): Effect.Effect<Report> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { token } = yield* Exchange.make(options(settings))
      const answer = yield* Effect.either(
        token({
          key: "check",
          subject: { id: "check", name: "check", token: Effect.succeed(Redacted.make(NO_TOKEN)) },
          parameters: parametersFor(settings, principal, place)
        })
      )
      const facts = {
        client: principal.client,
        tier: principal.tier,
        identity: "exchange",
        account: accountUrl(settings) ?? "unknown",
        "authorization server": tokenUrlOf(settings) ?? issuerOf(settings) ?? "unknown",
        role: place.role ?? "the one of the token",
        warehouse: place.warehouse ?? "the one of the user"
      }
      const untried =
        "whether callers get tokens, and may log in with them, was not tried: that takes the access token of a caller; call " +
        "the server with one"
      if (Either.isRight(answer)) {
        return {
          facts,
          warnings: [],
          wrong: ["the authorization server gives a token for a text that is no caller's token"],
          todo: "correct the authorization server: any text would be any user there",
          exitCode: 78
        }
      }
      const failure = answer.left
      const { description } = failure
      if (failure instanceof WarehouseError) {
        return { facts, warnings: [], wrong: [description], todo: CORRECT, exitCode: 78 }
      }
      const { code, kind } = failure
      if (kind === "refused" || kind === "scope") {
        const known = `${settings.exchange.clientId ?? ""} (known there: a token that is none was refused with ${code ?? kind})`
        return { facts: { ...facts, "client of the exchange": known }, warnings: [untried], exitCode: 0 }
      }
      return kind === "client"
        ? { facts, warnings: [], wrong: [description], todo: CORRECT, exitCode: 78 }
        : {
            facts,
            warnings: [],
            wrong: [description],
            todo: "check exchange.issuer and exchange.token_url, and this machine's network, and try again",
            exitCode: 69
          }
    })
  )
