/** Every event of the documentation, from what causes it: the shared server, spawned, in front of an account, a store and a receiver. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHmac, timingSafeEqual } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { setTimeout as pause } from "node:timers/promises"
import { names } from "../../src/platform/core/Events.js"
import type { Name } from "../../src/platform/core/Events.js"
import * as Stack from "../dashboard/stack.js"
import { listening } from "../utils/listening.js"
import * as Redis from "../utils/redis.js"

const documentation = readFileSync(new URL("../../docs/alerts.md", import.meta.url), "utf8")

/** The example of the documentation, as it stands there. */
const example =
  /## Signature[\s\S]*?```js\n([\s\S]*?)```/.exec(documentation)?.[1] ?? assert.fail("no example")
const verify = new Function(
  ...["header", "body", "key", "createHmac", "timingSafeEqual", "Buffer", "Date"],
  `${example}; return valid`
)
const isValid = (header: string, body: string, key: string, now = Date.now()): boolean =>
  verify(header, body, key, createHmac, timingSafeEqual, Buffer, { now: () => now }) as boolean

const KEY = "a key of the receiver"

interface Told {
  readonly event: Name
  readonly details: { readonly [name: string]: unknown }
  readonly text: string
  readonly raw: string
  readonly signature: string
}

const receiver = Effect.gen(function* () {
  const told: Array<Told> = []
  const server = createServer((request, response) => {
    let raw = ""
    request.setEncoding("utf8").on("data", (chunk: string) => (raw += chunk))
    request.on("end", () => {
      const signature = String(request.headers["x-snowguard-signature"])
      told.push({ ...(JSON.parse(raw) as Told), raw, signature })
      response.end()
    })
  })
  return { told, url: `${yield* listening(server)}/hook` }
})

describe("the events that operators are told of", () => {
  it("are those of the documentation", () => {
    const documented = [...documentation.matchAll(/^\| (`.*?`) +\|/gm)].flatMap(([, cell = ""]) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name)
    )
    assert.sameMembers(documented, [...names])
  })

  it.scopedLive.skipIf(!Redis.available())(
    "reach a receiver, each from its own cause, signed as the documentation verifies it, and without any statement",
    () =>
      Effect.gen(function* () {
        const { told, url } = yield* receiver
        const redis = yield* Redis.server()
        const toml = (more = "") => `
[breaker]
consecutive_failures = 3
open_seconds = 0.5
[quota_store]
kind = "redis"
redis_url = "${redis.url}"
[clients.agent]
queries_per_day = 5
[[alerts]]
url = "${url}"
min_interval = 0
signing_key = "${KEY}"
${more}`
        const stack = yield* Stack.start({ toml: toml() })
        const agent = yield* Stack.agent(stack.server, stack.keys.agent)
        const ops = yield* Stack.agent(stack.server, stack.keys.ops)
        const admin = (action: string) =>
          stack.server.ask({ method: "POST", path: `/admin/${action}`, body: {}, token: stack.keys.ops })
        /** Does it again and again, until the receiver was told so. */
        const until = (event: Name, cause: () => Promise<unknown> = () => Promise.resolve()) =>
          Effect.promise(async () => {
            const heard = () => told.some((one) => one.event === event)
            for (let n = 0; n < 200 && !heard(); n++) {
              await cause()
              if (!heard()) await pause(50)
            }
            assert.include(
              told.map((one) => one.event),
              event
            )
          })

        // While no session is open yet.
        yield* Effect.promise(() => stack.account.faults([{ kind: "badPassword" }]))
        yield* until("login_refused", ops.query)
        yield* Effect.promise(() => stack.account.faults([]))
        yield* admin("warehouse/unlatch")
        yield* until("login_accepted", ops.query)

        stack.configure(toml("[limits]\nburst = -1\nno_such_setting = 1"))
        assert.strictEqual((yield* admin("config/reload")).status, 200)
        yield* until("config_refused")
        stack.configure(toml())
        yield* admin("config/reload")

        yield* until("quota_80", agent.query)
        yield* until("quota_100", agent.query)

        yield* until("client_looping", () =>
          ops.run("SELECT secret_word FROM SNOWGUARD_SAMPLE.PUBLIC.MISSING")
        )

        yield* Effect.promise(redis.kill)
        yield* until("store_lost", ops.query)
        yield* Effect.promise(redis.start)
        yield* until("store_found", ops.query)

        // The last: the mode holds queries back for a while after it.
        yield* Effect.promise(() => stack.account.faults([{ kind: "status", where: "query", status: 503 }]))
        // One client alone does not open the circuit while others call.
        yield* until("circuit_opened", () => Promise.all([agent.lookUp(), ops.lookUp()]))
        yield* until("mode_changed")
        yield* Effect.promise(() => stack.account.faults([]))
        yield* until("circuit_closed", ops.lookUp)

        assert.sameMembers([...new Set(told.map(({ event }) => event))], [...names])
        for (const { raw, signature } of told) {
          assert.isTrue(isValid(signature, raw, KEY))
          assert.isFalse(isValid(signature, raw, "another key"))
          assert.isFalse(isValid(signature, raw.replace("version", "Version"), KEY))
          assert.isFalse(isValid(signature, raw, KEY, Date.now() + 600_000), "one that is old")
          assert.notMatch(raw, /secret_word|SELECT/i)
          assert.notInclude(raw, KEY)
        }
        const of = (event: Name) => told.find((one) => one.event === event)
        assert.deepInclude(of("quota_100")?.details, {
          client: "agent",
          quota: "queries_per_day",
          used: 5,
          limit: 5
        })
        assert.deepStrictEqual(of("config_refused")?.details["keys"], [
          "limits.burst",
          "limits.no_such_setting"
        ])
      }),
    120_000
  )
})
