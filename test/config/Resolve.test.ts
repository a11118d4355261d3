import { describe, expect, it } from "@effect/vitest"
import { Either, Redacted } from "effect"
import { resolve } from "../../src/config/Resolve.js"
import { table } from "../../src/config/Settings.js"
import { faultsOf, settingsOf, withSecret } from "./samples.js"

const sourcesOf = (input: Parameters<typeof resolve>[1]) => Either.getOrThrow(resolve(table, input)).sources

describe("tiers", () => {
  it("take from `default` what they do not say, whatever the order in the file", () => {
    const document = {
      tiers: {
        batch: { requests_per_second: 1, burst: 5 },
        default: { max_rows: 77, weight: 3, allow_functions: ["F"] }
      }
    }
    const { tiers } = settingsOf({ document })
    expect(tiers["batch"]).toEqual({ ...tiers["default"], requestsPerSecond: 1, burst: 5, initialTokens: 5 })
    expect([tiers["batch"]?.maxRows, tiers["batch"]?.weight, tiers["batch"]?.allowFunctions]).toEqual([
      77,
      3,
      ["F"]
    ])
  })

  it("take over optional settings too", () => {
    const document = {
      tiers: {
        default: { total_requests_per_second: 9, total_burst: 8, max_statement_seconds: 7 },
        a: { total_burst: 3 }
      }
    }
    const a = settingsOf({ document }).tiers["a"]
    expect([a?.totalRequestsPerSecond, a?.totalBurst, a?.maxStatementSeconds]).toEqual([9, 3, 7])
  })

  it("exist in the built-in form when nothing is set", () => {
    const { clients, tiers } = settingsOf({})
    expect(Object.keys(tiers)).toEqual(["default"])
    expect(Object.keys(clients)).toEqual([])
    const { snowflake, ...tier } = tiers["default"]!
    expect(Object.values(snowflake).every((value) => value === undefined)).toBe(true)
    expect(tier).toEqual({
      maxTokenWaitSeconds: 2,
      onQuotaOutage: "closed",
      scanBytesPerDay: undefined,
      statementSecondsPerDay: undefined,
      creditsPerHour: undefined,
      creditsPerDay: undefined,
      wakeWarehouse: true,
      lowPriority: false,
      requestsPerSecond: 10,
      burst: 100,
      initialTokens: 50,
      totalRequestsPerSecond: undefined,
      totalBurst: undefined,
      requestsPerHour: 3600,
      requestsPerDay: 86_400,
      queriesPerHour: 1800,
      queriesPerDay: 43_200,
      bytesPerDay: 1_073_741_824,
      maxRows: 10_000,
      maxStatementSeconds: undefined,
      weight: 1,
      observe: [],
      allowTools: [],
      denyTools: [],
      tools: {},
      allowFunctions: [],
      allowObjects: [],
      denyObjects: [],
      mask: {},
      allowFlow: true,
      allowStages: false,
      maxResultBytes: undefined,
      maxScanBytes: undefined
    })
  })

  it("must exist where a client is in them", () => {
    expect(
      faultsOf({
        document: { tiers: { batch: {} }, clients: { a: { tier: "bacth" }, b: { tier: "batch" }, c: {} } },
        env: { SNOWGUARD_CLIENTS_D_TIER: "gold" }
      })
    ).toEqual([
      'clients.a.tier (snowguard.toml): tiers has no "bacth"; did you mean batch?',
      'SNOWGUARD_CLIENTS_D_TIER: tiers has no "gold"'
    ])
  })
})

