/**
 * What an operator says about the login, as the options of the driver, or as everything that is wrong with
 * it. Pure: what is in a file has been read before.
 *
 * The driver falls back to the password for an authenticator that it does not know, ignores options that
 * do not belong to the one it uses, and complains about one mistake at a time; so all of it is checked
 * here. No fault holds a secret.
 */
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { createHash, createPrivateKey } from "node:crypto"
import { nearest } from "../../platform/core/Nearest.js"
import { isLoopback } from "../../platform/loopback.js"

export interface Login {
  /** `orgname-account`, a legacy locator with its region, or an address of the account: see {@link addressOf}. */
  readonly account?: string | undefined
  /** A private endpoint, a proxy or an emulator in place of the account's public address. */
  readonly accessUrl?: string | undefined
  readonly user?: string | undefined
  /** One of {@link authenticators}, whatever the case; found out from the other settings when absent. */
  readonly authenticator?: string | undefined
  readonly password?: Redacted.Redacted<string> | undefined
  /** One-time code of a second factor. */
  readonly passcode?: Redacted.Redacted<string> | undefined
  /** PEM, PKCS#8 or PKCS#1, encrypted or not; line ends may be written as `\n`. */
  readonly privateKey?: Redacted.Redacted<string> | undefined
  readonly privateKeyPassphrase?: Redacted.Redacted<string> | undefined
  readonly token?: Redacted.Redacted<string> | undefined
  readonly oauthClientId?: string | undefined
  readonly oauthClientSecret?: Redacted.Redacted<string> | undefined
  readonly oauthTokenRequestUrl?: string | undefined
  readonly oauthScope?: string | undefined
  /** Of the sign-in by the browser; see `signIn`. */
  readonly oauthIssuer?: string | undefined
  readonly oauthAuthorizationUrl?: string | undefined
  readonly oauthRedirectUri?: string | undefined
  /** `AWS`, `AZURE`, `GCP` or `OIDC`. */
  readonly workloadIdentityProvider?: string | undefined
}

/**
 * A setting by its name in the file, and what is wrong with it.
 */
export interface Fault {
  readonly setting: string
  readonly message: string
}

/**
 * Options of the driver's `createConnection` that say which user logs in where. They hold secrets in the clear:
 * made for one login and dropped after it.
 */
type DriverLogin = { readonly [option: string]: string | boolean | number }

const authenticators = [
  "snowflake",
  "username_password_mfa",
  "snowflake_jwt",
  "oauth",
  "oauth_client_credentials",
  "oauth_authorization_code",
  "programmatic_access_token",
  "externalbrowser",
  "workload_identity"
] as const
type Authenticator = (typeof authenticators)[number]

const providers = ["AWS", "AZURE", "GCP", "OIDC"]

const isAuthenticator = (name: string): name is Authenticator =>
  authenticators.some((known) => known === name)

/** Where an account is reached, and its name in a login. */
interface Address {
  readonly account: string
  readonly host: string
}

const label = /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?$/

/** Regions have a hyphen, and names of accounts and organizations have none. */
const region = /^[a-z]+(?:-[a-z0-9]+)+$/i

const afterRegion = /^(?:aws|azure|gcp|fhplus|dod)$/i

const howToFind =
  "expected an account identifier such as orgname-account (in Snowsight: the account menu, View account details)"

/** Names may have underscores, which hosts must not have. */
const hostOf = (labels: ReadonlyArray<string>, domain: string): string =>
  `${labels.map((one) => one.replaceAll("_", "-")).join(".")}.${domain}`.toLowerCase()

/** `account`, `account.region`, `account.region.cloud`, `organization.account`; each may be `.privatelink`. */
const addressOfLabels = (labels: ReadonlyArray<string>): Address | undefined => {
  const [account = "", ...rest] = labels
  const [second, third, ...more] = rest.filter((one) => !/^(?:privatelink|global)$/i.test(one))
  if (!labels.every((one) => label.test(one)) || more.length > 0) return undefined
  if (second === undefined) {
    return { account, host: hostOf(labels, "snowflakecomputing.com") }
  }
  if (region.test(second) && (third === undefined || afterRegion.test(third))) {
    const domain = /^cn-/i.test(second) ? "snowflakecomputing.cn" : "snowflakecomputing.com"
    // The first of all regions is not part of an address.
    const shown = third === undefined ? labels.filter((one) => one.toLowerCase() !== "us-west-2") : labels
    return { account, host: hostOf(shown, domain) }
  }
  return third === undefined && !second.includes("-") && !account.includes("-") && !afterRegion.test(second)
    ? addressOfLabels([`${account}-${second}`, ...rest.slice(1)])
    : undefined
}

