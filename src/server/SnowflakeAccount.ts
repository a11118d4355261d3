/**
 * The settings of the server as the options of the adapter. What a connection of Snowflake's own files supplies is
 * in the settings already (`config/Connections`).
 *
 * Keys and tokens that are in files of their own are read at each login: a file may get a new one while the server runs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Key from "../config/Key.js"
import type { Settings } from "../config/Settings.js"
import type { Principal } from "../platform/Principal.js"
import * as SecretFile from "../platform/secretFile.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import type { Options } from "../warehouse/Snowflake.js"
import type { Fault, Login, Price } from "../warehouse/snowflake/auth.js"
import * as Auth from "../warehouse/snowflake/auth.js"
import * as TokenExchange from "../warehouse/snowflake/exchange.js"
import type { Identity } from "../warehouse/snowflake/identity.js"
import type { SignIn } from "../warehouse/snowflake/signIn.js"
import * as Exchanging from "./TokenExchange.js"

type Given = Settings["snowflake"]

/** Where the account is. */
type Address = Pick<Given, "account" | "accessUrl">

/** What a user is logged in with, and its role. */
type Credential = Settings["clients"][string]["snowflake"] &
  Partial<Pick<Given, "oauthIssuer" | "oauthAuthorizationUrl" | "oauthRedirectUri">>

/** Gives tokens in place of those of callers. */
export type Exchange = TokenExchange.Exchange

/** Where tokens come from, by `snowflake.identity` and the authenticator; without it no such login is possible. */
interface Sources {
  readonly exchange?: Exchange | undefined
  readonly signIn?: SignIn | undefined
}

const wrong = (description: string): WarehouseError =>
  new WarehouseError({ reason: "Configuration", description, sent: "no" })

const secretFile = (
  setting: string,
  path: string | undefined
): Effect.Effect<Redacted.Redacted<string> | undefined, Fault> =>
  path === undefined
    ? Effect.succeed(undefined)
    : Effect.mapError(SecretFile.secretFile(path), (message) => ({ setting, message }))

const secretsOf = (given: Credential) => ({
  privateKey:
    given.privateKey === undefined
      ? secretFile("private_key_file", given.privateKeyFile)
      : Effect.succeed(given.privateKey),
  token: given.token === undefined ? secretFile("token_file", given.tokenFile) : Effect.succeed(given.token)
})

const known = (given: Address & Credential): Login => ({
  account: given.account,
  accessUrl: given.accessUrl,
  user: given.user,
  authenticator: given.authenticator,
  password: given.password,
  passcode: given.passcode,
  privateKey: given.privateKey,
  privateKeyPassphrase: given.privateKeyPassphrase,
  token: given.token,
  oauthClientId: given.oauthClientId,
  oauthClientSecret: given.oauthClientSecret,
  oauthTokenRequestUrl: given.oauthTokenRequestUrl,
  oauthScope: given.oauthScope,
  oauthIssuer: given.oauthIssuer,
  oauthAuthorizationUrl: given.oauthAuthorizationUrl,
  oauthRedirectUri: given.oauthRedirectUri,
  workloadIdentityProvider: given.workloadIdentityProvider
})

/**
 * What is wrong with the login whatever the account says: it can never work. What is in files is not looked at:
 * they may come later.
 *
 * @since 0.1.0
 * @category checks
 */
export const faults = (given: Address & Credential): ReadonlyArray<Fault> => {
  const inFile = Redacted.make("in a file")
  const hasKey = given.privateKey === undefined && given.privateKeyFile !== undefined
  const login: Login = {
    ...known(given),
    ...(hasKey ? { privateKey: inFile } : {}),
    ...(given.token === undefined && given.tokenFile !== undefined ? { token: inFile } : {})
  }
  return Either.match(Auth.plan(login), {
    onLeft: (found) => found.filter(({ setting }) => !(hasKey && setting === "private_key")),
    onRight: () => []
  })
}

/**
 * Everything that is wrong with the login before the account is asked, files included.
 *
 * @since 0.1.0
 * @category checks
 */
