/**
 * The last samples of a fixed set of numbers: a ring that overwrites the oldest.
 *
 * Invariants
 * 1. At most `capacity` samples are kept, the latest ones, in the order in which they came.
 * 2. Memory is allocated once: `capacity` times one more number than there are columns.
 *
 * Updated in place: its owner must use it linearly.
 *
 * @since 0.1.0
 */
export interface History<Column extends string> {
  readonly columns: ReadonlyArray<Column>
  readonly capacity: number
  /** Row by row: the time, then the columns. */
  readonly cells: Float64Array
  /** Samples that were ever added. */
  added: number
}

export type Sample<Column extends string> = { readonly [K in Column]: number }

export interface Read<Column extends string> {
  readonly at: ReadonlyArray<number>
  readonly values: { readonly [K in Column]: ReadonlyArray<number> }
}

export const make = <Column extends string>(
  columns: ReadonlyArray<Column>,
  capacity: number
): History<Column> => ({
  columns,
  capacity,
  cells: new Float64Array(capacity * (columns.length + 1)),
  added: 0
})

export const add = <Column extends string>(
  history: History<Column>,
  at: number,
  sample: Sample<Column>
): void => {
  const start = (history.added % history.capacity) * (history.columns.length + 1)
  history.cells[start] = at
  history.columns.forEach((column, i) => {
    history.cells[start + 1 + i] = sample[column]
  })
  history.added += 1
}

export const size = <Column extends string>({ added, capacity }: History<Column>): number =>
  Math.min(added, capacity)

/** The latest `atMost` samples, oldest first. */
export const read = <Column extends string>(
  history: History<Column>,
  atMost: number = history.capacity
): Read<Column> => {
  const { added, capacity, cells, columns } = history
  const width = columns.length + 1
  const count = Math.max(0, Math.min(size(history), Math.floor(atMost)))
  const column = (offset: number): ReadonlyArray<number> =>
    Array.from({ length: count }, (_, i) => cells[((added - count + i) % capacity) * width + offset] ?? 0)
  const values = Object.fromEntries(columns.map((name, i) => [name, column(i + 1)]))
  return { at: column(0), values: values as { readonly [K in Column]: ReadonlyArray<number> } }
}
