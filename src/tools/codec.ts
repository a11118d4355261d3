/** A tool's schemas as functions. Built once for each tool: what a schema compiles to is not free. */
import * as Schema from "effect/Schema"
import type * as Tool from "./Tool.js"
import * as ToolInput from "./input.js"

export const make = (tool: Tool.Any) => ({
  decode: ToolInput.make(tool),
  encode: Schema.encode(tool.output)
})
