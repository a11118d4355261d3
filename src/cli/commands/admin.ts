/**
 * `snowguard admin ...`: looks at a server that runs, and operates it, over HTTP. The API key, or the access
 * token, of an administrator is read from `SNOWGUARD_ADMIN_KEY`: an argument could be read in the
 * list of processes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Config from "effect/Config"
import * as Schema from "effect/Schema"
import type { Identity } from "../../operate/Snapshot.js"
import { Done, Snapshot } from "../../operate/Operator.js"
import { serverName } from "../../operate/Snapshot.js"
import { iso, plural } from "../../platform/core/format.js"
import { escaped } from "../../platform/quoted.js"
import { withoutStack } from "../../platform/withoutStack.js"
import * as ServerConfig from "../../config/ServerConfig.js"
import { during } from "../LiveLine.js"
import type { Input, Run } from "./Command.js"
import { agreed, print, printHanging, textOption, writeHanging } from "./Command.js"

/** The server was not reached, or refused. */
class AdminFault extends Schema.TaggedError<AdminFault>("snowguard/AdminFault")("AdminFault", {
  description: Schema.String
}) {
  override get message(): string {
    return this.description
  }
}

/** How the server is asked for an action. */
interface Asked {
  readonly path: string
  /** What its operand is called in the body of the request. */
  readonly operand?: string
  /** It fails where there is nothing to do it to. */
  readonly mustChange?: boolean
}

/** Of each action but `status`. */
const asked: { readonly [action: string]: Asked } = {
  "breaker open": { path: "breaker/open" },
  "breaker release": { path: "breaker/release" },
  "breaker reset": { path: "breaker/reset" },
  "ladder pin": { path: "ladder/pin", operand: "mode" },
  "ladder unpin": { path: "ladder/unpin" },
  "quota reset": { path: "quota/reset", operand: "client" },
  "call cancel": { path: "call/cancel", operand: "id", mustChange: true },
  "warehouse unlatch": { path: "warehouse/unlatch" },
  reload: { path: "config/reload" }
}

/**
 * The request of an action; undefined: to look. The parser has looked at the words.
 *
 * @since 0.1.0
 * @category constructors
 */
export const requestOf = ({
  action = "status",
  operands: [operand],
  options
}: Pick<Input, "action" | "operands" | "options">):
  | {
      readonly path: string
      readonly body: { readonly [name: string]: string }
    }
  | undefined => {
  const how = asked[action]
  if (how === undefined) return undefined
  const given = {
    [how.operand ?? ""]: operand,
    quota: textOption(options, "quota"),
    user: textOption(options, "user")
  }
  return {
    path: how.path,
    body: Object.fromEntries(
      Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
    )
  }
}

