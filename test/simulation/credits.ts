/**
 * Credits over a day on virtual time: agents of several clients query virtual warehouses that are suspended and resumed,
 * through the real tool, guard, quotas and accountant; the bill of the emulator says what it really cost, and whom.
 *
 * A look at the account takes its time; a statement arrives at once when it has left, so that nothing lies between the
 * answer of a look and the statement that follows it, as in the emulator on one machine.
 */
import { Clock, Effect, Layer, Logger, LogLevel, Stream } from "effect"
import * as Billing from "../../src/emulator/billing.js"
import * as Guard from "../../src/guard/Guard.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import { monotonicMillis } from "../../src/platform/monotonic.js"
import * as Principal from "../../src/platform/Principal.js"
import { CurrentPrincipal } from "../../src/platform/Principal.js"
import * as Credits from "../../src/quota/Credits.js"
import * as Quota from "../../src/quota/Quota.js"
import type * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as Testing from "../../src/server/Testing.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"
import * as ExecuteQuery from "../../src/tools/ExecuteQuery.js"
import { fromRow } from "../../src/warehouse/snowflake/compute.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as Random from "./Random.js"
import * as VirtualClock from "./VirtualClock.js"

const HOUR = 3_600_000

const warehouses: Readonly<Record<string, Billing.Traits>> = {
  ADHOC: { size: "Small", autoSuspendSeconds: 60, suspended: true },
  REPORTS: { size: "Large", autoSuspendSeconds: 300, suspended: true },
  GEN2: { size: "Medium", resourceConstraint: "STANDARD_GEN_2", autoSuspendSeconds: 30, suspended: true }
}

/** Who calls: from when to when statements come how often, and how long they run. */
interface Client {
  readonly name: string
  readonly tier: "default" | "guests"
  readonly warehouse: keyof typeof warehouses
  /** Milliseconds between two sessions of work, statements of a session, milliseconds between two of them. */
  readonly restMs: number
  readonly statements: number
  readonly pauseMs: number
  /** Milliseconds of a statement, the median. */
  readonly runMs: number
}

const clients: ReadonlyArray<Client> = [
  {
    name: "analyst",
    tier: "default",
    warehouse: "ADHOC",
    restMs: 1_200_000,
    statements: 12,
    pauseMs: 20_000,
    runMs: 3_000
  },
  {
    name: "chat",
    tier: "default",
    warehouse: "ADHOC",
    restMs: 600_000,
    statements: 5,
    pauseMs: 8_000,
    runMs: 1_500
  },
  {
    name: "loader",
    tier: "default",
    warehouse: "REPORTS",
    restMs: 3_600_000,
    statements: 40,
    pauseMs: 2_000,
    runMs: 9_000
  },
  {
    name: "report",
    tier: "default",
    warehouse: "REPORTS",
    restMs: 5_400_000,
    statements: 15,
    pauseMs: 5_000,
    runMs: 20_000
  },
  {
    name: "model",
    tier: "default",
    warehouse: "GEN2",
    restMs: 900_000,
    statements: 8,
    pauseMs: 15_000,
    runMs: 4_000
  },
  {
    name: "poller",
    tier: "default",
    warehouse: "GEN2",
    restMs: 240_000,
    statements: 1,
    pauseMs: 1_000,
    runMs: 400
  },
  {
    name: "guest",
    tier: "guests",
    warehouse: "ADHOC",
    restMs: 300_000,
    statements: 4,
    pauseMs: 10_000,
    runMs: 2_000
  },
  {
    name: "visitor",
    tier: "guests",
    warehouse: "REPORTS",
    restMs: 500_000,
    statements: 3,
    pauseMs: 30_000,
    runMs: 5_000
  }
]

/** The loader meets its own limit. */
const limits: Quota.Options = {
  tiers: { default: { credits_per_hour: 1_000, credits_per_day: 10_000 } },
  clients: { loader: { credits_per_hour: 0.8 } },
  global: { credits_per_day: 100_000 }
}

const TIMEOUT_MS = 60_000

/** Who is in the same warehouses, and none of our clients. */
const OTHERS = "(others)"

/** What was charged to a client, what its statements really cost, and how far the one is from the other. */
export interface Row {
  readonly client: string
  readonly cost: number
  readonly charged: number
  /** Of the cost. */
  readonly error: number
}

export interface Report {
  readonly seed: number
  readonly hours: number
  readonly calls: number
  readonly answers: Readonly<Record<string, number>>
  readonly others: boolean
  /** Credits of the account's bill, and those of them in which no statement ran. */
  readonly billed: number
  readonly idle: number
  readonly resumes: number
  readonly charged: number
  /** Of what our statements cost: the bill without idle time and without others. */
  readonly error: number
  readonly clients: ReadonlyArray<Row>
  readonly worst: Row
  /** Credits that were reserved for each one that was charged. */
  readonly reserved: number
  readonly looks: number
  /** Warehouses that were resumed by callers who may not. */
  readonly wokenByGuests: number
  /** The most that the loader was charged in an hour. */
  readonly loaderHour: number
}

