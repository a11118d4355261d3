/**
 * THE PROGRAM of the child process in which DuckDB runs. It is begun by the server (`warehouse/duckdb/process.ts`),
 * and speaks with it over file descriptor 3 (`warehouse/duckdb/protocol.ts`).
 *
 * Whatever a statement does to this process, the server goes on. What bounds it from inside, beside what the
 * server does from outside:
 *  - a thread of its own looks at the memory each 20 ms and ends the process beyond the limit: the event loop
 *    may stand still, and DuckDB does not count all that it takes;
 *  - the process kills itself when its server has gone: `process.exit` waits for DuckDB, and a statement that
 *    cannot be interrupted would keep an orphan busy;
 *  - signals of the terminal and of supervisors are the server's to answer: it ends this process when it ends.
 *
 * With `--snapshot PATH` it writes the file of the sample database instead, when the package is built; with
 * `--load JSON` it loads the user's own files into one that the others attach, and says on stdout how that went.
 *
 * @since 0.1.0
 */
import { existsSync } from "node:fs"
import { Socket } from "node:net"
import { dirname, join } from "node:path"
import { Worker } from "node:worker_threads"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ResultShape from "../platform/core/ResultShape.js"
import { weight } from "../warehouse/duckdb/cells.js"
import type { Engine } from "../warehouse/duckdb/engine.js"
import * as Engines from "../warehouse/duckdb/engine.js"
import { bounded } from "../warehouse/duckdb/errors.js"
import { writeSnapshot } from "../warehouse/duckdb/instance.js"
import { load } from "../warehouse/duckdb/load.js"
import * as Protocol from "../warehouse/duckdb/protocol.js"
import type { Cell, Row } from "../warehouse/Warehouse.js"

const endAtOnce = () => void process.kill(process.pid, "SIGKILL")

/**
 * Looks after the process, and says why before it ends it. It is the text of a worker, which has an event loop of its
 * own: that of the process may stand still, and with it every fiber and clock of Effect. So it has a plain timer.
 */
const watchdog = `
const { workerData } = require("node:worker_threads")
const { writeSync } = require("node:fs")
setInterval(() => {
  const rss = process.memoryUsage.rss()
  if (rss > workerData.limit) {
    try { writeSync(2, "${Protocol.MEMORY}" + rss + "\\n") } catch {}
    process.kill(process.pid, "SIGKILL")
  }
  if (process.ppid !== workerData.parent) process.kill(process.pid, "SIGKILL")
}, 20)
`

/** Bytes of a row whose reader has bounds for its cells. */
const ROW_BYTES = 4 * 1024 * 1024

/** Rows that wait for what comes after them. */
const FEW_ROWS = 100

/** A row that is larger cannot be handed over. */
const MOST_BYTES = 64 * 1024 * 1024

const isLarge = (cell: Cell, most: number): boolean =>
  typeof cell === "string" ? cell.length > most : weight(cell) > most

const cutTo =
  (most: number) =>
  (row: Row): Row =>
    row.some((cell) => isLarge(cell, most))
      ? row.map((cell) =>
          isLarge(cell, most)
            ? ResultShape.cut(typeof cell === "string" ? cell : JSON.stringify(cell), most)
            : cell
        )
      : row

const tooLarge: Engines.Failed = {
  reason: "ResourcesExceeded",
  code: "000625",
  sqlState: "53200",
  description: `A row of the result is larger than ${MOST_BYTES / 1024 / 1024} MiB.`
}

interface Job {
  fiber?: Fiber.RuntimeFiber<void>
  /** Parts that may be sent. */
  readonly credits: Effect.Semaphore
}

/** Runs one statement, and says everything about it. */
const run = (
  engine: Engine,
  send: (message: Protocol.FromChild) => void,
  request: Protocol.Execute,
  credits: Effect.Semaphore
): Effect.Effect<void> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { id, maxCellBytes } = request
      const { columns, pull } = yield* engine.execute(request)
      const most =
        maxCellBytes === undefined
          ? MOST_BYTES
          : Math.min(maxCellBytes, Math.floor(ROW_BYTES / Math.max(1, columns.length)))
      const cut = cutTo(most)
      const next = Effect.matchEffect(pull, {
        onFailure: Option.match({
          onNone: () => Effect.succeed(undefined),
          onSome: (failed) => Effect.fail(failed)
        }),
        onSuccess: (rows) =>
          maxCellBytes === undefined && rows.length === 1 && weight(rows[0] ?? []) > MOST_BYTES
            ? Effect.fail(tooLarge)
            : Effect.succeed(rows.map(cut))
      })
      const first = (yield* next) ?? []
      // A result of a few rows is one message: that there are no more is known almost at once.
      let rows = first.length > 0 && first.length < FEW_ROWS ? yield* next : first
      const isWhole = rows === undefined || first.length === 0
      send({ _tag: "Answer", id, columns, rows: first, end: isWhole })
      if (isWhole) return
      if (rows === first) rows = yield* next
      for (;;) {
        yield* credits.take(1)
        send({ _tag: "Rows", id, rows: rows ?? [], end: rows === undefined })
        if (rows === undefined) return
        rows = yield* next
      }
    })
  ).pipe(
    Effect.catchAll((failure) =>
      Effect.sync(() => send({ _tag: "Fail", id: request.id, failure: bounded(failure) }))
    ),
    Effect.catchAllDefect((defect) =>
      Effect.sync(() =>
        send({
          _tag: "Fail",
          id: request.id,
          failure: bounded({
            reason: "ServerFault",
            description: "SQL execution internal error.",
            detail: String(defect)
          })
        })
      )
    ),
    Effect.onInterrupt(() => Effect.sync(() => send({ _tag: "Ended", id: request.id })))
  )

