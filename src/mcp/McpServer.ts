/**
 * Tools, resources and prompts <-> the protocol of either era. It knows no transport, and no SDK but as what a
 * connection is handed to: `Sdk1` or `Sdk2`, of which only the one that is used is loaded.
 *
 * One SDK server per connection: a server shared by connections answers the wrong one. A call never rejects but by
 * interruption: typed errors and defects become results that the model can read.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import { identity } from "effect/Function"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { hash, randomUUID } from "node:crypto"
import { Received } from "../guard/Deadline.js"
import * as Activity from "../observe/Activity.js"
import { Audit } from "../observe/Audit.js"
import type { Entry } from "../observe/Audit.js"
import { settledLater } from "../observe/Metering.js"
import * as Telemetry from "../observe/Telemetry.js"
import * as RefusalLog from "../observe/refusalLog.js"
import * as RunningCalls from "../observe/RunningCalls.js"
import * as ToolInput from "../tools/input.js"
import type { Principal } from "../platform/Principal.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import { extendContext } from "../platform/fiberContext.js"
import * as Lru from "../platform/core/Lru.js"
import { monotonicReader, nanosReader } from "../platform/monotonic.js"
import { quoted } from "../platform/quoted.js"
import * as RequestId from "../platform/requestId.js"
import type * as Tool from "../tools/Tool.js"
import { CallPolicy, hasTool, ToolDenied } from "../tools/CallPolicy.js"
import { Toolbox } from "../tools/Toolbox.js"
import { CallNotes, CurrentNotes } from "../tools/callNotes.js"
import * as JsonSchema from "../tools/jsonSchema.js"
import { common as commonFields, whenRefused } from "../tools/schemas.js"
import * as ErrorReport from "./ErrorReport.js"
import * as Prompts from "./Prompts.js"
import type { Asked, Connect, Era, Params, ToolResult, Transport } from "./Protocol.js"
import type * as Protocol from "./Protocol.js"
import { invalidParams, methodNotFound, structuredJson } from "./Protocol.js"
import * as Resources from "./Resources.js"
import * as Fence from "./core/Fence.js"
import * as TraceParent from "./core/TraceParent.js"
import * as RequestRunner from "./requestRunner.js"

/**
 * What the server is called, and how long the end of a connection waits for calls.
 *
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
 * One client that is connected.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  /** Interrupts the calls in flight: the client is gone and the answers are not read. */
  readonly abandon: Effect.Effect<void>
}

/**
 * Whose request it is, of those that are in flight, and what its fibers run within.
 *
 * @since 0.1.0
 * @category models
 */
export type CallerOf = (id: Protocol.RequestId) => {
  readonly principal: Principal
  readonly within: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
}

/**
 * The tools, resources and prompts behind any transport of either protocol era.
 *
 * @since 0.1.0
 * @category context
 */
export class McpServer extends Context.Tag("snowguard/McpServer")<
  McpServer,
  {
    /**
     * Serves one connection until its scope closes. Calls in flight are then answered, or interrupted
     * after `drainMs`, before the transport is closed. A transport that carries the requests of several
     * callers says whose each of them is. The era is "2025" when absent.
     */
    readonly connect: (
      transport: Transport,
      principal: Principal | CallerOf,
      era?: Era
    ) => Effect.Effect<Connection, never, Scope.Scope>
    /** Of all connections together; `cut`: told that the server is shutting down. */
    readonly calls?: Readonly<RequestRunner.Tally>
    /** Names of the tools there are. */
    readonly tools?: ReadonlySet<string>
  }
>() {}

const instructions =
  "Read-only access to a Snowflake warehouse. Find tables and columns with search_objects, list_databases, " +
  "list_schemas, list_tables and describe_table, and see what is in them with profile_table, before you write SQL " +
  `for execute_query. Calls are rate limited and counted against quotas. ${whenRefused} ` +
  "get_limits is always free. Many answers have these fields: truncated, truncated_reason and next_step (what " +
  "is not shown, why, how to get it), truncated_cells (values cut short), elapsed_ms, stale, " +
  "age_seconds and stale_reason (an older answer, since the warehouse is out of reach), degraded (the server's " +
  "mode, why, and the way back), quota_warnings (quotas of which less than a fifth is left)."

/** Milliseconds that the line of a call in the audit log waits for the call to settle. */
const SETTLING_MS = 1_000

