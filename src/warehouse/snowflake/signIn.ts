/**
 * One person signs in by the browser: OAuth authorization code with PKCE, on a port of this machine (RFC 8252). The
 * driver's own authenticator of that name keeps tokens where the user did not say so, and cannot be ended.
 *
 * ```
 * token --kept, not due--> it
 *    |---- under way already --> waits for that a little, then says what the person has to do
 *    |---- a refresh token, in memory or in the file --> renewed
 *    '---- none: listens, opens the browser, waits for the person, exchanges the code
 * ```
 *
 * Invariants
 * 1. One sign-in at a time for all calls. It goes on when they have left, and ends within `approvalMs`.
 * 2. A call waits for it no longer than `waitMs`: it is told the URL, and comes again.
 * 3. A code is taken from the redirect that carries the `state` of this sign-in; others are refused and end nothing.
 * 4. Tokens are in memory only, but for the refresh token where there is a file for it. No error holds one.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as OAuth from "oauth4webapi"
import { createServer } from "node:http"
import type { ServerResponse } from "node:http"
import { isSafe } from "../../platform/loopback.js"
import { monotonicMillis } from "../../platform/monotonic.js"
import * as UnderWay from "../../platform/underWay.js"
import { WarehouseError } from "../Warehouse.js"
import type { Kept, TokenFailed } from "./tokenEndpoint.js"
import * as TokenEndpoint from "./tokenEndpoint.js"

export interface Options {
  /** Where the endpoints are found by, unless both are named. */
  readonly issuer: string | undefined
  readonly authorizationUrl: string | undefined
  readonly tokenUrl: string | undefined
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted<string> | undefined
  readonly scope: string | undefined
  /** A loopback address; without a port, any that is free. */
  readonly redirectUri: string
  /** Milliseconds that the person has. */
  readonly approvalMs: number
  /** Milliseconds that a call waits for it. Default 2,000. */
  readonly waitMs?: number | undefined
  /** Milliseconds for one request. Default 10,000. */
  readonly timeoutMs?: number | undefined
  readonly browse: (url: string) => Effect.Effect<void>
  /** Told that a person is waited for, until what it returns is run. */
  readonly awaitApproval: Effect.Effect<Effect.Effect<void>>
  /** Where the refresh token survives a restart. */
  readonly cache?: Cache | undefined
}

export interface Cache {
  readonly read: Effect.Effect<Redacted.Redacted<string> | undefined>
  readonly write: (token: Redacted.Redacted<string>) => Effect.Effect<void>
  readonly remove: Effect.Effect<void>
}

export interface SignIn {
  /** A token that has not ended. */
  readonly token: Effect.Effect<Redacted.Redacted<string>, WarehouseError>
  /** It has ended before its time: the next one is asked for. */
  readonly forget: (token: Redacted.Redacted<string>) => Effect.Effect<void>
  /** The account does not take the person: the next sign-in starts anew. */
  readonly refused: Effect.Effect<void>
  /** What a caller is told that waits no longer. */
  readonly pending: Effect.Effect<WarehouseError>
}

type Endpoints = TokenEndpoint.Server & { readonly authorization_endpoint: string }

interface Arrived {
  readonly parameters: URLSearchParams
  readonly response: ServerResponse
}

interface Back {
  readonly code: URLSearchParams
  readonly response: ServerResponse
}

const notThisSignIn = "This is not the sign-in that is waited for."

/** Milliseconds after which a call may look again. */
const AGAIN_MS = 5_000
const WAIT_MS = 2_000
const TIMEOUT_MS = 10_000

const later = (description: string): WarehouseError =>
  new WarehouseError({ reason: "LoginUnavailable", description, sent: "no", retryAfterMs: AGAIN_MS })

const wrong = (description: string): WarehouseError =>
  new WarehouseError({ reason: "Configuration", description, sent: "no" })

const notReached = later(
  "The authorization server of the sign-in (snowflake.oauth_issuer) cannot be reached."
)

/** What the authorization server says, at its token endpoint or in the redirect. */
const failedAs = ({ kind, said }: TokenFailed): WarehouseError => {
  switch (kind) {
    case "client":
    case "scope":
      return wrong(
        `The authorization server does not take the sign-in (${said}): correct the client, its redirect URI or ` +
          "the scope (snowflake.oauth_*)."
      )
    case "refused":
      return new WarehouseError({
        reason: "Authentication",
        description: `The sign-in to Snowflake was refused (${said}).`,
        sent: "no"
      })
    default:
      return later(`The authorization server of the sign-in (snowflake.oauth_issuer) ${said}.`)
  }
}

const stopped = later("The sign-in was given up.")

const page = (text: string): string =>
  `<!doctype html><meta charset="utf-8"><title>Snowguard</title><p style="font:1.1em system-ui;margin:3em">${text}</p>`

const answer = (response: ServerResponse, status: number, text: string): void => {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    connection: "close"
  })
  response.end(page(text))
}