export const allFaults = (given: Address & Credential): Effect.Effect<ReadonlyArray<Fault>> =>
  Effect.map(
    Effect.all(secretsOf(given), { mode: "either" }),
    ({ privateKey, token }): ReadonlyArray<Fault> => {
      const unreadable = [privateKey, token].filter(Either.isLeft).map(({ left }) => left)
      const login = {
        ...given,
        privateKey: Either.getOrElse(privateKey, () => undefined),
        token: Either.getOrElse(token, () => undefined)
      }
      return [...faults(login), ...unreadable]
    }
  )

/** How what is missing is usually said. */
const howToSet: { readonly [setting: string]: string | undefined } = {
  account: ": set SNOWFLAKE_ACCOUNT, or name a connection of Snowflake's own files (--connection NAME)",
  user: ": set SNOWFLAKE_USER",
  password:
    ": set SNOWFLAKE_PASSWORD, or SNOWFLAKE_PRIVATE_KEY_FILE for a key pair, or SNOWFLAKE_TOKEN and " +
    "SNOWFLAKE_AUTHENTICATOR"
}

/**
 * What is wrong, and how what is missing is set.
 *
 * @since 0.1.0
 * @category rendering
 */
export const described = ({ message, setting }: Fault): string =>
  message.startsWith("is needed") ? `${message}${howToSet[setting] ?? ""}` : message

const ofCredential = [
  "user",
  "authenticator",
  "password",
  "passcode",
  "privateKey",
  "privateKeyFile",
  "privateKeyPassphrase",
  "token",
  "tokenFile",
  "oauthClientId",
  "oauthClientSecret",
  "oauthTokenRequestUrl",
  "oauthScope",
  "workloadIdentityProvider"
] as const satisfies ReadonlyArray<keyof Credential>

/** Whether it says anything of who logs in: then it says all of it. */
const hasCredential = (given: Credential | undefined): given is Credential =>
  given !== undefined && ofCredential.some((name) => given[name] !== undefined)

const isAddress = (setting: string): boolean => setting === "account" || setting === "access_url"

/** A table of the configuration that may hold a credential, by its key. */
interface Level {
  readonly key: string
  readonly given: Credential
}

const levelsOf = (settings: Settings): ReadonlyArray<Level> =>
  (["clients", "tiers"] as const).flatMap((section) =>
    Object.entries(settings[section]).map(([name, { snowflake }]) => ({
      key: Key.format([section, name, "snowflake"]),
      given: snowflake
    }))
  )

/**
 * Callers that have a user of their own, as options of `snowguard check`.
 *
 * @since 0.1.0
 * @category checks
 */
export const named = ({ clients, tiers }: Settings): ReadonlyArray<string> => {
  const own = (option: string, section: Settings["clients"] | Settings["tiers"]) =>
    Object.entries(section).flatMap(([name, { snowflake }]) =>
      hasCredential(snowflake) ? [`${option} ${name}`] : []
    )
  return [...own("--client", clients), ...own("--tier", tiers)]
}

/** The person at the browser is one, and not one for each client. */
const oneForAll =
  'is "oauth_authorization_code", by which one person signs in for all callers: it belongs into [snowflake], with ' +
  'snowflake.identity = "shared"'

/** What is wrong with the users of clients and tiers, by the key of the setting. */
const callerFaults = (settings: Settings): ReadonlyArray<Fault> => {
  const { accessUrl, account, identity } = settings.snowflake
  const levels = levelsOf(settings).filter(({ given }) => hasCredential(given))
  if (identity !== "client") {
    return [
      ...(identity === "exchange" ? Exchanging.faults(settings) : []),
      ...levels.map(({ key }) => ({
        setting: key,
        message: `names a user, which only snowflake.identity = "client" makes use of; it is "${identity}"`
      }))
    ]
  }
  if (levels.length === 0) {
    return [
      {
        setting: "snowflake.identity",
        message:
          'is "client", and no client or tier has a user: set clients.NAME.snowflake.user or tiers.NAME.snowflake.user, ' +
          "and its credential"
      }
    ]
  }
  return levels.flatMap(({ given, key }) =>
    Auth.isSignIn(given)
      ? [{ setting: `${key}.authenticator`, message: oneForAll }]
      : faults({ ...given, account, accessUrl })
          .filter(({ setting }) => !isAddress(setting))
          .map(({ message, setting }) => ({ setting: `${key}.${setting}`, message }))
  )
}