/** Snowsight's address names the account in its path: `/organization/account` or `/region/account`. */
const addressOfApp = (domain: string, path: ReadonlyArray<string>): Address | undefined => {
  const [first = "", account = ""] = path
  const address = addressOfLabels(
    region.test(first.split(".")[0] ?? "") ? [account, ...first.split(".")] : [`${first}-${account}`]
  )
  if (address === undefined || first === "" || account === "") return undefined
  return domain === "cn" ? { ...address, host: address.host.replace(/\.com$/, ".cn") } : address
}

/**
 * The account that is meant by what people copy into the setting: an identifier in any of its forms, a host,
 * an address of the account or of Snowsight, a JDBC address. Left: what is wrong with it.
 */
export const addressOf = (given: string): Either.Either<Address, string> => {
  const text = given.trim().replace(/^(?:jdbc:snowflake:|https?:)\/\//i, "")
  const [authority = "", ...path] = text.replace(/[?#].*$/s, "").split("/")
  const host = authority.replace(/:443$/, "").replace(/\.$/, "")
  const app = /^app\.snowflake\.(com|cn)$/i.exec(host)?.[1]
  const full = /^(.+)\.(snowflakecomputing\.(?:com|cn|mil))$/i.exec(host)
  const labels = (full?.[1] ?? host).split(".")
  const found =
    app !== undefined
      ? addressOfApp(app.toLowerCase(), path)
      : full === null
        ? addressOfLabels(labels)
        : labels.every((one) => label.test(one))
          ? addressOfHost(labels, full[2] ?? "")
          : undefined
  if (found !== undefined) return Either.right(found)
  return Either.left(
    host.includes(":") || (full === null && app === undefined && labels.length > 2)
      ? `${howToFind}; another host belongs into access_url`
      : howToFind
  )
}

/** Snowsight has a host of its own at a private endpoint. */
const addressOfHost = (labels: ReadonlyArray<string>, domain: string): Address | undefined => {
  const [first = "", ...rest] = labels
  if (/^app$/i.test(first)) return undefined
  const isPrivate = rest.some((one) => one.toLowerCase() === "privatelink")
  const account = isPrivate ? first.replace(/^app-(?=.*-)/i, "") : first
  return { account, host: hostOf([account, ...rest], domain) }
}

const inferred = (login: Login): Authenticator | undefined => {
  if (login.privateKey !== undefined) return "snowflake_jwt"
  if (login.passcode !== undefined) return "username_password_mfa"
  if (login.workloadIdentityProvider !== undefined) return "workload_identity"
  if (login.token !== undefined && login.password === undefined) return undefined
  return "snowflake"
}

/** PEM as in a file: in a setting its line ends may be written as `\n`. */
export const withLineEnds = (pem: string): string => (pem.includes("\n") ? pem : pem.replaceAll("\\n", "\n"))

/** Unencrypted PKCS#8, the only form that the driver takes. */
const pkcs8 = (pem: string, passphrase: string | undefined): Either.Either<string, string> => {
  const key = withLineEnds(pem)
  if (!/-----BEGIN (?:RSA |ENCRYPTED )?PRIVATE KEY-----/.test(key)) {
    return Either.left("expected a private key in PEM form")
  }
  try {
    const parsed = createPrivateKey({
      key,
      format: "pem",
      ...(passphrase === undefined ? {} : { passphrase })
    })
    if (parsed.asymmetricKeyType !== "rsa") return Either.left("expected an RSA key")
    return Either.right(parsed.export({ type: "pkcs8", format: "pem" }).toString())
  } catch {
    const encrypted = /ENCRYPTED/.test(key)
    if (encrypted && passphrase === undefined) return Either.left("is encrypted; set private_key_passphrase")
    return Either.left(encrypted ? "cannot be decrypted with this passphrase" : "cannot be read")
  }
}

/** A secret is sent there. */
const tokenUrlProblem = (text: string): string | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname))
    ? undefined
    : "expected an address such as https://login.example.com/oauth2/token"
}

