/** Numbers over the last hour, or over the minutes since the start: as lines, or as areas on one another. */
import { h, setText, svg } from "./dom.js"
import { GAP_MS, makePlot, spanOf, WIDTH, x } from "./plot.js"

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

const HEIGHT = 120

/** A round number, not far above. */
const niceAbove = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(value))
  for (const step of [1, 2, 3, 4, 5, 6, 8]) if (value <= step * power) return step * power
  return 10 * power
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

/** The values of a moment, as a legend that is there from the start. */
const makeLegend = () => {
  const root = h("ul", { class: "legend" })
  let items: ReadonlyArray<{ readonly name: string; readonly value: HTMLElement }> = []
  return {
    root,
    update: (values: ReadonlyArray<readonly [name: string, kind: string, value: string]>): string => {
      if (values.map(([name]) => name).join() !== items.map(({ name }) => name).join()) {
        items = values.map(([name]) => ({ name, value: h("b") }))
        root.replaceChildren(
          ...values.map(([name, kind], i) =>
            h(
              "li",
              {},
              h("i", { class: `swatch ${kind}`, "aria-hidden": "true" }),
              `${name} `,
              items[i]?.value
            )
          )
        )
      }
      values.forEach(([, , value], i) => {
        const item = items[i]
        if (item !== undefined) setText(item.value, value)
      })
      return values.map(([name, , value]) => `${name} ${value}`).join(", ")
    }
  }
}

export const makeChart = ({ atLeast, format, stacked, title }: ChartOptions) => {
  const marks = [1, 0.5, 0].map((part) => ({ part, label: h("span") }))
  const scale = h("div", { class: "scale", "aria-hidden": "true" }, ...marks.map(({ label }) => label))
  const legend = makeLegend()
  const drawing = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    "aria-hidden": "true"
  })
  const highest = h("p", { class: "unseen" })
  let data: Data = { at: [], series: [] }
  const plot = makePlot({
    title,
    drawing,
    scale,
    read: (index) =>
      legend.update(
        data.series.map(({ kind, name, values }) => {
          const value = values[index]
          return [name, kind, value === undefined ? "–" : format(value)]
        })
      )
  })
  const root = h("figure", { class: "chart" }, h("figcaption", {}, title), legend.root, highest, plot.root)

  const draw = () => {
    const { at, series } = data
    const end = at[at.length - 1] ?? 0
    const span = spanOf(at)
    const base = new Array<number>(at.length).fill(0)
    const layers = series.map(({ kind, values }) => {
      const low = [...base]
      const high = values.map((value, i) => (stacked ? (base[i] ?? 0) + value : value))
      if (stacked) high.forEach((value, i) => (base[i] = value))
      return { kind, low, high }
    })
    const most = layers.reduce((max, { high }) => high.reduce((a, b) => Math.max(a, b), max), 0)
    const full = niceAbove(Math.max(atLeast, most))
    for (const { label, part } of marks) setText(label, part === 0 ? "0" : format(full * part))
    setText(highest, at.length === 0 ? "" : `The highest value shown is ${format(most)}.`)
    const y = (value: number) => HEIGHT - (value / full) * (HEIGHT - 2) - 1
    const shapes: Array<SVGElement> = [0.5, 1].map((part) =>
      svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(full * part), y2: y(full * part) })
    )
    for (const part of [0.25, 0.5, 0.75]) {
      shapes.push(svg("line", { class: "grid", x1: WIDTH * part, x2: WIDTH * part, y1: 0, y2: HEIGHT }))
    }
    for (const { high, kind, low } of layers) {
      for (const [from, to] of runs(at)) {
        const point = (values: ReadonlyArray<number>) => (i: number) =>
          `${x(at[i] ?? 0, end, span).toFixed(1)} ${y(values[i] ?? 0).toFixed(1)}`
        const along = Array.from({ length: to - from }, (_, i) => from + i)
        const line = along.map(point(high))
        if (stacked) {
          const back = along.map(point(low)).reverse()
          shapes.push(svg("path", { class: `area ${kind}`, d: `M${[...line, ...back].join("L")}Z` }))
        } else shapes.push(svg("path", { class: `line ${kind}`, d: `M${line.join("L")}` }))
      }
    }
    drawing.replaceChildren(...shapes)
    plot.update(at)
  }

  return {
    root,
    update: (next: Data) => {
      data = next
      draw()
    }
  }
}
