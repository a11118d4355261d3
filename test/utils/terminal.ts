/** The built binary at a terminal of its own, which script(1) of util-linux makes. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import type { TestContext } from "vitest"
import * as Server from "./server.js"

/** Why there is none here. */
export const missing =
  spawnSync("script", ["--version"]).status === 0
    ? undefined
    : "there is no script(1) of util-linux to make a terminal with"

/** Skips the test, and says why, where there is no terminal. */
export const need = (context: TestContext): void => {
  if (missing === undefined) return
  console.error(`skipped: ${missing}`)
  context.skip(missing)
}

export interface Typed {
  /** Each is typed when its question is there. */
  readonly answers?: ReadonlyArray<readonly [question: string, typed: string]>
  readonly columns?: number
  readonly env: { readonly [name: string]: string | undefined }
}

export const run = async (args: ReadonlyArray<string>, { answers = [], columns = 70, env }: Typed) => {
  const words = [process.execPath, Server.bin, ...args].map((word) => `'${word}'`).join(" ")
  // A shell that stayed between would be interrupted by a typed Ctrl-C itself, and end with its own code.
  const child = spawn("script", ["-qec", `stty cols ${columns}; exec ${words}`, "/dev/null"], {
    env: { ...env, TERM: "xterm-256color", LANG: "C.UTF-8" }
  })
  const unasked = [...answers]
  let seen = ""
  let shown = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text
    seen += text
    const [next] = unasked
    if (next === undefined || !seen.includes(next[0])) return
    unasked.shift()
    seen = ""
    child.stdin.write(next[1])
  })
  const [code] = (await once(child, "close")) as [number | null]
  return {
    code,
    shown,
    plain: shown.replaceAll("\r", "").replaceAll(/\u001b\[[\d;?]*[A-Za-z]/g, ""),
    unasked
  }
}
