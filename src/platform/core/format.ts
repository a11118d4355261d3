/** How times, sizes and counts are put into the texts that people and models read. */
import * as DateTime from "effect/DateTime"

export const iso = (millis: number) => DateTime.formatIso(DateTime.unsafeMake(millis))

/** Seconds in words, never rounded down: a model that waits too little is refused again. */
export const seconds = (ms: number): string => {
  const value = ms < 10_000 ? Math.ceil(ms / 100) / 10 : Math.ceil(ms / 1000)
  return `${value} ${value === 1 ? "second" : "seconds"}`
}

export const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`

/** Ten names at most, and how many more there are. */
export const listed = (names: ReadonlyArray<string>): string =>
  names.slice(0, 10).join(", ") + (names.length > 10 ? ` and ${names.length - 10} more` : "")

export const bytes = (count: number): string => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
  let value = count
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** A text without its middle where it is longer than `most`, at whole code points: an end often tells as much as a beginning. */
export const shortened = (text: string, most: number): string => {
  if (text.length <= most) return text
  const tail = Math.floor(most / 4)
  const head = text.slice(0, most - tail - 1).replace(/[\uD800-\uDBFF]$/, "")
  return `${head}…${text.slice(text.length - tail).replace(/^[\uDC00-\uDFFF]/, "")}`
}

/** Descriptions come from many places; some end their sentence and some do not. */
export const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)
