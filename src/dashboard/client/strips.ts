/** When something was in which state: a line of spans, the higher the worse. */
import type { Mood } from "./dom.js"
import { h, setText, svg } from "./dom.js"
import * as Format from "./format.js"
import { GAP_MS, makePlot, spanOf, WIDTH, x } from "./plot.js"

export interface Strip {
  readonly name: string
  readonly values: ReadonlyArray<number>
  /** By value: how bad it is, and the word for it. */
  readonly states: ReadonlyArray<readonly [mood: Mood, word: string]>
}

const HEIGHT = 12

const heights: { readonly [M in Mood]: number } = { good: 4, warn: 8, bad: HEIGHT }

const unknown = ["warn", "unknown"] as const

const spans = (at: ReadonlyArray<number>, { states, values }: Strip): ReadonlyArray<SVGElement> => {
  const end = at[at.length - 1] ?? 0
  const span = spanOf(at)
  const found: Array<SVGElement> = []
  let begun = 0
  at.forEach((to, i) => {
    const before = at[i - 1] ?? to
    const gap = to - before > GAP_MS
    if (i === 0 || gap) begun = gap ? to : before
    // One span for as long as nothing changes.
    const next = at[i + 1]
    if (next !== undefined && next - to <= GAP_MS && values[i + 1] === values[i]) return
    const [mood] = states[values[i] ?? 0] ?? unknown
    const left = x(begun, end, span)
    const width = Math.max(2, x(to, end, span) - left)
    const height = heights[mood]
    found.push(svg("rect", { class: `mood ${mood}`, x: left, y: HEIGHT - height, width, height }))
    begun = to
  })
  return found
}

/** How long it was in which state. */
const spent = (at: ReadonlyArray<number>, { name, states, values }: Strip): string => {
  const times = new Map<string, number>()
  at.forEach((to, i) => {
    const elapsed = to - (at[i - 1] ?? to)
    const [, word] = states[values[i] ?? 0] ?? unknown
    if (elapsed <= GAP_MS) times.set(word, (times.get(word) ?? 0) + elapsed)
  })
  const told = [...times].map(([word, ms]) => `${word} ${Format.duration(ms)}`).join(", ")
  return told === "" ? "" : `${name}: ${told}.`
}

export const makeStrips = (title: string) => {
  const rows = h("div", { class: "strips" })
  const summary = h("p", { class: "unseen" })
  let all: ReadonlyArray<Strip> = []
  let words: ReadonlyArray<HTMLElement> = []
  const plot = makePlot({
    title,
    drawing: rows,
    read: (index) =>
      all
        .map(({ name, states, values }, i) => {
          const value = values[index]
          const [mood, word] = value === undefined ? (["good", "–"] as const) : (states[value] ?? unknown)
          const label = words[i]
          if (label !== undefined) {
            label.className = mood
            setText(label, word)
          }
          return `${name} ${word}`
        })
        .join(", ")
  })
  const root = h("figure", { class: "chart" }, h("figcaption", {}, title), summary, plot.root)
  return {
    root,
    update: (at: ReadonlyArray<number>, strips: ReadonlyArray<Strip>) => {
      all = strips
      words = strips.map(() => h("b"))
      setText(summary, strips.map((strip) => spent(at, strip)).join(" "))
      rows.replaceChildren(
        ...strips.map((strip, i) => {
          const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" })
          drawing.append(...spans(at, strip))
          return h(
            "div",
            { class: "strip" },
            h("span", { class: "strip-name" }, `${strip.name} `, words[i]),
            drawing
          )
        })
      )
      plot.update(at)
    }
  }
}
