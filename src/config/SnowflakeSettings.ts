/**
 * The settings of a Snowflake account. Each is also read under the names that Snowflake's own tools and
 * other servers use (`SNOWFLAKE_ACCOUNT`), after the server's own; what neither says may be in a connection
 * of the files that those tools share (`Connections`).
 *
 * @since 0.1.0
 */
import { boolean, integer, number, path, secret, text } from "./Setting.js"
import { seconds } from "./Tiers.js"

const word = (about: string, ...aliases: ReadonlyArray<string>) =>
  text({ pattern: /^[^\p{Cc}]{1,512}$/u, expected: "a text on one line", about, aliases })

const file = (about: string, ...aliases: ReadonlyArray<string>) => path({ about, aliases })

const hidden = (about: string, ...aliases: ReadonlyArray<string>) =>
  secret({ pattern: /^[^\0]{1,100000}$/s, expected: "a text", about, aliases })

/**
 * @since 0.1.0
 * @category constants
 */
export const fields = {
  account: word("account identifier, for example `myorg-myaccount`", "SNOWFLAKE_ACCOUNT"),
  user: word("who logs in", "SNOWFLAKE_USER", "SNOWFLAKE_USERNAME"),
  role: word("role of the sessions; give it read access and no more", "SNOWFLAKE_ROLE"),
  warehouse: word("warehouse that queries run in", "SNOWFLAKE_WAREHOUSE"),
  database: word("database that names without one are looked up in", "SNOWFLAKE_DATABASE"),
  schema: word("schema that names without one are looked up in", "SNOWFLAKE_SCHEMA"),
  authenticator: word(
    "`snowflake`, `username_password_mfa`, `snowflake_jwt`, `oauth`, `oauth_client_credentials`, " +
      "`programmatic_access_token`, `externalbrowser` or `workload_identity`; found out when it is clear",
    "SNOWFLAKE_AUTHENTICATOR"
  ),
  password: hidden("password of the user", "SNOWFLAKE_PASSWORD"),
  passcode: hidden(
    "one-time code of the second factor; good for one session, which serves all databases of one role",
    "SNOWFLAKE_PASSCODE"
  ),
  private_key: hidden("private key of the user in PEM form", "SNOWFLAKE_PRIVATE_KEY"),
  private_key_file: file(
    "file with the private key; read at each login",
    "SNOWFLAKE_PRIVATE_KEY_FILE",
    "SNOWFLAKE_PRIVATE_KEY_PATH"
  ),
  private_key_passphrase: hidden(
    "what the private key is encrypted with",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
    "SNOWFLAKE_PRIVATE_KEY_FILE_PWD"
  ),
  token: hidden("OAuth or programmatic access token", "SNOWFLAKE_TOKEN"),
  token_file: file("file with the token; read at each login", "SNOWFLAKE_TOKEN_FILE_PATH"),
  oauth_client_id: word("client id for `oauth_client_credentials`", "SNOWFLAKE_OAUTH_CLIENT_ID"),
  oauth_client_secret: hidden("its secret", "SNOWFLAKE_OAUTH_CLIENT_SECRET"),
  oauth_token_request_url: word("where its tokens are issued", "SNOWFLAKE_OAUTH_TOKEN_REQUEST_URL"),
  oauth_scope: word("scope of its tokens", "SNOWFLAKE_OAUTH_SCOPE"),
  workload_identity_provider: word("`AWS`, `AZURE`, `GCP` or `OIDC`", "SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER"),
  access_url: word("address of a private endpoint instead of the account's own", "SNOWFLAKE_ACCESS_URL"),
  connection: word(
    "connection of Snowflake's `connections.toml` or `config.toml` that fills in what is not set; `--connection` " +
      "comes before it",
    "SNOWFLAKE_DEFAULT_CONNECTION_NAME"
  ),
  login_seconds: number({ ...seconds, default: 15, about: "a login" }),
  approval_seconds: number({
    ...seconds,
    default: 120,
    about:
      "a login that a person approves (push notification, browser); there is one for each role, and its session " +
      "serves all databases"
  }),
  fetch_seconds: number({ ...seconds, default: 30, about: "wait for the next part of a result" }),
  queued_seconds: number({
    ...seconds,
    default: 60,
    about: "a statement in the warehouse's queue; never more than its own time"
  }),
  max_sessions: integer({
    min: 1,
    max: 1000,
    about:
      "sessions at a time, one for each role and namespace in use, and statements at a time; " +
      "as many as `limits.max_concurrent_statements` when unset"
  }),
  latch_seconds: number({
    ...seconds,
    max: 86_400,
    default: 600,
    about:
      "pause after a refused login, so that the account is not locked; shorter where the refusal may pass, and over " +
      "when the credential has changed"
  }),
  cap_rows: boolean({
    default: true,
    about: "let Snowflake stop a result after the rows that are read (`ROWS_PER_RESULTSET`)"
  })
} as const