/** The URL to call: the address to listen on may be one that cannot be called. */
const defaultUrl = ({ host, port }: { readonly host: string; readonly port: number }): string => {
  const name = host.replace(/^\[(.*)\]$/, "$1")
  const reachable = name === "0.0.0.0" || name === "::" ? "127.0.0.1" : name
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`
}

const TIMEOUT = "30 seconds"

const fault = (description: string) => withoutStack(() => new AdminFault({ description }))

const ErrorBody = Schema.Struct({ error: Schema.Struct({ message: Schema.String }) })

const why = (status: number, body: unknown): string =>
  Option.match(Schema.decodeUnknownOption(ErrorBody)(body), {
    onNone: () => `the server answered ${status}`,
    onSome: ({ error }) => error.message
  })

/** One request; what it is answered, decoded. */
const ask = <A, I>(
  base: string,
  path: string,
  key: string | undefined,
  schema: Schema.Schema<A, I>,
  body?: object
): Effect.Effect<A, AdminFault> =>
  Effect.gen(function* () {
    const url = yield* Effect.try({
      try: () => new URL(path, base),
      catch: () => fault(`${base} is not a URL`)
    })
    const { json, ok, status } = yield* Effect.tryPromise({
      try: async (signal) => {
        const response = await fetch(url, {
          signal,
          redirect: "error",
          headers: {
            ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
            ...(body === undefined ? {} : { "content-type": "application/json" })
          },
          ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) })
        })
        const json: unknown = await response.json().catch(() => undefined)
        return { json, ok: response.ok, status: response.status }
      },
      catch: () =>
        fault(
          `no server answers at ${url.origin}; if it listens elsewhere, because http.port has changed since it started, name it with --url`
        )
    }).pipe(
      Effect.timeoutFail({
        duration: TIMEOUT,
        onTimeout: () => fault(`${url.origin} does not answer in time`)
      })
    )
    if (!ok) {
      const hint = status === 401 && key === undefined ? " Set SNOWGUARD_ADMIN_KEY to it." : ""
      return yield* fault(`${why(status, json)}${hint}`)
    }
    return yield* Effect.mapError(Schema.decodeUnknown(schema)(json), () =>
      fault(`what answers at ${url.origin} is not a snowguard server of this version`)
    )
  })

const Seen = Schema.Struct({ admin: Schema.Boolean, snapshot: Snapshot })

/** What others have written cannot steer a terminal. */
const plain = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, "?")

const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`

const identityText = (
  { account, role, user, virtual_warehouse, warehouse, ...name }: Identity,
  version: string
): string =>
  [
    `${serverName(name)}, snowguard ${version}`,
    warehouse === "duckdb" ? "the embedded warehouse" : `the Snowflake account ${account ?? "unknown"}`,
    ...(user === undefined ? [] : [`user ${user}`]),
    ...(role === undefined ? [] : [`role ${role}`]),
    ...(virtual_warehouse === undefined ? [] : [`warehouse ${virtual_warehouse}`])
  ].join(", ")

/** Nothing while quotas are counted where they belong. */
const storeLines = (store: Snapshot["quota_store"]): ReadonlyArray<string> => {
  if (store === undefined || store.mode === "normal") return []
  const becomes = store.refusing
    ? "CALLS ARE REFUSED"
    : store.mode === "memory"
      ? "quotas are counted in this process's memory alone"
      : "calls get this server's share of what was left"
  const since = store.since === undefined ? "" : ` since ${store.since}`
  return [
    `store      ${store.mode}${since}; ${becomes}: ${plain(store.reason ?? "it does not answer")}` +
      (store.lasting ? " (an operator has to mend it)" : "")
  ]
}

/**
 * For people, a line each.
 *
 * @since 0.1.0
 * @category rendering
 */
export const asText = ({
  backoff_factor,
  calls,
  circuit,
  alerts,
  clients = [],
  codes = [],
  config,
  login,
  mode,
  pools,
  quota_store,
  quotas,
  quotas_unavailable,
  queue = [],
  refused_users,
  running = [],
  server,
  tiers = [],
  trouble,
  version,
  would_refuse = []
}: Snapshot): string =>
  [
    ...(server === undefined ? [] : [`server     ${plain(identityText(server, version))}`]),
    `circuit    ${circuit.phase}${circuit.held ? " (held from here)" : ""}: ${circuit.failures} of ${circuit.calls} calls failed` +
      (circuit.next_probe_in_ms !== undefined
        ? `; next try in ${seconds(circuit.next_probe_in_ms)}`
        : circuit.phase === "open"
          ? "; the next call is a probe"
          : "") +
      (circuit.cause === undefined ? "" : `; ${circuit.cause}`),
    ...(login?.latched === true
      ? [
          login.only_some === true
            ? "login      refused to some users; callers with others are served"
            : `login      refused: ${plain(login.reason ?? "")} Next login in ${seconds(login.next_login_in_ms ?? 0)}, or after: snowguard admin warehouse unlatch`,
          ...(refused_users ?? []).map(
            ({ next_login_in_ms, reason, user }) =>
              `           ${plain(user)}: ${plain(reason)} Next login in ${seconds(next_login_in_ms)}, or after: snowguard admin warehouse unlatch --user ${plain(user)}`
          )
        ]
      : []),
    ...(trouble === undefined
      ? []
      : [
          `${trouble.recovered_ms_ago === undefined ? "trouble   " : "recovered "} ` +
            (trouble.recovered_ms_ago === undefined
              ? ""
              : `${seconds(trouble.recovered_ms_ago)} ago, from `) +
            `${trouble.reason}${trouble.code === undefined ? "" : ` ${plain(trouble.code)}`}${trouble.user === undefined ? "" : ` for ${plain(trouble.user)}`}, ${seconds(trouble.ms_ago)} ago: ${plain(trouble.description)}`
        ]),
    ...storeLines(quota_store),
    ...(config === undefined
      ? []
      : [
          `settings   generation ${config.generation}, read ${seconds(config.loaded_ms_ago)} ago` +
            (config.faults === 0 ? "" : `; THE LAST ONES READ ARE WRONG: ${plural(config.faults, "fault")}`),
          ...(config.wrong ?? []).map((text) => `           ${plain(text)}`),
          ...(config.needs_restart ?? []).map((key) => `           ${plain(key)} needs a restart`)
        ]),
    ...(alerts?.latest ?? []).map(
      ({ at, severity, text }) => `alert      ${iso(at)} ${severity}: ${plain(text)}`
    ),
    ...(alerts?.receivers ?? [])
      .filter(({ dropped, trouble }) => trouble !== undefined || dropped > 0)
      .map(
        ({ dropped, host, name, trouble, waiting }) =>
          `receiver   ${plain(name)} (${plain(host)}): ${trouble === undefined ? "" : `${trouble}; `}${waiting} wait, ${dropped} dropped`
      ),
    `mode       ${mode.mode}${mode.pinned ? " (pinned from here)" : ""}: ${mode.why}`,
    `backoff    pauses before retries x ${backoff_factor}`,
    ...pools.map(
      ({ in_use, pool, queued, slots }) => `slots      ${pool}: ${in_use} of ${slots}, ${queued} wait`
    ),
    ...queue.map(
      ({ calls, client, pool }) => `queue      ${pool}: ${plural(calls, "call")} of ${plain(client)}`
    ),
    ...(quotas_unavailable === undefined ? [] : [`quota      not known: ${plain(quotas_unavailable)}`]),
    ...quotas.map(({ limit, quota, used }) => `quota      ${quota}: ${used} of ${limit ?? "-"}`),
    `calls      ${calls.ok} answered, ${calls.refused} refused, ${calls.rejected} rejected, ${calls.failed} failed, ${calls.cancelled} cancelled`,
    ...codes.map(
      ({ code, count, last_ms_ago, outcome }) =>
        `${outcome.padEnd(10)} ${plain(code)}: ${count}, the last ${seconds(last_ms_ago)} ago`
    ),
    ...would_refuse.map(
      ({ code, count, last_ms_ago, scope }) =>
        `observed   ${plain(code)} by ${plain(scope)} would have refused ${count}, the last ${seconds(last_ms_ago)} ago`
    ),
    ...tiers.flatMap(({ denied, observes, tier, tools }) => [
      ...tools.map(
        ({ burst, lowest, per_second, tool, weight }) =>
          `tool       ${plain(tier)}: ${plain(tool)}` +
          (per_second === undefined ? "" : ` ${per_second} a second, burst ${burst}`) +
          (weight === undefined ? "" : `${per_second === undefined ? "" : ","} weight ${weight}`) +
          (lowest === undefined ? "" : `; least left: ${plain(lowest.client)} ${lowest.remaining}`)
      ),
      ...(denied.length === 0 ? [] : [`tool       ${plain(tier)}: denied ${plain(denied.join(", "))}`]),
      ...(observes.length === 0
        ? []
        : [`observes   ${plain(tier)}: ${plain(observes.join(", "))}: nothing is refused by these`])
    ]),
    ...running.map(
      ({ client, id, ms, rows, sent, statement, tool }) =>
        `running    ${id} ${plain(client)}: ${plain(tool)} for ${seconds(ms)}, ${sent ? "in the warehouse" : "not sent yet"}` +
        (rows === 0 ? "" : `, ${plural(rows, "row")} so far`) +
        (statement === undefined ? "" : `: ${plain(statement)}`)
    ),
    ...clients.map(
      ({ calls, client, last_decision, tier }) =>
        `client     ${plain(client)} (${tier}): ${calls.ok} answered, ${calls.refused} refused, ${calls.failed} failed${calls.rejected === 0 ? "" : `, ${calls.rejected} rejected`}; last: ${last_decision}`
    )
  ].join("\n")

const adminKey = Config.option(Config.redacted("SNOWGUARD_ADMIN_KEY")).pipe(
  Effect.orElseSucceed(Option.none<Redacted.Redacted>),
  Effect.map(Option.map(Redacted.value)),
  Effect.map(Option.filter((key) => key !== "")),
  Effect.map(Option.getOrUndefined)
)

const work = (input: Input) =>
  Effect.gen(function* () {
    const { action = "status", options, settings } = input
    const json = options["json"] === true
    const base = textOption(options, "url") ?? defaultUrl(ServerConfig.httpOptions(settings))
    const request = requestOf(input)
    const key = yield* adminKey
    if (request === undefined) {
      const { snapshot } = yield* ask(base, "/status/data", key, Seen).pipe(during(`asking ${base}`))
      yield* json ? print(escaped(JSON.stringify(snapshot))) : printHanging(escaped(asText(snapshot)), 11)
      return 0
    }
    if (!(yield* agreed(input))) return 1
    const done = yield* ask(base, `/admin/${request.path}`, key, Done, request.body).pipe(
      during(`asking ${base}`)
    )
    const failed = !done.changed && asked[action]?.mustChange === true
    const told = `${done.result} (server ${done.server})`
    if (json) yield* print(escaped(JSON.stringify(done)))
    else if (failed) return yield* fault(told)
    else yield* printHanging(escaped(told), 2)
    return failed || done.faults !== undefined ? 1 : 0
  })

/**
 * Exit code 1 when the server was not reached or refused, or the answer is no.
 *
 * @since 0.1.0
 * @category commands
 */
export const run: Run = (input) =>
  Effect.catchTag(work(input), "AdminFault", ({ message }) =>
    Effect.as(writeHanging(process.stderr, escaped(message), 2), 1)
  )