/**
 * Everything that is wrong before the account is asked, by the key of the setting.
 *
 * @since 0.1.0
 * @category checks
 */
export const startFaults = (settings: Settings): ReadonlyArray<Fault> => {
  const { accessUrl, account, identity } = settings.snowflake
  const own =
    identity === "shared"
      ? faults(settings.snowflake)
      : // The server has no user of its own, only an account.
        Either.match(Auth.plan({ account, accessUrl }), {
          onLeft: (found) => found.filter(({ setting }) => isAddress(setting)),
          onRight: () => []
        })
  return [
    ...own.map((fault) => ({ setting: `snowflake.${fault.setting}`, message: described(fault) })),
    ...callerFaults(settings)
  ]
}

/** Without a user there is no statement: the server's own user is not meant. */
const noUser = ({ client, tier }: Principal): WarehouseError =>
  wrong(
    `The client ${client} has no user of its own in Snowflake, and snowflake.identity is "client". The operator has to ` +
      `set clients.${client}.snowflake.user or tiers.${tier}.snowflake.user, and its credential.`
  )

const loginOf = (
  prefix: string,
  given: Credential,
  { accessUrl, account }: Address
): Effect.Effect<Login, WarehouseError> =>
  Effect.all(secretsOf(given)).pipe(
    Effect.map((secrets): Login => ({ ...known({ ...given, account, accessUrl }), ...secrets })),
    Effect.mapError(({ message, setting }) => wrong(`${prefix}.${setting}: ${message}.`))
  )

/** A file of a credential counts like what is in it. */
const priceOf = (given: Credential): Price =>
  Auth.priceOf({
    ...known({ ...given, account: undefined, accessUrl: undefined }),
    ...(given.privateKey === undefined && given.privateKeyFile !== undefined
      ? { privateKey: Redacted.make("") }
      : {})
  })

/** Before the client in the key of an identity that no session is opened for. */
const NO_USER = "no user: "

/**
 * Whether nothing says which user a caller is.
 *
 * @since 0.1.0
 * @category checks
 */
export const hasNoUser = ({ key }: Pick<Identity, "key">): boolean => key.startsWith(NO_USER)

/** The server's own user is not meant where a caller has no token. */
const noToken = wrong(
  'The caller has no access token of its own, and snowflake.identity is "exchange". Sign in to the server with one.'
)

const withToken = ({ accessUrl, account }: Address, token: Redacted.Redacted<string>): Login => ({
  account,
  accessUrl,
  authenticator: "oauth",
  token
})

/** The person at the browser. What it is refused is held against it, and not against one of its tokens. */
const signedIn = (
  given: Given,
  signIn: SignIn | undefined
): Pick<Identity, "login" | "price" | "credential" | "forget" | "refused"> => {
  if (signIn === undefined) return { login: wrong("No one can sign in by the browser here."), price: "none" }
  return {
    login: Effect.map(signIn.token, (token) => withToken(given, token)),
    price: "none",
    credential: Effect.succeed("the person at the browser"),
    forget: ({ token }) => (token === undefined ? Effect.void : signIn.forget(token)),
    refused: signIn.refused
  }
}

/** A caller as itself. In another tier it may have another scope, and so another token. */
const exchanged = (
  settings: Settings,
  principal: Principal,
  place: { readonly role: string | undefined; readonly warehouse: string | undefined },
  exchange: Exchange | undefined
): Identity => {
  const { subject, tier } = principal
  if (subject === undefined) {
    return { ...place, key: `${NO_USER}${principal.client}`, mode: "exchange", login: noToken, price: "none" }
  }
  const key = JSON.stringify([subject.id, tier, place.role ?? ""])
  const acting = { ...place, key, mode: "exchange" as const, user: subject.name }
  if (exchange === undefined) return { ...acting, login: noToken, price: "none" }
  const token = exchange.token({
    key,
    subject,
    parameters: Exchanging.parametersFor(settings, principal, place)
  })
  return {
    ...acting,
    login: Effect.mapBoth(token, {
      onFailure: (error) => (error instanceof WarehouseError ? error : TokenExchange.toWarehouseError(error)),
      onSuccess: (token) => withToken(settings.snowflake, token)
    }),
    price: "none",
    credential: Effect.map(subject.token, TokenExchange.digest),
    forget: ({ token }) => (token === undefined ? Effect.void : exchange.forget(key, token))
  }
}

