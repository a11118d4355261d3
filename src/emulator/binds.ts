/**
 * What the requests about statements carry. Pure.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { Bind } from "../warehouse/Warehouse.js"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"

const BindValue = Schema.Struct({
  type: Schema.String,
  value: Schema.NullOr(
    Schema.Union(Schema.String, Schema.Number, Schema.Boolean, Schema.Array(Schema.Unknown))
  )
})

/**
 * @since 0.1.0
 * @category models
 */
export const QueryBody = Schema.parseJson(
  Schema.Struct({
    sqlText: Schema.String,
    asyncExec: Schema.optional(Schema.NullOr(Schema.Boolean)),
    describeOnly: Schema.optional(Schema.NullOr(Schema.Boolean)),
    bindings: Schema.optional(Schema.NullOr(Schema.Record({ key: Schema.String, value: BindValue }))),
    bindStage: Schema.optional(Schema.NullOr(Schema.String)),
    parameters: Schema.optional(Schema.NullOr(Schema.Record({ key: Schema.String, value: Schema.Unknown })))
  })
)
/**
 * @since 0.1.0
 * @category models
 */
export type QueryBody = typeof QueryBody.Type

const bindOf = ({ type, value }: typeof BindValue.Type): Bind | undefined => {
  if (value === null) return null
  if (typeof value !== "string") return Array.isArray(value) ? undefined : (value as Bind)
  switch (type) {
    case "FIXED":
      // What a double does not hold exactly stays text, which the engine converts.
      return Number.isSafeInteger(Number(value)) && /^-?\d+$/.test(value) ? Number(value) : value
    case "REAL":
      return Number(value)
    case "BOOLEAN":
      return value.toLowerCase() === "true" || value === "1"
    default:
      return value
  }
}

/**
 * The binds in the order of their numbers.
 *
 * @since 0.1.0
 * @category conversions
 */
export const bindsOf = (body: QueryBody): ReadonlyArray<Bind> | Failure => {
  if (typeof body.bindStage === "string") return Failures.notSupported("binds in a stage")
  const binds: Array<Bind> = []
  const entries = Object.entries(body.bindings ?? {}).sort(([a], [b]) => Number(a) - Number(b))
  for (const [, entry] of entries) {
    const bind = bindOf(entry)
    if (bind === undefined) return Failures.notSupported("array binds")
    binds.push(bind)
  }
  return binds
}

/**
 * Parameters as text, by their name in upper case.
 *
 * @since 0.1.0
 * @category conversions
 */
export const parametersOf = (
  ...layers: ReadonlyArray<Iterable<readonly [string, unknown]>>
): Map<string, string> => {
  const parameters = new Map<string, string>()
  for (const layer of layers) {
    for (const [name, value] of layer) {
      if (value !== null && value !== undefined) parameters.set(name.toUpperCase(), String(value))
    }
  }
  return parameters
}
