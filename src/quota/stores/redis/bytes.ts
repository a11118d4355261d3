/** Numbers and texts in a row, little endian, as the scripts read and write them. */

/** A buffer that grows; `at` is where the next value goes. */
export interface Writer {
  bytes: Buffer
  view: DataView
  at: number
}

const FIRST_BYTES = 16_384

const viewOf = ({ buffer, byteLength, byteOffset }: Buffer): DataView =>
  new DataView(buffer, byteOffset, byteLength)

export const make = (): Writer => {
  const bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  return { bytes, view: viewOf(bytes), at: 0 }
}

/** To be said before anything is written: so many bytes will be, at most. */
export const room = (to: Writer, bytes: number): void => {
  if (to.at + bytes <= to.bytes.length) return
  const larger = Buffer.allocUnsafeSlow(2 * (to.at + bytes))
  to.bytes.copy(larger, 0, 0, to.at)
  to.bytes = larger
  to.view = viewOf(larger)
}

export const byte = (to: Writer, value: number): void => {
  to.view.setUint8(to.at, value)
  to.at += 1
}

export const short = (to: Writer, value: number): void => {
  to.view.setUint16(to.at, value, true)
  to.at += 2
}

export const double = (to: Writer, value: number): void => {
  to.view.setFloat64(to.at, value, true)
  to.at += 8
}

export const raw = (to: Writer, value: Buffer): void => {
  to.at += value.copy(to.bytes, to.at)
}

/** A text with its length before it. */
export const text = (to: Writer, value: string): void => {
  const length = to.bytes.write(value, to.at + 2)
  short(to, length)
  to.at += length
}

/** Writes at `position` how many bytes have been written since. */
export const lengthAt = (to: Writer, position: number): void => {
  to.view.setUint16(position, to.at - position - 2, true)
}

/** The doubles of an answer, one after the other. */
export interface Reader {
  readonly view: DataView
  at: number
}

export const read = (answer: Buffer): Reader => ({ view: viewOf(answer), at: 0 })

export const next = (from: Reader): number => {
  const value = from.view.getFloat64(from.at, true)
  from.at += 8
  return value
}
