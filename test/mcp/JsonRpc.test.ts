import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Logger, LogLevel } from "effect"
import * as JsonRpc from "../../src/mcp/JsonRpc.js"
import { structuredJson } from "../../src/mcp/Protocol.js"
import * as H from "../utils/http.js"
import * as P from "../utils/pipe.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const ping = `"method":"ping"`
const who = (extra: string) =>
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"who"${extra}}}`
const hello = (params: string) => `{"jsonrpc":"2.0","id":1,"method":"initialize","params":${params}}`
const info = `"clientInfo":{"name":"a","version":"1"}`

/** What is said, and the answer: its id, and the code of an error where it is one. */
interface Row {
  readonly what: string
  readonly said: string | Buffer
  readonly id: string | number | null
  readonly code?: number
  readonly message?: RegExp
}

const answered: ReadonlyArray<Row> = [
  { what: "a byte order mark before the message", said: `\uFEFF{"jsonrpc":"2.0","id":1,${ping}}`, id: 1 },
  { what: "params of null", said: `{"jsonrpc":"2.0","id":1,${ping},"params":null}`, id: 1 },
  { what: "a _meta of null", said: `{"jsonrpc":"2.0","id":1,${ping},"params":{"_meta":null}}`, id: 1 },
  {
    what: "a progressToken of null",
    said: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"progressToken":null}}}`,
    id: 1
  },
  {
    what: "a cursor of null",
    said: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":null}}`,
    id: 1
  },
  { what: "arguments of null", said: who(`,"arguments":null`), id: 1 },
  { what: "a task of null", said: who(`,"task":null`), id: 1 },
  {
    what: "capabilities and client info with members of null",
    said: hello(
      `{"protocolVersion":"2025-06-18","capabilities":{"roots":null,"sampling":null,"experimental":null},` +
        `"clientInfo":{"name":"a","version":"1","title":null,"icons":null,"websiteUrl":null},"_meta":null}`
    ),
    id: 1
  },
  { what: "an id of 0", said: `{"jsonrpc":"2.0","id":0,${ping}}`, id: 0 },
  { what: "an id below 0", said: `{"jsonrpc":"2.0","id":-7,${ping}}`, id: -7 },
  {
    what: "the largest id",
    said: `{"jsonrpc":"2.0","id":${Number.MAX_SAFE_INTEGER},${ping}}`,
    id: Number.MAX_SAFE_INTEGER
  },
  { what: "an empty id", said: `{"jsonrpc":"2.0","id":"",${ping}}`, id: "" },
  { what: "an id that looks like a number", said: `{"jsonrpc":"2.0","id":"1",${ping}}`, id: "1" },
  {
    what: "an id that needs escapes",
    said: `{"jsonrpc":"2.0","id":"\\"\\n\\u00e9\\\\",${ping}}`,
    id: '"\né\\'
  },
  { what: "white space around the message", said: `  {"jsonrpc":"2.0","id":1,${ping}}\t \r`, id: 1 },

  {
    what: "an unknown member",
    said: `{"jsonrpc":"2.0","id":1,${ping},"extra":1}`,
    id: 1,
    code: -32600,
    message: /extra/
  },
  { what: "no jsonrpc", said: `{"id":"a",${ping}}`, id: "a", code: -32600, message: /jsonrpc/ },
  { what: "a jsonrpc of null", said: `{"jsonrpc":null,"id":1,${ping}}`, id: 1, code: -32600 },
  { what: "another jsonrpc", said: `{"jsonrpc":"1.0","id":1,${ping}}`, id: 1, code: -32600 },
  { what: "no method", said: `{"jsonrpc":"2.0","id":1}`, id: 1, code: -32600, message: /method/ },
  { what: "a method of null", said: `{"jsonrpc":"2.0","id":1,"method":null}`, id: 1, code: -32600 },
  { what: "a method that is a number", said: `{"jsonrpc":"2.0","id":1,"method":7}`, id: 1, code: -32600 },
  {
    what: "a method that is a list",
    said: `{"jsonrpc":"2.0","id":1,"method":["ping"]}`,
    id: 1,
    code: -32600
  },
  {
    what: "an unknown method",
    said: `{"jsonrpc":"2.0","id":1,"method":"nothing/here"}`,
    id: 1,
    code: -32601
  },
  {
    what: "a request that is an answer too",
    said: `{"jsonrpc":"2.0","id":1,${ping},"result":{}}`,
    id: 1,
    code: -32600
  },
  {
    what: "an id of null",
    said: `{"jsonrpc":"2.0","id":null,${ping}}`,
    id: null,
    code: -32600,
    message: /id/
  },
  { what: "an id that is an object", said: `{"jsonrpc":"2.0","id":{},${ping}}`, id: null, code: -32600 },
  { what: "an id that is a fraction", said: `{"jsonrpc":"2.0","id":1.5,${ping}}`, id: 1.5, code: -32600 },
  {
    what: "an id that is too large",
    said: `{"jsonrpc":"2.0","id":9007199254740994,${ping}}`,
    id: 9007199254740994,
    code: -32600
  },
  {
    what: "an id that is too long",
    said: `{"jsonrpc":"2.0","id":"${"x".repeat(300)}",${ping}}`,
    id: null,
    code: -32600,
    message: /256 characters/
  },
  {
    what: "a progressToken that is too long",
    said: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"progressToken":"${"x".repeat(300)}"}}}`,
    id: 1,
    code: -32602,
    message: /progressToken/
  },
  { what: "a batch", said: `[{"jsonrpc":"2.0","id":1,${ping}}]`, id: 1, code: -32600, message: /[Bb]atch/ },
  { what: "an empty batch", said: "[]", id: null, code: -32600, message: /[Bb]atch/ },
  { what: "a batch of notifications", said: `[{"jsonrpc":"2.0","method":"x"}]`, id: null, code: -32600 },
  { what: "a text", said: `"hello"`, id: null, code: -32600 },
  { what: "a number", said: "7", id: null, code: -32600 },
  { what: "null", said: "null", id: null, code: -32600 },
  {
    what: "nested too deep",
    said: `{"jsonrpc":"2.0","id":1,${ping},"params":{"a":${"[".repeat(500)}${"]".repeat(500)}}}`,
    id: 1,
    code: -32600
  },

  { what: "no JSON", said: "hello", id: null, code: -32700 },
  { what: "a comma too many", said: `{"jsonrpc":"2.0","id":1,${ping},}`, id: null, code: -32700 },
  { what: "half a message", said: `{"jsonrpc":"2.0","id":1,"method":"pi`, id: null, code: -32700 },
  {
    what: "two messages at once",
    said: `{"jsonrpc":"2.0","id":1,${ping}}{"jsonrpc":"2.0","id":2,${ping}}`,
    id: null,
    code: -32700
  },
  {
    what: "bytes that are no UTF-8",
    said: Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}`, "latin1"),
    id: 1,
    code: -32700,
    message: /UTF-8/
  },

  {
    what: "params that are a list",
    said: `{"jsonrpc":"2.0","id":1,${ping},"params":[]}`,
    id: 1,
    code: -32602
  },
  {
    what: "params that are a text",
    said: `{"jsonrpc":"2.0","id":1,${ping},"params":"x"}`,
    id: 1,
    code: -32602
  },
  {
    what: "a _meta that is a text",
    said: `{"jsonrpc":"2.0","id":1,"method":"nothing/here","params":{"_meta":"x"}}`,
    id: 1,
    code: -32602
  },
  {
    what: "a progressToken that is a list",
    said: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"progressToken":[]}}}`,
    id: 1,
    code: -32602,
    message: /progressToken/
  },
  {
    what: "a cursor that is a number",
    said: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":7}}`,
    id: 1,
    code: -32602,
    message: /cursor/
  },
  {
    what: "a call without a name",
    said: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`,
    id: 1,
    code: -32602,
    message: /name/
  },
  {
    what: "a call without params",
    said: `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`,
    id: 1,
    code: -32602
  },
  {
    what: "arguments that are a list",
    said: who(`,"arguments":[]`),
    id: 1,
    code: -32602,
    message: /arguments/
  },
  { what: "arguments that are a text", said: who(`,"arguments":"x"`), id: 1, code: -32602 },
  {
    what: "a call of a tool that there is not",
    said: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nothing"}}`,
    id: 1,
    code: -32602
  },
  {
    what: "initialize without params",
    said: `{"jsonrpc":"2.0","id":1,"method":"initialize"}`,
    id: 1,
    code: -32602,
    message: /params/
  },
  {
    what: "initialize without a version",
    said: hello(`{"capabilities":{},${info}}`),
    id: 1,
    code: -32602,
    message: /protocolVersion/
  },
  {
    what: "initialize without capabilities",
    said: hello(`{"protocolVersion":"2025-11-25",${info}}`),
    id: 1,
    code: -32602,
    message: /capabilities/
  },
  {
    what: "initialize without client info",
    said: hello(`{"protocolVersion":"2025-11-25","capabilities":{}}`),
    id: 1,
    code: -32602,
    message: /clientInfo/
  },
  {
    what: "initialize with a version that is a number",
    said: hello(`{"protocolVersion":20251125,"capabilities":{},${info}}`),
    id: 1,
    code: -32602
  }
]

