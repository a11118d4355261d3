/**
 * The settings of the shared server: where it listens, who may call it, and what it writes down.
 *
 * @since 0.1.0
 */
import { boolean, choice, integer, list, number, path, text } from "./Setting.js"
import type { Section } from "./Table.js"
import { seconds } from "./Tiers.js"

const httpUrl = {
  pattern: /^https?:\/\/[^\s"'<>\\/@]{1,255}(\/[^\s"'<>\\]{0,500})?$/,
  expected: 'a URL such as "https://login.example.com", without a user or password'
}
// As RFC 6749 has it: no quotes, no backslash.
const scope = {
  pattern: /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/,
  expected: 'a list of scopes such as ["snowguard:read"]'
}
const claim = { pattern: /^[\x21-\x7e]{1,200}$/, expected: "the name of a claim" }

/**
 * @since 0.1.0
 * @category constants
 */
export const sharedServer = {
  http: {
    about: "The shared server (`snowguard http`).",
    fields: {
      host: text({
        pattern: /^([A-Za-z0-9][A-Za-z0-9.-]{0,252}|[0-9A-Fa-f:.]{2,45}|\[[0-9A-Fa-f:.]{2,45}\])$/,
        expected: 'a host name or an address such as "127.0.0.1"',
        default: "127.0.0.1",
        about: "address to listen on; one that others can reach needs authentication"
      }),
      port: integer({ min: 0, max: 65_535, default: 8787, about: "port to listen on; 0: any free one" }),
      allowed_hosts: list({
        pattern: /^([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?$/,
        expected: 'a list of host names such as ["snowguard.example.com"]',
        about: "names it may be called by; on loopback those of this machine, elsewhere any when empty"
      }),
      allowed_origins: list({
        pattern: /^https?:\/\/[A-Za-z0-9.:[\]-]{1,255}$/,
        expected: 'a list of origins such as ["https://app.example.com"]',
        about: "origins of web pages that may call it"
      }),
      trusted_proxies: list({
        pattern:
          /^(\d{1,3}(\.\d{1,3}){3}(\/([0-9]|[12][0-9]|3[0-2]))?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(\/([0-9]{1,2}|1[01][0-9]|12[0-8]))?)$/,
        expected: 'a list of addresses and networks such as ["10.0.0.0/8"]',
        about: "proxies whose `X-Forwarded-For` is believed"
      }),
      max_body_bytes: integer({
        min: 1024,
        max: 64 * 1024 ** 2,
        default: 1024 ** 2,
        unit: "bytes",
        about: "one request at most"
      }),
      max_concurrent_bodies: integer({
        min: 1,
        max: 100_000,
        default: 256,
        about:
          "requests that are read at a time, a quarter of them of one client; those beyond are told to come back"
      }),
      request_seconds: number({
        ...seconds,
        max: 600,
        default: 10,
        about: "time for a request's headers to arrive, and again for its body"
      }),
      max_connections: integer({ min: 1, max: 1_000_000, default: 10_000, about: "connections at a time" }),
      max_sessions: integer({ min: 1, max: 1_000_000, default: 5000, about: "sessions at a time" }),
      max_sessions_per_client: integer({
        min: 1,
        max: 1_000_000,
        default: 500,
        atMost: "max_sessions",
        about: "sessions of one client at a time; the one unused longest makes room"
      }),
      session_idle_seconds: number({
        ...seconds,
        default: 1800,
        about: "time without a request after which a session is forgotten"
      }),
      strict_sessions: boolean({
        default: false,
        about:
          "404 for a session that this process did not open; else one of a process before it goes on under its id"
      }),
      failed_logins_per_second: number({
        min: 0.001,
        max: 10_000,
        default: 1,
        about: "refused credentials per second of one address"
      }),
      failed_login_burst: integer({
        min: 1,
        max: 1_000_000,
        default: 20,
        about: "refused credentials of one address that may come at once"
      }),
      client_requests_per_second: number({
        min: 0.001,
        max: 1_000_000,
        default: 100,
        about:
          "requests per second of one client, whatever they ask for; beyond that they wait, and are then not read"
      }),
      client_request_burst: integer({
        min: 1,
        max: 1_000_000,
        default: 1000,
        about: "requests of one client that may come at once"
      }),
      client_bytes_per_second: integer({
        min: 1024,
        max: 1024 ** 3,
        default: 2 * 1024 ** 2,
        about: "bytes per second of one client's requests; beyond that they wait, and are then not read"
      }),
      client_byte_burst: integer({
        min: 1024,
        max: 1024 ** 3,
        default: 16 * 1024 ** 2,
        about: "bytes of one client's requests that may come at once"
      }),
      cancel_on_disconnect: boolean({
        default: true,
        about: "a caller whose connection is gone has its statement cancelled"
      }),
      metrics: choice({
        values: ["protected", "open", "off"],
        default: "protected",
        about: "who may read `/metrics`: callers with an administrator's credential, everybody, or nobody"
      }),
      status: boolean({
        default: true,
        about: "serves the page `/status` and its events; without it administrators alone read its data"
      })
    }
  },
  auth: {
    about: "Who may call the shared server.",
    fields: {
      mode: choice({
        values: ["auto", "keys", "oauth", "none"],
        default: "auto",
        about: "`auto`: keys as soon as one was made, until then nobody is asked on this machine"
      }),
      keys_file: path({ about: "file of the API keys; `keys.json` in the state directory when not set" }),
      issuer: text({ ...httpUrl, about: "the authorization server, exactly as in the tokens' `iss`" }),
      resource: text({ ...httpUrl, about: "URL of `/mcp` as clients know it; tokens must be for it" }),
      audience: text({
        pattern: /^[\x21-\x7e]{1,500}$/,
        expected: "an audience without spaces",
        about: "what tokens must be for, in place of `auth.resource`"
      }),
      jwks_url: text({
        ...httpUrl,
        about:
          "where the authorization server publishes its signing keys; found through `auth.issuer` when not set"
      }),
      algorithms: list({
        pattern: /^((RS|PS|ES)(256|384|512)|EdDSA|Ed25519)$/,
        expected: 'a list of asymmetric algorithms such as ["RS256"]',
        about: "signatures that are accepted; all asymmetric ones when empty"
      }),
      scopes: list({ ...scope, about: "scopes that a token must have" }),
      admin_scope: text({
        pattern: scope.pattern,
        expected: "one scope",
        default: "snowguard:admin",
        about: "scope that may read what is the operator's"
      }),
      client_claim: text({ ...claim, default: "sub", about: "claim that says whose limits apply" }),
      tier_claim: text({ ...claim, about: "claim that names the tier, or several" })
    }
  },
  audit: {
    about: "The log of who asked what.",
    fields: {
      file: path({ about: "where it is written; nowhere when not set" }),
      statements: choice({
        values: ["hash", "text", "none"],
        default: "hash",
        about: "what is written of a statement"
      }),
      max_bytes: integer({
        min: 1024,
        max: 1024 ** 4,
        default: 64 * 1024 ** 2,
        unit: "bytes",
        about: "size at which the file is put aside"
      }),
      keep: integer({ min: 0, max: 1000, default: 5, about: "files put aside that are kept" })
    }
  }
} satisfies { readonly [name: string]: Section }
