import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import * as Cli from "../../src/cli/Cli.js"

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
  { name: "quota", summary: "show or reset a quota", options: [], operands: ["ACTION", "[CLIENT]"] }
] as const

const faults = (...argv: ReadonlyArray<string>) =>
  Either.match(Cli.parseWith(specs, argv), {
    onLeft: (fault) => fault.render().split("\n").slice(0, -1),
    onRight: () => []
  })
const parsed = (...argv: ReadonlyArray<string>) => Either.getOrThrow(Cli.parseWith(specs, argv))
const run = { _tag: "Run", command: "stdio", configPath: undefined, options: {}, operands: [] }

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
      configPath: "x"
    })
    expect(parsed("--print-config", "--json")).toMatchObject({ _tag: "PrintConfig", json: true })
    expect(parsed("--version")).toEqual({ _tag: "Version" })
    expect(parsed("-V")).toEqual({ _tag: "Version" })
    expect(parsed("-h")).toEqual({ _tag: "Help", command: undefined })
    expect(parsed("http", "--help")).toEqual({ _tag: "Help", command: "http" })
  })

  it("helps as a command too, and knows which help is not there", () => {
    expect(parsed("help")).toEqual({ _tag: "Help", command: undefined })
    expect(parsed("help", "quota")).toEqual({ _tag: "Help", command: "quota" })
    expect(parsed("help", "help")).toEqual({ _tag: "Help", command: undefined })
    expect(faults("help", "htp")).toEqual(["htp: unknown command; did you mean http?"])
    expect(faults("help", "http", "now")).toEqual(["now: unexpected argument"])
    expect(faults("hlp")).toEqual(["hlp: unknown command; did you mean help?"])
  })

  it("helps whatever else is wrong", () => {
    expect(parsed("--bogus", "nonsense", "--help")).toEqual({ _tag: "Help", command: undefined })
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
      operands: ["show", "ann"]
    })
    expect(parsed("quota", "show", "--", "-ann")).toMatchObject({ operands: ["show", "-ann"] })
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
      operands: ["show", "ann"]
    })
    expect(parsed("quota", "-c", "x.toml", "show", "ann")).toMatchObject({ operands: ["show", "ann"] })
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
    const owners = Cli.commands.filter(({ options }) =>
      options.some(({ name }: Cli.OptionSpec) => name === "json")
    )
    expect(owners.length).toBeGreaterThan(2)
    expect(json).toBe(`--json: an option of ${owners.map(({ name }) => name).join(", ")} only`)
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
    const loading = { ...run, load: ["a.csv"] }
    expect(loads("limits", "simulate", "--audit", "a.log", "a.log.1", "--audit=b.log", "--json")).toEqual({
      ...run,
      command: "limits",
      operands: ["simulate"],
      options: { audit: "b.log", json: true },
      lists: { audit: ["a.log", "a.log.1", "b.log"] }
    })
    expect(loads("--load", "a.csv")).toEqual(loading)
    expect(loads("stdio", "--load", "a.csv")).toEqual(loading)
    expect(loads("--load", "a.csv", "stdio")).toEqual(loading)
    expect(loads("--load", "a.csv", "http")).toEqual({ ...loading, command: "http" })
    expect(loads("--load", "a.csv", "b.csv", "--load=c.csv", "d e.csv", "-c", "x.toml")).toEqual({
      ...run,
      load: ["a.csv", "b.csv", "c.csv", "d e.csv"],
      configPath: "x.toml"
    })
    expect(wrong("--load")).toBe("--load: expected FILE")
    expect(wrong("--load", "--version")).toBe("--load: expected FILE, got --version")
    expect(wrong("quota", "show", "--load", "a.csv")).toBe("--load: an option of stdio, http only")
  })

  it("refuses operands that are missing or too many", () => {
    expect(faults("quota")).toEqual(["quota: expected ACTION"])
    expect(faults("quota", "a", "b", "c")).toEqual(["c: unexpected argument"])
    expect(faults("stdio", "x")).toEqual(["x: unexpected argument"])
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
    { fastCheck: { numRuns: 300 } }
  )

  it("uses an option name for one kind of option only", () => {
    const kinds = new Map<string, boolean>()
    for (const spec of [Cli.options, ...Cli.commands.map(({ options }) => options)].flat()) {
      const { name, value }: Cli.OptionSpec = spec
      expect(kinds.get(name) ?? value !== undefined).toBe(value !== undefined)
      kinds.set(name, value !== undefined)
    }
  })
})

describe("the help", () => {
  it("shows every command and every option", () => {
    const text = Cli.helpText(undefined, specs, 200)
    for (const { name, summary } of [...specs, ...Cli.options]) {
      expect(text).toContain(name)
      expect(text).toContain(summary)
    }
    expect(text).toContain("  quota ACTION [CLIENT]  show or reset a quota")
    expect(text).toContain("-c, --config PATH")
    expect(text).toContain("SNOWGUARD_STATE_DIR")
    expect(text.endsWith("\n")).toBe(true)
  })

  it("of a command shows its own options first", () => {
    expect(Cli.helpText("http", specs)).toMatch(
      /^Usage: snowguard http \[OPTIONS\]\n[^]*-p, --port PORT[^]*--config/
    )
    expect(Cli.helpText("stdio")).toContain("Usage: snowguard stdio")
  })

  it("fits the width of the terminal, between words", () => {
    for (const width of [40, 60, 80, 100, 132]) {
      for (const command of [undefined, ...Cli.commands.map(({ name }) => name)]) {
        for (const line of Cli.helpText(command, Cli.commands, width).split("\n")) {
          // A name that has no blank in it is not broken.
          if (line.trim().includes(" ")) expect(line.length, line).toBeLessThanOrEqual(width)
        }
      }
      const words = (text: string) => text.split(/\s+/).filter((word) => word !== "")
      expect(words(Cli.helpText(undefined, Cli.commands, width))).toEqual(
        words(Cli.helpText(undefined, Cli.commands, 500))
      )
    }
    expect(Cli.helpText("admin")).toBe(Cli.helpText("admin", Cli.commands, 80))
  })

  it("says what each exit code means", () => {
    const text = Cli.helpText(undefined, Cli.commands, 200)
    for (const code of [0, 1, 64, 69, 74, 78, 141]) expect(text).toMatch(new RegExp(`^  ${code} +\\S`, "m"))
  })
})
