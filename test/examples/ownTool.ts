// A tool of your own beside ours: it asks for the services it needs, and goes through the same guard.
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Guard from "snowguard/Guard"
import * as Tool from "snowguard/Tool"
import * as Toolbox from "snowguard/Toolbox"
import * as Warehouse from "snowguard/Warehouse"

const countRows = Effect.gen(function* () {
  const guard = yield* Guard.Guard
  const warehouse = yield* Warehouse.Warehouse
  return Tool.make({
    name: "count_orders",
    description: "How many orders there are.",
    class: "query",
    input: Schema.Struct({}),
    output: Schema.Struct({ orders: Schema.Unknown }),
    annotations: Tool.readOnly("Count orders"),
    handler: () =>
      guard
        .run({ tool: "count_orders", class: "query", deadlineMs: 10_000, estimatedBytes: 64 }, (attempt) =>
          attempt.markSent.pipe(
            Effect.zipRight(
              warehouse.execute({
                sql: "SELECT count(*) FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS",
                timeoutMs: attempt.timeoutMs,
                requestId: attempt.requestId
              })
            ),
            Effect.flatMap(({ rows }) => Stream.runHead(rows)),
            Effect.map((head) => ({
              orders: Option.map(head, (chunk) => chunk[0]?.[0]).pipe(Option.getOrNull)
            })),
            Effect.scoped
          )
        )
        .pipe(Effect.map(({ value }) => value))
  })
})

/** All built-in tools, and this one. */
export const layer = Toolbox.layer([...Toolbox.builtin, countRows])
