import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as FairQueue from "../../../src/platform/core/FairQueue.js"
import { shortOrLong } from "../../utils/long.js"

const unbounded = { maxQueue: 1_000_000, maxQueuePerClient: 1_000_000 }

const fill = (entries: ReadonlyArray<readonly [client: string, weight: number, count: number]>) => {
  const queue = FairQueue.make<string>(unbounded)
  for (const [client, weight, count] of entries)
    for (let i = 1; i <= count; i++) FairQueue.enqueue(queue, client, weight, `${client}${i}`)
  return queue
}

const drain = (queue: FairQueue.FairQueue<string>): Array<string> => {
  const out: Array<string> = []
  for (let next = FairQueue.dequeue(queue); next !== undefined; next = FairQueue.dequeue(queue))
    out.push(next)
  return out
}

describe("taking from some clients only", () => {
  it("passes over the others, which keep their places, and gives each its turn", () => {
    const queue = fill([
      ["evil", 1, 3],
      ["b", 1, 2],
      ["c", 1, 2]
    ])
    const but = (client: string) => client !== "evil"
    const taken = [1, 2, 3, 4, 5].map(() => FairQueue.dequeueFrom(queue, but))
    assert.deepStrictEqual(taken, ["b1", "c1", "b2", "c2", undefined])
    assert.deepStrictEqual(drain(queue), ["evil1", "evil2", "evil3"])
    assert.isUndefined(FairQueue.dequeueFrom(queue, () => true))
  })

  it("is the usual order when all are accepted", () => {
    const lanes: ReadonlyArray<readonly [string, number, number]> = [
      ["a", 2, 5],
      ["b", 1, 3],
      ["c", 3, 4]
    ]
    const queue = fill(lanes)
    const taken = Array.from({ length: 12 }, () => FairQueue.dequeueFrom(queue, () => true))
    assert.deepStrictEqual(taken, drain(fill(lanes)))
  })
})

/** The same rules with arrays, and no regard for time or memory. */
class Model {
  lanes: Array<{ client: string; weight: number; items: Array<number> }> = []
  turnsLeft = 0
  constructor(readonly bounds: FairQueue.Bounds) {}
  get size(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.items.length, 0)
  }
  enqueue(client: string, weight: number, item: number): true | FairQueue.Refusal {
    const lane = this.lanes.find((one) => one.client === client)
    if ((lane?.items.length ?? 0) >= this.bounds.maxQueuePerClient) return "client-queue-full"
    if (this.size >= this.bounds.maxQueue) return "queue-full"
    if (lane !== undefined) {
      lane.items.push(item)
      lane.weight = weight
    } else {
      this.lanes.push({ client, weight, items: [item] })
      if (this.lanes.length === 1) this.turnsLeft = weight
    }
    return true
  }
  dequeue(): number | undefined {
    const first = this.lanes[0]
    if (first === undefined) return undefined
    const item = first.items.shift()
    this.turnsLeft -= 1
    if (first.items.length === 0 || this.turnsLeft === 0) {
      this.lanes.shift()
      if (first.items.length > 0) this.lanes.push(first)
      this.turnsLeft = this.lanes[0]?.weight ?? 0
    }
    return item
  }
  cancel(item: number): boolean {
    const index = this.lanes.findIndex((lane) => lane.items.includes(item))
    const lane = this.lanes[index]
    if (lane === undefined) return false
    lane.items = lane.items.filter((other) => other !== item)
    if (lane.items.length === 0) {
      this.lanes.splice(index, 1)
      if (index === 0) this.turnsLeft = this.lanes[0]?.weight ?? 0
    }
    return true
  }
}

const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant("enqueue" as const),
      client: fc.constantFrom("a", "b", "c", "d"),
      weight: fc.integer({ min: 1, max: 3 })
    })
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("dequeue" as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("cancel" as const), item: fc.nat(60) }) }
)

