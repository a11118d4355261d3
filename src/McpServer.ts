/**
 * Tools <-> the MCP SDK. The only file that knows the SDK's server; it knows no transport.
 *
 * One SDK server per connection: a server shared by connections answers the wrong one. A handler never
 * rejects but by interruption: typed errors and defects become results that the model can read.
 *
 * @since 0.1.0
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import type { CallToolResult, ListToolsResult } from "@modelcontextprotocol/sdk/types.js"
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import type { jsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/types.js"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as ParseResult from "effect/ParseResult"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ErrorReport from "./ErrorReport.js"
import * as JsonSchema from "./internal/jsonSchema.js"
import * as RequestId from "./internal/requestId.js"
import { unsafeMonotonicMillis } from "./internal/monotonic.js"
import * as RequestRunner from "./internal/requestRunner.js"
import type { Principal } from "./Principal.js"
import { CurrentPrincipal } from "./Principal.js"
import * as Telemetry from "./Telemetry.js"
import type * as Tool from "./Tool.js"
import { Toolbox } from "./Toolbox.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly name: string
  readonly version: string
  /** Milliseconds that calls in flight are waited for when a connection closes. */
  readonly drainMs: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  /** Interrupts the calls in flight: the client is gone and nobody reads the answers. */
  readonly abandon: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category context
 */
export class McpServer extends Context.Tag("snowguard/McpServer")<
  McpServer,
  {
    /**
     * Serves one connection until its scope closes. Calls in flight are then answered, or interrupted
     * after `drainMs`, before the transport is closed.
     */
    readonly connect: (
      transport: Transport,
      principal: Principal
    ) => Effect.Effect<Connection, never, Scope.Scope>
  }
>() {}

const instructions =
  "Read-only access to a Snowflake warehouse. Explore with list_databases, list_schemas, list_tables and " +
  "describe_table before you write SQL for execute_query. Calls are rate limited and counted against quotas: " +
  "a refused call says how many seconds to wait; wait that long, then repeat it once. get_limits is always free."

/** Elicitation is never used, so nothing is ever validated; the SDK's default would build an AJV per connection. */
const noValidator: jsonSchemaValidator = {
  getValidator: () => () => ({ valid: false, data: undefined, errorMessage: "not supported" })
}

/** A client that is handed a progress note and the result in one turn loses the note. */
const PROGRESS_GAP_MS = 5

const errorResult = (report: ErrorReport.ErrorReport): CallToolResult => ({
  isError: true,
  content: [{ type: "text", text: report.message }],
  _meta: { [ErrorReport.metaKey]: report }
})

const codeOf = (result: CallToolResult): string => {
  const report = result._meta?.[ErrorReport.metaKey]
  return typeof report === "object" && report !== null && "code" in report ? String(report.code) : "INTERNAL"
}

const describe = (tool: Tool.Any): ListToolsResult["tools"][number] => ({
  name: tool.name,
  title: tool.annotations.title,
  description: tool.description,
  inputSchema: JsonSchema.object(tool.input),
  outputSchema: JsonSchema.object(tool.output),
  annotations: { ...tool.annotations }
})

