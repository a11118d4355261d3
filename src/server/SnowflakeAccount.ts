/**
 * The settings of the server as the options of the adapter. What a connection of Snowflake's own files supplies is
 * in the settings already (`config/Connections`).
 *
 * Keys and tokens that are in files of their own are read at each login, since they are exchanged while the server
 * runs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"
import type { Settings } from "../config/Settings.js"
import { reasonOf } from "../platform/fileReasons.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import type { Options } from "../warehouse/Snowflake.js"
import type { Fault, Login } from "../warehouse/snowflake/auth.js"
import { plan } from "../warehouse/snowflake/auth.js"

type Given = Settings["snowflake"]

const wrong = (description: string): WarehouseError =>
  new WarehouseError({ reason: "Configuration", description, sent: "no" })

/** A file of the login; its content ends with a line end that is none of the secret. */
const secretFile = (
  setting: string,
  path: string | undefined
): Effect.Effect<Redacted.Redacted<string> | undefined, Fault> =>
  path === undefined
    ? Effect.succeed(undefined)
    : Effect.tryPromise({
        try: () => readFile(path, "utf8").then((text) => Redacted.make(text.trimEnd())),
        catch: (cause) => ({ setting, message: `${path} cannot be read: ${reasonOf(cause)}` })
      })

const secretsOf = (given: Given) => ({
  privateKey:
    given.privateKey === undefined
      ? secretFile("private_key_file", given.privateKeyFile)
      : Effect.succeed(given.privateKey),
  token: given.token === undefined ? secretFile("token_file", given.tokenFile) : Effect.succeed(given.token)
})

const known = (given: Given): Login => ({
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
  workloadIdentityProvider: given.workloadIdentityProvider
})

/**
 * What is wrong with the login whatever the account says: it can never work. What is in files is not looked at:
 * they may come later.
 *
 * @since 0.1.0
 * @category checks
 */
export const faults = (given: Given): ReadonlyArray<Fault> => {
  const inFile = Redacted.make("in a file")
  const hasKey = given.privateKey === undefined && given.privateKeyFile !== undefined
  const login: Login = {
    ...known(given),
    ...(hasKey ? { privateKey: inFile } : {}),
    ...(given.token === undefined && given.tokenFile !== undefined ? { token: inFile } : {})
  }
  return Either.match(plan(login), {
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
export const allFaults = (given: Given): Effect.Effect<ReadonlyArray<Fault>> =>
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

/**
 * Fails when nothing says which account; what else is wrong with the login is told by the login.
 *
 * @since 0.1.0
 * @category constructors
 */
export const options = (given: Given): Effect.Effect<Options, WarehouseError> => {
  if (given.account === undefined && given.accessUrl === undefined) {
    return wrong(
      "no account is set: snowflake.account, SNOWFLAKE_ACCOUNT, or a connection (--connection NAME)."
    )
  }
  const login = Effect.all(secretsOf(given)).pipe(
    Effect.map((secrets): Login => ({ ...known(given), ...secrets })),
    Effect.mapError(({ message, setting }) => wrong(`snowflake.${setting}: ${message}.`))
  )
  return Effect.succeed({
    login,
    role: given.role,
    warehouse: given.warehouse,
    database: given.database,
    schema: given.schema,
    maxSessions: given.maxSessions,
    loginMs: given.loginSeconds * 1000,
    approvalMs: given.approvalSeconds * 1000,
    fetchMs: given.fetchSeconds * 1000,
    queuedMs: given.queuedSeconds * 1000,
    latchMs: given.latchSeconds * 1000,
    capRows: given.capRows
  })
}
