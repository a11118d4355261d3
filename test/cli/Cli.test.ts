import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import * as Cli from "../../src/cli/Cli.js"
import * as Commands from "../../src/cli/Commands.js"
import { Action } from "../../src/operate/Operator.js"
import { painter } from "../../src/platform/colors.js"
import * as Help from "../../src/cli/Help.js"
import { shortOrLong } from "../utils/long.js"

const specs = [
  { name: "stdio", summary: "serve", options: [] },
  {
    name: "http",
    summary: "serve over HTTP",
    options: [
      { name: "port", short: "p", value: "PORT", summary: "the port" },
      { name: "quiet", summary: "say less" }
    ]
  },
  {
    name: "quota",
    summary: "show or reset a quota",
    options: [{ name: "json", summary: "as JSON" }],
    actions: [
      { name: "show", summary: "show it", operands: [{ name: "CLIENT", optional: true }], options: [] },
      {
        name: "reset",
        summary: "reset it",
        operands: [{ name: "CLIENT" }],
        options: [{ name: "yes", summary: "do not ask" }]
      },
      { name: "window open", summary: "begin a window", options: [] },
      { name: "window shut", summary: "end a window", options: [] }
    ]
  },
  {
    name: "draw",
    summary: "draw",
    operands: [{ name: "SHAPE", values: ["circle", "square"] }],
    options: [
      { name: "color", value: "COLOR", summary: "the color", values: ["red", "green"] },
      { name: "times", value: "N", summary: "how often", whole: { least: 1, most: 9 } }
    ]
  }
] as const

const faults = (...argv: ReadonlyArray<string>) =>
  Either.match(Cli.parseWith(specs, argv), {
    onLeft: (fault) => fault.render().split("\n").slice(0, -1),
    onRight: () => []
  })
const parsed = (...argv: ReadonlyArray<string>) => Either.getOrThrow(Cli.parseWith(specs, argv))
const run = {
  _tag: "Run",
  command: "stdio",
  action: undefined,
  configPath: undefined,
  connection: undefined,
  question: undefined,
  options: {},
  operands: [],
  lists: {}
}

const help = (command?: string, action?: string) => ({ _tag: "Help", command, action, json: false })

