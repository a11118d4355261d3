/**
 * What is wrong with a configuration: everything at once, each with its key and what was expected.
 */
import * as Schema from "effect/Schema"
import { printable } from "./Kind.js"

/** One thing that is wrong, with the key and where it was said. */
export const Fault = Schema.Struct({
  /** As the operator wrote it: a key of the file, an environment variable, a flag, or the file itself. */
  key: Schema.String,
  source: Schema.Literal("connection", "file", "env", "args"),
  message: Schema.String,
  /** What was probably meant. */
  nearest: Schema.optional(Schema.String),
  /** Of a syntax error, from 1. */
  line: Schema.optional(Schema.Number),
  column: Schema.optional(Schema.Number)
})
export type Fault = typeof Fault.Type

/** All that is wrong with a configuration, so that it can be corrected at once. Holds no value of a secret. */
export class ConfigFaults extends Schema.TaggedError<ConfigFaults>("snowguard/ConfigFaults")("ConfigFaults", {
  faults: Schema.Array(Fault),
  /** The file that was read, where one was. */
  path: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return this.render()
  }

  /** One line for each fault, for stderr. */
  render(): string {
    return this.faults
      .map(({ column, key, line, message, nearest, source }) => {
        const where =
          line !== undefined
            ? `${key}:${line}${column === undefined ? "" : `:${column}`}`
            : source === "file" && this.path !== undefined && key !== this.path
              ? `${key} (${this.path})`
              : key
        return printable(`${where}: ${message}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`)
      })
      .join("\n")
  }
}