describe("a setting that may not exceed another", () => {
  const initial = (tier: object, own = {}) =>
    settingsOf({ document: { tiers: { default: tier, own } } }).tiers["own"]?.initialTokens

  it("is lowered where it is a default or inherited", () => {
    expect(initial({ burst: 20 })).toBe(20)
    expect(initial({ initial_tokens: 40 }, { burst: 5 })).toBe(5)
    expect(initial({ initial_tokens: 40 }, { burst: 500 })).toBe(40)
    expect(settingsOf({ document: { limits: { max_queued: 0 } } }).limits.maxQueuedPerClient).toBe(0)
    expect(settingsOf({ document: { breaker: { window_calls: 4 } } }).breaker.minimumCalls).toBe(4)
  })

  it("is a fault where it is said", () => {
    expect(faultsOf({ document: { tiers: { default: { burst: 20, initial_tokens: 21 } } } })).toEqual([
      "tiers.default.initial_tokens (snowguard.toml): expected at most tiers.default.burst, which is 20, got 21"
    ])
    expect(
      faultsOf({
        document: { tiers: { a: { initial_tokens: 60 } } },
        env: { SNOWGUARD_TIERS_DEFAULT_BURST: "55", SNOWGUARD_TIMEOUTS_STATEMENT_SECONDS: "301" }
      })
    ).toEqual([
      "SNOWGUARD_TIMEOUTS_STATEMENT_SECONDS: expected at most timeouts.max_statement_seconds, which is 300, got 301",
      "tiers.a.initial_tokens (snowguard.toml): expected at most tiers.a.burst, which is 55, got 60"
    ])
    expect(initial({ burst: 20, initial_tokens: 20 })).toBe(20)
  })

  it("is not judged against a value that is itself refused", () => {
    const refused = "tiers.default.burst (snowguard.toml): expected a whole number from 1 to 1000000, got 0"
    expect(faultsOf({ document: { tiers: { default: { burst: 0, initial_tokens: 500 } } } })).toEqual([
      refused
    ])
    expect(faultsOf({ document: { tiers: { default: { burst: 0 }, a: { initial_tokens: 500 } } } })).toEqual([
      refused
    ])
  })
})

describe("two settings that mean nothing alone", () => {
  it("are asked for together", () => {
    expect(
      faultsOf({
        document: { tiers: { a: { total_burst: 5 } } },
        env: { SNOWGUARD_TIERS_B_TOTAL_REQUESTS_PER_SECOND: "5" }
      })
    ).toEqual([
      "tiers.a.total_burst (snowguard.toml): means nothing without tiers.a.total_requests_per_second, which is not set",
      "SNOWGUARD_TIERS_B_TOTAL_REQUESTS_PER_SECOND: means nothing without tiers.b.total_burst, which is not set"
    ])
  })
})

describe("all faults", () => {
  it("are reported at once, over the file, the environment and the rules between settings", () => {
    expect(
      faultsOf({
        document: {
          warehouse: "oracle",
          limits: { bursts: 1, burst: "1" },
          tiers: { default: { burst: 5, initial_tokens: 6 } },
          clients: { a: { tier: "none" } }
        },
        env: { SNOWGUARD_BREAKER_PROBES: "0", SNOWGUARD_NOPE: "1" }
      })
    ).toHaveLength(7)
  })

  it("of rules between settings are left out while the file cannot be read", () => {
    const env = { SNOWGUARD_CLIENTS_A_TIER: "in-the-file", SNOWGUARD_LIMITS_BURST: "x" }
    const found = resolve(table, { env, incomplete: true })
    expect(Either.isLeft(found) && found.left.map(({ key }) => key)).toEqual(["SNOWGUARD_LIMITS_BURST"])
  })
})

describe("the origin of a value", () => {
  it("is known for every setting", () => {
    const sources = sourcesOf({
      document: { limits: { burst: 1 }, tiers: { default: { initial_tokens: 40 }, a: { burst: 5 } } },
      env: { SNOWGUARD_LIMITS_QUERY_BURST: "2" }
    })
    expect(sources.get("limits.burst")).toEqual({ source: "file" })
    expect(sources.get("limits.query_burst")).toEqual({ source: "env", name: "SNOWGUARD_LIMITS_QUERY_BURST" })
    expect(sources.get("limits.max_queued")).toEqual({ source: "default" })
    expect(sources.get("tiers.a.max_rows")).toEqual({ source: "default" })
    expect(sources.get("tiers.a.initial_tokens")).toEqual({
      source: "inherited",
      name: "tiers.default.initial_tokens",
      loweredTo: "tiers.a.burst"
    })
  })
})

