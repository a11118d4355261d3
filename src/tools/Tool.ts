/**
 * What a tool is: a name, schemas, annotations and a handler. It knows nothing of the MCP SDK, so the
 * same tool can be served by another protocol revision or called directly.
 *
 * ```ts
 * Tool.make({
 *   name: "greet",
 *   description: "Says hello.",
 *   class: "metadata",
 *   input: Schema.Struct({ name: Schema.String }),
 *   output: Schema.Struct({ text: Schema.String }),
 *   annotations: Tool.readOnly("Greet"),
 *   handler: ({ name }) => Effect.succeed({ text: `hello ${name}` })
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Refusal } from "../guard/Guard.js"
import type { RepeatedFailure } from "../guard/LoopGuard.js"
import type { OperationClass } from "../platform/Operation.js"
import type { StatementRejected } from "../gate/ReadOnly.js"
import type { WarehouseSuspended } from "../quota/Credits.js"
import type { ScanBudgetExceeded } from "../gate/ScanBudget.js"
import type { WarehouseError } from "../warehouse/Warehouse.js"
import type { ToolDenied } from "./CallPolicy.js"

/**
 * A failure of a tool of your own, or an argument that no schema can check. `message` is what the model
 * reads: say what happened and what to do.
 *
 * @since 0.1.0
 * @category errors
 */
export class ToolError extends Schema.TaggedError<ToolError>("snowguard/ToolError")("ToolError", {
  /** Upper case, words joined by `_`; `INVALID_INPUT` for bad arguments. */
  code: Schema.String,
  description: Schema.String,
  /** Will the same call work later? */
  retryable: Schema.Boolean,
  retryAfterMs: Schema.optional(Schema.Number),
  /** Names in the warehouse that may have been meant, as SQL writes them. */
  suggestions: Schema.optional(Schema.Array(Schema.String))
}) {
  override get message(): string {
    return this.description
  }
}

/**
 * Everything a tool may fail with.
 *
 * @since 0.1.0
 * @category errors
 */
export type RequestError =
  | Refusal
  | RepeatedFailure
  | ScanBudgetExceeded
  | StatementRejected
  | WarehouseSuspended
  | WarehouseError
  | ToolDenied
  | ToolError

/**
 * Hints of the protocol about a tool, for clients; nothing is enforced by them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Annotations {
  readonly title: string
  readonly readOnlyHint: boolean
  readonly destructiveHint: boolean
  readonly idempotentHint: boolean
  readonly openWorldHint: boolean
}

/**
 * A call as the handler sees it: what the transport knows beside the arguments.
 *
 * @since 0.1.0
 * @category models
 */
export interface Context {
  /** Tells the client how far the call is. Cheap; ignored when the client did not ask for it. */
  readonly progress: (message: string) => Effect.Effect<void>
}

/**
 * A tool: what a model reads of it, what it takes, and what it does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tool<Input extends Schema.Schema.AnyNoContext, Output extends Schema.Schema.AnyNoContext> {
  readonly name: string
  /** One paragraph for the model: what it gives, when to use it, what it costs. */
  readonly description: string
  readonly class: OperationClass
  readonly input: Input
  /**
   * Other names of arguments, by the name in `input`. They are taken and not advertised: what agents know
   * from other servers.
   */
  readonly aliases?: { readonly [argument: string]: ReadonlyArray<string> }
  readonly output: Output
  /** A result is sent as the handler makes it, neither checked nor encoded: for what the tests of the tool check. */
  readonly unchecked?: boolean
  readonly annotations: Annotations
  /** The text of a result, one entry a block, where it is not its JSON; undefined for that. */
  readonly render?: (
    result: Schema.Schema.Type<Output>,
    input: Schema.Schema.Type<Input>
  ) => ReadonlyArray<string> | undefined
  readonly handler: (
    input: Schema.Schema.Type<Input>,
    context: Context
  ) => Effect.Effect<Schema.Schema.Type<Output>, RequestError>
}

/**
 * A tool of any input and output.
 *
 * @since 0.1.0
 * @category models
 */
export type Any = Tool<Schema.Schema.AnyNoContext, Schema.Schema.AnyNoContext>

/**
 * Annotations of a read: everything this server serves by itself.
 *
 * @since 0.1.0
 * @category constructors
 */
export const readOnly = (title: string): Annotations => ({
  title,
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: true
})

/**
 * A tool, with the types of its schemas inferred.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Input extends Schema.Schema.AnyNoContext, Output extends Schema.Schema.AnyNoContext>(
  tool: Tool<Input, Output>
): Tool<Input, Output> => tool
