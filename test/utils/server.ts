import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { Effect } from "effect"
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { metaKey } from "../../src/mcp/ErrorReport.js"
import type { ErrorReport } from "../../src/mcp/ErrorReport.js"

export const bin = fileURLToPath(new URL("../../dist/bin.js", import.meta.url))

export type Env = { readonly [name: string]: string }

let states: string | undefined
let count = 0

/** A state directory that nobody has used, gone with this process. */
const freshState = (): string => {
  if (states === undefined) {
    const folder = mkdtempSync(join(tmpdir(), "snowguard-state-"))
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
    states = folder
  }
  count += 1
  return join(states, String(count))
}

/** The shell's and the user's own settings would change the tests, and what other tests used up would. */
export const cleanEnv = (extra: Env = {}): { [name: string]: string } => {
  const state = freshState()
  const env: { [name: string]: string } = { SNOWGUARD_STATE_DIR: state }
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^SNOW(GUARD|FLAKE)_/.test(name)) env[name] = value
  }
  return { ...env, XDG_CONFIG_HOME: state, APPDATA: state, ...extra }
}

/** The built binary behind the SDK's client, as an MCP client runs it. */
export const client = (env: Env = {}) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const transport = new StdioClientTransport({
        command: process.execPath,
        args: [bin],
        env: cleanEnv(env),
        stderr: "ignore"
      })
      const client = new Client({ name: "test", version: "1" })
      await client.connect(transport)
      // From here on the client holds every structured result against the tool's output schema.
      await client.listTools()
      return {
        client,
        call: (name: string, args: Record<string, unknown> = {}) =>
          Effect.promise(() => client.callTool({ name, arguments: args }) as Promise<CallToolResult>)
      }
    }),
    ({ client }) => Effect.promise(() => client.close())
  )

export const report = (result: CallToolResult): ErrorReport => {
  const found = result._meta?.[metaKey]
  if (result.isError !== true || found === undefined)
    throw new Error(`not a refusal: ${JSON.stringify(result)}`)
  return found as ErrorReport
}

export const structured = (result: CallToolResult): Record<string, unknown> => {
  if (result.isError === true || result.structuredContent === undefined) {
    throw new Error(`not an answer: ${JSON.stringify(result)}`)
  }
  return result.structuredContent
}

interface Message {
  readonly id?: number
  readonly result?: CallToolResult & Record<string, unknown>
  readonly error?: { readonly code: number; readonly message: string }
}

/** The binary without a client in between: every byte of its stdout is looked at. */
export class RawServer {
  readonly messages: Array<Message> = []
  readonly notJson: Array<string> = []
  stderr = ""
  /** Why no answer comes any more, once the process has ended. */
  private ended: Error | undefined
  private rest = ""
  private readonly waiting = new Map<
    number,
    { readonly resolve: (message: Message) => void; readonly reject: (cause: Error) => void }
  >()
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>

  constructor(readonly child: ChildProcessWithoutNullStreams) {
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (this.rest + chunk).split("\n")
      this.rest = lines.pop() ?? ""
      for (const line of lines) this.take(line)
    })
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      this.stderr += chunk
    })
    child.stdin.on("error", () => {})
    this.exited = once(child, "close").then(([code, signal]) => {
      if (this.rest !== "") this.notJson.push(this.rest)
      const cause = new Error(
        `the server ended (${signal ?? `code ${code}`}) and did not answer:\n${this.stderr}`
      )
      this.ended = cause
      for (const { reject } of this.waiting.values()) reject(cause)
      return { code: code as number | null, signal: signal as NodeJS.Signals | null }
    })
  }

  private take(line: string): void {
    try {
      const message = JSON.parse(line) as Message & { readonly jsonrpc?: string }
      if (message.jsonrpc !== "2.0") throw new Error("not JSON-RPC")
      this.messages.push(message)
      if (message.id !== undefined) this.waiting.get(message.id)?.resolve(message)
    } catch {
      this.notJson.push(line)
    }
  }

  send(message: object): void {
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
  }

  request(id: number, method: string, params: object = {}): Promise<Message> {
    const answer = new Promise<Message>((resolve, reject) => {
      if (this.ended === undefined) this.waiting.set(id, { resolve, reject })
      else reject(this.ended)
    })
    // Some tests end the server on purpose, and do not ask for the answer.
    answer.catch(() => {})
    this.send({ id, method, params })
    return answer
  }

  call(id: number, name: string, args: object = {}): Promise<Message> {
    return this.request(id, "tools/call", { name, arguments: args })
  }

  async initialize(): Promise<void> {
    await this.request(0, "initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "raw", version: "1" }
    })
    this.send({ method: "notifications/initialized" })
  }
}

export const raw = (options: { readonly env?: Env; readonly args?: ReadonlyArray<string> } = {}) =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new RawServer(spawn(process.execPath, [bin, ...(options.args ?? [])], { env: cleanEnv(options.env) }))
    ),
    (server) =>
      Effect.promise(() => {
        server.child.kill("SIGKILL")
        return server.exited
      })
  )