/** Why a redirect cannot come back there. */
const redirectProblem = (text: string): string | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === "http:" && isLoopback(url.hostname) && url.search === "" && url.username === ""
    ? undefined
    : "expected an address of this machine, such as http://127.0.0.1:8001/callback; without a port any that is free"
}

/** Whether a person signs in by the browser for tokens that the driver gets. */
export const isSignIn = (login: Pick<Login, "authenticator">): boolean =>
  login.authenticator?.toLowerCase() === "oauth_authorization_code"

const authenticatorOf = (login: Login): string | undefined =>
  login.authenticator?.toLowerCase() ?? inferred(login)

/**
 * What a login costs: nothing but time; the approval of a person (`person`); or a code that is good for one
 * login (`passcode`).
 */
export type Price = "none" | "person" | "passcode"

export const priceOf = (login: Login): Price => {
  switch (authenticatorOf(login)) {
    case "externalbrowser":
      return "person"
    case "username_password_mfa":
      return login.passcode === undefined ? "person" : "passcode"
    case "snowflake":
      return login.passcode === undefined ? "none" : "passcode"
    default:
      return "none"
  }
}

/**
 * Whether a password is all that the login has: no second factor.
 */
export const isPassword = (login: Login): boolean =>
  authenticatorOf(login) === "snowflake" && login.passcode === undefined

/**
 * Tells one credential from another without holding it.
 */
export const identityOf = (login: Login): string =>
  createHash("sha256")
    .update(
      JSON.stringify(
        Object.entries(login)
          .map(([name, value]) => [name, Redacted.isRedacted(value) ? Redacted.value(value) : value])
          .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
      )
    )
    .digest("hex")

/**
 * The text without the secrets of the login: what others say may quote them.
 */
export const withoutSecrets = (login: Login, text: string): string =>
  Object.values(login).reduce<string>(
    (left, value) =>
      Redacted.isRedacted(value) && typeof Redacted.value(value) === "string" && Redacted.value(value) !== ""
        ? left.replaceAll(String(Redacted.value(value)), "***")
        : left,
    text
  )

/**
 * Left: everything that is wrong.
 */
