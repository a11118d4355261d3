/** Figures of servers that never were: what `/status/data` says in an hour of which much is to be seen. */
import type { Column, Snapshot } from "../../src/operate/Snapshot.js"
import { columns } from "../../src/operate/Snapshot.js"

export type Condition = "healthy" | "failing" | "fresh"

const SAMPLES = 720
const EVERY_MS = 5_000

/** The same for the same place: waves, and noise on them. */
const noise = (i: number): number => {
  const x = Math.sin(i * 12.9898) * 43758.5453
  return x - Math.floor(x)
}
const wave = (i: number): number => 12 + 6 * Math.sin(i / 45) + 2 * noise(i)

/** The outage of a failing server began 90 s ago; half an hour before there was one, too. */
const isDown = (condition: Condition, i: number): boolean =>
  (i > 400 && i < 470) || (condition === "failing" && i > SAMPLES - 18)

const value = (condition: Condition, column: Column, i: number): number => {
  const down = isDown(condition, i)
  const slow = i > 200 && i < 260
  switch (column) {
    case "ok":
      return down ? 1 : wave(i)
    case "refused":
      return down ? wave(i) * 0.8 : 1.5 * noise(i + 7)
    case "failed":
      return i % 69 === 54 && (down || isDown(condition, i + 3)) ? 3 : i === 401 ? 4 : 0
    case "rejected":
      return noise(i) > 0.8 ? 0.6 : 0
    case "cancelled":
      return 0
    case "p50_ms":
      return down ? 2 : slow ? 420 : 128
    case "p95_ms":
      return down ? 4 : slow ? 2_000 : 600 + 400 * Math.round(noise(i))
    case "requests_in_use":
      return Math.round(down ? 1 : wave(i) * 1.4)
    case "statements_in_use":
      return Math.round(down ? 0 : wave(i) * 0.8)
    case "queued":
      return slow ? 9 : 0
    case "breaker":
      return down ? 2 : i === 470 || i === 471 ? 1 : 0
    case "mode":
      return down ? 2 : i >= 470 && i < 476 ? 1 : 0
    case "shedding":
      return down ? 1 : 0
    case "backoff_factor":
      return slow ? 2.5 : 1
    case "quota_used":
      return 0.6
  }
}

const counts = (ok: number, refused: number, rejected: number, failed: number, cancelled: number) => ({
  ok,
  refused,
  rejected,
  failed,
  cancelled
})

/** A kind of quota whatever kinds there are. */
const credits = (name: string) => name as NonNullable<Snapshot["quotas"]>[number]["quota"]

const inMs = (now: number, ms: number): string => new Date(now + ms).toISOString()

const client = (
  now: number,
  name: string,
  tier: string,
  used: number,
  limit: number,
  last: readonly [ms: number, decision: string]
): NonNullable<Snapshot["clients"]>[number] => ({
  client: name,
  tier,
  calls: counts(used * 21, Math.round(used / 9), 3, 2, 1),
  bytes: used * 977_013,
  last_call_ms_ago: last[0],
  last_decision: last[1],
  quotas: [
    { quota: "requests_per_hour", used, limit, resets_at: inMs(now, 1_260_000) },
    { quota: "bytes_per_day", used: used * 90_000, limit: 1024 ** 3, resets_at: inMs(now, 40_000_000) },
    ...(name === "billing"
      ? [
          {
            quota: credits("credits_per_day"),
            used: 0.25,
            limit: 1.5,
            resets_at: inMs(now, 40_000_000),
            observed: true
          }
        ]
      : [])
  ]
})

