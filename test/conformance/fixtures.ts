/**
 * What the conformance suite of the protocol asks of a server, beside what ours offers: an MCP server of the
 * SDK's with the suite's own tools, prompts and resources.
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import type { CallToolResult, GetPromptResult, Prompt, Tool } from "@modelcontextprotocol/sdk/types.js"
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema
} from "@modelcontextprotocol/sdk/types.js"
import { setTimeout as sleep } from "node:timers/promises"

/** One pixel. */
const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
/** No sample at all. */
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="

export const text = (value: string) => ({ type: "text" as const, text: value })
const image = { type: "image" as const, data: png, mimeType: "image/png" }
const resource = (uri: string, mimeType: string, value: string) => ({
  type: "resource" as const,
  resource: { uri, mimeType, text: value }
})

type Extra = Parameters<Parameters<Server["setRequestHandler"]>[1]>[1]
type Arguments = Record<string, unknown>

const pauseMs = 50

const elicit = async (message: string, requestedSchema: object, extra: Extra): Promise<CallToolResult> => {
  const answer = await extra.sendRequest(
    {
      method: "elicitation/create",
      params: {
        mode: "form",
        message,
        requestedSchema: { type: "object", properties: {}, ...requestedSchema }
      }
    },
    ElicitResultSchema
  )
  const said = `action=${answer.action}, content=${JSON.stringify(answer.content)}`
  return { content: [text(`Elicitation completed: ${said}`)] }
}

const defaults = {
  properties: {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true }
  }
}

const plain = ["option1", "option2", "option3"]
const titled = (word: string) =>
  ["First", "Second", "Third"].map((nth, index) => ({
    const: `value${index + 1}`,
    title: `${nth} ${word}`
  }))

const enums = {
  properties: {
    untitledSingle: { type: "string", enum: plain },
    titledSingle: { type: "string", oneOf: titled("Option") },
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"]
    },
    untitledMulti: { type: "array", items: { type: "string", enum: plain } },
    titledMulti: { type: "array", items: { anyOf: titled("Choice") } }
  }
}

const noArguments: Tool["inputSchema"] = { type: "object", properties: {} }

const oneText = (name: string): Tool["inputSchema"] => ({
  type: "object",
  properties: { [name]: { type: "string" } },
  required: [name]
})

/** Words of JSON Schema 2020-12, all of which have to reach the client. */
const newest: Tool["inputSchema"] = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } }
    }
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" }
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false
}

interface Fixture {
  readonly input: Tool["inputSchema"]
  /** Its answer, where that is always the same. */
  readonly plain?: CallToolResult
  readonly run: (args: Arguments, extra: Extra) => Promise<CallToolResult>
}

const answers = (...content: CallToolResult["content"]): Fixture & { readonly plain: CallToolResult } => ({
  input: noArguments,
  plain: { content },
  run: () => Promise.resolve({ content })
})

const fixtures: { readonly [name: string]: Fixture } = {
  test_image_content: answers(image),
  test_audio_content: answers({ type: "audio", data: wav, mimeType: "audio/wav" }),
  test_embedded_resource: answers(
    resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")
  ),
  test_multiple_content_types: answers(
    text("Multiple content types test:"),
    image,
    resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
  ),
  test_tool_with_logging: {
    input: noArguments,
    run: async (_, extra) => {
      for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
        await extra.sendNotification({ method: "notifications/message", params: { level: "info", data } })
        await sleep(pauseMs)
      }
      return { content: [text("Logged three times.")] }
    }
  },
  test_sampling: {
    input: oneText("prompt"),
    run: async ({ prompt }, extra) => {
      const { content } = await extra.sendRequest(
        {
          method: "sampling/createMessage",
          params: { messages: [{ role: "user", content: text(String(prompt)) }], maxTokens: 100 }
        },
        CreateMessageResultSchema
      )
      return { content: [text(`LLM response: ${content.type === "text" ? content.text : ""}`)] }
    }
  },
  test_elicitation: {
    input: oneText("message"),
    run: ({ message }, extra) =>
      elicit(
        String(message),
        {
          properties: {
            username: { type: "string", description: "User's response" },
            email: { type: "string", description: "User's email address" }
          },
          required: ["username", "email"]
        },
        extra
      )
  },
  test_elicitation_sep1034_defaults: {
    input: noArguments,
    run: (_, extra) => elicit("Please review", defaults, extra)
  },
  test_elicitation_sep1330_enums: {
    input: noArguments,
    run: (_, extra) => elicit("Please choose", enums, extra)
  },
  json_schema_2020_12_tool: { ...answers(text("done")), input: newest }
}

