/**
 * The built server over stdio, with Snowflake's driver, in front of the emulator, while seeded faults come
 * and go and an agent calls, errs and cancels.
 *
 * ```
 * warm-up --> mistakes --> [ chaos --> blackout --> cancellations ] x rounds --> farewell
 * ```
 *
 * What must hold throughout is collected as violations; what happened, as figures.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import * as Emulator from "../../src/emulator/Emulator.js"
import { stream } from "../simulation/Random.js"
import { cleanEnv, RawServer } from "../utils/server.js"
import type { Answer } from "./client.js"
import * as Calls from "./calls.js"
import { ChaosClient } from "./client.js"
import type { Card } from "./faults.js"
import { shuffled } from "./faults.js"
import type { Blackout, Report } from "./report.js"
import { fields, numberOf, rssMb } from "./report.js"

export interface Options {
  /** The built binary. */
  readonly bin: string
  readonly seed: number
  /** Milliseconds of chaos over all rounds. */
  readonly chaosMs: number
  readonly rounds: number
  /** Milliseconds that a fault is in force. */
  readonly faultMs: number
  readonly tell?: ((line: string) => void) | undefined
}

const PACE_MS = 30
/** A fault that strikes nobody is in force for so many times as long. */
const PATIENCE = 5
const GRACE_MS = 15_000
/** Calls from which on an average means something. */
const MANY = 50

