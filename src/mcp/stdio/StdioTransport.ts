/**
 * Lines of a pipe <-> messages of one client.
 *
 * ```
 *   stdin --> line --> message --> call? --room--> server
 *               |          |          '--none--> held until there is room
 *               '- refused '- refused: each is answered, and the next line is read
 *   stdout <-- unread <----------------------------- answers
 * ```
 *
 * - Every line that asks for something is answered, also one that is no message; the session goes on. A line
 *   that is too long is not kept: only its id is.
 * - Memory is bounded: there is room for a call while few are in flight and little waits for the client to
 *   read it. Calls that are held wait in their order; what is more than a few megabytes of them stays in the
 *   pipe. Pings and cancellations are never held.
 *
 * @since 0.1.0
 */
import type { Message, SendOptions, Transport } from "../Protocol.js"
import * as Either from "effect/Either"
import type { Readable, Writable } from "node:stream"
// Of this one nothing is timed: it is the end of the turn.
import { setImmediate } from "node:timers"
import { getHeapStatistics } from "node:v8"
import * as JsonScan from "../core/JsonScan.js"
import * as JsonRpc from "../JsonRpc.js"

const MAX_LINE = 10 * 1024 ** 2

/** Of answers that wait for the client to read them; above it no call begins. */
const MAX_UNREAD = 2 * 1024 ** 2

/** Of calls that are held; above it nothing is read. */
const MAX_HELD = MAX_LINE

/** What a call takes at most while its answer is made: its rows, their texts, and the message of both. */
const PER_CALL = 32 * 1024 ** 2

const NEWLINE = 10

/** Methods that run a tool. */
const calls: ReadonlySet<string> = new Set(["tools/call", "resources/read", "completion/complete"])

export interface Options {
  readonly stdin: Readable
  readonly stdout: Writable
  /** The client has said all that it will, and all of it has been handed on. */
  readonly onEnd: () => void
  /** Calls in flight at once; as many as fit into the heap when absent. */
  readonly maxCalls?: number | undefined
}

interface Held {
  readonly id: JsonRpc.Id
  readonly value: Message
  readonly bytes: number
}

