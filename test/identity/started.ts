import { Effect } from "effect"
import { existsSync } from "node:fs"
import * as AuthorizationServer from "./authorizationServer.mjs"

export const isInstalled = existsSync(new URL("../../node_modules/oidc-provider", import.meta.url))
if (!isInstalled) console.log("skipped: oidc-provider is not installed (npm ci)")

export const resource = "https://mcp.example.com/mcp"

/** An authorization server that gives tokens for the account, until the scope closes. */
export const authorizationServer = (
  account: () => string,
  roles: { readonly [user: string]: ReadonlyArray<string> } = {},
  clientKey?: object
) =>
  Effect.acquireRelease(
    Effect.promise(() => AuthorizationServer.start({ account, resource, roles, clientKey })),
    ({ stop }) => Effect.promise(stop)
  )
