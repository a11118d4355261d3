/**
 * What is due next: a binary heap of values by time. A value that no longer matters is not searched
 * for but passed over when its time comes, or swept out when most of the heap is like it.
 *
 * Updated in place, like the queue it goes with: whoever owns it must use it linearly.
 *
 * @since 0.1.0
 */

interface Entry<A> {
  readonly at: number
  readonly value: A
}

export interface Deadlines<A> {
  /** `heap[i].at <= heap[2 * i + 1].at` and `<= heap[2 * i + 2].at`. */
  heap: Array<Entry<A>>
}

export const make = <A>(): Deadlines<A> => ({ heap: [] })

export const size = <A>(self: Deadlines<A>): number => self.heap.length

const rise = <A>(heap: Array<Entry<A>>, entry: Entry<A>): void => {
  let hole = heap.push(entry) - 1
  while (hole > 0) {
    const parent = (hole - 1) >> 1
    const above = heap[parent]
    if (above === undefined || above.at <= entry.at) break
    heap[hole] = above
    hole = parent
  }
  heap[hole] = entry
}

const sink = <A>(heap: Array<Entry<A>>, entry: Entry<A>): void => {
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

export const add = <A>(self: Deadlines<A>, at: number, value: A): void => rise(self.heap, { at, value })

/** The earliest time of a value that still matters; those that do not are dropped on the way. */
export const earliest = <A>(self: Deadlines<A>, matters: (value: A) => boolean): number | undefined => {
  for (;;) {
    const top = self.heap[0]
    if (top === undefined || matters(top.value)) return top?.at
    dropTop(self.heap)
  }
}

const dropTop = <A>(heap: Array<Entry<A>>): void => {
  const last = heap.pop()
  if (last !== undefined && heap.length > 0) sink(heap, last)
}

/** Takes out one value that matters and is due at `now`. */
export const takeDue = <A>(
  self: Deadlines<A>,
  now: number,
  matters: (value: A) => boolean
): A | undefined => {
  const at = earliest(self, matters)
  const top = self.heap[0]
  if (at === undefined || top === undefined || at > now) return undefined
  dropTop(self.heap)
  return top.value
}

/** Keeps only what matters. Linear; worth it when most of the heap does not. */
export const compact = <A>(self: Deadlines<A>, matters: (value: A) => boolean): void => {
  // A sorted array is a heap.
  self.heap = self.heap.filter((entry) => matters(entry.value)).sort((a, b) => a.at - b.at)
}
