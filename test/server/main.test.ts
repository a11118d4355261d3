import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Either, Exit, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as main from "../../src/server/main.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import * as Reload from "../../src/server/Reload.js"

const settings = (document: { readonly [key: string]: unknown }) =>
  Either.getOrThrow(ServerConfig.decode({ document })).settings

const folders: Array<string> = []
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), "snowguard-main-"))
  folders.push(made)
  return made
}
afterAll(() => {
  for (const made of folders) rmSync(made, { recursive: true })
})

/** The bounds of the table in docs/configuration.md, as far out as they go. */
const extremes = {
  least: {
    limits: {
      requests_per_second: 0.001,
      burst: 1,
      queries_per_second: 0.001,
      query_burst: 1,
      max_concurrent_requests: 1,
      max_concurrent_statements: 1,
      max_queued: 0,
      max_queued_per_client: 0,
      max_wait_seconds: 0,
      max_clients: 1,
      reserved_share: 0
    },
    breaker: {
      consecutive_failures: 1,
      failure_rate: 0.01,
      minimum_calls: 1,
      window_calls: 1,
      window_seconds: 0.001,
      open_seconds: 0.001,
      open_max_seconds: 0.001,
      probes: 1
    },
    timeouts: {
      metadata_seconds: 0.001,
      statement_seconds: 0.001,
      max_statement_seconds: 0.001,
      shutdown_seconds: 0
    },
    tiers: {
      default: { requests_per_second: 0.001, burst: 1, initial_tokens: 0, requests_per_hour: 1, weight: 1 }
    }
  },
  most: {
    limits: {
      requests_per_second: 1_000_000,
      burst: 1_000_000,
      queries_per_second: 1_000_000,
      query_burst: 1_000_000,
      max_concurrent_requests: 100_000,
      max_concurrent_statements: 10_000,
      max_queued: 1_000_000,
      max_queued_per_client: 1_000_000,
      max_wait_seconds: 3600,
      max_clients: 10_000_000,
      reserved_share: 0.9
    },
    breaker: {
      consecutive_failures: 10_000,
      failure_rate: 1,
      minimum_calls: 10_000,
      window_calls: 10_000,
      window_seconds: 86_400,
      open_seconds: 86_400,
      open_max_seconds: 86_400,
      probes: 100
    },
    timeouts: {
      metadata_seconds: 86_400,
      statement_seconds: 86_400,
      max_statement_seconds: 86_400,
      shutdown_seconds: 8
    },
    tiers: {
      default: { requests_per_second: 1_000_000, burst: 1_000_000, initial_tokens: 1_000_000, weight: 100 }
    }
  }
}

describe("the wiring", () => {
  for (const [name, document] of Object.entries(extremes)) {
    it.effect(
      `stands with every setting at its ${name}: what the configuration accepts, the services accept`,
      () =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(
            Effect.scoped(Layer.build(main.layer(settings(document), {}, folder())))
          )
          assert.isTrue(Exit.isSuccess(exit), String(exit))
        })
    )
  }

  it.effect("stands with no setting at all, and opens no warehouse", () =>
    Effect.scoped(Layer.build(main.layer(ServerConfig.defaults, {}, folder())))
  )
})

describe("the address of the shared server", () => {
  const start = settings({ http: { host: "127.0.0.1", port: 8787 } })
  const next = settings({ http: { host: "::1", port: 8788 } })
  /** What a reload says needs a restart. */
  const named = (given: Parameters<typeof main.listeningAt>[0]) => {
    const at = main.listeningAt(given)
    return [...Reload.plan(at(start), at(next)).needRestart]
  }

  it("is named as a change that needs a restart when the file has another", () => {
    assert.deepStrictEqual(named({}), ["http.host", "http.port"])
  })

  it("is not named where the command line says it", () => {
    assert.deepStrictEqual(named({ port: 9000 }), ["http.host"])
    assert.deepStrictEqual(named({ host: "localhost", port: 9000 }), [])
    assert.strictEqual(main.listeningAt({ port: 9000 })(next).http.port, 9000)
  })
})
