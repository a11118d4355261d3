import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { publicModules } from "./reached.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** What the fragments in the comments of the public modules speak of. */
const prelude = `import { Duration, Effect, Layer, Schema, Stream } from "effect"
import { test } from "node:test"
import { NodeRuntime } from "@effect/platform-node"
import { RateLimiter, CircuitBreaker, Bulkhead, Retry, RetryPolicy, Degradation, Guard, LoopGuard, Quota, QuotaStore,
  Warehouse, WarehouseHealth, Server, ServerConfig, Testing, Tool, Toolbox, Readiness, Live, Operator, Redis,
  StderrLogger } from "snowguard"
import * as QuotaStoreContract from "snowguard/testing/QuotaStoreContract"
import * as RateLimiterContract from "snowguard/testing/RateLimiterContract"
import * as WarehouseContract from "snowguard/testing/WarehouseContract"
declare const client: string
declare const tier: string
declare const url: string
declare const byteLength: (value: unknown) => number
declare const fetch: Effect.Effect<string, Warehouse.WarehouseError>
declare const fetchOrders: Effect.Effect<string, Warehouse.WarehouseError>
declare const refreshReport: Effect.Effect<string, Warehouse.WarehouseError>
declare const runStatement: Effect.Effect<string, Warehouse.WarehouseError>
declare const program: Effect.Effect<void>
declare const answers: Parameters<typeof Testing.layer>[0]
declare const myTool: (typeof Toolbox.builtin)[number]
declare const limiter: RateLimiter.RateLimiter["Type"]
declare const breaker: CircuitBreaker.CircuitBreaker["Type"]
declare const bulkhead: Bulkhead.Bulkhead["Type"]
declare const retry: Retry.Retry["Type"]
declare const degradation: Degradation.Degradation["Type"]
declare const guard: Guard.Guard["Type"]
declare const loopGuard: LoopGuard.LoopGuard["Type"]
declare const quota: Quota.Quota["Type"]
declare const store: QuotaStore.QuotaStore["Type"]
declare const warehouse: Warehouse.Warehouse["Type"]
declare const settings: ServerConfig.Settings
declare const toolbox: Layer.Layer<Toolbox.Toolbox>
declare const MyStore: Layer.Layer<QuotaStore.QuotaStore> & { readonly layer: Layer.Layer<QuotaStore.QuotaStore> }
declare const MyLimiter: { readonly layer: typeof RateLimiter.layer }
declare const MyWarehouse: { readonly layer: Layer.Layer<Warehouse.Warehouse> }
declare const callTheApi: Effect.Effect<string, Warehouse.WarehouseError>
declare const theCall: Effect.Effect<string, Warehouse.WarehouseError>
declare const callTheWarehouse: (timeoutMs: number, requestId: string) => Effect.Effect<string, Warehouse.WarehouseError>
declare const fetchPage: (n: number) => Effect.Effect<string, Warehouse.WarehouseError>
`

/** Code in a comment: between fences, or of `@example` up to the next tag. */
const examplesIn = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/\/\*\*[^]*?\*\//g)].flatMap(([comment]) => {
    const plain = comment
      .replace(/^\/\*\*|\*\/$/g, "")
      .split("\n")
      .map((line) => line.replace(/^\s*\* ?/, ""))
      .join("\n")
    const fenced = [...plain.matchAll(/```ts\n([^]*?)```/g)].map(([, code = ""]) => code)
    const tagged = [...plain.matchAll(/@example\n((?:(?!\n@|```)[^])*)/g)].map(([, code = ""]) => code)
    return [...fenced, ...tagged.filter((code) => code.trim() !== "")]
  })

const sourceOf = (example: string): string => {
  const imports = example.split("\n").filter((line) => line.startsWith("import "))
  const body = example
    .split("\n")
    .filter((line) => !imports.includes(line))
    .join("\n")
  return `${prelude}export const example = Effect.gen(function* () {\n${body}\n})\n`
}

/** The examples in the comments of the public modules, each as a module that compiles where the package is installed. */
export const apiExamples = (): ReadonlyArray<{ readonly file: string; readonly source: string }> =>
  publicModules.flatMap(([subpath, file]) => {
    const source = file.replace("./dist/", "src/").replace(/\.js$/, ".ts")
    return examplesIn(readFileSync(`${root}${source}`, "utf8")).map((example, i) => ({
      file: `example-${subpath.replaceAll("/", "-")}-${i}.ts`,
      source: sourceOf(example)
    }))
  })
