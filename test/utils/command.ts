import { spawn } from "node:child_process"

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly cwd?: string
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
}

/**
 * Runs a command to its end. Not `spawnSync`: while that waits, the worker does not answer the test runner.
 *
 * @example
 * const { status, stdout } = await run(process.execPath, ["dist/bin.js", "--version"])
 */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  { cwd, env = process.env, input = "" }: Options = {}
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { cwd, env })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.once("error", reject).once("close", (status) => resolve({ status, stdout, stderr }))
    child.stdin.on("error", () => undefined).end(input)
  })
