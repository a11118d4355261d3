/**
 * Bytes -> document -> one JSON-RPC message as MCP has it, read leniently where that is safe and refused with words where it is not.
 * The same for both transports.
 *
 * | what came | |
 * |---|---|
 * | `null` for an optional member, anywhere in `params` but inside `arguments` | taken as absent |
 * | a batch, an unknown member, no `jsonrpc`, an id that is none | -32600 |
 * | `params` that are not what the method asks for | -32602 |
 *
 * An id travels inside as its JSON text (`0` -> `"0"`, `"a"` -> `"\"a\""`): the SDK's server takes an id of 0
 * or "" for none, and would not cancel it.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import { isUtf8 } from "node:buffer"
import * as JsonScan from "./core/JsonScan.js"
import type { Message as Protocol } from "./Protocol.js"
import { REVISION_KEY, structuredJson } from "./Protocol.js"

/** The JSON text of an id. */
export type Id = string

export interface Message {
  /** A request has its {@link Id} for an id. */
  readonly value: Protocol
  readonly method: string | undefined
  /** Of a request; a notification and a response have none to answer to. */
  readonly id: Id | undefined
}

export type Code = -32700 | -32600 | -32602

export interface Malformed {
  readonly code: Code
  readonly message: string
  /** Of the request, where it can be read. */
  readonly id: Id | undefined
  /** A notification: nothing of it is ever answered, where that can be left out. */
  readonly isNotification: boolean
  /** Of the requests in a batch, which are refused one by one where each is waited for. */
  readonly batch?: ReadonlyArray<Id>
}

type Members = { [name: string]: unknown }

const MAX_ID_LENGTH = 256

/** Requests of a refused batch that are answered. */
const MAX_BATCH = 1_000

const MAX_DETAIL = 300

const members: ReadonlySet<string> = new Set(["jsonrpc", "id", "method", "params", "result", "error"])

interface Issue {
  readonly path: ReadonlyArray<PropertyKey>
  readonly message: string
}

/** What a schema of an SDK has against a value, in one line. */
export const problem = (issues: ReadonlyArray<Issue> = []): string =>
  issues
    .slice(0, 3)
    .map(({ message, path }) => {
      const what = message.replace(/^Invalid input: /, "")
      return path.length === 0 ? what : `${path.map(String).join(".")}: ${what}`
    })
    .join("; ")
    .slice(0, MAX_DETAIL)

const kindOf = (value: unknown): string =>
  value === undefined ? "nothing" : Array.isArray(value) ? "a list" : `a value of type ${typeof value}`

/** What is wrong with a member that has to be a text, or an object. */
const expected = (
  of: Members,
  name: string,
  type: "string" | "object",
  within = "params"
): string | undefined => {
  const value = of[name]
  if (type === "string" ? typeof value === "string" : Predicate.isReadonlyRecord(value)) return undefined
  return `${within}.${name}: expected ${type === "string" ? "a text" : "an object"}, received ${kindOf(value)}`
}

/** What is wrong with the handshake; what is left of it is for the SDK to read. */
const handshakeProblem = (params: Members | undefined): string | undefined => {
  if (params === undefined) return "params: expected an object"
  const { clientInfo: info } = params
  return (
    expected(params, "protocolVersion", "string") ??
    expected(params, "capabilities", "object") ??
    expected(params, "clientInfo", "object") ??
    (Predicate.isReadonlyRecord(info)
      ? (expected(info, "name", "string", "params.clientInfo") ??
        expected(info, "version", "string", "params.clientInfo"))
      : undefined)
  )
}

/** What is wrong with the params of a request, as far as that does not depend on the revision. */
const paramsProblem = (
  method: string,
  params: Members | undefined,
  isNotification: boolean
): string | undefined => {
  const meta = params?.["_meta"]
  if (meta !== undefined && !Predicate.isReadonlyRecord(meta)) return "params._meta: expected an object"
  const token = meta?.["progressToken"]
  if (token !== undefined && !isId(token)) {
    return `params._meta: not valid (a progressToken is a whole number or a text of ${MAX_ID_LENGTH} characters at most)`
  }
  if (isNotification) return undefined
  // The 2026 era has no handshake, and says so itself.
  if (method === "initialize" && !(Predicate.isReadonlyRecord(meta) && REVISION_KEY in meta))
    return handshakeProblem(params)
  if (method.endsWith("/list") && params?.["cursor"] !== undefined)
    return expected(params, "cursor", "string")
  return undefined
}