export const plan = (login: Login): Either.Either<DriverLogin, ReadonlyArray<Fault>> => {
  const faults: Array<Fault> = []
  const out: { [option: string]: string | boolean | number } = {}
  const fault = (setting: string, message: string) => faults.push({ setting, message })
  const need = <A>(setting: string, value: A | undefined, why: string): A | undefined => {
    if (value === undefined) fault(setting, `is needed ${why}`)
    return value
  }
  const put = (option: string, value: string | undefined) => {
    if (value !== undefined) out[option] = value
  }
  const reveal = (value: Redacted.Redacted<string> | undefined) =>
    value === undefined ? undefined : Redacted.value(value)

  const address = login.account === undefined ? undefined : addressOf(login.account)
  if (address === undefined && login.accessUrl === undefined) fault("account", "is needed")
  if (address !== undefined && Either.isLeft(address)) fault("account", address.left)
  if (address !== undefined && Either.isRight(address)) {
    put("account", address.right.account)
    put("accessUrl", `https://${address.right.host}`)
  }
  if (login.accessUrl !== undefined) {
    const url = URL.canParse(login.accessUrl) ? new URL(login.accessUrl) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
      fault("access_url", "expected an address such as https://host without a user or password")
    } else {
      put("accessUrl", url.origin)
      // The driver wants one even where the address says everything.
      if (login.account === undefined) put("account", url.hostname.split(".")[0])
    }
  }

  const authenticator = authenticatorOf(login)
  if (authenticator === undefined) {
    fault("authenticator", `is needed beside a token: "oauth" or "programmatic_access_token"`)
    return Either.left(faults)
  }
  const [meant] = isAuthenticator(authenticator) ? [authenticator] : nearest(authenticator, authenticators, 1)
  if (authenticator !== meant) {
    const okta = authenticator.startsWith("https://")
    const choice = okta
      ? "signing in through Okta's own page is not offered; use externalbrowser"
      : `expected one of ${authenticators.join(", ")}`
    fault("authenticator", choice + (okta || meant === undefined ? "" : ` (did you mean ${meant}?)`))
    // What the one that was meant needs is told at once.
    if (okta || meant === undefined) return Either.left(faults)
  }
  const why = `for the authenticator ${meant}`
  out["authenticator"] = meant.toUpperCase()
  const user = () => put("username", need("user", login.user, why))
  switch (meant) {
    case "snowflake":
    case "username_password_mfa":
      user()
      put("password", reveal(need("password", login.password, why)))
      put("passcode", reveal(login.passcode))
      break
    case "snowflake_jwt": {
      user()
      const pem = reveal(need("private_key", login.privateKey, `(or private_key_file) ${why}`))
      const key = pem === undefined ? undefined : pkcs8(pem, reveal(login.privateKeyPassphrase))
      if (key !== undefined && Either.isLeft(key)) fault("private_key", key.left)
      if (key !== undefined && Either.isRight(key)) out["privateKey"] = key.right
      break
    }
    case "oauth":
      put("username", login.user)
      put("token", reveal(need("token", login.token, `(or token_file) ${why}`)))
      break
    case "programmatic_access_token":
      put("username", login.user)
      put("token", reveal(need("token", login.token ?? login.password, `(or token_file) ${why}`)))
      break
    case "oauth_client_credentials":
      put("username", login.user)
      put("oauthClientId", need("oauth_client_id", login.oauthClientId, why))
      put("oauthClientSecret", reveal(need("oauth_client_secret", login.oauthClientSecret, why)))
      put("oauthTokenRequestUrl", need("oauth_token_request_url", login.oauthTokenRequestUrl, why))
      if (login.oauthTokenRequestUrl !== undefined) {
        const problem = tokenUrlProblem(login.oauthTokenRequestUrl)
        if (problem !== undefined) fault("oauth_token_request_url", problem)
        // Of an identity provider on this machine; the driver refuses it otherwise.
        else if (login.oauthTokenRequestUrl.startsWith("http:")) out["oauthHttpAllowed"] = true
      }
      put("oauthScope", login.oauthScope)
      break
    case "oauth_authorization_code": {
      // The sign-in is our own: the driver gets its token.
      const urls = [
        ["oauth_issuer", login.oauthIssuer],
        ["oauth_authorization_url", login.oauthAuthorizationUrl],
        ["oauth_token_request_url", login.oauthTokenRequestUrl]
      ] as const
      for (const [setting, url] of urls) {
        const problem = url === undefined ? undefined : tokenUrlProblem(url)
        if (problem !== undefined) fault(setting, problem)
      }
      if (login.oauthRedirectUri !== undefined) {
        const problem = redirectProblem(login.oauthRedirectUri)
        if (problem !== undefined) fault("oauth_redirect_uri", problem)
      }
      const named = [login.oauthAuthorizationUrl, login.oauthTokenRequestUrl].filter((it) => it !== undefined)
      if (named.length === 1 && login.oauthIssuer === undefined) {
        fault(
          login.oauthAuthorizationUrl === undefined ? "oauth_authorization_url" : "oauth_token_request_url",
          `(or oauth_issuer) is needed ${why}`
        )
      }
      // Snowflake's own authorization server has a client for this.
      if (named.length > 0 || login.oauthIssuer !== undefined) {
        need("oauth_client_id", login.oauthClientId, why)
      }
      break
    }
    case "externalbrowser":
      put("username", login.user)
      break
    case "workload_identity": {
      const provider = need("workload_identity_provider", login.workloadIdentityProvider, why)?.toUpperCase()
      if (provider !== undefined && !providers.includes(provider)) {
        fault("workload_identity_provider", `expected one of ${providers.join(", ")}`)
      }
      put("workloadIdentityProvider", provider)
      if (provider === "OIDC") put("token", reveal(need("token", login.token, `(or token_file) ${why}`)))
    }
  }
  return faults.length > 0 ? Either.left(faults) : Either.right(out)
}

/**
 * Where the login goes, for people: no user, no secret.
 */
export const where = (login: Login): string =>
  login.accessUrl !== undefined && URL.canParse(login.accessUrl)
    ? new URL(login.accessUrl).host
    : login.account === undefined
      ? "no account"
      : Either.getOrElse(
          Either.map(addressOf(login.account), ({ host }) => host),
          () => "no account"
        )