export class StdioTransport implements Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: ((message: Message) => void) | undefined

  private readonly maxCalls: number
  /** Of the line that has not ended yet: its pieces, or its id alone. */
  private pieces: Array<Buffer> = []
  private size = 0
  private tooLong: JsonScan.Scan | undefined
  /** Requests without an answer, and which of them are calls. */
  private readonly inFlight = new Map<JsonRpc.Id, boolean>()
  private calls = 0
  private readonly held = new Map<JsonRpc.Id, Held>()
  private heldBytes = 0
  private drained: Promise<void> | undefined
  private isPaused = false
  private hasEnded = false
  private isClosed = false

  constructor(private readonly options: Options) {
    this.maxCalls =
      options.maxCalls ?? Math.max(2, Math.floor(getHeapStatistics().heap_size_limit / PER_CALL))
  }

  start(): Promise<void> {
    const { stdin } = this.options
    stdin.on("data", this.onData).on("end", this.onEnd).on("error", this.onError)
    return Promise.resolve()
  }

  close(): Promise<void> {
    if (this.isClosed) return Promise.resolve()
    this.isClosed = true
    const { stdin } = this.options
    stdin.off("data", this.onData).off("end", this.onEnd).off("error", this.onError)
    // Others may read there too.
    if (stdin.listenerCount("data") === 0) stdin.pause()
    for (const id of this.held.keys()) {
      this.refuse(-32000, "This server is shutting down; the call was not begun.", id)
    }
    this.held.clear()
    this.onclose?.()
    return Promise.resolve()
  }

  send(message: Message, _options?: SendOptions): Promise<void> {
    if (!("method" in message) && message.id !== undefined) this.settle(String(message.id))
    return this.write(JsonRpc.text(message))
  }

  private readonly onError = (error: Error): void => this.onerror?.(error)

  private readonly onData = (chunk: Buffer): void => {
    let rest = chunk
    for (let at = rest.indexOf(NEWLINE); at !== -1; at = rest.indexOf(NEWLINE)) {
      this.append(rest.subarray(0, at))
      this.endOfLine()
      rest = rest.subarray(at + 1)
    }
    this.append(rest)
    this.look()
  }

  private readonly onEnd = (): void => {
    // A last line needs no line end.
    this.endOfLine()
    // What was handed on is a call in flight one turn later, and is waited for as one.
    setImmediate(() => {
      this.hasEnded = true
      this.look()
    })
  }

  private append(piece: Buffer): void {
    this.size += piece.length
    if (this.tooLong === undefined && this.size > MAX_LINE) {
      this.tooLong = JsonScan.make()
      for (const one of this.pieces) this.tooLong.push(one)
      this.pieces = []
    }
    if (this.tooLong !== undefined) this.tooLong.push(piece)
    else if (piece.length > 0) this.pieces.push(piece)
  }

  private endOfLine(): void {
    const { pieces, tooLong } = this
    this.pieces = []
    this.size = 0
    this.tooLong = undefined
    if (tooLong === undefined) return this.line(Buffer.concat(pieces))
    this.refuse(-32600, `A message may be of ${MAX_LINE} bytes at most.`, tooLong.id())
  }

  private line(line: Buffer): void {
    if (line.every((byte) => byte === 32 || byte === 9 || byte === 13)) return
    const document = JsonRpc.parse(line)
    if (Either.isLeft(document)) {
      const { description, reason } = document.left
      if (reason === "not-json") return this.refuse(-32700, description, undefined)
      return this.refuse(reason === "not-utf8" ? -32700 : -32600, description, JsonScan.idOf(line))
    }
    const read = JsonRpc.read(document.right)
    if (Either.isRight(read)) return this.message(read.right, line.length)
    const { batch = [], code, id, isNotification, message } = read.left
    if (isNotification) return this.onerror?.(new Error(message))
    if (batch.length === 0) {
      // As it was written: a number that is too large is not what was parsed of it.
      return this.refuse(code, message, id === undefined ? undefined : JsonScan.idOf(line))
    }
    for (const one of batch) this.refuse(code, message, one)
  }

  private message({ id, method, value }: JsonRpc.Message, bytes: number): void {
    if (id === undefined) {
      const cancels = JsonRpc.cancels(value)
      if (cancels === undefined) return this.onmessage?.(value)
      return cancels.id === undefined ? undefined : this.cancel(cancels.id, cancels.reason)
    }
    if (this.inFlight.has(id) || this.held.has(id)) {
      return this.refuse(-32600, "A request with this id is still in flight.", id)
    }
    if (method === undefined || !calls.has(method)) return this.begin(id, value, false)
    if (this.held.size === 0 && this.hasRoom()) return this.begin(id, value, true)
    this.held.set(id, { id, value, bytes })
    this.heldBytes += bytes
  }

  private begin(id: JsonRpc.Id, value: Message, isCall: boolean): void {
    this.inFlight.set(id, isCall)
    if (isCall) this.calls += 1
    this.onmessage?.(value)
  }

  private cancel(id: JsonRpc.Id, reason: string): void {
    const held = this.held.get(id)
    if (held !== undefined) return this.release(held)
    if (!this.inFlight.has(id)) return
    this.onmessage?.(JsonRpc.cancelled(id, reason))
    this.settle(id)
  }

  private settle(id: JsonRpc.Id): void {
    if (this.inFlight.get(id) === true) this.calls -= 1
    this.inFlight.delete(id)
    this.look()
  }

  private release(held: Held): void {
    this.held.delete(held.id)
    this.heldBytes -= held.bytes
  }

  private hasRoom(): boolean {
    return this.calls < this.maxCalls && this.options.stdout.writableLength <= MAX_UNREAD
  }

  /** Begins what there is room for, and reads on if there is. */
  private look(): void {
    if (this.isClosed) return
    for (const held of this.held.values()) {
      if (!this.hasRoom()) break
      this.release(held)
      this.begin(held.id, held.value, true)
    }
    const { onEnd, stdin, stdout } = this.options
    if (this.hasEnded && this.held.size === 0) return onEnd()
    // Refusals and pings are answered at once, and have to be read as well.
    const mustPause = this.heldBytes > MAX_HELD || stdout.writableLength > MAX_UNREAD
    if (mustPause === this.isPaused) return
    this.isPaused = mustPause
    if (mustPause) stdin.pause()
    else stdin.resume()
  }

  private refuse(code: number, message: string, id: JsonRpc.Id | undefined): void {
    this.onerror?.(new Error(message))
    void this.write(JsonRpc.errorText(code, message, id))
  }

  /**
   * What is written in one turn of the event loop leaves in one piece: a system call each costs more than the answers.
   * One listener for all that wait: one for each would be as many as the client has calls.
   */
  private write(text: string): Promise<void> {
    const { stdout } = this.options
    if (stdout.writableCorked === 0) {
      stdout.cork()
      setImmediate(() => stdout.uncork())
    }
    // As bytes they are outside of the heap.
    if (stdout.write(Buffer.from(`${text}\n`))) return Promise.resolve()
    return (this.drained ??= new Promise((resolve) => {
      stdout.once("drain", () => {
        this.drained = undefined
        this.look()
        resolve()
      })
    }))
  }
}
