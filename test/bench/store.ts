/**
 * What a decision over five limits costs in each quota store, beside rate-limiter-flexible doing the same.
 * Every round runs every case once, in a new order; what is reported are medians over rounds, and ratios
 * of the same round. One call at a time for the latencies, 32 for the throughput over Redis.
 *
 * The five limits: requests and queries per hour and per day of a client, one of 10,000, and the requests per
 * day of all. Ours is one `reserve`: all or nothing. Theirs is a union of five limiters, which is neither.
 */
import { DatabaseSync } from "@photostructure/sqlite"
import type { Layer } from "effect"
import { Effect, ManagedRuntime } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { monitorEventLoopDelay, performance } from "node:perf_hooks"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import {
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterSQLite,
  RateLimiterUnion
} from "rate-limiter-flexible"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as Sqlite from "../../src/quota/stores/Sqlite.js"
import { bundle } from "../torture/build.js"
import { targetOf } from "../torture/run.js"
import { layerOf } from "../torture/stores.js"
import { collectGarbage, median, quantile, round, shuffled } from "./harness.js"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    /** One part alone: `latency`, `paced` or `redis`. */
    only: { type: "string" },
    /** For the processes of the paced part. */
    worker: { type: "string" }
  }
})

const CLIENTS = 10_000
const LIMIT = 1e9
const DAY = 86_400_000
const IN_FLIGHT = 32
const names = ["requests_per_hour", "requests_per_day", "queries_per_hour", "queries_per_day"] as const
const durations = [3600, 86_400, 3600, 86_400, 86_400]

/** Nanoseconds each; `settle` as well where there is one. */
interface Case {
  readonly name: string
  readonly ops: number
  readonly run: (ops: number) => Promise<ReadonlyArray<number>>
}

const chargesOf = (client: number): ReadonlyArray<QuotaStore.Charge> => [
  ...names.map((quota) => ({ key: `client:${client}`, quota, limit: LIMIT, amount: 1 })),
  { key: "global", quota: "requests_per_day", limit: LIMIT, amount: 1 }
]
const anyClient = (): number => Math.floor(Math.random() * CLIENTS)

const closers: Array<() => unknown> = []
const runtimeOf = async (layer: Layer.Layer<QuotaStore.QuotaStore, unknown>) => {
  const runtime = ManagedRuntime.make(layer)
  closers.push(() => runtime.dispose())
  return { runtime, store: await runtime.runPromise(QuotaStore.QuotaStore) }
}

const ours = async (
  name: string,
  layer: Layer.Layer<QuotaStore.QuotaStore, unknown>,
  ops: number,
  settles = false
): Promise<Case> => {
  const { runtime, store } = await runtimeOf(layer)
  return {
    name,
    ops,
    run: (count) => {
      const times: Array<number> = []
      let left = count
      let began = 0
      const one = Effect.suspend(() => {
        const charges = chargesOf(anyClient())
        began = performance.now()
        return store.reserve(charges, DAY)
      })
      const timed = (decision: QuotaStore.Decision) => {
        left -= 1
        if (!settles) times.push((performance.now() - began) * 1e6)
        if (decision._tag === "Refused") throw new Error("refused")
        // What is left open would fill the tables.
        return Effect.map(store.settle(decision.reservation, []), () => {
          if (settles) times.push((performance.now() - began) * 1e6)
        })
      }
      return runtime.runPromise(
        Effect.as(
          Effect.whileLoop({ while: () => left > 0, body: () => Effect.flatMap(one, timed), step: () => {} }),
          times
        )
      )
    }
  }
}

interface Consumer {
  readonly consume: (key: string) => Promise<unknown>
}

const theirs = (name: string, all: Consumer, ops: number): Case => ({
  name,
  ops,
  run: async (count) => {
    const times: Array<number> = []
    for (let i = 0; i < count; i++) {
      const key = `client:${anyClient()}`
      const began = performance.now()
      await all.consume(key)
      times.push((performance.now() - began) * 1e6)
    }
    return times
  }
})

const unionMemory = (): Consumer =>
  new RateLimiterUnion(
    ...durations.map((duration, i) => new RateLimiterMemory({ points: LIMIT, duration, keyPrefix: `l${i}` }))
  )

