// The processes of the load: the server under test, its keys, and an emulated warehouse beside it.
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import * as Http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Keys from "snowguard/transport/auth/Keys"

/** Of another build, to be compared with this one. */
export const bin = process.env.LOAD_BIN ?? fileURLToPath(new URL("../dist/bin.js", import.meta.url))

/** A server's environment: nothing of ours but what is given, and a state directory of its own. */
export const surroundings = () => {
  const folder = mkdtempSync(join(tmpdir(), "snowguard-load-"))
  const env = {
    ...Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(SNOW(GUARD|FLAKE)_|NODE_OPTIONS$)/.test(name))
    ),
    SNOWGUARD_STATE_DIR: folder,
    XDG_CONFIG_HOME: folder,
    APPDATA: folder,
    SNOWGUARD_HTTP_PORT: "0",
    SNOWGUARD_AUTH_KEYS_FILE: join(folder, "keys.json")
  }
  return { env, folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** API keys for clients, one each. */
export const keys = (env, clients, { admin = false } = {}) =>
  Effect.runPromise(
    Effect.forEach(clients, (client) =>
      Effect.map(Keys.create(env.SNOWGUARD_AUTH_KEYS_FILE, { client, admin }), ({ key }) => key)
    )
  )

const says = (child, what) =>
  new Promise((resolve, reject) => {
    let said = ""
    const listen = (stream) =>
      stream?.setEncoding("utf8").on("data", (text) => {
        said = (said + text).slice(-10_000)
        const found = what.exec(said)
        if (found !== null) resolve(found)
      })
    listen(child.stdout)
    listen(child.stderr)
    child.once("exit", (code) => reject(new Error(`it ended with ${code}: ${said}`)))
  })

const ended = async (child) => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill("SIGTERM")
  await once(child, "exit")
}

/** `snowguard http`, when it listens. */
export const server = async (env, forNode = []) => {
  const child = spawn(process.execPath, [...forNode, bin, "http"], {
    env,
    stdio: ["ignore", "ignore", "pipe"]
  })
  const [, port] = await says(child, /127\.0\.0\.1:(\d+)\/mcp/)
  return { pid: child.pid, port: Number(port), stop: () => ended(child) }
}

/** Snowflake's protocol in a process of its own, with the time that a warehouse takes for a statement. */
export const emulator = async (env, delay) => {
  const { control, stop, url, ...rest } = await emulated(env)
  const faults = delay === undefined ? [] : [{ kind: "latency", where: "query", delay }]
  const put = await fetch(`${control}faults`, { method: "PUT", body: JSON.stringify({ faults }) })
  if (!put.ok) throw new Error(`the emulator takes no latency: ${put.status} ${await put.text()}`)
  return { env: rest.env(url), control, stop }
}

/** The same, but what costs time there was done before, see load-replay.mjs. */
export const replayed = async (env, delayMs) => {
  const behind = await emulated(env)
  const script = fileURLToPath(new URL("load-replay.mjs", import.meta.url))
  const child = spawn(process.execPath, [script, behind.url, String(delayMs)], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  const [, port] = await says(child, /at (\d+)/)
  return {
    env: behind.env(`http://127.0.0.1:${port}`),
    stop: () => Promise.all([ended(child), behind.stop()])
  }
}

const emulated = async (env) => {
  const child = spawn(process.execPath, [bin, "emulator", "--port", "0"], {
    env,
    stdio: ["ignore", "pipe", "pipe"]
  })
  const found = await says(
    child,
    /at (\S+) \(any account, user (\S+), password (\S+)\); control at (\S+)state/
  )
  const [, url, user, password, control] = found
  return {
    url,
    control,
    env: (at) => ({
      SNOWGUARD_WAREHOUSE: "snowflake",
      SNOWFLAKE_ACCESS_URL: at,
      SNOWFLAKE_ACCOUNT: "any",
      SNOWFLAKE_USER: user,
      SNOWFLAKE_PASSWORD: password
    }),
    stop: () => ended(child)
  }
}

/** A client of the server at this port, over connections that are kept. */
export const client = (port) => {
  const agent = new Http.Agent({ keepAlive: true })
  /** `body`: a message, or its text. */
  const ask = (token, { body, method = "POST", path = "/mcp", session }) =>
    new Promise((resolve, reject) => {
      const text = typeof body === "object" ? JSON.stringify({ jsonrpc: "2.0", ...body }) : body
      const request = Http.request(
        {
          ...{ host: "127.0.0.1", port, path, method, agent },
          headers: {
            authorization: `Bearer ${token}`,
            accept: "application/json, text/event-stream",
            ...(text === undefined
              ? {}
              : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
            ...(session === undefined ? {} : { "mcp-session-id": session })
          }
        },
        (response) => {
          let text = ""
          response.setEncoding("utf8").on("data", (chunk) => (text += chunk))
          response.on("error", reject)
          response.on("end", () => resolve({ text, status: response.statusCode, headers: response.headers }))
        }
      )
      request.on("error", reject)
      request.end(text)
    })
  let nextId = 1
  const call = (token, session, name, args = {}) =>
    ask(token, { session, body: { id: nextId++, method: "tools/call", params: { name, arguments: args } } })
  const clientInfo = { name: "load", version: "1" }
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo }
  const initialize = { id: 0, method: "initialize", params }
  const opened = async (token) => {
    const { headers, text } = await ask(token, { body: initialize })
    const session = headers["mcp-session-id"]
    if (session === undefined) throw new Error(`no session: ${text}`)
    return session
  }
  return { agent, ask, call, opened, initialize }
}
