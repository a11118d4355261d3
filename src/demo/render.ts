/**
 * What a rehearsal looks like to people: a line a moment, a text for each refusal, a table at the end. Fits the
 * width it is given. Pure.
 *
 * @since 0.1.0
 */
import * as Outage from "../emulator/outage.js"
import type { Color, Paint } from "../platform/colors.js"
import { withoutMarks } from "../mcp/ErrorReport.js"
import { definitions, textTable, wrapped } from "../platform/layout.js"
import type { Event } from "./rehearsal.js"
import type { Figures } from "./summary.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Look {
  /** Characters of a line. */
  readonly width: number
  readonly paint: Paint
}

const time = (ms: number): string => `${(ms / 1000).toFixed(1)} s`.padStart(7)

/** A code and its count are never on two lines. */
const TIED = "\u00a0"

const codesOf = (codes: { readonly [code: string]: number }): string =>
  Object.entries(codes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, count]) => `${code}${TIED}${count}`)
    .join(", ")

/**
 * A text in lines, each behind `indent`.
 *
 * @since 0.1.0
 * @category rendering
 */
export const indented = (text: string, indent: string, width: number): ReadonlyArray<string> =>
  text
    .split("\n")
    .flatMap((line) => wrapped(line, width - indent.length))
    .map((line) => (indent + line.replaceAll(TIED, " ")).trimEnd())

const breakerOf = (phase: string, nextProbeMs: number | undefined): string =>
  nextProbeMs === undefined ? phase : `${phase}, probe in ${(nextProbeMs / 1000).toFixed(1)} s`

const badness: { readonly [state: string]: Color } = {
  closed: "green",
  normal: "green",
  "half-open": "yellow",
  constrained: "yellow",
  open: "red",
  "forced-open": "red",
  "cache-only": "red",
  emergency: "red"
}

/**
 * The columns of a moment. `rank`: where a line is too narrow for all, those of a high rank are left out.
 */
const columns = [
  { name: "", width: 7, rank: 0 },
  { name: "ok", width: 4, rank: 0 },
  { name: "stale", width: 5, rank: 0 },
  { name: "refused", width: 7, rank: 0 },
  { name: "failed", width: 6, rank: 1 },
  { name: "breaker", width: 20, rank: 0, isText: true },
  { name: "mode", width: 11, rank: 2, isText: true },
  { name: "sent", width: 4, rank: 3 },
  { name: "retries", width: 7, rank: 4 }
] as const

type Column = (typeof columns)[number]["name"]

const lengthOf = (of: ReadonlyArray<{ readonly width: number }>): number =>
  of.reduce((length, { width }) => length + width + 1, -1)

/** Without the time of the next probe. */
const NARROW_BREAKER = 9

const columnsFor = (width: number) => {
  const ranks = [4, 3, 2, 1, 0].map((most) => columns.filter(({ rank }) => rank <= most))
  const narrow = columns
    .filter(({ rank }) => rank === 0)
    .map((column) => (column.name === "breaker" ? { ...column, width: NARROW_BREAKER } : column))
  return ranks.find((of) => lengthOf(of) <= width) ?? narrow
}

const cellsOf = (values: { readonly [C in Column]: string }, width: number) =>
  columnsFor(width).map((column) => {
    const isNarrow = column.width === NARROW_BREAKER
    const value = isNarrow ? (values[column.name].split(",")[0] ?? "") : values[column.name]
    return {
      name: column.name,
      text: "isText" in column ? value.padEnd(column.width) : value.padStart(column.width)
    }
  })

const header = (width: number): string =>
  columnsFor(width)
    .map((column) =>
      "isText" in column ? column.name.padEnd(column.width) : column.name.padStart(column.width)
    )
    .join(" ")
    .trimEnd()

const moment = (event: Event & { readonly _tag: "Moment" }, { paint, width }: Look): string => {
  const cells = cellsOf(
    {
      "": time(event.atMs),
      ok: String(event.answered),
      stale: String(event.stale),
      refused: String(event.refused),
      failed: String(event.failed),
      breaker: breakerOf(event.breaker, event.nextProbeMs),
      mode: event.mode,
      sent: String(event.arrived),
      retries: String(event.retries)
    },
    width
  )
  const unlessZero = (value: number, color: Color | undefined) => (value > 0 ? color : "dim")
  const colors: { readonly [C in Column]: Color | undefined } = {
    "": "dim",
    ok: unlessZero(event.answered, "green"),
    stale: unlessZero(event.stale, "yellow"),
    refused: unlessZero(event.refused, undefined),
    failed: unlessZero(event.failed, "red"),
    breaker: badness[event.breaker],
    mode: badness[event.mode],
    sent: unlessZero(event.arrived, undefined),
    retries: unlessZero(event.retries, undefined)
  }
  const row = cells
    .map(({ name, text }) => {
      const color = colors[name]
      return color === undefined ? text : paint(color, text)
    })
    .join(" ")
    .trimEnd()
  const codes = codesOf(event.codes).replaceAll(TIED, " ")
  const length = lengthOf(columnsFor(width))
  return codes !== "" && length + 4 + codes.length <= width ? `${row}  ${paint("dim", `| ${codes}`)}` : row
}