const unionSqlite = async (path: string, wal: boolean): Promise<Consumer> => {
  // Processes wait for each other, as better-sqlite3 does unless it is told otherwise.
  const client = new DatabaseSync(path, { timeout: 5000 })
  closers.push(() => client.close())
  if (wal) {
    client.exec("PRAGMA journal_mode = WAL")
    client.exec("PRAGMA synchronous = NORMAL")
  }
  // As better-sqlite3 has it, for whom the limiter is written.
  const [begin, commit] = [client.prepare("BEGIN"), client.prepare("COMMIT")]
  const storeClient = Object.assign(client, {
    transaction: (body: () => unknown) => () => {
      begin.run()
      const result = body()
      commit.run()
      return result
    }
  })
  const limiters = await Promise.all(
    durations.map(
      (duration, i) =>
        new Promise<RateLimiterSQLite>((resolve, reject) => {
          const limiter: RateLimiterSQLite = new RateLimiterSQLite(
            {
              storeClient,
              storeType: "better-sqlite3",
              tableName: `l${i}`,
              points: LIMIT,
              duration,
              keyPrefix: `l${i}`
            },
            (error) => (error === undefined ? resolve(limiter) : reject(error))
          )
        })
    )
  )
  return new RateLimiterUnion(...limiters)
}

const latencies = async (cases: ReadonlyArray<Case>, rounds: number) => {
  const rows = new Map<string, Array<{ readonly p50: number; readonly p99: number }>>(
    cases.map(({ name }) => [name, []])
  )
  for (let i = -1; i < rounds; i++) {
    for (const { name, ops, run } of shuffled(cases)) {
      collectGarbage()
      const times = await run(ops)
      if (i >= 0) rows.get(name)?.push({ p50: quantile(times, 0.5), p99: quantile(times, 0.99) })
    }
  }
  return rows
}

/** Operations per second with many in flight. */
const throughput = async (count: number, one: () => Promise<unknown>): Promise<number> => {
  let left = count
  const began = performance.now()
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (left-- > 0) await one()
    })
  )
  return (count / (performance.now() - began)) * 1000
}

/** What Redis makes possible; undefined where there is none. */
const redis = async (rounds: number) => {
  const target = await targetOf("redis")
  if (target === undefined) return undefined
  try {
    const { runtime, store } = await runtimeOf(layerOf("redis", target.target))
    const { Redis } = await import("ioredis")
    const client = new Redis(target.target)
    closers.push(() => client.disconnect())
    const union = new RateLimiterUnion(
      ...durations.map(
        (duration, i) =>
          new RateLimiterRedis({ storeClient: client, points: LIMIT, duration, keyPrefix: `l${i}` })
      )
    )
    const results: Array<{ readonly ours: number; readonly theirs: number }> = []
    for (let i = -1; i < rounds; i++) {
      const sample = {
        ours: await throughput(5000, () => runtime.runPromise(store.reserve(chargesOf(anyClient()), DAY))),
        theirs: await throughput(5000, () => union.consume(`client:${anyClient()}`))
      }
      if (i >= 0) results.push(sample)
    }
    return {
      oursPerSecond: Math.round(median(results.map(({ ours }) => ours))),
      unionPerSecond: Math.round(median(results.map(({ theirs }) => theirs))),
      ratio: round(median(results.map(({ ours, theirs }) => ours / theirs)))
    }
  } finally {
    await Promise.all(closers.splice(0).map((close) => close()))
    target.stop()
  }
}

/** One of several processes on a file, for some seconds: calls at random moments, a hundred a second. */
const pacedWorker = async (path: string, kind: string, seconds: number): Promise<void> => {
  const stalls = monitorEventLoopDelay({ resolution: 1 })
  const times: Array<number> = []
  let failures = 0
  let one: () => Promise<unknown>
  if (kind === "union") {
    const union = await unionSqlite(path, true)
    one = () => union.consume(`client:${anyClient()}`)
  } else {
    const { runtime, store } = await runtimeOf(Sqlite.layer({ path }))
    one = () => runtime.runPromise(store.reserve(chargesOf(anyClient()), DAY))
  }
  await one()
  stalls.enable()
  const saturated = kind === "saturated"
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    if (!saturated) await new Promise((resolve) => setTimeout(resolve, -Math.log(Math.random()) * 10))
    const began = performance.now()
    await one().catch(() => (failures += 1))
    times.push((performance.now() - began) * 1000)
  }
  stalls.disable()
  console.log(
    JSON.stringify({
      calls: times.length,
      failures,
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      stallMs: stalls.max / 1e6
    })
  )
  await Promise.all(closers.splice(0).map((close) => close()))
}

interface Paced {
  readonly calls: number
  readonly failures: number
  readonly p50: number
  readonly p99: number
  readonly stallMs: number
}

