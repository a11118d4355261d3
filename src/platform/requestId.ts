import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0")

const ZEROS = "000000000000"

/**
 * A generator of UUID-shaped ids: 76 random bits chosen once, then a counter. Unique across processes
 * by the random part, cheap per call by the counter.
 */
export const make: Effect.Effect<() => string> = Effect.gen(function* () {
  const a = yield* Random.nextIntBetween(0, 0x1_0000_0000)
  const b = yield* Random.nextIntBetween(0, 0x1_0000)
  const c = yield* Random.nextIntBetween(0, 0x1000)
  const d = yield* Random.nextIntBetween(0, 0x4000)
  const prefix = `${hex(a, 8)}-${hex(b, 4)}-4${hex(c, 3)}-${hex(0x8000 | d, 4)}-`
  let count = 0
  return () => {
    const digits = (++count).toString(16)
    return prefix + ZEROS.slice(digits.length) + digits
  }
})
