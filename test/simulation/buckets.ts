/** A token every so many whole milliseconds, so that the second books can be exact. */
export const bucket = (intervalMs: number, burst: number, initial = burst) => ({
  rate: 1000 / intervalMs,
  burst,
  initial
})
