/**
 * Types that a query states and the engine does not keep: it knows one kind of semi-structured value and
 * one kind of timestamp with a zone. Pure.
 */
import { selectList } from "../warehouse/duckdb/names.js"
import type { Token } from "../sql/Lexer.js"

const stated: Readonly<Record<string, string>> = {
  OBJECT: "OBJECT",
  ARRAY: "ARRAY",
  VARIANT: "VARIANT",
  TIMESTAMP_TZ: "TIMESTAMP_TZ(9)"
}

const made: Readonly<Record<string, string>> = {
  OBJECT_CONSTRUCT: "OBJECT",
  OBJECT_CONSTRUCT_KEEP_NULL: "OBJECT",
  OBJECT_AGG: "OBJECT",
  ARRAY_CONSTRUCT: "ARRAY",
  ARRAY_AGG: "ARRAY",
  PARSE_JSON: "VARIANT",
  TO_VARIANT: "VARIANT",
  TO_TIMESTAMP_TZ: "TIMESTAMP_TZ(9)"
}

/** The engine's types that may stand for each of them. */
const compatible = (type: string, engine: string): boolean =>
  type.startsWith("TIMESTAMP") ? engine.startsWith("TIMESTAMP_LTZ") : /^(?:VARIANT|OBJECT|ARRAY)/.test(engine)

/** The item without its alias. */
const expression = (item: ReadonlyArray<Token>): ReadonlyArray<Token> => {
  const last = item[item.length - 1]
  const before = item[item.length - 2]
  if (before?.kind === "word" && before.value === "AS") return item.slice(0, -2)
  const isAlias =
    (last?.kind === "word" || last?.kind === "quoted") && before !== undefined && before.kind !== "operator"
  return isAlias ? item.slice(0, -1) : item
}

const typeOf = (item: ReadonlyArray<Token>): string | undefined => {
  const tokens = expression(item)
  const last = tokens[tokens.length - 1]
  if (tokens[tokens.length - 2]?.text === "::") return stated[last?.value ?? ""]
  const first = tokens[0]
  if (first?.kind !== "word" || last?.text !== ")" || tokens[1]?.text !== "(") return undefined
  // Only where the call is the whole item.
  if (
    tokens.findIndex((token, index) => index > 0 && token.kind === "close" && token.depth === first.depth) <
    tokens.length - 1
  ) {
    return undefined
  }
  if (first.value === "CAST" || first.value === "TRY_CAST") {
    return tokens[tokens.length - 3]?.value === "AS"
      ? stated[tokens[tokens.length - 2]?.value ?? ""]
      : undefined
  }
  return made[first.value]
}

/**
 * The types of the columns, with what the statement says in the place of what the engine says.
 */
export const declaredTypes = (
  tokens: ReadonlyArray<Token>,
  types: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const items = selectList(tokens)
  if (items === undefined || items.length !== types.length) return types
  return types.map((engine, index) => {
    const type = typeOf(items[index]!)
    return type !== undefined && compatible(type, engine) ? type : engine
  })
}
