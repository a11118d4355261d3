import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Report } from "../../src/operate/ReplayReport.js"
import * as Command from "../utils/command.js"
import type * as Http from "../utils/http.js"
import { folder, serving } from "../utils/httpProcess.js"
import { bin, cleanEnv } from "../utils/server.js"
import * as Terminal from "../utils/terminal.js"

const limits = (extra = "") => `
[tiers.default]
requests_per_second = 4
burst = 3
initial_tokens = 2
max_token_wait_seconds = 0.6
[tiers.small]
requests_per_second = 3
burst = 6
requests_per_hour = 10
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
        assert.isNotNull(ann?.first_refused)

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
        // A pipe has no width: what is longer than a terminal stays on its line.
        assert.isAbove(Math.max(...stdout.split("\n").map((line) => line.length)), 80)
        if (Terminal.missing !== undefined) return
        const narrow = yield* Effect.promise(() =>
          Terminal.run(["limits", "simulate", "--audit", audit, "--config", tighter], {
            columns: 50,
            env: cleanEnv()
          })
        )
        assert.strictEqual(narrow.code, 0, narrow.shown)
        assert.include(narrow.plain, "newly refused: ")
        for (const line of narrow.plain.split("\n")) assert.isAtMost(line.length, 50, line)
      }),
    60_000
  )

  it.scopedLive(
    "a file that cannot be read, one without what a replay needs, and times without a call end with 1",
    () =>
      Effect.gen(function* () {
        const home = yield* folder
        const file = (name: string, text: string): string => {
          writeFileSync(join(home, name), text)
          return join(home, name)
        }
        const older = JSON.stringify({
          time: "2026-11-29T10:00:00.000Z",
          client: "ann",
          tier: "default",
          tool: "execute_query",
          decision: "ok",
          ms: 1
        })
        const call = JSON.stringify({
          ...JSON.parse(older),
          v: 2,
          limits: [
            {
              server: "a",
              started: Date.UTC(2026, 10, 29, 10),
              operation: 1,
              class: "query",
              deadline: 1000,
              estimate: 100,
              steps: [[1, 5, 0, "rate", 0]]
            }
          ]
        })
        const whole = file("whole.log", `${call}\n`)
        const refused = (args: ReadonlyArray<string>, status: number, told: RegExp) =>
          Effect.map(simulate(args), (ended) => {
            assert.strictEqual(ended.status, status, ended.stderr)
            assert.strictEqual(ended.stdout, "")
            assert.match(ended.stderr, told)
          })
        yield* refused(["--audit", join(home, "none.log")], 1, /none\.log cannot be read: .*no such file/i)
        yield* refused(["--audit", home], 1, /cannot be read: /)
        yield* refused(
          ["--audit", file("old.log", `${older}\n${older}\nnonsense\n`)],
          1,
          /no call that can be replayed; 2 lines of calls; 2 of them of an earlier version.*; 1 lines? that cannot be read, the first .*old\.log:3/
        )
        yield* refused(
          ["--audit", whole, "--from", "2026-11-30"],
          1,
          /no call of the audit log is in this range/
        )
        yield* refused(
          ["--audit", file("endless.log", `${call}\n${"0".repeat(17 * 1024 ** 2)}`)],
          1,
          /endless\.log cannot be read: a line of it has more than 16777216 characters/
        )
        yield* refused([], 64, /expected --audit FILE/)
        yield* refused(["--audit", whole, "--from", "yesterday"], 64, /--from: expected a time/)
        yield* refused(["--audit", whole, "--from", "2026-11-30", "--to", "2026-11-29T12:00"], 64, /--to: /)
        yield* refused(
          ["--audit", whole, "--client", "ann"],
          64,
          /--client: an option of limits explain, not of limits simulate/
        )
        yield* refused(["--audit", whole, "--config", join(home, "none.toml")], 78, /none\.toml/)

        const mixed = file("mixed.log", `${older}\n{"time":\n${call}\n`)
        const report = reportOf(
          yield* simulate([
            "--audit",
            mixed,
            whole,
            "--from",
            "2026-11-29",
            "--to",
            "2026-11-29T10:00:01",
            "--json"
          ])
        )
        assert.deepInclude(report, {
          calls: 1,
          not_replayed: {
            older_lines: 1,
            faulty_lines: [`${mixed}:2`],
            calls_without_beginning: 0
          }
        })
      })
  )
})
