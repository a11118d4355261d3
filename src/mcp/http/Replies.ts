/**
 * What the edge answers itself: an HTTP status for programs, and a JSON-RPC error whose message says what
 * to do, because the body is all that most clients keep.
 *
 * Refusals of tools are never among them: those are results, with status 200.
 *
 * @since 0.1.0
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as JsonRpc from "../stdio/JsonRpc.js"
import * as Metrics from "./Metrics.js"

export type Reply = HttpServerResponse.HttpServerResponse

export interface Refusal {
  readonly status: number
  /** For the metrics; a word of our own. */
  readonly reason: string
  /** What the client's user reads. */
  readonly message: string
  /** As JSON-RPC says; the status where it has no number for it (numbers around -32000 are reserved). */
  readonly code?: number | undefined
  readonly id?: JsonRpc.Id | undefined
  readonly retryAfterMs?: number | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
  /** What programs read beside the message. */
  readonly data?: { readonly [key: string]: unknown } | undefined
}

export const notFound: Refusal = {
  status: 404,
  reason: "path",
  message: "There is nothing here; MCP is at /mcp."
}

const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000))

const json = "application/json; charset=utf-8"

/** Never kept by anybody on the way, never taken for anything else. */
const always = { "cache-control": "no-store", "x-content-type-options": "nosniff" }

export const refuse = (refusal: Refusal): Reply => {
  const { code, headers, id, message, reason, retryAfterMs, status } = refusal
  Metrics.refused(reason)
  const wait = retryAfterMs === undefined ? "" : ` Wait ${seconds(retryAfterMs)} s, then try again.`
  const data = {
    ...refusal.data,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(retryAfterMs) })
  }
  return HttpServerResponse.text(
    JsonRpc.errorText(
      code ?? status,
      `${message}${wait}`,
      id,
      Object.keys(data).length === 0 ? undefined : data
    ),
    {
      status,
      contentType: json,
      headers: {
        ...always,
        ...(retryAfterMs === undefined ? {} : { "retry-after": String(seconds(retryAfterMs)) }),
        ...headers
      }
    }
  )
}

/** `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11) of one policy. */
export const rateLimit = (policy: {
  readonly name: string
  readonly quota: number
  /** What is counted, when that is not requests. */
  readonly unit?: string | undefined
  readonly windowSeconds?: number | undefined
  readonly remaining: number
  readonly resetMs: number
}) => ({
  "ratelimit-policy": `"${policy.name}";q=${policy.quota}${policy.unit === undefined ? "" : `;qu="${policy.unit}"`}${policy.windowSeconds === undefined ? "" : `;w=${policy.windowSeconds}`}`,
  ratelimit: `"${policy.name}";r=${policy.remaining};t=${seconds(policy.resetMs)}`
})

export const document = (status: number, body: { readonly [key: string]: unknown }): Reply =>
  HttpServerResponse.text(JSON.stringify(body), { status, contentType: json, headers: always })

export const text = (body: string, contentType: string): Reply =>
  HttpServerResponse.text(body, { status: 200, contentType, headers: always })
