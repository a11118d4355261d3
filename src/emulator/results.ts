/**
 * A result as it is kept and sent: the first rows in the answer itself, the rest in gzipped chunks.
 */
import { gunzipSync, gzipSync } from "node:zlib"
import type { WireColumn, WireRow } from "./wire.js"

interface Chunk {
  /** Gzipped JSON rows with commas between them and no brackets around them. */
  readonly gzip: Uint8Array
  readonly rows: number
  readonly uncompressed: number
}

export interface Rows {
  readonly _tag: "Rows"
  readonly columns: ReadonlyArray<WireColumn>
  readonly inline: ReadonlyArray<WireRow>
  readonly chunks: ReadonlyArray<Chunk>
  readonly total: number
  readonly typeId: number
}

export interface Sizes {
  /** Rows in the answer itself. */
  readonly inlineRows: number
  /** Rows in a chunk. */
  readonly chunkRows: number
  /** Bytes in a chunk, unpacked; rows alone decide when absent. */
  readonly chunkBytes?: number | undefined
}

/**
 * Collects rows; chunks are packed as they fill up.
 */
export const builder = (columns: ReadonlyArray<WireColumn>, typeId: number, sizes: Sizes) => {
  const inline: Array<WireRow> = []
  const chunks: Array<Chunk> = []
  const { chunkBytes = Number.POSITIVE_INFINITY, chunkRows, inlineRows } = sizes
  let open: Array<string> = []
  let openBytes = 0
  let total = 0

  const pack = () => {
    if (open.length === 0) return
    const text = Buffer.from(open.join(","))
    chunks.push({ gzip: gzipSync(text, { level: 1 }), rows: open.length, uncompressed: text.length })
    open = []
    openBytes = 0
  }

  const push = (row: string) => {
    open.push(row)
    openBytes += row.length
    if (open.length >= chunkRows || openBytes >= chunkBytes) pack()
  }

  return {
    add: (rows: ReadonlyArray<WireRow>): void => {
      for (const row of rows) {
        total++
        if (inline.length < inlineRows) inline.push(row)
        else push(JSON.stringify(row))
      }
    },
    build: (): Rows => {
      pack()
      return { _tag: "Rows", columns, inline, chunks, total, typeId }
    }
  }
}

/**
 * All rows as one JSON text.
 */
export const allJson = (rows: Rows): string =>
  `[${[
    ...rows.inline.map((row) => JSON.stringify(row)),
    ...rows.chunks.map((chunk) => gunzipSync(chunk.gzip).toString("utf8"))
  ].join(",")}]`

/**
 * Bytes that a kept result takes, about.
 */
export const weight = (rows: Rows): number =>
  rows.inline.length * (rows.columns.length + 1) * 24 +
  rows.chunks.reduce((sum, chunk) => sum + chunk.gzip.byteLength, 0)
