/** Charts of the last hour, or of the minutes since the start: time from left to right, the newest at the right edge. */
import { fill, h, setText, svg } from "./dom.js"
import * as Format from "./format.js"

export interface Series {
  readonly name: string
  /** Class that gives the colour. */
  readonly kind: string
  readonly values: ReadonlyArray<number>
}

export interface Data {
  readonly at: ReadonlyArray<number>
  readonly series: ReadonlyArray<Series>
}

export interface ChartOptions {
  readonly title: string
  readonly stacked: boolean
  readonly format: (value: number) => string
  /** The scale reaches at least to this value. */
  readonly atLeast: number
}

const WIDTH = 720
const HEIGHT = 120
export const SPAN_MS = 3_600_000

/** Minutes that a chart may show: the least that holds everything. */
const SPANS = [5, 10, 15, 30, 60] as const

const spanOf = (at: ReadonlyArray<number>): number => {
  const needed = ((at[at.length - 1] ?? 0) - (at[0] ?? 0)) / 60_000
  return (SPANS.find((minutes) => needed <= minutes) ?? 60) * 60_000
}

/** A round number, not far above. */
const niceAbove = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(value))
  for (const step of [1, 2, 3, 4, 5, 6, 8]) if (value <= step * power) return step * power
  return 10 * power
}

/** A longer silence is a gap: nobody knows what was in it. */
const GAP_MS = 20_000

const x = (at: number, end: number, span: number): number => WIDTH - ((end - at) / span) * WIDTH

const makeAxis = () => {
  const root = h("div", { class: "axis", "aria-hidden": "true" })
  const update = (span: number) => {
    const minutes = span / 60_000
    fill(root, String(minutes), () => [
      ...[1, 0.5].map((part) => h("span", {}, `−${Format.count(minutes * part)} min`)),
      h("span", {}, "now")
    ])
  }
  return { root, update }
}

const runs = (at: ReadonlyArray<number>): ReadonlyArray<readonly [number, number]> => {
  const found: Array<readonly [number, number]> = []
  let from = 0
  for (let i = 1; i <= at.length; i++) {
    if (i === at.length || (at[i] ?? 0) - (at[i - 1] ?? 0) > GAP_MS) {
      found.push([from, i])
      from = i
    }
  }
  return found
}