const chaos = async (emulator: Emulator.Emulator, options: Options): Promise<Report> => {
  const { faultMs, rounds, seed } = options
  const tell = options.tell ?? (() => undefined)
  const began = performance.now()
  const dice = stream(seed, "chaos")
  const violations: Array<string> = []
  const struck: Record<string, number> = {}
  const blackouts: Array<Blackout> = []
  const rss: Array<number> = []
  let orphansAllowed = 0
  let cancelledGoneMs = 0
  let n = 0

  const run = <A>(effect: Effect.Effect<A>): Promise<A> => Effect.runPromise(effect)
  const child = spawn(process.execPath, [options.bin], { env: cleanEnv(Calls.settings(emulator.url)) })
  const server = new RawServer(child)
  const client = new ChaosClient(server, GRACE_MS)
  const check = (holds: boolean, what: string): void => {
    if (!holds && !violations.includes(what)) violations.push(what)
  }
  const state = () => run(emulator.state)
  const submitted = async () => (await state()).requests["Submit"] ?? 0

  const breaker = { opened: 0, closed: 0, phase: "closed", failures: 0 }
  const look = async (): Promise<Answer["content"]> => {
    const answer = await client.call({ tool: "get_limits", ...Calls.metadata })
    const circuit = fields(answer?.content["circuit"])
    const phase = String(circuit["phase"])
    if (phase === "open" && breaker.phase !== "open") breaker.opened += 1
    if (phase === "closed" && breaker.phase !== "closed") breaker.closed += 1
    breaker.phase = phase
    breaker.failures = numberOf(circuit["failures"])
    return answer?.content ?? {}
  }
  const charged = async (): Promise<number> => {
    const { quotas } = await look()
    const daily = (Array.isArray(quotas) ? quotas : []).find(
      (quota) => fields(quota)["quota"] === "requests_per_day"
    )
    return numberOf(fields(daily)["used"])
  }
  const closed = async (): Promise<void> => {
    const until = performance.now() + 30_000
    await look()
    while (breaker.phase !== "closed" && performance.now() < until) {
      await client.call(Calls.catalog("list_databases"))
      await sleep(50)
      await look()
    }
    check(breaker.phase === "closed", `the breaker did not close: ${breaker.phase}`)
  }
  const install = (faults: Card["faults"]) => run(emulator.setFaults({ faults }))
  const strikes = async (): Promise<ReadonlyArray<number>> => {
    const status = fields(await (await fetch(`${emulator.controlUrl}/__emulator/faults`)).json())
    return Array.isArray(status["struck"]) ? status["struck"].map(numberOf) : []
  }
  const times = async (card: Card): Promise<number> =>
    card.name === "refused" ? 1 : (await strikes()).reduce((sum, count) => sum + count, 0)
  /** Longer where it has not met a request yet: the breaker may be open. */
  const strike = async (card: Card): Promise<void> => {
    await install(card.faults)
    const until = performance.now() + PATIENCE * faultMs
    do await sleep(faultMs)
    while ((await times(card)) === 0 && performance.now() < until)
    const count = await times(card)
    struck[card.name] = (struck[card.name] ?? 0) + count
    // It may strike once more between this count and the next script, up to the number that it was given.
    const most = card.faults.reduce((sum, fault) => sum + ("count" in fault ? (fault.count ?? 0) : 0), 0)
    if (card.orphans === "struck") orphansAllowed += Math.max(count, most)
    if (card.orphans === "sessions") orphansAllowed += Calls.SESSIONS
  }

  /** Calls at a pace until it is told to stop. */
  const load = (): (() => Promise<void>) => {
    let going = true
    const loop = (async () => {
      while (going) {
        void client.call(Calls.anyCall(dice, ++n))
        if (n % 4 === 0) void look()
        await sleep(PACE_MS)
      }
    })()
    return async () => {
      going = false
      await loop
    }
  }

  const mistakes = async (): Promise<void> => {
    await closed()
    const { failures } = breaker
    const answers = await Promise.all(Array.from({ length: 15 }, () => client.call(Calls.mistake(++n))))
    const codes = answers.map((answer) => answer?.code ?? "cancelled")
    const told = codes.filter((code) => code === "WAREHOUSE_INVALID_STATEMENT").length
    // Right after a storm some are still shed.
    const others = codes.filter((code) => code.startsWith("WAREHOUSE_")).length - told
    check(told > 3 && others === 0, `mistakes were answered with ${codes.join()}`)
    await look()
    check(breaker.phase === "closed" && breaker.failures <= failures, "mistakes in SQL counted as failures")
  }

  let cards: Array<Card> = []
  const storm = async (ms: number): Promise<void> => {
    const stop = load()
    const until = performance.now() + ms
    while (performance.now() < until) {
      if (cards.length === 0) cards = shuffled(dice)
      const card = cards.pop()!
      await strike(card)
      if (dice.chance(0.25)) {
        await install([])
        await sleep(faultMs / 2)
      }
    }
    await install([])
    await stop()
    await client.drain()
  }

  /** Every statement is refused for a while: how much of what is asked for arrives? */
  const blackout = async (): Promise<void> => {
    await closed()
    const [before, paid, opened] = [await submitted(), await charged(), breaker.opened]
    // What each new session sends first belongs to no call, and is counted by itself.
    const down = { kind: "status", where: "query", status: 503 } as const
    await install([{ ...down, sql: "USE SECONDARY ROLES" }, down])
    const calls = 60
    const asked: Array<Promise<unknown>> = []
    for (let i = 0; i < calls; i++) {
      asked.push(
        client.call(
          i % 2 === 0
            ? Calls.small(++n)
            : Calls.catalog("list_tables", { database: Calls.database, limit: 1 + (++n % 96) })
        )
      )
      if (i % 5 === 0) await look()
      await sleep(25)
    }
    await Promise.all(asked)
    await look()
    const [settingUp = 0] = await strikes()
    blackouts.push({
      calls,
      charged: (await charged()) - paid,
      settingUp,
      arrived: (await submitted()) - before
    })
    check(breaker.opened > opened, "the breaker did not open in a blackout")
    await install([])
    await closed()
  }

  /** Slow statements whose callers lose patience. */
  const cancellations = async (): Promise<void> => {
    await Promise.all(
      Array.from({ length: 4 }, () =>
        client.call({ ...Calls.endless(++n), cancelAfterMs: dice.between(150, 500) })
      )
    )
    const from = performance.now()
    const running = async () => {
      const { statements } = await state()
      return statements.running + statements.queued
    }
    while ((await running()) > 0 && performance.now() - from < 10_000) await sleep(10)
    cancelledGoneMs = Math.max(cancelledGoneMs, performance.now() - from)
    check((await running()) === 0, "statements of cancelled calls are still running")
  }

  try {
    await server.initialize()
    // The engine behind the emulator may still be opening.
    for (const call of [Calls.catalog("list_databases"), Calls.small(0), Calls.parts(0)]) {
      const until = performance.now() + 60_000
      let code: string | undefined
      do {
        if (code !== undefined) await sleep(50)
        code = (await client.call(call))?.code
      } while (code !== "ok" && performance.now() < until)
      check(code === "ok", `${call.tool} answers ${code} before anything is broken`)
    }
    await mistakes()
    for (let round = 0; round < rounds; round++) {
      await storm(options.chaosMs / rounds)
      await blackout()
      await cancellations()
      await mistakes()
      rss.push(rssMb(child.pid))
      const { sessions } = await state()
      tell(
        `round ${round + 1}/${rounds}: ${client.sent} calls, ${JSON.stringify(client.codes)}, ` +
          `sessions ${sessions.alive} alive of ${sessions.opened}, RSS ${rss.at(-1)} MB, ` +
          `blackout ${JSON.stringify(blackouts.at(-1))}`
      )
    }
    await client.drain()
    check(client.overdue.length === 0, `calls too late: ${client.overdue.slice(0, 5).join("; ")}`)
    check(child.exitCode === null, `the server ended by itself with ${child.exitCode}`)
    child.stdin.end()
    await Promise.race([server.exited, sleep(15_000)])
    check(child.exitCode === 0, `the server ended with ${child.exitCode}`)
    check(server.notJson.length === 0, `not JSON-RPC on stdout: ${server.notJson[0]}`)
    const faulty = server.stderr
      .split("\n")
      .filter((line) => /unhandled rejection|"(?:ERROR|FATAL)"/.test(line))
    check(faulty.length === 0, `${faulty.length} errors in the log: ${faulty[0]?.slice(0, 1_000)}`)
    for (const code of Object.keys(client.codes)) {
      check(!/^(?:INTERNAL|WAREHOUSE_UNKNOWN|JSON-RPC)/.test(code), `somebody was answered ${code}`)
    }
    const { sessions } = await state()
    check(
      sessions.alive <= orphansAllowed,
      `${sessions.alive} sessions were left behind, ${orphansAllowed} could not be helped`
    )
    const [first, last] = [rss[0] ?? 0, rss.at(-1) ?? 0]
    check(!(last > first * 1.5 + 60), `memory grew from ${first} to ${last} MB`)
    const sum = (of: (one: Blackout) => number) => blackouts.reduce((total, one) => total + of(one), 0)
    const sent = Math.max(
      1,
      sum(({ charged }) => charged)
    )
    const amplification = sum(({ arrived, settingUp }) => arrived - settingUp) / sent
    // Of a few calls, more than a fifth may be tried again: the retry budget has savings.
    const most = sent >= MANY ? 1.2 : 2
    check(amplification <= most, `amplification ${amplification.toFixed(2)}`)
    check(sum(({ arrived }) => arrived) <= 0.6 * sum(({ calls }) => calls), "the breaker kept too little out")
    return {
      seed,
      seconds: Math.round((performance.now() - began) / 1000),
      calls: client.sent,
      cancelled: client.cancelled,
      codes: client.codes,
      struck,
      worstLateMs: Math.round(client.worstLateMs),
      breaker: { opened: breaker.opened, closed: breaker.closed },
      blackouts,
      amplification,
      sessions: { opened: sessions.opened, alive: sessions.alive, orphansAllowed },
      cancelledGoneMs: Math.round(cancelledGoneMs),
      rssMb: rss,
      violations
    }
  } finally {
    child.kill("SIGKILL")
    await server.exited
  }
}

export const run = (options: Options): Effect.Effect<Report, Emulator.EmulatorError, Scope.Scope> =>
  Effect.flatMap(
    Emulator.start({
      seed: options.seed,
      inlineRows: 200,
      chunkRows: 500,
      threads: 1,
      warm: true
    }),
    (emulator) => Effect.promise(() => chaos(emulator, options))
  )
