/**
 * The arguments of a call as clients and models really send them, made into what a tool takes.
 *
 * - `null` stands for an argument that is not given, and so does a blank text for an optional one: models
 *   that must fill in every argument have no other way to leave one out.
 * - A number may come as a text of digits, `true` and `false` as texts.
 * - Another name of an argument ({@link Tool.Tool.aliases}) is taken for it.
 * - What clients add to the calls of every tool is left out; any other unknown name is refused, with the
 *   one that was meant: `schema_name` instead of `schema` would otherwise look up another schema.
 *
 * Both the work and the text are bounded whatever was sent: a call that is refused here has passed no
 * limit yet, and must not cost more than one that is served.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { nearest } from "../platform/core/Nearest.js"
import type * as Tool from "./Tool.js"
import * as JsonSchema from "./jsonSchema.js"

/** The arguments of a call, checked, or what is wrong with them in a text for the model. */
export type Decode = (input: { readonly [name: string]: unknown }) => Either.Either<unknown, string>

/** Arguments that clients add to the calls of tools that do not have them, and where that is reported. */
export const addedByClients: { readonly [name: string]: string } = {
  sessionId: "n8n: github.com/sansan0/TrendRadar/issues/768",
  action: "n8n: github.com/sansan0/TrendRadar/issues/768",
  chatInput: "n8n: github.com/sansan0/TrendRadar/issues/768",
  tool: "n8n: github.com/n8n-io/n8n/pull/35067",
  toolCallId: "n8n: github.com/n8n-io/n8n/issues/21716",
  task_progress: "Cline: github.com/cline/cline/issues/10426",
  wait_for_previous: "Gemini CLI: a parameter of its scheduler, in the schema of every tool",
  random_string: "Cursor: for tools that have no arguments",
  _meta: "LangChain: github.com/langchain-ai/langchain-mcp-adapters/pull/412",
  __arg1: "LangChain: for tools that have no arguments"
}

/** No tool has so many arguments; beyond it nothing but their number is told. */
const MAX_ARGUMENTS = 64

const MAX_PROBLEMS = 10
const MAX_PROBLEM = 200
const MAX_NAME = 64
const MAX_SHOWN = 40

const cut = (text: string, at: number): string => (text.length <= at ? text : `${text.slice(0, at)}…`)

const listed = (problems: ReadonlyArray<string>): string => {
  const more = problems.length - MAX_PROBLEMS
  const told = problems.slice(0, MAX_PROBLEMS).map((problem) => cut(problem, MAX_PROBLEM))
  return `${told.join("; ")}${more > 0 ? `; and ${more} more` : ""}.`
}

/** What was given, in a few words: a long text would hide what is wrong with it. */
const shown = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(cut(value, MAX_SHOWN))
  if (Array.isArray(value)) return "a list"
  return typeof value === "object" && value !== null ? "an object" : String(value)
}

const isBlank = (value: unknown): boolean => typeof value === "string" && value.trim() === ""

interface Argument {
  readonly takesNull: boolean
  readonly takesBlank: boolean
  readonly kind: "number" | "boolean" | "other"
}

const membersOf = (ast: AST.AST): ReadonlyArray<AST.AST> =>
  AST.isUnion(ast) ? ast.types.flatMap(membersOf) : [ast]

const argumentOf = ({ isOptional, type }: AST.PropertySignature, takesBlank: boolean): Argument => {
  const members = membersOf(type)
  const given = members.filter((member) => !AST.isUndefinedKeyword(member))
  const all = (is: (ast: AST.AST) => boolean): boolean => given.length > 0 && given.every(is)
  const optional = isOptional || given.length < members.length
  return {
    takesNull: given.some((member) => AST.isLiteral(member) && member.literal === null),
    // Of a tool of one's own: where a text has to be given, an empty one may be meant.
    takesBlank: !optional && takesBlank,
    kind: all(AST.isNumberKeyword) ? "number" : all(AST.isBooleanKeyword) ? "boolean" : "other"
  }
}

/** By name; undefined when a tool takes whatever is given. */
const argumentsOf = (schema: Schema.Schema.AnyNoContext): ReadonlyMap<string, Argument> | undefined => {
  const { ast } = Schema.encodedSchema(schema)
  if (!AST.isTypeLiteral(ast) || ast.indexSignatures.length > 0) return undefined
  // The same with its filters.
  const checked = Schema.encodedBoundSchema(schema).ast
  const takesBlank = (name: PropertyKey): boolean => {
    const property = AST.isTypeLiteral(checked)
      ? checked.propertySignatures.find((one) => one.name === name)
      : undefined
    return property !== undefined && Schema.is(Schema.make(property.type))("")
  }
  return new Map(
    ast.propertySignatures.map((property) => [
      String(property.name),
      argumentOf(property, takesBlank(property.name))
    ])
  )
}

const isAbsent = (value: unknown, { takesBlank, takesNull }: Argument): boolean =>
  value === undefined || (value === null && !takesNull) || (isBlank(value) && !takesBlank)

const converted = (value: unknown, { kind }: Argument): unknown => {
  if (typeof value !== "string" || kind === "other") return value
  const text = value.trim()
  if (kind === "number") return /^[+-]?\d{1,15}(?:\.0+)?$/.test(text) ? Number(text) : value
  return /^true$/i.test(text) ? true : /^false$/i.test(text) ? false : value
}

type Property = { readonly [keyword: string]: unknown }

const number = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined)

