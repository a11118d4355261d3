/** The shared server on a free port of this machine, with tools made for the test, and raw requests to it. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { Deferred, Effect, Layer, Schema } from "effect"
import type { IncomingHttpHeaders } from "node:http"
import * as NodeHttp from "node:http"
import * as NodeHttps from "node:https"
import { connect } from "node:net"
import * as Audit from "../../src/observe/Audit.js"
import * as RunningCalls from "../../src/observe/RunningCalls.js"
import * as McpServer from "../../src/mcp/McpServer.js"
import * as Operator from "../../src/operate/Operator.js"
import * as Principal from "../../src/platform/Principal.js"
import { CurrentPrincipal } from "../../src/platform/Principal.js"
import * as Readiness from "../../src/operate/Readiness.js"
import * as Tool from "../../src/tools/Tool.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import * as Auth from "../../src/mcp/auth/Auth.js"
import * as Http from "../../src/mcp/http/Http.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"

const Output = Schema.Struct({ who: Schema.String })

export const tool = (
  name: string,
  handler: (
    input: { readonly text?: string | undefined },
    context: Tool.Context
  ) => Effect.Effect<typeof Output.Type, Tool.RequestError>
): Tool.Any =>
  Tool.make({
    name,
    description: name,
    class: "control",
    input: Schema.Struct({ text: Schema.optional(Schema.String) }),
    output: Output,
    annotations: Tool.readOnly(name),
    handler
  })

export const whoAmI = Effect.map(CurrentPrincipal, ({ client, tier }) => ({ who: `${client}/${tier}` }))

/** A tool that begins, and goes on when it is told to. */
export const gate = Effect.gen(function* () {
  const started = yield* Deferred.make<void>()
  const interrupted = yield* Deferred.make<void>()
  const go = yield* Deferred.make<void>()
  const gated = tool("gate", () =>
    Deferred.succeed(started, undefined).pipe(
      Effect.zipRight(Deferred.await(go)),
      Effect.zipRight(whoAmI),
      Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
    )
  )
  return { tool: gated, started, interrupted, go }
})

export interface ServerOptions {
  readonly options?: Partial<Http.Options> | undefined
  readonly tools?: ReadonlyArray<Tool.Any> | undefined
  readonly auth?: Layer.Layer<Auth.Authenticator> | undefined
  readonly ready?: Layer.Layer<Readiness.Readiness> | undefined
  readonly drainMs?: number | undefined
  readonly audit?: Layer.Layer<Audit.Audit> | undefined
  readonly running?: Layer.Layer<RunningCalls.RunningCalls> | undefined
  readonly policies?: Parameters<typeof CallPolicy.layer>[0]
  readonly operator?: Layer.Layer<Operator.Operator> | undefined
}

export const layers = ({ audit, auth, drainMs, operator, policies, ready, running, tools }: ServerOptions) =>
  Layer.mergeAll(
    Layer.provide(
      McpServer.layer({ name: "snowguard", version: "1.2.3", drainMs: drainMs ?? 1_000 }),
      Layer.mergeAll(
        audit ?? Audit.layerNoop,
        running ?? RunningCalls.layer,
        CallPolicy.layer(policies),
        Layer.orDie(Toolbox.layer((tools ?? [tool("who", () => whoAmI)]).map((one) => Effect.succeed(one))))
      )
    ),
    operator ?? Operator.layerNoop,
    auth ?? Auth.layerNone(Principal.make("local")),
    ready ?? Readiness.layerNoop
  )

/** Listens on a free port while the scope is open. */
export const server = (of: ServerOptions = {}) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(layers(of))
    const { port } = yield* Effect.provide(Http.listen({ ...Http.defaults, port: 0, ...of.options }), context)
    return new Server(port)
  })

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Ask {
  readonly method?: string
  readonly path?: string
  readonly headers?: { readonly [name: string]: string | undefined }
  readonly body?: string | Buffer | object
  readonly token?: string | undefined
  readonly session?: string | undefined
}

export const initialize = (id: string | number = 0) => ({
  jsonrpc: "2.0",
  id,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "test", version: "1" }
  }
})

export const message = (id: string | number | undefined, method: string, params: object = {}) => ({
  jsonrpc: "2.0",
  ...(id === undefined ? {} : { id }),
  method,
  params
})

export const toolCall = (id: string | number, name: string, args: object = {}) =>
  message(id, "tools/call", { name, arguments: args })

