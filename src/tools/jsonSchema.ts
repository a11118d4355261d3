/**
 * Effect Schema -> the JSON Schema of a tool, in the one form that clients and model providers agree on:
 * an object at the root, draft 7 without `$id` and `$schema`, definitions written out where they are used
 * (but for recursive ones), no `allOf` around a single constraint, no titles made from filter names.
 */
import * as JSONSchema from "effect/JSONSchema"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

interface ObjectSchema {
  type: "object"
  properties?: { [name: string]: Node }
  required?: Array<string>
  [keyword: string]: unknown
}

type Node = { readonly [keyword: string]: unknown }

const PREFIX = "#/$defs/"
const childSchema = new Set([
  ...["items", "additionalProperties", "additionalItems", "propertyNames", "contains"],
  ...["not", "if", "then", "else"]
])
const childList = new Set(["anyOf", "oneOf", "allOf"])
const childMap = new Set(["properties", "patternProperties", "$defs"])
const annotation = new Set(["description", "default", "examples", "title", "$comment"])

const isNode = (value: unknown): value is Node => Predicate.isRecord(value)

/** Every reference in a schema, wherever it stands: data that looks like one costs nothing but an inline. */
const references = (value: unknown, found: Set<string>): Set<string> => {
  if (Array.isArray(value)) value.forEach((item) => references(item, found))
  else if (isNode(value)) {
    for (const [key, child] of Object.entries(value)) {
      if (key === "$ref" && typeof child === "string" && child.startsWith(PREFIX)) found.add(refName(child))
      else references(child, found)
    }
  }
  return found
}

const refName = (ref: string): string => ref.slice(PREFIX.length).replaceAll("~1", "/").replaceAll("~0", "~")

/** Names of definitions that contain themselves, directly or through others. */
const recursiveNames = (definitions: { readonly [name: string]: unknown }): Set<string> => {
  const direct = new Map(
    Object.entries(definitions).map(([name, node]) => [name, references(node, new Set())])
  )
  const reaches = (from: string): Set<string> => {
    const seen = new Set<string>()
    const todo = [...(direct.get(from) ?? [])]
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (seen.has(name)) continue
      seen.add(name)
      todo.push(...(direct.get(name) ?? []))
    }
    return seen
  }
  return new Set([...direct.keys()].filter((name) => reaches(name).has(name)))
}

// The client compiles a pattern with the "u" flag; one that does not compile would take the whole list of
// tools with it. The server's own schema goes on checking what is left out here.
const compiles = (pattern: unknown): boolean => {
  try {
    return typeof pattern === "string" && new RegExp(pattern, "u") instanceof RegExp
  } catch {
    return false
  }
}

interface Env {
  readonly definitions: { readonly [name: string]: unknown }
  readonly recursive: Set<string>
  /** Recursive definitions in use, by the name they have in the result. */
  readonly used: Map<string, string>
}

/** A name that needs no escaping in a reference. */
const safeName = (name: string, env: Env): string => {
  const known = env.used.get(name)
  if (known !== undefined) return known
  const plain = name.replace(/[^A-Za-z0-9_.-]/g, "_")
  const taken = new Set(env.used.values())
  let safe = plain
  for (let n = 2; taken.has(safe); n++) safe = `${plain}_${n}`
  env.used.set(name, safe)
  return safe
}

/** `inner` with what stands beside it; `undefined` when both constrain the same thing differently. */
const merge = (outer: Node, inner: Node): Node | undefined => {
  for (const key of Object.keys(inner)) {
    if (key in outer && !annotation.has(key) && outer[key] !== inner[key]) return undefined
  }
  return { ...inner, ...outer }
}

const normalise = (value: unknown, env: Env): unknown => {
  if (!isNode(value)) return value
  const { $id, $schema: _schema, $defs: _defs, $ref, title: _title, ...rest } = value
  if (typeof $ref === "string" && $ref.startsWith(PREFIX)) {
    const name = refName($ref)
    const siblings = clean(rest, env)
    if (env.recursive.has(name)) {
      const ref = { $ref: PREFIX + safeName(name, env) }
      // Draft 7 ignores everything beside a $ref.
      return Object.keys(siblings).length === 0 ? ref : { ...siblings, allOf: [ref] }
    }
    return { ...(normalise(env.definitions[name], env) as Node), ...siblings }
  }
  // An empty struct: "anything but null", which no provider understands.
  if ($id === "/schemas/%7B%7D" || $id === "/schemas/object") {
    const { anyOf: _, ...others } = rest
    return { type: "object", ...clean(others, env) }
  }
  return clean($ref === undefined ? rest : { ...rest, $ref }, env)
}

