/**
 * Tools <-> the MCP SDK. It alone, with `SdkServer`, knows the SDK's server; it knows no transport.
 *
 * One SDK server per connection: a server shared by connections answers the wrong one. A handler never
 * rejects but by interruption: typed errors and defects become results that the model can read.
 *
 * @since 0.1.0
 */
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import type { CallToolResult, ListToolsResult } from "@modelcontextprotocol/sdk/types.js"
import { ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { Received } from "../guard/Deadline.js"
import { Audit } from "../observe/Audit.js"
import * as Telemetry from "../observe/Telemetry.js"
import * as RefusalLog from "../observe/refusalLog.js"
import * as ToolInput from "../tools/input.js"
import type { Principal } from "../platform/Principal.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import { monotonicReader } from "../platform/monotonic.js"
import { quoted } from "../platform/quoted.js"
import * as RequestId from "../platform/requestId.js"
import type * as Tool from "../tools/Tool.js"
import { Toolbox } from "../tools/Toolbox.js"
import { CallNotes, CurrentNotes } from "../tools/callNotes.js"
import * as JsonSchema from "../tools/jsonSchema.js"
import * as ErrorReport from "./ErrorReport.js"
import * as SdkServer from "./SdkServer.js"
import * as TraceParent from "./core/TraceParent.js"
import * as RequestRunner from "./requestRunner.js"

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
  /** Interrupts the calls in flight: the client is gone and the answers are not read. */
  readonly abandon: Effect.Effect<void>
}

/**
 * A call that is under way.
 *
 * @since 0.1.0
 * @category models
 */
export interface Running {
  readonly client: string
  readonly tool: string
  /** Monotonic, milliseconds: when it was received. */
  readonly since: number
  /** Is its statement in the warehouse? */
  readonly sent: boolean
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
    /** Of all connections together; `cut`: told that the server is shutting down. */
    readonly calls?: Readonly<RequestRunner.Tally>
    /** The calls under way, the oldest first. */
    readonly running?: () => ReadonlyArray<Running>
    /** Names of the tools there are. */
    readonly tools?: ReadonlySet<string>
  }
>() {}

const instructions =
  "Read-only access to a Snowflake warehouse. Explore with list_databases, list_schemas, list_tables and " +
  "describe_table before you write SQL for execute_query. Calls are rate limited and counted against quotas: " +
  "a refused call says how many seconds to wait; wait that long, then repeat it once. get_limits is always free."

/** Clients time out after a minute without a message, and each progress note starts the minute anew. */
const PROGRESS_EVERY = "10 seconds"

/** A client that is handed a progress note and the result in one turn loses the note. */
const PROGRESS_GAP_MS = 5

const describe = (tool: Tool.Any): ListToolsResult["tools"][number] => ({
  name: tool.name,
  title: tool.annotations.title,
  description: tool.description,
  inputSchema: JsonSchema.object(tool.input),
  outputSchema: JsonSchema.object(tool.output),
  annotations: { ...tool.annotations }
})

/**
 * The span of the caller that a call belongs to: that of the call's own `_meta`, or else that of the HTTP request
 * around it. It is the parent of the call's span and decides nothing else.
 */
const parentSpan = ({ _meta, requestInfo }: SdkServer.Extra): Tracer.ExternalSpan | undefined => {
  const found =
    TraceParent.parse(_meta?.["traceparent"]) ?? TraceParent.parse(requestInfo?.headers["traceparent"])
  return found === undefined ? undefined : Tracer.externalSpan(found)
}

/** The label of every unknown tool: a client must not make labels, nor forge an operator's action in the audit log. */
const NO_TOOL = "(unknown)"