export class Server {
  readonly url: URL
  constructor(
    readonly port: number,
    /** How it is reached over TLS; without: plain HTTP. */
    readonly tls?: NodeHttps.RequestOptions
  ) {
    this.url = new URL(`http://127.0.0.1:${port}/mcp`)
  }

  /** The request as it was started; its answer may take long, or be given up by `destroy`. */
  start({ body, headers = {}, method, path = "/mcp", session, token }: Ask): {
    readonly request: NodeHttp.ClientRequest
    readonly answer: Promise<Answer>
    readonly began: Promise<NodeHttp.IncomingMessage>
  } {
    const payload =
      body === undefined || typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    const all: { [name: string]: string } = {
      accept: "application/json, text/event-stream",
      ...(payload === undefined
        ? {}
        : { "content-type": "application/json", "content-length": String(Buffer.byteLength(payload)) }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(session === undefined ? {} : { "mcp-session-id": session })
    }
    for (const [name, value] of Object.entries(headers)) {
      if (value === undefined) delete all[name]
      else all[name] = value
    }
    const to = {
      host: "127.0.0.1",
      port: this.port,
      path,
      method: method ?? (payload === undefined ? "GET" : "POST"),
      headers: all,
      agent: false
    }
    const request = this.tls === undefined ? NodeHttp.request(to) : NodeHttps.request({ ...to, ...this.tls })
    const began = new Promise<NodeHttp.IncomingMessage>((resolve, reject) => {
      request.on("response", resolve).on("error", reject)
    })
    const answer = began.then(
      (response) =>
        new Promise<Answer>((resolve, reject) => {
          let text = ""
          response.setEncoding("utf8")
          response.on("data", (chunk: string) => (text += chunk))
          response.on("error", reject)
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text })
          )
        })
    )
    began.catch(() => {})
    answer.catch(() => {})
    request.end(payload)
    return { request, answer, began }
  }

  ask(ask: Ask): Effect.Effect<Answer> {
    return Effect.promise(() => this.start(ask).answer)
  }

  /** Opens a session; its id. */
  open(ask: Ask = {}): Effect.Effect<string> {
    return Effect.map(this.ask({ body: initialize(), ...ask }), ({ body, headers, status }) => {
      const id = headers["mcp-session-id"]
      if (status !== 200 || typeof id !== "string") throw new Error(`no session: ${status} ${body}`)
      return id
    })
  }

  call(session: string, id: string | number, name: string, args: object = {}, ask: Ask = {}) {
    return this.ask({ body: toolCall(id, name, args), session, ...ask })
  }

  /** Bytes as they are; what came back until the server closed. */
  raw(...parts: ReadonlyArray<string>): Promise<string> {
    return new Promise((resolve) => {
      let text = ""
      const socket = connect(this.port, "127.0.0.1", () => {
        for (const part of parts) socket.write(part)
      })
      socket.setEncoding("utf8")
      socket.on("data", (chunk: string) => (text += chunk))
      socket.on("error", () => {})
      socket.on("close", () => resolve(text))
    })
  }

  /** The SDK's own client. */
  client(headers: { readonly [name: string]: string } = {}) {
    return Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Client({ name: "test", version: "1" })
        await client.connect(
          new StreamableHTTPClientTransport(this.url, { requestInit: { headers: { ...headers } } })
        )
        return client
      }),
      (client) => Effect.promise(() => client.close())
    )
  }
}

/** What a request of the 2026 era says of itself. */
export const envelope = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {}
}

/** A request of the 2026 era over HTTP, with the headers that it needs. */
export const modern = (
  id: string | number,
  method: string,
  { _meta, ...params }: { readonly _meta?: object; readonly [name: string]: unknown } = {}
): Ask & { readonly headers: { readonly [name: string]: string } } => {
  const name = params["name"] ?? params["uri"]
  return {
    body: message(id, method, { ...params, _meta: { ...envelope, ..._meta } }),
    headers: {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(typeof name === "string" ? { "mcp-name": name } : {})
    }
  }
}

/** The JSON-RPC messages of a stream of events, or the one of a JSON body. */
export const messages = ({
  body,
  headers
}: Answer): ReadonlyArray<{
  readonly id?: string | number | null
  readonly method?: string
  readonly params?: { readonly [key: string]: unknown }
  readonly result?: { readonly [key: string]: unknown }
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}> =>
  headers["content-type"]?.startsWith("text/event-stream") === true
    ? body.split("\n").flatMap((line) => (line.startsWith("data: ") ? [JSON.parse(line.slice(6))] : []))
    : [JSON.parse(body)]
