/**
 * `snowguard limits explain`: the limits of a client, and where each comes from. `snowguard limits simulate`: whom these
 * limits would have refused, by the audit log.
 *
 * @since 0.1.0
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import { explain } from "../../config/Explain.js"
import type { Explanation, Row } from "../../config/Explain.js"
import * as ServerConfig from "../../config/ServerConfig.js"
import * as AuditLog from "../../operate/AuditLog.js"
import * as Replay from "../../operate/Replay.js"
import * as ReplayReport from "../../operate/ReplayReport.js"
import { reasonOf } from "../../platform/fileReasons.js"
import * as Layout from "../../platform/layout.js"
import { escaped } from "../../platform/quoted.js"
import { hasTool } from "../../tools/CallPolicy.js"
import type { UsageFault } from "../Cli.js"
import { during } from "../LiveLine.js"
import type { Input, Run } from "./Command.js"
import { print, textOption, tierOption, widthFor, writeHanging, wrong } from "./Command.js"

const titles: { readonly [O in Row["of"]]: string } = {
  client: "of the client",
  tool: "of its calls of a tool",
  tier: "of all clients of the tier",
  all: "of all clients"
}

/** What an empty list means is with its setting: `allow_tools` is then all, `deny_tools` none. */
const valueOf = (value: unknown): string => {
  if (Array.isArray(value)) return value.length === 0 ? "empty" : value.join(", ")
  if (typeof value !== "object" || value === null) return String(value)
  const entries = Object.entries(value).map(([name, of]) => `${name}: ${valueOf(of)}`)
  return entries.length === 0 ? "empty" : entries.join(", ")
}

const whence = ({ from, insteadOf, source }: Row): string =>
  [
    source === "inherited"
      ? `inherited from ${from ?? ""}`
      : from === undefined
        ? source
        : `${source} ${from}`,
    ...(insteadOf === undefined ? [] : [`instead of ${insteadOf}`])
  ].join(", ")

/**
 * For people. Where a line is too narrow for all columns, the last ones stand in a line below.
 *
 * @since 0.1.0
 * @category rendering
 */
export const asText = (
  { client, rows, tier, tierFrom }: Explanation,
  width: number = Number.POSITIVE_INFINITY
): string => {
  const cells = rows.map((row) => ({
    row,
    limit: row.limit,
    value: `${valueOf(row.value)}${row.observed ? " (observed)" : ""}`,
    setting: row.setting,
    whence: whence(row)
  }))
  const widest = (of: "limit" | "value" | "setting" | "whence") =>
    Math.min(60, Math.max(0, ...cells.map((one) => one[of].length)))
  const first = `  ${" ".repeat(widest("limit"))}  `
  const fits = first.length + widest("value") + widest("setting") + widest("whence") + 4 <= width
  const line = ({ limit, setting, value, whence }: (typeof cells)[number]): ReadonlyArray<string> => {
    const named = `  ${limit.padEnd(widest("limit"))}`
    if (fits) {
      return [[named, value.padEnd(widest("value")), setting.padEnd(widest("setting")), whence].join("  ")]
    }
    const [begin = "", ...more] = Layout.wrapped(value, width - first.length)
    return [
      `${named}  ${begin}`,
      ...more.map((text) => first + text),
      // A setting that is as it comes says no more than the limit does.
      ...(whence === "default"
        ? []
        : Layout.wrapped(`${setting}: ${whence}`, width - 4).map((text) => `    ${text}`))
    ]
  }
  return [
    ...Layout.wrapped(`client ${client}, tier ${tier}: ${tierFrom}`, width),
    ...(["client", "tool", "tier", "all"] as const).flatMap((of) => {
      const own = cells.filter(({ row }) => row.of === of)
      return own.length === 0 ? [] : ["", titles[of], ...own.flatMap(line)]
    })
  ].join("\n")
}

const jsonOf = ({ client, rows, tier, tierFrom }: Explanation): string =>
  JSON.stringify({
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
  })

const explained = (input: Input): Effect.Effect<number, UsageFault> =>
  Effect.gen(function* () {
    const { options, settings, sources = new Map() } = input
    const client = textOption(options, "client")
    if (client === undefined) return yield* wrong("limits explain", "expected --client NAME")
    // The tiers of clients are checked with the settings, and this one just now.
    const found = yield* Effect.orDie(
      Effect.fromNullable(explain({ settings, sources }, client, yield* tierOption(input)))
    )
    yield* print(options["json"] === true ? jsonOf(found) : escaped(asText(found, widthFor(process.stdout))))
    return 0
  })

/** The audit log cannot be read, or holds no call that could be replayed. */
class NothingToReplay extends Schema.TaggedError<NothingToReplay>("snowguard/NothingToReplay")(
  "NothingToReplay",
  { description: Schema.String }
) {
  override get message(): string {
    return this.description
  }
}

/** Characters of a line at most: a statement as text is the longest part of one, 1 MB before it is escaped. */
const LONGEST_LINE = 16 * 1024 ** 2

