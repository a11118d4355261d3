/** CPU per call that is let through, and per call that is refused. */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { Case, Samples } from "./harness.js"
import { interleaved } from "./harness.js"
import { cockatielStack, cockatielUntimed, limiters, opossumStack } from "./peers.js"
import type { Started } from "./stack.js"
import { byClients, clients, operation, sent, start, times, unsent } from "./stack.js"

const WIDTH = 64
const keys = clients(WIDTH)

const repeat = async (ops: number, call: () => Promise<unknown>): Promise<void> => {
  for (let i = 0; i < ops; i++) await call()
}

/** `WIDTH` loops at once. */
const wide = (ops: number, call: (key: string) => Promise<unknown>): Promise<unknown> =>
  Promise.all(keys.map((key) => repeat(Math.ceil(ops / WIDTH), () => call(key))))

const nothing = async (): Promise<void> => {}

const guardCases = ({ guard, runtime }: Started, ops: number): ReadonlyArray<Case> => {
  const run = Runtime.runPromise(runtime)
  const call = () => guard.run(operation, sent)
  return [
    { name: "guard, in a fiber", ops, run: (n) => run(times(n, call)) },
    {
      name: "guard, in a fiber, nothing sent",
      ops,
      run: (n) => run(times(n, () => guard.run(operation, unsent)))
    },
    { name: "guard, 64 fibers", ops, run: (n) => run(byClients(WIDTH, n, call)) },
    { name: "guard, runPromise", ops, run: (n) => repeat(n, () => run(call())) },
    { name: "guard, runPromise, 64 at once", ops, run: (n) => wide(n, () => run(call())) }
  ]
}

const peerCases = (ops: number): { readonly cases: ReadonlyArray<Case>; readonly stop: () => void } => {
  const peers = {
    "rlf x4 + cockatiel": cockatielStack(nothing),
    "rlf x4 + cockatiel, no time limit": cockatielUntimed(nothing),
    "rlf x4 + opossum": opossumStack(nothing)
  }
  return {
    cases: Object.entries(peers).flatMap(([name, { call }]): ReadonlyArray<Case> => [
      { name, ops, run: (n) => repeat(n, () => call("client")) },
      { name: `${name}, 64 at once`, ops, run: (n) => wide(n, call) }
    ]),
    stop: () => Object.values(peers).forEach(({ stop }) => stop())
  }
}

const floors = (ops: number): ReadonlyArray<Case> => [
  { name: "floor: async function", ops: ops * 10, run: (n) => repeat(n, nothing) },
  {
    name: "floor: Effect, in a fiber",
    ops: ops * 10,
    run: (n) => Effect.runPromise(times(n, () => Effect.void))
  },
  { name: "floor: Effect, runPromise", ops, run: (n) => repeat(n, () => Effect.runPromise(Effect.void)) }
]

const refusals = ({ guard, runtime }: Started, ops: number): ReadonlyArray<Case> => {
  const run = Runtime.runPromise(runtime)
  const consume = limiters(1)
  const refused = Effect.matchEffect(
    Effect.suspend(() => guard.run(operation, sent)),
    {
      onFailure: (error) => (error._tag === "RateLimited" ? Effect.void : Effect.die(error)),
      onSuccess: () => Effect.void
    }
  )
  return [
    { name: "refusal, in a fiber", ops, run: (n) => run(times(n, () => refused)) },
    {
      name: "refusal, rate-limiter-flexible",
      ops,
      run: (n) => repeat(n, () => consume("client").catch(() => {}))
    }
  ]
}

export const measureCost = async (rounds: number, ops: number): Promise<Samples> => {
  const open = await start()
  // One token an hour: the first call takes it.
  const shut = await start({ client: { rate: 1 / 3600, burst: 1 } })
  const peers = peerCases(ops / 2)
  try {
    return await interleaved(
      [...floors(ops), ...guardCases(open, ops), ...peers.cases, ...refusals(shut, ops)],
      rounds
    )
  } finally {
    peers.stop()
    await Effect.runPromise(Effect.zipRight(open.stop, shut.stop))
  }
}
