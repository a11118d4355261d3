/** Numbers and times as people read them. */

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000]
] as const

/** The two largest units: `2 h 5 min`. */
export const duration = (ms: number): string => {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const first = units.findIndex(([, size]) => ms >= size)
  const [name, size] = units[first] ?? units[3]
  const whole = Math.floor(ms / size)
  const next = units[first + 1]
  const rest = next === undefined ? 0 : Math.floor((ms % size) / next[1])
  return next === undefined || rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${next[0]}`
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 })
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })

export const count = (value: number): string =>
  value >= Number.MAX_SAFE_INTEGER ? "∞" : value >= 10_000 ? compact.format(value) : plain.format(value)

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

export const time = (at: number): string =>
  new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })

/** `requests_per_hour` as words. */
export const words = (name: string): string => name.replaceAll("_", " ")
