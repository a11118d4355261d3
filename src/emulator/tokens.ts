/**
 * The token endpoint: the grant `client_credentials` (RFC 6749, 4.4), and the exchange of a caller's token for one that
 * acts as the caller (RFC 8693), with the refusals of both.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Reply, Request } from "./http.js"
import * as Http from "./http.js"
import type { Identities } from "./identities.js"
import * as Ids from "./ids.js"
import type { Accepted, Logins, OAuthClient } from "./login.js"

const refused = (status: number, error: string, description: string): Reply =>
  Http.json({ error, error_description: description }, status)

/** From the header (`client_secret_basic`) or the body (`client_secret_post`). */
const clientOf = (request: Request, form: URLSearchParams, accepted: Accepted): OAuthClient | undefined => {
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? "")?.[1]
  const decoded = basic === undefined ? undefined : Buffer.from(basic, "base64").toString("utf8").split(":")
  const [id, secret] =
    decoded === undefined
      ? [form.get("client_id") ?? "", form.get("client_secret")]
      : decoded.map((part) => decodeURIComponent(part.replaceAll("+", " ")))
  const client = Object.entries(accepted.clients ?? {}).find(([known]) => known === id)?.[1]
  return client !== undefined && client.secret === secret ? client : undefined
}

/** Tokens that are remembered beyond their end: a client is told that they have ended. */
const MAX_TOKENS = 5_000

const grant = "urn:ietf:params:oauth:grant-type:token-exchange"
const subjectTypes = ["access_token", "jwt", "id_token"].map(
  (type) => `urn:ietf:params:oauth:token-type:${type}`
)

export const tokenFor = (
  request: Request,
  accepted: Accepted,
  logins: Logins,
  identities: Identities | undefined
): Effect.Effect<Reply> =>
  Effect.gen(function* () {
    const form = new URLSearchParams(request.body)
    const type = form.get("grant_type")
    if (type !== "client_credentials" && type !== grant) {
      return refused(400, "unsupported_grant_type", "client_credentials and token exchange are offered.")
    }
    const client = clientOf(request, form, accepted)
    if (client === undefined)
      return refused(401, "invalid_client", "The client id or its secret is not valid.")
    if (client.refusedWith !== undefined) {
      return refused(400, client.refusedWith, `The client is refused with ${client.refusedWith}.`)
    }
    const scope = form.get("scope") ?? ""
    const token = yield* Ids.hex(64)
    if (type === "client_credentials") {
      if (scope !== "" && client.scopes !== undefined && !client.scopes.includes(scope)) {
        return refused(400, "invalid_scope", `The scope ${scope} is not granted to the client.`)
      }
      logins.issued.add(token)
      return Http.json({ access_token: token, token_type: "Bearer", expires_in: 3600 })
    }
    if (client.exchanges !== true) {
      return refused(400, "unauthorized_client", "The client may not exchange tokens.")
    }
    const subjectToken = form.get("subject_token") ?? ""
    if (subjectToken === "" || !subjectTypes.includes(form.get("subject_token_type") ?? "")) {
      return refused(400, "invalid_request", "A subject_token and its type are needed.")
    }
    const target = form.get("audience") ?? form.get("resource")
    if (client.audience !== undefined && target !== client.audience) {
      return refused(400, "invalid_target", "The audience is not this account.")
    }
    // A token that was exchanged cannot be exchanged again.
    const subject = logins.tokens.has(subjectToken) ? undefined : accepted.subjectOf?.(subjectToken)
    if (subject === undefined) {
      return refused(400, "invalid_grant", "The subject token is unknown, revoked or has expired.")
    }
    const user = identities?.userOf(subject.user)
    if (user?.exchangeRefusedWith !== undefined) {
      return refused(400, user.exchangeRefusedWith, `The user is refused with ${user.exchangeRefusedWith}.`)
    }
    const role = /^session:role:(.+)$/.exec(scope)?.[1]?.toUpperCase()
    if (
      role !== undefined &&
      identities !== undefined &&
      typeof identities.roleOf(subject.user, role, role) !== "string"
    ) {
      return refused(400, "invalid_scope", `The user does not have the role ${role}.`)
    }
    const now = yield* Clock.currentTimeMillis
    for (const [old, { endsAt }] of logins.tokens) {
      if (logins.tokens.size <= MAX_TOKENS) break
      if (endsAt <= now) logins.tokens.delete(old)
    }
    logins.tokens.set(token, { user: subject.user.toUpperCase(), role, endsAt: now + accepted.tokenTtlMs })
    return Http.json({
      access_token: token,
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
      token_type: "Bearer",
      expires_in: Math.floor(accepted.tokenTtlMs / 1000),
      scope
    })
  })

/**
 * Where the endpoint is (RFC 8414), for an issuer at the root of the account's address.
 */
export const metadata = ({ url }: Request): Reply =>
  Http.json({
    issuer: url.origin,
    token_endpoint: `${url.origin}/oauth/token-request`,
    grant_types_supported: ["client_credentials", grant],
    token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
    response_types_supported: ["none"]
  })
