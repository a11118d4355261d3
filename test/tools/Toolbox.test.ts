import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Context, Effect, FastCheck as fc, Layer, Schema } from "effect"
import { toolNames } from "../../src/tools/CallPolicy.js"
import * as Tool from "../../src/tools/Tool.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import * as Fakes from "../utils/fakeGuards.js"
import { listed, nodes, problem } from "../utils/schemas.js"

class Greeting extends Context.Tag("test/Greeting")<Greeting, { readonly text: string }>() {}

const custom = (name: string) =>
  Effect.map(Greeting, ({ text }) =>
    Tool.make({
      name,
      description: "Says hello.",
      class: "control",
      input: Schema.Struct({ name: Schema.String }),
      output: Schema.Struct({ greeting: Schema.String }),
      annotations: Tool.readOnly("Hello"),
      handler: ({ name }) => Effect.succeed({ greeting: `${text} ${name}` })
    })
  )

/** The tools that come with the server, on fakes. */
const builtin = Effect.map(Fakes.services(), ({ layer }) => layer)

const withTools = <A, E, R>(effect: Effect.Effect<A, E, R | Toolbox.Toolbox>) =>
  Effect.flatMap(builtin, (services) => Effect.provide(effect, Layer.provide(Toolbox.layerDefault, services)))

describe("Toolbox", () => {
  it.effect("holds the built-in tools, sorted by name", () =>
    withTools(
      Effect.gen(function* () {
        const { get, tools } = yield* Toolbox.Toolbox
        expect(tools.map(({ name }) => name)).toEqual([...toolNames].sort())
        for (const tool of tools) expect(get(tool.name)).toBe(tool)
        expect(get("no_such_tool")).toBeUndefined()
      })
    )
  )

  it.effect("takes a tool of one's own beside the built-in ones, with the services it needs", () =>
    Effect.gen(function* () {
      const services = yield* builtin
      const ToolboxLive = Toolbox.layer([...Toolbox.builtin, custom("hello")])
      const greeting = Layer.succeed(Greeting, { text: "Hi" })
      const { get, tools } = yield* Effect.provide(
        Toolbox.Toolbox,
        Layer.provide(ToolboxLive, Layer.merge(services, greeting))
      )
      expect(tools.map(({ name }) => name)).toEqual([...toolNames, "hello"].sort())
      expect(yield* get("hello")!.handler({ name: "you" }, Fakes.quietContext)).toEqual({
        greeting: "Hi you"
      })
    })
  )

  it.effect("does not build with two tools of one name", () =>
    Effect.gen(function* () {
      const layer = Toolbox.layer([custom("twice"), custom("once"), custom("twice")])
      const error = yield* Effect.flip(
        Effect.provide(Toolbox.Toolbox, Layer.provide(layer, Layer.succeed(Greeting, { text: "" })))
      )
      expect(error).toMatchObject({ _tag: "ToolboxError", tool: "twice" })
      expect(error.message).toBe('two tools have the name "twice"')
    })
  )

  it.effect("does not build with a name that clients refuse", () =>
    Effect.gen(function* () {
      for (const name of ["", "has space", "x".repeat(65), "dot.ted"]) {
        const layer = Layer.provide(Toolbox.layer([custom(name)]), Layer.succeed(Greeting, { text: "" }))
        expect(yield* Effect.flip(Effect.provide(Toolbox.Toolbox, layer))).toMatchObject({ tool: name })
      }
    })
  )

  it.effect("says what else there is when a tool does not exist", () =>
    withTools(
      Effect.gen(function* () {
        const { unknown } = yield* Toolbox.Toolbox
        expect(unknown("list_table")).toBe('There is no tool "list_table". Did you mean list_tables?')
        expect(unknown("zzz")).toContain(`Tools: ${toolNames.join(", ")}.`)
        expect(unknown("z".repeat(10_000)).length).toBeLessThan(400)
      })
    )
  )
})

