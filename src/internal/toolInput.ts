import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { nearest } from "../core/Nearest.js"
import type * as Tool from "../Tool.js"

/**
 * The arguments of a call, checked, or what is wrong with them in a text for the model.
 *
 * Both the work and the text are bounded whatever was sent: a call that is refused here has passed no
 * limit yet, and must not cost more than one that is served.
 */
export type Decode = (input: { readonly [name: string]: unknown }) => Either.Either<unknown, string>

/** No tool has so many arguments; beyond it nothing but their number is told. */
const MAX_ARGUMENTS = 64

const MAX_PROBLEMS = 10
const MAX_PROBLEM = 200
const MAX_NAME = 64

const cut = (text: string, at: number): string => (text.length <= at ? text : `${text.slice(0, at)}…`)

const listed = (problems: ReadonlyArray<string>): string => {
  const more = problems.length - MAX_PROBLEMS
  const told = problems.slice(0, MAX_PROBLEMS).map((problem) => cut(problem, MAX_PROBLEM))
  return `${told.join("; ")}${more > 0 ? `; and ${more} more` : ""}.`
}

const namesOf = (schema: Schema.Schema.AnyNoContext): ReadonlyArray<string> | undefined => {
  const { ast } = Schema.encodedSchema(schema)
  return ast._tag === "TypeLiteral" && ast.indexSignatures.length === 0
    ? ast.propertySignatures.map(({ name }) => String(name))
    : undefined
}

export const make = (tool: Pick<Tool.Any, "input">): Decode => {
  const decode = Schema.decodeUnknownEither(tool.input, { errors: "all", onExcessProperty: "error" })
  const known = namesOf(tool.input)
  const unknown = (name: string): string => {
    const meant = nearest(cut(name, MAX_NAME), known ?? [])
    return `${cut(name, MAX_NAME)}: no such argument${meant.length === 0 ? "" : ` (did you mean ${meant.join(" or ")}?)`}`
  }
  return (input) => {
    const given = Object.keys(input)
    if (given.length > MAX_ARGUMENTS) return Either.left(`${given.length} arguments are too many.`)
    const strange = known === undefined ? [] : given.filter((name) => !known.includes(name))
    if (strange.length > 0) {
      const takes = known === undefined || known.length === 0 ? "none" : known.join(", ")
      return Either.left(`${listed(strange.map(unknown))} It takes: ${takes}.`)
    }
    return Either.mapLeft(decode(input), (error) =>
      listed(
        ParseResult.ArrayFormatter.formatErrorSync(error).map(({ message, path }) =>
          path.length === 0 ? message : `${path.join(".")}: ${message}`
        )
      )
    )
  }
}
