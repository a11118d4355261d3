/** Our server over HTTP with everything that the conformance suite asks for; says its port on stdout. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Logger, LogLevel, Schema } from "effect"
import * as Audit from "../../src/observe/Audit.js"
import * as RunningCalls from "../../src/observe/RunningCalls.js"
import * as Operator from "../../src/operate/Operator.js"
import * as McpServer from "../../src/mcp/McpServer.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Readiness from "../../src/operate/Readiness.js"
import * as Tool from "../../src/tools/Tool.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import * as Auth from "../../src/mcp/auth/Auth.js"
import * as Http from "../../src/mcp/http/Http.js"
import * as Beside from "./beside.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"

const Answer = Schema.Struct({ text: Schema.String })

const tool = (
  name: string,
  handler: (context: Tool.Context) => Effect.Effect<typeof Answer.Type, Tool.RequestError>
) =>
  Effect.succeed(
    Tool.make({
      name,
      description: `The conformance suite's ${name}.`,
      class: "control",
      input: Schema.Struct({}),
      output: Answer,
      annotations: Tool.readOnly(name),
      handler: (_, context) => handler(context)
    })
  )

const done = Effect.succeed({ text: "This is a simple text response for testing." })

/** What a tool of ours can be. */
const tools = Toolbox.layer([
  tool("test_simple_text", () => done),
  tool(
    "test_error_handling",
    () =>
      new Tool.ToolError({
        code: "TEST_ERROR",
        description: "This tool intentionally returns an error for testing",
        retryable: false
      })
  ),
  tool("test_tool_with_progress", ({ progress }) =>
    Effect.forEach(["first", "second", "third"], (step) => Effect.delay(progress(step), 50)).pipe(
      Effect.zipRight(done)
    )
  )
])

export const layers = Layer.mergeAll(
  Beside.layer.pipe(
    Layer.provide(McpServer.layer({ name: "snowguard", version: "0.0.0", drainMs: 1_000 })),
    Layer.provide(Layer.merge(Layer.orDie(tools), CallPolicy.layer()))
  ),
  Auth.layerNone(Principal.make("local")),
  Readiness.layerNoop,
  Operator.layerNoop
).pipe(Layer.provideMerge(Layer.merge(Audit.layerNoop, RunningCalls.layer)))

NodeRuntime.runMain(
  Http.listen({ ...Http.defaults, port: 0 }).pipe(
    Effect.tap(({ port }) => Console.log(port)),
    Effect.zipRight(Effect.never),
    Effect.provide(layers),
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.Error)
  ),
  { disablePrettyLogger: true }
)