const read = (path: string, log: ReturnType<typeof AuditLog.make>): Effect.Effect<void, NothingToReplay> =>
  NodeStream.fromReadable(
    () => createReadStream(path),
    (cause) => new NothingToReplay({ description: `${path} cannot be read: ${reasonOf(cause)}` })
  ).pipe(
    Stream.decodeText(),
    // What is not an audit log may have no lines, and no end.
    Stream.mapAccumEffect(0, (open, text) => {
      const end = text.lastIndexOf("\n")
      const length = end < 0 ? open + text.length : text.length - end - 1
      return length > LONGEST_LINE
        ? new NothingToReplay({
            description: `${path} cannot be read: a line of it has more than ${LONGEST_LINE} characters, and none of an audit log has`
          })
        : Effect.succeed([length, text] as const)
    }),
    Stream.splitLines,
    Stream.zipWithIndex,
    Stream.runForEach(([line, index]) => Effect.sync(() => log.add(path, index + 1, line)))
  )

/** Of the settings. */
const termsOf = (settings: ServerConfig.Settings): Replay.Terms => {
  const { isTier, tierOf } = ServerConfig.tiersOf(settings)
  const policies = ServerConfig.callPolicyTiers(settings)
  return {
    limiter: ServerConfig.rateLimiterOptions(settings),
    quota: ServerConfig.quotaOptions(settings),
    tokenWaits: ServerConfig.guardOptions(settings).tiers ?? {},
    windows: settings.quotaStore.windows,
    jointQuotas: settings.quotaStore.kind !== "memory",
    jointBuckets: settings.rateLimits === "shared",
    tierOf: (client, tier, assigned) => {
      const named = assigned ? tierOf(client) : tier
      return isTier(named) ? named : "default"
    },
    mayCall: (tier, tool) => {
      const policy = policies[tier]
      return policy === undefined || hasTool(policy, tool)
    }
  }
}

/** Milliseconds since 1970; UTC where the text does not say otherwise. */
const timeOption = (options: Input["options"], name: "from" | "to") => {
  const text = textOption(options, name)
  if (text === undefined) return Effect.succeed(undefined)
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text)
  const isTime = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?$/.test(text)
  const hasZone = isDay || /(Z|[+-]\d{2}:\d{2})$/.test(text.slice(10))
  const time = isDay || isTime ? DateTime.make(hasZone ? text : `${text}Z`) : Option.none()
  return Option.match(time, {
    onNone: () => wrong(`--${name}`, `expected a time as 2026-11-30 or 2026-11-30T08:00, got ${text}`),
    onSome: (time) => Effect.succeed(DateTime.toEpochMillis(time))
  })
}

const simulated = ({
  lists,
  options,
  settings
}: Input): Effect.Effect<number, UsageFault | NothingToReplay> =>
  Effect.gen(function* () {
    const files = lists["audit"] ?? []
    if (files.length === 0) return yield* wrong("limits simulate", "expected --audit FILE")
    const range = { from: yield* timeOption(options, "from"), to: yield* timeOption(options, "to") }
    const { from = -Infinity, to = Infinity } = range
    if (from >= to) return yield* wrong("--to", "expected a time after --from")
    const lines = AuditLog.make()
    yield* Effect.forEach(files, (file) => read(file, lines), { discard: true }).pipe(
      during(`reading ${files.length === 1 ? (files[0] ?? "") : `${files.length} files`}`)
    )
    const log = lines.log()
    const calls = log.calls.filter((call) => Replay.askedAt(call) < to)
    if (!calls.some((call) => Replay.askedAt(call) >= from))
      return yield* new NothingToReplay({ description: nothing(log, files) })
    const terms = termsOf(settings)
    const results = yield* Replay.replay({ ...log, calls }, terms).pipe(
      during(`replaying ${calls.length} calls`)
    )
    const report = ReplayReport.make(results, log, terms, range)
    yield* print(
      options["json"] === true
        ? JSON.stringify(report)
        : escaped(ReplayReport.render(report, widthFor(process.stdout)))
    )
    return 0
  })

/** Why there is no call to replay. */
const nothing = ({ calls, faulty, lines, older }: AuditLog.Log, files: ReadonlyArray<string>): string =>
  calls.length > 0
    ? "no call of the audit log is in this range of time"
    : [
        `${files.join(", ")}: no call that can be replayed`,
        `${lines} lines of calls`,
        ...(older === 0
          ? []
          : [
              `${older} of them of an earlier version, which did not write what each call asked of the limits (limits)`
            ]),
        ...(faulty.length === 0
          ? []
          : [`${faulty.length} lines that cannot be read, the first ${faulty[0] ?? ""}`])
      ].join("; ")

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = (input) => {
  switch (input.action) {
    case "explain":
      return explained(input)
    case "simulate":
      return Effect.catchTag(simulated(input), "NothingToReplay", ({ message }) =>
        Effect.as(writeHanging(process.stderr, escaped(message), 2), 1)
      )
    default:
      return wrong("limits", "expected explain or simulate")
  }
}