export const makeChart = (options: ChartOptions) => {
  const top = h("span", { class: "scale" })
  const legend = h("ul", { class: "legend" })
  const drawing = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img"
  })
  const cursor = h("div", { class: "cursor", "aria-hidden": "true" })
  cursor.hidden = true
  const plot = h("div", { class: "plot" }, top, drawing, cursor)
  const axis = makeAxis()
  const root = h("figure", { class: "chart" }, h("figcaption", {}, options.title), legend, plot, axis.root)
  let data: Data = { at: [], series: [] }
  let pointed: number | undefined

  const describe = (index: number) => {
    const when = pointed === undefined ? "" : ` at ${Format.time(data.at[index] ?? 0)}`
    const items = data.series.map(({ kind, name, values }) => {
      const value = values[index]
      return h(
        "li",
        {},
        h("i", { class: `swatch ${kind}`, "aria-hidden": "true" }),
        `${name} `,
        h("b", {}, value === undefined ? "–" : options.format(value))
      )
    })
    legend.replaceChildren(...items, ...(when === "" ? [] : [h("li", { class: "when" }, when)]))
  }

  const draw = () => {
    const end = data.at[data.at.length - 1] ?? 0
    const span = spanOf(data.at)
    axis.update(span)
    const count = data.at.length
    const base = new Array<number>(count).fill(0)
    const layers = data.series.map((series) => {
      const low = [...base]
      const high = series.values.map((value, i) => (options.stacked ? (base[i] ?? 0) + value : value))
      if (options.stacked) high.forEach((value, i) => (base[i] = value))
      return { ...series, low, high }
    })
    const most = Math.max(options.atLeast, ...layers.flatMap(({ high }) => high))
    const scale = niceAbove(most)
    setText(top, options.format(scale))
    const y = (value: number) => HEIGHT - (value / scale) * (HEIGHT - 2) - 1
    const shapes: Array<SVGElement> = [0.5, 1].map((part) =>
      svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(scale * part), y2: y(scale * part) })
    )
    for (const { high, kind, low } of layers) {
      for (const [from, to] of runs(data.at)) {
        const point = (values: ReadonlyArray<number>) => (i: number) =>
          `${x(data.at[i] ?? 0, end, span).toFixed(1)} ${y(values[i] ?? 0).toFixed(1)}`
        const along = Array.from({ length: to - from }, (_, i) => from + i)
        const line = along.map(point(high))
        if (options.stacked) {
          const back = along.map(point(low)).reverse()
          shapes.push(svg("path", { class: `area ${kind}`, d: `M${[...line, ...back].join("L")}Z` }))
        } else shapes.push(svg("path", { class: `line ${kind}`, d: `M${line.join("L")}` }))
      }
    }
    drawing.replaceChildren(...shapes)
    const last = count - 1
    drawing.setAttribute(
      "aria-label",
      `${options.title}, last hour. Now: ${data.series
        .map(({ name, values }) => `${name} ${options.format(values[last] ?? 0)}`)
        .join(
          ", "
        )}. Highest: ${options.format(count === 0 ? 0 : Math.max(0, ...layers.flatMap(({ high }) => high)))}.`
    )
    describe(pointed ?? last)
  }

  plot.addEventListener("pointermove", ({ clientX }) => {
    const box = plot.getBoundingClientRect()
    const end = data.at[data.at.length - 1]
    if (end === undefined || box.width === 0) return
    const span = spanOf(data.at)
    const at = end - (1 - (clientX - box.left) / box.width) * span
    let nearest = 0
    data.at.forEach((time, i) => {
      if (Math.abs(time - at) < Math.abs((data.at[nearest] ?? 0) - at)) nearest = i
    })
    pointed = nearest
    cursor.hidden = false
    cursor.style.left = `${(x(data.at[nearest] ?? end, end, span) / WIDTH) * 100}%`
    describe(nearest)
  })
  plot.addEventListener("pointerleave", () => {
    pointed = undefined
    cursor.hidden = true
    describe(data.at.length - 1)
  })

  return {
    root,
    update: (next: Data) => {
      data = next
      if (pointed !== undefined && pointed >= next.at.length) pointed = undefined
      draw()
    }
  }
}

export interface Strip {
  readonly name: string
  readonly values: ReadonlyArray<number>
  /** By value: the class that gives the colour, and the word for it. */
  readonly states: ReadonlyArray<readonly [kind: string, word: string]>
}

/** When something was in which state: a line of coloured spans. */
export const makeStrips = (title: string) => {
  const rows = h("div", { class: "strips" })
  const axis = makeAxis()
  const root = h("figure", { class: "chart" }, h("figcaption", {}, title), rows, axis.root)
  return {
    root,
    update: (at: ReadonlyArray<number>, strips: ReadonlyArray<Strip>) => {
      const end = at[at.length - 1] ?? 0
      const span = spanOf(at)
      axis.update(span)
      rows.replaceChildren(
        ...strips.map(({ name, states, values }) => {
          const drawing = svg("svg", {
            viewBox: `0 0 ${WIDTH} 10`,
            preserveAspectRatio: "none",
            role: "img"
          })
          const spent = new Map<string, number>()
          let begun = 0
          for (let i = 0; i < at.length; i++) {
            const to = at[i] ?? 0
            const before = at[i - 1] ?? to
            const gap = to - before > GAP_MS
            if (i === 0 || gap) begun = gap ? to : before
            const [kind, word] = states[values[i] ?? 0] ?? ["k-none", "unknown"]
            spent.set(word, (spent.get(word) ?? 0) + (gap ? 0 : to - before))
            // One span for as long as nothing changes.
            const next = at[i + 1]
            if (next !== undefined && next - to <= GAP_MS && values[i + 1] === values[i]) continue
            const left = x(begun, end, span)
            const width = Math.max(1, x(to, end, span) - left)
            drawing.append(svg("rect", { class: kind, x: left, y: 0, width, height: 10 }))
            begun = to
          }
          const told = [...spent].map(([word, ms]) => `${word} ${Format.duration(ms)}`).join(", ")
          drawing.setAttribute("aria-label", `${name}, last hour: ${told === "" ? "nothing known" : told}`)
          return h("div", { class: "strip" }, h("span", { class: "strip-name" }, name), drawing)
        })
      )
    }
  }
}
