/**
 * What came of a replay: who was refused then and who would be now, by which limit, and how long calls wait.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import { fittingTable, wrapped } from "../platform/layout.js"
import type { Log } from "./AuditLog.js"
import type { Outcome, Result, Terms } from "./Replay.js"

/**
 * Milliseconds since 1970: calls from the first on and before the last are counted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Range {
  readonly from?: number | undefined
  readonly to?: number | undefined
}

interface Pair {
  readonly then: number
  readonly now: number
}

/** Of the calls that waited for their tokens. */
interface Waits {
  readonly calls: number
  readonly p50_ms: number
  readonly max_ms: number
}

interface By extends Pair {
  readonly code: string
  readonly scope: string
  /** The limit is observed: it would have refused, and the call went on. */
  readonly observed: boolean
}

interface Totals {
  readonly calls: number
  readonly refused: Pair
  readonly waited: { readonly then: Waits; readonly now: Waits }
}

interface Client extends Totals {
  readonly client: string
  readonly by: ReadonlyArray<By>
  /** The first call that would be refused. */
  readonly first_refused: {
    readonly at: string
    readonly tool: string
    readonly code: string
    readonly scope: string
    readonly retry_after_ms: number | null
  } | null
}

/**
 * The JSON of `snowguard limits simulate --json`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report extends Totals {
  readonly version: 1
  /** The first and the last call that is counted; null without one. */
  readonly from: string | null
  readonly to: string | null
  readonly servers: number
  /** Refused now and not then, and the other way round. */
  readonly newly_refused: number
  readonly newly_admitted: number
  readonly clients: ReadonlyArray<Client>
  readonly not_replayed: {
    /** Lines of an earlier version, which do not say what a replay needs. */
    readonly older_lines: number
    /** `FILE:NUMBER` of what is no line of an audit log. */
    readonly faulty_lines: ReadonlyArray<string>
    /** Calls whose beginning is in none of the files. */
    readonly calls_without_beginning: number
  }
  /** What the replay cannot know, and what it took in place of it. */
  readonly notes: ReadonlyArray<string>
}

const iso = (ms: number): string =>
  Option.match(DateTime.make(ms), { onNone: () => "", onSome: DateTime.formatIso })

const waitsOf = (outcomes: ReadonlyArray<Outcome>): Waits => {
  const waits = outcomes.flatMap(({ waitMs }) => (waitMs > 0 ? [waitMs] : [])).sort((a, b) => a - b)
  return {
    calls: waits.length,
    p50_ms: waits[Math.ceil(waits.length / 2) - 1] ?? 0,
    max_ms: waits[waits.length - 1] ?? 0
  }
}

const totalsOf = (results: ReadonlyArray<Result>): Totals => {
  const of = (when: "then" | "now") => results.map((result) => result[when])
  const refused = (when: "then" | "now") => of(when).filter((outcome) => outcome.refused !== undefined).length
  return {
    calls: results.length,
    refused: { then: refused("then"), now: refused("now") },
    waited: { then: waitsOf(of("then")), now: waitsOf(of("now")) }
  }
}

const byOf = (results: ReadonlyArray<Result>): ReadonlyArray<By> => {
  const found = new Map<string, By>()
  const count = (code: string, scope: string, observed: boolean, when: "then" | "now"): void => {
    const key = JSON.stringify([code, scope, observed])
    const known = found.get(key) ?? { code, scope, observed, then: 0, now: 0 }
    found.set(key, { ...known, [when]: known[when] + 1 })
  }
  for (const result of results)
    for (const when of ["then", "now"] as const) {
      const { refused, wouldRefuse } = result[when]
      if (refused !== undefined) count(refused.code, refused.scope, false, when)
      for (const { code, scope } of wouldRefuse) count(code, scope, true, when)
    }
  return [...found.values()].sort(
    (a, b) => Number(a.observed) - Number(b.observed) || b.now - a.now || b.then - a.then
  )
}

const clientOf = (client: string, results: ReadonlyArray<Result>): Client => {
  const first = results.find(({ now }) => now.refused !== undefined)
  const refused = first?.now.refused
  return {
    client,
    ...totalsOf(results),
    by: byOf(results),
    first_refused:
      first === undefined || refused === undefined
        ? null
        : {
            at: iso(first.at),
            tool: first.call.tool,
            code: refused.code,
            scope: refused.scope,
            retry_after_ms: refused.retryAfterMs
          }
  }
}

const many = (count: number, one: string, more = `${one}s`): string => `${count} ${count === 1 ? one : more}`