/**
 * As whom each caller's statements run, by the settings. The same value for the same client and tier.
 *
 * @since 0.1.0
 * @category constructors
 */
export const identityOf = (
  settings: Settings,
  { exchange, signIn }: Sources = {}
): ((principal: Principal) => Identity) => {
  const { snowflake } = settings
  const passed = { login: loginOf("snowflake", snowflake, snowflake), price: priceOf(snowflake) }
  const made = new Map<string, Identity>()
  const make = (principal: Principal): Identity => {
    const { client, tier } = principal
    const ofClient = settings.clients[client]?.snowflake
    const ofTier = (settings.tiers[tier] ?? settings.tiers["default"])?.snowflake
    const place = {
      role: ofClient?.role ?? ofTier?.role ?? snowflake.role,
      warehouse: ofClient?.warehouse ?? ofTier?.warehouse ?? snowflake.warehouse
    }
    if (snowflake.identity === "shared") {
      return {
        ...place,
        key: "",
        mode: "shared",
        user: snowflake.user,
        ...(Auth.isSignIn(snowflake) ? signedIn(snowflake, signIn) : passed)
      }
    }
    if (snowflake.identity === "exchange") return exchanged(settings, principal, place, exchange)
    const levels = [
      ["clients", client, ofClient],
      ["tiers", tier, ofTier],
      ["tiers", "default", settings.tiers["default"]?.snowflake]
    ] as const
    for (const [section, name, given] of levels) {
      if (!hasCredential(given)) continue
      const key = Key.format([section, name, "snowflake"])
      return {
        ...place,
        key,
        mode: "client",
        user: given.user,
        login: loginOf(key, given, snowflake),
        price: priceOf(given)
      }
    }
    return { ...place, key: `${NO_USER}${client}`, mode: "client", login: noUser(principal), price: "none" }
  }
  return (principal) => {
    const { client, tier } = principal
    // Of a person, and not of a client.
    if (snowflake.identity === "exchange") return make(principal)
    // Clients that are not named in the settings are as many as there are keys and tokens.
    const isNamed = Object.hasOwn(settings.clients, client)
    if (!isNamed && !Object.hasOwn(settings.tiers, tier)) return make(principal)
    const name = JSON.stringify(isNamed ? [tier, client] : [tier])
    const known = made.get(name)
    if (known !== undefined) return known
    const identity = make(principal)
    if (isNamed || !hasNoUser(identity)) made.set(name, identity)
    return identity
  }
}

/**
 * Whether one person signs in by the browser.
 *
 * @since 0.1.0
 * @category checks
 */
export const isSignIn = Auth.isSignIn

/**
 * Fails when nothing says which account; what else is wrong with the login is told by the login.
 *
 * @since 0.1.0
 * @category constructors
 */
export const options = (given: Given): Effect.Effect<Options, WarehouseError> =>
  given.account === undefined && given.accessUrl === undefined
    ? wrong("no account is set: snowflake.account, SNOWFLAKE_ACCOUNT, or a connection (--connection NAME).")
    : Effect.succeed({
        login: loginOf("snowflake", given, given),
        role: given.role,
        warehouse: given.warehouse,
        secondaryRoles: given.secondaryRoles,
        database: given.database,
        schema: given.schema,
        maxSessions: given.maxSessions,
        maxSessionsPerIdentity: given.maxSessionsPerIdentity,
        loginMs: given.loginSeconds * 1000,
        approvalMs: given.approvalSeconds * 1000,
        fetchMs: given.fetchSeconds * 1000,
        queuedMs: given.queuedSeconds * 1000,
        latchMs: given.latchSeconds * 1000,
        capRows: given.capRows
      })
