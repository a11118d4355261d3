// The Dockerfile, built by buildah and run as an engine would run it: as process 1, as the image's user, on a root file
// system that is read-only. Needs root, buildah and busybox-static, and reaches no image registry: the base image is a
// stand-in (baseImage.mjs).
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import * as BaseImage from "./baseImage.mjs"
import { converse, done, ran } from "./conversation.mjs"

/** Milliseconds. */
const startMs = 60_000
const stopMs = 10_000

/** Asks the server at this port a question over HTTP, as a client of the SDK. */
const query = async (port, key, sql) => {
  const client = new Client({ name: "try-install", version: "1" })
  const url = new URL(`http://127.0.0.1:${port}/mcp`)
  const requestInit = { headers: { authorization: `Bearer ${key}` } }
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }))
  try {
    const { content, isError } = await client.callTool({ name: "execute_query", arguments: { sql } })
    if (isError === true) throw new Error(JSON.stringify(content))
  } finally {
    await client.close()
  }
}

/** Starts the HTTP server that the command is, asks it a question with the key, and ends it: its exit code is 0. */
export const serve = async (command, args, { as, key, ...options }) => {
  const server = spawn(command, args, { ...options, ...as, stdio: ["ignore", "ignore", "pipe"] })
  const closed = once(server, "close")
  let said = ""
  const port = new Promise((resolve) =>
    server.stderr.setEncoding("utf8").on("data", (text) => {
      const [, found] = /:(\d+)\/mcp/.exec((said += text)) ?? []
      if (found !== undefined) resolve(Number(found))
    })
  )
  try {
    const at = await Promise.race([port, closed, sleep(startMs)])
    if (typeof at !== "number") throw new Error(`it does not listen: ${said.slice(-1_500)}`)
    for (const path of ["healthz", "readyz"]) {
      const { status } = await fetch(`http://127.0.0.1:${at}/${path}`)
      if (status !== 200) throw new Error(`/${path} is ${status}`)
    }
    await query(at, key, "SELECT 1")
    server.kill("SIGTERM")
    const [code, signal] = await Promise.race([closed, sleep(stopMs, ["not at all", undefined])])
    if (code !== 0) throw new Error(`SIGTERM ended it with ${code ?? signal}: ${said.slice(-1_500)}`)
    return "a query"
  } finally {
    server.kill("SIGKILL")
    await closed
  }
}

/** Why it cannot be tried on this machine. */
export const missing = () => {
  if (process.getuid?.() !== 0) return "needs root"
  for (const program of ["buildah", "busybox", "unshare", "chroot"]) {
    if (spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0) return `needs ${program}`
  }
  return undefined
}

/** Builds the image into `folder`, with the Node.js and npm that are given. `npmrc`: npm's own settings of this machine. */
export const build = async ({ folder, node, npm, npmrc, root }) => {
  const buildah = (...args) =>
    done("buildah", [
      "--storage-driver",
      "vfs",
      "--root",
      join(folder, "store"),
      "--runroot",
      join(folder, "run"),
      ...args
    ])
  const base = join(folder, "base")
  BaseImage.fill(base, { node, npm })
  const container = (await buildah("from", "scratch")).trim()
  await buildah("add", container, base, "/")
  await buildah("config", "--env", "PATH=/usr/local/bin:/bin:/usr/bin", container)
  await buildah("commit", "-q", container, "node-stand-in")
  await buildah("rm", container)
  rmSync(base, { recursive: true })
  await buildah(
    ...["bud", "--isolation", "chroot", "--network", "host", "--format", "docker"],
    ...["--build-arg", "NODE_IMAGE=localhost/node-stand-in"],
    ...npmrc.flatMap((file) => ["--volume", `${file}:/usr/local/etc/npmrc:ro`]),
    ...["-t", "snowguard", root]
  )
  const { Docker } = JSON.parse(await buildah("inspect", "--type", "image", "snowguard"))
  const running = (await buildah("from", "snowguard")).trim()
  return { config: Docker.config, rootfs: (await buildah("mount", running)).trim() }
}