const errorOf = (charged: number, cost: number): number => (cost === 0 ? charged : (charged - cost) / cost)

/** What makes it harder, and faults for tests that have to see them. */
export interface Faults {
  /** What is said of every warehouse. */
  readonly says?: "running" | undefined
  /** A user beside this server runs statements in the same warehouses: what they cost is not ours. */
  readonly others?: boolean | undefined
  /** Statements cost that many times what the accountant says. */
  readonly factor?: number | undefined
}

export const day = (seed: number, hours = 24, faults: Faults = {}): Report => {
  const time = VirtualClock.make()
  const billing = Billing.make(warehouses)
  const account = Random.stream(seed, "account")
  const nameOf = (client: string) => clients.find(({ name }) => name === client)?.warehouse ?? "ADHOC"
  const answers: Record<string, number> = {}
  let calls = 0
  let looks = 0
  let reserved = 0
  let wokenByGuests = 0
  let loaderHour = 0

  const warehouse = Layer.succeed(Warehouse, {
    dialect: "snowflake",
    reportsSubmit: true,
    actingAs: ({ client }) => ({ key: "", mode: "shared", warehouse: nameOf(client) }),
    billing: {
      compute: () =>
        Effect.gen(function* () {
          looks += 1
          const { client } = yield* CurrentPrincipal
          yield* Effect.sleep(account.between(20, 200))
          const row = billing.row(nameOf(client), yield* monotonicMillis)
          return fromRow(faults.says === undefined ? row : { ...row, state: "STARTED" })
        }),
      budget: () => Effect.fail(new WarehouseError({ reason: "NotFound", description: "none", sent: "yes" }))
    },
    execute: ({ onSubmit = Effect.void, requestId, sql, timeoutMs }) =>
      Effect.gen(function* () {
        const { client, tier } = yield* CurrentPrincipal
        yield* onSubmit
        return yield* Effect.acquireUseRelease(
          Effect.flatMap(monotonicMillis, (now) => {
            const run = billing.begin(nameOf(client), client, now)
            if (run?.woke === true && tier === "guests") wokenByGuests += 1
            return run === undefined
              ? new WarehouseError({ reason: "Unavailable", description: "suspended", sent: "yes" })
              : Effect.succeed(run)
          }),
          () =>
            Effect.sleep(Number(/\d+/.exec(sql)?.[0])).pipe(
              Effect.timeoutFail({
                duration: timeoutMs,
                onTimeout: () =>
                  new WarehouseError({ reason: "StatementTimeout", description: "too long", sent: "yes" })
              })
            ),
          (run) => Effect.map(monotonicMillis, (now) => billing.end(run, now))
        ).pipe(Effect.as({ queryId: requestId, columns: [], rows: Stream.empty }))
      })
  })

  const counted = Layer.effect(
    Credits.Credits,
    Effect.map(Credits.Credits, (credits) => ({
      ...credits,
      estimate: (...of: Parameters<typeof credits.estimate>) =>
        Effect.map(credits.estimate(...of), (amount) => {
          reserved += amount
          return amount
        }),
      begin: Effect.map(credits.begin, ({ end, refused }) => ({
        refused,
        end: Effect.map(end, (amount) => amount * (faults.factor ?? 1))
      }))
    }))
  ).pipe(Layer.provide(Credits.layer()))

  const policy = { chargeCredits: true, statementTimeoutMs: TIMEOUT_MS, maxStatementTimeoutMs: TIMEOUT_MS }
  const stack = Testing.layer(
    {},
    {
      warehouse: Layer.provideMerge(counted, warehouse),
      rateLimiter: RateLimiter.layerNoop,
      callPolicy: CallPolicy.layer({ default: policy, guests: { wakeWarehouse: false } }),
      quota: Layer.orDie(Quota.layer(limits)),
      guard: Guard.layer()
    }
  )

  const untilMs = hours * HOUR
  const work = (tool: Effect.Effect.Success<typeof ExecuteQuery.make>) => (client: Client) => {
    const chance = Random.stream(seed, client.name)
    const call = Effect.suspend(() => {
      calls += 1
      const ms = Math.round(Math.min(5 * TIMEOUT_MS, chance.logNormal(client.runMs, 0.8)))
      return tool.handler({ sql: `SELECT ${ms}`, format: undefined }, { progress: () => Effect.void })
    }).pipe(
      Effect.match({
        onFailure: (error) => ("reason" in error ? String(error.reason) : error._tag),
        onSuccess: () => "ok"
      }),
      Effect.map((answer) => {
        answers[answer] = (answers[answer] ?? 0) + 1
      })
    )
    const session = Effect.suspend(() => Effect.sleep(chance.exponential(client.restMs))).pipe(
      Effect.zipRight(
        Effect.suspend(() =>
          Effect.repeatN(
            Effect.zipRight(
              Effect.fork(call),
              Effect.suspend(() => Effect.sleep(chance.exponential(client.pauseMs)))
            ),
            chance.integer(0, 2 * client.statements)
          )
        )
      )
    )
    return Effect.provideService(
      Effect.forever(session),
      CurrentPrincipal,
      Principal.make(client.name, client.tier)
    ).pipe(Effect.fork)
  }

  /** Of another server: each of its statements runs for a while, every few minutes. */
  const outsider = (name: string) => {
    const chance = Random.stream(seed, `others in ${name}`)
    const statement = Effect.acquireUseRelease(
      Effect.map(monotonicMillis, (now) => billing.begin(name, OTHERS, now)),
      () => Effect.sleep(chance.logNormal(8_000, 1)),
      (run) => (run === undefined ? Effect.void : Effect.map(monotonicMillis, (now) => billing.end(run, now)))
    )
    return Effect.suspend(() => Effect.sleep(chance.exponential(180_000))).pipe(
      Effect.zipRight(statement),
      Effect.forever,
      Effect.fork
    )
  }

  const usage = (client: string, quota: QuotaStore.QuotaName) =>
    Effect.flatMap(Quota.Quota, ({ status }) =>
      Effect.map(
        status(client, "default"),
        (all) => all.find((one) => one.quota === quota && one.scope === "client")?.used ?? 0
      )
    )
  const charged = new Map<string, number>()
  /** Days of UTC begin anew; the simulation begins with one, and what is used is read just before it ends. */
  const watch = Effect.gen(function* () {
    loaderHour = Math.max(loaderHour, yield* usage("loader", "credits_per_hour"))
    for (const { name } of clients) charged.set(name, yield* usage(name, "credits_per_day"))
  })

  let bills: ReadonlyArray<Billing.Bill> = []
  const program = Effect.gen(function* () {
    const tool = yield* ExecuteQuery.make
    const fibers = [
      ...(yield* Effect.forEach(clients, work(tool))),
      ...(faults.others === true ? yield* Effect.forEach(Object.keys(warehouses), outsider) : [])
    ]
    // No statement runs over the end of the day: the last minutes are quiet.
    yield* Effect.forEach(fibers, (fiber) => fiber.interruptAsFork(fiber.id())).pipe(
      Effect.delay(untilMs - 10 * 60_000),
      Effect.fork
    )
    yield* Effect.repeatN(Effect.zipRight(Effect.sleep(60_000), watch), untilMs / 60_000 - 2)
    yield* Clock.currentTimeMillis
    bills = billing.bills(yield* monotonicMillis)
  }).pipe(Effect.scoped)

  Effect.runFork(
    program.pipe(
      Effect.provide(stack),
      Effect.orDie,
      Effect.withClock(time.clock),
      Effect.withRandom(Random.service(seed)),
      Logger.withMinimumLogLevel(LogLevel.None)
    ),
    { scheduler: time.scheduler }
  )
  time.runUntil(untilMs)
  if (bills.length === 0) throw new Error("the day did not come to its end")

  const sum = (of: (bill: Billing.Bill) => number): number => bills.reduce((all, bill) => all + of(bill), 0)
  const rows = clients.map(({ name }): Row => {
    const cost = sum(({ by }) => by[name] ?? 0)
    const amount = charged.get(name) ?? 0
    return { client: name, cost, charged: amount, error: errorOf(amount, cost) }
  })
  const total = rows.reduce((all, row) => all + row.charged, 0)
  const cost = rows.reduce((all, row) => all + row.cost, 0)
  const [billed, idle] = [sum(({ credits }) => credits), sum(({ idle }) => idle)]
  return {
    seed,
    hours,
    calls,
    answers,
    others: faults.others === true,
    billed,
    idle,
    resumes: sum(({ resumes }) => resumes),
    charged: total,
    error: errorOf(total, cost),
    clients: rows,
    worst: rows.reduce((a, b) => (Math.abs(b.error) > Math.abs(a.error) ? b : a)),
    reserved: reserved / total,
    looks,
    wokenByGuests,
    loaderHour
  }
}

const percent = (part: number): string => `${part < 0 ? "" : "+"}${(part * 100).toFixed(2)} %`

export const describe = (report: Report): string =>
  [
    `seed ${report.seed}, ${report.hours} h${report.others ? ", others in the same warehouses" : ""}: ${report.calls} calls (${Object.entries(
      report.answers
    )
      .map(([code, count]) => `${code} ${count}`)
      .join(", ")})`,
    `  the account bills ${report.billed.toFixed(3)} credits, ${report.idle.toFixed(3)} of them idle; ${report.resumes} resumes, ` +
      `${report.wokenByGuests} by a tier that may not`,
    `  charged ${report.charged.toFixed(3)} credits: ${percent(report.error)} of what the statements cost; worst client ` +
      `${report.worst.client}: ${percent(report.worst.error)}`,
    `  ${report.reserved.toFixed(2)} credits reserved for one charged, ${report.looks} looks at the account`,
    ...report.clients.map(
      ({ charged, client, cost, error }) =>
        `    ${client.padEnd(8)} cost ${cost.toFixed(4).padStart(9)}  charged ${charged.toFixed(4).padStart(9)}  ${percent(error)}`
    )
  ].join("\n")
