/**
 * `snowguard limits explain`: the limits of a client, and where each comes from.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { explain } from "../../config/Explain.js"
import type { Explanation, Row } from "../../config/Explain.js"
import { escaped } from "../../platform/quoted.js"
import type { Run } from "./Command.js"
import { print, textOption, wrong } from "./Command.js"

const titles: { readonly [O in Row["of"]]: string } = {
  client: "of the client",
  tool: "of its calls of a tool",
  tier: "of all clients of the tier",
  all: "of all clients"
}

/** What an empty list means is with its setting: `allow_tools` is then all, `deny_tools` none. */
const valueOf = (value: unknown): string =>
  Array.isArray(value) ? (value.length === 0 ? "empty" : value.join(", ")) : String(value)

const whence = ({ from, insteadOf, source }: Row): string =>
  [
    source === "inherited"
      ? `inherited from ${from ?? ""}`
      : from === undefined
        ? source
        : `${source} ${from}`,
    ...(insteadOf === undefined ? [] : [`instead of ${insteadOf}`])
  ].join(", ")

const textOf = ({ client, rows, tier, tierFrom }: Explanation): string => {
  const cells = rows.map((row) => ({
    row,
    limit: row.limit,
    value: `${valueOf(row.value)}${row.observed ? " (observed)" : ""}`,
    setting: row.setting
  }))
  const width = (of: "limit" | "value" | "setting") =>
    Math.min(60, Math.max(0, ...cells.map((one) => one[of].length)))
  return [
    `client ${client}, tier ${tier}: ${tierFrom}`,
    ...(["client", "tool", "tier", "all"] as const).flatMap((of) => {
      const own = cells.filter(({ row }) => row.of === of)
      return own.length === 0
        ? []
        : [
            "",
            titles[of],
            ...own.map(({ limit, row, setting, value }) =>
              [
                `  ${limit.padEnd(width("limit"))}`,
                value.padEnd(width("value")),
                setting.padEnd(width("setting")),
                whence(row)
              ].join("  ")
            )
          ]
    })
  ].join("\n")
}

const jsonOf = ({ client, rows, tier, tierFrom }: Explanation): string =>
  JSON.stringify(
    {
      client,
      tier,
      tier_from: tierFrom,
      limits: rows.map(({ from, insteadOf, limit, observed, of, setting, source, value }) => ({
        of,
        limit,
        value,
        setting,
        source,
        from,
        instead_of: insteadOf,
        observed
      }))
    },
    undefined,
    2
  )

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ operands, options, settings, sources = new Map() }) =>
  Effect.gen(function* () {
    const [action] = operands
    if (action !== "explain") return yield* wrong(action ?? "limits", "expected explain")
    const client = textOption(options, "client")
    if (client === undefined) return yield* wrong("limits explain", "expected --client NAME")
    const tier = textOption(options, "tier")
    const found = explain({ settings, sources }, client, tier)
    if (found === undefined) {
      return yield* wrong(
        "--tier",
        `there is no tier ${tier ?? ""}; there are ${Object.keys(settings.tiers).join(", ")}`
      )
    }
    yield* print(options["json"] === true ? jsonOf(found) : escaped(textOf(found)))
    return 0
  })
