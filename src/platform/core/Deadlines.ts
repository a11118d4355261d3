/**
 * A binary heap of values by time. A value that no longer matters is dropped when its time comes.
 *
 * Updated in place: for one owner.
 *
 * @since 0.1.0
 */

interface Entry<A> {
  readonly at: number
  readonly value: A
}

/** `heap[i].at <= heap[2 * i + 1].at` and `<= heap[2 * i + 2].at`. */
export type Deadlines<A> = Array<Entry<A>>

export const make = <A>(): Deadlines<A> => []

export const add = <A>(heap: Deadlines<A>, at: number, value: A): void => {
  const entry = { at, value }
  let hole = heap.push(entry) - 1
  while (hole > 0) {
    const parent = (hole - 1) >> 1
    const above = heap[parent]
    if (above === undefined || above.at <= at) break
    heap[hole] = above
    hole = parent
  }
  heap[hole] = entry
}

const sink = <A>(heap: Deadlines<A>, entry: Entry<A>): void => {
  let hole = 0
  for (;;) {
    const left = heap[2 * hole + 1]
    const right = heap[2 * hole + 2]
    if (left === undefined) break
    const rightIsFirst = right !== undefined && right.at < left.at
    const first = rightIsFirst ? right : left
    if (first.at >= entry.at) break
    heap[hole] = first
    hole = rightIsFirst ? 2 * hole + 2 : 2 * hole + 1
  }
  heap[hole] = entry
}

const dropFirst = <A>(heap: Deadlines<A>): void => {
  const last = heap.pop()
  if (last !== undefined && heap.length > 0) sink(heap, last)
}

/** The earliest time of a value that still matters. */
export const earliest = <A>(heap: Deadlines<A>, matters: (value: A) => boolean): number | undefined => {
  for (;;) {
    const first = heap[0]
    if (first === undefined || matters(first.value)) return first?.at
    dropFirst(heap)
  }
}

/** Takes out the values that matter and are due at `now`, earliest first. */
export const takeDue = <A>(
  heap: Deadlines<A>,
  now: number,
  matters: (value: A) => boolean
): ReadonlyArray<A> => {
  const due: Array<A> = []
  for (;;) {
    const first = heap[0]
    if (first === undefined || first.at > now) return due
    if (matters(first.value)) due.push(first.value)
    dropFirst(heap)
  }
}

/** Drops the values that no longer matter. */
export const sweep = <A>(heap: Deadlines<A>, matters: (value: A) => boolean): void => {
  const kept = heap.filter(({ value }) => matters(value))
  heap.length = 0
  for (const { at, value } of kept) add(heap, at, value)
}
