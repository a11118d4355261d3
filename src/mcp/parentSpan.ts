/**
 * The span of the caller's that a call belongs to: what the call itself says in `_meta`, or else what the
 * HTTP request around it said. It only says where the call's own span hangs; nothing is decided by it.
 */
import * as Tracer from "effect/Tracer"
import * as TraceParent from "./core/TraceParent.js"

/** What the SDK hands over beside a request. */
export interface Extra {
  readonly _meta?: { readonly [key: string]: unknown } | undefined
  readonly requestInfo?: { readonly headers: { readonly [name: string]: unknown } } | undefined
}

export const of = ({ _meta, requestInfo }: Extra): Tracer.ExternalSpan | undefined => {
  const said = TraceParent.parse(_meta?.["traceparent"])
  const found = said ?? TraceParent.parse(requestInfo?.headers["traceparent"])
  return found === undefined ? undefined : Tracer.externalSpan(found)
}
