/**
 * The commands of the binary as data: names, actions, options, operands, examples, exit codes. The parser, the help and
 * the completion scripts are made from it.
 *
 * @since 0.1.0
 */
import * as Degradation from "../guard/Degradation.js"
import { QuotaName } from "../quota/QuotaStore.js"
import { clients } from "./clients.js"

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
  /** May be given several times, and takes the arguments behind its value too: a shell's `*.csv` is many. */
  readonly repeats?: boolean | undefined
  /** The only values it takes. */
  readonly values?: ReadonlyArray<string> | undefined
  /** The value is a whole number of this range. */
  readonly whole?: { readonly least: number; readonly most: number } | undefined
  /** The value is the path of a file: shells complete it. */
  readonly file?: boolean | undefined
}

/**
 * What follows the name of a command or an action.
 *
 * @since 0.1.0
 * @category models
 */
export interface OperandSpec {
  readonly name: string
  readonly optional?: boolean | undefined
  /** The only values it takes. */
  readonly values?: ReadonlyArray<string> | undefined
}

/**
 * A command line without the name of the program, and what it does.
 *
 * @since 0.1.0
 * @category models
 */
export type Example = readonly [line: string, does: string]

/**
 * What commands and their actions have in common.
 *
 * @since 0.1.0
 * @category models
 */
export interface Described {
  /** Of an action one word or two: `create`, `breaker open`. */
  readonly name: string
  /** For a list: a few words. */
  readonly summary: string
  /** What the list has no place for, in paragraphs. */
  readonly about?: ReadonlyArray<string> | undefined
  readonly options: ReadonlyArray<OptionSpec>
  readonly operands?: ReadonlyArray<OperandSpec> | undefined
  readonly examples?: ReadonlyArray<Example> | undefined
  /** It takes something away: what a person at a terminal is asked first, unless `--yes` ({@link yes}) is given. */
  readonly asks?: ((given: GivenWords) => string) | undefined
  /** What is taken away does not come back, and may be all of it: a script, which is not asked, must give `--yes`. */
  readonly scriptMustAgree?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface GivenWords {
  readonly operands: ReadonlyArray<string>
  readonly options: { readonly [name: string]: string | true }
}

/**
 * The options of a command are those of each of its actions.
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandSpec extends Described {
  /** One of {@link groups}: its heading in the help. */
  readonly group?: string | undefined
  /** What it does, of which one is named. */
  readonly actions?: ReadonlyArray<Described> | undefined
}

/**
 * The headings of the help, in order.
 *
 * @since 0.1.0
 * @category constants
 */
export const groups = ["Serve", "Operate", "Try out", "Set up"] as const

/** An option of the commands that serve. */
const load: OptionSpec = {
  name: "load",
  value: "FILE",
  summary:
    "serve this file (CSV, TSV, JSON, Parquet) as a table of LOCAL.PUBLIC; as often as there are files",
  repeats: true,
  file: true
}

const json: OptionSpec = { name: "json", summary: "print JSON, one value a line" }

const port = { value: "PORT", whole: { least: 0, most: 65_535 } } as const

const quota: OptionSpec = {
  name: "quota",
  value: "QUOTA",
  summary: "reset this quota only",
  values: QuotaName.literals
}

/**
 * Of each action that asks.
 *
 * @since 0.1.0
 * @category constants
 */
export const yes: OptionSpec = { name: "yes", summary: "do not ask" }

const forget = (whose: string, { quota }: GivenWords["options"]): string =>
  `Forget what ${whose} has used${quota === undefined ? "" : ` of ${String(quota)}`}?`

const ofClient = (summary: string): OptionSpec => ({ name: "client", value: "NAME", summary })

const usedBy = ofClient("of this client only")

const tier = (summary: string): OptionSpec => ({ name: "tier", value: "NAME", summary })

/**
 * A new command is an entry here and one in `bin`. The first one is the default.
 *
 * @since 0.1.0
 * @category constants
 */
