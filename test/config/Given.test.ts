import { describe, expect, it } from "@effect/vitest"
import { faultsOf, settingsOf } from "./samples.js"

describe("the file", () => {
  it("names unknown keys, sections, and what was probably meant", () => {
    expect(
      faultsOf({
        document: {
          warehose: "duckdb",
          burst: 200,
          limit: { burst: 1, other: 2 },
          limits: { bursts: 1, default_rows: 5, zzz: 1 },
          tiers: { batch: { weigth: 2 } },
          qqq: {}
        }
      })
    ).toEqual([
      "warehose (snowguard.toml): unknown key; did you mean warehouse?",
      "burst (snowguard.toml): unknown key; did you mean limits.burst?",
      "limit (snowguard.toml): unknown section; did you mean limits?",
      "limits.bursts (snowguard.toml): unknown key; did you mean limits.burst?",
      "limits.default_rows (snowguard.toml): unknown key; did you mean results.default_rows?",
      "limits.zzz (snowguard.toml): unknown key",
      "tiers.batch.weigth (snowguard.toml): unknown key; did you mean tiers.batch.weight?",
      "qqq (snowguard.toml): unknown section"
    ])
  })

  it("must hold tables where there are sections", () => {
    expect(
      faultsOf({
        document: { limits: 5, tiers: { burst: 5, batch: "x" }, clients: [], log: [{ level: "info" }] }
      })
    ).toEqual([
      "limits (snowguard.toml): expected a table",
      "tiers.burst (snowguard.toml): expected a table with the settings of one tier; did you mean tiers.default.burst?",
      "tiers.batch (snowguard.toml): expected a table with the settings of one tier",
      "clients (snowguard.toml): expected a table",
      "log (snowguard.toml): expected a table"
    ])
  })

  it("is not fooled by names that every object has", () => {
    // JSON.parse, because in a literal `__proto__` is not a key.
    const document = JSON.parse(
      '{"__proto__":{"x":1},"hasOwnProperty":1,"tiers":{"__proto__":{"burst":1},"default":{"toString":1}}}'
    ) as { [key: string]: unknown }
    expect(faultsOf({ document })).toEqual([
      "__proto__ (snowguard.toml): unknown section",
      "hasOwnProperty (snowguard.toml): unknown key",
      'tiers.__proto__ (snowguard.toml): expected a tier with a name of at most 128 letters, digits and . _ @ : -, beginning with a letter or a digit, and not with "snowguard:"',
      "tiers.default.toString (snowguard.toml): unknown key"
    ])
    expect(
      settingsOf({ document: { tiers: { constructor: { burst: 7 } } } }).tiers["constructor"]?.burst
    ).toBe(7)
    expect(settingsOf({}).tiers["constructor"]).toBeUndefined()
  })

  it("refuses a name of the server's own work", () => {
    const document = { client: "snowguard:search", clients: { "Snowguard:x": {}, "snowguard.x": {} } }
    expect(faultsOf({ document })).toEqual([
      expect.stringMatching(/^client .*and not with "snowguard:"/),
      expect.stringMatching(/^clients\."Snowguard:x" .*and not with "snowguard:"/)
    ])
  })

  it("refuses a name that could not be printed or sent", () => {
    expect(faultsOf({ document: { tiers: { "a b": {} }, clients: { "": {}, "x\ny": {} } } })).toEqual([
      'tiers."a b" (snowguard.toml): expected a tier with a name of at most 128 letters, digits and . _ @ : -, beginning with a letter or a digit, and not with "snowguard:"',
      'clients."" (snowguard.toml): expected a client with a name of at most 128 letters, digits and . _ @ : -, beginning with a letter or a digit, and not with "snowguard:"',
      'clients."x\\ny" (snowguard.toml): expected a client with a name of at most 128 letters, digits and . _ @ : -, beginning with a letter or a digit, and not with "snowguard:"'
    ])
  })
})

