import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import { contentOf, linesOf } from "../../../src/warehouse/duckdb/content.js"

const folder = mkdtempSync(join(tmpdir(), "snowguard-content-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const text = Array.from({ length: 200_000 }, (_, n) => `${n},x\r\n`).join("")
const at = (name: string) => join(folder, name)

beforeAll(() => {
  const packed = gzipSync(text)
  mkdirSync(at("directory.csv.gz"))
  mkdirSync(at("directory.csv"))
  writeFileSync(at("plain.csv"), text)
  writeFileSync(at("packed.csv.gz"), packed)
  writeFileSync(at("cut.csv.gz"), packed.subarray(0, packed.length / 2))
  writeFileSync(at("no.csv.gz"), "a,b\n")
})

const all = async (values: AsyncIterable<unknown>): Promise<ReadonlyArray<unknown>> => {
  const read: Array<unknown> = []
  for await (const value of values) read.push(value)
  return read
}

const codeOf = (values: AsyncIterable<unknown>): Promise<unknown> =>
  all(values).then(
    () => "none",
    (error: NodeJS.ErrnoException) => error.code
  )

const isOpen = (path: string): boolean =>
  readdirSync("/proc/self/fd").some((fd) => {
    try {
      return readlinkSync(join("/proc/self/fd", fd)) === path
    } catch {
      return false
    }
  })

describe("the content of a file", () => {
  it.each(["plain.csv", "packed.csv.gz"])("is read to its end: %s", async (name) => {
    const lines = await all(linesOf(at(name)))
    assert.deepStrictEqual([lines.length, lines[1], lines.at(-1)], [200_000, "1,x", "199999,x"])
    assert.strictEqual(Buffer.concat((await all(contentOf(at(name)))) as Array<Buffer>).toString(), text)
  })

  it.each([
    ["directory.csv.gz", "EISDIR"],
    ["directory.csv", "EISDIR"],
    ["missing.csv.gz", "ENOENT"],
    ["missing.csv", "ENOENT"],
    ["cut.csv.gz", "Z_BUF_ERROR"],
    ["no.csv.gz", "Z_DATA_ERROR"]
  ])("that cannot be read fails for its reader alone: %s", async (name, code) => {
    assert.strictEqual(await codeOf(contentOf(at(name))), code)
    assert.strictEqual(await codeOf(linesOf(at(name))), code)
  })

  it.each(["plain.csv", "packed.csv.gz"])("is closed where its reader ends early: %s", async (name) => {
    for (const read of [contentOf, linesOf]) {
      for await (const _ of read(at(name))) {
        assert.isTrue(isOpen(at(name)))
        break
      }
      // A file is closed by a thread of its own.
      while (isOpen(at(name))) await setImmediate()
    }
  })
})