describe("a secret", () => {
  const document = { account: { user: "ann", password: "correct horse" } }

  it("is decoded to Redacted, from the file and from the environment", () => {
    const secret = (input: Parameters<typeof resolve>[1]) => {
      const { password } = Either.getOrThrow(resolve(withSecret, input)).settings.account
      return [String(password), password === undefined ? undefined : Redacted.value(password)]
    }
    expect(secret({ document })).toEqual(["<redacted>", "correct horse"])
    expect(secret({ document, env: { SNOWGUARD_ACCOUNT_PASSWORD: "from the env" } })).toEqual([
      "<redacted>",
      "from the env"
    ])
    expect(secret({})).toEqual(["undefined", undefined])
  })

  it("is never shown in a fault, whatever is wrong with it", () => {
    const message = "expected at least 8 characters, got something else (not shown)"
    for (const password of ["hunter2", 1234567, ["hunter2"], { hunter2: "hunter2" }, true]) {
      expect(faultsOf({ document: { account: { password } } }, withSecret)).toEqual([
        `account.password (snowguard.toml): ${message}`
      ])
    }
    expect(faultsOf({ env: { SNOWGUARD_ACCOUNT_PASSWORD: "hunter2" } }, withSecret)).toEqual([
      `SNOWGUARD_ACCOUNT_PASSWORD: ${message}`
    ])
    const misspelt = {
      document: { account: { pasword: "hunter2" } },
      env: { SNOWGUARD_ACCOUNT_PASWORD: "hunter2" }
    }
    expect(faultsOf(misspelt, withSecret)).toEqual([
      "account.pasword (snowguard.toml): unknown key; did you mean account.password?",
      "SNOWGUARD_ACCOUNT_PASWORD: unknown setting; did you mean SNOWGUARD_ACCOUNT_PASSWORD?"
    ])
  })

  it("cannot be the placeholder of a printed configuration", () => {
    expect(faultsOf({ document: { account: { password: "<redacted>" } } }, withSecret)).toEqual([
      "account.password (snowguard.toml): expected the secret itself, got the placeholder that --print-config shows"
    ])
  })
})

describe("limits by tool", () => {
  const inTier = (tier: object, env: { readonly [name: string]: string } = {}) =>
    settingsOf({ document: { tiers: tier }, env }).tiers

  it("are read from the tables of a tier, and inherited field by field", () => {
    const tiers = inTier({
      default: { tools: { execute_query: { requests_per_second: 2, burst: 4, weight: 3 } } },
      gold: { tools: { execute_query: { burst: 8 }, list_tables: { weight: 0.5 } } }
    })
    expect(tiers["default"]?.tools).toEqual({ execute_query: { requestsPerSecond: 2, burst: 4, weight: 3 } })
    expect(tiers["gold"]?.tools).toEqual({
      execute_query: { requestsPerSecond: 2, burst: 8, weight: 3 },
      list_tables: { requestsPerSecond: undefined, burst: undefined, weight: 0.5 }
    })
  })

  it("are read from the environment, also for a tool that the file does not name", () => {
    const tiers = inTier(
      { gold: {} },
      {
        SNOWGUARD_TIERS_GOLD_TOOLS_EXECUTE_QUERY_WEIGHT: "5",
        SNOWGUARD_TIERS_GOLD_TOOLS_GET_QUERY_RESULTS_REQUESTS_PER_SECOND: "1",
        SNOWGUARD_TIERS_GOLD_TOOLS_GET_QUERY_RESULTS_BURST: "2"
      }
    )
    expect(tiers["gold"]?.tools).toMatchObject({
      execute_query: { weight: 5 },
      get_query_results: { requestsPerSecond: 1, burst: 2 }
    })
    expect(tiers["default"]?.tools).toEqual({})
  })

  it("are refused where they cannot be meant: an unknown tool or field, half a bucket, a weight above the burst", () => {
    expect(
      faultsOf({
        document: {
          tiers: {
            default: {
              burst: 10,
              initial_tokens: 5,
              deny_tools: ["explain_querry"],
              tools: {
                execute_querry: { weight: 2 },
                list_tables: { wieght: 2 },
                list_views: { burst: 2 },
                query_view: { weight: 11 },
                get_limits: 3
              }
            }
          }
        }
      })
    ).toEqual([
      expect.stringMatching(/^tiers\.default\.deny_tools .*expected a list of tools of this server/),
      expect.stringMatching(
        /^tiers\.default\.tools\.execute_querry .*did you mean tiers\.default\.tools\.execute_query\?$/
      ),
      expect.stringMatching(
        /^tiers\.default\.tools\.list_tables\.wieght .*did you mean tiers\.default\.tools\.list_tables\.weight\?$/
      ),
      expect.stringMatching(/^tiers\.default\.tools\.get_limits .*expected a table/),
      expect.stringMatching(
        /^tiers\.default\.tools\.list_views\.burst .*without tiers\.default\.tools\.list_views\.requests_per_second/
      ),
      expect.stringMatching(
        /^tiers\.default\.tools\.query_view\.weight .*expected at most tiers\.default\.burst/
      )
    ])
  })
})