export const commands = [
  {
    name: "stdio",
    group: "Serve",
    summary: "serve one client over stdin and stdout (the default)",
    about: [
      "MCP clients start this by themselves. stdout carries JSON-RPC only; the log goes to stderr. The server ends when " +
        "its client closes stdin."
    ],
    options: [load],
    examples: [
      ["", "the embedded sample warehouse, or what the configuration says"],
      ["--load orders.csv customers.csv", "two files as tables"],
      ["--connection dev", "a connection of Snowflake's connections.toml"]
    ]
  },
  {
    name: "http",
    group: "Serve",
    summary: "serve many clients over HTTP",
    about: [
      "MCP is at /mcp, the page for operators at /status. Clients send an API key (snowguard keys create) or an OAuth " +
        "token, by the settings of [auth]. SIGHUP makes it read its settings again."
    ],
    options: [
      { name: "host", value: "HOST", summary: "the address to listen on; http.host if not given" },
      { name: "port", summary: "the port to listen on; http.port if not given", ...port },
      load
    ],
    examples: [
      ["http", "listens on 127.0.0.1:8787"],
      ["http --host 0.0.0.0 --port 9000", "reachable from other machines"]
    ]
  },
  {
    name: "keys",
    group: "Operate",
    summary: "create, list and revoke API keys",
    about: ["Servers see a change without a restart."],
    options: [json],
    actions: [
      {
        name: "create",
        operands: [{ name: "NAME" }],
        summary: "create a key for the client NAME",
        about: [
          "The key alone is printed on stdout, once: what is stored cannot be turned back into it. Its id goes to stderr."
        ],
        options: [
          tier("the tier of the new key; that of the client if not given"),
          { name: "admin", summary: "the new key may also operate the server" }
        ],
        examples: [
          ["keys create ada", "a key for the client ada"],
          ["keys create ops --admin --tier batch", "a key that may also operate the server"]
        ]
      },
      {
        name: "list",
        summary: "list the keys, revoked ones too",
        options: [],
        examples: [["keys list --json", "for a program"]]
      },
      {
        name: "revoke",
        operands: [{ name: "NAME" }],
        summary: "revoke a key by its id, or all keys of a client",
        about: ["Asks first at a terminal. The exit code is 1 when nothing was revoked."],
        options: [yes],
        asks: ({ operands: [name] }) => `Revoke ${name}? A key that is revoked does not come back.`,
        examples: [
          ["keys revoke ada", "all keys of the client ada"],
          ["keys revoke 4f0c2a9be713", "one key"]
        ]
      }
    ]
  },
  {
    name: "admin",
    group: "Operate",
    summary: "look at a running server, and operate it",
    about: [
      "Asks over HTTP. The API key or the access token of an administrator is read from SNOWGUARD_ADMIN_KEY: an argument " +
        "could be read in the list of processes.",
      "It asks and changes the one server that answers, and says which. A proxy in front of several takes it to any of " +
        "them: give --url the address of each server. Quotas alone are those of all that share the store.",
      "What takes something from clients asks first at a terminal, unless --yes is given; a script is not asked, and needs --yes for quota reset."
    ],
    options: [
      { name: "url", value: "URL", summary: "of the server; http.host and http.port if not given" },
      json
    ],
    actions: [
      {
        name: "status",
        summary: "what the server does now, and why it refuses",
        options: [],
        examples: [["admin status --url http://10.0.0.2:8787", "of a server elsewhere, past the proxy"]]
      },
      {
        name: "breaker open",
        summary: "stop all statements until release",
        options: [yes],
        asks: () => "Stop the statements of all clients, until release?",
        examples: [["admin breaker open", "clients get remembered answers, or CIRCUIT_OPEN"]]
      },
      { name: "breaker release", summary: "let the breaker decide again", options: [] },
      { name: "breaker reset", summary: "close the breaker and forget its failures", options: [] },
      {
        name: "ladder pin",
        operands: [{ name: "MODE", values: Degradation.Mode.literals }],
        summary: "hold the server in a mode of degradation",
        options: [yes],
        asks: ({ operands: [mode] }) => `Hold the server in the mode ${mode} for all clients, until unpin?`,
        examples: [["admin ladder pin cache-only", "remembered answers only"]]
      },
      { name: "ladder unpin", summary: "let the server choose its mode again", options: [] },
      {
        name: "quota reset",
        operands: [{ name: "CLIENT" }],
        summary: "forget what a client has used",
        about: ["Asks first. Where there is no terminal to ask at, --yes is needed."],
        options: [quota, yes],
        asks: ({ operands: [client = ""], options }) => forget(client, options),
        scriptMustAgree: true,
        examples: [["admin quota reset ada --quota queries_per_hour", "one quota of the client ada"]]
      },
      {
        name: "call cancel",
        operands: [{ name: "ID" }],
        summary: "cancel a running call; its caller is told that an operator did",
        about: ["The exit code is 1 when no such call is under way."],
        options: [yes],
        asks: ({ operands: [id] }) => `Cancel the call ${id}?`,
        examples: [["admin call cancel k7m2qd-81", "the call that `admin status` lists as k7m2qd-81"]]
      },
      {
        name: "warehouse unlatch",
        summary: "try a login again that the account has refused",
        options: [{ name: "user", value: "USER", summary: "of this user only" }]
      },
      { name: "reload", summary: "read the settings again", options: [] }
    ]
  },
  {
    name: "quota",
    group: "Operate",
    summary: "show, reset and export what clients have used",
    about: ["Works on the store of the servers, while they run."],
    options: [json],
    actions: [
      {
        name: "show",
        summary: "what is used and held now",
        options: [usedBy],
        examples: [["quota show --client ada", "of the client ada"]]
      },
      {
        name: "reset",
        summary: "forget what clients have used",
        about: ["Asks first. Where there is no terminal to ask at, --yes is needed."],
        options: [
          ofClient("what this client has used"),
          { name: "all", summary: "what every client has used" },
          quota,
          yes
        ],
        asks: ({ options }) =>
          forget(options["all"] === true ? "every client" : String(options["client"]), options),
        scriptMustAgree: true,
        examples: [
          ["quota reset --client ada", "asks, then forgets"],
          ["quota reset --all --yes", "everything, in a script"]
        ]
      },
      {
        name: "export",
        summary: "all usage, one JSON object a line",
        options: [usedBy],
        examples: [["quota export > usage.jsonl", "into a file"]]
      }
    ]
  },
  {
    name: "limits",
    group: "Operate",
    summary: "explain a client's limits, or try other ones",
    options: [json],
    actions: [
      {
        name: "explain",
        summary: "which settings make up a client's limits",
        options: [
          ofClient("the client"),
          tier("as if its key named this tier; that of the client if not given")
        ],
        examples: [["limits explain --client ada", "each limit, and where it comes from"]]
      },
      {
        name: "simulate",
        summary: "whom other limits would have refused",
        about: ["Replays the audit log against the limits of the configuration. No server is asked."],
        options: [
          {
            name: "audit",
            value: "FILE",
            summary: "a file of the audit log; as often as there are files, of one server or several",
            repeats: true,
            file: true
          },
          {
            name: "from",
            value: "TIME",
            summary:
              "count calls from then on (2026-11-30, 2026-11-30T08:00, UTC if not said); those before it are replayed all the same"
          },
          { name: "to", value: "TIME", summary: "leave out calls from then on" }
        ],
        examples: [
          ["limits simulate --audit audit.jsonl", "with the limits of today"],
          ["limits simulate -c new.toml --audit a.jsonl b.jsonl", "with those of another file"]
        ]
      }
    ]
  },
  {
    name: "check",
    group: "Operate",
    summary: "open the warehouse that is served, or say what is wrong",
    about: [
      "An account is logged in to, once; files of your own are read. The last line is ok, or what to do. The exit code " +
        "is 78 for a setting or a file that is wrong, 69 to try later."
    ],
    options: [
      ofClient("as this client's statements run"),
      tier("as those of this tier; that of the client if not given"),
      json
    ],
    examples: [
      ["check", "with the configuration in effect"],
      ["check --connection dev", "with a connection of Snowflake's connections.toml"]
    ]
  },
  {
    name: "demo",
    group: "Try out",
    summary: "a short tour, or a rehearsed outage of Snowflake",
    about: ["Needs no account: it runs on this machine, and leaves nothing behind."],
    options: [
      { name: "outage", summary: "rehearse an outage: a minute, with an emulated account" },
      {
        name: "speed",
        value: "N",
        summary: "so many times faster; 1 if not given",
        whole: { least: 1, most: 100 }
      },
      json
    ],
    examples: [
      ["demo", "a tour of a few seconds"],
      ["demo --outage --speed 4", "an outage in a quarter of a minute"]
    ]
  },
  {
    name: "emulator",
    group: "Try out",
    summary: "an emulated Snowflake account, with faults on demand",
    options: [
      { name: "port", summary: "where to listen; any free port if not given", ...port },
      { name: "control-port", summary: "where it is controlled, whatever the faults are", ...port },
      { name: "host", value: "HOST", summary: "the address to listen on; 127.0.0.1 if not given" },
      { name: "faults", value: "FILE", summary: "a script of faults, in JSON", file: true },
      {
        name: "seed",
        value: "N",
        summary: "decides what the probabilities of the faults come out as",
        whole: { least: 0, most: 2 ** 32 - 1 }
      },
      json
    ],
    examples: [["emulator --port 9100", "then SNOWFLAKE_ACCESS_URL=http://127.0.0.1:9100"]]
  },
  {
    name: "check-sql",
    group: "Try out",
    summary: "whether the read-only gate accepts statements",
    about: [
      'SQL is one statement. Without it stdin is read: one statement, or one JSON object {"sql": "..."} a line. ' +
        "Nothing is executed. The exit code is 1 when a statement is refused; with --json it is 0 whatever the verdicts are."
    ],
    operands: [{ name: "SQL", optional: true }],
    options: [
      {
        name: "dialect",
        value: "DIALECT",
        summary: "snowflake or duckdb; that of the warehouse if not given",
        values: ["snowflake", "duckdb"]
      },
      tier("the tier whose policy applies; default if not given"),
      json
    ],
    examples: [
      ["check-sql 'DROP TABLE t'", "refused, and why"],
      ["check-sql --dialect snowflake < report.sql", "a file"]
    ]
  },
  {
    name: "init",
    group: "Set up",
    summary: "write a first configuration, and what a client needs",
    about: [
      "Asks at a terminal for what the options do not say. Before the file is written it is checked, and the files that it " +
        "names are read. Only its owner may read it, and no secret is in it. What the client needs is printed on stdout.",
      "--connection NAME serves a connection of Snowflake's own tools."
    ],
    options: [
      { name: "account", value: "ACCOUNT", summary: "serve this Snowflake account" },
      { name: "user", value: "USER", summary: "the user that logs in" },
      {
        name: "auth",
        value: "METHOD",
        summary: "key, token, password (in SNOWFLAKE_PASSWORD) or sso (the browser)",
        values: ["key", "token", "password", "sso"]
      },
      { name: "key-file", value: "FILE", summary: "the private key of the user", file: true },
      { name: "token-file", value: "FILE", summary: "its programmatic access token", file: true },
      { name: "role", value: "ROLE", summary: "the role of the sessions; one that can only read" },
      { name: "warehouse", value: "NAME", summary: "the virtual warehouse" },
      { ...load, summary: "serve this file of the machine; as often as there are files" },
      { name: "sample", summary: "serve the embedded sample warehouse" },
      {
        name: "for",
        value: "CLIENT",
        summary: `print what this client needs: ${clients.map(({ name }) => name).join(", ")}`,
        values: clients.map(({ name }) => name)
      },
      {
        name: "file",
        value: "PATH",
        summary: "write this file; snowguard.toml of the user's configuration if not given",
        file: true
      },
      { name: "yes", summary: "ask nothing, and replace a file that is there" },
      json
    ],
    examples: [
      ["init", "asks"],
      ["init --load orders.csv --for cursor", "a file as a table, for Cursor"],
      [
        "init --account myorg-myaccount --user AGENT --key-file agent.p8 --role READER --yes",
        "an account, in a script"
      ]
    ]
  },
  {
    name: "completion",
    group: "Set up",
    summary: "print a completion script for a shell",
    operands: [{ name: "SHELL", values: ["bash", "zsh", "fish"] }],
    options: [],
    about: [
      "bash: add this line to ~/.bashrc: source <(snowguard completion bash)",
      "zsh: write the script to a file called _snowguard in a directory of $fpath, or add to ~/.zshrc, behind compinit: " +
        "source <(snowguard completion zsh)",
      "fish: snowguard completion fish > ~/.config/fish/completions/snowguard.fish"
    ],
    examples: [["completion bash", "the script, on stdout"]]
  }
] as const satisfies ReadonlyArray<CommandSpec>