describe("the schemas of the built-in tools", () => {
  it.effect("are accepted by the SDK and compile in its validator", () =>
    withTools(
      Effect.gen(function* () {
        const { tools } = yield* Toolbox.Toolbox
        for (const tool of tools) {
          expect(listed(tool)).toMatchObject({
            name: tool.name,
            inputSchema: { type: "object", additionalProperties: false },
            outputSchema: { type: "object" },
            annotations: { readOnlyHint: true, destructiveHint: false }
          })
          expect(problem(tool.output, null)).toBeDefined()
        }
      })
    )
  )

  it.effect("have results that need no encoding where none is done", () =>
    withTools(
      Effect.gen(function* () {
        const { tools } = yield* Toolbox.Toolbox
        const sent = tools.filter(({ unchecked }) => unchecked === true)
        expect(sent.length).toBeGreaterThan(0)
        for (const { output } of sent) {
          const made = Schema.encodedSchema(Schema.typeSchema(output))
          expect(String(Schema.encodedSchema(output))).toBe(String(made))
        }
      })
    )
  )

  it.effect("have nothing that providers stumble over, and describe every argument", () =>
    withTools(
      Effect.gen(function* () {
        const { tools } = yield* Toolbox.Toolbox
        for (const { inputSchema, outputSchema } of tools.map(listed)) {
          for (const node of [...nodes(inputSchema), ...nodes(outputSchema)]) {
            for (const key of ["$id", "$schema", "$ref", "$defs", "allOf", "title", "prefixItems"]) {
              expect(node).not.toHaveProperty(key)
            }
          }
          for (const [name, argument] of Object.entries(inputSchema.properties ?? {})) {
            // What these are is in their names, and how they are written in `list_databases`; a choice is told by its words.
            const isChoice = /"enum":/.test(JSON.stringify(argument))
            if (!isChoice && !["database", "schema", "table", "view_name"].includes(name)) {
              expect(argument).toHaveProperty("description")
            }
            expect(argument).toHaveProperty("type")
          }
        }
      })
    )
  )

  it.effect("take arguments in words that strict function calling accepts", () =>
    withTools(
      Effect.gen(function* () {
        // What OpenAI's structured outputs support, of what a tool may need.
        const words = new Set([
          ...["type", "properties", "required", "additionalProperties", "description", "enum", "items"],
          ...["minimum", "maximum"]
        ])
        for (const { inputSchema } of (yield* Toolbox.Toolbox).tools.map(listed)) {
          expect(inputSchema).toMatchObject({ type: "object", additionalProperties: false })
          for (const node of nodes(inputSchema)) {
            expect(Object.keys(node).filter((word) => !words.has(word))).toEqual([])
          }
        }
      })
    )
  )

  it.effect("name the statement once, as sql, and require it", () =>
    withTools(
      Effect.gen(function* () {
        const list = (yield* Toolbox.Toolbox).tools.map(listed)
        for (const { inputSchema } of list.filter(({ name }) => /^(execute|explain)_query$/.test(name))) {
          expect(inputSchema.required).toEqual(["sql"])
          expect(Object.keys(inputSchema.properties ?? {})).not.toContain("query")
          expect(Object.keys(inputSchema.properties ?? {})).not.toContain("statement")
        }
      })
    )
  )

  it.effect("let whatever lists or describes be narrowed and bounded", () =>
    withTools(
      Effect.gen(function* () {
        const list = (yield* Toolbox.Toolbox).tools.map(listed)
        const catalog = list.filter(({ name }) => /^(list|describe)_/.test(name))
        expect(catalog).toHaveLength(6)
        for (const { inputSchema } of catalog) {
          expect(Object.keys(inputSchema.properties ?? {})).toEqual(
            expect.arrayContaining(["pattern", "limit"])
          )
        }
      })
    )
  )

  it.effect("stay small: every conversation pays for them", () =>
    withTools(
      Effect.gen(function* () {
        const list = (yield* Toolbox.Toolbox).tools.map(listed)
        const inputs = list.map(({ outputSchema: _, ...rest }) => rest)
        expect(JSON.stringify(inputs).length).toBeLessThan(10_300)
        expect(JSON.stringify(list).length).toBeLessThan(29_600)
      })
    )
  )

  it.effect("promise what is encoded: every value of the schema passes the JSON Schema", () =>
    withTools(
      Effect.gen(function* () {
        const { tools } = yield* Toolbox.Toolbox
        for (const tool of tools) {
          for (const schema of [tool.input, tool.output]) {
            const encode = Schema.encodeSync(schema)
            fc.assert(
              fc.property(Arbitrary.make(schema), (value) => {
                expect(problem(schema, JSON.parse(JSON.stringify(encode(value))))).toBeUndefined()
              }),
              { numRuns: 30 }
            )
          }
        }
      })
    )
  )
})