const snapshotOf = (program: string | undefined): string | undefined => {
  const path = program === undefined ? undefined : join(dirname(program), "bundle", "sample.duckdb")
  return path !== undefined && existsSync(path) ? path : undefined
}

const serve = (opening: Protocol.Opening): Effect.Effect<never, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>()
    const runFork = Runtime.runFork(runtime)
    const socket = new Socket({ fd: 3, readable: true, writable: true })
    for (const event of ["end", "close", "error"]) socket.on(event, endAtOnce)
    const send = Protocol.writer<Protocol.FromChild>(socket)

    const opened = yield* Effect.either(Engines.make({ ...opening, snapshot: snapshotOf(process.argv[1]) }))
    if (opened._tag === "Left") {
      const { cause } = opened.left
      yield* Effect.sync(() =>
        send({ _tag: "Failed", message: cause instanceof Error ? cause.message : String(cause) })
      )
      return yield* Effect.never
    }
    const engine = opened.right

    const jobs = new Map<number, Job>()
    const start = (request: Protocol.Execute) => {
      const job: Job = { credits: Effect.runSync(Effect.makeSemaphore(Protocol.CREDITS - 1)) }
      jobs.set(request.id, job)
      job.fiber = runFork(
        Effect.ensuring(
          run(engine, send, request, job.credits),
          Effect.sync(() => void jobs.delete(request.id))
        )
      )
    }
    const receive = (message: Protocol.ToChild) => {
      switch (message._tag) {
        case "Execute":
          return start(message)
        case "Parse":
          return void engine
            .parse(message.sql)
            .then((reply) => send({ _tag: "Parsed", id: message.id, ...reply }))
        case "More":
          return void runFork(jobs.get(message.id)?.credits.release(1) ?? Effect.void)
        case "Cancel": {
          const fiber = jobs.get(message.id)?.fiber
          return fiber === undefined ? undefined : void runFork(Fiber.interruptFork(fiber))
        }
      }
    }
    const read = Protocol.reader((text) => {
      const message: Protocol.ToChild = JSON.parse(text)
      receive(message)
    })
    socket.on("data", (bytes: Uint8Array) => read(bytes))
    const { createdOn, databases, schemas } = engine.catalog
    send({ _tag: "Ready", names: { createdOn, databases, schemas } })
    return yield* Effect.never
  })

const snapshot = (path: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const api = yield* Effect.promise(() => import("@duckdb/node-api"))
    yield* Effect.promise(() => writeSnapshot(api, path, new Date(now).toISOString()))
  })

const loadFiles = (loading: typeof Protocol.Loading.Type): Effect.Effect<void> =>
  Effect.gen(function* () {
    const api = yield* Effect.promise(() => import("@duckdb/node-api"))
    const loaded = yield* Effect.promise(() => load(api, loading))
    yield* Effect.sync(() => process.stdout.write(JSON.stringify(loaded), () => process.exit(0)))
  })

/** The watchdog would keep the process running when it has failed: it says why, and ends. */
const orEnd = (program: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.catchAllCause(program, (cause) =>
    Effect.sync(() => {
      const failed = Cause.squash(cause)
      const said = failed instanceof Error ? failed.message : String(failed)
      process.stderr.write(`${said}\n`, () => process.exit(1))
    })
  )

/** Signals are the server's to answer. */
const guarded = (limit: number): void => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.on(signal, () => undefined)
  new Worker(watchdog, { eval: true, workerData: { limit, parent: process.ppid } })
}

const [, , first, second] = process.argv
if (first === "--snapshot" && second !== undefined) Effect.runFork(orEnd(snapshot(second)))
else if (first === "--load" && second !== undefined) {
  const loading = Schema.decodeSync(Schema.parseJson(Protocol.Loading))(second)
  guarded(loading.processBytes)
  Effect.runFork(orEnd(loadFiles(loading)))
} else {
  const opening = Schema.decodeSync(Schema.parseJson(Protocol.Opening))(first ?? "")
  guarded(opening.processBytes)
  Effect.runFork(Effect.scoped(serve(opening)))
}
