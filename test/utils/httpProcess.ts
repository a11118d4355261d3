/** The built binary as the shared server, on a free port of this machine. */
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as H from "./http.js"
import { bin, cleanEnv } from "./server.js"

/** Hours of work for DuckDB, and a statement that every gate accepts. */
export const endless = `SELECT count(*) FROM SNOWGUARD_SAMPLE.WEB.EVENTS a, SNOWGUARD_SAMPLE.WEB.EVENTS b,
  SNOWGUARD_SAMPLE.WEB.EVENTS c WHERE a.EVENT_ID * 3 + b.EVENT_ID = c.EVENT_ID + 1`

export class Process {
  stdout = ""
  stderr = ""
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  /** Where it listens; fails with what the process wrote when it ends without. */
  readonly port: Promise<number>
  constructor(
    readonly child: ChildProcess,
    /** Where it runs, and keeps what it keeps. */
    readonly cwd: string
  ) {
    this.exited = once(child, "close").then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null
    }))
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text))
    this.port = new Promise((resolve, reject) => {
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        this.stderr += text
        const port = /127\.0\.0\.1:(\d+)\/mcp/.exec(this.stderr)?.[1]
        if (port !== undefined) resolve(Number(port))
      })
      this.exited.then(
        ({ code, signal }) =>
          reject(
            new Error(`the server ended (${signal ?? `code ${code}`}) and never listened:\n${this.stderr}`)
          ),
        reject
      )
    })
    // A test that ends it on purpose does not ask for the port.
    this.port.catch(() => {})
  }
}

/** A folder of its own, gone with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-http-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const spawned = (env: { readonly [name: string]: string } = {}) =>
  Effect.flatMap(folder, (cwd) =>
    Effect.acquireRelease(
      Effect.sync(
        () =>
          new Process(
            spawn(process.execPath, [bin, "http"], {
              cwd,
              env: cleanEnv({ SNOWGUARD_HTTP_PORT: "0", SNOWGUARD_STATE_DIR: cwd, ...env })
            }),
            cwd
          )
      ),
      ({ child, exited }) =>
        Effect.promise(() => {
          child.kill("SIGKILL")
          return exited
        })
    )
  )

/** The same, when it listens. */
export const serving = (env: { readonly [name: string]: string } = {}) =>
  Effect.gen(function* () {
    const process = yield* spawned(env)
    return { process, server: new H.Server(yield* Effect.promise(() => process.port)) }
  })

const inUse = (got: H.Answer): unknown => {
  const limits = H.messages(got)[0]?.result?.["structuredContent"] as {
    readonly concurrency: ReadonlyArray<{ readonly pool: string; readonly in_use: number }>
  }
  return limits.concurrency.find(({ pool }) => pool === "statements")?.in_use
}

/** Statements that are running now. */
export const statements = (server: H.Server, session: string, id: string) =>
  Effect.map(server.call(session, id, "get_limits"), inUse)
