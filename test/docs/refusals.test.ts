/** The refusals that the pages show are what clients are told: produced by the shipped parts on virtual time. */
import { assert, describe, it } from "@effect/vitest"
import type { Context } from "effect"
import { Effect, Fiber, Layer, Logger, Option, Stream, TestClock } from "effect"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import * as ErrorReport from "../../src/mcp/ErrorReport.js"
import { codes } from "../../src/observe/Activity.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Server from "../../src/server/Server.js"
import * as Testing from "../../src/server/Testing.js"
import type { RequestError } from "../../src/tools/Tool.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import type { Statement } from "../../src/warehouse/Warehouse.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"
import { blocks, pages } from "./pages.js"

const { circuitBreaker, guard, rateLimiter, retry } = Server.parts(ServerConfig.defaults)

const stack = (execute: Context.Tag.Service<Warehouse>["execute"]) =>
  Testing.layer(
    {},
    {
      circuitBreaker,
      guard,
      rateLimiter,
      retry,
      warehouse: Layer.succeed(Warehouse, { dialect: "snowflake", execute, reportsSubmit: true })
    }
  ).pipe(Layer.merge(Logger.remove(Logger.defaultLogger)))

/** What a call of this client fails with. */
const failing = (client: string, sql: string) =>
  Effect.gen(function* () {
    const tool = (yield* Toolbox.Toolbox).get("execute_query")
    if (tool === undefined) return yield* Effect.dieMessage("no tool")
    const call: Effect.Effect<RequestError, unknown> = Effect.flip(
      tool.handler({ sql }, { progress: () => Effect.void })
    )
    return ErrorReport.fromError(yield* call, 0)
  }).pipe(Effect.provideService(Principal.CurrentPrincipal, Principal.make(client)), Effect.orDie)

/** The same, however long it takes. */
const told = (client: string, sql: string) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(failing(client, sql))
    for (let ms = 0; ms < 120_000; ms += 1_000) {
      yield* TestClock.adjust(1_000)
      if (Option.isSome(yield* Fiber.poll(fiber))) return yield* Fiber.join(fiber)
    }
    return yield* Effect.dieMessage("never answered")
  })

const refused = new WarehouseError({ reason: "Permission", description: "No.", sent: "yes" })

const sent = ({ onSubmit = Effect.void }: Statement) => onSubmit

const silent = (statement: Statement) => Effect.zipRight(sent(statement), Effect.never)

/** Answers what another client asks, and the cancellation of the rest. */
const busy = (statement: Statement) =>
  statement.sql.includes("other")
    ? Effect.as(sent(statement), { queryId: "q", columns: [], rows: Stream.empty })
    : Effect.zipRight(
        sent(statement),
        Effect.onInterrupt(Effect.never, () => statement.onCancelled ?? Effect.void)
      )

/** Each refusal that pages may show. */
const produced: ReadonlyArray<Effect.Effect<ErrorReport.ErrorReport>> = [
  // As many at once as an agent's loop sends.
  Effect.gen(function* () {
    const calls = Array.from({ length: 90 }, (_, n) => failing("ana", `SELECT ${n}`))
    const fiber = yield* Effect.fork(Effect.all(calls, { concurrency: "unbounded" }))
    yield* TestClock.adjust(10_000)
    const all = yield* Fiber.join(fiber)
    return yield* Effect.fromNullable(all.find(({ code }) => code === "RATE_LIMITED"))
  }).pipe(Effect.provide(stack(() => Effect.fail(refused)))),
  told("ana", "SELECT 1").pipe(Effect.provide(stack(silent))),
  Effect.gen(function* () {
    const late = yield* Effect.fork(told("ana", "SELECT 1"))
    const others = Effect.forever(Effect.delay(Effect.exit(failing("ben", "SELECT 'other'")), 3_000))
    const asking = yield* Effect.fork(others)
    const report = yield* Fiber.join(late)
    yield* Fiber.interrupt(asking)
    return report
  }).pipe(Effect.provide(stack(busy)))
].map((one) => Effect.orDie(one))

/** Line breaks are the page's; figures vary. */
const comparable = (text: string): string =>
  text
    .replaceAll(/\s+/g, " ")
    .replaceAll(/\d+(?:\.\d+)?/g, "N")
    .replaceAll("N seconds", "N second")
    .trim()

const isShown = ({ text }: { readonly text: string }): boolean =>
  Object.keys(codes).some((code) => text.startsWith(`${code}: `) || text.startsWith(`{\n  "code": "${code}"`))

/** The fields, with texts and figures that vary left open. */
const shapeOf = (report: object): object =>
  Object.fromEntries(
    Object.entries(report).map(([key, value]) => [
      key,
      typeof value === "number" || key === "message" || key === "retryAt" ? typeof value : (value as unknown)
    ])
  )

describe("the refusals on the pages", () => {
  it.effect("are what clients are told, but for the figures", () =>
    Effect.gen(function* () {
      const reports = yield* Effect.all(produced)
      const texts = new Set(reports.map(({ message }) => comparable(message)))
      const shapes = reports.map((report) => JSON.stringify(Object.entries(shapeOf(report)).sort()))
      const shown = pages().flatMap(blocks).filter(isShown)
      assert.isAtLeast(shown.length, 4)
      for (const { language, line, path, text } of shown) {
        if (language === "json") {
          const shape = JSON.stringify(Object.entries(shapeOf(JSON.parse(text) as object)).sort())
          assert.include(shapes, shape, `${path}:${line}`)
        } else assert.isTrue(texts.has(comparable(text)), `${path}:${line}: ${[...texts].join("\n")}`)
      }
    })
  )
})
