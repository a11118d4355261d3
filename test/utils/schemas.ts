/**
 * JSON Schemas as a client of the protocol sees them: compiled by the validator that ships with the SDK.
 */
import { ToolSchema } from "@modelcontextprotocol/sdk/types.js"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv"
import type { JsonSchemaType, JsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/types.js"
import type { Schema } from "effect"
import { expect } from "vitest"
import { common } from "../../src/tools/schemas.js"
import * as JsonSchema from "../../src/tools/jsonSchema.js"
import type * as Tool from "../../src/tools/Tool.js"

const validators = new WeakMap<Schema.Schema.Any, JsonSchemaValidator<unknown>>()

/** The problem that a client would report, or `undefined`. Compiling is part of the test. */
export const problem = (schema: Schema.Schema.Any, value: unknown): string | undefined => {
  const validator =
    validators.get(schema) ??
    new AjvJsonSchemaValidator().getValidator<unknown>(JsonSchema.object(schema) as JsonSchemaType)
  validators.set(schema, validator)
  const result = validator(value)
  return result.valid ? undefined : result.errorMessage
}

/** `value` as it arrives on the other side is what the schema promises. */
export const expectValid = (schema: Schema.Schema.Any, value: unknown): void => {
  expect(problem(schema, JSON.parse(JSON.stringify(value)))).toBeUndefined()
}

/** The tool as a client's `tools/list` would read it; throws where a client would refuse the whole list. */
export const listed = (tool: Tool.Any) =>
  ToolSchema.parse({
    name: tool.name,
    title: tool.annotations.title,
    description: tool.description,
    inputSchema: JsonSchema.object(tool.input),
    outputSchema: JsonSchema.outline(tool.output, common),
    annotations: tool.annotations
  })

/** Every schema node in a JSON Schema, not the data in it. */
export const nodes = (schema: unknown): ReadonlyArray<Record<string, unknown>> => {
  if (Array.isArray(schema)) return schema.flatMap(nodes)
  if (typeof schema !== "object" || schema === null) return []
  const node = schema as Record<string, unknown>
  const maps = ["properties", "$defs", "patternProperties"].flatMap((key) =>
    Object.values((node[key] ?? {}) as Record<string, unknown>)
  )
  const children = ["items", "additionalProperties", "anyOf", "allOf", "oneOf", "not"].map((key) => node[key])
  return [node, ...[...maps, ...children].flatMap(nodes)]
}
