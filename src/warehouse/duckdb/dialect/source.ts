/**
 * Changes to a text by position, and what the rules of the translation need to know about its tokens.
 *
 * @since 0.1.0
 */
import type { Token } from "../../../sql/Lexer.js"

/**
 * Replaces `start` .. `end`; an insertion where they are equal.
 *
 * @since 0.1.0
 * @category models
 */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/**
 * The text with all edits made. Insertions at one place keep their order; an edit that overlaps an earlier
 * one is left out, so two rules that want the same token can never garble it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const apply = (sql: string, edits: ReadonlyArray<Edit>): string => {
  const sorted = edits
    .map((edit, index) => ({ ...edit, index }))
    .sort((a, b) => a.start - b.start || a.end - b.end || a.index - b.index)
  let result = ""
  let at = 0
  for (const edit of sorted) {
    if (edit.start < at) continue
    result += sql.slice(at, edit.start) + edit.text
    at = edit.end
  }
  return result + sql.slice(at)
}

/**
 * The statement as the rules see it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source {
  readonly sql: string
  readonly tokens: ReadonlyArray<Token>
  /** The index of the closing bracket of the opening one at an index, and the other way round. */
  readonly partner: ReadonlyMap<number, number>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const source = (sql: string, tokens: ReadonlyArray<Token>): Source => {
  const partner = new Map<number, number>()
  const open: Array<number> = []
  tokens.forEach((token, index) => {
    if (token.kind === "open") open.push(index)
    else if (token.kind === "close") {
      const start = open.pop()
      if (start !== undefined) {
        partner.set(start, index)
        partner.set(index, start)
      }
    }
  })
  return { sql, tokens, partner }
}

/**
 * The statement's own text from one token to before another.
 *
 * @since 0.1.0
 * @category lookups
 */
export const textOf = ({ sql, tokens }: Source, start: number, end: number): string =>
  start >= end ? "" : sql.slice(tokens[start]!.start, tokens[end - 1]!.end)

/**
 * @since 0.1.0
 * @category predicates
 */
export const isWord = (
  token: Token | undefined,
  ...values: ReadonlyArray<string>
): token is Token & { readonly kind: "word" } =>
  token?.kind === "word" && (values.length === 0 || values.includes(token.value))

/**
 * @since 0.1.0
 * @category predicates
 */
export const isName = (token: Token | undefined): token is Token & { readonly kind: "word" | "quoted" } =>
  token?.kind === "word" || token?.kind === "quoted"

/**
 * Tokens by their indexes, the end exclusive.
 *
 * @since 0.1.0
 * @category models
 */
export type Range = readonly [start: number, end: number]

/**
 * The arguments between the bracket at `open` and its partner, as ranges of tokens.
 *
 * @since 0.1.0
 * @category lookups
 */
export const argumentsOf = ({ partner, tokens }: Source, open: number): ReadonlyArray<Range> => {
  const close = partner.get(open)
  if (close === undefined || close === open + 1) return []
  const inside = tokens[open]!.depth + 1
  const ranges: Array<[number, number]> = [[open + 1, close]]
  for (let at = open + 1; at < close; at++) {
    const token = tokens[at]!
    if (token.depth === inside && token.kind === "operator" && token.value === ",") {
      ranges[ranges.length - 1]![1] = at
      ranges.push([at + 1, close])
    }
  }
  return ranges
}
