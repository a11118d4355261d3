// A real authorization server on this machine (`oidc-provider`): authorization code with PKCE, access tokens as JWT, and
// token exchange (RFC 8693) as a grant of our own, since the package has none.
import { createHash, randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose"

const GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
const REDIRECT = "http://127.0.0.1:9/callback"

/** Clients of the exchange, one for each way to authenticate. */
const exchanging = (client_id, token_endpoint_auth_method, more = {}) => ({
  client_id,
  client_secret: "a secret of the exchange",
  redirect_uris: [],
  response_types: [],
  grant_types: [GRANT],
  token_endpoint_auth_method,
  ...more
})

/** Users are called as they log in; each may have the roles named here. */
export const start = async ({ account, resource, roles, clientKey, ttlSeconds = 300 }) => {
  const { Provider, errors } = await import("oidc-provider").then((module) => ({
    Provider: module.Provider ?? module.default,
    errors: module.errors
  }))
  const server = createServer()
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  const issuer = `http://127.0.0.1:${server.address().port}`
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true })
  const key = { ...(await exportJWK(privateKey)), alg: "RS256", use: "sig", kid: "k" }
  const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), alg: "RS256", kid: "k" }] })
  const revoked = new Set()
  const state = { user: undefined, ttlSeconds, aheadMs: 0 }

  /** What a client asks for that names nothing: the person of a server over stdio signs in to the account itself. */
  const usual = (clientId) => (clientId === "person" ? account() : resource)
  const serverOf = (wanted) =>
    wanted === account() ? { scope: "session:role:READER", audience: account() } : servers[wanted]
  const servers = {
    [resource]: { scope: "snowguard:read snowguard:admin", audience: resource },
    [`${resource}/other`]: { scope: "snowguard:read", audience: `${resource}/other` }
  }
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(16).toString("hex")] },
    clients: [
      {
        client_id: "agent",
        redirect_uris: [REDIRECT],
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code"],
        response_types: ["code"],
        application_type: "native"
      },
      {
        client_id: "person",
        redirect_uris: ["http://127.0.0.1/back"],
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        application_type: "native"
      },
      exchanging("snowguard", "client_secret_basic"),
      exchanging("snowguard-post", "client_secret_post"),
      ...(clientKey === undefined
        ? []
        : [
            exchanging("snowguard-key", "private_key_jwt", {
              client_secret: undefined,
              jwks: { keys: [clientKey] },
              token_endpoint_auth_signing_alg: clientKey.alg
            })
          ])
    ],
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    ttl: { Interaction: 600, Session: 600, Grant: 600, AuthorizationCode: 60 },
    issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_, client) => usual(client.clientId),
        useGrantedResource: () => true,
        getResourceServerInfo: (_, wanted) => {
          const found = serverOf(wanted)
          if (found === undefined) throw new errors.InvalidTarget()
          return {
            ...found,
            accessTokenFormat: "jwt",
            accessTokenTTL: state.ttlSeconds,
            jwt: { sign: { alg: "RS256" } }
          }
        }
      }
    }
  })

  const given = []
  provider.on("grant.success", ({ body }) => {
    for (const token of [body.access_token, body.refresh_token]) if (token !== undefined) given.push(token)
  })

  provider.registerGrantType(
    GRANT,
    async (ctx) => {
      const { client, params } = ctx.oidc
      const verified = await jwtVerify(params.subject_token ?? "", keys, {
        issuer,
        audience: resource,
        currentDate: new Date(Date.now() + state.aheadMs)
      }).catch(() => undefined)
      if (verified === undefined || revoked.has(verified.payload.jti)) {
        throw new errors.InvalidGrant("the subject token is not good")
      }
      if (params.audience !== account()) throw new errors.InvalidTarget()
      const user = verified.payload.sub
      const role = /^session:role:(.+)$/.exec(params.scope ?? "")?.[1]
      if (role === undefined || !(roles[user] ?? []).includes(role)) {
        throw new errors.InvalidScope("the user does not have the role", params.scope)
      }
      const token = new provider.AccessToken({
        accountId: user,
        client,
        scope: params.scope,
        gty: "token_exchange"
      })
      token.resourceServer = new provider.ResourceServer(params.audience, {
        scope: params.scope,
        audience: params.audience,
        accessTokenFormat: "jwt",
        accessTokenTTL: 60,
        jwt: { sign: { alg: "RS256" } }
      })
      ctx.body = {
        access_token: await token.save(),
        issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
        token_type: "Bearer",
        expires_in: 60,
        scope: params.scope
      }
    },
    ["subject_token", "subject_token_type", "audience", "scope", "requested_token_type"]
  )

  /** The login and the consent of `state.user`. */
  const interact = async (request, response) => {
    const { params, prompt, session } = await provider.interactionDetails(request, response)
    if (state.user === "refuses") {
      return provider.interactionFinished(request, response, { error: "access_denied" })
    }
    if (prompt.name === "login") {
      return provider.interactionFinished(request, response, { login: { accountId: state.user } })
    }
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
    grant.addOIDCScope("openid")
    for (const wanted of [params.resource ?? usual(params.client_id)].flat())
      grant.addResourceScope(wanted, params.scope)
    return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
  }
  const callback = provider.callback()
  server.on("request", (request, response) => {
    if (!request.url.startsWith("/interaction/")) return callback(request, response)
    interact(request, response).catch((error) => response.writeHead(500).end(String(error)))
  })

  /** A browser: where the redirects from an address lead. */
  const follow = async (from, isEnd) => {
    const cookies = new Map()
    let at = from
    for (let hop = 0; hop < 12 && !isEnd(at); hop++) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ")
      const response = await fetch(at, { redirect: "manual", headers: { cookie } })
      for (const one of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(one)
        if (value === "") cookies.delete(name)
        else cookies.set(name, value)
      }
      const location = response.headers.get("location")
      if (location === null) throw new Error(`${response.status} at ${at}: ${await response.text()}`)
      at = new URL(location, issuer).href
    }
    return at
  }

  /** Where the browser comes back to when the user signs in at an address. */
  const comeBack = (url, user) => {
    state.user = user
    const { searchParams } = new URL(url)
    return follow(url, (at) => at.startsWith(searchParams.get("redirect_uri")))
  }

  /** An access token of the user, by authorization code with PKCE, as a browser and an agent get it. */
  const signIn = async (
    user,
    { scope = "openid snowguard:read", wanted = resource, seconds = ttlSeconds } = {}
  ) => {
    Object.assign(state, { user, ttlSeconds: seconds })
    const verifier = randomBytes(32).toString("base64url")
    const query = new URLSearchParams({
      client_id: "agent",
      response_type: "code",
      redirect_uri: REDIRECT,
      scope,
      resource: wanted,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256"
    })
    const at = await follow(`${issuer}/auth?${query.toString()}`, (at) => at.startsWith(REDIRECT))
    const code = new URL(at).searchParams.get("code")
    if (code === null) throw new Error(`no code: ${at}`)
    const response = await fetch(`${issuer}/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: "agent",
        code,
        redirect_uri: REDIRECT,
        code_verifier: verifier,
        resource: wanted
      })
    })
    const { access_token: token } = await response.json()
    return token
  }

  return {
    issuer,
    signIn,
    comeBack,
    /** All tokens that it has given out, but for those of identity. */
    given: () => [...given],
    /** Its clock goes ahead of the server's, for the tokens that it is shown. */
    ahead: (ms) => void (state.aheadMs = ms),
    revoke: (token) => revoked.add(JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString()).jti),
    /** Whom a token for Snowflake stands for. */
    userOf: async (token) => {
      const verified = await jwtVerify(token, keys, { issuer, audience: account() }).catch(() => undefined)
      if (verified === undefined) return undefined
      const { exp, scope, sub } = verified.payload
      return { user: sub.toUpperCase(), role: scope.replace(/^session:role:/, ""), endsAt: exp * 1000 }
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(resolve)
      })
  }
}
