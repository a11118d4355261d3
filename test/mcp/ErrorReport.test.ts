import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { ScanBudgetExceeded } from "../../src/gate/ScanBudget.js"
import { Overloaded } from "../../src/guard/Bulkhead.js"
import { CircuitOpen } from "../../src/guard/CircuitBreaker.js"
import { Degraded } from "../../src/guard/Degradation.js"
import * as ErrorReport from "../../src/mcp/ErrorReport.js"
import { DeadlineExceeded } from "../../src/guard/Guard.js"
import { RepeatedFailure } from "../../src/guard/LoopGuard.js"
import { QuotaExceeded } from "../../src/quota/Quota.js"
import { QuotaStoreError } from "../../src/quota/QuotaStore.js"
import { RateLimited } from "../../src/guard/RateLimiter.js"
import { StatementRejected } from "../../src/gate/ReadOnly.js"
import { codeOf } from "../../src/tools/errorCodes.js"
import type { RequestError } from "../../src/tools/Tool.js"
import { ToolError } from "../../src/tools/Tool.js"
import { WarehouseSuspended } from "../../src/quota/Credits.js"
import { Reason, WarehouseError } from "../../src/warehouse/Warehouse.js"

const forced = new CircuitOpen({ phase: "forced-open", failures: 0, calls: 0, cause: "maintenance" })

const now = Date.UTC(2026, 10, 23, 12, 0, 0)

const limited = (retryAfterMs: number, never = false) =>
  new RateLimited({
    scope: "client",
    ratePerSecond: 10,
    burst: 100,
    remaining: 0,
    retryAfterMs,
    retryHintMs: retryAfterMs,
    never
  })

const errors: ReadonlyArray<RequestError> = [
  new Degraded({
    mode: "constrained",
    criticality: "query",
    why: "callers wait 2.4 s for a slot",
    signal: "slot-wait",
    shed: true,
    retryAfterMs: 1_500
  }),
  new Degraded({
    mode: "emergency",
    criticality: "metadata",
    why: "an operator said so",
    signal: "operator",
    shed: false
  }),
  new RepeatedFailure({
    attempts: 3,
    code: "WAREHOUSE_NOT_FOUND",
    description: "Object 'ORDER' does not exist",
    suggestions: ["ORDERS"],
    retryAfterMs: 42_000
  }),
  limited(1_400),
  limited(0, true),
  new Overloaded({
    pool: "statements",
    why: "wait-timeout",
    permits: 20,
    queued: 7,
    waitedMs: 5_000,
    retryAfterMs: 800
  }),
  new QuotaExceeded({
    scope: "client",
    quota: "queries_per_hour",
    limit: 1800,
    used: 1800,
    remaining: 0,
    resetAt: now + 3_000_000,
    retryAfterMs: 3_000_000
  }),
  new QuotaStoreError({ operation: "reserve", description: "/secret/path is read-only" }),
  new CircuitOpen({
    phase: "open",
    retryAfterMs: 30_000,
    failures: 3,
    calls: 3,
    cause: "3 failures in a row"
  }),
  forced,
  new DeadlineExceeded({ limitMs: 60_000, sent: true, of: "attempt" }),
  new DeadlineExceeded({ limitMs: 60_000, sent: false, of: "call" }),
  new StatementRejected({ code: "NOT_A_READ", reason: "DROP changes data.", position: 0 }),
  new WarehouseSuspended({ tier: "guests", warehouse: "WH" }),
  new WarehouseSuspended({ tier: "guests" }),
  new ToolError({ code: "INVALID_INPUT", description: "give sql", retryable: false }),
  ...Reason.literals.map((reason) => new WarehouseError({ reason, description: "It failed.", sent: "yes" }))
]

const find = (tag: RequestError["_tag"]): RequestError => {
  const found = errors.find((error) => error._tag === tag)
  if (found === undefined) throw new Error(`no ${tag} among the errors`)
  return found
}

