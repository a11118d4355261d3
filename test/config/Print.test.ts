import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import { parse } from "smol-toml"
import type { Kind } from "../../src/config/Kind.js"
import { show } from "../../src/config/Kind.js"
import * as Print from "../../src/config/Print.js"
import { resolve } from "../../src/config/Resolve.js"
import type { Fields } from "../../src/config/Setting.js"
import { expanded } from "../../src/config/Setting.js"
import { table } from "../../src/config/Settings.js"
import { everySetting, withSecret } from "./samples.js"
import { shortOrLong } from "../utils/long.js"

const texts: { readonly [expected: string]: ReadonlyArray<string> } = {
  names: ["local", "Ann.B", "x@y", "a:b-c_d", "0", "constructor"],
  sizes: ["1GB", "512MiB", "1.5 GB"],
  paths: ["/var/lib/snow guard/keys.json", "C:\\x\\keys.json"],
  urls: ["https://login.example.com/a?b=c#d"],
  keys: [`${"ab+/".repeat(11)}, ${"0f-_".repeat(16)}`, "ab+/".repeat(11)]
}

const items = [
  "MY_UDF",
  "db.sch.f",
  "a.b$1",
  "10.0.0.0/8",
  "::1",
  "[::1]:80",
  "https://a.example",
  "RS256",
  "ES512",
  "prompt=none",
  "explain_query",
  "list_views",
  "mode_changed",
  "quota_80",
  "rate",
  "bytes_per_day"
]

const valueOf = (kind: Kind): FastCheck.Arbitrary<unknown> => {
  switch (kind._tag) {
    case "integer":
      return FastCheck.integer({ min: kind.min, max: Math.min(kind.max, Number.MAX_SAFE_INTEGER) })
    case "number":
      return FastCheck.double({ min: kind.min, max: kind.max, noNaN: true })
    case "boolean":
      return FastCheck.boolean()
    case "choice":
      return FastCheck.constantFrom(...kind.values)
    case "text":
      return FastCheck.constantFrom(
        ...Object.values(texts)
          .flat()
          .filter((text) => kind.pattern.test(text))
      )
    case "list":
      return FastCheck.array(FastCheck.constantFrom(...items.filter((item) => kind.pattern.test(item))), {
        maxLength: 4
      })
    case "record":
      return FastCheck.dictionary(
        FastCheck.constantFrom('A.B."c d".E', "*.HR.*.SALARY", "A.B.C.D").filter((name) =>
          kind.pattern.test(name)
        ),
        FastCheck.constantFrom(...kind.values),
        { maxKeys: 3 }
      )
  }
}

const fieldsOf = (fields: Fields) =>
  FastCheck.record(
    Object.fromEntries(
      Object.entries(expanded(fields, () => ["execute_query", "get_limits"])).map(([name, { kind }]) => [
        name,
        valueOf(kind)
      ])
    ),
    {
      requiredKeys: []
    }
  )

/** Any file whose values are in bounds; rules between settings may still refuse it. */
const document = FastCheck.record(
  {
    ...Object.fromEntries(Object.entries(table.root).map(([name, { kind }]) => [name, valueOf(kind)])),
    ...Object.fromEntries(
      Object.entries(table.sections).map(([name, { fields }]) => [name, fieldsOf(fields)])
    ),
    ...Object.fromEntries(
      Object.entries(table.named).map(([name, { fields }]) => [
        name,
        FastCheck.dictionary(FastCheck.constantFrom("default", ...(texts["names"] ?? [])), fieldsOf(fields), {
          maxKeys: 4
        })
      ])
    )
  },
  { requiredKeys: [] }
)

type Section = { [name: string]: unknown }

