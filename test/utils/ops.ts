/** The files of `ops/`, as they are shipped but for the paths and ports of this machine, and the programs that read them. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { run } from "./command.js"

export const here = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** The shipped file with each of these texts replaced; one that is not there is a mistake of the test. */
export const shipped = (name: string, replaced: ReadonlyArray<readonly [from: string, to: string]> = []) => {
  let text = readFileSync(here(`ops/${name}`), "utf8")
  for (const [from, to] of replaced) {
    if (!text.includes(from)) throw new Error(`ops/${name} does not hold ${from}`)
    text = text.replaceAll(from, to)
  }
  return text
}

/** Debian has the programs of servers where only root looks for them. */
export const path = [process.env["PATH"] ?? "", "/usr/local/sbin", "/usr/sbin", "/sbin"].join(delimiter)
const env = { ...process.env, PATH: path }

/**
 * May tests run that need these programs? Says how they could, and fails where they must
 * (`SNOWGUARD_TEST_REQUIRE_NGINX=1` and so on).
 */
export const available = (...programs: ReadonlyArray<string>): boolean => {
  const missing = programs.filter((program) => spawnSync("which", [program], { env }).status !== 0)
  if (missing.length === 0) return true
  const how = `${missing.join(", ")} not in PATH; install it (apt-get install nginx-light caddy logrotate prometheus systemd)`
  for (const program of missing) {
    const required = `SNOWGUARD_TEST_REQUIRE_${program.replace(/\W/g, "_").toUpperCase()}`
    if (process.env[required] === "1") throw new Error(`${required}: ${how}`)
  }
  console.log(`skipped: ${how}`)
  return false
}

/** Runs one of them to its end. */
export const ran = (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly input?: string } = {}
) => Effect.promise(() => run(program, args, { env, ...options }))

/** Looks again and again, with a pause; the test's own limit ends it. */
export const eventually = <A>(look: () => A | undefined | false | Promise<A | undefined | false>) =>
  Effect.gen(function* () {
    for (;;) {
      const found = yield* Effect.promise(async () => look())
      if (found !== undefined && found !== false) return found
      yield* Effect.sleep(20)
    }
  })

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })

/** A program that serves until the scope is closed; it listens on the port then. What it writes is kept. */
export const daemon = (
  program: string,
  args: ReadonlyArray<string>,
  port: number,
  options: { readonly cwd?: string; readonly env?: { readonly [name: string]: string } } = {}
) =>
  Effect.gen(function* () {
    const started = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(program, [...args], {
          ...options,
          env: { ...env, ...options.env },
          stdio: ["ignore", "pipe", "pipe"]
        })
        const told = { child, output: "", closed: once(child, "close") }
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding("utf8").on("data", (text: string) => (told.output += text))
        }
        return told
      }),
      ({ child, closed }) =>
        Effect.promise(() => {
          child.kill("SIGTERM")
          return closed
        }).pipe(
          // Its children hold the pipes while they live.
          Effect.timeoutTo({ duration: 5_000, onSuccess: () => true, onTimeout: () => false }),
          Effect.tap((ended) => (ended ? Effect.void : Effect.sync(() => child.kill("SIGKILL"))))
        )
    )
    yield* eventually(async () => {
      if (started.child.exitCode !== null) throw new Error(`${program} has ended: ${started.output}`)
      return listens(port)
    })
    return started
  })

/** A certificate for the names, and its key, in the folder. */
export const certificate = (folder: string, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const cert = join(folder, "fullchain.pem")
    const key = join(folder, "privkey.pem")
    const { status, stderr } = yield* ran("openssl", [
      ...[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2"
      ],
      ...["-keyout", key, "-out", cert, "-subj", `/CN=${names[0]}`],
      ...["-addext", `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`]
    ])
    if (status !== 0) throw new Error(stderr)
    return { cert, key, ca: readFileSync(cert, "utf8") }
  })

export interface Nginx {
  readonly folder: string
  /** As `nginx -s NAME`: `reload`, `quit`. */
  readonly signal: (name: string) => Effect.Effect<void>
  readonly pid: () => number | undefined
  /** The one that an upgrade replaces, until it has ended. */
  readonly oldPid: () => number | undefined
  readonly log: () => string
}

const pidIn = (path: string): number | undefined => {
  try {
    return Number(readFileSync(path, "utf8")) || undefined
  } catch {
    return undefined
  }
}

const kill = (pid: number | undefined, signal: NodeJS.Signals): boolean => {
  if (pid === undefined) return false
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** nginx with this in its `http` block. It keeps everything that it writes in the folder. */
export const nginx = (folder: string, http: string, port: number): Effect.Effect<Nginx, never, Scope.Scope> =>
  Effect.gen(function* () {
    const conf = join(folder, "main.conf")
    const pidFile = join(folder, "nginx.pid")
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${join(folder, name)};`
    )
    writeFileSync(join(folder, "snowguard.conf"), http)
    writeFileSync(
      conf,
      `${process.getuid?.() === 0 ? "user root root;" : ""}
      worker_processes 1;
      pid ${pidFile};
      error_log ${join(folder, "error.log")} notice;
      events { worker_connections 256; }
      http { access_log ${join(folder, "access.log")}; ${temporary.join(" ")} include ${join(folder, "snowguard.conf")}; }`
    )
    const args = ["-p", folder, "-e", join(folder, "error.log"), "-c", conf]
    // It goes into the background, and by its full path: nginx cannot be upgraded otherwise.
    const program = (yield* ran("which", ["nginx"])).stdout.trim()
    yield* Effect.acquireRelease(
      Effect.map(ran(program, args), ({ status, stderr }) => {
        if (status !== 0) throw new Error(stderr)
      }),
      () => eventually(() => !kill(pidIn(pidFile), "SIGTERM") && !kill(pidIn(`${pidFile}.oldbin`), "SIGTERM"))
    )
    yield* eventually(() => listens(port))
    return {
      folder,
      signal: (name) =>
        Effect.map(ran("nginx", [...args, "-s", name]), ({ status, stderr }) => {
          if (status !== 0) throw new Error(stderr)
        }),
      pid: () => pidIn(pidFile),
      oldPid: () => pidIn(`${pidFile}.oldbin`),
      log: () => readFileSync(join(folder, "error.log"), "utf8")
    }
  })
