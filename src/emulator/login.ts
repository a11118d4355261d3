/**
 * Logins: the checks of a login request, the second factor, and the tokens of an identity provider.
 *
 * Passwords are compared with the users the emulator was given; key-pair and OAuth tokens are checked for
 * their form only (holders of keys are not known here), unless the accepted tokens are listed.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"

const Text = Schema.optional(Schema.NullOr(Schema.String))

export const LoginBody = Schema.Struct({
  data: Schema.Struct({
    LOGIN_NAME: Text,
    PASSWORD: Text,
    TOKEN: Text,
    AUTHENTICATOR: Text,
    PASSCODE: Text,
    CLIENT_APP_ID: Text,
    CLIENT_ENVIRONMENT: Schema.optional(Schema.Struct({ APPLICATION: Text })),
    SESSION_PARAMETERS: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
  })
})
export type LoginBody = typeof LoginBody.Type

export interface Accepted {
  /** Passwords by the name of the user. */
  readonly users: Readonly<Record<string, string>>
  /** OAuth and programmatic access tokens; any that is not empty when undefined. */
  readonly tokens: ReadonlyArray<string> | undefined
  /** By the name of the user. */
  readonly secondFactors?: Readonly<Record<string, SecondFactor>> | undefined
  /** The code that a user's logins are refused with, whatever they carry. */
  readonly refusals?: Readonly<Record<string, string>> | undefined
  /** Clients of the identity provider, by their id. */
  readonly clients?: Readonly<Record<string, OAuthClient>> | undefined
  /** Whom a token stands for that is to be exchanged; undefined where it is not good (any more). */
  readonly subjectOf?: ((token: string) => { readonly user: string } | undefined) | undefined
  /** Whom a token of another authorization server stands for (External OAuth). */
  readonly tokenUser?: ((token: string) => Effect.Effect<IssuedToken | undefined>) | undefined
  /** How long a token lives that was exchanged, milliseconds. */
  readonly tokenTtlMs: number
}

/** A token of a user. */
export interface IssuedToken {
  readonly user: string
  /** The one role that a session may have with it; any when undefined. */
  readonly role: string | undefined
  /** Milliseconds of the clock. */
  readonly endsAt: number
}

/**
 * What a user's password is not enough without: a code, or a notification that is confirmed on a phone.
 */
interface SecondFactor {
  /** Codes that are good for one login each. */
  readonly passcodes?: ReadonlyArray<string> | undefined
  /** What the user does with a notification; it stays unanswered when absent. */
  readonly push?: { readonly answer: "approve" | "deny"; readonly afterMs: number } | undefined
}

export interface OAuthClient {
  readonly secret: string
  /** May exchange tokens. */
  readonly exchanges?: boolean | undefined
  /** What an exchange has to be for; anything when absent. */
  readonly audience?: string | undefined
  /** Any when absent. */
  readonly scopes?: ReadonlyArray<string> | undefined
  /** The error that it is refused with, although its secret is right. */
  readonly refusedWith?: string | undefined
}

/**
 * What logins leave behind.
 */
export interface Logins {
  readonly usedPasscodes: Set<string>
  /** Tokens that the identity provider has given out. */
  readonly issued: Set<string>
  /** Tokens that were exchanged, and whose they are. */
  readonly tokens: Map<string, IssuedToken>
  /** A notification was sent. */
  readonly pushed: () => void
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

const valueOf = <A>(byName: Readonly<Record<string, A>> | undefined, name: string): A | undefined =>
  Object.entries(byName ?? {}).find(([known]) => known.toUpperCase() === name)?.[1]

interface Authenticated {
  readonly _tag: "User"
  readonly name: string
  readonly token?: IssuedToken | undefined
}

/**
 * The user of a session, or why there will be none. `issued`: what the token stands for, where that is known.
 */
export const authenticate = (
  { data }: LoginBody,
  accepted: Accepted,
  logins: Pick<Logins, "issued">,
  nowMs: number,
  issued?: IssuedToken
): Failure | Authenticated => {
  const name = (data.LOGIN_NAME ?? "").toUpperCase()
  const user = (name: string, token?: IssuedToken): Authenticated => ({
    _tag: "User",
    name: name === "" ? "SNOWGUARD" : name,
    token
  })
  const token = data.TOKEN ?? ""
  const refused = valueOf(accepted.refusals, name)
  if (refused !== undefined) return Failures.refusal(refused)
  const isKnownToken = (token: string) =>
    token !== "" &&
    (logins.issued.has(token) || accepted.tokens === undefined || accepted.tokens.includes(token))
  switch ((data.AUTHENTICATOR ?? "SNOWFLAKE").toUpperCase()) {
    case "SNOWFLAKE_JWT": {
      const signer = userOfJwt(token, nowMs)
      return signer === undefined || (name !== "" && signer !== name) ? Failures.badJwt : user(signer)
    }
    case "OAUTH":
      if (issued !== undefined) {
        if (nowMs >= issued.endsAt) return Failures.refusal("390318")
        if (name !== "" && name !== issued.user) return Failures.refusal("390309")
        const refused = valueOf(accepted.refusals, issued.user)
        return refused === undefined ? user(issued.user, issued) : Failures.refusal(refused)
      }
      return isKnownToken(token) ? user(name) : Failures.badOAuth
    case "PROGRAMMATIC_ACCESS_TOKEN":
      return isKnownToken(token) ? user(name) : Failures.badAccessToken
    default: {
      const password = data.PASSWORD ?? ""
      const expected = valueOf(accepted.users, name)
      // An access token may stand where a password is asked for.
      const asToken = accepted.tokens?.includes(password) === true
      return (expected !== undefined && expected === password) || asToken ? user(name) : Failures.badPassword
    }
  }
}

/** Milliseconds that a notification is good for. */
const PUSH_MS = 60_000

/**
 * Waits for the second factor of a user whose password is right; undefined when it is given, or not asked for.
 */
export const secondFactor = (
  { data }: LoginBody,
  accepted: Accepted,
  logins: Logins
): Effect.Effect<Failure | undefined> =>
  Effect.suspend((): Effect.Effect<Failure | undefined> => {
    const asked = valueOf(accepted.secondFactors, (data.LOGIN_NAME ?? "").toUpperCase())
    const byPassword = /^(?:SNOWFLAKE|USERNAME_PASSWORD_MFA)$/i.test(data.AUTHENTICATOR ?? "SNOWFLAKE")
    if (asked === undefined || !byPassword) return Effect.succeed(undefined)
    const { PASSCODE: passcode } = data
    if (passcode !== undefined && passcode !== null && passcode !== "") {
      const isGood = asked.passcodes?.includes(passcode) === true && !logins.usedPasscodes.has(passcode)
      logins.usedPasscodes.add(passcode)
      return Effect.succeed(isGood ? undefined : Failures.refusal("390127"))
    }
    logins.pushed()
    const { push } = asked
    return push === undefined
      ? Effect.delay(Effect.succeed(Failures.refusal("390132")), PUSH_MS)
      : Effect.delay(
          Effect.succeed(push.answer === "approve" ? undefined : Failures.refusal("390120")),
          push.afterMs
        )
  })
