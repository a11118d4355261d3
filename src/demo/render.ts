/**
 * What a rehearsal looks like to people: a line a moment, a text for each refusal, a table at the end. Fits the
 * width it is given. Pure.
 *
 * @since 0.1.0
 */
import * as Outage from "../emulator/outage.js"
import type { Color, Paint } from "../platform/colors.js"
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
  wrapped(text, width - indent.length).map((line) => indent + line.replaceAll(TIED, " "))

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

/** The columns of a moment: 72 characters with what is between them. */
const columns = [
  ["", 7],
  ["ok", 4],
  ["stale", 5],
  ["breaker", 20],
  ["mode", 11],
  ["queue", 5],
  ["sent", 4],
  ["retries", 7]
] as const

const isText = (name: string): boolean => name === "breaker" || name === "mode"

const cells = (values: ReadonlyArray<string>): ReadonlyArray<string> =>
  columns.map(([name, width], i) => {
    const value = values[i] ?? ""
    return isText(name) ? value.padEnd(width) : value.padStart(width)
  })

const header = cells(columns.map(([name]) => name)).join(" ")

const moment = (event: Event & { readonly _tag: "Moment" }, { paint, width }: Look): string => {
  const all = cells([
    time(event.atMs),
    String(event.answered),
    String(event.stale),
    breakerOf(event.breaker, event.nextProbeMs),
    event.mode,
    String(event.queued),
    String(event.arrived),
    String(event.retries)
  ])
  const row = all
    .map((cell, i) => {
      const state = i === 3 ? event.breaker : i === 4 ? event.mode : ""
      const color = badness[state]
      return color === undefined ? cell : paint(color, cell)
    })
    .join(" ")
  const codes = codesOf(event.codes)
  if (codes === "") return row
  const length = all.join(" ").length
  return length + 3 + codes.length <= width
    ? `${row}  ${paint("dim", `| ${codes}`).replaceAll(TIED, " ")}`
    : [row, ...indented(codes, "          | ", width).map((line) => paint("dim", line))].join("\n")
}

const phase = (event: Event & { readonly _tag: "Phase" }, { paint, width }: Look): string => {
  const nth = Outage.phases.findIndex(({ name }) => name === event.name) + 1
  const heading = `${event.name.toUpperCase()} (${nth} of ${Outage.phases.length}): ${event.description}`
  return [
    "",
    ...indented(heading, "", width).map((line) => paint("bold", line)),
    paint("dim", header.trimEnd())
  ].join("\n")
}

const summary = (figures: Figures, { paint, width }: Look): string => {
  const { amplification, leftRunning, load, recoveredAfterMs, retries, transitions, unanswered } = figures
  const opened = transitions.filter(({ to }) => to === "open").length
  const [head = "", ...rows] = textTable(
    [
      ["  phase", "calls", "answered", "stale", "refused", "failed", "sent"],
      ...figures.phases.map(({ answered, failed, issued, name, refused, stale, statements }) => [
        `  ${name}`,
        ...[issued, answered, stale, refused, failed, statements].map(String)
      ])
    ],
    new Set([1, 2, 3, 4, 5, 6])
  )
  return [
    "",
    paint("bold", head),
    ...rows.flatMap((row, i) => {
      const codes = codesOf(figures.phases[i]?.codes ?? {})
      return codes === "" ? [row] : [row, ...indented(codes, "    ", width).map((line) => paint("dim", line))]
    }),
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
        ["calls unanswered", String(unanswered)],
        ["statements running", String(leftRunning)]
      ],
      width
    ),
    "",
    ...figures.invariants.flatMap(({ held, name }) => {
      const lines = indented(name, "          ", width)
      const mark = held ? paint("green", "ok    ") : paint("red", "FAILED")
      return lines.map((line, i) => (i === 0 ? `  ${mark}${line.slice(8)}` : line))
    })
  ].join("\n")
}

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
      return indented(event.text, "        > ", look.width).join("\n")
    case "Search":
      return indented(
        `Nothing answers, and search_objects "${event.query}" finds ${event.found ?? "nothing"}.`,
        "        > ",
        look.width
      ).join("\n")
    case "Summary":
      return summary(event, look)
  }
}

const BAR = 30

/**
 * How far a rehearsal of this speed is, for a line that is written over again.
 *
 * @since 0.1.0
 * @category rendering
 */
export const progress = (atMs: number, speed: number, { paint }: Look): string => {
  const allMs = Outage.phases.reduce((sum, { lastsMs }) => sum + lastsMs, 0) / speed
  const share = Math.min(1, atMs / allMs)
  const full = Math.round(share * BAR)
  const seconds = (ms: number) => Math.round(ms / 1000)
  return (
    `  ${paint("green", "#".repeat(full))}${paint("dim", "-".repeat(BAR - full))}` +
    `  ${seconds(atMs)} s of about ${seconds(allMs)} s`
  )
}
