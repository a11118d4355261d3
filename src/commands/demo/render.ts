/**
 * What a rehearsal looks like to people: a line a moment, a text for each refusal, a table at the end. Pure.
 *
 * @since 0.1.0
 */
import type { Event } from "./rehearsal.js"
import { textTable } from "../../internal/layout.js"
import type { Figures } from "./summary.js"

const WIDTH = 100

/**
 * A text in lines, each behind `indent`.
 *
 * @since 0.1.0
 * @category rendering
 */
export const wrapped = (text: string, indent: string): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > WIDTH - indent.length) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line].map((one) => indent + one).join("\n")
}

const time = (ms: number): string => `${(ms / 1000).toFixed(1)} s`.padStart(7)

const codesOf = (codes: { readonly [code: string]: number }): string =>
  Object.entries(codes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, count]) => `${code} ${count}`)
    .join(", ")

const breakerOf = (phase: string, nextProbeMs: number | undefined): string =>
  nextProbeMs === undefined ? phase : `${phase}, probe in ${(nextProbeMs / 1000).toFixed(1)} s`

const moment = (event: Event & { readonly _tag: "Moment" }): string =>
  [
    `${time(event.atMs)}  ${event.phase.padEnd(10)}`,
    `ok ${String(event.answered).padStart(3)}`,
    `stale ${String(event.stale).padStart(2)}`,
    `breaker ${breakerOf(event.breaker, event.nextProbeMs)}`.padEnd(29),
    `mode ${event.mode}`.padEnd(16),
    `queue ${event.queued}`,
    `sent ${event.arrived}`,
    `retries ${event.retries}`
  ].join("  ") + (Object.keys(event.codes).length === 0 ? "" : `  | ${codesOf(event.codes)}`)

const summary = (figures: Figures): string => {
  const { amplification, leftRunning, load, recoveredAfterMs, retries, transitions, unanswered } = figures
  const opened = transitions.filter(({ to }) => to === "open").length
  return [
    "",
    ...textTable([
      ["phase", "calls", "answered", "stale", "refused", "failed", "sent", "by code"],
      ...figures.phases.map(({ answered, codes, failed, issued, name, refused, stale, statements }) => [
        name,
        ...[issued, answered, stale, refused, failed, statements].map(String),
        codesOf(codes)
      ])
    ]),
    "",
    `  amplification       ${amplification.toFixed(2)} statements at Snowflake for each call of the outage that was let in`,
    `  load                ${load.toFixed(2)} statements for each call that was made in it; ${retries} retries in all`,
    `  breaker             opened ${opened} times` +
      (recoveredAfterMs === undefined
        ? ", and did not close"
        : `; closed ${(recoveredAfterMs / 1000).toFixed(1)} s after connections were accepted again`),
    `  calls unanswered    ${unanswered}`,
    `  statements running  ${leftRunning}`,
    "",
    ...figures.invariants.map(({ held, name }) => `  ${held ? "ok    " : "FAILED"}  ${name}`)
  ].join("\n")
}

/**
 * An event, as text of a line or more.
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (event: Event): string => {
  switch (event._tag) {
    case "Phase":
      return `\n${time(event.atMs)}  ${event.name.toUpperCase()}: ${event.description}`
    case "Moment":
      return moment(event)
    case "Refusal":
      return wrapped(event.text, "           > ")
    case "Summary":
      return summary(event)
  }
}
