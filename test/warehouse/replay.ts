/** A server that answers every statement with the same bytes, and what the adapter makes of them. */
import { createServer } from "node:http"
import type { ServerResponse } from "node:http"
import { randomUUID } from "node:crypto"
import { Chunk, Effect, Stream } from "effect"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import type { Column, Row, WarehouseError } from "../../src/warehouse/Warehouse.js"
import { optionsFor } from "./snowflakeServer.js"

/** The body of a part, or what writes it. */
export type Part = string | Uint8Array | ((response: ServerResponse) => void)

export interface Replayed {
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<Row>
}

export interface Answer {
  /** The whole body; an object is sent as JSON. */
  readonly body: object | string | null
  /** By name: `/part/a` is the address of `a`, under the server's own. */
  readonly parts?: { readonly [name: string]: Part }
  readonly partType?: string
  readonly partEncoding?: string
}

const queryId = "01b1c2d3-0000-1111-2222-333344445555"

/** As in an answer, where only types, rows and a few more fields matter. */
export const result = (
  rowtype: ReadonlyArray<object>,
  rowset: ReadonlyArray<ReadonlyArray<unknown>> | undefined,
  more: object = {}
) => ({
  success: true,
  code: null,
  message: null,
  data: {
    parameters: [{ name: "TIMEZONE", value: "America/Los_Angeles" }],
    rowtype,
    ...(rowset === undefined ? {} : { rowset }),
    total: rowset?.length ?? 0,
    returned: rowset?.length ?? 0,
    version: 1,
    queryId,
    statementTypeId: 4096,
    queryResultFormat: "json",
    finalDatabaseName: null,
    finalSchemaName: null,
    finalWarehouseName: "WH",
    finalRoleName: "R",
    ...more
  }
})

export const column = (name: string, type: string, more: object = {}) => ({
  name,
  database: "",
  schema: "",
  table: "",
  type,
  precision: null,
  scale: null,
  length: null,
  byteLength: null,
  nullable: true,
  collation: null,
  ...more
})

const json = (response: ServerResponse, body: unknown) => {
  response.setHeader("content-type", "application/json")
  response.end(typeof body === "string" ? body : JSON.stringify(body))
}

const loggedIn = {
  success: true,
  data: { token: "t", masterToken: "m", sessionId: 1, validityInSeconds: 3600, parameters: [] }
}

/** The address of the server, and the paths it was asked for. */
export const serve = (answerOf: (origin: string) => Answer) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly asked: ReadonlyArray<string>; readonly close: () => void }>(
      (resume) => {
        const asked: Array<string> = []
        const server = createServer((request, response) => {
          const { pathname } = new URL(request.url ?? "/", "http://localhost")
          asked.push(pathname)
          const answer = answerOf(url())
          const part = answer.parts?.[pathname.replace("/part/", "")]
          request.resume()
          if (pathname.endsWith("/login-request")) return json(response, loggedIn)
          if (pathname === "/queries/v1/query-request") return json(response, answer.body)
          if (!pathname.startsWith("/part/")) return json(response, { success: true, data: null })
          response.statusCode = part === undefined ? 404 : 200
          response.setHeader("content-type", answer.partType ?? "binary/octet-stream")
          if (answer.partEncoding !== undefined) response.setHeader("content-encoding", answer.partEncoding)
          if (typeof part === "function") part(response)
          else response.end(part)
        })
        const url = () => {
          const address = server.address()
          return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
        }
        const close = () => {
          server.close()
          server.closeAllConnections()
        }
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ url: url(), asked, close })))
      }
    ),
    ({ close }) => Effect.sync(close)
  )

export const read = (
  url: string,
  options: Partial<Snowflake.Options> & { readonly maxRows?: number } = {}
): Effect.Effect<Replayed, WarehouseError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { maxRows, ...more } = options
      const warehouse = yield* Snowflake.make(optionsFor(url, { hints: false, ...more }))
      const { columns, rows } = yield* warehouse.execute({
        sql: "SELECT 1",
        timeoutMs: 10_000,
        requestId: randomUUID(),
        maxRows
      })
      const chunks = yield* Stream.runCollect(rows)
      return { columns, rows: Chunk.toReadonlyArray(chunks).flat() }
    })
  )

/** What a caller gets who is answered like this. */
export const replay = (answer: Answer): Effect.Effect<Replayed, WarehouseError> =>
  Effect.scoped(
    Effect.flatMap(
      serve(() => answer),
      ({ url }) => read(url)
    )
  )
