/**
 * What the server and the child process that runs DuckDB say to each other, over file descriptor 3.
 *
 * ```
 *   server                                   child
 *     |<------------------------------- Ready  the warehouse is open: its databases and schemas
 *     | Execute(id, sql, credits=2) -------->|
 *     |<------------ Answer(id, columns, rows)  the first rows, as soon as they are there
 *     | More(id) ---------------------------->|  one more part may be sent
 *     |<--------------------- Rows(id, rows) |  ... until `end`
 *     | Cancel(id) -------------------------->|
 *     |<------------------------- Ended(id)  |  DuckDB has let go of the statement
 *     | Parse(id, sql) ---------------------->|  the gate's question: what is this text?
 *     |<-------------------- Parsed(id, ...) |
 * ```
 *
 * A message is JSON in one frame or more: four bytes of length (big-endian, at most {@link MAX_FRAME}; the top
 * bit says that the message goes on in the next frame), then UTF-8. Invariants:
 *  - `Execute` and `Parse` are answered exactly once by `Answer` ... `end`, `Fail`, `Parsed` or `Ended`, or the
 *    child dies;
 *  - the child sends no more parts of a statement than it has credits, and is ended if it does: a slow reader holds
 *    the child back, and its rows are not in the server's memory;
 *  - what the child says is checked before it is used: a child whose memory is corrupted can end its statements
 *    and nothing else. JSON is read by V8's parser; structured clones, which run code paths of their own, never.
 *
 * @since 0.1.0
 */
import type { Writable } from "node:stream"
import { setImmediate } from "node:timers"
import * as Schema from "effect/Schema"
import type { Rules } from "../../sql/ObjectRules.js"
import type { Bind, Row } from "../Warehouse.js"
import { Reason } from "../Warehouse.js"

/**
 * Bytes of a frame; a longer message is sent in several.
 *
 * @since 0.1.0
 * @category limits
 */
export const MAX_FRAME = 1024 * 1024
/** A value of Snowflake's largest size with every character escaped. */
const MAX_MESSAGE = 128 * 1024 * 1024

/**
 * Parts of a result that may be under way.
 *
 * @since 0.1.0
 * @category limits
 */
export const CREDITS = 2

/**
 * Statements that run at a time in one child.
 *
 * @since 0.1.0
 * @category limits
 */
export const STATEMENTS = 12

/**
 * What the child writes to stderr, before the number of bytes, when it ends itself for its memory.
 *
 * @since 0.1.0
 * @category limits
 */
export const MEMORY = "snowguard: out of memory at "

const CONTINUES = 0x8000_0000

/**
 * How the child opens its warehouse: its first argument, as JSON.
 *
 * @since 0.1.0
 * @category models
 */
export const Opening = Schema.Struct({
  /** Load the sample database; without it the warehouse is empty. */
  sample: Schema.Boolean,
  /** DuckDB's memory limit, for example `512MB`. */
  memoryLimit: Schema.String,
  threads: Schema.Number,
  /** Bytes of memory at which the child ends itself. */
  processBytes: Schema.Number,
  /** DuckDB files that are databases; the first is where unqualified names are looked up. */
  attached: Schema.Array(
    Schema.Struct({ path: Schema.String, database: Schema.String, comment: Schema.String })
  )
})
/**
 * @since 0.1.0
 * @category models
 */
export type Opening = typeof Opening.Type

/**
 * What a process is to load before the server serves anything: the second argument after `--load`, as JSON. It
 * answers with a {@link Loaded} on stdout, and ends.
 *
 * @since 0.1.0
 * @category models
 */
export const Loading = Schema.Struct({
  ...Opening.pick("memoryLimit", "threads", "processBytes", "attached").fields,
  /** Paths and patterns, absolute. */
  load: Schema.Array(Schema.String),
  /** The DuckDB file to be written. */
  into: Schema.String
})

/**
 * What was loaded, or all that is wrong.
 *
 * @since 0.1.0
 * @category models
 */