describe("ErrorReport", () => {
  it("every error has a text that begins with its code, and a report that its schema accepts", () => {
    for (const error of errors) {
      const report = ErrorReport.fromError(error, now)
      assert.isTrue(report.message.startsWith(`${report.code}`), report.message)
      assert.strictEqual(codeOf(error), report.code)
      assert.deepStrictEqual(
        Schema.decodeUnknownSync(ErrorReport.ErrorReport)(JSON.parse(JSON.stringify(report))),
        report
      )
      assert.notMatch(report.message, /undefined|NaN|\[object/)
    }
  })

  it("a retryable report that knows the wait names it in words, in milliseconds and as a moment", () => {
    const report = ErrorReport.fromError(limited(1_400), now)
    assert.deepInclude(report, {
      code: "RATE_LIMITED",
      retryable: true,
      retryAfterMs: 1_400,
      retryAt: "2026-11-23T12:00:01.400Z",
      scope: "client",
      sideEffects: "none"
    })
    assert.strictEqual(
      report.message,
      "RATE_LIMITED: this client's own limit of 10 calls per second (burst 100) is reached. Nothing was " +
        "executed and nothing was charged. Wait 1.4 seconds, then repeat the same call once."
    )
  })

  it("what calls that run hold is told to come back with them, and not at the reset", () => {
    const refused = (held: number) =>
      ErrorReport.fromError(
        new QuotaExceeded({
          scope: "client",
          quota: "credits_per_day",
          limit: 2,
          used: 1.75,
          remaining: 0.25,
          resetAt: now + 40_000_000,
          retryAfterMs: 40_000_000,
          estimate: 0.75,
          held
        }),
        now
      ).message
    assert.match(refused(1), /Calls that run hold 1 credits: repeat it once when they have ended\./)
    assert.notMatch(refused(1), /Do not retry before/)
    // Without them it would not fit either.
    assert.match(refused(0.25), /Do not retry before 2026-11-23T23:06:40Z/)
  })

  it("credits that do not fit are told in credits, with what was asked for and what is left", () => {
    const exceeded = (estimate: number) =>
      ErrorReport.fromError(
        new QuotaExceeded({
          scope: "client",
          quota: "credits_per_hour",
          limit: 2,
          used: 1.5,
          remaining: 0.5,
          resetAt: now + 60_000,
          retryAfterMs: 60_000,
          estimate
        }),
        now
      )
    assert.include(
      exceeded(0.75).message,
      "it may cost 0.75 credits; this client has 0.5 credits left of 2 credits (credits per hour). It did not run."
    )
    assert.deepInclude(exceeded(0.75), {
      retryable: true,
      retryAfterMs: 60_000,
      scope: "client:credits_per_hour"
    })
    assert.include(exceeded(3).message, "always be refused")
    assert.deepInclude(exceeded(3), { retryable: false })
  })

  it("a suspended warehouse is named, with what can be done, and that nothing was charged", () => {
    const report = ErrorReport.fromError(new WarehouseSuspended({ tier: "guests", warehouse: "WH" }), now)
    assert.deepInclude(report, {
      code: "WAREHOUSE_SUSPENDED",
      retryable: false,
      scope: "guests",
      sideEffects: "none"
    })
    for (const part of [
      "the warehouse WH is suspended",
      "nothing was charged",
      "explain_query",
      "wake_warehouse"
    ])
      assert.include(report.message, part)
  })

  it("a wait in words is never shorter than the wait", () => {
    for (const ms of [1, 99, 100, 101, 950, 999, 1_001, 9_999, 10_001, 59_999]) {
      const { message } = ErrorReport.fromError(limited(ms), now)
      const words = /Wait ([\d.]+) seconds?,/.exec(message)
      assert.isNotNull(words, message)
      assert.isAtLeast(Number(words?.[1]) * 1000, ms)
    }
  })

  it("a wait of more than a minute is the user's, with the moment it ends", () => {
    const report = ErrorReport.fromError(find("QuotaExceeded"), now)
    assert.match(report.message, /Do not retry before 2026-11-23T12:50:00Z .* Tell the user\./)
    assert.deepInclude(report, { used: 1800, limit: 1800, remaining: 0, resetAt: "2026-11-23T12:50:00.000Z" })
  })

  it("what waiting cannot mend is not retryable", () => {
    assert.isFalse(ErrorReport.fromError(limited(0, true), now).retryable)
    assert.isFalse(ErrorReport.fromError(forced, now).retryable)
    for (const reason of ["InvalidStatement", "NotFound", "Permission", "Authentication"] as const) {
      const report = ErrorReport.fromError(
        new WarehouseError({ reason, description: "No.", sent: "yes" }),
        now
      )
      assert.isFalse(report.retryable, reason)
    }
  })

  it("a fault of the warehouse never reads like a mistake in the SQL", () => {
    for (const reason of ["Unreachable", "Protocol"] as const) {
      const report = ErrorReport.fromError(
        new WarehouseError({ reason, description: "Reset.", sent: "unknown" }),
        now
      )
      assert.match(report.message, /Your statement is not at fault/)
      assert.strictEqual(report.sideEffects, "unknown")
    }
  })

  it("names that exist are offered for one that does not", () => {
    const report = ErrorReport.fromError(
      new WarehouseError({
        reason: "NotFound",
        description: "Table ORDER does not exist.",
        sent: "yes",
        suggestions: ["ORDERS", "ORDER_LINES"]
      }),
      now
    )
    assert.match(report.message, /Did you mean ORDERS or ORDER_LINES\?/)
    assert.deepStrictEqual(report.suggestions, ["ORDERS", "ORDER_LINES"])
  })

  it("a refusal of a limit says all it has to say in 300 bytes, whatever its figures are", () => {
    const again = " Refused 1000 times in a row."
    for (const retryAfterMs of [59_000, 3_000_000, 86_400_000]) {
      const refusals: ReadonlyArray<RequestError> = [
        ...(["client", "tool", "tier", "class", "global", "overflow"] as const).map(
          (scope) =>
            new RateLimited({
              scope,
              ratePerSecond: 0.25,
              burst: 1000,
              remaining: 0,
              retryAfterMs,
              retryHintMs: retryAfterMs,
              never: false
            })
        ),
        new Degraded({
          mode: "constrained",
          criticality: "metadata",
          why: "callers wait 2.4 s for a slot",
          signal: "slot-wait",
          shed: true,
          retryAfterMs
        }),
        ...[undefined, 19].map(
          (held) =>
            new Overloaded({
              pool: "statements",
              why: "client-queue-full",
              permits: 20,
              queued: 107,
              ...(held === undefined ? {} : { held }),
              waitedMs: 5,
              retryAfterMs
            })
        ),
        ...[undefined, 1e12, 5e12].map(
          (estimate) =>
            new QuotaExceeded({
              scope: "global",
              quota: "statement_seconds_per_day",
              limit: 18e11,
              used: 18e11,
              remaining: 0,
              resetAt: now + retryAfterMs,
              retryAfterMs,
              ...(estimate === undefined ? {} : { estimate })
            })
        ),
        ...[true, false].map(
          (lasting) => new QuotaStoreError({ operation: "reserve", description: "x", retryAfterMs, lasting })
        ),
        ...(["open", "half-open", "forced-open"] as const).map(
          (phase) =>
            new CircuitOpen({
              phase,
              failures: 12,
              calls: 20,
              cause: "12 failures of 20 calls",
              ...(phase === "forced-open" ? {} : { retryAfterMs })
            })
        ),
        new DeadlineExceeded({ limitMs: 60_000, sent: true, of: "attempt", retryAfterMs }),
        new DeadlineExceeded({ limitMs: 60_000, sent: false, of: "call" })
      ]
      for (const error of refusals) {
        const { message, sideEffects } = ErrorReport.fromError(error, now)
        // Only what sent nothing is counted.
        assert.isAtMost(message.length + (sideEffects === "none" ? again.length : 0), 300, message)
        // Did anything run?
        assert.match(message, /Nothing was executed|did not run|was sent/)
        // When, and whether the same call will then work; or that waiting is no answer.
        assert.match(message, /same call|[Tt]ell the user|always be refused|repeat it once later/)
        if (retryAfterMs > 60_000 && /Do not retry before/.test(message))
          assert.include(message, "Tell the user")
      }
    }
  })

  it("says that nothing ran where the warehouse refused before it runs a statement", () => {
    const sideEffects = (reason: Reason, ran?: boolean) =>
      ErrorReport.fromError(
        new WarehouseError({ reason, description: "no", sent: "yes", ...(ran === undefined ? {} : { ran }) }),
        now
      ).sideEffects
    assert.strictEqual(sideEffects("Unavailable", false), "none")
    const stopped = new WarehouseError({
      reason: "Unavailable",
      description: "No.",
      sent: "yes",
      ran: false,
      code: "000608"
    })
    assert.match(
      ErrorReport.fromError(stopped, now).message,
      /No\. It did not run\. Do not repeat it; tell the user that an operator must act \(error 000608\)\.$/
    )
    const fetched = new WarehouseError({ reason: "Unavailable", description: "No.", sent: "yes" })
    assert.match(
      ErrorReport.fromError(fetched, now).message,
      /No\. Whether it ran is not known\. Do not repeat it;/
    )
    assert.strictEqual(sideEffects("Unavailable"), "unknown")
    assert.strictEqual(sideEffects("InvalidStatement"), "none")
    assert.strictEqual(sideEffects("InvalidStatement", true), "unknown")
    assert.strictEqual(sideEffects("Permission"), "none")
    assert.strictEqual(sideEffects("ServerFault"), "unknown")
  })

  it("a failure that is told once more is cut, and its words are marked", () => {
    const { message } = ErrorReport.fromError(
      new RepeatedFailure({
        attempts: 3,
        code: "WAREHOUSE_NOT_FOUND",
        description: "x".repeat(5_000),
        retryAfterMs: 42_000
      }),
      now,
      (words) => `<${words}>`
    )
    assert.isAtMost(message.length, 300)
    assert.match(message, /<x{100}…[.]?>/)
  })

  it("names of tables that a plan tells are marked: a view may read tables that the caller did not name", () => {
    for (const limit of [undefined, 1_000]) {
      const { message } = ErrorReport.fromError(
        new ScanBudgetExceeded({ estimate: 2_000, limit, tables: ['S.P."Drop all"', "S.P.T"] }),
        now,
        (words) => `<${words}>`
      )
      assert.include(message, 'It reads <S.P."Drop all", S.P.T>.')
    }
  })

  it("what only an operator may know stays out of the text", () => {
    assert.notMatch(ErrorReport.fromError(find("QuotaStoreError"), now).message, /secret/)
  })

  it("a pool of one slot is told of as one", () => {
    const full = (permits: number) =>
      ErrorReport.fromError(
        new Overloaded({
          pool: "statements",
          why: "wait-timeout",
          permits,
          queued: 1,
          waitedMs: 5_000,
          retryAfterMs: 800
        }),
        now
      ).message
    assert.include(full(1), "the only statement slot is busy and 1 call waits.")
    assert.include(full(2), "all 2 statement slots are busy and 1 call waits.")
  })

  it("a statement that needs too much memory is told to change, not to tell the user", () => {
    const report = ErrorReport.fromError(
      new WarehouseError({ reason: "ResourcesExceeded", description: "Too much.", sent: "yes" }),
      now
    )
    assert.deepInclude(report, { code: "WAREHOUSE_RESOURCES_EXCEEDED", retryable: false })
    assert.match(report.message, /Read fewer rows or columns/)
    assert.notMatch(report.message, /[Tt]ell the user/)
  })
})