describe("FairQueue", () => {
  it("serves one client in the order of arrival", () => {
    assert.deepStrictEqual(drain(fill([["a", 1, 4]])), ["a1", "a2", "a3", "a4"])
  })

  it("takes turns between clients, however many places one of them has taken", () => {
    assert.deepStrictEqual(
      drain(
        fill([
          ["a", 1, 4],
          ["b", 1, 1],
          ["c", 1, 2]
        ])
      ),
      ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]
    )
  })

  it("gives a client as many turns in a row as it weighs", () => {
    assert.deepStrictEqual(
      drain(
        fill([
          ["a", 2, 4],
          ["b", 1, 3]
        ])
      ),
      ["a1", "a2", "b1", "a3", "a4", "b2", "b3"]
    )
  })

  it("puts a newcomer behind all other clients, but not behind all of their tickets", () => {
    const queue = fill([
      ["a", 1, 3],
      ["b", 1, 3]
    ])
    assert.strictEqual(FairQueue.dequeue(queue), "a1")
    FairQueue.enqueue(queue, "n", 1, "n1")
    assert.deepStrictEqual(drain(queue), ["b1", "a2", "n1", "b2", "a3", "b3"])
  })

  it("takes a cancelled ticket out of the middle, once", () => {
    const queue = FairQueue.make<string>(unbounded)
    const tickets = ["a1", "a2", "a3"].map((value) => FairQueue.enqueue(queue, "a", 1, value))
    const second = tickets[1]
    assert.ok(typeof second === "object")
    assert.isTrue(FairQueue.cancel(queue, second))
    assert.isFalse(FairQueue.cancel(queue, second))
    assert.deepStrictEqual(drain(queue), ["a1", "a3"])
    assert.isFalse(FairQueue.cancel(queue, second))
  })

  it("refuses a client with too many places by its own name, and all clients when it is full", () => {
    const queue = FairQueue.make<number>({ maxQueue: 3, maxQueuePerClient: 2 })
    FairQueue.enqueue(queue, "a", 1, 1)
    FairQueue.enqueue(queue, "a", 1, 2)
    assert.strictEqual(FairQueue.enqueue(queue, "a", 1, 3), "client-queue-full")
    FairQueue.enqueue(queue, "b", 1, 4)
    assert.strictEqual(FairQueue.enqueue(queue, "b", 1, 5), "queue-full")
    assert.strictEqual(FairQueue.enqueue(queue, "a", 1, 6), "client-queue-full")
    assert.strictEqual(queue.size, 3)
  })

  it("knows how many would be served before a newcomer", () => {
    const queue = fill([
      ["a", 1, 5],
      ["b", 1, 5]
    ])
    assert.strictEqual(FairQueue.ahead(queue, "n"), 2)
    assert.strictEqual(FairQueue.ahead(queue, "a"), 10)
    FairQueue.enqueue(queue, "n", 1, "n1")
    assert.strictEqual(drain(queue).indexOf("n1"), 2)
    assert.strictEqual(FairQueue.ahead(queue, "n"), 0)
  })

  it.prop(
    "does what a plain model with arrays does, and keeps no lane without tickets",
    [fc.array(command, { maxLength: 120 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 8 })],
    ([commands, maxQueue, maxQueuePerClient]) => {
      const bounds = { maxQueue, maxQueuePerClient }
      const queue = FairQueue.make<number>(bounds)
      const model = new Model(bounds)
      const tickets: Array<FairQueue.Ticket<number> | undefined> = []
      for (const one of commands) {
        if (one.op === "enqueue") {
          const item = tickets.length
          const ticket = FairQueue.enqueue(queue, one.client, one.weight, item)
          const expected = model.enqueue(one.client, one.weight, item)
          assert.strictEqual(typeof ticket === "string" ? ticket : true, expected)
          tickets.push(typeof ticket === "string" ? undefined : ticket)
        } else if (one.op === "dequeue") {
          assert.strictEqual(FairQueue.dequeue(queue), model.dequeue())
        } else {
          const ticket = tickets[one.item]
          if (ticket !== undefined)
            assert.strictEqual(FairQueue.cancel(queue, ticket), model.cancel(one.item))
        }
        assert.strictEqual(queue.size, model.size)
        assert.deepStrictEqual(
          FairQueue.waiting(queue),
          model.lanes.map(({ client, items }) => [client, items.length] as const)
        )
        assert.strictEqual(queue.lanes.size, model.lanes.length)
      }
      for (let next = model.dequeue(); next !== undefined; next = model.dequeue())
        assert.strictEqual(FairQueue.dequeue(queue), next)
      assert.strictEqual(FairQueue.dequeue(queue), undefined)
      assert.strictEqual(queue.lanes.size, 0)
    },
    { fastCheck: { numRuns: shortOrLong(100, 500) } }
  )

  it.prop(
    "never makes a waiting client wait for more than one turn in a row of each other client",
    [
      fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 12 })), {
        minLength: 2,
        maxLength: 6
      })
    ],
    ([lanes]) => {
      const queue = fill(lanes.map(([weight, count], index) => [`${"abcdef"[index]}`, weight, count]))
      const order = drain(queue).map((item) => item[0])
      lanes.forEach(([weight, count], index) => {
        const client = "abcdef"[index]
        const others = lanes.reduce((sum, [other], at) => (at === index ? sum : sum + other), 0)
        const turns = order.flatMap((served, at) => (served === client ? [at] : []))
        assert.strictEqual(turns.length, count)
        for (let turn = weight; turn < turns.length; turn++)
          assert.isAtMost((turns[turn] ?? 0) - (turns[turn - weight] ?? 0), weight + others)
      })
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it("enqueues, cancels and drains 100,000 tickets in linear time", () => {
    const queue = FairQueue.make<number>(unbounded)
    const tickets = Array.from({ length: 100_000 }, (_, i) => FairQueue.enqueue(queue, `c${i % 1000}`, 1, i))
    tickets.forEach((ticket, i) => {
      if (typeof ticket === "object" && i % 2 === 0) FairQueue.cancel(queue, ticket)
    })
    let served = 0
    while (FairQueue.dequeue(queue) !== undefined) served += 1
    assert.strictEqual(served, 50_000)
  })
})
