/** The client of a chaotic run: sends calls, cancels some, and knows when each has to be answered. */
import { setTimeout as sleep } from "node:timers/promises"
import { metaKey } from "../../src/mcp/ErrorReport.js"
import type { RawServer } from "../utils/server.js"

export interface Answer {
  /** `ok`, `stale`, or the code of the refusal. */
  readonly code: string
  readonly content: Readonly<Record<string, unknown>>
  readonly text: string
}

export interface Call {
  readonly tool: string
  readonly args?: Readonly<Record<string, unknown>>
  /** Milliseconds after which it must have been answered. */
  readonly deadlineMs: number
  readonly cancelAfterMs?: number | undefined
}

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {}

export class ChaosClient {
  readonly codes: Record<string, number> = {}
  readonly open = new Map<number, Call & { readonly sentAt: number }>()
  readonly overdue: Array<string> = []
  sent = 0
  cancelled = 0
  worstLateMs = Number.NEGATIVE_INFINITY
  private latest = 0

  constructor(
    readonly server: RawServer,
    readonly graceMs: number
  ) {}

  /** Undefined when it was cancelled: nobody is told the answer then. */
  async call(call: Call): Promise<Answer | undefined> {
    const id = ++this.latest
    const sentAt = performance.now()
    this.sent += 1
    this.open.set(id, { ...call, sentAt })
    const answered = this.server.call(id, call.tool, call.args ?? {})
    const cancelled = new AbortController()
    if (call.cancelAfterMs !== undefined) {
      const won = await Promise.race([
        answered.then(() => "answered" as const),
        sleep(call.cancelAfterMs, "cancelled" as const, { signal: cancelled.signal })
      ])
      if (won === "cancelled") {
        this.server.send({ method: "notifications/cancelled", params: { requestId: id } })
        this.open.delete(id)
        this.cancelled += 1
        return undefined
      }
      cancelled.abort()
    }
    const { error, result } = await answered
    this.open.delete(id)
    const tookMs = performance.now() - sentAt
    this.worstLateMs = Math.max(this.worstLateMs, tookMs - call.deadlineMs)
    if (tookMs > call.deadlineMs + this.graceMs) {
      this.overdue.push(`${call.tool} took ${Math.round(tookMs)} ms of ${call.deadlineMs}`)
    }
    const report = fields(fields(result?._meta)[metaKey])
    const content = fields(result?.structuredContent)
    const code =
      error !== undefined
        ? `JSON-RPC ${error.code}`
        : result?.isError === true
          ? String(report["code"])
          : content["stale"] === true
            ? "stale"
            : "ok"
    this.codes[code] = (this.codes[code] ?? 0) + 1
    return { code, content, text: String(report["message"] ?? "") }
  }

  /** Waits until every call has been answered, or is overdue. */
  async drain(): Promise<void> {
    for (;;) {
      const now = performance.now()
      const waiting = [...this.open.values()].filter(
        (call) => now - call.sentAt <= call.deadlineMs + this.graceMs
      )
      if (waiting.length === 0) break
      await sleep(20)
    }
    for (const call of this.open.values()) this.overdue.push(`${call.tool} was never answered`)
  }
}
