/**
 * SHOW and DESCRIBE, decided from the tokens: object kinds, names, patterns and limits, and nothing that
 * could be evaluated.
 */
import * as Either from "effect/Either"
import type { Token } from "../../sql/Lexer.js"
import type { Rejection } from "../../sql/Statement.js"
import { reject } from "../../sql/Statement.js"

export interface Metadata {
  readonly kind: "show" | "describe"
  /** The name that follows IN, or the object described, one entry a part, as written. */
  readonly name: ReadonlyArray<Token>
}

const objectKinds = new Set(["DATABASES", "SCHEMAS", "TABLES", "VIEWS", "COLUMNS", "OBJECTS"])
const containers = new Set(["DATABASE", "SCHEMA", "TABLE", "VIEW"])
const clauses = new Set(["LIKE", "IN", "STARTS", "LIMIT", "FROM"])

const isString = (token: Token | undefined): boolean => token?.kind === "string" || token?.kind === "dollar"

/** The parts of a name of one to three parts at `at`, and where it ends. */
const nameAt = (tokens: ReadonlyArray<Token>, at: number): readonly [ReadonlyArray<Token>, number] => {
  const parts: Array<Token> = []
  while (parts.length < 3) {
    const part = tokens[at]
    if (part === undefined || (part.kind !== "word" && part.kind !== "quoted")) break
    parts.push(part)
    at++
    if (parts.length === 3 || tokens[at]?.text !== ".") break
    at++
  }
  return tokens[at - 1]?.text === "." ? [[], at] : [parts, at]
}

const unexpected = (token: Token | undefined, wanted: string): Either.Either<never, Rejection> =>
  reject(
    "SYNTAX",
    `expected ${wanted}${token === undefined ? " at the end" : `, found ${token.text}`}`,
    token?.start
  )

const show = (tokens: ReadonlyArray<Token>): Either.Either<Metadata, Rejection> => {
  let at = tokens[1]?.value === "TERSE" ? 2 : 1
  // SHOW SEMANTIC VIEWS, of which there are none.
  if (tokens[at]?.value === "SEMANTIC" && tokens[at + 1]?.value === "VIEWS") at++
  const kind = tokens[at]
  if (kind?.kind !== "word" || !objectKinds.has(kind.value)) {
    return reject(
      "NOT_A_READ",
      `SHOW ${kind?.text ?? ""} is not available; SHOW lists ${[...objectKinds].join(", ")}`,
      kind?.start
    )
  }
  at++
  if (tokens[at]?.value === "HISTORY" && tokens[at]?.kind === "word") at++
  let name: ReadonlyArray<Token> = []
  const seen = new Set<string>()
  while (at < tokens.length) {
    const clause = tokens[at]!
    if (clause.kind !== "word" || !clauses.has(clause.value) || seen.has(clause.value)) {
      return unexpected(clause, "LIKE, IN, STARTS WITH or LIMIT")
    }
    seen.add(clause.value)
    at++
    switch (clause.value) {
      case "LIKE":
      case "FROM":
        if (!isString(tokens[at])) return unexpected(tokens[at], "a string")
        if (clause.value === "FROM" && !seen.has("LIMIT")) return unexpected(clause, "LIMIT before FROM")
        at++
        break
      case "STARTS":
        if (tokens[at]?.value !== "WITH") return unexpected(tokens[at], "WITH")
        if (!isString(tokens[at + 1])) return unexpected(tokens[at + 1], "a string")
        at += 2
        break
      case "LIMIT":
        if (!/^\d+$/.test(tokens[at]?.text ?? "")) return unexpected(tokens[at], "a number of rows")
        at++
        break
      case "IN": {
        const word = tokens[at]?.kind === "word" ? tokens[at]?.value : undefined
        const dotted = tokens[at + 1]?.text === "."
        if (word === "ACCOUNT" && !dotted) {
          at++
          break
        }
        const isContainer = word !== undefined && containers.has(word) && !dotted
        if (isContainer) at++
        const following = tokens[at]
        const nameless =
          following === undefined || (following.kind === "word" && clauses.has(following.value))
        // IN DATABASE and IN SCHEMA alone mean the current one.
        if (isContainer && nameless && word !== "TABLE" && word !== "VIEW") break
        const [parts, end] = nameAt(tokens, at)
        if (parts.length === 0) return unexpected(following, "a name")
        name = parts
        at = end
        break
      }
    }
  }
  return Either.right({ kind: "show", name })
}

const describe = (tokens: ReadonlyArray<Token>): Either.Either<Metadata, Rejection> => {
  const [name, end] = nameAt(tokens, 2)
  if (name.length === 0) return unexpected(tokens[2], "the name of a table or view")
  return end < tokens.length
    ? unexpected(tokens[end], "nothing after the name")
    : Either.right({ kind: "describe", name })
}

/**
 * The statement as a metadata read; undefined when it is neither SHOW nor DESCRIBE TABLE | VIEW.
 */
export const parse = (tokens: ReadonlyArray<Token>): Either.Either<Metadata, Rejection> | undefined => {
  const first = tokens[0]
  if (first?.kind !== "word") return undefined
  if (first.value === "SHOW") return show(tokens)
  if (first.value !== "DESC" && first.value !== "DESCRIBE") return undefined
  const object = tokens[1]
  return object?.kind === "word" && (object.value === "TABLE" || object.value === "VIEW")
    ? describe(tokens)
    : undefined
}
