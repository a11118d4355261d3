import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import { explain } from "../../src/config/Explain.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"

const loaded = Either.getOrThrow(
  ServerConfig.decode({
    document: {
      tiers: {
        default: { requests_per_hour: 100, tools: { execute_query: { weight: 2 } } },
        gold: { burst: 20, observe: ["tool", "bytes_per_day"], deny_tools: ["explain_query"] }
      },
      clients: { "team.a": { tier: "gold", bytes_per_day: 5000 } },
      global_quota: { queries_per_day: 9 }
    },
    env: { SNOWGUARD_TIERS_GOLD_REQUESTS_PER_SECOND: "3" }
  })
)

const of = (client: string, tier?: string) => {
  const found = explain(loaded, client, tier)
  return { ...found, by: new Map((found?.rows ?? []).map((row) => [`${row.of} ${row.limit}`, row])) }
}

describe("the limits of a client", () => {
  it("are those of its own, of its tier and of all, each with the setting it comes from", () => {
    const { by, tier, tierFrom } = of("team.a")
    expect([tier, tierFrom]).toEqual(["gold", 'clients."team.a".tier (file)'])
    expect(by.get("client burst")).toEqual({
      of: "client",
      limit: "burst",
      value: 20,
      setting: "tiers.gold.burst",
      source: "file",
      observed: false
    })
    expect(by.get("client requests_per_second")).toMatchObject({
      value: 3,
      source: "env",
      from: "SNOWGUARD_TIERS_GOLD_REQUESTS_PER_SECOND"
    })
    expect(by.get("client requests_per_hour")).toMatchObject({
      value: 100,
      source: "inherited",
      from: "tiers.default.requests_per_hour"
    })
    expect(by.get("client bytes_per_day")).toMatchObject({
      value: 5000,
      setting: 'clients."team.a".bytes_per_day',
      insteadOf: "tiers.gold.bytes_per_day",
      observed: true
    })
    expect(by.get("client initial_tokens")).toMatchObject({ value: 20, from: "tiers.gold.burst" })
    expect(by.get("tool tools.execute_query.weight")).toMatchObject({ value: 2, observed: true })
    expect(by.get("client deny_tools")).toMatchObject({ value: ["explain_query"], observed: false })
    expect(by.get("all queries_per_day")).toMatchObject({ value: 9, setting: "global_quota.queries_per_day" })
    expect(by.get("all burst")).toMatchObject({ value: 200, source: "default" })
    expect(by.has("all requests_per_hour")).toBe(false)
  })

  it("are those of the default tier where nothing names the client, and of a tier that its key names", () => {
    expect(of("stranger")).toMatchObject({ tier: "default", tierFrom: expect.stringContaining("no setting") })
    expect(of("constructor").tier).toBe("default")
    expect(of("stranger", "gold").by.get("client burst")).toMatchObject({ value: 20 })
    expect(explain(loaded, "stranger", "silver")).toBeUndefined()
  })

  it("hold no setting of a login", () => {
    expect([...of("team.a").by.keys()].filter((key) => key.includes("snowflake"))).toEqual([])
  })

  it("account for every limit that the services are given", () => {
    const { by } = of("team.a")
    const { tiers } = ServerConfig.rateLimiterOptions(loaded.settings)
    expect(tiers["gold"]?.client).toEqual({
      rate: by.get("client requests_per_second")?.value,
      burst: by.get("client burst")?.value,
      initial: by.get("client initial_tokens")?.value
    })
    const quotas = ServerConfig.quotaOptions(loaded.settings)
    const given = { ...quotas.tiers["gold"], ...quotas.clients?.["team.a"] }
    for (const [quota, value] of Object.entries(given)) {
      expect(by.get(`client ${quota}`)?.value, quota).toBe(value)
    }
  })
})
