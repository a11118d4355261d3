/** Debian's logrotate with the shipped file, on the audit log of a server that is called all the time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { folder, serving } from "../utils/httpProcess.js"
import { available, eventually, ran, shipped } from "../utils/ops.js"

describe.runIf(available("logrotate"))("the audit log under logrotate", () => {
  it.scopedLive("holds each call once while its file is rotated, and is written on without a signal", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const logs = join(home, "log")
      mkdirSync(logs)
      // It rotates nothing in a directory that others may write to.
      chmodSync(logs, 0o750)
      const audit = join(logs, "audit.jsonl")
      const conf = join(home, "logrotate.conf")
      writeFileSync(
        conf,
        shipped("snowguard.logrotate", [
          ["/var/log/snowguard/audit.jsonl", audit],
          ["\tsu snowguard snowguard\n", ""]
        ]),
        { mode: 0o600 }
      )
      const { server } = yield* serving({
        SNOWGUARD_AUDIT_FILE: audit,
        SNOWGUARD_AUDIT_MAX_BYTES: String(2 ** 40),
        SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_SECOND: "10000",
        SNOWGUARD_TIERS_DEFAULT_BURST: "10000",
        SNOWGUARD_TIERS_DEFAULT_INITIAL_TOKENS: "10000",
        SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_HOUR: "100000",
        SNOWGUARD_LIMITS_REQUESTS_PER_SECOND: "10000",
        SNOWGUARD_LIMITS_BURST: "10000"
      })
      const session = yield* server.open()
      // The name that was asked for is written down: it tells the calls apart.
      let calls = 0
      let isOver = false
      const caller = async () => {
        while (!isOver) {
          calls += 1
          await Effect.runPromise(server.call(session, calls, `call_${calls}`))
        }
      }
      const callers = Promise.all([caller(), caller()])
      const ROTATIONS = 4
      for (let i = 0; i < ROTATIONS; i++) {
        const from = calls
        yield* eventually(() => calls > from + 10)
        // Files of one second would have one name.
        const seconds = Math.floor(Date.now() / 1000)
        yield* eventually(() => Math.floor(Date.now() / 1000) > seconds)
        const { status, stderr } = yield* ran("logrotate", ["--force", "--state", join(home, "state"), conf])
        assert.strictEqual(status, 0, stderr)
        yield* eventually(() => readdirSync(logs).includes("audit.jsonl"))
      }
      isOver = true
      yield* Effect.promise(() => callers)
      assert.strictEqual(statSync(audit).mode & 0o777, 0o600)

      const asked = () =>
        readdirSync(logs).flatMap((name) => {
          const bytes = readFileSync(join(logs, name))
          return (name.endsWith(".gz") ? gunzipSync(bytes) : bytes)
            .toString()
            .trimEnd()
            .split("\n")
            .map((line) =>
              Number((JSON.parse(line) as { readonly asked: string }).asked.replace("call_", ""))
            )
        })
      // The last lines may still wait for the disk.
      yield* eventually(() => asked().length >= calls)
      assert.deepStrictEqual(
        asked().sort((a, b) => a - b),
        Array.from({ length: calls }, (_, i) => i + 1)
      )
      const names = readdirSync(logs)
      assert.strictEqual(
        names.filter((name) => /^audit\.jsonl-\d{8}-\d+(\.gz)?$/.test(name)).length,
        ROTATIONS
      )
      assert.strictEqual(names.filter((name) => name.endsWith(".gz")).length, ROTATIONS - 1)
      assert.strictEqual(names.length, ROTATIONS + 1, names.join(" "))
    })
  )
})