/** Microseconds; the median process's. */
const paced = async (program: string, kind: string, seconds: number) => {
  const directory = mkdtempSync(join(tmpdir(), "snowguard-bench-"))
  const path = join(directory, "quota.db")
  try {
    // The tables, before the processes come.
    if (kind !== "union") await Effect.runPromise(Effect.scoped(Sqlite.make({ path })))
    const all = await Promise.all(
      Array.from(
        { length: 4 },
        () =>
          new Promise<Paced>((resolve, reject) => {
            const child = spawn(
              process.execPath,
              [program, "--worker", JSON.stringify([path, kind, seconds])],
              {
                stdio: ["ignore", "pipe", "inherit"]
              }
            )
            let said = ""
            child.stdout.on("data", (chunk) => (said += chunk))
            child.once("close", () =>
              said === "" ? reject(new Error("a process failed")) : resolve(JSON.parse(said) as Paced)
            )
          })
      )
    )
    return {
      calls: all.reduce((sum, { calls }) => sum + calls, 0),
      failures: all.reduce((sum, { failures }) => sum + failures, 0),
      p50: round(median(all.map(({ p50 }) => p50)), 0),
      p99: round(median(all.map(({ p99 }) => p99)), 0),
      worstStallMs: round(Math.max(...all.map(({ stallMs }) => stallMs)), 0),
      fairness: round(Math.min(...all.map(({ calls }) => calls)) / Math.max(...all.map(({ calls }) => calls)))
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const main = async (): Promise<void> => {
  const rounds = Number(values.rounds)
  const scale = values.quick ? 0.2 : 1
  const directory = mkdtempSync(join(tmpdir(), "snowguard-bench-"))
  try {
    const names = {
      memory: "memory",
      memoryUnion: "rlf memory union",
      sqlite: "sqlite",
      sqliteSettled: "sqlite, reserve and settle",
      union: "rlf sqlite union, WAL",
      unionDefault: "rlf sqlite union, its default journal"
    }
    const cases = [
      await ours(names.memory, QuotaStore.layerMemory, 20_000 * scale),
      theirs(names.memoryUnion, unionMemory(), 20_000 * scale),
      await ours(names.sqlite, Sqlite.layer({ path: join(directory, "a.db") }), 4000 * scale),
      await ours(names.sqliteSettled, Sqlite.layer({ path: join(directory, "b.db") }), 2000 * scale, true),
      theirs(names.union, await unionSqlite(join(directory, "c.db"), true), 2000 * scale),
      theirs(names.unionDefault, await unionSqlite(join(directory, "d.db"), false), 100 * scale)
    ]
    const wanted = (part: string): boolean => (values.only ?? part) === part
    const rows = await latencies(cases, wanted("latency") ? rounds : 0)
    await Promise.all(closers.splice(0).map((close) => close()))
    const of = (name: string, q: "p50" | "p99") => median((rows.get(name) ?? []).map((row) => row[q]))
    const ratio = (name: string, base: string, q: "p50" | "p99") =>
      round(
        median((rows.get(name) ?? []).map((row, i) => row[q] / (rows.get(base)?.[i]?.[q] ?? Number.NaN))),
        3
      )
    const program = await bundle("test/bench/store.ts", ["rate-limiter-flexible", "esbuild"])
    const seconds = 3 * scale
    try {
      const figures = {
        microseconds: Object.fromEntries(
          cases.map(({ name }) => [
            name,
            { p50: round(of(name, "p50") / 1000), p99: round(of(name, "p99") / 1000) }
          ])
        ),
        goals: {
          "memory p50 / union <= 0.25": ratio(names.memory, names.memoryUnion, "p50"),
          "sqlite p50 / union WAL <= 0.2": ratio(names.sqlite, names.union, "p50"),
          "sqlite p99 / union WAL <= 0.1": ratio(names.sqlite, names.union, "p99")
        },
        fourPaced: wanted("paced") ? await paced(program.path, "paced", seconds) : null,
        fourPacedUnion: wanted("paced") ? await paced(program.path, "union", seconds) : null,
        fourSaturated: wanted("paced") ? await paced(program.path, "saturated", seconds) : null,
        redis: wanted("redis") ? ((await redis(rounds)) ?? "not available") : null
      }
      console.log(values.json ? JSON.stringify(figures) : JSON.stringify(figures, null, 2))
    } finally {
      program.remove()
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

if (values.worker === undefined) await main()
else {
  const [path, kind, seconds] = JSON.parse(values.worker) as [string, string, number]
  await pacedWorker(path, kind, seconds)
}
