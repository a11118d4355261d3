import { expect, it } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import * as Emulator from "../../src/emulator/Emulator.js"
import { Authenticator } from "../../src/mcp/auth/Auth.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Authentication from "../../src/server/Authentication.js"
import * as Server from "../../src/server/Server.js"
import { Toolbox } from "../../src/tools/Toolbox.js"
import { settingsOf } from "../config/samples.js"
import { authorizationServer, isInstalled, resource } from "./started.js"

it.scopedLive.skipIf(!isInstalled)(
  "a caller signs in by PKCE, and its statements run as itself; every other token is refused",
  () =>
    Effect.gen(function* () {
      let account = ""
      const server = yield* authorizationServer(() => account, { ann: ["READER"], bob: ["READER"], eve: [] })
      const ran: Array<string> = []
      const emulator = yield* Emulator.start({
        directory: {
          users: { ANN: { roles: ["READER"] }, BOB: { roles: ["READER"] } },
          roles: { READER: { reads: ["SNOWGUARD_SAMPLE"] } }
        },
        tokenUser: (token) => Effect.promise(() => server.userOf(token)),
        onStatement: ({ role, secondaryRoles, session, sql }) =>
          void ran.push(`${session.user} ${role} ${String(secondaryRoles)}: ${sql}`)
      })
      account = emulator.url
      const settings = settingsOf({
        document: {
          warehouse: "snowflake",
          quota_store: { kind: "memory" },
          auth: { mode: "oauth", issuer: server.issuer, resource, scopes: ["snowguard:read"] },
          snowflake: {
            access_url: emulator.url,
            account: "emulator",
            identity: "exchange",
            role: "READER",
            warehouse: "WH"
          },
          exchange: { client_id: "snowguard", client_secret: "a secret of the exchange" }
        }
      })
      const context = yield* Layer.build(
        Layer.merge(
          Server.layer(settings),
          Authentication.layer(settings, { host: "127.0.0.1", keysPath: Effect.succeed("/nowhere") })
        )
      )
      const ask = (token: string, sql = "SELECT CURRENT_USER() AS U") =>
        Effect.gen(function* () {
          const { authenticate } = yield* Authenticator
          const { principal } = yield* authenticate({
            authorization: `Bearer ${token}`,
            address: "127.0.0.1"
          })
          const { get } = yield* Toolbox
          const answer = yield* Effect.provideService(
            get("execute_query")!.handler({ sql }, { progress: () => Effect.void }),
            Principal.CurrentPrincipal,
            principal
          )
          return (answer as { readonly rows: ReadonlyArray<ReadonlyArray<unknown>> }).rows
        }).pipe(Effect.provide(context), Effect.either)
      const signIn = (...args: Parameters<typeof server.signIn>) =>
        Effect.promise(() => server.signIn(...args))

      const ann = yield* signIn("ann")
      expect(yield* ask(ann)).toEqual(Either.right([["ANN"]]))
      expect(yield* ask(yield* signIn("bob"))).toEqual(Either.right([["BOB"]]))
      // The caller's own token is for this server, and opens nothing in Snowflake.
      expect(yield* Effect.promise(() => server.userOf(ann))).toBeUndefined()

      const refused = (token: string) => Effect.map(ask(token), Either.flip)
      const before = ran.length
      expect(
        Either.getOrThrow(yield* refused(yield* signIn("ann", { wanted: `${resource}/other` })))
      ).toMatchObject({
        _tag: "AuthRefused",
        reason: "invalid"
      })
      expect(Either.getOrThrow(yield* refused(yield* signIn("ann", { scope: "openid" })))).toMatchObject({
        _tag: "AuthRefused",
        reason: "insufficient-scope"
      })
      // No role in Snowflake; and no way to the server's own user.
      expect(Either.getOrThrow(yield* refused(yield* signIn("eve")))).toMatchObject({
        reason: "Authentication",
        code: "invalid_scope"
      })
      const revoked = yield* signIn("dan")
      server.revoke(revoked)
      expect(Either.getOrThrow(yield* refused(revoked))).toMatchObject({
        reason: "Authentication",
        code: "invalid_grant"
      })
      expect(ran.length).toBe(before)
      expect(ran.filter((one) => one.includes("SELECT CURRENT_USER() AS U"))).toEqual([
        expect.stringMatching(/^ANN READER NONE: /),
        expect.stringMatching(/^BOB READER NONE: /)
      ])
    })
)
