import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { freePort } from "../utils/freePort.js"
import * as Redis from "../utils/redis.js"
import * as Server from "../utils/server.js"
import { inLongForm } from "../utils/long.js"

/** What a command says that ends by itself. */
const ended = (args: ReadonlyArray<string>, env: Server.Env) =>
  Effect.promise(
    () =>
      new Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>(
        (resolve) => {
          const child = spawn(process.execPath, [Server.bin, ...args], { env: Server.cleanEnv(env) })
          let stdout = ""
          let stderr = ""
          child.stdout.on("data", (text: Buffer) => (stdout += text.toString()))
          child.stderr.on("data", (text: Buffer) => (stderr += text.toString()))
          child.on("close", (code) => resolve({ code, stdout, stderr }))
        }
      )
  )

const envOf = (url: string, more: Server.Env = {}): Server.Env => ({
  SNOWGUARD_QUOTA_STORE_KIND: "redis",
  SNOWGUARD_QUOTA_STORE_REDIS_URL: url,
  ...more
})

/** A server that answers a call, and what it has logged until its client has left. */
const answering = (env: Server.Env) =>
  Effect.flatMap(Server.raw({ env }), (server) =>
    Effect.promise(async () => {
      await server.initialize()
      const answer = await server.call(1, "list_databases")
      assert.notStrictEqual(answer.result?.isError, true, JSON.stringify(answer))
      server.child.stdin.end()
      const { code } = await server.exited
      assert.strictEqual(code, 0)
      return server.stderr
    })
  )

const offer = 'quota_store.on_unavailable = "memory"'

describe("a server whose Redis is not there when it starts", () => {
  it.scopedLive("ends with 74 and says which Redis and why, or counts in memory and says that", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort)
      const env = envOf(`redis://user:s3cretpw@127.0.0.1:${port}`)
      const [refused, shown, logged] = yield* Effect.all(
        [
          ended(["http", "--port", "0"], env),
          ended(["quota", "show"], { ...env, SNOWGUARD_QUOTA_STORE_ON_UNAVAILABLE: "memory" }),
          answering({ ...env, SNOWGUARD_QUOTA_STORE_ON_UNAVAILABLE: "memory" })
        ],
        { concurrency: "unbounded" }
      )
      const why = `there is no connection to 127.0.0.1:${port}: the connection was refused, nothing listens there`
      assert.strictEqual(refused.code, 74)
      assert.include(refused.stderr, `quota store open: ${why}`)
      assert.include(refused.stderr, offer)
      // The command reads the store and nothing else.
      assert.deepStrictEqual([shown.code, shown.stdout], [74, ""])
      assert.include(shown.stderr, why)
      assert.notInclude(shown.stderr, offer)
      assert.include(logged, `QUOTAS ARE NOT KEPT: ${why}`)
      for (const text of [refused.stderr, shown.stderr, logged]) assert.notInclude(text, "s3cretpw")
    })
  )

  it.scopedLive("starts where only the rate limits are there, and says that it applies them by itself", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort)
      const server = yield* Server.raw({
        env: {
          SNOWGUARD_QUOTA_STORE_REDIS_URL: `redis://127.0.0.1:${port}`,
          SNOWGUARD_RATE_LIMITS: "shared"
        }
      })
      yield* Effect.promise(async () => {
        await server.initialize()
        const answer = await server.call(1, "list_databases")
        assert.notStrictEqual(answer.result?.isError, true)
        while (!server.stderr.includes("are not shared")) await once(server.child.stderr, "data")
        server.child.stdin.end()
        await server.exited
      })
      assert.match(
        server.stderr,
        /the rate limits are not shared: there is no connection to 127\.0\.0\.1:\d+: the connection was refused/
      )
    })
  )
})

describe.runIf(Redis.available())("a server that its Redis does not let in when it starts", () => {
  inLongForm(() => {
    it.scopedLive(
      "ends with 74 and says that the password is wrong, or that TLS is, and not what it is",
      () =>
        Effect.gen(function* () {
          const redis = yield* Redis.server(["--requirepass", "right"])
          const at = `127.0.0.1:${redis.port}`
          const [password, tls, good] = yield* Effect.all(
            [
              ended(["http", "--port", "0"], envOf(`redis://:s3cretpw@${at}`)),
              ended(["http", "--port", "0"], envOf(`rediss://:s3cretpw@${at}`)),
              ended(["quota", "show"], envOf(`redis://:right@${at}`))
            ],
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual([password.code, tls.code, good.code], [74, 74, 0])
          assert.include(
            password.stderr,
            `${at}: Redis refuses the user or password of the Redis URL (WRONGPASS`
          )
          assert.match(
            tls.stderr,
            new RegExp(
              `${at}: (TLS failed|the other side closed the connection|the host does not answer, or not as the URL says: TLS)`
            )
          )
          for (const { stderr } of [password, tls]) assert.notInclude(stderr, "s3cretpw")
        })
    )
  })

  it.scopedLive("starts with a Redis that is there a moment later", () =>
    Effect.gen(function* () {
      const redis = yield* Redis.server()
      yield* Effect.promise(() => redis.kill())
      const [logged] = yield* Effect.all(
        [
          answering(envOf(redis.url)),
          Effect.delay(
            Effect.promise(() => redis.start()),
            300
          )
        ],
        { concurrency: "unbounded" }
      )
      assert.notInclude(logged, "QUOTAS ARE NOT KEPT")
    })
  )
})
