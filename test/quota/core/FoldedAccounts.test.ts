import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Ledger from "../../../src/quota/core/Ledger.js"

const NOON = Date.UTC(2026, 0, 15, 12, 30)
const HOUR = 3_600_000

const quotas = ["requests_per_hour", "requests_per_day", "bytes_per_day"] as const

const step = fc.record({
  do: fc.constantFrom(
    "reserve",
    "reserve",
    "reserve",
    "submit",
    "settle",
    "release",
    "usage",
    "reset",
    "wait"
  ),
  key: fc.integer({ min: 0, max: 6 }),
  amount: fc.integer({ min: 0, max: 4 }),
  nth: fc.nat(20)
})

describe("a ledger that folds idle accounts", () => {
  it.prop("answers as one that does not", [fc.array(step, { maxLength: 80 })], ([steps]) => {
    const ledgers = [Ledger.make("a-", "fixed", 2), Ledger.make("a-", "fixed")] as const
    const ids: Array<string> = []
    let now = NOON
    for (const { amount, do: what, key, nth } of steps) {
      const name = `client:${key}`
      const id = ids[nth % Math.max(1, ids.length)] ?? "none"
      const [folding, plain] = ledgers.map((ledger) => {
        switch (what) {
          case "reserve": {
            const charges = quotas.map((quota) => ({ key: name, quota, limit: 12, amount }))
            return Ledger.reserve(ledger, now, [...charges, { ...charges[0]!, key: "global" }], HOUR / 2)
          }
          case "submit":
            return Ledger.submitted(ledger, now, id)
          case "settle":
            return Ledger.settle(ledger, now, id, [{ key: name, quota: "bytes_per_day", amount: nth }])
          case "release":
            return Ledger.release(ledger, now, id)
          case "usage":
            return Ledger.usage(ledger, now, name)
          case "reset":
            return Ledger.reset(ledger, now, name)
          case "wait":
            return void (now += (nth * HOUR) / 4)
        }
      })
      if (what === "wait") now -= (nth * HOUR) / 4
      expect(folding).toEqual(plain)
      if (what === "reserve") {
        const { reservation } = plain as { reservation?: string }
        if (reservation !== undefined) ids.push(reservation)
      }
    }
    expect(Ledger.list(ledgers[0], now, undefined, 100)).toEqual(Ledger.list(ledgers[1], now, undefined, 100))
  })

  it("keeps few of many idle accounts as objects, and drops the others when their day is over", () => {
    const ledger = Ledger.make("t-", "fixed", 10)
    for (let i = 0; i < 1_000; i++) {
      const charge = { key: `client:${i}`, quota: "requests_per_day", limit: 1, amount: 1 }
      const granted = Ledger.reserve(ledger, NOON, [charge], 1_000)
      if (granted._tag === "Granted") Ledger.settle(ledger, NOON, granted.reservation, [])
    }
    expect(ledger.accounts.size).toBeLessThanOrEqual(11)
    expect(ledger.folded.rows.size + ledger.accounts.size).toBe(1_000)
    const again = { key: "client:3", quota: "requests_per_day", limit: 1, amount: 1 }
    expect(Ledger.reserve(ledger, NOON, [again], 1_000)).toMatchObject({ _tag: "Refused", used: 1 })
    const tomorrow = NOON + 24 * HOUR
    for (let i = 0; i < 1_000; i++) Ledger.reserve(ledger, tomorrow, [], 1_000)
    expect(ledger.folded.rows.size + ledger.accounts.size).toBe(0)
  })

  it("counts settlements after the account was folded", () => {
    const ledger = Ledger.make("t-", "fixed", 1)
    const reserve = (key: string, amount: number) => {
      const granted = Ledger.reserve(ledger, NOON, [{ key, quota: "bytes_per_day", limit: 9, amount }], 1_000)
      if (granted._tag === "Refused") throw new Error("refused")
      return granted.reservation
    }
    const unknown = reserve("client:a", 0)
    for (let i = 0; i < 20; i++) Ledger.settle(ledger, NOON, reserve(`client:b${i}`, 1), [])
    expect(ledger.accounts.has("client:a")).toBe(false)
    Ledger.settle(ledger, NOON, unknown, [{ key: "client:a", quota: "bytes_per_day", amount: 7 }])
    expect(Ledger.usage(ledger, NOON, "client:a")).toMatchObject([{ used: 7, reserved: 0 }])
  })

  it("does not fold an account that holds something", () => {
    const ledger = Ledger.make("t-", "fixed", 1)
    for (let i = 0; i < 50; i++) {
      const charge = { key: `client:${i}`, quota: "requests_per_day", limit: 1, amount: 1 }
      Ledger.reserve(ledger, NOON, [charge], 1_000)
    }
    expect(ledger.folded.rows.size).toBe(0)
    expect(Ledger.usage(ledger, NOON, "client:0")).toMatchObject([{ reserved: 1 }])
  })
})
