/** A tool's schemas as functions. Built once for each tool: what a schema compiles to is not free. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Tool from "../Tool.js"

const problems = (error: ParseResult.ParseError): string =>
  ParseResult.ArrayFormatter.formatErrorSync(error)
    .map(({ message, path }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`))
    .join("; ")

export const make = (tool: Tool.Any) => {
  const decode = Schema.decodeUnknownEither(tool.input, { errors: "all", onExcessProperty: "error" })
  return {
    /** Left: all that is wrong, in one line. */
    decode: (input: unknown) => Either.mapLeft(decode(input), problems),
    encode: Schema.encode(tool.output)
  }
}