/** Characters of an unknown tool's name that are recorded. */
const MAX_NAME = 64

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options) =>
  Effect.gen(function* () {
    const toolbox = yield* Toolbox
    const audit = yield* Audit
    const nextReference = yield* RequestId.make
    const log = yield* RefusalLog.make
    const calls = RequestRunner.tally()
    const running = new Set<Omit<Running, "sent"> & { readonly notes: CallNotes }>()
    const monotonic = yield* monotonicReader
    // Built once, and not before a client asks: compiling a schema takes time, which `initialize` must not wait for.
    let listing: ListToolsResult | undefined
    const list = (): ListToolsResult => (listing ??= { tools: toolbox.tools.map(describe) })
    const codecs = new Map<string, ReturnType<typeof ToolInput.codec>>()
    const codecOf = (tool: Tool.Any): ReturnType<typeof ToolInput.codec> => {
      const made = codecs.get(tool.name) ?? ToolInput.codec(tool)
      codecs.set(tool.name, made)
      return made
    }

    const run = (
      tool: Tool.Any,
      input: { readonly [name: string]: unknown },
      context: Tool.Context,
      { client, tier }: Principal
    ): Effect.Effect<CallToolResult> => {
      const { decode, encode } = codecOf(tool)
      const decoded = decode(input)
      if (Either.isLeft(decoded)) {
        return Effect.succeed(ErrorReport.toResult(ErrorReport.invalidInput(tool.name, decoded.left)))
      }
      return Effect.suspend(() => tool.handler(decoded.right, context)).pipe(
        // What is large takes long to encode: others come first.
        Effect.zipLeft(Effect.yieldNow()),
        Effect.flatMap((result) =>
          Effect.map(Effect.orDie(encode(result)), (value): CallToolResult => {
            const texts = tool.render?.(result, decoded.right) ?? [JSON.stringify(value)]
            return {
              content: texts.map((text) => ({ type: "text", text })),
              structuredContent: value as Record<string, unknown>
            }
          })
        ),
        Effect.catchAll((error) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const report = ErrorReport.fromError(error, now)
            if (report.sideEffects === "none" && report.scope !== undefined) {
              Telemetry.recordRefusal(tier, report.code, report.scope)
            }
            const { code, retryAfterMs, scope } = report
            const cause = ErrorReport.logCause(error)
            return Effect.as(
              log.refused({ client, tool: tool.name, code, scope, retryAfterMs, cause }),
              ErrorReport.toResult(report)
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
            ErrorReport.toResult(ErrorReport.internal(reference))
          )
        }),
        Effect.annotateLogs({ tool: tool.name })
      )
    }

    /** A request for a tool that never becomes a call: of an unknown tool, or malformed. It is counted and recorded. */
    const stray = (name: string, decision: "UNKNOWN_TOOL" | "INVALID_PARAMS", { client, tier }: Principal) =>
      Effect.suspend(() => {
        const isKnown = toolbox.get(name) !== undefined
        const tool = isKnown ? name : NO_TOOL
        Telemetry.recordCall({ tool, tier, outcome: decision, ms: 0 })
        const asked = isKnown || name === "" ? undefined : quoted(name, MAX_NAME)
        return audit.record({ client, tier, tool, asked, decision, ms: 0 })
      })

    /** The boundary: the span, the count, the time and the audit of a call, however it ends. */
    const call = (
      tool: Tool.Any,
      input: { readonly [name: string]: unknown },
      context: Tool.Context,
      { client, tier }: Principal,
      parent: Tracer.ExternalSpan | undefined,
      notes: CallNotes,
      started: number
    ) =>
      Effect.suspend(() => {
        const entry = { client, tool: tool.name, since: started, notes }
        running.add(entry)
        const ended = (decision: string, failedQuery?: string) => {
          running.delete(entry)
          const ms = monotonic() - started
          Telemetry.recordCall({ tool: tool.name, tier, outcome: decision, ms })
          const { bytes, queryId = failedQuery, rows, statement } = notes.all
          const took = Math.round(ms * 1000) / 1000
          return audit.record({
            client,
            tier,
            tool: tool.name,
            statement,
            decision,
            rows,
            bytes,
            ms: took,
            queryId
          })
        }
        return run(tool, input, context, { client, tier }).pipe(
          Effect.onExit((exit) => {
            if (exit._tag === "Failure") return ended("cancelled")
            if (exit.value.isError !== true) return ended("ok")
            const report = ErrorReport.fromResult(exit.value)
            return ended(report?.code ?? "INTERNAL", report?.queryId)
          }),
          Effect.provideService(CurrentNotes, notes),
          Effect.provideService(Received, started),
          Effect.provideService(CurrentPrincipal, { client, tier }),
          Effect.annotateLogs({ client }),
          Effect.withSpan(Telemetry.spans.call, {
            kind: "server",
            attributes: {
              "mcp.tool": tool.name,
              "mcp.method.name": "tools/call",
              "gen_ai.operation.name": "execute_tool",
              "gen_ai.tool.name": tool.name,
              "snowguard.tier": tier
            },
            captureStackTrace: false,
            ...(parent === undefined ? {} : { parent })
          })
        )
      })

    const connect = (transport: Transport, principal: Principal) =>
      Effect.gen(function* () {
        const server = yield* Effect.acquireRelease(
          Effect.sync(
            () =>
              new SdkServer.SdkServer(
                { name: options.name, version: options.version },
                { capabilities: { tools: {} }, instructions }
              )
          ),
          (server) => Effect.promise(() => server.close()).pipe(Effect.ignoreLogged)
        )
        // After the server, so that it is finalized before it: answers still find their transport.
        const runner = yield* RequestRunner.make<never>({ drainMs: options.drainMs, tally: calls })

        server.setRequestHandler(ListToolsRequestSchema, list)
        const runtime = yield* Effect.runtime<never>()
        const turnAway = (name: string, decision: "UNKNOWN_TOOL" | "INVALID_PARAMS") =>
          void Runtime.runFork(runtime)(stray(name, decision, principal))
        const answer: SdkServer.Calls["call"] = (params, extra) => {
          const tool = toolbox.get(params.name)
          if (tool === undefined) {
            turnAway(params.name, "UNKNOWN_TOOL")
            throw SdkServer.invalidParams(toolbox.unknown(params.name))
          }
          const token = extra._meta?.progressToken
          const received = monotonic()
          let count = 0
          let latest = "waiting"
          const tell = (message: string) =>
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
          const context: Tool.Context = {
            progress: (message) =>
              Effect.suspend(() => {
                latest = message
                return tell(message)
              })
          }
          const again = Effect.suspend(() => {
            const seconds = Math.round((monotonic() - received) / 1000)
            return tell(`${latest} (${seconds} s)`)
          })
          /** Says again and again that the call goes on, whatever it does. */
          const audibly = <A>(running: Effect.Effect<A>): Effect.Effect<A> =>
            token === undefined
              ? running
              : Effect.zipRight(
                  Effect.forkScoped(Effect.forever(Effect.delay(again, PROGRESS_EVERY))),
                  running
                ).pipe(Effect.scoped)
          const notes = new CallNotes()
          return runner.run(
            call(tool, params.arguments ?? {}, context, principal, parentSpan(extra), notes, received).pipe(
              audibly,
              Effect.tap(() => (count > 0 ? Effect.sleep(PROGRESS_GAP_MS) : Effect.void))
            ),
            {
              signal: extra.signal,
              onCut: Effect.map(Clock.currentTimeMillis, (now) =>
                ErrorReport.toResult(ErrorReport.shuttingDown(notes.wasSubmitted, now))
              )
            }
          )
        }
        server.serve({ call: answer, malformed: (name) => turnAway(name, "INVALID_PARAMS") })
        server.onerror = (error) => {
          Runtime.runFork(runtime)(Effect.logWarning("protocol error", quoted(error.message)))
        }
        yield* Effect.promise(() => server.connect(transport))
        return { abandon: runner.interruptAll }
      })
    return McpServer.of({
      connect,
      calls,
      running: () =>
        [...running].map(({ client, notes, since, tool }) => ({
          client,
          tool,
          since,
          sent: notes.wasSubmitted
        })),
      tools: new Set(toolbox.tools.map(({ name }) => name))
    })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<McpServer, never, Audit | Toolbox> =>
  Layer.scoped(McpServer, make(options))
