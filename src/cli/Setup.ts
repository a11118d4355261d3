/**
 * A first configuration: from a few answers to the text of `snowguard.toml`, and to how a client starts the server with
 * it. No secret is among the answers: what is secret stays in a file of its own, or in the environment. Pure.
 *
 * @since 0.1.0
 */
import { stringify } from "smol-toml"
import type { Launch } from "./clients.js"

/**
 * How the user of an account logs in.
 *
 * @since 0.1.0
 * @category models
 */
export type Login =
  | { readonly _tag: "key"; readonly file: string; readonly isEncrypted: boolean }
  | { readonly _tag: "token"; readonly file: string }
  | { readonly _tag: "password" }
  | { readonly _tag: "sso" }

/**
 * What the server is to serve. Paths are absolute.
 *
 * @since 0.1.0
 * @category models
 */
export type Source =
  | { readonly _tag: "sample" }
  | { readonly _tag: "files"; readonly files: ReadonlyArray<string> }
  | { readonly _tag: "connection"; readonly name: string }
  | {
      readonly _tag: "account"
      readonly account: string
      readonly user: string
      readonly login: Login
      readonly role: string | undefined
      readonly warehouse: string | undefined
    }

/**
 * The variables that have to be set where the server starts.
 *
 * @since 0.1.0
 * @category combinators
 */
export const secretsOf = (source: Source): ReadonlyArray<string> =>
  source._tag !== "account"
    ? []
    : source.login._tag === "password"
      ? ["SNOWFLAKE_PASSWORD"]
      : source.login._tag === "key" && source.login.isEncrypted
        ? ["SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"]
        : []

const login = (how: Login): { readonly [name: string]: string } => {
  switch (how._tag) {
    case "key":
      return { authenticator: "snowflake_jwt", private_key_file: how.file }
    case "token":
      return { authenticator: "programmatic_access_token", token_file: how.file }
    case "password":
      return { authenticator: "snowflake" }
    case "sso":
      return { authenticator: "oauth_authorization_code" }
  }
}

const settings = (source: Source) => {
  switch (source._tag) {
    case "sample":
      return { warehouse: "duckdb" }
    case "files":
      return { warehouse: "duckdb", duckdb: { load: [...source.files] } }
    case "connection":
      return { warehouse: "snowflake", snowflake: { connection: source.name } }
    case "account": {
      const { account, role, user, warehouse } = source
      return {
        warehouse: "snowflake",
        snowflake: {
          account,
          user,
          ...login(source.login),
          ...(role === undefined ? {} : { role }),
          ...(warehouse === undefined ? {} : { warehouse })
        }
      }
    }
  }
}

/**
 * The text of the file.
 *
 * @since 0.1.0
 * @category rendering
 */
export const document = (source: Source): string =>
  [
    "# Written by snowguard init. snowguard --print-config shows all settings that are in effect.",
    ...secretsOf(source).map((variable) => `# ${variable} is read from the environment.`),
    "",
    stringify(settings(source)).trimEnd(),
    ""
  ].join("\n")

/**
 * Stands where a person has to put a secret.
 *
 * @since 0.1.0
 * @category constants
 */
export const placeholder = "REPLACE_ME"

/**
 * How a client starts the server with this file.
 *
 * @since 0.1.0
 * @category combinators
 */
export const launch = (
  source: Source,
  { file, program }: { readonly file: string; readonly program: readonly [command: string, script: string] }
): Launch => ({
  command: program[0],
  args: [program[1]],
  env: {
    SNOWGUARD_CONFIG: file,
    ...Object.fromEntries(secretsOf(source).map((variable) => [variable, placeholder]))
  }
})
