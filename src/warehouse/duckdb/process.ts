/**
 * One child process that runs DuckDB, as the server sees it: begun, spoken to, looked at, killed. A driver: what
 * happens is told by callbacks, what it means is decided in `client.ts`.
 *
 * The child gets nothing of the server's environment but what a program needs to start, stands in the root
 * directory, and is never asked to end: it is killed.
 *
 * @since 0.1.0
 */
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { parse } from "node:path"
import { Duplex } from "node:stream"
import { fileURLToPath } from "node:url"
import * as Protocol from "./protocol.js"

/**
 * How a process has ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface End {
  /** It could not be begun. */
  readonly error?: Error | undefined
  readonly code?: number | undefined
  readonly signal?: string | undefined
  /** It was ended, by itself or by us, for the memory that it had. */
  readonly outOfMemory: boolean
  /** The end of what it wrote to stderr: DuckDB's last words. */
  readonly said: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Process {
  readonly send: (message: Protocol.ToChild) => void
  readonly kill: () => void
  /** Bytes of memory that it has; undefined where the system does not tell at once. */
  readonly memory: () => number | undefined
  /** Milliseconds of processor time that its threads have had together; undefined where the system does not tell. */
  readonly cpuMs: () => number | undefined
}

/** Linux counts processor time in hundredths of a second for its readers, on every machine. */
const TICK_MS = 10

/** Characters of stderr that are kept. */
const LAST_WORDS = 2000

const passedOn = [
  ...["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP"],
  ...["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SystemRoot", "windir", "NIX_LD", "NIX_LD_LIBRARY_PATH"]
]

/** Threads of Node's pool: for the statements, and for what else it does. */
const THREADS = Protocol.STATEMENTS + 4

/**
 * The program as it was built: `dist/embedded.js`, also for sources that are run as they are.
 *
 * @since 0.1.0
 * @category constants
 */
export const program = (): string => {
  const here = fileURLToPath(import.meta.url)
  const at = Math.max(
    ...["dist", "src"].map((folder) =>
      here.search(new RegExp(`[/\\\\]${folder}[/\\\\](?!.*[/\\\\](?:dist|src)[/\\\\])`))
    )
  )
  return `${here.slice(0, at + 1)}dist/embedded.js`
}

/**
 * The program with one of its arguments; descriptor 3 is a pipe.
 *
 * @since 0.1.0
 * @category constructors
 */
export const begin = (args: ReadonlyArray<string>, stdout: "ignore" | "pipe"): ChildProcess =>
  spawn(process.execPath, [program(), ...args], {
    stdio: ["ignore", stdout, "pipe", "pipe"],
    cwd: parse(process.execPath).root,
    windowsHide: true,
    env: {
      ...Object.fromEntries(passedOn.map((name) => [name, process.env[name]])),
      UV_THREADPOOL_SIZE: String(THREADS)
    }
  })

/**
 * Begins it. `message` is called with what it says, `ended` once, when it has ended.
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = (
  opening: Protocol.Opening,
  on: { readonly message: (message: Protocol.FromChild) => void; readonly ended: (end: End) => void }
): Process => {
  const child = begin([JSON.stringify(opening)], "ignore")
  let said = ""
  let over = false
  const end = (how: Pick<End, "error" | "code" | "signal">) => {
    if (over) return
    over = true
    const words = said.split("\n").filter((line) => !line.startsWith(Protocol.MEMORY))
    on.ended({ ...how, outOfMemory: said.includes(Protocol.MEMORY), said: words.join("\n").trim() })
  }
  const kill = () => void child.kill("SIGKILL")
  child.on("error", (error) => end({ error }))
  child.on("close", (code, signal) => end({ code: code ?? undefined, signal: signal ?? undefined }))
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-LAST_WORDS)
  })
  // Where no descriptor is left Node gives no `stdio` at all, against its types, and reports the error later.
  const link = (child.stdio as typeof child.stdio | undefined)?.[3]
  const write = link instanceof Duplex ? Protocol.writer<Protocol.ToChild>(link) : undefined
  const read = Protocol.reader((text) => on.message(Protocol.decode(text)))
  if (link instanceof Duplex) {
    // What it says makes no sense: nothing more of it is read.
    link.on("data", (bytes: Uint8Array) => {
      try {
        if (!over) read(bytes)
      } catch (cause) {
        said += `\n${cause instanceof Error ? cause.message : String(cause)}`
        link.removeAllListeners("data").resume()
        kill()
      }
    })
    link.on("error", kill)
  }
  /** Of the process, by Linux; empty elsewhere, and when it is over. */
  const told = (name: string): string => {
    try {
      return readFileSync(`/proc/${child.pid}/${name}`, "utf8")
    } catch {
      return ""
    }
  }
  return {
    send: (message) => {
      if (link instanceof Duplex && link.writable) write?.(message)
    },
    kill,
    memory: () => {
      const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(told("status"))?.[1]
      return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
    },
    cpuMs: () => {
      // The name of the program, in brackets, may hold anything; the times are the 12th and 13th field behind it.
      const [, user, system] = /\) (?:\S+ ){11}(\d+) (\d+) [^)]*$/.exec(told("stat")) ?? []
      return user === undefined ? undefined : (Number(user) + Number(system)) * TICK_MS
    }
  }
}