export const Loaded = Schema.Struct({
  faults: Schema.Array(
    Schema.Struct({
      path: Schema.String,
      /** From 1. */
      line: Schema.optional(Schema.Number),
      message: Schema.String
    })
  ),
  tables: Schema.Number,
  rows: Schema.Number,
  /** What is not served, and why. */
  notes: Schema.Array(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Execute {
  readonly _tag: "Execute"
  readonly id: number
  readonly sql: string
  readonly binds: ReadonlyArray<Bind>
  readonly database?: string | undefined
  readonly schema?: string | undefined
  readonly timeoutMs: number
  readonly maxRows?: number | undefined
  readonly maxCellBytes?: number | undefined
  readonly objects?: Rules | undefined
}

/**
 * From the server, which the child trusts.
 *
 * @since 0.1.0
 * @category models
 */
export type ToChild =
  | Execute
  | { readonly _tag: "Parse"; readonly id: number; readonly sql: string }
  | { readonly _tag: "More"; readonly id: number }
  | { readonly _tag: "Cancel"; readonly id: number }

// Cells are JSON values, and JSON is what they were read from: a row needs no more than to be a list.
const Rows = Schema.Array(Schema.declare((value): value is Row => Array.isArray(value)))

const Column = Schema.Struct({ name: Schema.String, type: Schema.String, nullable: Schema.Boolean })

/**
 * Why a statement failed: the fields of a `WarehouseError` that the child decides.
 *
 * @since 0.1.0
 * @category models
 */
export const Failure = Schema.Struct({
  reason: Reason,
  description: Schema.String,
  code: Schema.optional(Schema.String),
  sqlState: Schema.optional(Schema.String),
  suggestions: Schema.optional(Schema.Array(Schema.String)),
  /** For the log. */
  detail: Schema.optional(Schema.String)
})

/**
 * What there is to see in the warehouse, without what is in the schemas.
 *
 * @since 0.1.0
 * @category models
 */
export const Names = Schema.Struct({
  createdOn: Schema.String,
  databases: Schema.Array(Schema.Struct({ name: Schema.String, comment: Schema.String })),
  schemas: Schema.Array(
    Schema.Struct({ database: Schema.String, name: Schema.String, comment: Schema.String })
  )
})

/**
 * @since 0.1.0
 * @category models
 */
export const FromChild = Schema.Union(
  Schema.TaggedStruct("Ready", { names: Names }),
  Schema.TaggedStruct("Failed", { message: Schema.String }),
  Schema.TaggedStruct("Answer", {
    id: Schema.Number,
    columns: Schema.Array(Column),
    rows: Rows,
    end: Schema.Boolean
  }),
  Schema.TaggedStruct("Rows", { id: Schema.Number, rows: Rows, end: Schema.Boolean }),
  Schema.TaggedStruct("Fail", { id: Schema.Number, failure: Failure }),
  Schema.TaggedStruct("Parsed", {
    id: Schema.Number,
    /** What `json_serialize_sql` answered, and how many statements the text holds. */
    json: Schema.optional(Schema.String),
    statements: Schema.optional(Schema.Number),
    error: Schema.optional(Schema.String)
  }),
  Schema.TaggedStruct("Ended", { id: Schema.Number })
)
/**
 * @since 0.1.0
 * @category models
 */
export type FromChild = typeof FromChild.Type

/**
 * Fails with a message when the child says what it cannot have been asked.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode: (text: string) => FromChild = Schema.decodeUnknownSync(Schema.parseJson(FromChild))

/**
 * The frames of a message, in order.
 *
 * @since 0.1.0
 * @category encoding
 */
export const frames = (message: ToChild | FromChild): ReadonlyArray<Uint8Array> => {
  const body = Buffer.from(JSON.stringify(message), "utf8")
  const parts: Array<Uint8Array> = []
  for (let at = 0; at < body.length || at === 0; at += MAX_FRAME) {
    const part = body.subarray(at, at + MAX_FRAME)
    const frame = Buffer.allocUnsafe(4 + part.length)
    frame.writeUInt32BE((part.length | (at + MAX_FRAME < body.length ? CONTINUES : 0)) >>> 0, 0)
    frame.set(part, 4)
    parts.push(frame)
  }
  return parts
}

/**
 * Sends messages: all of one turn of the event loop in one write, which costs more than most messages.
 *
 * @since 0.1.0
 * @category encoding
 */
export const writer = <M extends ToChild | FromChild>(
  stream: Pick<Writable, "cork" | "uncork" | "write">
): ((message: M) => void) => {
  let isCorked = false
  return (message) => {
    if (!isCorked) {
      isCorked = true
      stream.cork()
      setImmediate(() => {
        isCorked = false
        stream.uncork()
      })
    }
    for (const frame of frames(message)) stream.write(frame)
  }
}

/**
 * Takes bytes as they arrive and calls `message` with the text of each whole message. Throws when a frame or a
 * message is longer than it may be; nothing can be read after that.
 *
 * @since 0.1.0
 * @category decoding
 */
export const reader = (message: (text: string) => void): ((bytes: Uint8Array) => void) => {
  let pending: Buffer = Buffer.alloc(0)
  let parts: Array<Buffer> = []
  let size = 0
  return (bytes) => {
    pending = pending.length === 0 ? Buffer.from(bytes) : Buffer.concat([pending, bytes])
    let at = 0
    while (pending.length - at >= 4) {
      const head = pending.readUInt32BE(at)
      const length = head & ~CONTINUES
      if (length > MAX_FRAME) throw new Error(`a frame of ${length} bytes is longer than ${MAX_FRAME}`)
      if (pending.length - at - 4 < length) break
      size += length
      if (size > MAX_MESSAGE) throw new Error(`a message is longer than ${MAX_MESSAGE} bytes`)
      parts.push(pending.subarray(at + 4, at + 4 + length))
      at += 4 + length
      if ((head & CONTINUES) !== 0) continue
      const text = (parts.length === 1 ? parts[0]! : Buffer.concat(parts)).toString("utf8")
      parts = []
      size = 0
      message(text)
    }
    pending = pending.subarray(at)
  }
}