/** What the property takes, where the value is none of it; undefined where the schema has to say. */
const expected = (property: Property, value: unknown): string | undefined => {
  const values = property["enum"]
  if (Array.isArray(values)) {
    return values.includes(value) ? undefined : `one of ${values.map(String).join(", ")}`
  }
  switch (property["type"]) {
    case "integer":
    case "number": {
      const whole = property["type"] === "integer"
      const [least, most] = [number(property["minimum"]), number(property["maximum"])]
      const fits =
        typeof value === "number" &&
        (!whole || Number.isInteger(value)) &&
        value >= (least ?? -Infinity) &&
        value <= (most ?? Infinity)
      if (fits) return undefined
      const noun = whole ? "a whole number" : "a number"
      if (least !== undefined && most !== undefined) return `${noun} from ${least} to ${most}`
      return least !== undefined
        ? `${noun} of at least ${least}`
        : most === undefined
          ? noun
          : `${noun} of at most ${most}`
    }
    case "string":
      return typeof value === "string" ? undefined : "a text"
    case "boolean":
      return typeof value === "boolean" ? undefined : "true or false"
    case "array":
      return Array.isArray(value) ? undefined : "a list"
    case "object":
      return Predicate.isRecord(value) ? undefined : "an object"
    default:
      return undefined
  }
}

export const decoder = ({ aliases = {}, input: schema }: Pick<Tool.Any, "input" | "aliases">): Decode => {
  const decode = Schema.decodeUnknownEither(schema, { errors: "all", onExcessProperty: "error" })
  const known = argumentsOf(schema)
  if (known === undefined) {
    return (input) => Either.mapLeft(decode(input), (error) => listed(messages(error)))
  }
  const names = [...known.keys()]
  const meanings = new Map(
    Object.entries(aliases).flatMap(([name, others]) => others.map((other) => [other, name] as const))
  )
  const isKnown = (name: string) => known.has(name) || meanings.has(name)

  const unknown = (name: string): string => {
    const meant = nearest(cut(name, MAX_NAME), names)
    return `${cut(name, MAX_NAME)}: no such argument${meant.length === 0 ? "" : ` (did you mean ${meant.join(" or ")}?)`}`
  }

  /** The one value that an argument is given under all its names. */
  const valueOf = (
    name: string,
    argument: Argument,
    input: { readonly [name: string]: unknown }
  ): Either.Either<unknown, string> => {
    const given = [name, ...(aliases[name] ?? [])].filter(
      (key) => Object.hasOwn(input, key) && !isAbsent(input[key], { ...argument, takesBlank: false })
    )
    const [first = name, ...others] = given
    const value = Object.hasOwn(input, first) ? input[first] : undefined
    const same = (other: unknown): boolean =>
      other === value ||
      (typeof other === "string" && typeof value === "string" && other.trim() === value.trim())
    const different = others.find((key) => !same(input[key]))
    return different === undefined
      ? Either.right(isAbsent(value, argument) ? undefined : converted(value, argument))
      : Either.left(`${first} and ${different} are two names of ${name} and differ: give ${name} alone`)
  }

  /** Once for each argument that is wrong, whatever the schema has to say about it. */
  const problems = (
    error: ParseResult.ParseError,
    values: { readonly [name: string]: unknown }
  ): ReadonlyArray<string> => {
    const properties = JsonSchema.object(schema).properties ?? {}
    const issues = ParseResult.ArrayFormatter.formatErrorSync(error)
    const wrong = new Set(issues.map(({ path }) => String(path[0] ?? "")))
    return [...wrong].flatMap((name) => {
      const value = values[name]
      if (known.has(name) && (value === undefined || isBlank(value)))
        return [`${name}: missing, it is required`]
      const takes = known.has(name) ? expected((properties[name] ?? {}) as Property, value) : undefined
      if (takes !== undefined) return [`${name}: expected ${takes}, got ${shown(value)}`]
      const about = issues.filter(({ path }) => String(path[0] ?? "") === name)
      const given = about.filter((issue) => !issue.message.startsWith(orAbsent))
      return [...new Set((given.length > 0 ? given : about).map(message))]
    })
  }

  return (input) => {
    const given = Object.keys(input)
    if (given.length > MAX_ARGUMENTS) return Either.left(`${given.length} arguments are too many.`)
    const strange = given.filter((name) => !isKnown(name) && !Object.hasOwn(addedByClients, name))
    if (strange.length > 0) {
      const takes = names.length === 0 ? "none" : names.join(", ")
      return Either.left(`${listed(strange.map(unknown))} It takes: ${takes}.`)
    }
    const values: { [name: string]: unknown } = {}
    const contradictions: Array<string> = []
    for (const [name, argument] of known) {
      const value = valueOf(name, argument, input)
      if (Either.isLeft(value)) contradictions.push(value.left)
      else if (value.right !== undefined) values[name] = value.right
    }
    if (contradictions.length > 0) return Either.left(listed(contradictions))
    return Either.mapLeft(decode(values), (error) => listed(problems(error, values)))
  }
}

/** What a schema says beside the rest where an argument might not be given: of no use to who gave it. */
const orAbsent = "Expected undefined, "

const message = (issue: ParseResult.ArrayFormatterIssue): string =>
  issue.path.length === 0 ? issue.message : `${issue.path.join(".")}: ${issue.message}`

const messages = (error: ParseResult.ParseError): ReadonlyArray<string> => [
  ...new Set(ParseResult.ArrayFormatter.formatErrorSync(error).map(message))
]

/** A tool's schemas as functions. Built once for each tool: what a schema compiles to is not free. */
export const codec = (tool: Tool.Any) => ({
  decode: decoder(tool),
  encode: tool.unchecked === true ? undefined : Schema.encode(tool.output)
})
