import { Writable } from "node:stream"
import { setImmediate as nextTurn } from "node:timers/promises"
import { describe, expect, it } from "@effect/vitest"
import * as Protocol from "../../../src/warehouse/duckdb/protocol.js"

const read = (parts: ReadonlyArray<Uint8Array>): ReadonlyArray<string> => {
  const texts: Array<string> = []
  const take = Protocol.reader((text) => texts.push(text))
  for (const part of parts) take(part)
  return texts
}

describe("the protocol between the server and the process of DuckDB", () => {
  const message = (sql: string) => ({ _tag: "Parse", id: 7, sql }) as const

  it("reads what was written, in whatever pieces it arrives", () => {
    const messages = ["", "SELECT 'é😀'", "x".repeat(3 * Protocol.MAX_FRAME)].map(message)
    const bytes = Buffer.concat(messages.flatMap(Protocol.frames))
    const expected = messages.map((each) => JSON.stringify(each))
    expect(read([bytes])).toEqual(expected)
    for (const size of [1, 3, 4, 5, 1000, 65_536]) {
      // Byte by byte the longest alone would take minutes.
      const some = size < 1000 ? bytes.subarray(0, bytes.length - 3 * Protocol.MAX_FRAME) : bytes
      const pieces = Array.from({ length: Math.ceil(some.length / size) }, (_, n) =>
        some.subarray(n * size, (n + 1) * size)
      )
      expect(read(pieces)).toEqual(size < 1000 ? expected.slice(0, 2) : expected)
    }
  })

  it("sends all messages of one turn of the event loop in one write, in their order", async () => {
    const writes: Array<Buffer> = []
    const stream = new Writable({
      write: (chunk: Buffer, _, done) => done(void writes.push(chunk)),
      writev: (chunks, done) => done(void writes.push(Buffer.concat(chunks.map(({ chunk }) => chunk))))
    })
    const send = Protocol.writer<Protocol.ToChild>(stream)
    for (const sql of ["a", "b", "x".repeat(2 * Protocol.MAX_FRAME)]) send(message(sql))
    expect(writes).toEqual([])
    await nextTurn()
    expect(writes.length).toBe(1)
    send(message("c"))
    await nextTurn()
    expect(writes.length).toBe(2)
    expect(read(writes)).toEqual(
      ["a", "b", "x".repeat(2 * Protocol.MAX_FRAME), "c"].map((sql) => JSON.stringify(message(sql)))
    )
  })

  it("has no frame that is longer than one may be, and reads none", () => {
    for (const frame of Protocol.frames(message("é".repeat(2 * Protocol.MAX_FRAME)))) {
      expect(frame.length).toBeLessThanOrEqual(4 + Protocol.MAX_FRAME)
    }
    const head = Buffer.alloc(4)
    head.writeUInt32BE(Protocol.MAX_FRAME + 1)
    expect(() => read([head])).toThrow(/longer than/)
  })

  it("does not read messages without an end", () => {
    const frame = Buffer.alloc(4 + Protocol.MAX_FRAME)
    frame.writeUInt32BE((0x8000_0000 | Protocol.MAX_FRAME) >>> 0)
    const take = Protocol.reader(() => undefined)
    expect(() => {
      for (let n = 0; n < 1000; n++) take(frame)
    }).toThrow(/longer than/)
  })

  it("takes nothing from the child that it cannot have meant", () => {
    const valid = '{"_tag":"Rows","id":1,"rows":[[1,null]],"end":true}'
    expect(Protocol.decode(valid)).toEqual({ _tag: "Rows", id: 1, rows: [[1, null]], end: true })
    for (const text of [
      "",
      "{",
      "null",
      '{"_tag":"Other"}',
      valid.replace("[[1,null]]", "[1]"),
      valid.replace('"id":1', '"id":"1"'),
      '{"_tag":"Fail","id":1,"failure":{"reason":"Fun","description":""}}',
      '{"_tag":"Answer","id":1,"columns":[{"name":1}],"rows":[],"end":true}'
    ]) {
      expect(() => Protocol.decode(text), text).toThrow()
    }
  })
})
