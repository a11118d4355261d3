/** Numbers and texts in a row, little endian, as the scripts read and write them. */

/** A buffer that grows; `at` is where the next value goes. */
export interface Writer {
  bytes: Buffer
  at: number
}

const FIRST_BYTES = 2048

export const make = (): Writer => ({ bytes: Buffer.allocUnsafe(FIRST_BYTES), at: 0 })

/** To be said before anything is written: so many bytes will be, at most. */
export const room = (to: Writer, bytes: number): void => {
  if (to.at + bytes <= to.bytes.length) return
  const larger = Buffer.allocUnsafe(2 * (to.at + bytes))
  to.bytes.copy(larger, 0, 0, to.at)
  to.bytes = larger
}

export const byte = (to: Writer, value: number): void => {
  to.bytes[to.at] = value
  to.at += 1
}

export const short = (to: Writer, value: number): void => {
  to.bytes[to.at] = value & 255
  to.bytes[to.at + 1] = value >>> 8
  to.at += 2
}

export const double = (to: Writer, value: number): void => {
  to.at = to.bytes.writeDoubleLE(value, to.at)
}

export const raw = (to: Writer, value: Buffer): void => {
  to.at += value.copy(to.bytes, to.at)
}

/** A text with its length before it. */
export const text = (to: Writer, value: string): void => {
  const start = to.at
  to.at += 2
  const length = to.bytes.write(value, to.at)
  to.at = start
  short(to, length)
  to.at += length
}

/** The doubles of an answer, one after the other. */
export interface Reader {
  readonly answer: Buffer
  at: number
}

export const next = (from: Reader): number => {
  const value = from.answer.readDoubleLE(from.at)
  from.at += 8
  return value
}