/** Milliseconds, to the microsecond. */
const inMicros = (ms: number): number => Math.round(ms * 1000) / 1000

/** Clients time out after a minute without a message, and each progress note starts the minute anew. */
const PROGRESS_EVERY = "10 seconds"

/** A client that is handed a progress note and the result in one turn loses the note. */
const PROGRESS_GAP_MS = 5

/** The title stands beside the name; whether it destroys, or may be repeated, says nothing of a tool that only reads. */
const annotations = ({ title: _, ...hints }: Tool.Annotations) => {
  const { openWorldHint, readOnlyHint } = hints
  return readOnlyHint ? { readOnlyHint, openWorldHint } : hints
}

const describe = (tool: Tool.Any) => ({
  name: tool.name,
  title: tool.annotations.title,
  description: tool.description,
  inputSchema: JsonSchema.object(tool.input),
  outputSchema: JsonSchema.outline(tool.output, commonFields),
  annotations: annotations(tool.annotations)
})

/** The span of the caller that a call belongs to: the parent of the call's span, which decides nothing else. */
const parentSpan = ({ meta }: Asked): Tracer.ExternalSpan | undefined => {
  const found = TraceParent.parse(meta?.["traceparent"])
  return found === undefined ? undefined : Tracer.externalSpan(found)
}

const asContent = (text: string) => ({ type: "text" as const, text })

/** The last field of a random UUID is random as a whole; node draws the bytes of many at a time. */
const fence = () => Fence.make(randomUUID().slice(-12))

/** What is wrong with the request for a tool; its arguments are the tool's to read. */
const callProblem = ({ arguments: given, name, task }: Params): string | undefined => {
  if (typeof name !== "string") return "params.name: expected a text"
  // `null` is how some clients write that there are none.
  if (given !== undefined && given !== null && !Predicate.isReadonlyRecord(given))
    return "params.arguments: expected an object"
  return task === undefined ? undefined : "this server makes no tasks"
}

/** `__proto__` in JSON names no argument; parsers differ in what they make of it. */
const withoutPrototype = (given: Params): Params => {
  if (!Object.hasOwn(given, "__proto__")) return given
  const { ["__proto__"]: _, ...rest } = given
  return rest
}

const capabilities = { tools: {}, resources: {}, prompts: {}, completions: {} }

/** Of connections that are told when a list changes. */
const listening: Protocol.Handlers["capabilities"] = {
  ...capabilities,
  tools: { listChanged: true },
  resources: { listChanged: true }
}

/** What the lists show a tier, by the notice that says that it is not the same any more. */
type Shown = { readonly [N in Protocol.Notice]: string }

const notices = [
  "notifications/tools/list_changed",
  "notifications/resources/list_changed"
] as const satisfies ReadonlyArray<Protocol.Notice>

/** Connections of one tier, and what its lists have shown them since the last change. */
interface Audience {
  shown: Shown
  readonly connections: Set<(notice: Protocol.Notice) => Promise<void>>
}

type Caller = ReturnType<CallerOf>

/** A resource that does not exist; the number means that in the 2025 era, and is replaced in the other. */
const NO_RESOURCE = -32002

const sdk: { readonly [E in Era]: () => Promise<{ readonly connect: Connect }> } = {
  "2025": () => import("./Sdk1.js"),
  "2026": () => import("./Sdk2.js")
}

/** Clients whose refusals in a row are counted. */
const REFUSED_CLIENTS = { maxEntries: 1_000, maxBytes: Number.MAX_SAFE_INTEGER }

/** A call of a tool, as far as its refusals are counted. */
interface AskedFor {
  readonly tool: string
  readonly input: { readonly [name: string]: unknown }
  /** Monotonic milliseconds. */
  readonly started: number
}

type Report = ErrorReport.ErrorReport

/** The label of every unknown tool: a client must not make labels, nor forge an operator's action in the audit log. */
const NO_TOOL = "(unknown)"

/** Characters of an unknown tool's name that are recorded. */
const MAX_NAME = 64

/** Characters of an unknown resource's URI that are told. */
const MAX_URI = 200

/** A resource that cannot be read now: a limit, the warehouse, or this server; JSON-RPC has no other number for that. */
const NOT_NOW = -32603

