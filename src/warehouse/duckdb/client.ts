/**
 * The embedded warehouse as the server has it: statements run in child processes, and what a statement does to
 * its process is that statement's alone.
 *
 * ```
 *   execute --- refused? ---> lane of the client ---> place ---> process up ---> Execute ---> read(answer)
 *                 ^              ^                                                   |            |
 *                 |              '------------ once more, unseen by the caller <-----+-- died <---'
 *                 '--------------------------- remembered <-- which one did it? <----'
 * ```
 *
 * A *lane* is a process and its queue. Each client has a lane of its own while there are enough; otherwise those
 * with the fewest clients, and without trouble, are shared. In a lane, places go to the client that has the
 * fewest.
 *
 * A process is ended from outside when its memory passes its limit, when all of them together pass theirs, and
 * when a statement has not stopped {@link GRACE_MS} after its limit or its cancellation. Which statement did it:
 *  - the statement that did not stop; or the only one that ran, if the process took too much memory or crashed.
 *    It fails with what it did, and is refused when it is repeated, for {@link REFUSED_MS}. Not refused is one that
 *    was within its own limit, and ended because all together were not; and one whose process had less than
 *    {@link STUBBORN_MS} of processor time to stop in: that is a busy machine, and may be a harmless statement;
 *  - when several ran, each is run once more alone, the youngest first, and the others go on. So is the only one
 *    that ran when the process was killed by something else.
 * `read` is run again with the statement: what it has read before counts for nothing, so it may not hand
 * anything on before it ends. An answer whose rows are streamed on fails with `SessionLost` when its process
 * dies, which is not counted against the warehouse.
 *
 * Invariants
 *  1. A place is held exactly as long as the process may work for it: until it says that the statement has
 *     ended, or dies.
 *  2. Whatever waits is told when its process dies; processes are killed with the scope.
 *  3. Waiting for a place and for a process to start counts as time of the statement.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Parser, Reply } from "../../gate/duckdb/parser.js"
import * as Lru from "../../platform/core/Lru.js"
import { isAbsent, notLoaded } from "../../platform/drivers.js"
import { unsafeMonotonicMillis } from "../../platform/monotonic.js"
import { CurrentPrincipal } from "../../platform/Principal.js"
import type { Column, Result, Row } from "../Warehouse.js"
import { WarehouseError } from "../Warehouse.js"
import { bounded } from "./errors.js"
import type { End, Process } from "./process.js"
import { start } from "./process.js"
import * as Protocol from "./protocol.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends Protocol.Opening {
  /** Processes at most. */
  readonly processes: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Request extends Omit<Protocol.Execute, "_tag" | "id"> {
  /** Whose turn it is. */
  readonly client: string
  /** Goes into the errors. */
  readonly queryId: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Answer extends Pick<Result, "rows" | "whole"> {
  readonly columns: ReadonlyArray<Column>
}

/**
 * @since 0.1.0
 * @category models
 */
export type Names = typeof Protocol.Names.Type

/**
 * @since 0.1.0
 * @category models
 */
export interface Client extends Parser {
  /** The databases and schemas; opens a process when there is none. */
  readonly names: Effect.Effect<Names, WarehouseError>
  /**
   * Runs a statement and reads its answer, which may be tried more than once: what a `read` that failed has added
   * to the scope stays in it. The statement ends with the scope.
   */
  readonly execute: <A, E, R>(
    request: Request,
    read: (answer: Answer) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | WarehouseError, R | Scope.Scope>
}

const DRIVER = "@duckdb/node-api"

/**
 * What a statement that must stop has to stop in. A call is answered two seconds after its time at the latest: then
 * the reason is there.
 */
export const GRACE_MS = 1_000
/** Processor time after which a statement that has not stopped is one that does not, and not one that cannot. */
const STUBBORN_MS = 200
/** How long a statement that ended its process is refused. */
export const REFUSED_MS = 10 * 60_000
const refusedAtMost = { maxEntries: 256, maxBytes: 256 * 1024 }

/** A question of the gate takes a millisecond. */
const PARSE_MS = 1_000
const START_MS = 30_000
const LOOK_MS = 50
/** A lane that is not the last one is ended when it has had nothing to do for so long. */
const IDLE_MS = 60_000
const IDLE_LOOK_MS = 5_000
/** A caller who interrupts waits this long for the statement to stop; the rest happens after it was answered. */
const PATIENCE_MS = 100
/** All processes together may have so many times what one may have. */
const ALL_TOGETHER = 1.5
/** How far back growth is measured, in looks. */
const LOOKS = 20
/** Deaths in a minute that are taken as they come; each further one doubles the pause before the next start. */
const FREE_DEATHS = 3
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5_000
/** A lane in which something died is avoided for so long by clients that did not do it. */
const TROUBLE_MS = 10 * 60_000
/** Clients whose lane is remembered. */
const HOMES = 1_024
/** A process that is killed while it starts is started again so often. */
const MOST_STARTS = 5

// Processes live in real time, whatever clock the program has been given.
const realClock = Clock.make()
const now = (): number => unsafeMonotonicMillis(realClock)
const sleep = (ms: number) => Effect.withClock(Effect.sleep(ms), realClock)

type Part = Extract<Protocol.FromChild, { readonly _tag: "Answer" | "Rows" | "Parsed" }>
type Resume = (effect: Effect.Effect<void, WarehouseError>) => void

/** The right of a suspect to run alone. */
interface Suspect {
  readonly client: string
  /** How long it had run. */
  readonly ranMs: number
}

/** A statement or a question, from its place in the queue until the process has ended with it. */
interface Job {
  readonly id: number
  readonly client: string
  readonly queryId: string
  /** Of a statement: a question of the gate has none. */
  readonly fingerprint: (() => string) | undefined
  readonly limitMs: number
  suspect: Suspect | undefined
  state: "queued" | "placed" | "sent" | "over"
  /** What was read of it has been handed on: it cannot be run again. */
  isRead: boolean
  sentAt: number
  cancelledAt: number | undefined
  /** Since it was first seen that it must stop. */
  stopping: { readonly at: number; readonly cpuMs: number | undefined } | undefined
  /** What has arrived and was not read. */
  readonly parts: Array<Part>
  /** Nothing more will arrive: the end, or why. */
  ended: Effect.Effect<void, WarehouseError> | undefined
  /** Waits for the next part. */
  resume: Resume | undefined
  waitsSince: number
  /** Milliseconds that the process has for what is waited for. */
  leftMs: number
  onOver: (() => void) | undefined
}

/** A statement did not stop. */
interface Verdict {
  readonly job: Job
  readonly error: WarehouseError
  readonly isRefused: boolean
}

interface Lane {
  process: Process | undefined
  names: Names | undefined
  startedAt: number
  /** Wait for the process to be up. */
  readonly starting: Set<(outcome: Effect.Effect<boolean, WarehouseError>) => void>
  readonly jobs: Map<number, Job>
  readonly queue: Array<{ readonly job: Job; readonly admit: (moved: boolean) => void }>
  readonly placed: Set<Job>
  readonly suspects: Set<Suspect>
  deaths: ReadonlyArray<number>
  /** When clients last died in it. */
  readonly trouble: Map<string, number>
  memory: ReadonlyArray<number>
  /** Why it is being killed. */
  verdict: Verdict | "memory" | "memory of all" | undefined
  usedAt: number
}

const error = (
  queryId: string,
  reason: WarehouseError["reason"],
  description: string,
  more: Partial<Pick<WarehouseError, "code" | "sqlState" | "sent" | "ran" | "suggestions">> = {}
): WarehouseError =>
  new WarehouseError({ reason, description, sent: "yes", ...(queryId === "" ? {} : { queryId }), ...more })

const cancelled = (queryId: string) =>
  error(queryId, "Cancelled", "SQL execution canceled.", { code: "000604", sqlState: "57014" })

const lost = (queryId: string) =>
  error(
    queryId,
    "SessionLost",
    "The process that ran the statement was ended while it ran, because of another statement."
  )

const outOfTime = (queryId: string, limitMs: number, more = "and was canceled") =>
  error(
    queryId,
    "StatementTimeout",
    `Statement reached its timeout of ${limitMs / 1000} second(s) ${more}.`,
    { code: "000630", sqlState: "57014" }
  )

const again = `The same statement is refused for ${REFUSED_MS / 60_000} minutes; change it`

const busy = "The machine was too busy for it; it may be repeated"

const exceeded = (queryId: string, what: string, advice: string) =>
  error(queryId, "ResourcesExceeded", `${what} ${again}${advice}.`, { code: "000625", sqlState: "53200" })

const notStopped = (job: Job, isRefused: boolean): WarehouseError => {
  const { cancelledAt, limitMs, queryId } = job
  const ended = "did not stop within a second when it was canceled"
  if (cancelledAt === undefined)
    return outOfTime(
      queryId,
      limitMs,
      `and ${ended}, so that its process was ended. ${isRefused ? again : busy}`
    )
  return isRefused ? exceeded(queryId, `The statement ${ended}.`, "") : cancelled(queryId)
}

const gigabytes = (bytes: number): string => `${Math.round(bytes / 1e8) / 10} GB`

/** DuckDB, or what runs it, has crashed: no other program sends these. */
const crashes = new Set(["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP"])

/**
 * Begins no process before the first question; all of them end with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function* () {
    const lanes: Array<Lane> = []
    /** Of the clients that called lately. */
    const homes = Lru.make<Lane>({ maxEntries: HOMES, maxBytes: HOMES })
    const refused = Lru.make<{ readonly until: number; readonly error: WarehouseError }>(refusedAtMost)
    let nextId = 1
    let closed = false
    let watched = false

    const own = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
        for (const lane of lanes) {
          lane.process?.kill()
          for (const { job } of [...lane.queue]) settle(lane, job, Effect.fail(cancelled(job.queryId)))
          for (const job of [...lane.placed]) settle(lane, job, Effect.fail(cancelled(job.queryId)))
          for (const waiter of lane.starting) waiter(Effect.fail(cancelled("")))
        }
      })
    )

    // ---------------------------------------------------------------- places

    /** Gives free places to the jobs that are next. */
    const pump = (lane: Lane): void => {
      while (lane.queue.length > 0) {
        const next = chosen(lane)
        if (next === undefined) return
        lane.queue.splice(lane.queue.indexOf(next), 1)
        lane.placed.add(next.job)
        next.job.state = "placed"
        next.admit(false)
      }
    }

    const chosen = ({ placed, queue, suspects }: Lane): Lane["queue"][number] | undefined => {
      if (suspects.size > 0) {
        if (placed.size > 0) return undefined
        return queue
          .filter(({ job }) => job.suspect !== undefined && suspects.has(job.suspect))
          .sort((a, b) => a.job.suspect!.ranMs - b.job.suspect!.ranMs)[0]
      }
      if (placed.size >= Protocol.STATEMENTS) return undefined
      const held = new Map<string, number>()
      for (const { client } of placed) held.set(client, (held.get(client) ?? 0) + 1)
      let best: Lane["queue"][number] | undefined
      let least = Number.POSITIVE_INFINITY
      for (const waiter of queue) {
        const count = held.get(waiter.job.client) ?? 0
        if (count < least) [best, least] = [waiter, count]
      }
      return best
    }

    /** Nothing more is to be expected of the job: its place is free. */
    const settle = (lane: Lane, job: Job, ended: Effect.Effect<void, WarehouseError>): void => {
      if (job.state === "over") return
      job.state = "over"
      job.ended = ended
      lane.jobs.delete(job.id)
      lane.placed.delete(job)
      if (job.suspect !== undefined) {
        lane.suspects.delete(job.suspect)
        // It ran alone, and nothing happened.
        if (lane.process !== undefined) lane.trouble.delete(job.client)
      }
      lane.usedAt = now()
      const queued = lane.queue.find((entry) => entry.job === job)
      if (queued !== undefined) {
        lane.queue.splice(lane.queue.indexOf(queued), 1)
        queued.admit(false)
      }
      wake(job)
      job.onOver?.()
      pump(lane)
    }

    const wake = (job: Job): void => {
      const { resume } = job
      if (resume === undefined) return
      job.resume = undefined
      job.leftMs -= now() - job.waitsSince
      resume(Effect.void)
    }

    // ---------------------------------------------------------------- lanes

    const newLane = (): Lane => {
      const lane: Lane = {
        process: undefined,
        names: undefined,
        startedAt: 0,
        starting: new Set(),
        jobs: new Map(),
        queue: [],
        placed: new Set(),
        suspects: new Set(),
        deaths: [],
        trouble: new Map(),
        memory: [],
        verdict: undefined,
        usedAt: now()
      }
      lanes.push(lane)
      return lane
    }

    /** Statements of another client died in it lately. */
    const isTroubled = (lane: Lane, client: string): boolean => {
      const since = now() - TROUBLE_MS
      for (const [other, at] of lane.trouble) {
        if (at <= since) lane.trouble.delete(other)
        else if (other !== client) return true
      }
      return false
    }

    const laneOf = (client: string): Lane => {
      const home = Lru.get(homes, client)
      const isGood = home !== undefined && lanes.includes(home) && !isTroubled(home, client)
      if (isGood) return home
      const neighbours = new Map<Lane, number>()
      for (const { value: lane } of homes.entries.values())
        neighbours.set(lane, (neighbours.get(lane) ?? 0) + 1)
      const cost = (lane: Lane) => (isTroubled(lane, client) ? 1_000_000 : 0) + (neighbours.get(lane) ?? 0)
      const best = lanes.reduce<Lane | undefined>(
        (least, lane) => (least === undefined || cost(lane) < cost(least) ? lane : least),
        undefined
      )
      const lane =
        best !== undefined && (cost(best) === 0 || lanes.length >= options.processes) ? best : newLane()
      Lru.set(homes, client, lane, 1)
      return lane
    }

    const pauseOf = (lane: Lane): number => {
      const since = now() - 60_000
      lane.deaths = lane.deaths.filter((at) => at > since)
      const over = lane.deaths.length - FREE_DEATHS
      return over < 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** over)
    }

    const begin = (lane: Lane): void => {
      lane.startedAt = now()
      lane.verdict = undefined
      lane.memory = []
      let failure: string | undefined
      const child: Process = start(options, {
        message: (message) => {
          if (lane.process !== child) return
          if (message._tag === "Failed") {
            failure = message.message
            child.kill()
          } else if (message._tag === "Ready") {
            lane.names = message.names
            for (const waiter of lane.starting) waiter(Effect.succeed(true))
            lane.starting.clear()
          } else receive(lane, message)
        },
        ended: (end) => {
          if (lane.process === child) died(lane, end, failure)
        }
      })
      lane.process = child
    }

    /** The process of the lane, up; false when it was killed while it started. */
    const up = (lane: Lane): Effect.Effect<boolean, WarehouseError> =>
      Effect.suspend(() => {
        if (closed) return Effect.fail(cancelled(""))
        if (lane.process !== undefined && lane.names !== undefined) return Effect.succeed(true)
        const pause = lane.process === undefined ? pauseOf(lane) : 0
        const running = Effect.suspend(() =>
          lane.process === undefined
            ? Effect.try({ try: () => begin(lane), catch: (cause) => notOpened(String(cause)) })
            : Effect.void
        )
        const wait = Effect.async<boolean, WarehouseError>((resume) => {
          if (lane.names !== undefined) return resume(Effect.succeed(true))
          if (lane.process === undefined) return resume(Effect.succeed(false))
          lane.starting.add(resume)
          return Effect.sync(() => void lane.starting.delete(resume))
        })
        // Watched once there is a process: the watch ends where there is nothing to look at.
        const begun = Effect.zipRight(running, Effect.zipRight(watch, wait))
        return pause === 0 ? begun : Effect.zipRight(sleep(pause), begun)
      })

    const started = (lane: Lane, tries = MOST_STARTS): Effect.Effect<void, WarehouseError> =>
      Effect.flatMap(up(lane), (isUp) =>
        isUp
          ? Effect.void
          : tries > 1
            ? started(lane, tries - 1)
            : notOpened("its process was killed each time that it started")
      )

    const notOpened = (why: string) =>
      new WarehouseError({
        reason: "Configuration",
        description:
          "The embedded warehouse could not be opened." +
          (isAbsent(DRIVER, why) ? ` ${notLoaded(DRIVER, why)}` : ""),
        sent: "no",
        cause: new Error(why)
      })

    // ---------------------------------------------------------------- deaths

    const remember = (job: Job, why: WarehouseError): void => {
      if (job.fingerprint === undefined) return
      Lru.set(refused, job.fingerprint(), { until: now() + REFUSED_MS, error: why }, 1024)
    }

    const whatItDid = (job: Job, end: End, outOfMemory: boolean, ofAll: boolean): WarehouseError =>
      ofAll
        ? error(
            job.queryId,
            "ResourcesExceeded",
            "All statements of the embedded warehouse together needed more memory than they may have " +
              `(${gigabytes(options.processBytes * ALL_TOGETHER)}), and this one grew fastest. Read fewer rows or columns.`,
            { code: "000625", sqlState: "53200" }
          )
        : outOfMemory
          ? exceeded(
              job.queryId,
              `The statement needed more memory than one may have in the embedded warehouse (${gigabytes(options.processBytes)}), and was ended.`,
              ": read fewer rows or columns, or make shorter texts and lists"
            )
          : exceeded(
              job.queryId,
              `The statement ended the process that ran it (${end.signal ?? `exit code ${end.code}`}).`,
              ""
            )

    const died = (lane: Lane, end: End, failure: string | undefined): void => {
      const { verdict } = lane
      const wasUp = lane.names !== undefined
      lane.process = undefined
      lane.names = undefined
      lane.verdict = undefined
      if (closed) return
      if (!wasUp) {
        const why = failure ?? end.error?.message ?? (end.signal === undefined ? end.said : undefined)
        if (why === undefined) lane.deaths = [...lane.deaths, now()]
        for (const waiter of lane.starting) {
          waiter(why === undefined ? Effect.succeed(false) : Effect.fail(notOpened(why)))
        }
        lane.starting.clear()
        return
      }
      lane.deaths = [...lane.deaths, now()]
      const ofAll = verdict === "memory of all" && !end.outOfMemory
      const outOfMemory = end.outOfMemory || verdict === "memory"
      const running = [...lane.jobs.values()].filter(({ fingerprint }) => fingerprint !== undefined)
      const alone = running.length === 1 ? running[0] : undefined
      // What was killed from outside may have done nothing, unless it happens again while it runs alone.
      const isProven =
        outOfMemory ||
        ofAll ||
        crashes.has(end.signal ?? "") ||
        alone?.suspect !== undefined ||
        end.signal === undefined
      const culprit =
        typeof verdict === "object"
          ? verdict
          : alone !== undefined && isProven
            ? { job: alone, error: whatItDid(alone, end, outOfMemory, ofAll), isRefused: !ofAll }
            : undefined
      if (culprit !== undefined) {
        if (culprit.isRefused) remember(culprit.job, culprit.error)
        lane.trouble.set(culprit.job.client, now())
      }
      // The right to run alone is there before anything that waits can take a place.
      if (culprit === undefined) {
        for (const job of running) {
          if (job.cancelledAt !== undefined || job.isRead) continue
          const suspect = { client: job.client, ranMs: now() - job.sentAt }
          accused.set(job, suspect)
          lane.suspects.add(suspect)
        }
      }
      for (const job of [...lane.jobs.values()]) {
        if (job === culprit?.job) {
          settle(lane, job, Effect.fail(culprit.error))
          continue
        }
        if (culprit === undefined && job.fingerprint !== undefined) lane.trouble.set(job.client, now())
        settle(lane, job, Effect.fail(lost(job.queryId)))
      }
      // Clients that had no part in it do not wait for those that had.
      for (const entry of [...lane.queue]) {
        if (lanes.length < options.processes && isTroubled(lane, entry.job.client)) {
          lane.queue.splice(lane.queue.indexOf(entry), 1)
          Lru.remove(homes, entry.job.client)
          entry.admit(true)
        }
      }
    }
    const accused = new WeakMap<Job, Suspect>()

    // ---------------------------------------------------------------- what arrives

    type Told = Exclude<Protocol.FromChild, { readonly _tag: "Ready" | "Failed" }>
    const receive = (lane: Lane, message: Told): void => {
      const job = lane.jobs.get(message.id)
      if (job === undefined) return
      switch (message._tag) {
        case "Answer":
        case "Rows":
          // A process that sends more than it may is not to be believed.
          if (job.parts.length > Protocol.CREDITS) return lane.process?.kill()
          job.parts.push(message)
          return message.end ? settle(lane, job, Effect.void) : wake(job)
        case "Parsed":
          job.parts.push(message)
          return settle(lane, job, Effect.void)
        case "Fail": {
          // The child has bounded it; a child whose memory is corrupted may not have.
          const { detail, ...failure } = bounded(message.failure)
          // A statement that is run again has less time than it was given; its caller is told the whole.
          if (failure.reason === "StatementTimeout") {
            return settle(lane, job, Effect.fail(outOfTime(job.queryId, job.limitMs)))
          }
          return settle(
            lane,
            job,
            Effect.fail(
              new WarehouseError({
                ...failure,
                sent: "yes",
                queryId: job.queryId,
                ...(detail === undefined ? {} : { cause: new Error(detail) })
              })
            )
          )
        }
        case "Ended":
          return settle(lane, job, Effect.fail(cancelled(job.queryId)))
      }
    }

    /** The next part; none at the end. */
    const next = (job: Job): Effect.Effect<Part | undefined, WarehouseError> =>
      Effect.suspend(() => {
        const part = job.parts.shift()
        if (part !== undefined) return Effect.succeed(part)
        if (job.ended !== undefined) return Effect.as(job.ended, undefined)
        const wait = Effect.async<void, WarehouseError>((resume) => {
          job.resume = resume
          job.waitsSince = now()
          return Effect.sync(() => {
            job.resume = undefined
          })
        })
        return Effect.zipRight(wait, next(job))
      })

    // ---------------------------------------------------------------- the watch

    const mustStop = (job: Job, at: number): boolean =>
      job.cancelledAt !== undefined || (job.resume !== undefined && at - job.waitsSince > job.leftMs)

    const overdue = (job: Job, process: Process, at: number): Verdict | undefined => {
      if (!mustStop(job, at)) {
        job.stopping = undefined
        return undefined
      }
      const { stopping } = job
      if (stopping === undefined) {
        job.stopping = { at, cpuMs: process.cpuMs() }
        return undefined
      }
      if (at - stopping.at <= GRACE_MS) return undefined
      const used = (process.cpuMs() ?? Number.POSITIVE_INFINITY) - (stopping.cpuMs ?? 0)
      const isRefused = used >= STUBBORN_MS
      return { job, error: notStopped(job, isRefused), isRefused }
    }

    const look = (lane: Lane, at: number): number => {
      const { process } = lane
      if (process === undefined) {
        lane.memory = []
        return 0
      }
      if (lane.names === undefined) {
        if (at - lane.startedAt > START_MS) process.kill()
        return 0
      }
      for (const job of lane.jobs.values()) {
        const verdict = overdue(job, process, at)
        if (verdict === undefined) continue
        // A question of the gate is short: what it waits for is a statement, which is found as after any death.
        if (job.fingerprint !== undefined) lane.verdict ??= verdict
        process.kill()
      }
      const memory = process.memory() ?? 0
      lane.memory = [...lane.memory.slice(-LOOKS), memory]
      if (memory > options.processBytes) end(lane, "memory")
      return memory
    }

    const end = (lane: Lane, why: "memory" | "memory of all"): void => {
      lane.verdict ??= why
      lane.process?.kill()
    }

    const grown = ({ memory }: Lane): number => (memory.at(-1) ?? 0) - Math.min(...memory)

    /** Keeps the processes within their bounds, as long as there is something to bound. */
    const round = Effect.suspend(() => {
      const at = now()
      const memory = lanes.reduce((sum, lane) => sum + look(lane, at), 0)
      if (memory > options.processBytes * ALL_TOGETHER) {
        // A process without work gives its memory back first.
        const idle = lanes.filter(({ jobs, process }) => process !== undefined && jobs.size === 0)
        if (idle.length > 0) for (const lane of idle) lane.process?.kill()
        else
          end(
            lanes.reduce((most, lane) => (grown(lane) > grown(most) ? lane : most)),
            "memory of all"
          )
      }
      const isBusy = lanes.some(
        ({ jobs, names, process }) => jobs.size > 0 || (process !== undefined && names === undefined)
      )
      for (const lane of [...lanes]) {
        const isIdle =
          lane.jobs.size === 0 &&
          lane.placed.size === 0 &&
          lane.queue.length === 0 &&
          lane.starting.size === 0
        if (!isIdle || at - lane.usedAt < IDLE_MS || lanes.length === 1) continue
        lanes.splice(lanes.indexOf(lane), 1)
        for (const [client, { value }] of homes.entries) if (value === lane) Lru.remove(homes, client)
        lane.process?.kill()
        lane.process = undefined
      }
      watched = !closed && (isBusy || lanes.length > 1)
      return watched ? Effect.as(sleep(isBusy ? LOOK_MS : IDLE_LOOK_MS), true) : Effect.succeed(false)
    })
    const rounds = Effect.iterate(true, { while: (goOn) => goOn, body: () => round })
    const watch: Effect.Effect<void> = Effect.suspend(() => {
      if (watched || closed) return Effect.void
      watched = true
      return Effect.asVoid(Effect.forkIn(rounds, own))
    })

    // ---------------------------------------------------------------- statements

    const newJob = (
      { client, queryId }: Pick<Request, "client" | "queryId">,
      limitMs: number,
      leftMs: number,
      fingerprint: (() => string) | undefined,
      suspect?: Suspect
    ): Job => ({
      id: nextId++,
      client,
      queryId,
      fingerprint,
      limitMs,
      suspect,
      state: "queued",
      isRead: false,
      sentAt: 0,
      cancelledAt: undefined,
      stopping: undefined,
      parts: [],
      ended: undefined,
      resume: undefined,
      waitsSince: 0,
      leftMs,
      onOver: undefined
    })

    /** Takes a place where nothing has to be waited for. */
    const mayGo = (lane: Lane, job: Job): boolean => {
      const { names, placed, queue, suspects } = lane
      if (names === undefined || queue.length > 0 || suspects.size > 0 || placed.size >= Protocol.STATEMENTS)
        return false
      placed.add(job)
      job.state = "placed"
      return true
    }

    /** True when the job has a place; false when it should look for another lane. */
    const place = (lane: Lane, job: Job): Effect.Effect<boolean> =>
      Effect.async((resume) => {
        lane.queue.push({ job, admit: (moved) => resume(Effect.succeed(!moved)) })
        pump(lane)
      })

    const isRunning = ({ state }: Job): boolean => state !== "over"

    /** Ends what is not over, and waits a little for it. */
    const finish = (lane: Lane, job: Job): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (job.state === "over") return Effect.void
        if (job.state !== "sent") {
          settle(lane, job, Effect.fail(cancelled(job.queryId)))
          return Effect.void
        }
        job.cancelledAt = now()
        lane.process?.send({ _tag: "Cancel", id: job.id })
        const over = Effect.async<void>((resume) => {
          job.onOver = () => resume(Effect.void)
        })
        return Effect.zipRight(
          watch,
          Effect.asVoid(
            Effect.withClock(Effect.timeoutOption(Effect.interruptible(over), PATIENCE_MS), realClock)
          )
        )
      })

    const send = (lane: Lane, job: Job, message: Protocol.ToChild): void => {
      // Its process died between then and now, or its scope has closed.
      if (job.state !== "placed" || lane.process === undefined) {
        return settle(lane, job, Effect.fail(lost(job.queryId)))
      }
      job.state = "sent"
      job.sentAt = now()
      job.waitsSince = job.sentAt
      lane.jobs.set(job.id, job)
      lane.process.send(message)
    }

    /** One try; undefined when it had to move to another lane. */
    const attempt = (
      { client: _, queryId, ...request }: Request,
      lane: Lane,
      job: Job
    ): Effect.Effect<Answer | undefined, WarehouseError> =>
      Effect.gen(function* () {
        const began = now()
        if (!mayGo(lane, job)) {
          const ready = Effect.flatMap(place(lane, job), (isPlaced) =>
            isPlaced ? Effect.as(started(lane), true) : Effect.succeed(false)
          )
          const isReady = yield* Effect.withClock(
            Effect.timeoutFail(ready, {
              duration: job.leftMs,
              onTimeout: () => outOfTime(queryId, job.limitMs)
            }),
            realClock
          )
          if (!isReady) return undefined
          job.leftMs -= now() - began
        }
        send(lane, job, {
          _tag: "Execute",
          ...request,
          id: job.id,
          timeoutMs: Math.max(1, Math.ceil(job.leftMs))
        })
        yield* watch
        const first = yield* next(job)
        if (first?._tag !== "Answer") return yield* Effect.fail(lost(queryId))
        const width = first.columns.length
        const rowsOf = (part: Part): Effect.Effect<ReadonlyArray<Row>, WarehouseError> => {
          if (job.cancelledAt !== undefined) return Effect.fail(cancelled(queryId))
          const rows: ReadonlyArray<Row> = part._tag === "Parsed" ? [] : part.rows
          if (part._tag === "Rows" && job.state === "sent") lane.process?.send({ _tag: "More", id: job.id })
          if (rows.every((row) => row.length === width)) return Effect.succeed(rows)
          lane.process?.kill()
          return Effect.fail(lost(queryId))
        }
        const whole = first.end ? Effect.suspend(() => rowsOf(first)) : undefined
        let part: Part | undefined = first
        /** The next rows, of which there are some. */
        const pull: Effect.Effect<ReadonlyArray<Row>, Option.Option<WarehouseError>> = Effect.suspend(() => {
          if (job.cancelledAt !== undefined) return Effect.fail(Option.some(cancelled(queryId)))
          if (part === undefined) {
            return Effect.flatMap(Effect.mapError(next(job), Option.some), (arrived) => {
              if (arrived === undefined) return Effect.fail(Option.none())
              part = arrived
              return pull
            })
          }
          const rows = Effect.mapError(rowsOf(part), Option.some)
          part = undefined
          return Effect.flatMap(rows, (some) => (some.length === 0 ? pull : Effect.succeed(some)))
        })
        return { columns: first.columns, rows: Stream.repeatEffectOption(pull), whole }
      })

    const fingerprintOf = ({ binds, database, schema, sql }: Request): string =>
      createHash("sha256")
        .update(JSON.stringify([sql, database, schema, binds]))
        .digest("base64")

    const execute = <A, E, R>(
      request: Request,
      read: (answer: Answer) => Effect.Effect<A, E, R>
    ): Effect.Effect<A, E | WarehouseError, R | Scope.Scope> =>
      Effect.suspend(() => {
        const { queryId, timeoutMs } = request
        const fingerprint = () => fingerprintOf(request)
        // Most of the time there is none, and nothing to be computed.
        const known = Lru.size(refused) === 0 ? undefined : Lru.get(refused, fingerprint())
        if (known !== undefined && known.until > now()) {
          return Effect.fail(new WarehouseError({ ...known.error, sent: "no", queryId }))
        }
        const began = now()
        let suspect: { readonly it: Suspect; readonly lane: Lane } | undefined

        const once = Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            if (closed) return yield* Effect.fail(cancelled(queryId))
            const leftMs = timeoutMs - (now() - began)
            if (leftMs <= 0) return yield* Effect.fail(outOfTime(queryId, timeoutMs))
            const lane: Lane = suspect?.lane ?? laneOf(request.client)
            const job = newJob(request, timeoutMs, leftMs, fingerprint, suspect?.it)
            const exit = yield* attempt(request, lane, job).pipe(
              Effect.flatMap((answer) =>
                answer === undefined ? Effect.succeedNone : Effect.asSome(read(answer))
              ),
              restore,
              Effect.exit
            )
            job.isRead = true
            if (Exit.isSuccess(exit) && Option.isSome(exit.value)) {
              // One that has ended has nothing to be told.
              if (isRunning(job)) yield* Effect.addFinalizer(() => finish(lane, job))
              return exit.value
            }
            yield* finish(lane, job)
            const right = accused.get(job)
            suspect = right === undefined ? undefined : { it: right, lane }
            return Exit.isFailure(exit) && !isLost(exit.cause) ? yield* exit : Option.none()
          })
        )
        const answered: Effect.Effect<A, E | WarehouseError, R | Scope.Scope> = Effect.flatMap(
          once,
          Option.match({ onNone: () => answered, onSome: Effect.succeed })
        )
        return answered.pipe(
          Effect.onError(() =>
            Effect.sync(() => {
              if (suspect === undefined) return
              suspect.lane.suspects.delete(suspect.it)
              pump(suspect.lane)
            })
          )
        )
      })

    const isLost = (cause: Cause.Cause<unknown>): boolean =>
      Option.exists(
        Cause.failureOption(cause),
        (error) => error instanceof WarehouseError && error.reason === "SessionLost"
      )

    const ask = (client: string, sql: string): Effect.Effect<Reply, WarehouseError> =>
      Effect.suspend(() => {
        const lane = laneOf(client)
        const job = newJob({ client, queryId: "" }, PARSE_MS, PARSE_MS, undefined)
        job.state = "placed"
        return started(lane).pipe(
          Effect.flatMap(() => {
            send(lane, job, { _tag: "Parse", id: job.id, sql })
            return Effect.zipRight(watch, next(job))
          }),
          Effect.flatMap((part) => (part?._tag === "Parsed" ? Effect.succeed(part) : Effect.fail(lost("")))),
          Effect.ensuring(Effect.sync(() => settle(lane, job, Effect.fail(cancelled("")))))
        )
      })

    const parse = (sql: string): Effect.Effect<Reply> =>
      Effect.flatMap(CurrentPrincipal, ({ client }) =>
        Effect.retry(ask(client, sql), { times: 3, while: ({ reason }) => reason === "SessionLost" }).pipe(
          // A gate that cannot ask accepts nothing.
          Effect.catchAll(({ description }) => Effect.succeed({ error: description }))
        )
      )

    const names = Effect.flatMap(CurrentPrincipal, ({ client }) =>
      Effect.suspend(() => {
        const lane = laneOf(client)
        return Effect.flatMap(started(lane), () =>
          lane.names === undefined ? Effect.fail(lost("")) : Effect.succeed(lane.names)
        )
      })
    )

    return { parse, execute, names }
  })