const notesOf = (results: ReadonlyArray<Result>, log: Log, { quota }: Terms): ReadonlyArray<string> => {
  const admitted = results.filter(({ now, then }) => then.refused !== undefined && now.refused === undefined)
  const all = [...Object.values(quota.tiers), ...Object.values(quota.clients ?? {}), quota.global ?? {}]
  const limitsScans = all.some((limits) => limits.scan_bytes_per_day !== undefined)
  const limitsCredits = all.some(
    ({ credits_per_day, credits_per_hour }) => credits_per_day !== undefined || credits_per_hour !== undefined
  )
  const hasCredits = results.some(({ call }) => call.asked.credits !== undefined)
  const hasScans = results.some(({ call }) => call.steps.some(([, , , what]) => what.startsWith("scan")))
  return [
    "Clients react to refusals and waits; the replay asks what was asked then, when it was asked.",
    ...(admitted.length === 0
      ? []
      : [
          `${many(admitted.length, "call")} of those refused then would be admitted: what they would have used is not known, and their estimated bytes are charged.`
        ]),
    ...(limitsScans && !hasScans
      ? ["scan_bytes_per_day: no call says what it would scan, because no such limit was in force."]
      : []),
    ...(limitsCredits && !hasCredits
      ? [
          "credits_per_hour, credits_per_day: no call says what it would cost, because no such limit was in force."
        ]
      : []),
    ...(log.begunBefore === 0
      ? []
      : [
          `${many(log.begunBefore, "server")} began before the first line: its buckets are taken to be full and its quotas unused. Name the older files too.`
        ]),
    ...(log.missing === 0
      ? []
      : [
          `${many(log.missing, "decision")} of calls without a line: lines that were lost, files that are not named, calls under way.`
        ]),
    ...(log.older === 0
      ? []
      : [`${many(log.older, "line")} of an earlier version: without what a replay needs, and not counted.`]),
    ...(log.headless === 0
      ? []
      : [`${many(log.headless, "call")} whose beginning is in none of the files: not counted.`])
  ]
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (all: ReadonlyArray<Result>, log: Log, terms: Terms, { from, to }: Range): Report => {
  const results = all
    .filter(({ at }) => (from === undefined || at >= from) && (to === undefined || at < to))
    .sort((a, b) => a.at - b.at)
  const clients = new Map<string, Array<Result>>()
  for (const result of results) {
    const { client } = result.call
    const own = clients.get(client) ?? []
    clients.set(client, own)
    own.push(result)
  }
  const [first] = results
  const last = results[results.length - 1]
  return {
    version: 1,
    from: first === undefined ? null : iso(first.at),
    to: last === undefined ? null : iso(last.at),
    servers: new Set(results.map(({ call }) => call.asked.server)).size,
    ...totalsOf(results),
    newly_refused: results.filter(({ now, then }) => now.refused !== undefined && then.refused === undefined)
      .length,
    newly_admitted: results.filter(({ now, then }) => now.refused === undefined && then.refused !== undefined)
      .length,
    clients: [...clients]
      .map(([client, own]) => clientOf(client, own))
      .sort((a, b) => b.refused.now - a.refused.now || b.calls - a.calls),
    not_replayed: {
      older_lines: log.older,
      faulty_lines: log.faulty,
      calls_without_beginning: log.headless
    },
    notes: notesOf(results, log, terms)
  }
}

const cut = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1)}…`

const seconds = (ms: number): string => (ms >= 99_950 ? (ms / 1000).toFixed(0) : (ms / 1000).toFixed(1))

const waitsText = ({ calls, max_ms, p50_ms }: Waits): string =>
  calls === 0 ? "-" : `${seconds(p50_ms)}/${seconds(max_ms)}`

/** Month, day and time; the year is that of the headline. */
const moment = (at: string): string => at.slice(5, 19).replace("T", " ")

const dateAndTime = (at: string | null): string => (at ?? "").slice(0, 19).replace("T", " ")

const limitText = ({ code, observed, scope }: By): string => {
  const [of = "", quota] = scope.split(":")
  const what =
    code === "QUOTA_EXCEEDED"
      ? `${quota ?? ""} of ${of}`
      : code === "TOOL_DENIED"
        ? `tool ${scope} denied`
        : `rate of ${scope}`
  return observed ? `observed: ${what}` : what
}

const CLIENT = 16

const row = (name: string, { calls, refused, waited }: Totals, first: string): ReadonlyArray<string> => [
  cut(name, CLIENT),
  String(calls),
  String(refused.then),
  String(refused.now),
  waitsText(waited.then),
  waitsText(waited.now),
  first
]

/**
 * Tables, and what has to be known of them. A table that is too wide is a paragraph for each of its rows.
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (report: Report, width: number = Number.POSITIVE_INFINITY): string => {
  const {
    clients,
    from,
    newly_admitted: newlyAdmitted,
    newly_refused: newlyRefused,
    notes,
    not_replayed: not,
    to
  } = report
  const numbers = new Set([1, 2, 3, 4, 5])
  const why = clients.flatMap(({ by, client }) =>
    by.map((one) => [cut(client, CLIENT), limitText(one), String(one.then), String(one.now)])
  )
  const said = (text: string) => wrapped(text, width)
  return [
    ...said(
      `${many(report.calls, "call")} of ${many(clients.length, "client")}, ${many(report.servers, "start")} of a server`
    ),
    ...said(`${dateAndTime(from)} to ${dateAndTime(to)} UTC`),
    "",
    ...fittingTable(
      [
        ["client", "calls", "refused", "now", "waited", "now", "first refused now"],
        ...clients.map((one) =>
          row(one.client, one, one.first_refused === null ? "" : moment(one.first_refused.at))
        ),
        row("all", report, "")
      ],
      width,
      numbers
    ),
    ...said("waited: seconds, p50/max of the calls that waited for the rate limit"),
    ...(why.length === 0
      ? []
      : ["", ...fittingTable([["client", "refused by", "then", "now"], ...why], width, new Set([2, 3]))]),
    "",
    ...said(`newly refused: ${newlyRefused}; newly admitted: ${newlyAdmitted}`),
    ...(not.faulty_lines.length === 0
      ? []
      : said(
          `${many(not.faulty_lines.length, "line")} cannot be read: ${not.faulty_lines.slice(0, 10).join(", ")}${not.faulty_lines.length > 10 ? ", …" : ""}`
        )),
    "",
    ...notes.flatMap((note) => wrapped(note, width - 2).map((line, i) => `${i === 0 ? "- " : "  "}${line}`))
  ].join("\n")
}
