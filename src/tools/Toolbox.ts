/**
 * The list of tools. A tool of your own stands beside ours with one line:
 *
 * ```ts
 * const ToolboxLive = Toolbox.layer([...Toolbox.builtin, myTool])
 * ```
 *
 * where `myTool` is an effect that makes it and asks for the services it needs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { nearest } from "../platform/core/Nearest.js"
import type * as Tool from "./Tool.js"
import * as DescribeTable from "./DescribeTable.js"
import * as DescribeView from "./DescribeView.js"
import * as ExecuteQuery from "./ExecuteQuery.js"
import * as ExplainQuery from "./ExplainQuery.js"
import * as GetLimits from "./GetLimits.js"
import * as GetQueryResults from "./GetQueryResults.js"
import * as ListDatabases from "./ListDatabases.js"
import * as ListSchemas from "./ListSchemas.js"
import * as ListTables from "./ListTables.js"
import * as ListViews from "./ListViews.js"
import * as ProfileTable from "./ProfileTable.js"
import * as QueryView from "./QueryView.js"
import * as SearchObjects from "./SearchObjects.js"

/**
 * The list cannot be served as it is: a name twice, or one that clients refuse.
 *
 * @since 0.1.0
 * @category errors
 */
export class ToolboxError extends Schema.TaggedError<ToolboxError>("snowguard/ToolboxError")("ToolboxError", {
  tool: Schema.String,
  description: Schema.String
}) {
  override get message(): string {
    return this.description
  }
}

/**
 * The tools that are served; the list does not change while the server runs.
 *
 * @since 0.1.0
 * @category context
 */
export class Toolbox extends Context.Tag("snowguard/Toolbox")<
  Toolbox,
  {
    /** By name, so that the list is the same at every start. */
    readonly tools: ReadonlyArray<Tool.Any>
    readonly get: (name: string) => Tool.Any | undefined
    /** The message for a tool that does not exist. */
    readonly unknown: (name: string) => string
  }
>() {}

/**
 * The tools that come with the server, each as the effect that makes it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const builtin = [
  DescribeTable.make,
  DescribeView.make,
  ExecuteQuery.make,
  ExplainQuery.make,
  GetLimits.make,
  GetQueryResults.make,
  ListDatabases.make,
  ListSchemas.make,
  ListTables.make,
  ListViews.make,
  ProfileTable.make,
  QueryView.make,
  SearchObjects.make
] as const

/** What the protocol recommends and all clients accept. */
const validName = /^[A-Za-z0-9_-]{1,64}$/

/**
 * A toolbox of tools that are there already.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  tools: ReadonlyArray<Tool.Any>
): Effect.Effect<Context.Tag.Service<Toolbox>, ToolboxError> => {
  const byName = new Map<string, Tool.Any>()
  for (const tool of tools) {
    const { name } = tool
    if (!validName.test(name)) {
      const description = `the tool name "${name}" must be 1 to 64 letters, digits, "_" or "-"`
      return Effect.fail(new ToolboxError({ tool: name, description }))
    }
    if (byName.has(name)) {
      return Effect.fail(new ToolboxError({ tool: name, description: `two tools have the name "${name}"` }))
    }
    byName.set(name, tool)
  }
  const names = [...byName.keys()].sort()
  return Effect.succeed({
    tools: names.flatMap((name) => byName.get(name) ?? []),
    get: (name) => byName.get(name),
    unknown: (name) => {
      const close = nearest(name, names)
      const shown = name.length > 64 ? `${name.slice(0, 64)}…` : name
      return `There is no tool "${shown}". ${close.length > 0 ? `Did you mean ${close.join(" or ")}?` : `Tools: ${names.join(", ")}.`}`
    }
  })
}

/**
 * A toolbox of the tools that `makes` make; what they acquire is released with the layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <Make extends Effect.Effect<Tool.Any, unknown, unknown>>(
  makes: ReadonlyArray<Make>
): Layer.Layer<
  Toolbox,
  ToolboxError | Effect.Effect.Error<Make>,
  Exclude<Effect.Effect.Context<Make>, Scope.Scope>
> =>
  Layer.scoped(
    Toolbox,
    Effect.flatMap(
      // The compiler does not see that an effect is an effect of its own error and context.
      Effect.forEach(
        makes,
        (make) => make as Effect.Effect<Tool.Any, Effect.Effect.Error<Make>, Effect.Effect.Context<Make>>
      ),
      make
    )
  )

/**
 * The tools that come with the server.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerDefault = Layer.orDie(layer(builtin))