const phase = (event: Event & { readonly _tag: "Phase" }, { paint, width }: Look): string => {
  const nth = Outage.phases.findIndex(({ name }) => name === event.name)
  const color =
    (Outage.phases[nth]?.faults.length ?? 0) === 0 ? "green" : event.name === "down" ? "red" : "yellow"
  const heading = `${event.name.toUpperCase()} (${nth + 1} of ${Outage.phases.length}): ${event.description}`
  return [
    "",
    ...indented(heading, "", width).map((line) => paint("bold", paint(color, line))),
    paint("dim", header(width))
  ].join("\n")
}

/** Behind `indent`, with the first word painted. */
const told = (text: string, look: Look): string => {
  const [first = "", ...rest] = indented(withoutMarks(text), "        > ", look.width)
  const code = /^ +> ([A-Z_]{4,}):/.exec(first)?.[1]
  return [code === undefined ? first : first.replace(code, look.paint("yellow", code)), ...rest].join("\n")
}

const figureColumns = ["calls", "answered", "stale", "refused", "failed", "sent"] as const

const summary = (figures: Figures, { paint, width }: Look): string => {
  const { amplification, invariants, leftRunning, load, recoveredAfterMs, retries, transitions, unanswered } =
    figures
  const opened = transitions.filter(({ to }) => to === "open").length
  const shown = figureColumns.slice(0, width < 56 ? 4 : undefined)
  const [head = "", ...rows] = textTable(
    [
      ["phase", ...shown],
      ...figures.phases.map(({ answered, failed, issued, name, refused, stale, statements }) => {
        const values = { calls: issued, answered, stale, refused, failed, sent: statements }
        return [name, ...shown.map((column) => String(values[column]))]
      })
    ],
    new Set(shown.map((_, i) => i + 1))
  )
  const held = invariants.filter((one) => one.held).length
  return [
    "",
    paint("bold", "SUMMARY"),
    paint("dim", head),
    ...rows.flatMap((row, i) => [
      row,
      ...indented(codesOf(figures.phases[i]?.codes ?? {}), "    ", width)
        .filter((line) => line.trim() !== "")
        .map((line) => paint("dim", line))
    ]),
    "",
    ...definitions(
      [
        [
          "amplification",
          `${amplification.toFixed(2)} statements at Snowflake for each call of the outage that was let in`
        ],
        [
          "load",
          `${load.toFixed(2)} statements for each call that was made in it; ${retries} retries in all`
        ],
        [
          "breaker",
          `opened ${opened} times` +
            (recoveredAfterMs === undefined
              ? ", and did not close"
              : `; closed ${(recoveredAfterMs / 1000).toFixed(1)} s after connections were accepted again`)
        ],
        ["left behind", `${unanswered} calls without an answer, ${leftRunning} statements that run`]
      ],
      width
    ),
    "",
    ...invariants.flatMap(({ held, name }) => {
      const lines = indented(name, "          ", width)
      const mark = held ? paint("green", "ok    ") : paint("red", "FAILED")
      return lines.map((line, i) => (i === 0 ? `  ${mark}${line.slice(8)}` : line))
    }),
    "",
    ...indented(verdict("checks", held, invariants.length), "", width).map((line) =>
      paint("bold", paint(held === invariants.length ? "green" : "red", line))
    )
  ].join("\n")
}

/**
 * The last line of a demonstration.
 *
 * @since 0.1.0
 * @category rendering
 */
export const verdict = (what: string, held: number, all: number): string =>
  held === all ? `All ${all} ${what} passed.` : `${all - held} of ${all} ${what} FAILED.`

/**
 * An event, as text of a line or more.
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (event: Event, look: Look): string => {
  switch (event._tag) {
    case "Phase":
      return phase(event, look)
    case "Moment":
      return moment(event, look)
    case "Refusal":
      return told(event.text, look)
    case "Search":
      return told(
        `Nothing answers, and search_objects "${event.query}" finds ${event.found ?? "nothing"}.`,
        look
      )
    case "Summary":
      return summary(event, look)
  }
}

const BAR = 20

/**
 * How far a rehearsal of this speed is, and what happens now: for a line that is written over again.
 *
 * @since 0.1.0
 * @category rendering
 */
export const progress = (atMs: number, speed: number, now: string): string => {
  const allMs = Outage.phases.reduce((sum, { lastsMs }) => sum + lastsMs, 0) / speed
  const full = Math.round(Math.min(1, atMs / allMs) * BAR)
  const seconds = (ms: number) => Math.floor(ms / 1000)
  return `${"#".repeat(full)}${"-".repeat(BAR - full)} ${seconds(atMs)} of about ${seconds(allMs)} s  ${now}`
}

/**
 * What happens at a moment, in a few words.
 *
 * @since 0.1.0
 * @category rendering
 */
export const nowOf = (event: Event): string | undefined => {
  switch (event._tag) {
    case "Phase":
      return event.name
    case "Moment":
      return `${event.phase}, breaker ${breakerOf(event.breaker, event.nextProbeMs)}`
    default:
      return undefined
  }
}
