import { assert, describe, it } from "@effect/vitest"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { Effect } from "effect"
import { serving } from "../utils/httpProcess.js"
import * as Server from "../utils/server.js"
import type { Outcome } from "../utils/toolCalls.js"
import { converse, rows } from "../utils/toolCalls.js"

const check = ({ report, row, structured, text }: Outcome): void => {
  if ("code" in row.expected) {
    assert.isUndefined(structured, row.name)
    assert.deepInclude(report, { ...row.expected, sideEffects: "none" }, row.name)
    assert.isNotEmpty(text, row.name)
  } else {
    assert.isUndefined(report, `${row.name}: ${text}`)
    assert.deepInclude(structured, row.expected.answer, row.name)
    // The text is the same, for clients that look at nothing else.
    assert.deepStrictEqual(JSON.parse(text), structured, row.name)
  }
  for (const word of row.includes ?? []) assert.include(text, word, row.name)
}

/** What is the same at every time and in every process. */
const lasting = ({ report, row, structured }: Outcome) => {
  const passing = /^(elapsed_ms|query_id|queryId|next_cursor|.*_(at|on)|.*At)$/
  const stripped = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(stripped)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(
            Object.entries(value).flatMap(([key, inner]) =>
              passing.test(key) ? [] : [[key, stripped(inner)]]
            )
          )
        : value
  // A view has no order.
  if (row.tool === "query_view") return [row.name, stripped({ ...structured, rows: undefined })]
  // What is left of the limits depends on the time that the calls before it took.
  return row.tool === "get_limits" ? row.name : [row.name, stripped(structured), stripped(report)]
}

describe("the tools of the binary", () => {
  it.scopedLive("answer the same over stdio and over HTTP, all of them", () =>
    Effect.gen(function* () {
      const { client: overStdio } = yield* Server.client()
      const { server } = yield* serving()
      const overHttp = yield* server.client()
      const conversations: Array<ReadonlyArray<Outcome>> = []
      for (const client of [overStdio, overHttp]) {
        // From here on the client holds every answer against the schema of the tool.
        const { tools } = yield* Effect.promise(() => client.listTools())
        const called = new Set(rows.map(({ tool }) => tool))
        assert.deepStrictEqual(tools.map(({ name }) => name).sort(), [...called].sort())
        const outcomes = yield* Effect.promise(() =>
          converse((name, args) => client.callTool({ name, arguments: args }) as Promise<CallToolResult>)
        )
        for (const outcome of outcomes) check(outcome)
        conversations.push(outcomes)
      }
      const [stdio = [], http = []] = conversations
      assert.strictEqual(stdio.length, rows.length)
      for (const [i, outcome] of stdio.entries()) {
        const other = http[i]
        assert.deepStrictEqual(other === undefined ? undefined : lasting(other), lasting(outcome))
      }
    })
  )
})