const snapshot = (condition: Condition, now: number): Snapshot => {
  const failing = condition === "failing"
  const fresh = condition === "fresh"
  return {
    at: now,
    uptime_ms: fresh ? 12_000 : 94_000_000,
    version: "0.1.0",
    server: {
      host: "snowguard-7d4b9c-x2x8p",
      warehouse: "snowflake",
      account: "myorg-myaccount",
      user: "AGENT",
      role: "READER",
      virtual_warehouse: "AGENTS"
    },
    circuit: failing
      ? {
          phase: "open",
          trips: 2,
          calls: 37,
          failures: 14,
          slow: 2,
          next_probe_in_ms: 41_000,
          cause: "3 consecutive failures",
          held: false
        }
      : { phase: "closed", trips: 1, calls: fresh ? 0 : 100, failures: fresh ? 0 : 1, slow: 0, held: false },
    mode: failing
      ? {
          mode: "cache-only",
          since_ms: 84_000,
          why: "the circuit to the warehouse is open",
          signal: "circuit",
          way_back: "a call is let through as a probe",
          back_in_ms: 41_000,
          shedding: 1,
          pinned: false
        }
      : {
          mode: "normal",
          since_ms: fresh ? 12_000 : 1_900_000,
          why: "nothing calls for less",
          shedding: 0,
          pinned: false
        },
    pools: [
      {
        pool: "requests",
        slots: 50,
        in_use: failing ? 42 : fresh ? 0 : 17,
        queued: failing ? 7 : 0,
        estimated_wait_ms: failing ? 420 : 0
      },
      {
        pool: "statements",
        slots: 20,
        in_use: failing ? 20 : fresh ? 0 : 9,
        queued: 0,
        estimated_wait_ms: 0
      }
    ],
    backoff_factor: failing ? 2.5 : 1,
    rate_limits: [
      { scope: "class", name: "query", per_second: 20, burst: 50, remaining: failing ? 6 : 50 },
      { scope: "global", per_second: 100, burst: 200, remaining: failing ? 151 : fresh ? 200 : 193 }
    ],
    quotas: fresh
      ? []
      : [
          {
            quota: credits("credits_per_hour"),
            used: 0.05,
            limit: 12.5,
            resets_at: inMs(now, 1_260_000)
          },
          { quota: "requests_per_hour", used: 61_234, limit: 100_000, resets_at: inMs(now, 1_260_000) },
          {
            quota: "bytes_per_day",
            used: failing ? 48_000_000_000 : 21_000_000_000,
            limit: 50_000_000_000,
            resets_at: inMs(now, 40_000_000)
          }
        ],
    retries: { budget: 0.9, retries: fresh ? 0 : 412 },
    cache: {
      entries: 77,
      bytes: 120_000,
      fresh_hits: fresh ? 0 : 18_345,
      stale_hits: failing ? 77 : fresh ? 0 : 12
    },
    calls: fresh
      ? { ...counts(0, 0, 0, 0, 0), bytes: 0 }
      : { ...counts(1_234_567, 61_700, 1_203, 42, 7), bytes: 9_234_567_890 },
    codes: fresh
      ? []
      : [
          { code: "RATE_LIMITED", outcome: "refused", count: 51_200, last_ms_ago: 400 },
          { code: "CIRCUIT_OPEN", outcome: "refused", count: 10_498, last_ms_ago: failing ? 900 : 8_000_000 },
          { code: "WAREHOUSE_INVALID_STATEMENT", outcome: "rejected", count: 1_203, last_ms_ago: 61_000 },
          { code: "WAREHOUSE_UNREACHABLE", outcome: "failed", count: 42, last_ms_ago: 90_000 }
        ],
    running: fresh
      ? []
      : [
          {
            id: "81",
            client: "nightly-report",
            tool: "execute_query",
            ms: 41_300,
            sent: true,
            rows: 12_400,
            statement:
              "SELECT c.region, SUM(o.total) FROM sales.public.orders o JOIN sales.public.customers c USING (id) GROUP BY 1"
          },
          { id: "94", client: "analytics-agents", tool: "list_tables", ms: 80, sent: false, rows: 0 }
        ],
    queue: failing
      ? [
          { pool: "requests", client: "billing", calls: 5 },
          { pool: "requests", client: "data-platform-team-with-a-name-that-does-not-end", calls: 2 }
        ]
      : [],
    unserved: fresh
      ? []
      : [
          {
            at: now - 400,
            client: "billing",
            tool: "execute_query",
            code: "RATE_LIMITED",
            outcome: "refused"
          },
          {
            at: now - 61_000,
            client: "billing",
            tool: "query_view",
            code: "WAREHOUSE_INVALID_STATEMENT",
            outcome: "rejected"
          }
        ],
    clients: fresh
      ? []
      : [
          client(now, "analytics-agents", "default", 900, 3_600, [300, "ok"]),
          client(now, "billing", "gold", 3_602, 7_200, [2_100, "ok"]),
          client(now, "data-platform-team-with-a-name-that-does-not-end", "default", 2_700, 3_600, [
            24_000,
            failing ? "CIRCUIT_OPEN" : "ok"
          ]),
          client(now, "nightly-report", "bronze", 100, 100, [61_000, "QUOTA_EXCEEDED"])
        ],
    config: {
      generation: fresh ? 1 : 4,
      loaded_ms_ago: fresh ? 12_000 : 7_500_000,
      faults: failing ? 2 : 0,
      ...(failing ? { faults_ms_ago: 310_000 } : {}),
      file: "/etc/snowguard/snowguard.toml",
      wrong: failing
        ? [
            'tiers.gold.requests_per_second (snowguard.toml:14): "fast" is not a number',
            "limits.burst (snowguard.toml:3): must be at least 1, not 0"
          ]
        : [],
      needs_restart: fresh ? [] : ["http.port", "snowflake.role"]
    },
    ...(fresh
      ? {}
      : {
          would_refuse: [
            { code: "RATE_LIMITED", scope: "tool", count: 5_120, last_ms_ago: 1_400 },
            { code: "QUOTA_EXCEEDED", scope: "client:bytes_per_day", count: 3, last_ms_ago: 900_000 }
          ],
          observed: [
            {
              at: now - 1_400,
              client: "nightly-report",
              tool: "execute_query",
              code: "RATE_LIMITED",
              scope: "tool"
            },
            {
              at: now - 900_000,
              client: "data-platform-team-with-a-name-that-does-not-end",
              tool: "query_view",
              code: "QUOTA_EXCEEDED",
              scope: "client:bytes_per_day"
            }
          ]
        }),
    tiers: fresh
      ? []
      : [
          {
            tier: "bronze",
            denied: ["describe_view", "explain_query", "list_views", "query_view"],
            observes: ["tool", "bytes_per_day"],
            tools: [
              {
                tool: "execute_query",
                per_second: 0.05,
                burst: 4,
                weight: 5,
                lowest: { client: "nightly-report", remaining: 0 }
              },
              { tool: "list_tables", weight: 2 }
            ]
          },
          {
            tier: "gold",
            denied: [],
            observes: [],
            tools: [{ tool: "execute_query", per_second: 2, burst: 10 }]
          }
        ],
    alerts: fresh
      ? { latest: [], receivers: [] }
      : {
          latest: [
            ...(failing
              ? [
                  {
                    at: now - 90_000,
                    event: "circuit_opened" as const,
                    severity: "critical" as const,
                    text: "the circuit is open, and no call reaches the warehouse: 3 consecutive failures"
                  }
                ]
              : []),
            {
              at: now - 600_000,
              event: "quota_80" as const,
              severity: "warning" as const,
              text: "the quota requests_per_hour of the client billing is used to 80 %: 5760 of 7200"
            },
            {
              at: now - 1_900_000,
              event: "mode_changed" as const,
              severity: "info" as const,
              text: "the mode is normal (it was constrained): nothing calls for less"
            }
          ],
          receivers: [
            {
              name: "hooks.slack.com",
              host: "hooks.slack.com",
              delivered: 12,
              failed: failing ? 7 : 0,
              waiting: failing ? 3 : 0,
              dropped: 0,
              ...(failing ? { trouble: "it answers 503" } : {})
            }
          ]
        },
    actions: fresh
      ? []
      : [
          {
            at: now - 600_000,
            by: "ops",
            action: "quota/reset",
            target: "billing",
            result: "forgotten: requests_per_hour 7200"
          },
          { at: now - 2_000_000, by: "ops", action: "breaker/reset", result: "the circuit starts afresh" }
        ]
  }
}

export const data = (condition: Condition, now: number) => {
  const count = condition === "fresh" ? 2 : SAMPLES
  const indices = Array.from({ length: count }, (_, i) => i)
  return {
    admin: true,
    sign_in: { credential: "API key", admin: "an API key made with `snowguard keys create NAME --admin`" },
    now,
    snapshot: snapshot(condition, now),
    history: {
      at: indices.map((i) => now - (count - 1 - i) * EVERY_MS),
      values: Object.fromEntries(
        columns.map((column) => [
          column,
          indices.map((i) =>
            condition === "fresh" ? Number(column === "backoff_factor") : value(condition, column, i)
          )
        ])
      )
    }
  }
}