export const make = (options: Options): Effect.Effect<SignIn, never, Scope.Scope> =>
  Effect.gen(function* () {
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
    const scope = yield* Effect.scope
    const library = yield* Effect.cached(Effect.promise(() => import("oauth4webapi")))
    const client: OAuth.Client = { client_id: options.clientId }

    // Touched in synchronous steps only.
    let kept: Kept | undefined
    let refresh: Redacted.Redacted<string> | undefined
    let hasRead = options.cache === undefined
    const signingIn: UnderWay.UnderWay<Kept, WarehouseError> = { underWay: undefined }
    let shown: string | undefined

    const pending = Effect.sync(() =>
      shown === undefined
        ? later("The sign-in to Snowflake is under way.")
        : later(
            `A person has to sign in to Snowflake first: open ${shown} in a browser on the machine of this server (it was ` +
              "opened if there is one), then call again. Tell the user, and give the whole address."
          )
    )

    const endpoints = (oauth: typeof OAuth): Effect.Effect<Endpoints, WarehouseError> => {
      const { authorizationUrl, issuer, tokenUrl } = options
      const found =
        authorizationUrl !== undefined && tokenUrl !== undefined
          ? Effect.succeed<OAuth.AuthorizationServer>({ issuer: issuer ?? new URL(tokenUrl).origin })
          : Effect.tryPromise({
              try: (signal) => TokenEndpoint.discovered(oauth, issuer ?? "", signal),
              catch: () => notReached
            }).pipe(Effect.timeoutFail({ duration: timeoutMs, onTimeout: () => notReached }))
      return Effect.flatMap(found, (server) => {
        const authorization_endpoint = authorizationUrl ?? server.authorization_endpoint
        const token_endpoint = tokenUrl ?? server.token_endpoint
        return authorization_endpoint === undefined ||
          token_endpoint === undefined ||
          !isSafe(authorization_endpoint)
          ? Effect.fail(
              wrong("The authorization server (snowflake.oauth_issuer) names no endpoint for a sign-in.")
            )
          : Effect.succeed({ ...server, authorization_endpoint, token_endpoint })
      })
    }

    const secret = options.clientSecret === undefined ? "" : Redacted.value(options.clientSecret)
    const authOf = (oauth: typeof OAuth) => (secret === "" ? oauth.None() : oauth.ClientSecretPost(secret))

    /** What the token endpoint says to a grant. */
    const granted = (
      oauth: typeof OAuth,
      server: Endpoints,
      secrets: ReadonlyArray<string>,
      ask: (options: OAuth.TokenEndpointRequestOptions) => Promise<Response>
    ) =>
      TokenEndpoint.granted(oauth, server, client, [secret, ...secrets], ask).pipe(
        TokenEndpoint.inTime(timeoutMs),
        Effect.mapError(failedAs),
        Effect.tap((given) => {
          if (given.refresh === undefined) return Effect.void
          refresh = given.refresh
          return options.cache?.write(refresh) ?? Effect.void
        })
      )

    const dropRefresh = Effect.suspend(() => {
      refresh = undefined
      return options.cache === undefined ? Effect.void : options.cache.remove
    })

    const renewed = (oauth: typeof OAuth, server: Endpoints, token: Redacted.Redacted<string>) => {
      const text = Redacted.value(token)
      return granted(oauth, server, [text], (more) =>
        oauth.refreshTokenGrantRequest(server, client, authOf(oauth), text, more)
      )
    }

    /** The redirects that arrive while the scope is open, and where. */
    const listening = (arrive: (arrived: Arrived) => void) => {
      const wanted = new URL(options.redirectUri)
      return Effect.map(
        Effect.acquireRelease(
          Effect.async<ReturnType<typeof createServer>, WarehouseError>((resume) => {
            const server = createServer((request, response) => {
              const path = request.url ?? ""
              const url = URL.canParse(path, wanted.href) ? new URL(path, wanted) : undefined
              if (request.method !== "GET" || url?.pathname !== wanted.pathname) {
                answer(response, 404, "There is nothing here.")
              } else arrive({ parameters: url.searchParams, response })
            })
            server.once("error", () =>
              resume(
                Effect.fail(
                  wrong(
                    `The sign-in cannot listen at ${options.redirectUri} (snowflake.oauth_redirect_uri): another program does.`
                  )
                )
              )
            )
            server.listen(Number(wanted.port || 0), wanted.hostname === "[::1]" ? "::1" : "127.0.0.1", () =>
              resume(Effect.succeed(server))
            )
          }),
          (server) =>
            Effect.sync(() => {
              server.close()
              server.closeIdleConnections()
            })
        ),
        (server) => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          const path = wanted.pathname === "/" && !options.redirectUri.endsWith("/") ? "" : wanted.pathname
          return `http://${wanted.hostname}:${port}${path}`
        }
      )
    }

    /** The first redirect that is of this sign-in. */
    const redirects = (oauth: typeof OAuth, server: Endpoints, state: string) => {
      let settle: ((back: Effect.Effect<Back, WarehouseError>) => void) | undefined
      const first = new Promise<Effect.Effect<Back, WarehouseError>>((resolve) => {
        settle = resolve
      })
      const arrive = ({ parameters, response }: Arrived): void => {
        // Of a server that is not known by an issuer, the name says nothing.
        if (options.issuer === undefined) parameters.delete("iss")
        try {
          const code = oauth.validateAuthResponse(server, client, parameters, state)
          if (settle === undefined) return answer(response, 400, notThisSignIn)
          settle(Effect.succeed({ code, response }))
        } catch (cause) {
          if (!(cause instanceof oauth.AuthorizationResponseError))
            return answer(response, 400, notThisSignIn)
          answer(response, 403, "The sign-in was refused. You can close this window.")
          settle?.(Effect.fail(failedAs(TokenEndpoint.refusal(cause.error, cause.error_description, []))))
        }
        settle = undefined
      }
      return { arrive, back: Effect.flatten(Effect.promise(() => first)) }
    }

    const byPerson = (oauth: typeof OAuth, server: Endpoints) =>
      Effect.scoped(
        Effect.gen(function* () {
          const verifier = oauth.generateRandomCodeVerifier()
          const challenge = yield* Effect.promise(() => oauth.calculatePKCECodeChallenge(verifier))
          const state = oauth.generateRandomState()
          const { arrive, back } = redirects(oauth, server, state)
          const redirectUri = yield* listening(arrive)
          const url = new URL(server.authorization_endpoint)
          for (const [name, value] of Object.entries({
            response_type: "code",
            client_id: options.clientId,
            redirect_uri: redirectUri,
            scope: options.scope,
            state,
            code_challenge: challenge,
            code_challenge_method: "S256"
          })) {
            if (value !== undefined) url.searchParams.set(name, value)
          }
          yield* Effect.acquireRelease(
            Effect.sync(() => {
              shown = url.href
            }),
            () =>
              Effect.sync(() => {
                shown = undefined
              })
          )
          yield* Effect.acquireRelease(options.awaitApproval, (over) => over)
          yield* Effect.logWarning(`sign in to Snowflake: open ${url.href}`)
          yield* options.browse(url.href)
          const { code, response } = yield* Effect.timeoutFail(back, {
            duration: options.approvalMs,
            onTimeout: () =>
              later(
                `The sign-in to Snowflake was not finished within ${Math.round(options.approvalMs / 1000)} seconds; the next ` +
                  "call begins another."
              )
          })
          return yield* granted(oauth, server, [code.get("code") ?? "", verifier], (more) =>
            oauth.authorizationCodeGrantRequest(
              server,
              client,
              authOf(oauth),
              code,
              redirectUri,
              verifier,
              more
            )
          ).pipe(
            Effect.onExit((exit) =>
              Effect.sync(() =>
                Exit.isSuccess(exit)
                  ? answer(response, 200, "You are signed in to Snowflake. You can close this window.")
                  : answer(response, 502, "The sign-in did not succeed; the log of Snowguard says why.")
              )
            )
          )
        })
      )

    const obtained = Effect.gen(function* () {
      const oauth = yield* library
      if (!hasRead && options.cache !== undefined) {
        hasRead = true
        refresh ??= yield* options.cache.read
      }
      const server = yield* endpoints(oauth)
      const known = refresh
      if (known === undefined) return yield* byPerson(oauth, server)
      return yield* Effect.catchIf(
        renewed(oauth, server, known),
        // It has ended, or was revoked: the person signs in again.
        ({ reason }) => reason !== "LoginUnavailable",
        () => Effect.zipRight(dropRefresh, byPerson(oauth, server))
      )
    })

    const asked = UnderWay.join(signingIn, () => obtained, {
      scope,
      settled: (exit) =>
        Effect.sync(() => {
          if (Exit.isSuccess(exit)) kept = exit.value
        }),
      stopped
    })

    const token = Effect.flatMap(monotonicMillis, (now) => {
      const known = kept
      if (known !== undefined && now < known.renewAt) return Effect.succeed(known.token)
      return Effect.flatMap(asked, Deferred.await).pipe(
        Effect.map(({ token }) => token),
        Effect.timeoutFail({ duration: options.waitMs ?? WAIT_MS, onTimeout: () => undefined }),
        Effect.catchAll((failure) =>
          // It is good until it ends, whatever the renewal waits for.
          known !== undefined && now < known.endsAt
            ? Effect.succeed(known.token)
            : failure === undefined
              ? Effect.flatMap(pending, Effect.fail)
              : Effect.fail(failure)
        )
      )
    })

    return {
      token,
      forget: (used) =>
        Effect.sync(() => {
          if (kept !== undefined && Redacted.value(kept.token) === Redacted.value(used)) kept = undefined
        }),
      refused: Effect.suspend(() => {
        kept = undefined
        return dropRefresh
      }),
      pending
    }
  })
