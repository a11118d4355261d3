/**
 * What the conformance suite asks of a server of the 2026 era, beside what ours offers: the same tools, prompts and
 * resources as in the era before, and those that ask the client for something by their result.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import type * as Protocol from "../../src/mcp/Protocol.js"
import * as Fixtures from "./fixtures.js"

/** What a client sends when it asks again; the SDK takes it out of the params. */
export interface Inputs {
  readonly responses: Protocol.Params | undefined
  readonly state: unknown
  readonly capabilities: Protocol.Params
}

const isObject = (value: unknown): value is Protocol.Params =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const inputsOf = ({ _meta, inputResponses, requestState }: Protocol.Params): Inputs => {
  const declared = isObject(_meta) ? _meta["io.modelcontextprotocol/clientCapabilities"] : undefined
  return {
    responses: isObject(inputResponses) ? inputResponses : undefined,
    state: requestState,
    capabilities: isObject(declared) ? declared : {}
  }
}

const elicitation = (message: string, property: string, type = "string") => ({
  method: "elicitation/create",
  params: {
    message,
    requestedSchema: { type: "object", properties: { [property]: { type } }, required: [property] }
  }
})
const sampling = (question: string) => ({
  method: "sampling/createMessage",
  params: { messages: [{ role: "user", content: Fixtures.text(question) }], maxTokens: 100 }
})
const roots = { method: "roots/list", params: {} }

const secret = randomBytes(32)
const seal = (text: string): string =>
  `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`

/** The text of a state that is ours; a request with another one is refused. */
const opened = (state: unknown): string | undefined => {
  if (state === undefined) return undefined
  const given = Buffer.from(String(state))
  const text = String(state).split(".")[0] ?? ""
  const expected = Buffer.from(seal(text))
  if (given.length === expected.length && timingSafeEqual(given, expected)) return text
  throw { code: -32602, message: "The requestState is not one of this server." }
}

const required = (inputRequests: object, state?: string) => ({
  resultType: "input_required",
  inputRequests,
  ...(state === undefined ? {} : { requestState: seal(state) })
})

const says = (text: string) => ({ content: [Fixtures.text(text)] })

/** An answer to what was asked, as far as it is one. */
const given = ({ responses }: Inputs, key: string): Protocol.Params | undefined => {
  const value = responses?.[key]
  return isObject(value) ? value : undefined
}

/** Asks for all of them until all of them are there. */
const asks =
  (inputRequests: { readonly [key: string]: object }, done: (inputs: Inputs) => string, state?: string) =>
  (inputs: Inputs): object => {
    const wasOurs = opened(inputs.state) === state
    return Object.keys(inputRequests).every((key) => given(inputs, key) !== undefined) && wasOurs
      ? says(done(inputs))
      : required(inputRequests, state)
  }

const name = elicitation("What is your name?", "name")
const confirm = { confirm: elicitation("Please confirm", "ok", "boolean") }

const rounds = (inputs: Inputs): object => {
  const state = opened(inputs.state)
  if (state === "round 1" && given(inputs, "step1") !== undefined) {
    return required({ step2: elicitation("Step 2: What is your favorite color?", "color") }, "round 2")
  }
  return state === "round 2" && given(inputs, "step2") !== undefined
    ? says("Both steps are done.")
    : required({ step1: elicitation("Step 1: What is your name?", "name") }, "round 1")
}

/** Asks for nothing that the client has not declared. */
const declared = (inputs: Inputs): object => {
  const wanted = { elicitation: name, sampling: sampling("What is the capital of France?"), roots }
  const possible = Object.entries(wanted).filter(([capability]) => capability in inputs.capabilities)
  return possible.length === 0
    ? says("There is nothing to ask this client.")
    : asks(Object.fromEntries(possible), () => "All of it is answered.")(inputs)
}

const own: { readonly [name: string]: (inputs: Inputs) => object } = {
  test_input_required_result_elicitation: asks({ user_name: name }, (inputs) => {
    const content = given(inputs, "user_name")?.["content"]
    return `Hello, ${isObject(content) ? String(content["name"]) : ""}!`
  }),
  test_input_required_result_sampling: asks(
    { capital_question: sampling("What is the capital of France?") },
    (inputs) => JSON.stringify(given(inputs, "capital_question")?.["content"])
  ),
  test_input_required_result_list_roots: asks({ client_roots: roots }, (inputs) =>
    JSON.stringify(given(inputs, "client_roots")?.["roots"])
  ),
  test_input_required_result_request_state: asks(confirm, () => "state-ok", "confirming"),
  test_input_required_result_multiple_inputs: asks(
    { user_name: name, greeting: sampling("Generate a greeting"), client_roots: roots },
    () => "All three are answered.",
    "three"
  ),
  test_input_required_result_multi_round: rounds,
  test_input_required_result_tampered_state: asks(confirm, () => "confirmed", "tampering"),
  test_input_required_result_capabilities: declared,
  test_missing_capability: ({ capabilities }) => {
    if ("sampling" in capabilities) return says("The client can be asked.")
    const data = { requiredCapabilities: { sampling: {} } }
    throw { code: -32021, message: "This needs sampling, which the client has not declared.", data }
  },
  test_streaming_elicitation: asks({ user_name: name }, () => "Done."),
  test_logging_tool: () => says("Nothing was logged.")
}

const PROMPT = "test_input_required_result_prompt"

/** Those of the era before that ask nothing of the client while they run. */
const kept = Fixtures.tools.filter((tool) => Fixtures.isPlain(tool.name))

export const tools = [
  ...kept,
  ...Object.keys(own).map((name) => ({
    name,
    description: `The conformance suite's ${name}.`,
    inputSchema: { type: "object", properties: {} }
  }))
]

export const isFixture = (name: unknown): boolean => tools.some((tool) => tool.name === name)

export const request = async (method: string, params: Protocol.Params, inputs: Inputs): Promise<object> => {
  const { arguments: args, name, uri } = params
  const called = typeof name === "string" ? own[name] : undefined
  switch (method) {
    case "tools/call":
      return called === undefined ? Fixtures.plainAnswer(String(name)) : called(inputs)
    case "prompts/list":
      return { prompts: [...Fixtures.listedPrompts, { name: PROMPT, description: "Asks for its context." }] }
    case "prompts/get":
      if (name !== PROMPT) return Fixtures.prompt(String(name), isObject(args) ? args : {})
      return given(inputs, "user_context") === undefined
        ? required({ user_context: elicitation("What context should the prompt use?", "context") })
        : Fixtures.says(Fixtures.text("With the context that was given."))
    case "resources/list":
      return Fixtures.listedResources
    case "resources/templates/list":
      return Fixtures.listedTemplates
    case "resources/read":
      return { contents: [Fixtures.read(String(uri))] }
    default:
      return { completion: { values: [], total: 0 } }
  }
}
