// What every way in has to be good for: an MCP client connects, lists the tools, asks the sample a question, and leaves.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { initialize } from "../handshake.mjs"

/** Milliseconds that a start and a conversation may take; an installation by `npx` is part of a start. */
const patienceMs = 600_000

/** Runs a program to its end, as another user where one is given. */
export const ran = async (command, args, { as = {}, input = "", ...options } = {}) => {
  const child = spawn(command, args, { ...options, ...as })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text))
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text))
  child.stdin.on("error", () => {}).end(input)
  const [code, signal] = await once(child, "close")
  return { code: code ?? signal, stdout, stderr }
}

/** The same; a program that fails is an error. */
export const done = async (command, args, options) => {
  const ended = await ran(command, args, options)
  if (ended.code !== 0) {
    throw new Error(
      `${command} ${args.slice(0, 6).join(" ")} ended with ${ended.code}: ${(ended.stderr + ended.stdout).slice(-1_500)}`
    )
  }
  return ended.stdout
}

/**
 * Talks over stdio with the server that the command starts. Resolves to what was seen; throws what was wrong: an answer
 * that is an error, a byte on stdout that is no JSON-RPC, an exit code other than 0.
 */
export const converse = async (command, args, { as = {}, cwd, env }) => {
  const child = spawn(command, args, { cwd, env, ...as })
  const late = setTimeout(() => child.kill("SIGKILL"), patienceMs)
  let stderr = ""
  let rest = ""
  const answers = new Map()
  const waiting = new Map()
  const strays = []
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text))
  child.stdout.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop()
    for (const line of lines) {
      try {
        const message = JSON.parse(line)
        if (message.jsonrpc !== "2.0") throw new Error("no JSON-RPC")
        answers.set(message.id, message)
        waiting.get(message.id)?.(message)
      } catch {
        strays.push(line)
      }
    }
  })
  child.stdin.on("error", () => {})
  const closed = once(child, "close")
  const gone = closed.then(([code, signal]) => {
    throw new Error(`the server ended with ${code ?? signal}: ${stderr.slice(-1_500)}`)
  })
  gone.catch(() => {})
  const ask = async (id, method, params) => {
    const answer = new Promise((resolve) => waiting.set(id, resolve))
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`)
    const { error, result } = await Promise.race([answer, gone])
    if (error !== undefined || result.isError === true)
      throw new Error(`${method}: ${JSON.stringify(error ?? result.content)}`)
    return result
  }
  try {
    const { serverInfo } = await ask(1, "initialize", initialize("try-install"))
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`)
    const { tools } = await ask(2, "tools/list", {})
    const sql = "SELECT COUNT(*) AS N FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS"
    const { structuredContent } = await ask(3, "tools/call", { name: "execute_query", arguments: { sql } })
    child.stdin.end()
    const [code, signal] = await closed
    if (code !== 0) throw new Error(`the server ended with ${code ?? signal}: ${stderr.slice(-1_500)}`)
    if (strays.length > 0 || rest !== "")
      throw new Error(`on stdout: ${[...strays, rest].join("\n").slice(0, 500)}`)
    const [[count] = []] = structuredContent.rows ?? []
    if (!(Number(count) > 0))
      throw new Error(`the sample has no orders: ${JSON.stringify(structuredContent)}`)
    return { server: `${serverInfo.name} ${serverInfo.version}`, tools: tools.length, rows: Number(count) }
  } finally {
    clearTimeout(late)
    child.kill("SIGKILL")
  }
}
