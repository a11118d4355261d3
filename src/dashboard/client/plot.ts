/**
 * What all charts have in common: time from left to right, the newest at the right edge; its axis; and a
 * cursor for pointers, fingers and keys that reads the values of a moment.
 */
import { fill, h, show } from "./dom.js"
import * as Format from "./format.js"
import * as Moment from "./moment.js"

export const WIDTH = 720
export const SPAN_MS = 3_600_000

/** A longer silence is a gap: its values are unknown. */
export const GAP_MS = 20_000

/** Minutes that a chart may show: the least that holds everything. A quarter is a whole number of minutes. */
const SPANS = [4, 8, 20, 40, 60] as const

/** Samples in a minute. */
const PAGE = 12

export const spanOf = (at: ReadonlyArray<number>): number => {
  const needed = ((at[at.length - 1] ?? 0) - (at[0] ?? 0)) / 60_000
  return (SPANS.find((minutes) => needed <= minutes) ?? 60) * 60_000
}

/** Where a time is, of `WIDTH`. */
export const x = (at: number, end: number, span: number): number => WIDTH - ((end - at) / span) * WIDTH

const ago = (ms: number): string => (ms < 1000 ? "now" : `${Format.duration(ms)} ago`)

const makeAxis = () => {
  const root = h("div", { class: "axis", "aria-hidden": "true" })
  const update = (end: number, span: number) =>
    fill(root, `${Format.time(end)} ${span}`, () =>
      [1, 0.75, 0.5, 0.25, 0].map((part) =>
        h(
          "span",
          {},
          Format.time(end - span * part),
          h("small", {}, part === 0 ? "now" : `−${Format.duration(span * part)}`)
        )
      )
    )
  return { root, update }
}

export interface Options {
  readonly title: string
  readonly drawing: Element
  /** Beside the drawing. */
  readonly scale?: Element
  /** Shows the values of a sample (the latest: none is pointed at) and says them. */
  readonly read: (index: number, isPointed: boolean) => string
}

export const makePlot = ({ drawing, read, scale, title }: Options) => {
  const cursor = h("div", { class: "cursor", "aria-hidden": "true" })
  const label = h("div", { class: "moment", "aria-hidden": "true" })
  const empty = h("p", { class: "empty quiet" }, "Nothing yet: a point comes every 5 s.")
  const plot = h(
    "div",
    {
      class: "plot",
      tabindex: "0",
      role: "slider",
      "aria-label": `${title}: moment`,
      "aria-valuemin": "0"
    },
    drawing,
    cursor,
    empty
  )
  const axis = makeAxis()
  const below = h("div", { class: "below" }, axis.root, label)
  const root = h("div", { class: scale === undefined ? "frame" : "frame scaled" }, scale, plot, below)
  let times: ReadonlyArray<number> = []

  const last = () => times.length - 1
  const end = () => times[last()] ?? 0

  const nearest = (at: number): number => {
    let best = 0
    times.forEach((time, i) => {
      if (Math.abs(time - at) < Math.abs((times[best] ?? 0) - at)) best = i
    })
    return best
  }

  const point = (index: number) => Moment.set(times[Math.max(0, Math.min(last(), index))])

  const refresh = () => {
    const moment = Moment.get()
    const isPointed = moment !== undefined && times.length > 0
    const index = moment === undefined ? last() : nearest(moment)
    const words = read(index, isPointed)
    show(cursor, isPointed)
    show(label, isPointed)
    const at = times[index] ?? end()
    plot.setAttribute("aria-valuemax", String(Math.max(0, last())))
    plot.setAttribute("aria-valuenow", String(Math.max(0, index)))
    const when = `${Format.seconds(at)}, ${ago(end() - at)}`
    plot.setAttribute("aria-valuetext", times.length === 0 ? "nothing yet" : `${when}: ${words}`)
    if (!isPointed) return
    const left = `${(x(at, end(), spanOf(times)) / WIDTH) * 100}%`
    cursor.style.left = left
    label.style.left = `clamp(4rem, ${left}, 100% - 4rem)`
    fill(label, when, () => [Format.seconds(at), ago(end() - at)].map((line) => h("div", {}, line)))
  }

  const follow = ({ clientX }: PointerEvent) => {
    const box = plot.getBoundingClientRect()
    if (times.length === 0 || box.width === 0) return
    point(nearest(end() - (1 - (clientX - box.left) / box.width) * spanOf(times)))
  }
  plot.addEventListener("pointerdown", follow)
  plot.addEventListener("pointermove", follow)
  plot.addEventListener("pointerleave", ({ pointerType }) => {
    // A finger that is lifted leaves, too; what it chose is still to be read.
    if (pointerType === "mouse") Moment.set(undefined)
  })
  plot.addEventListener("focus", () => {
    if (Moment.get() === undefined) point(last())
  })
  plot.addEventListener("blur", () => Moment.set(undefined))
  plot.addEventListener("keydown", (event) => {
    const moment = Moment.get()
    const index = moment === undefined ? last() : nearest(moment)
    switch (event.key) {
      case "ArrowLeft":
      case "ArrowDown":
        point(index - 1)
        break
      case "ArrowRight":
      case "ArrowUp":
        point(index + 1)
        break
      case "PageDown":
        point(index - PAGE)
        break
      case "PageUp":
        point(index + PAGE)
        break
      case "Home":
        point(0)
        break
      case "End":
        point(last())
        break
      case "Escape":
        Moment.set(undefined)
        break
      default:
        return
    }
    event.preventDefault()
  })
  Moment.onChange(refresh)

  return {
    root,
    update: (at: ReadonlyArray<number>) => {
      times = at
      axis.update(end(), spanOf(at))
      show(axis.root, at.length > 0)
      show(empty, at.length < 2)
      refresh()
    }
  }
}
