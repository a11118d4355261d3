/** Bundles a program of the torture or of the benchmark, with the Redis store if this checkout has one. */
import { build } from "esbuild"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { cwd } from "node:process"

const root = existsSync(join(cwd(), "src/quota/QuotaStore.ts")) ? cwd() : join(cwd(), "..")

export const hasRedisStore = existsSync(join(root, "src/quota/stores/Redis.ts"))

const redisModule = hasRedisStore
  ? `import * as Layer from "effect/Layer"
     import * as Store from "./src/quota/stores/Redis.ts"
     import * as Redis from "./src/platform/Redis.ts"
     export const layer = (url) =>
       Layer.provide(Store.layer({ time: "clock" }), Redis.layer({ url, commandTimeoutMs: 20000 }))`
  : "export const layer = undefined"

export interface Bundle {
  readonly path: string
  readonly remove: () => void
}

export const bundle = async (entry: string, external: ReadonlyArray<string> = []): Promise<Bundle> => {
  const cache = join(root, "node_modules/.cache")
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, "torture-"))
  const path = join(directory, "program.mjs")
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: path,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["@photostructure/sqlite", "ioredis", ...external],
    logLevel: "error",
    plugins: [
      {
        name: "redis",
        setup: ({ onLoad, onResolve }) => {
          onResolve({ filter: /^torture:redis$/ }, () => ({ path: "redis", namespace: "torture" }))
          onLoad({ filter: /.*/, namespace: "torture" }, () => ({
            contents: redisModule,
            resolveDir: root,
            loader: "js"
          }))
        }
      }
    ]
  })
  return { path, remove: () => rmSync(directory, { recursive: true, force: true }) }
}
