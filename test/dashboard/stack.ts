/**
 * What operators run, spawned: the shared server with keys and an audit log, in front of a Snowflake account
 * that fails on demand.
 */
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Emulator from "../../src/emulator/Emulator.js"
import type { Fault } from "../../src/emulator/FaultScript.js"
import * as Keys from "../../src/mcp/auth/Keys.js"
import * as H from "../utils/http.js"
import { bin } from "../utils/server.js"

/** The shell's own settings would change the story. */
const environment = (extra: { readonly [name: string]: string }) => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^SNOW(GUARD|FLAKE)_/.test(name))),
  ...extra
})

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-page-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const children = new Set<ChildProcess>()
// A run that is given up leaves no process behind.
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL")
})

const node = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): ChildProcess => {
  const child = spawn(process.execPath, [bin, ...args], { env, stdio: ["ignore", "pipe", "pipe"] })
  children.add(child)
  child.once("exit", () => children.delete(child))
  return child
}

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, "exit")
  child.kill("SIGKILL")
  await ended
}

/** Reads what it says until it says where it is. */
const announced = (child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> =>
  new Promise((resolve, reject) => {
    let text = ""
    const take = (chunk: string) => {
      text += chunk
      const found = pattern.exec(text)
      if (found !== null) resolve(found)
    }
    child.stdout?.setEncoding("utf8").on("data", take)
    child.stderr?.setEncoding("utf8").on("data", take)
    child.once("exit", () => reject(new Error(`ended before it said where it is: ${text}`)))
  })

const emulator = (home: string) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        node(["emulator", "--port", "0", "--control-port", "0"], environment({ SNOWGUARD_STATE_DIR: home }))
      ),
      (child) => Effect.promise(() => end(child))
    )
    const [, url = "", control = ""] = yield* Effect.promise(() =>
      announced(child, /emulator at (\S+) .*control at (\S+)\/__emulator/)
    )
    return {
      url,
      faults: async (faults: ReadonlyArray<Fault>): Promise<void> => {
        const { status } = await fetch(`${control}/__emulator/faults`, {
          method: "PUT",
          body: JSON.stringify({ faults })
        })
        if (status !== 200) throw new Error(`the emulator answered ${status}`)
      }
    }
  })

export interface Options {
  /** Lines of the configuration file. */
  readonly toml: string
}

/** An agent's calls over MCP, in the words of what came of them: `ok`, or the code of the refusal. */
export const agent = (server: H.Server, key: string) =>
  Effect.map(server.client({ authorization: `Bearer ${key}` }), (client) => {
    const call = async (name: string, args: Record<string, unknown> = {}): Promise<string> => {
      const result = await client.callTool({ name, arguments: args })
      if (result.isError !== true) return "ok"
      const report = result._meta?.["dev.snowguard/error"] as { readonly code: string }
      return report.code
    }
    return {
      lookUp: () => call("list_databases"),
      run: (sql: string) => call("execute_query", { sql }),
      query: () => call("execute_query", { sql: "SELECT count(*) AS N FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS" })
    }
  })

export const start = ({ toml }: Options) =>
  Effect.gen(function* () {
    const home = yield* folder
    const account = yield* emulator(home)
    const config = join(home, "snowguard.toml")
    const audit = join(home, "audit.log")
    const env = (port: number) =>
      environment({ SNOWGUARD_STATE_DIR: home, SNOWGUARD_CONFIG: config, SNOWGUARD_HTTP_PORT: String(port) })
    const configure = (toml: string) =>
      writeFileSync(
        config,
        `warehouse = "snowflake"
${toml}
[audit]
file = ${JSON.stringify(audit)}
statements = "text"
[snowflake]
account = "emulator"
access_url = ${JSON.stringify(account.url)}
user = ${JSON.stringify(Emulator.defaultUser)}
password = ${JSON.stringify(Emulator.defaultPassword)}
warehouse = "compute_wh"
`
      )
    configure(toml)
    const key = (client: string, admin = false) =>
      Effect.map(Keys.create(join(home, "keys.json"), { client, admin }), ({ key }) => key)
    const keys = { ops: yield* key("ops", true), agent: yield* key("agent") }

    let child: ChildProcess | undefined
    let port = 0
    const stop = async () => {
      if (child !== undefined) await end(child)
    }
    /** The first time on a free port, then on the same one. */
    const begin = async () => {
      const started = node(["http"], env(port))
      child = started
      port = Number((await announced(started, /127\.0\.0\.1:(\d+)\/mcp/))[1])
    }
    yield* Effect.acquireRelease(Effect.promise(begin), () => Effect.promise(() => stop()))
    return {
      account,
      keys,
      stop,
      begin,
      /** From the next start on. */
      configure,
      server: new H.Server(port),
      status: `http://127.0.0.1:${port}/status`,
      /** The actions of operators, in the order of the audit log. */
      operated: (): ReadonlyArray<string> =>
        existsSync(audit)
          ? readFileSync(audit, "utf8")
              .split("\n")
              .flatMap((line) => {
                if (line === "") return []
                const { client, target, tool } = JSON.parse(line) as { readonly [name: string]: string }
                const [, action] = tool?.split("operator:") ?? []
                return action === undefined ? [] : [[client, action, target].filter(Boolean).join(" ")]
              })
          : []
    }
  })

export type Stack = Effect.Effect.Success<ReturnType<typeof start>>
