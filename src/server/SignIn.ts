/**
 * The settings of the sign-in by the browser (`snowflake.authenticator = "oauth_authorization_code"`) as its options,
 * and the file that its refresh token is kept in where `snowflake.oauth_keep` says so.
 *
 * | authorization server | client | scope when not set |
 * |---|---|---|
 * | the account (nothing is set) | Snowflake's own for local programs | `refresh_token session:role:ROLE` |
 * | `oauth_issuer`, or its endpoints | `oauth_client_id` | `offline_access session:role:ROLE`, or `session:role-any` |
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { createHash } from "node:crypto"
import { readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import type { Settings } from "../config/Settings.js"
import * as Directories from "../platform/directories.js"
import { codeOf, reasonOf } from "../platform/fileReasons.js"
import * as OtherWriters from "../platform/otherWriters.js"
import { replaceFile } from "../platform/replaceFile.js"
import type { Cache, Options } from "../warehouse/snowflake/signIn.js"
import { accountUrl } from "./TokenExchange.js"

/** The client that Snowflake has for programs on a person's machine; its secret is none. */
const LOCAL_APPLICATION = "LOCAL_APPLICATION"

/** As the driver does: the program that the system has for addresses; where there is none, the person has the address. */
const browse = (url: string): Effect.Effect<void> =>
  Effect.ignore(
    Effect.tryPromise(async () => {
      const { default: open } = await import("open")
      const child = await open(url)
      child.on("error", () => undefined)
    })
  )

/**
 * Of settings without faults.
 *
 * @since 0.1.0
 * @category constructors
 */
export const options = (
  settings: Settings,
  directory: Either.Either<string, string>,
  awaitApproval: Options["awaitApproval"]
): Options => {
  const { snowflake } = settings
  const { oauthAuthorizationUrl, oauthClientId, oauthIssuer, oauthTokenRequestUrl, role } = snowflake
  const account = accountUrl(settings) ?? ""
  const isOwn =
    oauthIssuer === undefined && oauthAuthorizationUrl === undefined && oauthTokenRequestUrl === undefined
  const ofRole = role === undefined ? [] : [`session:role:${role}`]
  const scope = isOwn
    ? ["refresh_token", ...ofRole]
    : ["offline_access", ...(role === undefined ? ["session:role-any"] : ofRole)]
  const isLocal = isOwn && oauthClientId === undefined
  const found: Options = {
    issuer: oauthIssuer,
    authorizationUrl: isOwn ? `${account}/oauth/authorize` : oauthAuthorizationUrl,
    tokenUrl: isOwn ? `${account}/oauth/token-request` : oauthTokenRequestUrl,
    clientId: oauthClientId ?? LOCAL_APPLICATION,
    clientSecret: isLocal ? Redacted.make(LOCAL_APPLICATION) : snowflake.oauthClientSecret,
    scope: snowflake.oauthScope ?? scope.join(" "),
    redirectUri: snowflake.oauthRedirectUri ?? "http://127.0.0.1",
    approvalMs: snowflake.approvalSeconds * 1000,
    browse,
    awaitApproval
  }
  if (!snowflake.oauthKeep) return found
  const { authorizationUrl, clientId, issuer, tokenUrl } = found
  return {
    ...found,
    cache: fileOf(directory, [
      account,
      snowflake.user,
      issuer,
      authorizationUrl,
      tokenUrl,
      clientId,
      found.scope
    ])
  }
}

const untold = (path: string, problem: string) =>
  Effect.annotateLogs(
    Effect.logWarning("the sign-in to Snowflake is kept in memory only: its file cannot be used"),
    { path, problem }
  )

/** A file for each sign-in: the token of another account, user or client is not taken for it. */
const fileOf = (
  directory: Either.Either<string, string>,
  what: ReadonlyArray<string | undefined>
): Cache | undefined => {
  if (Either.isLeft(directory)) return undefined
  const hash = createHash("sha256").update(JSON.stringify(what.map((it) => it ?? null)))
  return file(directory.right, join(directory.right, `sign-in-${hash.digest("hex").slice(0, 16)}.token`))
}

const file = (directory: string, path: string): Cache => ({
  read: Effect.tryPromise({
    try: async () => {
      const problem = OtherWriters.problem(path)
      return problem === undefined ? { text: (await readFile(path, "utf8")).trim() } : { problem }
    },
    catch: (cause) => cause
  }).pipe(
    Effect.flatMap((found) =>
      found.text === undefined
        ? Effect.as(untold(path, found.problem), undefined)
        : Effect.succeed(found.text === "" ? undefined : Redacted.make(found.text))
    ),
    Effect.catchAll((cause) =>
      codeOf(cause) === "ENOENT"
        ? Effect.succeed(undefined)
        : Effect.as(untold(path, reasonOf(cause)), undefined)
    )
  ),
  write: (token) =>
    Effect.tryPromise({
      try: async () => {
        Directories.make(directory)
        await replaceFile(path, `${Redacted.value(token)}\n`)
      },
      catch: reasonOf
    }).pipe(Effect.catchAll((problem) => untold(path, problem))),
  remove: Effect.tryPromise({ try: () => rm(path, { force: true }), catch: reasonOf }).pipe(
    Effect.catchAll((problem) => untold(path, problem))
  )
})
