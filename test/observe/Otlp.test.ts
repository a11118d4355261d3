import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Scope } from "effect"
import * as Otlp from "../../src/observe/Otlp.js"
import { collector, noSpan } from "../utils/collector.js"
import * as Server from "../utils/server.js"

/** Runs the work with an exporter that sends when its scope closes, and keeps what is logged. */
const exported = <A, E>(
  work: Effect.Effect<A, E>,
  options: Partial<Otlp.Options> & { readonly endpoint: string }
) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.map(Logger.logfmtLogger, (line) => void lines.push(line))
    )
    const scope = yield* Scope.make()
    yield* Effect.exit(work).pipe(
      Effect.provide(Otlp.layer({ service: "test", version: "9", ...options })),
      Effect.provide(logger),
      Scope.extend(scope)
    )
    yield* Scope.close(scope, Exit.void)
    return lines
  })

describe("OTLP", () => {
  it.scopedLive("sends spans with their parents, and of errors their kind alone", () =>
    Effect.gen(function* () {
      const at = yield* collector()
      const inner = Effect.fail({ _tag: "Refused", secret: "password=hunter2" } as const).pipe(
        Effect.withSpan("inner", { kind: "client", captureStackTrace: false })
      )
      const outer = Effect.exit(inner).pipe(
        Effect.withSpan("outer", { kind: "server", attributes: { tool: "t" }, captureStackTrace: false })
      )
      const lines = yield* exported(outer, { endpoint: at.endpoint, headers: { "x-key": "k" } })
      assert.deepStrictEqual(lines, [])
      const [first = noSpan, second = noSpan] = at.spans
      assert.deepInclude(first, { name: "inner", kind: 3, parentSpanId: second.spanId, status: { code: 2 } })
      assert.deepInclude(second, { name: "outer", kind: 2, traceId: first.traceId, status: { code: 0 } })
      assert.isUndefined(second.parentSpanId)
      assert.isAtLeast(Number(first.endTimeUnixNano), Number(first.startTimeUnixNano))
      assert.deepInclude(first.attributes, { key: "error.type", value: { stringValue: "Refused" } })
      assert.deepInclude(second.attributes, { key: "tool", value: { stringValue: "t" } })
      assert.notInclude(JSON.stringify(at.bodies), "hunter2")
      assert.isTrue(at.bodies.every(({ key }) => key === "k"))
    })
  )

  it.scopedLive("sends metrics as the convention names them", () =>
    Effect.gen(function* () {
      const at = yield* collector()
      const { operationEnded } = yield* Effect.promise(() => import("../../src/mcp/Observed.js"))
      const of = { version: undefined, via: "pipe" } as const
      const call = Effect.sync(() => operationEnded({ ...of, method: "tools/call", tool: "otlp_test" }, 150))
      yield* exported(call, { endpoint: at.endpoint })
      const [sent] = at.bodies.filter(({ path }) => path === "/v1/metrics")
      const metrics = JSON.parse(sent?.body ?? "").resourceMetrics[0].scopeMetrics[0]
        .metrics as ReadonlyArray<{
        readonly name: string
        readonly unit?: string
        readonly histogram?: {
          readonly dataPoints: ReadonlyArray<{
            readonly count: string
            readonly bucketCounts: ReadonlyArray<string>
            readonly explicitBounds: ReadonlyArray<number>
          }>
        }
      }>
      const found = metrics.find(
        (one) => one.name === "mcp.server.operation.duration" && JSON.stringify(one).includes("otlp_test")
      )
      assert.strictEqual(found?.unit, "s")
      const point = found?.histogram?.dataPoints[0]
      const counts = point?.bucketCounts.map(Number) ?? []
      assert.strictEqual(counts.length, (point?.explicitBounds.length ?? 0) + 1)
      // 0.15 s lies between the bounds 0.1 and 0.2, and in no other bucket.
      assert.deepStrictEqual(
        counts.flatMap((count, i) => (count > 0 ? [[count, point?.explicitBounds[i]]] : [])),
        [[1, 0.2]]
      )
      assert.strictEqual(point?.count, "1")
    })
  )

  it.scopedLive("a collector that takes nothing is logged once and delays no call", () =>
    Effect.gen(function* () {
      const refusing = yield* collector(500)
      const many = Effect.repeatN(Effect.withSpan(Effect.void, "s", { captureStackTrace: false }), 1_500)
      const lines = yield* exported(many, { endpoint: refusing.endpoint })
      assert.strictEqual(lines.length, 1, lines.join("\n"))
      assert.match(lines[0] ?? "", /telemetry is lost.* 500/)
      // In batches, each of them tried.
      assert.strictEqual(refusing.spans.length, 1_501)
      assert.isAtLeast(refusing.bodies.filter(({ path }) => path === "/v1/traces").length, 3)
    })
  )

  it("reads headers, and skips what is none", () => {
    assert.deepStrictEqual(Otlp.parseHeaders("authorization=Basic%20eA==, x-a = b ,broken,=x,y=%zz"), {
      authorization: "Basic eA==",
      "x-a": "b"
    })
  })

  it.scopedLive("the binary sends its calls, and the statements below them", () =>
    Effect.gen(function* () {
      const at = yield* collector()
      const server = yield* Server.raw({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: at.endpoint } })
      const { code } = yield* Effect.promise(async () => {
        await server.initialize()
        await server.call(1, "execute_query", { sql: "select 1" })
        server.child.stdin.end()
        return server.exited
      })
      assert.strictEqual(code, 0, server.stderr)
      const call = at.spans.find(({ name }) => name === "snowguard.call") ?? noSpan
      const statement = at.spans.find(({ name }) => name === "snowguard.statement") ?? { traceId: "none" }
      assert.deepInclude(call.attributes, { key: "mcp.tool", value: { stringValue: "execute_query" } })
      assert.strictEqual(statement.traceId, call.traceId)
      assert.match(call.traceId, /^[0-9a-f]{32}$/)
    })
  )
})
