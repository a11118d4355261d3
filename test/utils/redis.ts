/**
 * Real Redis servers for tests: started on free ports of this machine, in a directory of their own, and
 * killed when the scope closes. `redis-server` or `valkey-server` is looked for in `PATH`; without one the
 * tests are skipped, loudly, or fail when `SNOWGUARD_TEST_REQUIRE_REDIS=1`.
 */
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createConnection } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "./freePort.js"

export const binary: string | undefined = ["redis-server", "valkey-server"].find(
  (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0
)

/** May the tests of this file run? Says how they could, and fails if they must. */
export const available = (): boolean => {
  if (binary !== undefined) return true
  const how =
    "neither redis-server nor valkey-server is in PATH; install one (apt-get install redis-server, brew install redis)"
  if (process.env["SNOWGUARD_TEST_REQUIRE_REDIS"] === "1") throw new Error(how)
  console.log(`skipped: the tests against a real Redis. ${how}`)
  return false
}

/** One command in the inline form, and what was answered. */
export const command = (port: number, line: string): Promise<string> => whole(port, line, "\r\n")

const whole = (port: number, line: string, end = "cluster_my_epoch"): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1")
    let said = ""
    socket.setTimeout(2000, () => socket.destroy(new Error("no answer")))
    socket.once("error", reject)
    socket.once("connect", () => socket.write(`${line}\r\n`))
    socket.on("data", (chunk) => {
      said += chunk.toString()
      if (said.includes(end)) {
        socket.destroy()
        resolve(said)
      }
    })
  })

const answers = async (port: number): Promise<void> => {
  for (let tries = 0; ; tries++) {
    try {
      if (/^(\+PONG|-NOAUTH)/.test(await command(port, "PING"))) return
    } catch (cause) {
      if (tries > 400) throw cause
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export interface Server {
  readonly port: number
  readonly url: string
  readonly signal: (signal: NodeJS.Signals) => void
  /** Ends the process at once and waits until it is gone. */
  readonly kill: () => Promise<void>
  /** Starts it again, empty, on the same port. */
  readonly start: () => Promise<void>
}

const servers = new Set<ChildProcess>()
process.once("exit", () => {
  for (const child of servers) child.kill("SIGKILL")
})

export const launch = async (directory: string, extra: ReadonlyArray<string> = []): Promise<Server> => {
  const port = await freePort()
  let child: ChildProcess | undefined
  const start = async () => {
    const started = spawn(
      binary ?? "redis-server",
      [
        "--port",
        String(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        directory
      ].concat(extra),
      { stdio: "ignore" }
    )
    child = started
    servers.add(started)
    started.once("exit", () => servers.delete(started))
    await answers(port)
  }
  await start()
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    signal: (signal) => void child?.kill(signal),
    kill: () =>
      new Promise((resolve) => {
        const dying = child
        if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return resolve()
        dying.once("exit", () => resolve())
        dying.kill("SIGKILL")
      }),
    start
  }
}

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-redis-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A server of one's own. */
export const server = (extra: ReadonlyArray<string> = []) =>
  Effect.flatMap(directory, (path) =>
    Effect.acquireRelease(
      Effect.promise(() => launch(path, extra)),
      (started) => Effect.promise(() => started.kill())
    )
  )

/** Three servers that are one cluster. */
export const cluster = Effect.gen(function* () {
  const paths = yield* Effect.all([directory, directory, directory])
  const nodes = yield* Effect.forEach(paths, (path) =>
    Effect.acquireRelease(
      Effect.promise(() =>
        launch(path, [
          "--cluster-enabled",
          "yes",
          "--cluster-node-timeout",
          "2000",
          "--cluster-require-full-coverage",
          "no",
          // Else a node knows its address only when another has called it, and until then leaves itself out of
          // what it tells clients about the cluster.
          "--cluster-announce-ip",
          "127.0.0.1"
        ])
      ),
      (started) => Effect.promise(() => started.kill())
    )
  )
  yield* Effect.promise(async () => {
    const size = Math.ceil(16_384 / nodes.length)
    for (const [i, { port }] of nodes.entries()) {
      await command(port, `CLUSTER ADDSLOTSRANGE ${i * size} ${Math.min(16_383, (i + 1) * size - 1)}`)
      await command(port, `CLUSTER SET-CONFIG-EPOCH ${i + 1}`)
      if (i > 0) await command(nodes[0]?.port ?? 0, `CLUSTER MEET 127.0.0.1 ${port}`)
    }
    for (let tries = 0; tries < 500; tries++) {
      const infos = await Promise.all(nodes.map(({ port }) => whole(port, "CLUSTER INFO")))
      if (
        infos.every(
          (info) => info.includes("cluster_state:ok") && info.includes("cluster_slots_assigned:16384")
        )
      )
        return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error("the cluster did not come together")
  })
  return { nodes, url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}` }
})
