/** `snowguard check`, built, against an account with users, roles and grants. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Options } from "../../src/emulator/Emulator.js"
import * as Emulator from "../../src/emulator/Emulator.js"
import { run } from "../utils/command.js"
import { folder } from "../utils/httpProcess.js"
import { bin, cleanEnv } from "../utils/server.js"

const directory: Options["directory"] = {
  users: {
    ANN: { password: "ann's", roles: ["READER", "WRITER"], type: "PERSON" },
    OLD: { password: "old's", roles: ["READER"], type: "LEGACY_SERVICE" },
    ETL: { password: "etl's", roles: ["READER"], type: "SERVICE" },
    ROOT: { password: "root's", roles: ["ACCOUNTADMIN"], type: "PERSON" },
    HEIR: { password: "heir's", roles: ["HEIR"], type: "PERSON" }
  },
  roles: {
    READER: { reads: ["SALES"], also: [{ privilege: "USAGE", on: "WAREHOUSE", name: "WH" }] },
    WRITER: { reads: [], also: [{ privilege: "INSERT", on: "TABLE", name: "SALES.PUBLIC.ORDERS" }] },
    ACCOUNTADMIN: { reads: [] },
    HEIR: {
      reads: ["SALES"],
      also: [
        { privilege: "USAGE", on: "ROLE", name: "MIDDLE" },
        { privilege: "USAGE", on: "DATABASE_ROLE", name: "SALES.EDITOR" },
        { privilege: "USAGE", on: "PROCEDURE", name: "SALES.PUBLIC.P()" },
        { privilege: "SELECT", on: "TABLE", name: "SALES.PUBLIC.T", grantable: true }
      ]
    },
    MIDDLE: {
      reads: [],
      also: [
        { privilege: "USAGE", on: "ROLE", name: "WRITER" },
        { privilege: "USAGE", on: "ROLE", name: "SYSADMIN" },
        // Each is granted to the other only in a broken account: it ends all the same.
        { privilege: "USAGE", on: "ROLE", name: "HEIR" }
      ]
    },
    "SALES.EDITOR": { reads: [], also: [{ privilege: "UPDATE", on: "VIEW", name: "SALES.PUBLIC.V" }] },
    SYSADMIN: { reads: [], also: [{ privilege: "CREATE DATABASE", on: "ACCOUNT", name: "EMULATOR" }] }
  }
}

const start = (toml: string, options: Options = {}) =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({
      sample: false,
      directory,
      warehouses: ["WH", "BIG"],
      ...options
    })
    const home = yield* folder
    const path = join(home, "snowguard.toml")
    writeFileSync(path, `warehouse = "snowflake"\n${toml.replaceAll("{url}", emulator.url)}`, { mode: 0o600 })
    const check = (...args: ReadonlyArray<string>) =>
      Effect.promise(() =>
        run(process.execPath, [bin, "check", ...args], {
          env: cleanEnv({ HOME: home, SNOWGUARD_CONFIG: path })
        })
      )
    return { check, emulator }
  })

const own = `
[snowflake]
account = "emulator"
access_url = "{url}"
identity = "client"
warehouse = "WH"
role = "READER"
[tiers.gold.snowflake]
user = "OLD"
password = "old's"
[tiers.silver]
weight = 2
[clients.ann.snowflake]
user = "ANN"
password = "ann's"
warehouse = "BIG"
[clients.etl]
tier = "gold"
[clients.etl.snowflake]
role = "READER"
[clients.heir.snowflake]
user = "HEIR"
password = "heir's"
role = "HEIR"
[clients.wrong.snowflake]
user = "ANN"
password = "hunter2"
[clients.stranger.snowflake]
user = "ANN"
password = "ann's"
role = "NOT_HERS"
[clients.lost.snowflake]
user = "ANN"
password = "ann's"
warehouse = "NO_SUCH"
`

const linesOf = (text: string): ReadonlyArray<string> => text.trimEnd().split("\n")

it.scopedLive(
  "names as whom a client's statements run, in what, and how it logs in; nothing of it is secret",
  () =>
    Effect.gen(function* () {
      const { check } = yield* start(own)
      const ann = yield* check("--client", "ann")
      expect([ann.status, linesOf(ann.stdout)]).toEqual([
        0,
        [
          "client: ann",
          "tier: default",
          "identity: client",
          expect.stringMatching(/^account host: 127\.0\.0\.1:\d+$/),
          "account: EMULATOR",
          "user: ANN",
          "role: READER",
          'secondary roles: none (the user also has WRITER; snowflake.secondary_roles = "all" would let sessions use them)',
          expect.stringMatching(/^version: \d/),
          "warehouse: BIG (X-Small, started)",
          expect.stringMatching(/^warning: ANN is a person and logs in with a password alone/),
          "ok"
        ]
      ])
      const gold = yield* check("--tier", "gold")
      expect(gold.stdout).toMatch(/\nuser: OLD\nrole: READER\nsecondary roles: none\n/)
      expect(gold.stdout).toContain("warning: OLD is a legacy service user and logs in with a password alone")
      expect((yield* check("--client", "etl")).stdout).toMatch(/^client: etl\ntier: gold\n[^]*\nuser: OLD\n/)
      const json = JSON.parse((yield* check("--client", "ann", "--json")).stdout)
      expect(json).toMatchObject({
        ok: true,
        client: "ann",
        user: "ANN",
        role: "READER",
        secondary_roles: expect.stringContaining("none"),
        warehouse: "BIG (X-Small, started)"
      })
      for (const { stderr, stdout } of [ann, gold]) expect(stdout + stderr).not.toMatch(/'s\b|hunter2/)
    })
)

it.scopedLive(
  "warns of each privilege beyond reading, also of those by roles that are granted to the role",
  () =>
    Effect.gen(function* () {
      const { check, emulator } = yield* start(own)
      const heir = yield* check("--client", "heir")
      expect([
        heir.status,
        linesOf(heir.stdout)
          .filter((line) => !/password/.test(line))
          .slice(-6)
      ]).toEqual([
        0,
        [
          "warning: HEIR has the system role SYSADMIN, which may do far more than read",
          "warning: HEIR has USAGE on PROCEDURE SALES.PUBLIC.P(), which is more than reading",
          "warning: HEIR may grant SELECT on TABLE SALES.PUBLIC.T to others, which is more than reading",
          "warning: HEIR has UPDATE on VIEW SALES.PUBLIC.V by the role SALES.EDITOR, which is more than reading",
          "warning: HEIR has INSERT on TABLE SALES.PUBLIC.ORDERS by the role WRITER, which is more than reading",
          "ok"
        ]
      ])
      yield* emulator.setFaults({
        faults: [{ kind: "refusal", where: "query", code: "003001", sql: "SHOW GRANTS" }]
      })
      expect((yield* check("--client", "ann")).stdout).toContain(
        "\nwarning: what READER, PUBLIC may do could not be seen (SHOW GRANTS TO ROLE)\n"
      )
    })
)

it.scopedLive("counts what active secondary roles may write, and warns of a system role", () =>
  Effect.gen(function* () {
    const shared = (user: string, more = "") => `
  [snowflake]
  account = "emulator"
  access_url = "{url}"
  user = "${user.toUpperCase()}"
  password = "${user}'s"
  warehouse = "WH"
  ${more}`
    const loose = yield* start(shared("ann", 'secondary_roles = "all"'))
    const { stdout } = yield* loose.check()
    expect(stdout).toMatch(/\nsecondary roles: WRITER\n/)
    expect(stdout).toContain("warning: secondary roles are active")
    expect(stdout).toContain(
      "READER has INSERT on TABLE SALES.PUBLIC.ORDERS by the secondary role WRITER, which is more than reading"
    )
    const root = yield* start(shared("root"))
    expect((yield* root.check()).stdout).toContain(
      "\nwarning: ACCOUNTADMIN is a system role; use one that may read"
    )
  })
)

it.scopedLive("says what is wrong with whose settings, and what to do", () =>
  Effect.gen(function* () {
    const { check, emulator } = yield* start(own)
    const told = (...args: ReadonlyArray<string>) =>
      Effect.map(check(...args), ({ status, stdout }) => `${status}\n${stdout}`)
    expect(yield* told("--client", "wrong")).toMatch(
      /^78\n[^]*\nwrong: user or password is wrong[^\n]*\nto do: correct clients\.wrong\.snowflake\.user and clients\.wrong\.snowflake\.password: /
    )
    expect(yield* told("--client", "stranger")).toMatch(
      /^78\n[^]*\nwrong: the role does not exist or is not granted to the user[^\n]*\nto do: correct clients\.stranger\.snowflake\.role, /
    )
    expect(yield* told("--client", "lost")).toMatch(
      /^78\n[^]*\nwrong: [^\n]*warehouse[^\n]*\nto do: correct clients\.lost\.snowflake\.warehouse/
    )
    expect(yield* told("--client", "nobody")).toBe(
      '78\nwrong: the client nobody has no user of its own in Snowflake, and snowflake.identity is "client"\n' +
        "to do: set a user and its credential in [clients.nobody.snowflake] or [tiers.default.snowflake]\n"
    )
    expect(yield* told("--tier", "silver")).toBe(
      '78\nwrong: the tier silver has no user of its own in Snowflake, and snowflake.identity is "client"\n' +
        "to do: set a user and its credential in [tiers.silver.snowflake]\n"
    )
    expect(yield* told()).toBe(
      '78\nwrong: snowflake.identity is "client": each client, or tier, has a user of its own in Snowflake\n' +
        "to do: say whose login to check: --client ann, --client heir, --client wrong, --client stranger, --client lost, " +
        "--tier gold\n"
    )
    for (const code of ["390420", "390422", "390432"]) {
      yield* emulator.setFaults({ faults: [{ kind: "refusal", where: "login", code }] })
      expect(yield* told("--client", "ann")).toMatch(
        new RegExp(
          `^78\\n[^]*\\nwrong: a network policy does not let this machine in: [^\\n]*\\[${code}\\]\\nto do: ask an administrator`
        )
      )
    }
    yield* emulator.setFaults({ faults: [{ kind: "status", status: 403, where: "login" }] })
    expect(yield* told("--client", "ann")).toMatch(
      /^78\n[^]*\nwrong: [^\n]*refuses this machine[^]*network policy/
    )
  })
)

it.scopedLive("logs in once a run, whatever comes of it: a refused password is not tried again", () =>
  Effect.gen(function* () {
    const { check, emulator } = yield* start(own)
    const logins = Effect.map(emulator.state, ({ requests }) => requests["Login"] ?? 0)
    for (const [client, code] of [
      ["ann", 0],
      ["wrong", 78],
      ["stranger", 78],
      ["lost", 78]
    ] as const) {
      const before = yield* logins
      const { status, stdout } = yield* check("--client", client)
      expect([client, status, (yield* logins) - before], stdout).toEqual([client, code, 1])
    }
  })
)
