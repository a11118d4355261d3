/** The whole server on the shop, as an MCP client sees it: each answer with all of its bytes. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { Effect, Either, Layer, Logger, LogLevel } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import * as Emulator from "../../src/emulator/Emulator.js"
import { McpServer } from "../../src/mcp/McpServer.js"
import * as LiveSettings from "../../src/platform/Live.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Server from "../../src/server/Server.js"
import * as DuckDb from "../../src/warehouse/DuckDb.js"
import * as Shop from "./shop.js"

export type Kind = "embedded" | "emulator"

export interface Answer {
  /** Everything that the client was sent. */
  readonly bytes: string
  readonly isError: boolean
  readonly text: string
  readonly structured: { readonly [field: string]: unknown }
  readonly rows: ReadonlyArray<ReadonlyArray<unknown>>
}

export type Call = (tool: string, args: Record<string, unknown>) => Effect.Effect<Answer>

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-masks-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const unlimited = {
  requests_per_second: 10_000,
  burst: 1_000_000,
  initial_tokens: 1_000_000,
  requests_per_hour: 1_000_000,
  requests_per_day: 1_000_000,
  queries_per_hour: 1_000_000,
  queries_per_day: 1_000_000
}

export interface Options {
  readonly kind: Kind
  readonly world?: number | undefined
  /** Of the tier; none when absent. */
  readonly tier?: { readonly [setting: string]: unknown } | undefined
  readonly document?: { readonly [section: string]: unknown } | undefined
  readonly state?: string | undefined
  /** Makes another file than the shop's in a folder; its database has the name of the file. */
  readonly create?: ((folder: string) => Promise<string>) | undefined
  /** What the emulator says of its tables. */
  readonly tables?: Emulator.Options["tables"]
}

const connect = (principal: Principal.Principal) =>
  Effect.gen(function* () {
    const server = yield* McpServer
    const [ours, theirs] = InMemoryTransport.createLinkedPair()
    yield* server.connect(theirs, principal)
    const client = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Client({ name: "test", version: "1" })
        await client.connect(ours)
        return client
      }),
      (client) => Effect.promise(() => client.close())
    )
    const call: Call = (name, args) =>
      Effect.promise(async () => {
        const result = await client.callTool({ name, arguments: args })
        const structured = (result.structuredContent ?? {}) as Answer["structured"]
        const content = result.content as ReadonlyArray<{ readonly text?: string }>
        return {
          bytes: JSON.stringify(result),
          isError: result.isError === true,
          text: content.map(({ text = "" }) => text).join("\n"),
          structured,
          rows: (structured["rows"] ?? []) as Answer["rows"]
        }
      })
    return call
  })

export type Live = Effect.Effect.Success<ReturnType<typeof startLive>>

/** A server with a client of its own; its parts live as long as the scope. */
export const start = (options: Options) => Effect.map(startLive(options), ({ call }) => call)

/** The same, and how its tier gets other settings. */
export const startLive = ({ create, document = {}, kind, state, tables, tier = {}, world = 1 }: Options) =>
  Effect.gen(function* () {
    const home = yield* folder
    const file = yield* Effect.promise(() => create?.(home) ?? Shop.create(home, world))
    const warehouse =
      kind === "embedded"
        ? { warehouse: "duckdb", duckdb: { database: file, max_processes: 1 } }
        : yield* Effect.gen(function* () {
            const data = yield* Effect.orDie(DuckDb.ownData({ database: file }))
            const emulator = yield* Emulator.start({
              data,
              tables,
              concurrency: 4,
              semanticViews: [Shop.semantic]
            })
            return {
              warehouse: "snowflake",
              snowflake: {
                access_url: emulator.url,
                account: "EMULATOR",
                user: Emulator.defaultUser,
                password: Emulator.defaultPassword,
                warehouse: "COMPUTE_WH",
                database: "SHOP",
                schema: "PUBLIC",
                secondary_roles: "all"
              }
            }
          })
    const settingsOf = (tier: Options["tier"]) =>
      Either.getOrThrow(
        ServerConfig.decode({
          document: {
            ...warehouse,
            quota_store: { kind: "memory" },
            limits: {
              requests_per_second: 10_000,
              burst: 100_000,
              queries_per_second: 10_000,
              query_burst: 100_000
            },
            tiers: { default: { ...unlimited, ...tier } },
            ...document
          }
        })
      ).settings
    const { live, set } = LiveSettings.make(settingsOf(tier))
    const context = yield* Layer.build(Server.layerShared(live, {}, state ?? join(home, "state")))
    const call = yield* Effect.provide(connect(Principal.make("ann")), context)
    const setTier = (tier: Options["tier"]) => set(settingsOf(tier))
    return {
      call,
      set: setTier,
      /** Other settings of the tier until the scope is closed, for tests that share a server. */
      withTier: (other: Options["tier"]) => Effect.acquireRelease(setTier(other), () => setTier(tier))
    }
  }).pipe(Effect.provide(Logger.minimumLogLevel(LogLevel.None)))
