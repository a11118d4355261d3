import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Report } from "../../src/operate/ReplayReport.js"
import * as Command from "../utils/command.js"
import type * as Http from "../utils/http.js"
import { folder, serving } from "../utils/httpProcess.js"
import { bin, cleanEnv } from "../utils/server.js"

const limits = (extra = "") => `
[tiers.default]
requests_per_second = 10
burst = 3
initial_tokens = 2
max_token_wait_seconds = 0.35
[tiers.small]
requests_per_second = 5
burst = 6
requests_per_hour = 14
bytes_per_day = 100000
observe = ["tool"]
[tiers.small.tools.execute_query]
requests_per_second = 0.5
burst = 1
weight = 1.5
[clients.bob]
tier = "small"
[global_quota]
queries_per_hour = 60
${extra}`

const binary = (args: ReadonlyArray<string>, env: { readonly [name: string]: string } = {}) =>
  Effect.promise(() => Command.run(process.execPath, [bin, ...args], { env: cleanEnv(env) }))

const simulate = (args: ReadonlyArray<string>) => binary(["limits", "simulate", ...args])

const reportOf = ({ status, stderr, stdout }: Command.Ended): Report => {
  assert.strictEqual(status, 0, stderr)
  return JSON.parse(stdout)
}

describe("limits simulate, spawned", () => {
  it.scopedLive(
    "the log of two servers on one store, one of them started again: every decision is the one that was taken",
    () =>
      Effect.gen(function* () {
        const home = yield* folder
        const [audit, config, tighter] = ["audit.log", "now.toml", "tighter.toml"].map((name) =>
          join(home, name)
        ) as [string, string, string]
        writeFileSync(config, limits())
        writeFileSync(tighter, limits("queries_per_day = 10\n[clients.ann]\nrequests_per_hour = 5\n"))
        const env = {
          SNOWGUARD_STATE_DIR: home,
          SNOWGUARD_CONFIG: config,
          SNOWGUARD_AUDIT_FILE: audit,
          SNOWGUARD_AUTH_MODE: "keys"
        }
        const keys = yield* Effect.forEach(["ann", "bob"], (name) =>
          Effect.map(binary(["keys", "create", name, "--json"], env), ({ stdout }) =>
            String(JSON.parse(stdout).key)
          )
        )
        /** A few calls of both clients at once, as many statements as look-ups. */
        const round = (server: Http.Server, many: number) =>
          Effect.forEach(
            keys,
            (token) =>
              Effect.flatMap(server.open({ token }), (session) =>
                Effect.forEach(
                  Array.from({ length: many }, (_, i) => i),
                  (i) =>
                    i % 2 === 0
                      ? server.call(session, i, "execute_query", { sql: `select ${i} as n` }, { token })
                      : server.call(session, i, "list_databases", {}, { token }),
                  { concurrency: "unbounded" }
                )
              ),
            { concurrency: "unbounded" }
          )
        const ended = ({ child, exited }: Effect.Effect.Success<ReturnType<typeof serving>>["process"]) =>
          Effect.promise(() => {
            child.kill("SIGTERM")
            return exited
          })
        const [one, two] = yield* Effect.all([serving(env), serving(env)])
        for (const { server } of [one, two, one, two]) yield* round(server, 8)
        yield* ended(one.process)
        const again = yield* serving(env)
        for (const { server } of [again, two, again]) yield* round(server, 6)
        yield* Effect.all([ended(two.process), ended(again.process)])

        const same = reportOf(yield* simulate(["--audit", audit, "--config", config, "--json"]))
        assert.deepInclude(same, { servers: 3, newly_refused: 0, newly_admitted: 0 })
        for (const { by, client, refused, waited } of [{ client: "all", by: [], ...same }, ...same.clients]) {
          assert.strictEqual(refused.now, refused.then, client)
          assert.deepStrictEqual(waited.now, waited.then, client)
          for (const { now, then, ...limit } of by) assert.strictEqual(now, then, JSON.stringify(limit))
        }
        assert.isAbove(same.refused.then, 5)
        assert.isAbove(same.waited.then.calls, 3)
        const met = same.clients.flatMap(({ by }) =>
          by.map(({ observed, scope }) => `${scope}${observed ? " observed" : ""}`)
        )
        for (const limit of ["client", "client:requests_per_hour", "tool observed"])
          assert.include(met, limit)

        const less = reportOf(yield* simulate(["--audit", audit, "--config", tighter, "--json"]))
        const ann = less.clients.find(({ client }) => client === "ann")
        assert.strictEqual(less.calls, same.calls)
        assert.isAbove(less.newly_refused, 0)
        assert.strictEqual((ann?.calls ?? 0) - (ann?.refused.now ?? 0), 5)
        assert.strictEqual(ann?.first_refused?.code, "RATE_LIMITED")

        // What was asked before the range is replayed: it used what it used.
        const middle = (Date.parse(same.from ?? "") + Date.parse(same.to ?? "")) / 2
        const from = new Date(middle).toISOString()
        const late = reportOf(
          yield* simulate(["--audit", audit, "--config", tighter, "--from", from, "--json"])
        )
        assert.isBelow(late.calls, same.calls)
        const annLate = late.clients.find(({ client }) => client === "ann")
        assert.isAbove(annLate?.calls ?? 0, 0)
        assert.strictEqual(annLate?.refused.now, annLate?.calls)

        const { stdout } = yield* simulate(["--audit", audit, "--config", tighter])
        for (const line of stdout.split("\n")) assert.isAtMost(line.length, 80, line)
        if (process.env["SHOW"] !== undefined) console.log(stdout, readFileSync(audit, "utf8").slice(0, 3000))
      }),
    60_000
  )
})