const check = (row: Row, answers: ReadonlyArray<P.Answer>, id = row.id): void => {
  assert.lengthOf(answers, 1, row.what)
  const [answer] = answers
  assert.strictEqual(answer?.id, id, row.what)
  assert.strictEqual(answer?.error?.code, row.code, row.what)
  assert.strictEqual(answer?.result === undefined, row.code !== undefined, row.what)
  if (row.code === undefined) return
  const { message = "" } = answer?.error ?? {}
  assert.match(message, row.message ?? /./, row.what)
  // A sentence, and not what a validator found.
  assert.isBelow(message.length, 350, row.what)
  assert.notMatch(message, /"code":|\n/, row.what)
}

describe("what a client says", () => {
  it.scopedLive("is answered over stdio, whatever it is, and the session goes on", () =>
    Effect.gen(function* () {
      const pipe = yield* P.pipe()
      for (const row of answered) {
        pipe.write(row.said)
        pipe.write("\n")
        check(row, yield* pipe.settled)
      }
    }).pipe(quiet)
  )

  it.scopedLive("is answered over HTTP just so", () =>
    Effect.gen(function* () {
      const server = yield* H.server()
      const session = yield* server.open()
      for (const row of answered) {
        const answer = yield* server.ask({ body: row.said, session })
        // The response is whose request it was: what was refused unread needs no id.
        const isUnread = row.code === -32700 || /batch|deep/.test(row.what)
        check(row, H.messages(answer), isUnread ? null : row.id)
        if (row.code === undefined) assert.strictEqual(answer.status, 200, row.what)
      }
    }).pipe(quiet)
  )

  it.scopedLive("in a batch is refused one by one over stdio, so that no request waits", () =>
    Effect.gen(function* () {
      const pipe = yield* P.pipe()
      const batch = [H.message(1, "ping"), H.message(undefined, "x"), H.toolCall("b", "who"), 7]
      pipe.send(batch)
      const answers = yield* pipe.settled
      assert.deepStrictEqual(
        answers.map(({ error, id }) => [id, error?.code]),
        [
          [1, -32600],
          ["b", -32600]
        ]
      )
    }).pipe(quiet)
  )

  it.scopedLive("and asks nothing with is not answered over stdio", () =>
    Effect.gen(function* () {
      const pipe = yield* P.pipe()
      for (const line of [
        "",
        "   ",
        "\r",
        `{"jsonrpc":"2.0","method":"notifications/initialized"}\r`,
        `{"jsonrpc":"2.0","method":"notifications/initialized","params":null}`,
        `{"jsonrpc":"2.0","method":"notifications/nothing","params":"x"}`,
        `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":null}}`,
        `{"jsonrpc":"2.0","method":"notifications/cancelled"}`,
        `{"jsonrpc":"2.0","id":1,"result":{}}`,
        `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}`,
        `{"jsonrpc":"2.0","id":1,"result":7}`
      ]) {
        pipe.write(`${line}\n`)
        assert.deepStrictEqual(yield* pipe.settled, [], line)
      }
    }).pipe(quiet)
  )

  it.prop(
    "a result whose text is its structured content is the same message, however it is written",
    { value: fc.dictionary(fc.string(), fc.jsonValue()), meta: fc.option(fc.jsonValue()) },
    ({ meta, value }) => {
      const json = JSON.stringify(value)
      const result = {
        content: [{ type: "text", text: json }],
        structuredContent: JSON.parse(json),
        ...(meta === null ? {} : { _meta: { meta } })
      }
      const message = (result: object) => ({ jsonrpc: "2.0" as const, id: 1, result: { ...result } })
      const text = JsonRpc.text(message({ ...result, [structuredJson]: json }))
      assert.deepStrictEqual(JSON.parse(text), JSON.parse(JSON.stringify(message(result))))
    }
  )

  it.scopedLive("keeps all the digits of an id that is too large", () =>
    Effect.gen(function* () {
      const pipe = yield* P.pipe()
      pipe.write(`{"jsonrpc":"2.0","method":"ping","id":9007199254740993}\n`)
      yield* pipe.until(1)
      assert.match(pipe.lines[0] ?? "", /"id":9007199254740993\}$/)
    }).pipe(quiet)
  )

  for (const [asked, agreed] of [
    ["2024-10-07", "2024-10-07"],
    ["2024-11-05", "2024-11-05"],
    ["2025-03-26", "2025-03-26"],
    ["2025-06-18", "2025-06-18"],
    ["2025-11-25", "2025-11-25"],
    ["2099-01-01", "2025-11-25"],
    ["", "2025-11-25"]
  ] as const)
    it.scopedLive(`agrees on ${agreed} with a client that asks for ${asked || "nothing"}`, () =>
      Effect.gen(function* () {
        const said = hello(`{"protocolVersion":"${asked}","capabilities":{},${info}}`)
        const pipe = yield* P.pipe()
        pipe.write(`${said}\n`)
        const [overStdio] = yield* pipe.settled
        assert.strictEqual(overStdio?.result?.["protocolVersion"], agreed)
        const server = yield* H.server()
        const answer = yield* server.ask({ body: said })
        assert.strictEqual(H.messages(answer)[0]?.result?.["protocolVersion"], agreed)
        // And the session is of use, with the revision told again and without.
        const session = String(answer.headers["mcp-session-id"])
        for (const headers of [{}, { "mcp-protocol-version": agreed }]) {
          const { status } = yield* server.ask({ body: H.toolCall(2, "who"), session, headers })
          assert.strictEqual(status, 200)
        }
      }).pipe(quiet)
    )
})