describe("the environment", () => {
  it("comes before the file, and a bad value in it does not fall back to the file's", () => {
    const document = { limits: { burst: 7, query_burst: 8 } }
    const { limits } = settingsOf({ document, env: { SNOWGUARD_LIMITS_BURST: "9" } })
    expect([limits.burst, limits.queryBurst, limits.maxQueued]).toEqual([9, 8, 200])
    expect(faultsOf({ document, env: { SNOWGUARD_LIMITS_BURST: "abc" } })).toEqual([
      'SNOWGUARD_LIMITS_BURST: expected a whole number from 1 to 1000000, got "abc"'
    ])
  })

  it("does not excuse a bad value in the file that it covers", () => {
    expect(
      faultsOf({ document: { limits: { burst: "7" } }, env: { SNOWGUARD_LIMITS_BURST: "9" } })
    ).toHaveLength(1)
  })

  it("reaches tiers and clients by their names, `-` and `_` being the same", () => {
    const { clients, tiers } = settingsOf({
      document: { tiers: { "Slow.Lane": {} }, clients: { "nightly-report": {}, "ann@corp": {} } },
      env: {
        SNOWGUARD_TIERS_DEFAULT_BURST: "60",
        SNOWGUARD_TIERS_SLOW_LANE_BURST: "5",
        SNOWGUARD_CLIENTS_NIGHTLY_REPORT_TIER: "Slow.Lane",
        SNOWGUARD_CLIENTS_ANN_CORP_QUERIES_PER_HOUR: "6"
      }
    })
    expect(tiers["default"]?.burst).toBe(60)
    expect(tiers["Slow.Lane"]?.burst).toBe(5)
    expect(clients["nightly-report"]?.tier).toBe("Slow.Lane")
    expect(clients["ann@corp"]?.queriesPerHour).toBe(6)
    expect(Object.keys(tiers).sort()).toEqual(["Slow.Lane", "default"])
    expect(Object.keys(clients).sort()).toEqual(["ann@corp", "nightly-report"])
  })

  it("makes tiers and clients that the file does not have", () => {
    const { clients, tiers } = settingsOf({
      env: { SNOWGUARD_TIERS_BIG_TEAM_BURST: "5", SNOWGUARD_CLIENTS_NIGHTLY_REPORT_TIER: "big-team" }
    })
    expect(tiers["big-team"]?.burst).toBe(5)
    expect(tiers["big-team"]?.requestsPerSecond).toBe(10)
    expect(clients["nightly-report"]?.tier).toBe("big-team")
  })

  it("means the client that SNOWGUARD_CLIENT names, as it is written there", () => {
    const { client, clients } = settingsOf({
      env: { SNOWGUARD_CLIENT: "Ann_B", SNOWGUARD_CLIENTS_ANN_B_REQUESTS_PER_DAY: "9" }
    })
    expect(client).toBe("Ann_B")
    expect(clients["Ann_B"]?.requestsPerDay).toBe(9)
    expect(
      settingsOf({ env: { SNOWGUARD_CLIENTS_LOCAL_REQUESTS_PER_DAY: "9" } }).clients["local"]?.requestsPerDay
    ).toBe(9)
  })

  it("takes the longest field name when no tier decides what is name and what is field", () => {
    const env = { SNOWGUARD_TIERS_X_TOTAL_BURST: "5", SNOWGUARD_TIERS_X_TOTAL_REQUESTS_PER_SECOND: "4" }
    const { tiers } = settingsOf({ env })
    expect([tiers["x"]?.totalBurst, tiers["x"]?.totalRequestsPerSecond, tiers["x-total"]]).toEqual([
      5,
      4,
      undefined
    ])
  })

  it("lets a tier that exists decide what is name and what is field", () => {
    const { tiers } = settingsOf({
      document: { tiers: { "x-total": {} } },
      env: { SNOWGUARD_TIERS_X_TOTAL_BURST: "5" }
    })
    expect([tiers["x-total"]?.burst, tiers["x"]]).toEqual([5, undefined])
  })

  it("refuses a variable that can mean two settings", () => {
    expect(
      faultsOf({
        document: { tiers: { x: {}, "x-total": {} }, clients: { a_b: {}, "a-b": {} } },
        env: { SNOWGUARD_TIERS_X_TOTAL_BURST: "5", SNOWGUARD_CLIENTS_A_B_TIER: "x" }
      })
    ).toEqual([
      "SNOWGUARD_CLIENTS_A_B_TIER: can mean clients.a_b.tier or clients.a-b.tier; set it in the file, where they differ",
      "SNOWGUARD_TIERS_X_TOTAL_BURST: can mean tiers.x.total_burst or tiers.x-total.burst; set it in the file, where they differ"
    ])
  })

  it("gives the same answer in whatever order the variables stand", () => {
    const pairs: ReadonlyArray<[string, string]> = [
      ["SNOWGUARD_TIERS_X_TOTAL_MAX_ROWS", "3"],
      ["SNOWGUARD_TIERS_X_TOTAL_BURST", "5"],
      ["SNOWGUARD_TIERS_X_TOTAL_REQUESTS_PER_SECOND", "5"],
      ["SNOWGUARD_TIERS_X_BURST", "4"]
    ]
    const forwards = settingsOf({ env: Object.fromEntries(pairs) })
    expect(settingsOf({ env: Object.fromEntries([...pairs].reverse()) })).toEqual(forwards)
    expect(forwards.tiers["x"]?.totalBurst).toBe(5)
    expect(forwards.tiers["x-total"]?.maxRows).toBe(3)
  })

  it("names unknown variables and what was probably meant", () => {
    expect(
      faultsOf({
        document: { tiers: { batch: {} } },
        env: {
          SNOWGUARD_BURST: "1",
          SNOWGUARD_LIMITS_BURSTS: "1",
          SNOWGUARD_WAREHOSE: "duckdb",
          SNOWGUARD_CONFG: "x",
          SNOWGUARD_TIERS_BATCH_WEIGTH: "1",
          SNOWGUARD_TIERS_BURST: "1",
          SNOWGUARD_limits_burst: "1",
          SNOWGUARD_TIERS_Batch_BURST: "1",
          SNOWGUARD_: "1",
          SNOWGUARD_TIERS_DEFAULT_TOSTRING: "1",
          SNOWGUARD_LIMIT_BURST: "1",
          SNOWGUARD_QQQQ: "1"
        }
      })
    ).toEqual([
      "SNOWGUARD_: unknown setting",
      "SNOWGUARD_BURST: unknown setting; did you mean SNOWGUARD_LIMITS_BURST?",
      "SNOWGUARD_CONFG: unknown setting; did you mean SNOWGUARD_CONFIG?",
      "SNOWGUARD_LIMITS_BURSTS: unknown setting; did you mean SNOWGUARD_LIMITS_BURST?",
      "SNOWGUARD_LIMIT_BURST: unknown setting; did you mean SNOWGUARD_LIMITS_BURST?",
      "SNOWGUARD_QQQQ: unknown setting",
      "SNOWGUARD_TIERS_BATCH_WEIGTH: unknown setting; did you mean SNOWGUARD_TIERS_BATCH_WEIGHT?",
      "SNOWGUARD_TIERS_BURST: unknown setting; did you mean SNOWGUARD_TIERS_DEFAULT_BURST?",
      "SNOWGUARD_TIERS_Batch_BURST: unknown setting; did you mean SNOWGUARD_TIERS_BATCH_BURST?",
      "SNOWGUARD_TIERS_DEFAULT_TOSTRING: unknown setting",
      "SNOWGUARD_WAREHOSE: unknown setting; did you mean SNOWGUARD_WAREHOUSE?",
      "SNOWGUARD_limits_burst: unknown setting; did you mean SNOWGUARD_LIMITS_BURST?"
    ])
  })

  it("leaves alone what is not ours, what is reserved, and what is unset", () => {
    expect(
      faultsOf({
        env: {
          PATH: "/bin",
          XSNOWGUARD_LIMITS_BURST: "x",
          SNOWFLAKE_USER: "x",
          SNOWGUARD_CONFIG: "/x",
          SNOWGUARD_STATE_DIR: "/x",
          SNOWGUARD_LIMITS_BURST: undefined
        }
      })
    ).toEqual([])
  })

  it("refuses a misspelt tier instead of making one without clients", () => {
    const env = {
      SNOWGUARD_TIERS_DEFUALT_TOTAL_BURST: "5",
      SNOWGUARD_TIERS_DEFUALT_TOTAL_REQUESTS_PER_SECOND: "5"
    }
    expect(faultsOf({ env })).toEqual([
      'SNOWGUARD_TIERS_DEFUALT_TOTAL_BURST: there is no tier "defualt", and no client is in it (a new tier with such a name belongs in the file); did you mean SNOWGUARD_TIERS_DEFAULT_TOTAL_BURST?'
    ])
    expect(faultsOf({ env: { ...env, SNOWGUARD_CLIENTS_LOCAL_TIER: "defualt" } })).toEqual([])
    expect(
      faultsOf({ document: { tiers: { batch: {} } }, env: { SNOWGUARD_TIERS_BACTH_BURST: "5" } })
    ).toEqual([
      'SNOWGUARD_TIERS_BACTH_BURST: there is no tier "bacth", and no client is in it (a new tier with such a name belongs in the file); did you mean SNOWGUARD_TIERS_BATCH_BURST?'
    ])
    expect(faultsOf({ env: { SNOWGUARD_TIERS_GOLD_BURST: "500" } })).toEqual([])
  })

  it("does not take tiers that are numbered for misspelt ones", () => {
    const document = { tiers: { "team-a": {}, gold: {}, x: {} } }
    const env = {
      SNOWGUARD_TIERS_TEAM_B_BURST: "5",
      SNOWGUARD_TIERS_GOLD2_BURST: "5",
      SNOWGUARD_TIERS_Y_BURST: "5"
    }
    expect(faultsOf({ document, env })).toEqual([])
  })
})