/** A response, of which there should be none: this server asks nothing. */
const responseOf = ({ error, id, result }: Members): Protocol | undefined => {
  if (
    Predicate.isReadonlyRecord(result) &&
    error === undefined &&
    (typeof id === "string" || typeof id === "number")
  ) {
    return isId(id) ? { jsonrpc: "2.0", id, result } : undefined
  }
  if (!Predicate.isReadonlyRecord(error) || result !== undefined) return undefined
  const { code, message } = error
  return typeof code === "number" && Number.isSafeInteger(code) && typeof message === "string"
    ? { jsonrpc: "2.0", error: { code, message } }
    : undefined
}

/** In place: the value was just parsed and is not shared. */
const dropNulls = (of: Members): void => {
  for (const [name, value] of Object.entries(of)) {
    if (value === null) Reflect.deleteProperty(of, name)
    else if (Predicate.isReadonlyRecord(value)) dropNulls(value)
  }
}

/** What a tool is given is the tool's to read. */
const withoutNulls = (params: Members): Members => {
  const { arguments: given, ...rest } = params
  dropNulls(rest)
  return given === undefined || given === null ? rest : { ...rest, arguments: given }
}

const idOf = (value: unknown): Id | undefined => {
  const id = Predicate.isReadonlyRecord(value) ? value["id"] : undefined
  return isShort(id) || (typeof id === "number" && Number.isFinite(id)) ? JSON.stringify(id) : undefined
}

/** What an answer repeats of its request is bounded. */
const isShort = (id: unknown): boolean => typeof id === "string" && id.length <= MAX_ID_LENGTH

const isId = (id: unknown): boolean => isShort(id) || Number.isSafeInteger(id)

/** What is wrong with the frame of a message. */
const frameProblem = (value: Members): string | undefined => {
  const unknown = Object.keys(value).find((name) => !members.has(name))
  if (unknown !== undefined) {
    return `Unknown member ${JSON.stringify(unknown.slice(0, 40))}: a message has jsonrpc, id, method and params.`
  }
  if (value["jsonrpc"] !== "2.0") return `Expected "jsonrpc": "2.0".`
  const isAnswer = "result" in value || "error" in value
  if (!("method" in value)) return isAnswer ? undefined : "Expected a method."
  if (typeof value["method"] !== "string") return "Expected a method that is a text."
  if (isAnswer) return "A message is a request or a response, not both."
  return "id" in value && !isId(value["id"])
    ? `The id of a request is a whole number or a text of ${MAX_ID_LENGTH} characters at most.`
    : undefined
}

/** Why bytes are no document that is read. */
export interface Unreadable {
  readonly reason: "not-utf8" | "not-json" | "too-complex"
  readonly description: string
}

/**
 * Deeper than any arguments of a tool, far from where a recursive walk would overflow the stack; and with more
 * members than any message has, a call has about a dozen.
 */
const shape: JsonScan.Bounds = { maxDepth: 64, maxParts: 50_000, maxMembers: 1_000 }

const told: { readonly [P in JsonScan.Problem]: string } = {
  depth: `The JSON is nested more than ${shape.maxDepth} deep.`,
  parts: `The JSON has more than ${shape.maxParts} parts.`,
  members: `The objects in the JSON have more than ${shape.maxMembers} members together.`
}

const unreadable = (reason: Unreadable["reason"], description: string): Unreadable => ({
  reason,
  description
})

/** The document, whatever it holds; a byte order mark before it is left out. */
export const parse = (bytes: Buffer): Either.Either<unknown, Unreadable> => {
  if (!isUtf8(bytes)) return Either.left(unreadable("not-utf8", "Parse error: not valid UTF-8."))
  const text = bytes.toString("utf8").replace(/^\uFEFF/, "")
  const problem = JsonScan.check(text, shape)
  if (problem !== undefined) return Either.left(unreadable("too-complex", told[problem]))
  return Either.try({
    try: (): unknown => JSON.parse(text),
    // The parser's message quotes the text.
    catch: () => unreadable("not-json", "Parse error: not valid JSON.")
  })
}

