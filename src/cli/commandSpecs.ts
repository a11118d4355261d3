/** What the command line can say: the commands and their options, as data. */

/**
 * @since 0.1.0
 * @category models
 */
export interface OptionSpec {
  /** Without the dashes. */
  readonly name: string
  readonly short?: string | undefined
  /** What the value is called in the help; a flag has none. */
  readonly value?: string | undefined
  readonly summary: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface CommandSpec {
  readonly name: string
  readonly summary: string
  readonly options: ReadonlyArray<OptionSpec>
  /** What follows the name, in order; `[NAME]` may be left out. None when absent. */
  readonly operands?: ReadonlyArray<string> | undefined
}

/**
 * A new command is a line here and a case where it is run. The first one is what runs when none is
 * named.
 *
 * @since 0.1.0
 * @category constants
 */
export const commands = [
  { name: "stdio", summary: "serve one client over stdin and stdout (the default)", options: [] },
  {
    name: "http",
    summary: "serve many clients over HTTP",
    options: [
      { name: "host", value: "HOST", summary: "the address to listen on; http.host if not given" },
      { name: "port", value: "PORT", summary: "the port to listen on; http.port if not given" }
    ]
  },
  {
    name: "keys",
    summary: "make, list or revoke API keys; ACTION is create, list or revoke",
    operands: ["ACTION", "[NAME]"],
    options: [
      { name: "tier", value: "NAME", summary: "the tier of the new key; that of the client if not given" },
      { name: "admin", summary: "the new key may also operate the server" },
      { name: "json", summary: "as JSON" }
    ]
  },
  {
    name: "admin",
    summary:
      "look at a running server, or operate it; WHAT is status, breaker open|release|reset, ladder pin MODE, ladder unpin, quota reset CLIENT, or warehouse unlatch",
    operands: ["WHAT", "[VERB]", "[NAME]"],
    options: [
      { name: "url", value: "URL", summary: "of the server; http.host and http.port if not given" },
      { name: "quota", value: "QUOTA", summary: "reset this quota only" },
      { name: "json", summary: "as JSON" }
    ]
  },
  {
    name: "check",
    summary: "connect to the Snowflake account and say what is wrong",
    options: [{ name: "json", summary: "as JSON" }]
  },
  {
    name: "quota",
    summary: "show, reset or export what was used; ACTION is show, reset or export",
    operands: ["ACTION"],
    options: [
      { name: "client", value: "NAME", summary: "of this client only" },
      { name: "quota", value: "QUOTA", summary: "reset this quota only" },
      { name: "all", summary: "reset what every client has used; asks first at a terminal" },
      { name: "yes", summary: "do not ask" },
      { name: "json", summary: "as JSON" }
    ]
  },
  {
    name: "demo",
    summary: "a short tour on the embedded warehouse, or the rehearsal of an outage of Snowflake",
    options: [
      { name: "outage", summary: "rehearse an outage: a minute, with an emulated account" },
      { name: "speed", value: "N", summary: "so many times faster; 1 if not given" },
      { name: "json", summary: "one JSON object a line" }
    ]
  },
  {
    name: "emulator",
    summary: "serve Snowflake's wire protocol from the embedded warehouse, with faults on demand",
    options: [
      { name: "port", value: "PORT", summary: "where to listen; any free port if not given" },
      { name: "control-port", value: "PORT", summary: "where it is controlled, whatever the faults are" },
      { name: "host", value: "HOST", summary: "the address to listen on; 127.0.0.1 if not given" },
      { name: "faults", value: "FILE", summary: "a script of faults, in JSON" },
      { name: "seed", value: "N", summary: "decides what the probabilities of the faults come out as" }
    ]
  },
  {
    name: "check-sql",
    summary: "say whether the read-only gate accepts statements, and why not",
    operands: ["[SQL]"],
    options: [
      {
        name: "dialect",
        value: "DIALECT",
        summary: "snowflake or duckdb; that of the warehouse if not given"
      },
      { name: "tier", value: "NAME", summary: "the tier whose policy applies; default if not given" },
      { name: "json", summary: "one JSON object a line" }
    ]
  }
] as const satisfies ReadonlyArray<CommandSpec>