/** By the code of the report of a call that reads a resource: those that are no fault of this server, and do not pass. */
const unreadable: { readonly [code: string]: number | undefined } = {
  WAREHOUSE_NOT_FOUND: NO_RESOURCE,
  WAREHOUSE_PERMISSION: NO_RESOURCE,
  OBJECT_NOT_ALLOWED: NO_RESOURCE,
  TOOL_DENIED: NO_RESOURCE,
  INVALID_INPUT: -32602
}

/** Milliseconds in which a connection takes the notices of one change. */
const NOTICE_MS = 10_000

/**
 * Serves the toolbox of the context; a call that fails is answered, and never ends the connection.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options) =>
  Effect.gen(function* () {
    const toolbox = yield* Toolbox
    const audit = yield* Audit
    const policies = yield* CallPolicy
    const nextReference = yield* RequestId.make
    const log = yield* RefusalLog.make
    const calls = RequestRunner.tally()
    const running = yield* RunningCalls.RunningCalls
    const monotonic = yield* monotonicReader
    const nanos = yield* nanosReader
    /** Lines of calls that have ended and are not settled, the oldest first, with the time of the end. */
    const unwritten = new Map<Effect.Effect<void>, number>()
    const someUnwritten = yield* Effect.makeLatch(false)
    /** Writes those that have waited long enough: one fiber for all calls, which wakes once a second at most. */
    const writeOverdue = Effect.gen(function* () {
      yield* someUnwritten.await
      const [oldest = monotonic()] = unwritten.values()
      yield* Effect.sleep(Math.max(1, Math.ceil(oldest + SETTLING_MS - monotonic())))
      for (const [line, ended] of unwritten) {
        if (ended + SETTLING_MS > monotonic()) return
        // Whole, or not begun: it is forgotten when it begins.
        yield* Effect.uninterruptible(
          Effect.catchAllDefect(line, (defect) => Effect.logError("a line of the audit log is lost", defect))
        )
      }
      yield* someUnwritten.close
      // A call may have ended before the latch was closed, and would not open it again.
      if (unwritten.size > 0) yield* someUnwritten.open
    })
    // The limits of a call may settle after the server has ended, while the guard ends: in a line of its own.
    yield* Effect.addFinalizer(() => Effect.all(unwritten.keys(), { discard: true }))
    yield* Effect.forkScoped(Effect.forever(writeOverdue))
    // Built once, and not before a client asks: compiling a schema takes time, which `initialize` must not wait for.
    let listing: ReadonlyArray<ReturnType<typeof describe>> | undefined
    const list = ({ principal: { tier } }: Caller) => {
      const policy = policies.of(tier)
      return { tools: (listing ??= toolbox.tools.map(describe)).filter(({ name }) => hasTool(policy, name)) }
    }
    const mayCall = (tier: string) => {
      const policy = policies.of(tier)
      return (name: string): boolean => toolbox.get(name) !== undefined && hasTool(policy, name)
    }
    const shownTo = (tier: string): Shown => {
      const may = mayCall(tier)
      return {
        "notifications/tools/list_changed": JSON.stringify(
          toolbox.tools.flatMap(({ name }) => (may(name) ? [name] : []))
        ),
        "notifications/resources/list_changed": JSON.stringify([
          Resources.list(may),
          Resources.listTemplates(may)
        ])
      }
    }
    const audiences = new Map<string, Audience>()
    /** Tells the connection, while the scope is open, which of the lists of its tier are not what they were. */
    const tellChanges = (tier: string, notify: (notice: Protocol.Notice) => Promise<void>) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const audience = audiences.get(tier) ?? { shown: shownTo(tier), connections: new Set() }
          audiences.set(tier, audience)
          audience.connections.add(notify)
          return audience
        }),
        (audience) =>
          Effect.sync(() => {
            audience.connections.delete(notify)
            if (audience.connections.size === 0) audiences.delete(tier)
          })
      )
    const scope = yield* Effect.scope
    const policiesChanged = Effect.suspend(() => {
      const told = [...audiences].flatMap(([tier, audience]) => {
        const before = audience.shown
        audience.shown = shownTo(tier)
        const changed = notices.filter((notice) => before[notice] !== audience.shown[notice])
        return changed.length === 0 ? [] : [...audience.connections].map((notify) => ({ changed, notify }))
      })
      // A change of the policies does not wait for connections. A connection that has closed meanwhile is not told.
      const send = ({ changed, notify }: (typeof told)[number]) =>
        Effect.forEach(changed, (notice) => Effect.ignore(Effect.tryPromise(() => notify(notice))), {
          discard: true
        }).pipe(Effect.timeoutOption(NOTICE_MS))
      return Effect.asVoid(
        Effect.forkIn(Effect.forEach(told, send, { concurrency: "unbounded", discard: true }), scope)
      )
    })
    if (policies.onChange !== undefined) yield* policies.onChange(policiesChanged)
    const codecs = new Map<string, ReturnType<typeof ToolInput.codec>>()
    const codecOf = (tool: Tool.Any): ReturnType<typeof ToolInput.codec> => {
      const made = codecs.get(tool.name) ?? ToolInput.codec(tool)
      codecs.set(tool.name, made)
      return made
    }

    /** The latest refusal of a client, how often the same call had it in a row, and when it was answered last. */
    const refusals = Lru.make<{ readonly refusal: string; readonly times: number; readonly at: number }>(
      REFUSED_CLIENTS
    )
    /** One call after another: those that were under way together did not know of each other's refusal. */
    const timesRefused = (
      client: string,
      { input, started, tool }: AskedFor,
      { code, scope, sideEffects }: Report
    ): number => {
      if (sideEffects !== "none" || scope === undefined) {
        Lru.remove(refusals, client)
        return 1
      }
      // Arguments may be long, and there are many clients.
      const refusal = hash("sha256", JSON.stringify([tool, code, scope, input]), "base64")
      const before = Lru.get(refusals, client)
      const isSame = before?.refusal === refusal
      if (isSame && started < before.at) return 1
      const times = isSame ? before.times + 1 : 1
      Lru.set(refusals, client, { refusal, times, at: monotonic() }, 1)
      return times
    }

    /** A typed error as the result that the model reads; counted and logged. */
    const reported = (
      error: Parameters<typeof ErrorReport.fromError>[0],
      asked: AskedFor,
      { client, tier }: Principal
    ): Effect.Effect<ToolResult> =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const { wasSubmitted } = yield* CurrentNotes
        const { explained, quote } = fence()
        const refusal = ErrorReport.fromError(error, now, quote)
        // What refuses an attempt says nothing of those before it.
        const isOfAttempt = error._tag === "CircuitOpen" || error._tag === "Overloaded"
        const plain = wasSubmitted && isOfAttempt ? ErrorReport.afterSending(refusal) : refusal
        const { tool } = asked
        const times = timesRefused(client, asked, plain)
        const again = times === 1 ? "" : ` Refused ${times} times in a row.`
        const report = { ...plain, message: explained(plain.message + again) }
        if (report.sideEffects === "none" && report.scope !== undefined) {
          Telemetry.recordRefusal(tier, report.code, report.scope)
        }
        // What a call costs is known after it: the first call that is refused may be the first to show a low quota.
        if (error._tag === "QuotaExceeded") Telemetry.recordLowQuota(tier, client, error)
        const { code, retryAfterMs, scope } = report
        const cause = ErrorReport.logCause(error)
        const outcome = Activity.endOf(code, report.sideEffects === "unknown", report.retryable)
        yield* log.refused({ client, tool, code, outcome, scope, retryAfterMs, cause })
        return ErrorReport.toResult(report)
      })

    const run = (
      tool: Tool.Any,
      input: { readonly [name: string]: unknown },
      context: Tool.Context,
      principal: Principal,
      started: number
    ): Effect.Effect<ToolResult> => {
      const asked: AskedFor = { tool: tool.name, input, started }
      const { client, tier } = principal
      if (!hasTool(policies.of(tier), tool.name))
        return reported(new ToolDenied({ tool: tool.name, tier }), asked, principal)
      const { decode, encode } = codecOf(tool)
      const decoded = decode(input)
      if (Either.isLeft(decoded)) {
        Lru.remove(refusals, client)
        return Effect.succeed(ErrorReport.toResult(ErrorReport.invalidInput(tool.name, decoded.left)))
      }
      const answered = Effect.gen(function* () {
        const result = yield* tool.handler(decoded.right, context)
        if (tool.class !== "control") Lru.remove(refusals, client)
        // What is large takes long to encode: others come first.
        if (tool.class !== "control") yield* Effect.yieldNow()
        const value = encode === undefined ? result : yield* Effect.orDie(encode(result))
        const structuredContent = value as Record<string, unknown>
        const rendered = tool.render?.(result, decoded.right)
        const texts = rendered ?? [JSON.stringify(value)]
        if (tool.class === "control") {
          const [json] = texts
          const written = rendered === undefined && json !== undefined ? { [structuredJson]: json } : {}
          return { content: texts.map(asContent), structuredContent, ...written }
        }
        const { close, open } = fence()
        return {
          content: [open, ...texts, close].map(asContent),
          structuredContent: { notice: Fence.notice, ...structuredContent }
        }
      })
      const failed = (cause: Cause.Cause<never>) => {
        if (Cause.isInterruptedOnly(cause)) return Effect.failCause(cause)
        const reference = nextReference()
        return Effect.as(
          Effect.logError("call failed in an unexpected way", cause).pipe(Effect.annotateLogs({ reference })),
          ErrorReport.toResult(ErrorReport.internal(reference))
        )
      }
      // One handler for a call that succeeds to pass; the refusal itself may fail in an unexpected way.
      return Effect.catchAllCause(answered, (cause) =>
        Effect.catchAllCause(
          Either.match(Cause.failureOrCause(cause), {
            onLeft: (error) => reported(error, asked, principal),
            onRight: Effect.failCause
          }),
          failed
        )
      )
    }

    /** A request for a tool that never becomes a call: of an unknown tool, or malformed. It is counted and recorded. */
    const stray = (name: string, decision: "UNKNOWN_TOOL" | "INVALID_PARAMS", { client, tier }: Principal) =>
      Effect.suspend(() => {
        const isKnown = toolbox.get(name) !== undefined
        const tool = isKnown ? name : NO_TOOL
        const outcome = Activity.outcomeOf(decision)
        Telemetry.recordCall({ tool, tier, outcome: decision, kind: outcome, ms: 0 })
        const asked = isKnown || name === "" ? undefined : quoted(name, MAX_NAME)
        return audit.record({ client, tier, tool, asked, decision, outcome, ms: 0 })
      })

    /**
     * Writes the line of a call, ended at `ended`, when its limits are settled: a store may settle behind the answer.
     * What is settled after the line was written is in a line of its own.
     */
    const written = (entry: Entry, notes: CallNotes, started: number, ended: number): Effect.Effect<void> => {
      const rest = Effect.suspend(() => {
        const limits = notes.limits()
        const { client, tier, tool } = entry
        const ms = inMicros(monotonic() - started)
        return limits.length === 0
          ? Effect.void
          : audit.record({ client, tier, tool, decision: settledLater, ms, limits })
      })
      const line = Effect.suspend(() => {
        unwritten.delete(line)
        const limits = notes.limits()
        const record = audit.record(limits.length === 0 ? entry : { ...entry, limits })
        return Effect.zipRight(record, notes.whenSettled(rest))
      })
      if (notes.hasSettled) return line
      unwritten.set(line, ended)
      return Effect.zipRight(notes.whenSettled(line), someUnwritten.open)
    }

    /**
     * The boundary: the span, the count, the time and the audit of a call, however it ends. Its fiber ends with it, so
     * the annotations of logs and what is known of the call are set and not put back.
     */
    const call = (
      tool: Tool.Any,
      input: { readonly [name: string]: unknown },
      context: Tool.Context,
      principal: Principal,
      parent: Tracer.ExternalSpan | undefined,
      notes: CallNotes,
      started: number
    ) => {
      const { client, tier } = principal
      const ended = (
        decision: string,
        { queryId: failedQuery, retryable, sideEffects }: Partial<Report> = {}
      ) => {
        const now = monotonic()
        const ms = now - started
        const outcome = Activity.outcomeOf(decision, sideEffects === "unknown", retryable)
        Telemetry.recordCall({ tool: tool.name, tier, outcome: decision, kind: outcome, ms })
        const { bytes, queryId = failedQuery, ranAs, rows, statement, wouldRefuse } = notes.all
        const told = {
          client,
          tier,
          tool: tool.name,
          statement,
          decision,
          outcome,
          rows,
          bytes,
          ms: inMicros(ms),
          queryId,
          ...ranAs,
          ...(wouldRefuse === undefined ? {} : { wouldRefuse })
        }
        return audit.withoutLimits === true ? audit.record(told) : written(told, notes, started, now)
      }
      const outcome = (exit: Exit.Exit<ToolResult>) => {
        if (exit._tag === "Failure") return ended("cancelled")
        if (exit.value.isError !== true) return ended("ok")
        const report = ErrorReport.fromResult(exit.value)
        return ended(report?.code ?? "INTERNAL", report)
      }
      return Effect.uninterruptible(
        Effect.gen(function* () {
          const span = yield* Effect.makeSpan(Telemetry.spans.call, {
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
          yield* FiberRef.update(FiberRef.currentLogAnnotations, (all) =>
            HashMap.set(HashMap.set(all, "client", client), "tool", tool.name)
          )
          yield* extendContext((all) =>
            // What is large is copied once.
            Context.merge(
              all,
              Context.make(CurrentNotes, notes).pipe(
                Context.add(Received, started),
                Context.add(CurrentPrincipal, principal),
                Context.add(Tracer.ParentSpan, span)
              )
            )
          )
          const ran = Effect.suspend(() => run(tool, input, context, principal, started))
          const exit = yield* Effect.exit(Effect.interruptible(ran))
          span.end(nanos(), exit)
          yield* outcome(exit)
          return yield* exit
        })
      )
    }

    const connect = (transport: Transport, principalOf: Principal | CallerOf, era: Era = "2025") =>
      Effect.gen(function* () {
        const runtime = yield* Effect.runtime<never>()
        // Before the runner, so that it is finalized after it: answers still find their transport.
        const opened = yield* Effect.acquireRelease(
          Effect.sync(() => new Set<Protocol.Bound>()),
          (opened) =>
            Effect.forEach(opened, (server) => Effect.ignoreLogged(Effect.promise(() => server.close())), {
              discard: true
            })
        )
        const runner = yield* RequestRunner.make<never>({ drainMs: options.drainMs, tally: calls })
        const turnAway = (name: string, decision: "UNKNOWN_TOOL" | "INVALID_PARAMS", principal: Principal) =>
          void Runtime.runFork(runtime)(stray(name, decision, principal))

        const callTool = (
          tool: Tool.Any,
          input: Params,
          asked: Asked,
          { principal, within }: Caller
        ): Promise<ToolResult> => {
          const progressToken = asked.meta?.["progressToken"]
          const token =
            typeof progressToken === "string" || typeof progressToken === "number" ? progressToken : undefined
          const received = monotonic()
          let count = 0
          let latest = "waiting"
          const tell = (message: string) =>
            token === undefined
              ? Effect.void
              : Effect.ignore(
                  Effect.tryPromise(() =>
                    asked.progress({ progressToken: token, progress: ++count, message })
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
                ).pipe(
                  Effect.scoped,
                  Effect.tap(() => (count > 0 ? Effect.sleep(PROGRESS_GAP_MS) : Effect.void))
                )
          const notes = new CallNotes(audit.withoutLimits !== true)
          return runner.run(
            call(tool, input, context, principal, parentSpan(asked), notes, received).pipe(audibly, within),
            {
              signal: asked.signal,
              begins: (stop) => {
                const underWay: RunningCalls.Call = {
                  client: principal.client,
                  tool: tool.name,
                  since: received,
                  progress: () => notes.progress,
                  cancel: stop(
                    Effect.sync(() =>
                      ErrorReport.toResult(ErrorReport.cancelledByOperator(notes.wasSubmitted))
                    )
                  )
                }
                running.add(underWay)
                return () => running.remove(underWay)
              },
              onCut: Effect.map(Clock.currentTimeMillis, (now) =>
                ErrorReport.toResult(ErrorReport.shuttingDown(notes.wasSubmitted, now))
              )
            }
          )
        }

        const toolsCall = (params: Params, asked: Asked, caller: Caller): Promise<ToolResult> => {
          const name = typeof params["name"] === "string" ? params["name"] : ""
          const problem = callProblem(params)
          if (problem !== undefined) {
            turnAway(name, "INVALID_PARAMS", caller.principal)
            throw invalidParams(`Invalid tools/call: ${problem}`)
          }
          const tool = toolbox.get(name)
          if (tool === undefined) {
            turnAway(name, "UNKNOWN_TOOL", caller.principal)
            throw invalidParams(toolbox.unknown(name))
          }
          const { arguments: given } = params
          return callTool(
            tool,
            Predicate.isReadonlyRecord(given) ? withoutPrototype(given) : {},
            asked,
            caller
          )
        }

        const readResource = async ({ uri }: Params, asked: Asked, caller: Caller) => {
          if (typeof uri !== "string")
            throw invalidParams("Invalid resources/read: params.uri: expected a text")
          const reading = Resources.reading(uri)
          const tool = reading === undefined ? undefined : toolbox.get(reading.tool)
          if (reading === undefined || tool === undefined) {
            throw {
              code: NO_RESOURCE,
              message: "There is no such resource.",
              data: { uri: quoted(uri, MAX_URI) }
            }
          }
          const result = await callTool(tool, reading.args, asked, caller)
          if (result.isError !== true)
            return Resources.contents(uri, result[structuredJson] ?? JSON.stringify(result.structuredContent))
          const report = ErrorReport.fromResult(result)
          throw {
            code: unreadable[report?.code ?? ""] ?? NOT_NOW,
            message: report?.message ?? "The resource could not be read.",
            data: { uri: quoted(uri, MAX_URI), [ErrorReport.metaKey]: report }
          }
        }

        const complete = async ({ argument, context, ref }: Params, asked: Asked, caller: Caller) => {
          if (!Predicate.isReadonlyRecord(ref) || !Predicate.isReadonlyRecord(argument)) {
            throw invalidParams(
              "Invalid completion/complete: params.ref and params.argument: expected objects"
            )
          }
          const { name: of, type, uri } = ref
          const { name, value } = argument
          const names =
            type === "ref/prompt"
              ? Prompts.argumentsOf(String(of))
              : type === "ref/resource"
                ? Resources.argumentsOf(String(uri))
                : undefined
          if (names === undefined || typeof name !== "string" || typeof value !== "string") {
            throw invalidParams("Invalid completion/complete: there is no such prompt or resource template")
          }
          const given =
            Predicate.isReadonlyRecord(context) && Predicate.isReadonlyRecord(context["arguments"])
              ? context["arguments"]
              : {}
          const wanted = names.includes(name) ? (Resources.completing(name, given) ?? []) : []
          const results: Array<{ readonly member: string; readonly result: Params }> = []
          for (const { args, member, tool: of } of wanted) {
            const tool = toolbox.get(of)
            // A refused call has no names; a completion does not report limits.
            const result = tool === undefined ? undefined : await callTool(tool, args, asked, caller)
            if (result?.structuredContent !== undefined)
              results.push({ member, result: result.structuredContent })
          }
          return Resources.completed(results, value)
        }

        const request = async (method: string, params: Params, asked: Asked): Promise<object> => {
          const caller =
            typeof principalOf === "function"
              ? principalOf(asked.id)
              : { principal: principalOf, within: identity }
          switch (method) {
            case "tools/call":
              return toolsCall(params, asked, caller)
            case "tools/list":
              return list(caller)
            case "resources/list":
              return Resources.list(mayCall(caller.principal.tier))
            case "resources/templates/list":
              return Resources.listTemplates(mayCall(caller.principal.tier))
            case "resources/read":
              return readResource(params, asked, caller)
            case "prompts/list":
              return Prompts.list
            case "prompts/get": {
              const { arguments: given, name } = params
              return Either.getOrThrowWith(
                Prompts.get(name, Predicate.isReadonlyRecord(given) ? given : {}),
                invalidParams
              )
            }
            case "completion/complete":
              return complete(params, asked, caller)
            default:
              throw methodNotFound
          }
        }
        // Of one caller: the requests of several have no stream in common.
        const tier =
          era === "2025" && policies.onChange !== undefined && typeof principalOf !== "function"
            ? principalOf.tier
            : undefined
        const handlers = {
          info: { name: options.name, version: options.version },
          instructions,
          capabilities: tier === undefined ? capabilities : listening,
          request,
          failed: (error: Error) => {
            Runtime.runFork(runtime)(Effect.logWarning("protocol error", quoted(error.message)))
          }
        }
        const bound = yield* Effect.promise(async () => {
          const { connect } = await sdk[era]()
          return connect(transport, handlers)
        })
        opened.add(bound)
        if (tier !== undefined && bound.notify !== undefined) yield* tellChanges(tier, bound.notify)
        return { abandon: runner.interruptAll }
      })
    return McpServer.of({
      connect,
      calls,
      tools: new Set(toolbox.tools.map(({ name }) => name))
    })
  })

/**
 * Serves the toolbox of the context.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<McpServer, never, Audit | CallPolicy | RunningCalls.RunningCalls | Toolbox> =>
  Layer.scoped(McpServer, make(options))