/** Takes away what a rule between settings refuses, so that most of what is tried is valid. */
const lenient = (value: unknown): Section => {
  const copy = structuredClone(value) as { [section: string]: Section | undefined } & {
    tiers?: { [name: string]: Section }
    clients?: { [name: string]: Section }
  }
  const drop = (section: Section | undefined, ...names: ReadonlyArray<string>) => {
    for (const name of names) delete section?.[name]
  }
  // What is printed in place of a secret is refused.
  for (const [section, { fields }] of Object.entries(table.sections)) {
    const hidden = Object.entries(fields).flatMap(([name, { secret }]) => (secret ? [name] : []))
    drop(copy[section], ...hidden)
  }
  // An alert is nothing without its address, which is one.
  delete copy["alerts"]
  drop(copy["limits"], "max_queued_per_client")
  drop(copy["http"], "max_sessions_per_client")
  drop(copy["timeouts"], "statement_seconds")
  drop(copy["breaker"], "minimum_calls", "open_seconds")
  for (const tier of Object.values(copy.tiers ?? {})) {
    drop(tier, "initial_tokens")
    for (const [name, value] of Object.entries(tier)) {
      if (!name.startsWith("tools.")) continue
      const [group = "", tool = "", field = ""] = name.split(".")
      drop(tier, name)
      const tools = (tier[group] ??= {}) as Section
      const of = (tools[tool] ??= {}) as Section
      of[field] = field === "weight" ? 1 : value
    }
    for (const tool of Object.values((tier["tools"] ?? {}) as { [name: string]: Section })) {
      if (Object.hasOwn(tool, "burst") !== Object.hasOwn(tool, "requests_per_second"))
        drop(tool, "burst", "requests_per_second")
    }
    if (Object.hasOwn(tier, "total_burst") !== Object.hasOwn(tier, "total_requests_per_second")) {
      drop(tier, "total_burst", "total_requests_per_second")
    }
  }
  // `snowflake.user` is `user` of the table `snowflake`; what is printed in place of a secret is refused.
  for (const [section, { fields }] of Object.entries<{ readonly fields: Fields }>(table.named)) {
    for (const entry of Object.values((copy[section] ?? {}) as { [name: string]: Section })) {
      for (const [name, value] of Object.entries(entry)) {
        const [group = "", field] = name.split(".")
        if (field === undefined) continue
        drop(entry, name)
        if (fields[name]?.secret !== true) entry[group] = { ...(entry[group] as Section), [field]: value }
      }
    }
  }
  for (const client of Object.values(copy.clients ?? {})) {
    if (!Object.hasOwn(copy.tiers ?? {}, String(client["tier"]))) drop(client, "tier")
  }
  return copy
}

describe("a printed configuration", () => {
  it.prop(
    "gives the same settings when it is loaded again",
    [document],
    ([given]) => {
      const first = Either.getOrThrow(resolve(table, { document: lenient(given) }))
      const printed = Print.config(table, first)
      const second = Either.getOrThrow(resolve(table, { document: parse(printed) }))
      expect(second.settings).toEqual(first.settings)
      // Printed twice, only the origins have changed.
      const bare = (text: string) => text.replace(/ # (default|file|inherited|env).*/g, "")
      expect(bare(Print.config(table, second))).toBe(bare(printed))
    },
    { fastCheck: { numRuns: shortOrLong(30, 200) } }
  )

  it("says of each value where it comes from, and of what is not set that it is not", () => {
    const resolved = Either.getOrThrow(
      resolve(table, {
        document: {
          limits: { burst: 7 },
          tiers: { default: { weight: 2 }, a: { burst: 3 } },
          clients: { "a@b": {} }
        },
        env: { SNOWGUARD_LIMITS_QUERY_BURST: "8" }
      })
    )
    const lines = Print.config(table, { ...resolved, path: "conf/x\n.toml" }).split("\n")
    expect(lines).toEqual(
      expect.arrayContaining([
        '# Configuration in effect. File: "conf/x\\n.toml"',
        'warehouse = "duckdb" # default',
        "burst = 7 # file",
        "query_burst = 8 # env SNOWGUARD_LIMITS_QUERY_BURST",
        "[tiers.a]",
        "weight = 2 # inherited from tiers.default.weight",
        "initial_tokens = 3 # default, lowered to tiers.a.burst",
        "# total_burst: not set",
        '[clients."a@b"]'
      ])
    )
  })

  it("shows no secret", () => {
    const document = { account: { user: "ann", password: "correct horse" } }
    const resolved = Either.getOrThrow(resolve(withSecret, { document }))
    const printed = Print.config(withSecret, resolved)
    expect(printed).toContain('password = "<redacted>" # file')
    expect(printed).toContain('user = "ann" # file')
    expect(printed).not.toContain("horse")
  })
})

describe("a password inside a URL", () => {
  it("is shown neither in the printed configuration nor in a fault", () => {
    const document = { snowflake: { access_url: "https://ann:horse@example.com/x" } }
    const resolved = Either.getOrThrow(resolve(table, { document }))
    expect(Print.config(table, resolved)).toContain('access_url = "https://***@example.com/x" # file')
    expect(show("https://ann:horse@example.com")).toBe('"https://***@example.com"')
  })
})

describe("the tables of the documentation", () => {
  const markdown = Print.markdown(table)
  const rows = markdown.split("\n").filter((line) => line.startsWith("| `"))

  it("have a row for every setting, with its variable and its default", () => {
    for (const [path] of everySetting("NAME", "TOOL")) {
      expect(rows.filter((line) => line.startsWith(`| \`${path.join(".")}\` |`))).toHaveLength(1)
    }
    expect(rows).toContain(
      "| `limits.burst` | `SNOWGUARD_LIMITS_BURST` | `200` | a whole number from 1 to 1000000 | calls that may come at once after a quiet time |"
    )
    expect(markdown).toContain("`SNOWGUARD_STATE_DIR`")
  })

  it("have no cell that breaks its row", () => {
    for (const line of rows.filter((one) => !one.startsWith("| `SNOWGUARD"))) {
      expect(line.replaceAll("\\|", "").split("|")).toHaveLength(7)
    }
  })
})