/** A parsed document as one message; what is read of it may be changed in place. */
export const read = (value: unknown): Either.Either<Message, Malformed> => {
  const refuse = (code: Code, message: string, id = idOf(value)) =>
    Either.left({ code, message, id, isNotification: false })
  if (Array.isArray(value)) {
    const batch = value
      .slice(0, MAX_BATCH)
      .flatMap((one) => (Predicate.isReadonlyRecord(one) && "method" in one ? (idOf(one) ?? []) : []))
    return Either.left({
      code: -32600,
      message: "Batches are not accepted: send one message at a time.",
      id: undefined,
      isNotification: false,
      batch
    })
  }
  if (!Predicate.isReadonlyRecord(value)) return refuse(-32600, "Expected a JSON-RPC message: an object.")
  const wrong = frameProblem(value)
  if (wrong !== undefined) return refuse(-32600, wrong)

  const { method, params } = value
  if (typeof method !== "string") {
    const response = responseOf(value)
    // A response is not answered.
    return response !== undefined
      ? Either.right({ value: response, method: undefined, id: undefined })
      : Either.left({ code: -32600, message: "Not a response.", id: undefined, isNotification: true })
  }
  const key = idOf(value)
  const isNotification = key === undefined
  const badParams = (why: string) =>
    Either.left({
      code: -32602 as const,
      message: `Invalid ${method.slice(0, 100)}: ${why}`,
      id: key,
      isNotification
    })
  if (params !== undefined && params !== null && !Predicate.isReadonlyRecord(params)) {
    return badParams("params: expected an object")
  }
  const given = Predicate.isReadonlyRecord(params) ? withoutNulls(params) : undefined
  const problem = paramsProblem(method, given, isNotification)
  if (problem !== undefined) return badParams(problem)
  const asked = { jsonrpc: "2.0" as const, method, ...(given === undefined ? {} : { params: given }) }
  return Either.right({ value: key === undefined ? asked : { ...asked, id: key }, method, id: key })
}

/** The request that a notification cancels; undefined where it names none. */
export const cancels = (
  message: Protocol
): { readonly id: Id | undefined; readonly reason: string } | undefined => {
  if (!("method" in message) || message.method !== "notifications/cancelled") return undefined
  const id = message.params?.["requestId"]
  const reason = message.params?.["reason"]
  return {
    id: typeof id === "string" || typeof id === "number" ? JSON.stringify(id) : undefined,
    reason: typeof reason === "string" ? reason : "cancelled by the client"
  }
}

/** What cancels a request, as the server inside knows it. */
export const cancelled = (requestId: Id, reason: string): Protocol => ({
  jsonrpc: "2.0",
  method: "notifications/cancelled",
  params: { requestId, reason }
})

/** Its `structuredContent` is written once, where it is the text as well. */
const resultText = (result: object): string => {
  const structured: unknown = Reflect.get(result, structuredJson)
  if (typeof structured !== "string") return JSON.stringify(result)
  const rest = JSON.stringify({ ...result, structuredContent: undefined })
  return `${rest.slice(0, -1)},"structuredContent":${structured}}`
}

/** The text of a message of the server's; an answer goes out with the id that its request came with. */
export const text = (message: Protocol): string => {
  if ("method" in message) return JSON.stringify(message)
  const id = message.id === undefined ? "null" : String(message.id)
  return "result" in message
    ? `{"result":${resultText(message.result)},"jsonrpc":"2.0","id":${id}}`
    : `{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(message.error)}}`
}

/** The text of an error that the transport itself answers with. */
export const errorText = (code: number, message: string, id: Id | undefined, data?: object): string =>
  `{"jsonrpc":"2.0","error":${JSON.stringify({ code, message, ...(data === undefined ? {} : { data }) })},"id":${id ?? "null"}}`