/** What stands under a keyword, with `f` of each schema that is in it. */
const mapSchemas = (key: string, value: unknown, f: (schema: unknown) => unknown): unknown => {
  if (childSchema.has(key)) return f(value)
  if (childList.has(key) && Array.isArray(value)) return value.map(f)
  if (!childMap.has(key) || !isNode(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, f(schema)]))
}

const saysNothing = (key: string, value: unknown): boolean =>
  (key === "pattern" && !compiles(value)) ||
  (key === "additionalProperties" && value === true) ||
  (key === "required" && Array.isArray(value) && value.length === 0)

const clean = (node: Node, env: Env): Node => {
  const out: { [keyword: string]: unknown } = {}
  for (const [key, child] of Object.entries(node)) {
    if (key === "items" && Array.isArray(child)) {
      throw new Error("a tuple has no form that all clients read: use an array or a struct")
    }
    if (!saysNothing(key, child)) out[key] = mapSchemas(key, child, (schema) => normalise(schema, env))
  }
  return collapse(out)
}

/** `{ allOf: [x], ...rest }` says no more than both together, unless `x` is a reference. */
const collapse = (node: Node): Node => {
  const { allOf, ...rest } = node
  if (!Array.isArray(allOf) || allOf.length !== 1 || !isNode(allOf[0]) || "$ref" in allOf[0]) return node
  return merge(rest, allOf[0]) ?? node
}

const forbidsExcess = (ast: AST.AST): boolean =>
  Option.exists(AST.getParseOptionsAnnotation(ast), (options) => options.onExcessProperty === "error")

/**
 * The JSON Schema of what `schema` decodes from (and encodes to). Throws when it does not describe an
 * object, or uses something that JSON Schema has no word for: a mistake in the tool.
 */
export const object = (schema: Schema.Schema.Any): ObjectSchema => {
  const definitions: { [name: string]: JSONSchema.JsonSchema7 } = {}
  const root = JSONSchema.fromAST(schema.ast, {
    definitions,
    target: "jsonSchema7",
    topLevelReferenceStrategy: "skip",
    additionalPropertiesStrategy: "allow"
  })
  const env: Env = { definitions, recursive: recursiveNames(definitions), used: new Map() }
  // A root that is a recursive definition is written out once; inside, it is referred to.
  const target = "$ref" in root ? definitions[refName(root.$ref)] : root
  const normal = normalise(target, env)
  if (!isNode(normal) || !describesObject(normal)) {
    throw new Error("the schema of a tool must describe an object")
  }
  const $defs: { [name: string]: unknown } = {}
  // Normalising a definition may reveal more of them; a Map's iteration sees those too.
  for (const [name, safe] of env.used) $defs[safe] = normalise(definitions[name], env)
  return {
    ...normal,
    type: "object",
    ...("properties" in normal || "anyOf" in normal || "oneOf" in normal ? {} : { properties: {} }),
    ...(forbidsExcess(schema.ast) ? { additionalProperties: false } : {}),
    ...(env.used.size === 0 ? {} : { $defs })
  }
}

const describesObject = (node: Node): boolean => {
  if (node["type"] === "object") return true
  const members = node["anyOf"] ?? node["oneOf"]
  return Array.isArray(members) && members.every((member) => isNode(member) && describesObject(member))
}

/**
 * What an answer is made of, in the shortest form that is true: without descriptions, and without the fields that many
 * answers have and the instructions describe once.
 */
export const outline = (schema: Schema.Schema.Any, without: ReadonlySet<string>): ObjectSchema => {
  const { properties = {}, required = [], ...rest } = object(schema)
  const isOwn = (name: string): boolean => !without.has(name)
  const own = Object.entries(properties).filter(([name]) => isOwn(name))
  return {
    ...bare(rest),
    type: "object",
    properties: Object.fromEntries(own.map(([name, property]) => [name, bare(property)])),
    ...(required.some(isOwn) ? { required: required.filter(isOwn) } : {})
  }
}

/** Keywords that tell what is there, but not its form. */
const telling = new Set(["description", "minimum"])

const bare = (node: Node): Node =>
  Object.fromEntries(
    Object.entries(node).flatMap(([key, child]) =>
      telling.has(key)
        ? []
        : [[key, mapSchemas(key, child, (schema) => (isNode(schema) ? bare(schema) : schema))]]
    )
  )