describe("an array of tables", () => {
  const url = "https://user:pass@hooks.example.com/services/T0/B0/x?y=z"

  it("is read as entries with numbers for names, and prints as what reads the same", () => {
    const document = {
      alerts: [
        { url, events: ["quota_80"] },
        { url, min_interval: 0 }
      ]
    }
    const { alerts } = settingsOf({ document })
    expect(Object.keys(alerts)).toEqual(["1", "2"])
    expect(alerts["1"]?.events).toEqual(["quota_80"])
    expect(alerts["2"]?.minInterval).toBe(0)
    const named = { alerts: { "1": document.alerts[0], "2": document.alerts[1] } }
    expect(settingsOf({ document: named })).toEqual(settingsOf({ document }))
    const secret = { document: { alerts: [{ events: ["quota_80"] }] }, env: { SNOWGUARD_ALERTS_1_URL: url } }
    expect(settingsOf(secret).alerts["1"]).toEqual(alerts["1"])
  })

  it("has faults with the number of the entry, and shows no address", () => {
    const document = {
      alerts: [{ url }, { events: ["quota_81"] }, { url: "ftp://secret" }, 7, { min_interval: 1 }]
    }
    const faults = faultsOf({ document }).join("\n")
    expect(faults).toContain("alerts.2.events")
    expect(faults).toContain("alerts.3.url")
    expect(faults).toContain("alerts.4 ")
    expect(faults).toContain("alerts.5.min_interval")
    expect(faults).not.toContain("secret")
    expect(faultsOf({ document: { tiers: [{ burst: 1 }] } })).toHaveLength(1)
  })
})