/**
 * @since 0.1.0
 * @category models
 */
export type CommandName = (typeof commands)[number]["name"]

/**
 * Understood with every command.
 *
 * @since 0.1.0
 * @category constants
 */
export const options = [
  { name: "config", short: "c", value: "PATH", summary: "read this configuration file", file: true },
  {
    name: "connection",
    value: "NAME",
    summary: "use this connection of Snowflake's connections.toml or config.toml"
  },
  {
    name: "print-config",
    summary: "print the configuration in effect, without secrets, and exit; with --json as JSON"
  },
  { name: "version", short: "V", summary: "print the version and exit" },
  { name: "help", short: "h", summary: "print help and exit" }
] as const satisfies ReadonlyArray<OptionSpec>

/**
 * Answered without running a command.
 *
 * @since 0.1.0
 * @category constants
 */
export const help: CommandSpec = {
  name: "help",
  group: "Set up",
  summary: "print help, of everything or of a command",
  operands: [
    { name: "COMMAND", optional: true },
    { name: "ACTION", optional: true }
  ],
  options: [json],
  examples: [["help keys create", "help of one action"]]
}

/**
 * Beside `--print-config`, `--version` and `--help`.
 *
 * @since 0.1.0
 * @category constants
 */
export const asJson: OptionSpec = json

/**
 * What the process ends with.
 *
 * @since 0.1.0
 * @category constants
 */
export const exitCodes: ReadonlyArray<readonly [code: number, meaning: string]> = [
  [0, "done; a server: ended as it was asked to"],
  [
    1,
    "it failed, or the answer is no (a statement is refused, no key is revoked, no such call, no server answers)"
  ],
  [64, "the command line is wrong"],
  [69, "the Snowflake account cannot be reached right now (check)"],
  [74, "the quota store cannot be opened, or the output cannot be written"],
  [
    78,
    "the configuration is wrong, the account does not accept it, or a file cannot be served (check, init)"
  ],
  [130, "it was interrupted before its end; not of servers"],
  [141, "the reader of the output went away before its end"]
]
