/**
 * What the quotas say is used, beside what was: every reservation, settlement and release is booked a
 * second time, by the hour and day in which it was reserved.
 *
 * Held against it
 * - a reservation is granted if and only if there is room, and says what is used now;
 * - a refusal names the end of the window in the way;
 * - every reservation is finished once; at the end nothing is held, and what is used is what was settled.
 */
import { Effect } from "effect"
import { CurrentPrincipal } from "../../../src/platform/Principal.js"
import type * as Quota from "../../../src/quota/Quota.js"
import type { QuotaName } from "../../../src/quota/QuotaStore.js"
import { callOf } from "../calls.js"
import { wallClockOrigin } from "../VirtualClock.js"
import type { Court } from "./Court.js"

type Service = Quota.Quota["Type"]

interface Account {
  slice: number
  used: number
  reserved: number
}

interface Entry {
  readonly account: Account
  readonly slice: number
  readonly quota: QuotaName
  readonly amount: number
}

const HOUR = 3_600_000

const sizeOf = (quota: QuotaName): number => (quota.endsWith("_per_hour") ? HOUR : 24 * HOUR)
const isMetered = (quota: QuotaName): boolean => !quota.startsWith("requests") && !quota.startsWith("queries")

export interface Quotas {
  readonly tap: (inner: Service) => Service
  /** Compares the books when everything has ended. */
  readonly audit: (client: string, status: ReadonlyArray<Quota.QuotaStatus>) => void
  readonly held: () => number
}

export const make = (court: Court, options: Quota.Options): Quotas => {
  const accounts = new Map<string, Account>()
  const open = new Map<string, ReadonlyArray<Entry>>()
  const wall = () => Math.floor(wallClockOrigin + court.now())

  const accountOf = (key: string, quota: QuotaName): Account => {
    const slice = Math.floor(wall() / sizeOf(quota))
    const name = `${key} ${quota}`
    const known = accounts.get(name)
    // Late settlements still find the account of their own slice, through their entry.
    if (known !== undefined && known.slice === slice) return known
    const account: Account = { slice, used: 0, reserved: 0 }
    accounts.set(name, account)
    return account
  }

  const chargesOf = (request: Quota.Request) => {
    const own = options.tiers[request.tier] ?? options.tiers["default"]!
    const holders: ReadonlyArray<readonly ["client" | "global", string, Quota.Limits]> = [
      ["client", request.client, own],
      ["global", "", options.global ?? {}]
    ]
    return holders.flatMap(([scope, name, limits]) =>
      (Object.entries(limits) as ReadonlyArray<[QuotaName, number]>)
        .filter(([quota]) => request.class === "query" || !quota.startsWith("queries"))
        .map(([quota, limit]) => {
          const account = accountOf(`${scope}:${name}`, quota)
          const amount = quota === "bytes_per_day" ? request.estimatedBytes : isMetered(quota) ? 0 : 1
          const taken = account.used + account.reserved
          const room = isMetered(quota) ? taken < limit : taken + amount <= limit
          return { scope, quota, account, amount, room, taken }
        })
    )
  }

  const granted = (request: Quota.Request, reservation: Quota.Reservation): void => {
    const charges = chargesOf(request)
    const entries: Array<Entry> = []
    for (const { account, amount, quota, room, scope, taken } of charges) {
      if (!room)
        court.report("no quota is exceeded by an admission", `${request.client} got ${quota} at ${taken}`)
      account.reserved += amount
      entries.push({ account, slice: account.slice, quota, amount })
      const told = reservation.status.find((status) => status.scope === scope && status.quota === quota)
      if (told?.used !== taken + amount)
        court.report(
          "a quota counts what was settled and what is held",
          `${scope} ${quota} of ${request.client} is said to be ${told?.used}, not ${taken + amount}`
        )
    }
    open.set(reservation.id, entries)
  }

  const refused = (request: Quota.Request, error: Quota.QuotaExceeded): void => {
    const full = chargesOf(request).filter(({ room }) => !room)
    if (full.length === 0) {
      court.report(
        "a refused call charges no bucket and no quota",
        `${request.client} has no ${error.quota} left, but should`
      )
      return
    }
    const resetAt = Math.max(...full.map(({ account, quota }) => (account.slice + 1) * sizeOf(quota)))
    if (error.retryAfterMs !== resetAt - wall())
      court.report(
        "retryAfter is exact",
        `${error.quota} of ${request.client} in ${error.retryAfterMs} ms, not ${resetAt - wall()} ms`
      )
  }

  const finish = ({ id }: Quota.Reservation, amountOf: (entry: Entry) => number): void => {
    const entries = open.get(id)
    if (entries === undefined) {
      court.report("a reservation is finished once", `${id} was finished twice`)
      return
    }
    open.delete(id)
    for (const entry of entries) {
      entry.account.reserved -= entry.amount
      entry.account.used += amountOf(entry)
    }
  }

  return {
    held: () => open.size,
    audit: (client, status) => {
      for (const { quota, scope, used } of status) {
        const account = accountOf(`${scope}:${scope === "client" ? client : ""}`, quota)
        if (used !== account.used)
          court.report(
            "at the end the quotas hold what was settled and nothing else",
            `${scope} ${quota} of ${client}: ${used}, not ${account.used}`
          )
      }
    },
    tap: (inner) => ({
      ...inner,
      reserve: (request) =>
        Effect.flatMap(CurrentPrincipal, (principal) =>
          court.atomically(
            Effect.matchEffect(inner.reserve(request), {
              onFailure: (error) => {
                if (error._tag === "QuotaExceeded") refused(request, error)
                return Effect.fail(error)
              },
              onSuccess: (reservation) => {
                callOf(principal).reserved += 1
                granted(request, reservation)
                return Effect.succeed(reservation)
              }
            })
          )
        ),
      settle: (reservation, spent) =>
        Effect.flatMap(CurrentPrincipal, (principal) =>
          court.atomically(
            Effect.map(inner.settle(reservation, spent), () => {
              const call = callOf(principal)
              call.settled += 1
              if (spent.bytes !== call.bytes)
                court.report(
                  "the bytes that were delivered are settled",
                  `call ${call.asked.id}: ${spent.bytes} of ${call.bytes}`
                )
              finish(reservation, ({ amount, quota }) => (quota === "bytes_per_day" ? spent.bytes : amount))
            })
          )
        ),
      release: (reservation) =>
        Effect.flatMap(CurrentPrincipal, (principal) =>
          court.atomically(
            Effect.map(inner.release(reservation), () => {
              callOf(principal).released += 1
              finish(reservation, () => 0)
            })
          )
        )
    })
  }
}
