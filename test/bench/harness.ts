/**
 * Measures cases beside each other on a machine that is shared and noisy: every round collects garbage and runs every
 * case once, in a new order. Reported are medians over rounds, to be compared within one run only.
 *
 * Each case runs for a while before it is measured: a full collection makes V8 drop optimized code, which a server pays
 * for once in a while and not with every call. Node is run with `--no-flush-bytecode` for the same reason.
 */

/** Runs the operation `ops` times. */
export type Run = (ops: number) => Promise<unknown>

export interface Case {
  readonly name: string
  readonly ops: number
  readonly run: Run
}

/** Nanoseconds per operation. */
export interface Sample {
  /** Of all threads of the process, its garbage collection included. */
  readonly cpu: number
  readonly wall: number
}

export type Samples = ReadonlyMap<string, ReadonlyArray<Sample>>

export const collectGarbage = (): void => {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc")
  globalThis.gc()
}

export const quantile = (numbers: ReadonlyArray<number>, q: number): number => {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

export const median = (numbers: ReadonlyArray<number>): number => quantile(numbers, 0.5)

export const shuffled = <A>(items: ReadonlyArray<A>): Array<A> => {
  const result = [...items]
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[result[i], result[j]] = [result[j]!, result[i]!]
  }
  return result
}

const measure = async ({ ops, run }: Case): Promise<Sample> => {
  await run(Math.ceil(ops / 3))
  const cpuBefore = process.cpuUsage()
  const wallBefore = process.hrtime.bigint()
  await run(ops)
  const wall = Number(process.hrtime.bigint() - wallBefore)
  const { system, user } = process.cpuUsage(cpuBefore)
  return { cpu: ((user + system) * 1000) / ops, wall: wall / ops }
}

const WARM_UP_ROUNDS = 3

export const interleaved = async (cases: ReadonlyArray<Case>, rounds: number): Promise<Samples> => {
  const samples = new Map<string, Array<Sample>>(cases.map(({ name }) => [name, []]))
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    collectGarbage()
    for (const one of shuffled(cases)) {
      const sample = await measure(one)
      if (round >= 0) samples.get(one.name)?.push(sample)
    }
  }
  return samples
}

/** Median CPU nanoseconds per operation. */
export const cpuOf = (samples: Samples, name: string): number =>
  median((samples.get(name) ?? []).map(({ cpu }) => cpu))

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits))
