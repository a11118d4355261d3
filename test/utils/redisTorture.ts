/** Many processes against one limit: what `npm test` does a few times and a torture run does often. */
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Bundles the worker; `remove` deletes it again. */
export const bundleWorker = async (): Promise<{ readonly path: string; readonly remove: () => void }> => {
  const cache = join(root, "node_modules/.cache")
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, "redis-worker-"))
  const path = join(directory, "worker.mjs")
  await build({
    entryPoints: [join(root, "test/quota/stores/redisWorker.ts")],
    outfile: path,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["ioredis"],
    logLevel: "error"
  })
  return { path, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

export interface Trial {
  readonly worker: string
  readonly url: string
  /** A fresh one for each trial. */
  readonly prefix: string
  readonly processes: number
  readonly limit: number
}

/** How often each process was let through, all told exactly `limit`; throws what a process complained of. */
export const trial = async (options: Trial): Promise<ReadonlyArray<number>> => {
  const { limit, prefix, processes, url, worker } = options
  const runs = Array.from({ length: processes }, () => {
    const args = [worker, url, prefix, String(limit)]
    const child = spawn(process.execPath, args, { stdio: "pipe" })
    const said = { out: "", err: "" }
    child.stdout.on("data", (chunk) => (said.out += chunk))
    child.stderr.on("data", (chunk) => (said.err += chunk))
    return new Promise<number>((resolve, reject) =>
      child.once("close", (code) =>
        code === 0 && said.err === ""
          ? resolve(Number(said.out))
          : reject(new Error(`worker ${code}: ${said.err}`))
      )
    )
  })
  return Promise.all(runs)
}
