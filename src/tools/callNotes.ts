/**
 * What becomes known of a call on its way, for the records that are written when it has ended.
 *
 * One object for each call, in the context of its fiber. A call whose answer another call's fiber makes
 * (a look-up that several wait for) keeps what it knew itself.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { WouldRefuse } from "../guard/Call.js"
import type * as Metered from "../guard/Metered.js"
import type * as Metering from "../observe/Metering.js"
import type { Progress } from "../observe/RunningCalls.js"
import type { RanAs } from "../warehouse/Warehouse.js"

interface Part {
  readonly statement: string
  readonly queryId?: string
  readonly rows: number
  readonly bytes: number
}

interface Notes {
  readonly statement: string | undefined
  readonly queryId: string | undefined
  /** Undefined while nothing was read. */
  readonly rows: number | undefined
  readonly bytes: number | undefined
  /** The user and the role of the last session that it had. */
  readonly ranAs: RanAs | undefined
  /** Limits that are observed and would have refused it; undefined where none would. */
  readonly wouldRefuse: ReadonlyArray<WouldRefuse> | undefined
}

export class CallNotes {
  private text: string | undefined
  private readonly parts: Array<Part | undefined> = []
  private hasLeft = false
  private arrived = 0
  private who: RanAs | undefined
  private would: ReadonlyArray<WouldRefuse> | undefined
  private readonly records: Array<Metered.Recording> = []
  /** Guarded operations that have not ended. */
  private open = 0
  private onEnd: Effect.Effect<void> = Effect.void

  /** `keepsLimits`: what the call does with its limits is to be known. */
  constructor(private readonly keepsLimits = true) {}

  /** The statement as the caller wrote it; what is really sent takes its place. */
  asked(statement: string): void {
    this.text = statement
  }

  /** Another attempt sends the same part again: the last one counts. */
  sent(part: number, statement: string): void {
    this.parts[part] = { statement, rows: 0, bytes: 0 }
  }

  readonly runsAs = (who: RanAs): void => {
    this.who = who
  }

  readonly observed = (would: WouldRefuse): void => {
    this.would = [...(this.would ?? []), would]
  }

  private readonly sink: Metered.Sink = {
    begin: (record) =>
      Effect.sync(() => {
        this.open += 1
        this.records.push(record)
      }),
    end: Effect.suspend(() => {
      this.open -= 1
      return this.open === 0 ? this.onEnd : Effect.void
    })
  }

  get metered(): Metered.Sink | undefined {
    return this.keepsLimits ? this.sink : undefined
  }

  /** What the call did with its limits, and is not written yet. */
  limits(): ReadonlyArray<Metering.Operation> {
    return this.records.flatMap((record) => record.take())
  }

  /** No operation of the call is under way. */
  get hasSettled(): boolean {
    return this.open === 0
  }

  /** Runs whenever no operation of the call is under way any more; at once where that is so. */
  whenSettled(then: Effect.Effect<void>): Effect.Effect<void> {
    this.onEnd = then
    return this.open === 0 ? then : Effect.void
  }

  /** From here on the warehouse may be working on it. */
  submitted(): void {
    this.hasLeft = true
  }

  get wasSubmitted(): boolean {
    return this.hasLeft
  }

  /** Rows that came in, of whatever statement. */
  reading(rows: number): void {
    this.arrived += rows
  }

  get progress(): Progress {
    return { sent: this.hasLeft, rows: this.arrived, statement: this.parts[0]?.statement ?? this.text }
  }

  received(part: number, got: { readonly queryId: string; readonly rows: number; readonly bytes: number }) {
    this.parts[part] = { statement: this.parts[part]?.statement ?? "", ...got }
  }

  get all(): Notes {
    const parts = this.parts.filter((part) => part !== undefined)
    const sum = (of: (part: Part) => number) =>
      parts.length === 0 ? undefined : parts.reduce((total, part) => total + of(part), 0)
    return {
      statement: parts[0]?.statement ?? this.text,
      queryId: parts[0]?.queryId,
      rows: sum((part) => part.rows),
      bytes: sum((part) => part.bytes),
      ranAs: this.who,
      wouldRefuse: this.would
    }
  }
}

/** One for all calls of tools outside of a server: nothing gathers in it. */
class UnreadNotes extends CallNotes {
  override readonly observed = (): void => {}

  constructor() {
    super(false)
  }
}

/** The notes of the current call; outside of one, notes that are not read. */
export class CurrentNotes extends Context.Reference<CurrentNotes>()("snowguard/CallNotes", {
  defaultValue: (): CallNotes => new UnreadNotes()
}) {}
