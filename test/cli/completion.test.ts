/** The completion scripts, run in the shells that they are for, where this machine has them. */
import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Commands from "../../src/cli/Commands.js"
import * as Completion from "../../src/cli/Completion.js"

type Shell = "bash" | "zsh" | "fish"

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const inShell = (shell: Shell, script: string): string => {
  const directory = mkdtempSync(join(tmpdir(), "snowguard-completion-"))
  try {
    writeFileSync(join(directory, "orders.csv"), "")
    writeFileSync(join(directory, "with blank.csv"), "")
    const flags = { bash: ["--norc", "--noprofile"], zsh: ["-f"], fish: ["--no-config"] }[shell]
    const done = spawnSync(shell, [...flags, "-c", script], {
      cwd: directory,
      encoding: "utf8",
      env: { PATH: process.env["PATH"], HOME: directory, TERM: "dumb", LC_ALL: "C.UTF-8" },
      timeout: 60_000
    })
    expect([done.status, done.stderr]).toEqual([0, ""])
    return done.stdout
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What a shell offers for the last of these words. */
const offers: { readonly [S in Shell]: (...words: ReadonlyArray<string>) => ReadonlyArray<string> } = {
  bash: (...words) => {
    // As readline hands them over: it breaks words at "=".
    const split = words.flatMap((word) =>
      word === "" ? [""] : word.split(/(=)/).filter((part) => part !== "")
    )
    const all = ["snowguard", ...split].map(quoted).join(" ")
    const script = `${Completion.bash()}\nCOMP_WORDS=(${all}); COMP_CWORD=${split.length}; _snowguard\nprintf '%s\\n' "\${COMPREPLY[@]}"`
    return lines(inShell("bash", script))
  },
  zsh: (...words) => {
    // The system of completions, as far as the script asks it: what it is handed is printed.
    const system = `
_describe() { local -a all; all=("\${(@P)@[-1]}"); print -rl -- "\${(@)all%%:*}"; }
_files() { print -rl -- *(N); }
compset() { words[CURRENT]="\${words[CURRENT]#*=}"; }
compdef() { :; }`
    const all = ["snowguard", ...words].map(quoted).join(" ")
    const script = `${system}\n${Completion.zsh()}\nwords=(${all}); CURRENT=${words.length + 1}\n_snowguard`
    const given = words.at(-1) ?? ""
    // The system leaves out what does not begin as the word does.
    const begins = given.startsWith("--") && given.includes("=") ? given.slice(given.indexOf("=") + 1) : given
    return lines(inShell("zsh", script)).filter((each) => each.startsWith(begins))
  },
  fish: (...words) => {
    const line = ["snowguard", ...words].join(" ")
    return lines(inShell("fish", `${Completion.fish()}\ncomplete -C ${quoted(line)}`)).map((each) =>
      (each.split("\t")[0] ?? "").replace(/^--\w+=/, "")
    )
  }
}

const lines = (text: string): ReadonlyArray<string> => [
  ...new Set(text.split("\n").filter((line) => line !== ""))
]

const missing = (shell: Shell): string | undefined =>
  spawnSync(shell, ["--version"]).status === 0 ? undefined : `there is no ${shell} on this machine`

for (const shell of ["bash", "zsh", "fish"] as const) {
  describe(`the completion script for ${shell}`, () => {
    const words = offers[shell]
    const test = (name: string, run: () => void) =>
      it(name, (context) => {
        const reason = missing(shell)
        if (reason !== undefined) {
          console.error(`skipped: ${reason}`)
          context.skip(reason)
        }
        run()
      })

    test("offers commands, and those that begin as the word does", () => {
      expect(words("")).toEqual(expect.arrayContaining(["stdio", "http", "keys", "check-sql", "help"]))
      expect(words("che").toSorted()).toEqual(["check", "check-sql"])
    })

    test("offers the actions of a command, of two words one after the other", () => {
      expect(words("keys", "").toSorted()).toEqual(["create", "list", "revoke"])
      const all: ReadonlyArray<Commands.CommandSpec> = Commands.commands
      const first = (all.find(({ name }) => name === "admin")?.actions ?? []).map(({ name }) =>
        name.replace(/ .*/, "")
      )
      expect(words("admin", "").toSorted()).toEqual([...new Set(first)].toSorted())
      expect(first).toContain("breaker")
      expect(words("admin", "breaker", "").toSorted()).toEqual(["open", "release", "reset"])
      expect(words("help", "quota", "").toSorted()).toEqual(["export", "reset", "show"])
    })

    test("offers the options of the place, and none of another action", () => {
      expect(words("keys", "create", "--")).toEqual(
        expect.arrayContaining(["--tier", "--admin", "--json", "--config"])
      )
      const list = words("keys", "list", "--")
      expect(list).toContain("--json")
      expect(list).not.toContain("--tier")
    })

    test("finds the place behind options and their values", () => {
      expect(words("--config", "keys", "quota", "").toSorted()).toEqual(["export", "reset", "show"])
      expect(words("-c", "x.toml", "limits", "--json", "").toSorted()).toEqual(["explain", "simulate"])
    })

    test("offers the values that an option or an operand has", () => {
      expect(words("check-sql", "--dialect", "").toSorted()).toEqual(["duckdb", "snowflake"])
      expect(words("quota", "reset", "--quota", "cred").toSorted()).toEqual([
        "credits_per_day",
        "credits_per_hour"
      ])
      expect(words("completion", "").toSorted()).toEqual(["bash", "fish", "zsh"])
      expect(words("admin", "ladder", "pin", "")).toContain("cache-only")
      expect(words("keys", "create", "--tier", "")).toEqual([])
    })

    test("offers values behind an equals sign", () => {
      expect(words("check-sql", "--dialect=s")).toEqual([expect.stringMatching(/^(--dialect=)?snowflake$/)])
    })

    test("offers files where an option takes one, whatever their names", () => {
      expect(
        words("--load", "")
          .map((name) => name.replaceAll("\\", ""))
          .toSorted()
      ).toEqual(["orders.csv", "with blank.csv"])
      expect(words("stdio", "--load", "ord")).toEqual(["orders.csv"])
    })
  })
}

it("zsh completes with the script, typed at a prompt", (context) => {
  const reason = missing("zsh")
  if (reason !== undefined) {
    console.error(`skipped: ${reason}`)
    context.skip(reason)
  }
  const script = `${Completion.zsh()}\nprint loaded-$((40 + 2))`
  const typed = `
zmodload zsh/zpty
cat > script.zsh
zpty shell zsh -f -i
zpty -w shell "PS1='> '; autoload -U compinit; compinit -u -D; source script.zsh"
zpty -r shell seen '*loaded-42*'
zpty -w -n shell $'snowguard keys rev\\t'
zpty -r shell seen '*revoke*'
print -r -- "\${seen##*> }"
zpty -d shell`
  const directory = mkdtempSync(join(tmpdir(), "snowguard-zsh-"))
  try {
    const done = spawnSync("zsh", ["-f", "-c", typed], {
      cwd: directory,
      encoding: "utf8",
      input: script,
      env: { PATH: process.env["PATH"], HOME: directory, TERM: "dumb", LC_ALL: "C.UTF-8" },
      timeout: 60_000
    })
    expect(done.status, done.stderr).toBe(0)
    expect(done.stdout).toContain("revoke")
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