const codec = (tool: Tool.Any) => ({
  decode: Schema.decodeUnknownEither(tool.input, { errors: "all", onExcessProperty: "error" }),
  encode: Schema.encode(tool.output)
})

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options) =>
  Effect.gen(function* () {
    const toolbox = yield* Toolbox
    const nextReference = yield* RequestId.make
    const listing: ListToolsResult = { tools: toolbox.tools.map(describe) }

    // Built once: what a schema compiles to is not free.
    const codecs = new Map(toolbox.tools.map((tool) => [tool.name, codec(tool)]))

    const run = (
      tool: Tool.Any,
      input: unknown,
      context: Tool.Context,
      tier: string
    ): Effect.Effect<CallToolResult> => {
      const { decode, encode } = codecs.get(tool.name) ?? codec(tool)
      const decoded = decode(input)
      if (Either.isLeft(decoded)) {
        const problems = ParseResult.ArrayFormatter.formatErrorSync(decoded.left)
          .map(({ message, path }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`))
          .join("; ")
        return Effect.succeed(errorResult(ErrorReport.invalidInput(tool.name, `${problems}.`)))
      }
      return tool.handler(decoded.right, context).pipe(
        Effect.flatMap((value) => encode(value).pipe(Effect.orDie)),
        Effect.map((value): CallToolResult => ({
          content: [{ type: "text", text: JSON.stringify(value) }],
          structuredContent: value as Record<string, unknown>
        })),
        Effect.catchAll((error) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const report = ErrorReport.fromError(error, now)
            if (report.sideEffects === "none" && report.scope !== undefined) {
              Telemetry.recordRefusal(tier, report.code, report.scope)
            }
            return Effect.as(
              Effect.logInfo("call refused").pipe(
                Effect.annotateLogs({
                  code: report.code,
                  retryAfterMs: report.retryAfterMs,
                  scope: report.scope,
                  // For the operator; the client reads the description only.
                  cause: "cause" in error && error.cause instanceof Error ? error.cause.message : undefined
                })
              ),
              errorResult(report)
            )
          })
        ),
        Effect.catchAllCause((cause) => {
          if (Cause.isInterruptedOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
          const reference = nextReference()
          return Effect.as(
            Effect.logError("call failed in an unexpected way", cause).pipe(
              Effect.annotateLogs({ reference })
            ),
            errorResult(ErrorReport.internal(reference))
          )
        }),
        Effect.annotateLogs({ tool: tool.name })
      )
    }

    /** The boundary: the span, the count, and the time of a call, however it ends. */
    const call = (tool: Tool.Any, input: unknown, context: Tool.Context, { client, tier }: Principal) =>
      Effect.clockWith((clock) => {
        const started = unsafeMonotonicMillis(clock)
        const record = (outcome: string) =>
          Telemetry.recordCall({ tool: tool.name, tier, outcome, ms: unsafeMonotonicMillis(clock) - started })
        return run(tool, input, context, tier).pipe(
          Effect.onExit((exit) =>
            Effect.sync(() =>
              record(
                exit._tag === "Failure"
                  ? "cancelled"
                  : exit.value.isError === true
                    ? codeOf(exit.value)
                    : "ok"
              )
            )
          ),
          Effect.provideService(CurrentPrincipal, { client, tier }),
          Effect.annotateLogs({ client }),
          Effect.withSpan(Telemetry.spans.call, {
            kind: "server",
            attributes: { "mcp.tool": tool.name, "snowguard.tier": tier },
            captureStackTrace: false
          })
        )
      })

    const connect = (transport: Transport, principal: Principal) =>
      Effect.gen(function* () {
        const server = yield* Effect.acquireRelease(
          Effect.sync(
            () =>
              new Server(
                { name: options.name, version: options.version },
                { capabilities: { tools: {} }, instructions, jsonSchemaValidator: noValidator }
              )
          ),
          (server) => Effect.promise(() => server.close()).pipe(Effect.ignoreLogged)
        )
        // After the server, so that it is finalized before it: answers still find their transport.
        const runner = yield* RequestRunner.make<never>(options.drainMs)

        server.setRequestHandler(ListToolsRequestSchema, () => listing)
        server.setRequestHandler(CallToolRequestSchema, (request, extra) => {
          const tool = toolbox.get(request.params.name)
          if (tool === undefined) {
            // A plain object: McpError would put its own prefix in front of the message.
            throw { code: -32602, message: toolbox.unknown(request.params.name) }
          }
          const token = extra._meta?.progressToken
          let count = 0
          const context: Tool.Context = {
            progress: (message) =>
              token === undefined
                ? Effect.void
                : Effect.ignore(
                    Effect.tryPromise(() =>
                      extra.sendNotification({
                        method: "notifications/progress",
                        params: { progressToken: token, progress: ++count, message }
                      })
                    )
                  )
          }
          return runner.run(
            call(tool, request.params.arguments ?? {}, context, principal).pipe(
              Effect.tap(() => (count > 0 ? Effect.sleep(PROGRESS_GAP_MS) : Effect.void))
            ),
            extra.signal
          )
        })
        const runtime = yield* Effect.runtime<never>()
        server.onerror = (error) => {
          Runtime.runFork(runtime)(Effect.logWarning("protocol error", error.message))
        }
        yield* Effect.promise(() => server.connect(transport))
        return { abandon: runner.interruptAll }
      })
    return McpServer.of({ connect })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<McpServer, never, Toolbox> =>
  Layer.effect(McpServer, make(options))
