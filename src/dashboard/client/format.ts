/** Numbers and times as people read them. */

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000]
] as const

/** The two largest units: `2 h 5 min`. A number and its unit stay on one line. */
export const duration = (ms: number): string => {
  if (ms < 1000) return `${Math.round(ms)}\u00a0ms`
  const first = units.findIndex(([, size]) => ms >= size)
  const [name, size] = units[first] ?? units[3]
  const whole = Math.floor(ms / size)
  const next = units[first + 1]
  const rest = next === undefined ? 0 : Math.floor((ms % size) / next[1])
  return next === undefined || rest === 0
    ? `${whole}\u00a0${name}`
    : `${whole}\u00a0${name} ${rest}\u00a0${next[0]}`
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 })
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })
/** A rate of one call in a minute, or a hundredth of a credit, is not nothing. */
const small = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 })

export const count = (value: number): string =>
  value >= Number.MAX_SAFE_INTEGER
    ? "∞"
    : value >= 10_000
      ? compact.format(value)
      : Math.abs(value) < 1
        ? small.format(value)
        : plain.format(value)

export const bytes = (value: number): string => {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"]
  let amount = value
  let unit = 0
  while (amount >= 1024 && unit < names.length - 1) {
    amount /= 1024
    unit += 1
  }
  return `${plain.format(amount)} ${names[unit]}`
}

export const percent = (share: number): string => `${Math.round(share * 100)} %`

const short = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" })
const exact = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" })
const dated = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit"
})

/** `10:32` */
export const time = (at: number): string => short.format(at)

/** `10:32:05` */
export const seconds = (at: number): string => exact.format(at)

/** With the day when it was another one. */
export const when = (at: number, now: number): string =>
  new Date(at).toDateString() === new Date(now).toDateString() ? time(at) : dated.format(at)

/** `requests_per_hour` as words. */
export const words = (name: string): string => name.replaceAll("_", " ")

export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** `3,602 of 7,200`, in the unit of the quota. */
export const used = (quota: string, amount: number, limit: number): string => {
  const unit = quota.includes("bytes") ? bytes : count
  return `${unit(amount)} of ${unit(limit)}`
}
