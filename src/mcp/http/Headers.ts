/**
 * What the headers of a request to the MCP route say beside its message: the forms in which the answer may
 * come, and what the protocol has there.
 *
 * | `Accept` | answer |
 * |---|---|
 * | names `text/event-stream` (or `text/*`), and does not prefer JSON to it | a stream of events |
 * | none, any type (`*` twice), `application/json` | JSON |
 * | neither of them, or both with `q=0` | 406 |
 *
 * A client that names no stream may not know how to read one.
 *
 * @since 0.1.0
 */
import { SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/sdk/types.js"
import * as Either from "effect/Either"
import type { IncomingMessage } from "node:http"
import type { Refusal } from "./Replies.js"

export type Form = "events" | "json"

const JSON_TYPE = "application/json"
const EVENTS_TYPE = "text/event-stream"

interface Weight {
  readonly quality: number
  /** By the type, by its first half, or by any type (`*` twice) alone. */
  readonly named: "type" | "half" | "any"
}

/** How much a type is wanted: the most specific range that it is in decides (RFC 9110, 12.5.1). */
const weightOf = (accept: string, type: string): Weight => {
  const half = type.replace(/\/.*/, "/*")
  const found = new Map<string, number>()
  for (const part of accept.toLowerCase().split(",")) {
    const [range = "", ...parameters] = part.split(";").map((text) => text.trim())
    const given = parameters.find((parameter) => /^q\s*=/.test(parameter))
    const quality = given === undefined ? 1 : Number(given.replace(/^q\s*=\s*/, ""))
    found.set(range, Math.max(found.get(range) ?? 0, quality >= 0 && quality <= 1 ? quality : 1))
  }
  const exact = found.get(type)
  if (exact !== undefined) return { quality: exact, named: "type" }
  const some = found.get(half)
  if (some !== undefined) return { quality: some, named: "half" }
  return { quality: found.get("*/*") ?? 0, named: "any" }
}

const formOf = (accept: string): Form | undefined => {
  if (accept.trim() === "") return "json"
  const json = weightOf(accept, JSON_TYPE)
  const events = weightOf(accept, EVENTS_TYPE)
  if (
    events.quality > 0 &&
    (json.quality === 0 || (events.named !== "any" && events.quality >= json.quality))
  ) {
    return "events"
  }
  return json.quality > 0 ? "json" : undefined
}

/** In which form the answer to a message may come. */
export const negotiated = ({ headers }: IncomingMessage): Either.Either<Form, Refusal> => {
  const { accept = "", "content-type": type = "" } = headers
  const form = formOf(accept)
  if (form === undefined) {
    return Either.left({
      status: 406,
      code: -32000,
      reason: "accept",
      message: `Not Acceptable: Client must accept ${JSON_TYPE} or ${EVENTS_TYPE}, best both`
    })
  }
  if (!/^\s*application\/json\s*(;|$)/i.test(type)) {
    return Either.left({
      status: 415,
      code: -32000,
      reason: "content-type",
      message: `Unsupported Media Type: Content-Type must be ${JSON_TYPE}`
    })
  }
  return Either.right(form)
}

/** After `initialize` the revision is settled; a client may repeat it. */
export const unknownRevision = ({ headers }: IncomingMessage): boolean => {
  const revision = headers["mcp-protocol-version"]
  return revision !== undefined && !SUPPORTED_PROTOCOL_VERSIONS.includes(String(revision))
}

export const sessionIdOf = ({ headers }: IncomingMessage): string | undefined => {
  const id = headers["mcp-session-id"]
  return typeof id === "string" && id !== "" ? id : undefined
}

/** The span of the caller's, as the HTTP request around the message has it. */
export const traceparentOf = ({ headers }: IncomingMessage): string | undefined => {
  const { traceparent } = headers
  return typeof traceparent === "string" ? traceparent : undefined
}