/** Runs the built image. Resolves to what was seen, throws what was wrong. */
export const run = async ({ config, rootfs }, folder) => {
  if (!/^[1-9]\d*:[1-9]\d*$/.test(config.User)) throw new Error(`the image runs as ${config.User}`)
  const [uid, gid] = config.User.split(":").map(Number)
  const state = join(folder, "state")
  mkdirSync(state)
  chownSync(state, uid, gid)
  const [volume] = Object.keys(config.Volumes)
  // The steps of an engine: a read-only root, the volume, a /tmp, /proc; then the program takes the place of the shell.
  const mounts = [
    'set -e; mount --make-rprivate /; mount --bind "$ROOT" "$ROOT"; mount -o remount,bind,ro "$ROOT"',
    'mount --bind "$STATE" "$ROOT$VOLUME"; mount -t tmpfs tmpfs "$ROOT/tmp"; mount -t proc proc "$ROOT/proc"',
    'mount --rbind /dev "$ROOT/dev"; exec chroot --userspec="$AS" "$ROOT" "$@"'
  ].join("\n")
  const inside = (words, extra = []) => [
    "unshare",
    ["--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", mounts, "sh", "/bin/env", "-i"].concat(
      [...config.Env, ...extra, "SNOWGUARD_HTTP_PORT=18790"],
      ["/bin/sh", "-c", `cd ${config.WorkingDir} && exec "$0" "$@"`, ...words]
    ),
    { env: { PATH: process.env.PATH, ROOT: rootfs, STATE: state, VOLUME: volume, AS: config.User } }
  ]
  const program = (args) => [...config.Entrypoint, ...args]

  const writes = `for (const at of ["/app/x", "/x", "${volume}/x", "/tmp/x"]) try { require("node:fs").writeFileSync(at, "") } catch (error) { console.log(at, error.code) }`
  const refused = await done(...inside(["node", "-e", writes]))
  if (!/^\/app\/x EROFS\n\/x EROFS\n$/.test(refused)) throw new Error(`what cannot be written: ${refused}`)

  const stdio = inside(program(["stdio"]))
  const seen = await converse(stdio[0], stdio[1], stdio[2])

  const key = (await done(...inside(program(["keys", "create", "ada"])))).trim()
  const [command, args, options] = inside(program(config.Cmd))
  const server = spawn(command, args, { ...options, stdio: ["ignore", "ignore", "pipe"] })
  const closed = once(server, "close")
  let said = ""
  server.stderr.setEncoding("utf8").on("data", (text) => (said += text))
  // What `unshare` has started: a change of the user lets it outlive that.
  const started = () =>
    readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8")
      .split(" ")
      .filter(Boolean)
      .map(Number)
  try {
    const health = config.Healthcheck.Test.slice(1)
    const isHealthy = async () => (await ran(...inside(health))).code === 0
    for (const end = Date.now() + startMs; !(await isHealthy()); await sleep(200)) {
      if (Date.now() > end || server.exitCode !== null)
        throw new Error(`never healthy: ${said.slice(-1_500)}`)
    }
    const [pid] = started()
    const [, ids] = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))
    if (ids.split(/\s+/).at(-1) !== "1") throw new Error(`the server is not process 1 but ${ids}`)
    const call = (sql) => query(18_790, key, sql)
    await call("SELECT 1")
    // A child that is killed is waited for: as process 1 there is no other that would.
    const children = () =>
      readdirSync(`/proc/${pid}/task`).flatMap((task) =>
        readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number)
      )
    const [child] = children()
    if (child === undefined) throw new Error("the warehouse has no process")
    process.kill(child, "SIGKILL")
    for (const end = Date.now() + stopMs; children().includes(child); await sleep(50)) {
      if (Date.now() > end) throw new Error("a process that ended stays as a zombie")
    }
    await call("SELECT 2")
    const told = Date.now()
    process.kill(pid, "SIGTERM")
    const [code, signal] = await Promise.race([closed, sleep(stopMs, ["not at all", undefined])])
    if (code !== 0) throw new Error(`SIGTERM ended it with ${code ?? signal}: ${said.slice(-1_500)}`)
    return { ...seen, stopMs: Date.now() - told }
  } finally {
    if (server.exitCode === null && server.signalCode === null) {
      for (const pid of started()) process.kill(pid, "SIGKILL")
      server.kill("SIGKILL")
    }
    await closed
  }
}