export const isPlain = (name: string): boolean => fixtures[name]?.plain !== undefined

export const plainAnswer = (name: string): CallToolResult => {
  const answer = fixtures[name]?.plain
  if (answer === undefined) throw { code: -32602, message: `no tool ${name}` }
  return answer
}

/** Tools of the fixtures' server. */
export const tools: ReadonlyArray<Tool> = Object.entries(fixtures).map(([name, { input }]) => ({
  name,
  description: `The conformance suite's ${name}.`,
  inputSchema: input
}))

export const says = (...contents: ReadonlyArray<GetPromptResult["messages"][number]["content"]>) => ({
  messages: contents.map((content) => ({ role: "user" as const, content }))
})

const argument = (name: string) => ({ name, required: true })

const prompts: ReadonlyArray<Prompt & { readonly get: (args: Arguments) => GetPromptResult }> = [
  { name: "test_simple_prompt", get: () => says(text("This is a simple prompt for testing.")) },
  {
    name: "test_prompt_with_arguments",
    arguments: [argument("arg1"), argument("arg2")],
    get: ({ arg1, arg2 }) =>
      says(text(`Prompt with arguments: arg1='${String(arg1)}', arg2='${String(arg2)}'`))
  },
  {
    name: "test_prompt_with_embedded_resource",
    arguments: [argument("resourceUri")],
    get: ({ resourceUri }) =>
      says(
        resource(String(resourceUri), "text/plain", "Embedded resource content for testing."),
        text("Please process the embedded resource above.")
      )
  },
  {
    name: "test_prompt_with_image",
    get: () => says(image, text("Please analyze the image above."))
  }
]

export const read = (uri: string) => {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1]
  if (id !== undefined) {
    const value = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` })
    return { uri, mimeType: "application/json", text: value }
  }
  switch (uri) {
    case "test://static-text":
      return { uri, mimeType: "text/plain", text: "This is the content of the static text resource." }
    case "test://static-binary":
      return { uri, mimeType: "image/png", blob: png }
    case "test://watched-resource":
      return { uri, mimeType: "text/plain", text: "Nothing has changed." }
    default:
      throw { code: -32002, message: "Resource not found", data: { uri } }
  }
}

export const prompt = (name: string, args: Arguments): GetPromptResult => {
  const found = prompts.find((one) => one.name === name)
  if (found === undefined) throw { code: -32602, message: `no prompt ${name}` }
  return found.get(args)
}

export const listedPrompts: ReadonlyArray<Prompt> = prompts.map(({ get: _, ...prompt }) => ({
  ...prompt,
  description: `The conformance suite's ${prompt.name}.`
}))

export const listedResources = {
  resources: ["static-text", "static-binary", "watched-resource"].map((name) => ({
    name,
    uri: `test://${name}`
  }))
}

export const listedTemplates = {
  resourceTemplates: [{ name: "template", uriTemplate: "test://template/{id}/data" }]
}

/** What the fixtures' server can do beside what ours can. */
export const capabilities = {
  tools: {},
  logging: {},
  completions: {},
  prompts: {},
  resources: { subscribe: true }
}

export const modernCapabilities = { tools: {}, completions: {}, prompts: {}, resources: {} }

export const make = (): Server => {
  const server = new Server({ name: "fixtures", version: "1" }, { capabilities })
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) => {
    const fixture = fixtures[params.name]
    if (fixture === undefined) throw { code: -32602, message: `no tool ${params.name}` }
    return fixture.run(params.arguments ?? {}, extra)
  })
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: [...listedPrompts] }))
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) =>
    prompt(params.name, params.arguments ?? {})
  )
  server.setRequestHandler(ListResourcesRequestSchema, () => listedResources)
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => listedTemplates)
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => ({ contents: [read(params.uri)] }))
  server.setRequestHandler(SubscribeRequestSchema, () => ({}))
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}))
  server.setRequestHandler(CompleteRequestSchema, () => ({ completion: { values: [], total: 0 } }))
  return server
}
