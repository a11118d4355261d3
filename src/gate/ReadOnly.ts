/**
 * PORT: decides whether a caller's SQL is one read statement, fail-closed. What is executed and logged
 * is the canonical text of the verdict, never the caller's.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { lazyService } from "../platform/lazily.js"
import type { Masking, Reads, Table } from "../sql/MaskRules.js"
import type { Rules } from "../sql/ObjectRules.js"

/**
 * What a tier may use beyond plain reads of the built-in kind.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policy {
  /** Functions allowed in addition to the built-in list, upper case, qualified names as `DB.SCH.F`. */
  readonly allowFunctions: ReadonlyArray<string>
  /** Appended as `LIMIT n` where the statement has no limit of its own and that is safe. */
  readonly appendLimit?: number | undefined
  /** Which databases, schemas and tables may be named; all of them when absent. */
  readonly objects?: Rules | undefined
  /** Where the call says that names without a database or a schema are looked up, exact. */
  readonly database?: string | undefined
  readonly schema?: string | undefined
  /** Whether statements may be chained with `->>`; they may when absent. */
  readonly allowFlow?: boolean | undefined
  /** Whether files in stages may be read, as `FROM '@stage/file'`; they may not when absent. */
  readonly allowStages?: boolean | undefined
  /** Columns that are masked: the statement is written anew so that none of their values leaves. */
  readonly masking?: Masking | undefined
}

/**
 * Reads alone, with the functions that are known.
 *
 * @since 0.1.0
 * @category models
 */
export const defaultPolicy: Policy = { allowFunctions: [] }

/**
 * A statement that may run, as the warehouse is to be given it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Accepted {
  /** The text to execute and to log: one statement, no comments. */
  readonly canonical: string
  /** What is logged in its place, where it holds the key of tokens. */
  readonly logged?: string | undefined
  readonly kind: "select" | "show" | "describe" | "explain"
  /** Tables and views the statement names, as written. */
  readonly tables: ReadonlyArray<string>
  readonly functions: ReadonlyArray<string>
  /** The limit that was appended, when one was. */
  readonly appendedLimit?: number | undefined
}

/**
 * Stable codes of a rejection.
 *
 * @since 0.1.0
 * @category errors
 */
export const RejectionCode = Schema.Literal(
  "EMPTY",
  "TOO_LARGE",
  "SYNTAX",
  "MULTIPLE_STATEMENTS",
  "NOT_A_READ",
  "FUNCTION_NOT_ALLOWED",
  "OBJECT_NOT_ALLOWED"
)

/**
 * The statement may not run: it was not sent. Repeating it is of no use; changing it may be.
 *
 * @since 0.1.0
 * @category errors
 */
export class StatementRejected extends Schema.TaggedError<StatementRejected>("snowguard/StatementRejected")(
  "StatementRejected",
  {
    code: RejectionCode,
    /** What is wrong, and what is allowed instead. */
    reason: Schema.String,
    /** What else is wrong, in which names and words of the warehouse stand: a model must not take them for the server's. */
    words: Schema.optional(Schema.String),
    /** Offset into the caller's text, in UTF-16 units, where known. */
    position: Schema.optional(Schema.Number),
    /** What the author of the statement or an operator can do to have it allowed, where that is known. */
    hint: Schema.optional(Schema.String),
    /** Tables, in full, of which something has to be looked up before the statement can be accepted. */
    lookUp: Schema.optional(Schema.Array(Schema.Array(Schema.String))),
    /** The same for those that are read by its views. */
    lookUpBelow: Schema.optional(Schema.Array(Schema.Array(Schema.String)))
  }
) {
  override get message(): string {
    return `${this.code}: ${this.why}`
  }

  /** The reason with the words of the warehouse, for people. */
  get why(): string {
    return this.words === undefined ? this.reason : `${this.reason}: ${this.words}`
  }
}

/**
 * Decides what may run. Fails with `StatementRejected`, also for what it does not understand.
 *
 * @since 0.1.0
 * @category context
 */
export class ReadOnly extends Context.Tag("snowguard/ReadOnly")<
  ReadOnly,
  {
    readonly dialect: "snowflake" | "duckdb"
    readonly check: (sql: string, policy: Policy) => Effect.Effect<Accepted, StatementRejected>
    /**
     * What a view reads, from the text that made it: `CREATE VIEW ... AS query`. Fails where that cannot be known for
     * certain. Without it no view is shown to a tier that has masked columns, unless an operator names it.
     */
    readonly readsOf?: (text: string, view: Table) => Effect.Effect<Reads, StatementRejected>
  }
>() {}

const unreadable = new StatementRejected({
  code: "OBJECT_NOT_ALLOWED",
  reason: "this gate reads no texts of views"
})

/**
 * A gate whose layer is loaded with the first statement. One that cannot be loaded accepts nothing:
 * the failure is a defect, and no statement passes unchecked.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerLazy = (
  dialect: "snowflake" | "duckdb",
  load: Effect.Effect<Layer.Layer<ReadOnly>>
): Layer.Layer<ReadOnly> =>
  Layer.scoped(
    ReadOnly,
    Effect.map(lazyService(ReadOnly, load), (gate) => ({
      dialect,
      check: (sql, policy) => Effect.flatMap(gate, (_) => _.check(sql, policy)),
      readsOf: (text, view) =>
        Effect.flatMap(gate, ({ readsOf }) =>
          readsOf === undefined ? Effect.fail(unreadable) : readsOf(text, view)
        )
    }))
  )
