import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Keys from "../../src/transport/auth/Keys.js"
import * as H from "../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-flood-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("a client that floods", () => {
  it.scopedLive("is told to wait before its requests are read, in each of its sessions; others are not", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const flooder = yield* Keys.create(path, { client: "flooder" })
      const again = yield* Keys.create(path, { client: "flooder" })
      const other = yield* Keys.create(path, { client: "other" })
      const server = yield* H.server({
        auth: Layer.orDie(Keys.layer({ path, tierOf: () => "default", isTier: () => true })),
        options: { clientRequests: { burst: 6, ratePerSecond: 0.02 } }
      })
      const session = yield* server.open({ token: flooder.key })
      const calls = yield* Effect.forEach([1, 2, 3, 4, 5], (id) =>
        server.call(session, id, "who", {}, { token: flooder.key })
      )
      assert.deepStrictEqual(
        calls.map(({ status }) => status),
        [200, 200, 200, 200, 200]
      )
      for (const token of [flooder.key, again.key]) {
        const refused = yield* server.call(session, 6, "who", {}, { token })
        assert.strictEqual(refused.status, 429)
        assert.strictEqual(refused.headers["ratelimit-policy"], '"requests";q=6;w=300')
        assert.match(String(refused.headers["ratelimit"]), /^"requests";r=0;t=\d+$/)
        const seconds = Number(refused.headers["retry-after"])
        assert.isAtLeast(seconds, 40)
        assert.isAtMost(seconds, 50)
        const [message] = H.messages(refused)
        assert.include(message?.error?.message ?? "", `Wait ${seconds} s`)
        assert.strictEqual(message?.id, null)
      }
      const own = yield* server.open({ token: other.key })
      assert.strictEqual((yield* server.call(own, 1, "who", {}, { token: other.key })).status, 200)
    }).pipe(quiet)
  )
})
