/**
 * Snowflake's regular expressions on JavaScript's.
 *
 * @since 0.1.0
 */
import * as Lru from "../../../platform/core/Lru.js"
import { refuse } from "./values.js"

const classes: Readonly<Record<string, string>> = {
  alnum: "A-Za-z0-9",
  alpha: "A-Za-z",
  blank: " \\t",
  cntrl: "\\x00-\\x1f\\x7f",
  digit: "0-9",
  graph: "\\x21-\\x7e",
  lower: "a-z",
  print: "\\x20-\\x7e",
  punct: "!-\\/:-@\\[-`{-~",
  space: "\\s",
  upper: "A-Z",
  word: "\\w",
  xdigit: "A-Fa-f0-9"
}

/** A `]` right after the opening bracket and a `[` inside belong to the set. */
const sets = (pattern: string): string => {
  let result = ""
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]!
    if (char === "\\") {
      result += char + (pattern[++at] ?? "\\")
      continue
    }
    if (char !== "[") {
      result += char
      continue
    }
    result += char
    at++
    if (pattern[at] === "^") result += pattern[at++]!
    if (pattern[at] === "]") {
      result += "\\]"
      at++
    }
    for (; at < pattern.length && pattern[at] !== "]"; at++) {
      const inner = pattern[at]!
      if (inner === "\\") result += inner + (pattern[++at] ?? "\\")
      else if (inner === "[" && pattern[at + 1] === ":") {
        const end = pattern.indexOf(":]", at)
        const known = end < 0 ? undefined : classes[pattern.slice(at + 2, end)]
        if (known === undefined) return refuse(`Invalid regular expression: '${pattern}'`)
        result += known
        at = end + 1
      } else result += inner === "[" ? "\\[" : inner
    }
    result += "]"
  }
  return result
}

export interface Pattern {
  readonly find: RegExp
  readonly whole: RegExp
  readonly extracts: boolean
}

const remembered = Lru.make<Pattern>({ maxEntries: 200, maxBytes: 1024 * 1024 })

/** The pattern with its parameters: `c` and `i`, `m`, `s`, and `e`, which asks for a group. */
export const compile = (pattern: string, parameters = "c"): Pattern => {
  const key = `${parameters}/${pattern}`
  const known = Lru.get(remembered, key)
  if (known !== undefined) return known
  if (/[^ceims]/.test(parameters)) refuse(`Invalid parameters of a regular expression: '${parameters}'`)
  if (/\(\?(?!:)/.test(pattern.replace(/\\[^]/g, "")))
    refuse("Invalid regular expression: lookaround and inline flags (?...) are not supported")
  const ignoresCase = parameters.lastIndexOf("i") > parameters.lastIndexOf("c")
  const flags = `${ignoresCase ? "i" : ""}${parameters.includes("m") ? "m" : ""}${parameters.includes("s") ? "s" : ""}`
  const source = sets(pattern)
  try {
    const made: Pattern = {
      find: new RegExp(source, `g${flags}`),
      whole: new RegExp(`^(?:${source})$`, flags.replace("m", "")),
      extracts: parameters.includes("e")
    }
    Lru.set(remembered, key, made, key.length)
    return made
  } catch {
    return refuse(`Invalid regular expression: '${pattern}'`)
  }
}

/** All matches from a position on, which counts from one. */
export const matches = (
  subject: string,
  { find }: Pattern,
  position: number
): ReadonlyArray<RegExpExecArray> => {
  if (position < 1) return refuse(`Position must be positive: ${position}`)
  const found: Array<RegExpExecArray> = []
  // What is before the position is not there for the pattern, as for `\b` and `^`.
  const rest = subject.slice(position - 1)
  find.lastIndex = 0
  for (;;) {
    const match = find.exec(rest)
    if (match === null) return found
    if (match[0] === "") find.lastIndex++
    match.index += position - 1
    found.push(match)
  }
}

/** The replacement with `\1` .. `\9` and `\0` in it. */
export const expand = (replacement: string, match: RegExpExecArray): string =>
  replacement.replace(/\\(\d|[^])/g, (_, what: string) =>
    /\d/.test(what) ? (match[Number(what)] ?? "") : what
  )
