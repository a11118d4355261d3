import * as Effect from "effect/Effect"

type Method = (this: object, ...args: Array<unknown>) => unknown

/** The functions of an operation are its instructions. */
const codeOf = (op: unknown): string => {
  if (typeof op !== "object" || op === null) return ""
  for (const name of ["effect_instruction_i1", "effect_instruction_i0", "commit"]) {
    const found: unknown = Reflect.get(op, name)
    if (typeof found === "function") return found.toString().replace(/\s+/g, " ").slice(0, 160)
  }
  return ""
}

const none = () => ({
  fibers: 0,
  loops: 0,
  ops: 0,
  byOp: new Map<string, number>(),
  byCode: new Map<string, number>()
})

/**
 * Counts from now on what Effect's runtime does in this process: fibers, entries of the run loop and operations, and
 * with BENCH_CALL_CODE the function of each operation by the beginning of its text. The probe reads it.
 */
export const countRuntime = (): void => {
  let counts = none()
  const seen = new WeakSet<object>()
  const add = (to: Map<string, number>, key: string) => to.set(key, (to.get(key) ?? 0) + 1)
  const prototype: { [name: string]: unknown } = Object.getPrototypeOf(Effect.runFork(Effect.void))

  const patch = (name: string, before: (self: object, args: ReadonlyArray<unknown>) => void) => {
    const method = prototype[name] as Method
    prototype[name] = function (this: object, ...args: Array<unknown>) {
      before(this, args)
      return method.apply(this, args)
    }
  }

  patch("evaluateEffect", (self) => {
    if (seen.has(self)) return
    seen.add(self)
    counts.fibers += 1
  })
  patch("runLoop", () => (counts.loops += 1))
  const withCode = process.env["BENCH_CALL_CODE"] !== undefined
  // The methods that are named as the runtime's op codes, and those alone, begin with a capital letter.
  for (const name of Object.getOwnPropertyNames(prototype).filter((one) => /^[A-Z][A-Za-z]+$/.test(one))) {
    patch(name, (_, [op]) => {
      counts.ops += 1
      add(counts.byOp, name)
      if (withCode) add(counts.byCode, `${name} ${codeOf(op)}`)
    })
  }

  Reflect.set(globalThis, "countsOfTheRuntime", () => {
    const { byCode, byOp, ...rest } = counts
    counts = none()
    return { ...rest, byOp: Object.fromEntries(byOp), byCode: Object.fromEntries(byCode) }
  })
}
