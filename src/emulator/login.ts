/**
 * Who may log in: the checks of a login request. Pure.
 *
 * Passwords are compared with the users the emulator was given; key-pair and OAuth tokens are checked for
 * their form only (whoever holds a key is not known here), unless the accepted tokens are listed.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Option from "effect/Option"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"

const Text = Schema.optional(Schema.NullOr(Schema.String))

/**
 * @since 0.1.0
 * @category models
 */
export const LoginBody = Schema.Struct({
  data: Schema.Struct({
    LOGIN_NAME: Text,
    PASSWORD: Text,
    TOKEN: Text,
    AUTHENTICATOR: Text,
    CLIENT_APP_ID: Text,
    CLIENT_ENVIRONMENT: Schema.optional(Schema.Struct({ APPLICATION: Text })),
    SESSION_PARAMETERS: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
  })
})
/**
 * @since 0.1.0
 * @category models
 */
export type LoginBody = typeof LoginBody.Type

/**
 * @since 0.1.0
 * @category models
 */
export interface Accepted {
  /** Passwords by the name of the user. */
  readonly users: Readonly<Record<string, string>>
  /** OAuth and programmatic access tokens; any that is not empty when undefined. */
  readonly tokens: ReadonlyArray<string> | undefined
}

const Claims = Schema.parseJson(Schema.Struct({ iss: Schema.String, sub: Schema.String, exp: Schema.Number }))
const Header = Schema.parseJson(Schema.Struct({ alg: Schema.Literal("RS256") }))

const part = (text: string | undefined): string => Buffer.from(text ?? "", "base64url").toString("utf8")

/** `ACCOUNT.USER.SHA256:fingerprint` signs for `ACCOUNT.USER`; clients disagree on the unit of `exp`. */
const userOfJwt = (jwt: string, nowMs: number): string | undefined => {
  const parts = jwt.split(".")
  const header = Schema.decodeUnknownOption(Header)(part(parts[0]))
  const claims = Schema.decodeUnknownOption(Claims)(part(parts[1]))
  if (parts.length !== 3 || parts[2] === "" || Option.isNone(header) || Option.isNone(claims))
    return undefined
  const { exp, iss, sub } = claims.value
  const expiresMs = exp > 100_000_000_000 ? exp : exp * 1000
  if (expiresMs <= nowMs || !iss.startsWith(`${sub}.SHA256:`)) return undefined
  return sub.split(".").pop()
}

/**
 * The user of a session, or why there will be none.
 *
 * @since 0.1.0
 * @category decisions
 */
export const authenticate = (
  { data }: LoginBody,
  accepted: Accepted,
  nowMs: number
): Failure | { readonly _tag: "User"; readonly name: string } => {
  const name = (data.LOGIN_NAME ?? "").toUpperCase()
  const user = (name: string) => ({ _tag: "User" as const, name: name === "" ? "SNOWGUARD" : name })
  const token = data.TOKEN ?? ""
  const isKnownToken = (token: string) =>
    token !== "" && (accepted.tokens === undefined || accepted.tokens.includes(token))
  switch ((data.AUTHENTICATOR ?? "SNOWFLAKE").toUpperCase()) {
    case "SNOWFLAKE_JWT": {
      const signer = userOfJwt(token, nowMs)
      return signer === undefined || (name !== "" && signer !== name) ? Failures.badJwt : user(signer)
    }
    case "OAUTH":
      return isKnownToken(token) ? user(name) : Failures.badOAuth
    case "PROGRAMMATIC_ACCESS_TOKEN":
      return isKnownToken(token) ? user(name) : Failures.badAccessToken
    default: {
      const password = data.PASSWORD ?? ""
      const expected = Object.entries(accepted.users).find(([known]) => known.toUpperCase() === name)?.[1]
      // An access token may stand where a password is asked for.
      const asToken = accepted.tokens?.includes(password) === true
      return (expected !== undefined && expected === password) || asToken ? user(name) : Failures.badPassword
    }
  }
}
