/** A client of the emulator without the driver, where the bytes themselves matter. */
import { request } from "node:http"
import { createConnection } from "node:net"
import { gunzipSync } from "node:zlib"
import * as Effect from "effect/Effect"
import * as Emulator from "../../src/emulator/Emulator.js"

export type Answer = { readonly status: number; readonly body: string } | { readonly error: string }

const send = (
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  body?: unknown
): Effect.Effect<Answer> =>
  Effect.async((resume) => {
    const fail = (error: Error) =>
      resume(Effect.succeed({ error: String("code" in error ? error.code : error.message) }))
    const outgoing = request(url, { method, headers, agent: false }, (response) => {
      const parts: Array<Buffer> = []
      response.on("error", fail)
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("end", () => {
        try {
          const bytes = Buffer.concat(parts)
          const plain = response.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes
          resume(Effect.succeed({ status: response.statusCode ?? 0, body: plain.toString("utf8") }))
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)))
        }
      })
    })
    outgoing.on("error", fail)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    return Effect.sync(() => outgoing.destroy())
  })

export const get = (url: string, headers: Readonly<Record<string, string>>) => send("GET", url, headers)

export const isListening = (port: number): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    const socket = createConnection({ host: "127.0.0.1", port })
    socket.on("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.on("error", () => resume(Effect.succeed(false)))
  })

interface Result {
  readonly chunks: ReadonlyArray<{ readonly url: string; readonly rowCount: number }>
  readonly chunkHeaders: Readonly<Record<string, string>>
}

const parsed = <A>(answer: Answer): A => {
  if ("error" in answer) throw new Error(answer.error)
  const value: { readonly data: A } = JSON.parse(answer.body)
  return value.data
}

export const login = (emulator: Emulator.Emulator) =>
  Effect.gen(function* () {
    const credentials = { LOGIN_NAME: Emulator.defaultUser, PASSWORD: Emulator.defaultPassword }
    const opened = yield* send("POST", `${emulator.url}/session/v1/login-request`, {}, { data: credentials })
    const { token } = parsed<{ readonly token: string }>(opened)
    const headers = { authorization: `Snowflake Token="${token}"` }
    return {
      query: (sqlText: string) =>
        Effect.map(
          send("POST", `${emulator.url}/queries/v1/query-request`, headers, { sqlText }),
          parsed<Result>
        )
    }
  })