describe("the command line", () => {
  it("serves over stdio when nothing is said, or when `stdio` is", () => {
    expect(Cli.parse([])).toEqual(Either.right(run))
    expect(Cli.parse(["stdio"])).toEqual(Either.right(run))
  })

  it("takes a configuration file before and after the command, in every spelling", () => {
    for (const argv of [
      ["--config", "x.toml"],
      ["--config=x.toml", "stdio"],
      ["stdio", "-c", "x.toml"],
      ["-cx.toml"]
    ]) {
      expect(parsed(...argv)).toEqual({ ...run, configPath: "x.toml" })
    }
    expect(parsed("--config=-odd")).toEqual({ ...run, configPath: "-odd" })
  })

  it("knows --print-config, --version and --help", () => {
    expect(parsed("--print-config", "--config", "x")).toEqual({
      _tag: "PrintConfig",
      json: false,
      configPath: "x",
      connection: undefined,
      lists: {}
    })
    expect(parsed("--print-config", "--json")).toMatchObject({ _tag: "PrintConfig", json: true })
    expect(parsed("--version")).toEqual({ _tag: "Version", json: false })
    expect(parsed("-V", "--json")).toEqual({ _tag: "Version", json: true })
    expect(parsed("-h")).toEqual(help())
    expect(parsed("http", "--help")).toEqual(help("http"))
    expect(parsed("quota", "reset", "--help")).toEqual(help("quota", "reset"))
    expect(parsed("quota", "window", "open", "-h", "--json")).toEqual({
      ...help("quota", "window open"),
      json: true
    })
  })

  it("helps as a command too, and knows which help is not there", () => {
    expect(parsed("help")).toEqual(help())
    expect(parsed("help", "quota")).toEqual(help("quota"))
    expect(parsed("help", "quota", "reset")).toEqual(help("quota", "reset"))
    expect(parsed("help", "quota", "window", "shut")).toEqual(help("quota", "window shut"))
    expect(parsed("help", "quota", "window")).toEqual(help("quota"))
    expect(parsed("help", "help")).toEqual(help())
    expect(faults("help", "quota", "rest")).toEqual(["quota rest: unknown action; did you mean quota reset?"])
    expect(faults("help", "quota", "reset", "now")).toEqual(["now: unexpected argument"])
    expect(faults("help", "htp")).toEqual(["htp: unknown command; did you mean http?"])
    expect(faults("help", "http", "now")).toEqual(["now: unexpected argument"])
    expect(faults("hlp")).toEqual(["hlp: unknown command; did you mean help?"])
  })

  it("helps whatever else is wrong", () => {
    expect(parsed("--bogus", "nonsense", "--help")).toEqual(help())
    expect(faults("--", "--help")).toEqual(["--help: unknown command"])
  })

  it("hands a command its options and operands", () => {
    expect(parsed("http", "-p", "80", "--quiet")).toEqual({
      ...run,
      command: "http",
      options: { port: "80", quiet: true }
    })
    expect(parsed("quota", "show", "ann").valueOf()).toMatchObject({
      command: "quota",
      operands: ["ann"]
    })
    expect(parsed("quota", "show", "--", "-ann")).toMatchObject({ operands: ["-ann"] })
  })

  it("takes options in front of the command and of operands", () => {
    expect(parsed("-c", "x.toml", "http", "--quiet")).toMatchObject({
      command: "http",
      configPath: "x.toml",
      options: { quiet: true }
    })
    expect(parsed("--config", "x.toml", "quota", "show", "ann")).toMatchObject({
      command: "quota",
      configPath: "x.toml",
      operands: ["ann"]
    })
    expect(parsed("quota", "-c", "x.toml", "show", "ann")).toMatchObject({ operands: ["ann"] })
  })

  it("names what it does not know, and what was probably meant", () => {
    expect(faults("htp")).toEqual(["htp: unknown command; did you mean http?"])
    expect(faults("frobnicate")).toEqual(["frobnicate: unknown command"])
    expect(faults("--print-confg")).toEqual(["--print-confg: unknown option; did you mean --print-config?"])
    expect(faults("--zzzz", "-x")).toEqual(["--zzzz: unknown option", "-x: unknown option"])
  })

  it("does not take the value of a misspelt option for a command", () => {
    expect(faults("--confg", "my.toml")).toEqual(["--confg: unknown option; did you mean --config?"])
    expect(faults("http", "--porrt", "80")).toEqual(["--porrt: unknown option; did you mean --port?"])
  })

  it("refuses options of other commands", () => {
    expect(faults("stdio", "--port", "80")).toEqual(["--port: an option of http only"])
    expect(faults("--quiet")).toEqual(["--quiet: an option of http only"])
    const [json = ""] = Either.match(Cli.parse(["--json"]), {
      onLeft: (fault) => fault.render().split("\n"),
      onRight: () => []
    })
    expect(json).toMatch(/^--json: an option of keys, admin, .* only$/)
    expect(faults("quota", "show", "--yes")).toEqual(["--yes: an option of quota reset, not of quota show"])
    expect(faults("http", "--yes")).toEqual(["--yes: an option of quota reset only"])
    expect(parsed("quota", "reset", "ann", "--yes", "--json")).toMatchObject({
      command: "quota",
      action: "reset",
      operands: ["ann"],
      options: { yes: true, json: true }
    })
  })

  it("refuses values that are missing, empty, lost, given twice or not asked for", () => {
    expect(faults("--config")).toEqual(["--config: expected PATH"])
    expect(faults("--config=")).toEqual(["--config: expected PATH"])
    expect(faults("--config", "")).toEqual(["--config: expected PATH"])
    expect(faults("--config", "--version")).toEqual(["--config: expected PATH, got --version"])
    expect(faults("-c", "a", "--config", "b")).toEqual(["--config: given twice"])
    expect(faults("--version=2")).toEqual(["--version: takes no value"])
  })

  it("takes --load as often as it is given, and the arguments of a pattern that the shell unfolds", () => {
    const loads = (...argv: ReadonlyArray<string>) => Either.getOrThrow(Cli.parse(argv))
    const wrong = (...argv: ReadonlyArray<string>) =>
      Either.match(Cli.parse(argv), { onLeft: (fault) => fault.render().split("\n")[0], onRight: () => "" })
    const loading = { ...run, lists: { load: ["a.csv"] } }
    expect(loads("limits", "simulate", "--audit", "a.log", "a.log.1", "--audit=b.log", "--json")).toEqual({
      ...run,
      command: "limits",
      action: "simulate",
      options: { json: true },
      lists: { audit: ["a.log", "a.log.1", "b.log"] }
    })
    expect(loads("--load", "a.csv")).toEqual(loading)
    expect(loads("stdio", "--load", "a.csv")).toEqual(loading)
    expect(loads("--load", "a.csv", "stdio")).toEqual(loading)
    expect(loads("--load", "a.csv", "http")).toEqual({ ...loading, command: "http" })
    expect(loads("--load", "a.csv", "b.csv", "--load=c.csv", "d e.csv", "-c", "x.toml")).toEqual({
      ...run,
      lists: { load: ["a.csv", "b.csv", "c.csv", "d e.csv"] },
      configPath: "x.toml"
    })
    expect(wrong("--load")).toBe("--load: expected FILE")
    expect(wrong("--load", "--version")).toBe("--load: expected FILE, got --version")
    expect(wrong("quota", "show", "--load", "a.csv")).toBe("--load: an option of stdio, http, init only")
  })

  it("refuses actions and operands that are missing, unknown or too many", () => {
    expect(faults("quota")).toEqual(["quota: expected show, reset or window"])
    expect(faults("quota", "rset")).toEqual(["quota rset: unknown action; did you mean quota reset?"])
    expect(faults("quota", "frob")).toEqual(["quota frob: expected show, reset or window"])
    expect(faults("quota", "window")).toEqual(["quota window: expected open or shut"])
    expect(faults("quota", "window", "opn")).toEqual([
      "quota window opn: unknown action; did you mean quota window open?"
    ])
    expect(faults("quota", "reset")).toEqual(["quota reset: expected CLIENT"])
    expect(faults("quota", "show", "b", "c")).toEqual(["c: unexpected argument"])
    expect(faults("quota", "window", "open", "c")).toEqual(["c: unexpected argument"])
    expect(faults("stdio", "x")).toEqual(["x: unexpected argument"])
  })

  it("refuses values that an option or an operand does not have", () => {
    expect(parsed("draw", "circle", "--color", "red", "--times", "9")).toMatchObject({ operands: ["circle"] })
    expect(faults("draw")).toEqual(["draw: expected circle or square"])
    expect(faults("draw", "sqare")).toEqual([
      "draw: expected circle or square, got sqare; did you mean square?"
    ])
    expect(faults("draw", "circle", "--color", "gren")).toEqual([
      "--color: expected red or green, got gren; did you mean green?"
    ])
    for (const times of ["0", "10", "two", "1.5"]) {
      expect(faults("draw", "circle", "--times", times)).toEqual([
        "--times: expected a whole number from 1 to 9"
      ])
    }
  })

  it("says where the help is of what was used wrongly", () => {
    const last = (...argv: ReadonlyArray<string>) =>
      Either.match(Cli.parseWith(specs, argv), {
        onLeft: (fault) => fault.render().split("\n").at(-1),
        onRight: () => undefined
      })
    expect(last("frob")).toBe("snowguard --help lists what there is")
    expect(last("--frob")).toBe("snowguard --help lists what there is")
    expect(last("http", "x")).toBe("snowguard help http shows how it is used")
    expect(last("quota", "frob")).toBe("snowguard help quota shows how it is used")
    expect(last("quota", "reset")).toBe("snowguard help quota reset shows how it is used")
    expect(last("quota", "window", "shut", "x")).toBe("snowguard help quota window shut shows how it is used")
  })

  it("reports everything at once, on lines that an argument cannot forge", () => {
    expect(faults("stdio", "x\ny", "--config", "--nope")).toEqual([
      "x\\u000ay: unexpected argument",
      "--config: expected PATH, got --nope"
    ])
    expect(faults("--nope", "--version=1", "http")).toHaveLength(2)
  })

  it.prop(
    "never throws",
    [
      FastCheck.array(
        FastCheck.oneof(
          FastCheck.string(),
          FastCheck.constantFrom(
            "--config",
            "-c",
            "--",
            "-",
            "http",
            "-p",
            "--port=",
            "--no-quiet",
            "-hV",
            "--__proto__",
            "--constructor=1"
          )
        )
      )
    ],
    ([argv]) => {
      const result = Cli.parseWith(specs, argv)
      if (Either.isLeft(result)) expect(result.left.faults.length).toBeGreaterThan(0)
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  it("knows what is asked before an action that takes something away, and each of these has --yes", () => {
    const questionOf = (line: string) => {
      const command = Either.getOrThrow(Cli.parse(line.split(" ")))
      return command._tag === "Run" ? command.question : undefined
    }
    const asking = {
      "keys revoke ada": "Revoke ada? A key that is revoked does not come back.",
      "admin breaker open": "Stop the statements of all clients, until release?",
      "admin ladder pin cache-only": "Hold the server in the mode cache-only for all clients, until unpin?",
      "admin quota reset ada": "Forget what ada has used?",
      "admin call cancel 81 --json": "Cancel the call 81?",
      "quota reset --client ada --quota bytes_per_day": "Forget what ada has used of bytes_per_day?",
      "quota reset --all": "Forget what every client has used?"
    }
    for (const [line, question] of Object.entries(asking)) {
      expect(questionOf(line)).toBe(question)
      expect(Either.isRight(Cli.parse([...line.split(" "), "--yes"])), line).toBe(true)
    }
    for (const line of [
      "keys list",
      "admin breaker release",
      "admin ladder unpin",
      "admin reload",
      "quota show"
    ]) {
      expect(questionOf(line)).toBeUndefined()
    }
    const actions = Commands.commands.flatMap(({ actions = [] }: Commands.CommandSpec) => actions)
    expect(actions.filter(({ asks }) => asks !== undefined)).toHaveLength(6)
    for (const { asks, name, options } of actions) {
      expect(options.includes(Commands.yes), name).toBe(asks !== undefined)
    }
  })

  it("uses an option name for one kind of option only", () => {
    const kinds = new Map<string, unknown>()
    for (const option of [...Commands.options, ...Commands.commands.flatMap(Cli.optionsOf)]) {
      const { file = false, name, value, values = [] }: Commands.OptionSpec = option
      const kind = { isValued: value !== undefined, file, values }
      expect(kinds.get(name) ?? kind).toEqual(kind)
      kinds.set(name, kind)
    }
  })

  it("understands every example of its help", () => {
    const all = [...Commands.commands, Commands.help].flatMap((spec: Commands.CommandSpec) => [
      spec,
      ...(spec.actions ?? [])
    ])
    const examples = all.flatMap(({ examples = [] }) => examples)
    expect(examples.length).toBeGreaterThan(20)
    for (const [line] of examples) {
      // As a shell reads it: quotes, and redirections that the command does not see.
      const argv = [...line.replace(/ [<>] \S+$/, "").matchAll(/'([^']*)'|(\S+)/g)].map(
        ([, a, b]) => a ?? b ?? ""
      )
      expect(Either.isRight(Cli.parse(argv)), line).toBe(true)
    }
  })
})

describe("the help", () => {
  const all: ReadonlyArray<Commands.CommandSpec> = [...Commands.commands, Commands.help]
  const topics = [
    {},
    ...all.flatMap(({ actions = [], name }) => [
      { command: name },
      ...actions.map((action) => ({ command: name, action: action.name }))
    ])
  ]

  it("shows every command and every option", () => {
    const text = Help.text({}, { width: 200 }, specs)
    for (const { name, summary } of [...specs, ...Commands.options]) {
      expect(text).toContain(name)
      expect(text).toContain(summary)
    }
    expect(text).toContain("\n  quota  show or reset a quota\n")
    expect(text).toContain("-c, --config PATH")
    expect(text).toContain("SNOWGUARD_STATE_DIR")
    expect(text.endsWith("\n")).toBe(true)
    for (const { group, name } of all) {
      expect(Commands.groups, name).toContain(group)
      expect(Help.text()).toContain(`\n  ${name} `)
    }
  })

  it("of a command shows its actions, and the options of each", () => {
    expect(Help.text({ command: "http" }, {}, specs)).toMatch(
      /^Usage: snowguard http \[OPTIONS\]\n[^]*-p, --port PORT[^]*--config/
    )
    const keys = Help.text({ command: "keys" })
    expect(keys).toMatch(/^Usage: snowguard keys ACTION \[OPTIONS\]\n/)
    expect(keys).toMatch(/\nActions:\n {2}create NAME +create a key[^]*\nOptions of create:\n[^]*--tier NAME/)
    expect(keys).toMatch(/\nExamples:\n[^]* {2}snowguard keys create ada +/)
  })

  it("an option that several actions have is shown once", () => {
    const text = Help.text({ command: "admin" })
    expect(text.match(/--yes +do not ask/g)).toHaveLength(1)
    expect(text).toMatch(/\nOptions of breaker open, ladder pin, quota reset, call cancel:\n +--yes/)
    expect(text).toMatch(/\nOptions of quota reset:\n +--quota/)
  })

  it("of an action shows its own options before those of all", () => {
    const text = Help.text({ command: "quota", action: "reset" })
    expect(text).toMatch(
      /^Usage: snowguard quota reset \[OPTIONS\]\n[^]*--yes[^]*--json[^]*every command:[^]*--config/
    )
    expect(text).not.toContain("export")
    expect(Help.text({ command: "keys", action: "create" })).toMatch(
      /^Usage: snowguard keys create NAME \[OPTIONS\]/
    )
  })

  it("fits the width of the terminal, between words", () => {
    for (const topic of topics) {
      const words = (text: string) => text.split(/\s+/).filter((word) => word !== "")
      for (const width of [40, 60, 80, 100, 132]) {
        const text = Help.text(topic, { width })
        for (const line of text.split("\n")) {
          // A name that has no blank in it, and a line to be copied, is not broken.
          if (line.trim().includes(" ") && !/^ {2}snowguard /.test(line)) {
            expect(line.length, line).toBeLessThanOrEqual(width)
          }
        }
        expect(words(text)).toEqual(words(Help.text(topic, { width: 500 })))
      }
    }
    expect(Help.text({ command: "admin" })).toBe(Help.text({ command: "admin" }, { width: 80 }))
  })

  it("has headings in bold where there are colours, which change no text", () => {
    for (const topic of topics) {
      const colored = Help.text(topic, { paint: painter(true) })
      expect(colored).toMatch(/\u001b\[1mOptions/)
      expect(colored.replace(/\u001b\[\d+m/g, "")).toBe(Help.text(topic))
      expect(Help.text(topic)).not.toContain("\u001b")
    }
  })

  it("is the same table as JSON", () => {
    const whole = JSON.parse(Help.json()) as {
      readonly commands: ReadonlyArray<{ readonly name: string; readonly actions: ReadonlyArray<unknown> }>
      readonly exit_codes: ReadonlyArray<{ readonly code: number }>
    }
    expect(whole.commands.map(({ name }) => name)).toEqual(all.map(({ name }) => name))
    expect(whole.exit_codes.map(({ code }) => code)).toEqual(Commands.exitCodes.map(([code]) => code))
    const [keys] = (JSON.parse(Help.json("keys")) as typeof whole).commands
    expect(keys).toMatchObject({
      name: "keys",
      actions: [{ name: "create" }, { name: "list" }, { name: "revoke" }]
    })
  })

  it("says what each exit code means", () => {
    const text = Help.text({}, { width: 200 })
    for (const code of [0, 1, 64, 69, 74, 78, 141]) expect(text).toMatch(new RegExp(`^  ${code} +\\S`, "m"))
  })

  it("names the actions that a running server has, all of them", () => {
    const served = Action.members.flatMap(({ fields }) => fields.action.literals)
    const named = (all.find(({ name }) => name === "admin")?.actions ?? []).map(({ name }) =>
      name.replace(" ", "/")
    )
    expect(named.filter((name) => name !== "status").toSorted()).toEqual(
      served.map((name) => (name === "config/reload" ? "reload" : name)).toSorted()
    )
  })
})
