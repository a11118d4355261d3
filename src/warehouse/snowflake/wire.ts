/**
 * The driver's HTTP, under our control: no retries of its own, one signal for each statement that ends
 * everything it still has under way. Logins carry our parameters of the session, and a server that answers polls
 * at once is not asked without a pause. A result is taken out of its answer before the driver reads that, and
 * its parts are fetched here, as streams, through the driver's own connections (proxy, certificates).
 *
 * ```
 * statement --run--> driver --request--> [ours: no retries, signal, limits] --> [driver's] --> network
 *                                                                                               |
 *           <------------------- [ours: the result is ours] <--- [driver's: would retry] <------+
 * ```
 *
 * A request is matched to its statement by the request id in its address, then by the query id, then by
 * the asynchronous context it is made in: the driver repeats requests of one statement in the context of
 * another after it has renewed a session's token, so the context alone would stop the wrong one.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import { AsyncLocalStorage } from "node:async_hooks"
import { pipeline, Readable } from "node:stream"
import { createUnzip } from "node:zlib"
import type { Answer } from "./answer.js"
import * as Answers from "./answer.js"
import { monotonicReader } from "../../platform/monotonic.js"
import * as Proxy from "./proxy.js"

interface Config {
  readonly url?: string
  readonly method?: string
  readonly useSnowflakeRetryMiddleware?: boolean
  signal?: AbortSignal | undefined
  timeout?: number
  readonly params?: unknown
  readonly responseType?: string
  data?: unknown
  snowflakeRetryConfig?: unknown
}

interface Response {
  readonly status?: number
  readonly headers?: unknown
  data?: unknown
  readonly config?: Config
}

/**
 * The part of the driver's HTTP client that is used.
 */
export interface Axios {
  readonly interceptors: {
    readonly request: { readonly use: (onRequest: (config: Config) => Config | Promise<Config>) => unknown }
    readonly response: {
      readonly use: (
        onResponse: (response: Response) => Response,
        onError: (error: unknown) => Promise<never>
      ) => unknown
    }
  }
  readonly request: (config: Config & { readonly [option: string]: unknown }) => Promise<Response>
}

/** What the driver asks its HTTP client for. */
interface Asked {
  readonly json?: unknown
  readonly params?: URLSearchParams | Named | undefined
}

interface Named {
  readonly [name: string]: string
}

/**
 * What makes the driver's requests: it knows the proxy and the certificates for each address.
 */
export interface Agents {
  readonly prototype: {
    getAgent: (this: object, url: URL, proxy: unknown, mock: unknown) => unknown
    request: (this: object, asked: Asked) => unknown
  }
}

/** The driver describes each request for its log, a dozen times. */
export interface Descriptions {
  describeRequestFromOptions: () => string
  describeRequestFromResponse: () => string
  describeURL: () => string
}

/**
 * Everything that one login or one statement has under way.
 */
export interface Task {
  /** Undefined for a login. */
  readonly requestId: string | undefined
  queryId: () => string | undefined
  /** Ends every request of the task, those already sent and those still to come. */
  readonly abort: () => void
  readonly signal: AbortSignal
  /** How often its statement has been sent, since the driver repeats it without pause when it cannot renew a token. */
  sends: number
  /** The result, once the statement has ended. */
  answer: Answer | undefined
  /** How the driver would connect to an address. */
  agent: ((url: URL) => unknown) | undefined
  /** The body of a part of the result. */
  readonly open: (part: {
    readonly url: string
    readonly headers: { readonly [name: string]: string }
    readonly signal: AbortSignal
  }) => Promise<Readable>

  readonly clock: PollClock
  /** When its result was last asked for, and the pause before it was. */
  askedAt: number | undefined
  pauseMs: number
  readonly login: LoginRequest | undefined
  /** The login has left, so that what was waited for until then is over. */
  loginSent: boolean
}

/** Time for pauses between polls, as the fiber has it that sends the statement. */
interface PollClock {
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Ends early when the signal says so. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

/**
 * What a login request carries beside the driver's own.
 */
interface LoginRequest {
  readonly parameters: { readonly [name: string]: string | number | boolean }
  /** Milliseconds it may take. */
  readonly timeoutMs: number
}

/** Why requests of a task are aborted. Without a reason, each abort makes an error with a stack trace. */
export const ended = new Error("the statement has ended")

/** The driver sends a statement again after it renewed the token: more than this is a loop. */
const MOST_SENDS = 6

const context = new AsyncLocalStorage<Task>()
const statements = new Map<string, Task>()

export const task = (requestId: string | undefined, login?: LoginRequest): Effect.Effect<Task> =>
  Effect.zipWith(Effect.runtime(), monotonicReader, (runtime, now) => {
    const controller = new AbortController()
    const self: Task = {
      requestId,
      queryId: () => undefined,
      signal: controller.signal,
      abort: () => controller.abort(ended),
      sends: 0,
      answer: undefined,
      agent: undefined,
      open: (part) => run(self, () => openPart(self, part)),
      clock: {
        now,
        sleep: (ms, signal) =>
          Runtime.runPromise(runtime)(Effect.sleep(ms), { signal }).catch(() => undefined)
      },
      askedAt: undefined,
      pauseMs: 0,
      login,
      loginSent: false
    }
    return self
  })

/** The driver's HTTP client, of which a process has one. */
let client: Axios | undefined

/** Bytes unpacked at a time. By default they are a quarter, and each time is a turn of the thread pool. */
const UNPACKED = 64 * 1024

const openPart = async (self: Task, { headers, signal, url }: Parameters<Task["open"]>[0]) => {
  const agent = self.agent?.(new URL(url))
  const response = await client?.request({
    method: "GET",
    url,
    headers: { ...headers, "accept-encoding": "gzip" },
    signal,
    httpAgent: agent,
    httpsAgent: agent,
    proxy: false,
    responseType: "stream",
    decompress: false
  })
  const body = response?.data
  if (!(body instanceof Readable)) throw new TypeError("the HTTP client gives no stream")
  if (fields(response?.headers)["content-encoding"] === undefined) return body
  // An end of either is the end of both, with the reason.
  return pipeline(body, createUnzip({ chunkSize: UNPACKED }), () => undefined)
}

/**
 * From here on the requests with the task's id are its own; call the result when it has ended.
 */
export const track = (self: Task): (() => void) => {
  const { requestId } = self
  if (requestId === undefined) return () => undefined
  statements.set(requestId, self)
  return () => {
    if (statements.get(requestId) === self) statements.delete(requestId)
  }
}

/**
 * Runs `f` so that requests which do not name their statement are the task's.
 */
export const run = <A>(self: Task, f: () => A): A => context.run(self, f)

type Fields = { readonly [key: string]: unknown }
const fields = (value: unknown): Fields => (Predicate.isRecord(value) ? value : {})

const path = (config: Config): string => {
  const url = config.url ?? ""
  const from = url.indexOf("/", url.indexOf("//") + 2)
  return from < 0 ? "" : url.slice(from)
}

const isApi = (at: string): boolean =>
  /^\/(?:queries|session|monitoring|telemetry|oauth)\b/.test(at) || at.includes("/login-request")

/** Answered with the result of a statement, sooner or later. */
const isStatement = (at: string): boolean =>
  /^\/queries\/(?:v1\/query-request|[0-9a-fA-F-]{36}\/result)\b/.test(at)

const owner = (config: Config): Task | undefined => {
  const at = path(config)
  const requestId = /[?&]requestId=([^&]+)/.exec(at)?.[1]
  const byRequest = requestId === undefined ? undefined : statements.get(decodeURIComponent(requestId))
  if (byRequest !== undefined) return byRequest
  const queryId = /^\/queries\/([0-9a-fA-F-]{36})\/result/.exec(at)?.[1]
  if (queryId !== undefined) {
    // Several may read in one result at a time, each with a task of its own.
    const own = context.getStore()
    if (own?.queryId() === queryId) return own
    for (const one of statements.values()) if (one.queryId() === queryId) return one
  }
  return context.getStore()
}

/** Milliseconds for requests that only tidy up, or that all calls wait for. */
const limits: ReadonlyArray<readonly [pattern: RegExp, ms: number]> = [
  [/abort-request/, 3_000],
  [/^\/session\?delete/, 3_000],
  [/^\/session\/heartbeat/, 5_000],
  [/^\/session\/token-request/, 10_000],
  [/^\/telemetry/, 1_000]
]

/** Looks like a cancelled request to the driver, which is the only thing that it does not try again. */
class Refused extends Error {
  readonly code = "ERR_CANCELED"
  constructor(
    message: string,
    readonly why: { readonly malformed?: boolean; readonly error?: unknown }
  ) {
    super(message)
    this.name = "Refused"
  }
}

/** Milliseconds: the server holds a poll back for much longer, so one that was answered sooner was not held. */
const HELD_MS = 1_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/** Longer each time that the server answers at once that it has nothing yet. */
const paused = (self: Task, config: Config): Config | Promise<Config> => {
  const { askedAt, clock } = self
  const isPoll = /^\/queries\/[0-9a-fA-F-]{36}\/result/.test(path(config))
  self.askedAt = clock.now()
  if (!isPoll || askedAt === undefined) return config
  if (self.askedAt - askedAt >= HELD_MS + self.pauseMs) {
    self.pauseMs = 0
    return config
  }
  self.pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, self.pauseMs * 2))
  return clock.sleep(self.pauseMs, self.signal).then(() => config)
}

/** The driver has no option for parameters of the session, and one time-out for all requests. */
const asLogin = ({ parameters, timeoutMs }: LoginRequest, config: Config): void => {
  config.timeout = timeoutMs
  const given = fields(fields(config.data)["data"])["SESSION_PARAMETERS"]
  if (typeof given === "object" && given !== null) Object.assign(given, parameters)
}

/**
 * The parameters of a request, and its body. The driver would compress a body that it knows of, and then send it as it
 * is; parameters it hands on.
 */
class Sent extends URLSearchParams {
  constructor(
    given: URLSearchParams | Named | undefined,
    readonly body: unknown
  ) {
    super(given)
  }
}

const onRequest = (config: Config): Config | Promise<Config> => {
  config.snowflakeRetryConfig = { maxRetries: 0 }
  if (config.params instanceof Sent) config.data = config.params.body
  const at = path(config)
  const limit = limits.find(([pattern]) => pattern.test(at))?.[1]
  if (limit !== undefined) config.timeout = Math.min(config.timeout ?? limit, limit)
  // Cancelling must get through when everything else of the statement is ended.
  if (limit !== undefined) return config
  const self = owner(config)
  if (self === undefined) return config
  if (self.login !== undefined && at.startsWith("/session/v1/login-request")) {
    self.loginSent = true
    asLogin(self.login, config)
  }
  if (at.startsWith("/queries/v1/query-request") && ++self.sends > MOST_SENDS) {
    throw new Refused("sent too often", { error: { code: "ECONNRESET" } })
  }
  // The signal of a part is ours. Another one is the driver's, which it never aborts.
  config.signal =
    config.responseType === "stream" && config.signal !== undefined
      ? AbortSignal.any([config.signal, self.signal])
      : self.signal
  return isApi(at) && self.requestId !== undefined ? paused(self, config) : config
}

const isJson = (headers: unknown): boolean =>
  Predicate.isRecord(headers) && /\bapplication\/json\b/i.test(String(headers["content-type"] ?? ""))

const parsed = (text: string): Option.Option<unknown> =>
  Option.liftThrowable((): unknown => JSON.parse(text))()

/** The driver takes a logout that is refused with it as done. */
const TOKEN_EXPIRED = "390112"

/** The driver reads the rest of an answer: tokens, refusals, statements that go on. */
const onResponse = (response: Response): Response => {
  const { config, data, headers } = response
  const at = config === undefined ? "" : path(config)
  if (config === undefined || typeof data !== "string" || !isApi(at) || !isJson(headers)) return response
  const body = parsed(data)
  // The driver says what is wrong with it.
  if (Option.isNone(body)) return response
  const self = isStatement(at) ? owner(config) : undefined
  const answer = Answers.read(body.value)
  if (
    !Predicate.isRecord(body.value) ||
    (self !== undefined && Either.isLeft(answer) && answer.left === "malformed")
  ) {
    throw new Refused("not an answer", { malformed: true })
  }
  if (self !== undefined && Either.isRight(answer)) {
    self.answer = answer.right
    response.data = Answers.withoutResult(body.value)
  }
  if (at.startsWith("/session?delete") && body.value["code"] === TOKEN_EXPIRED) {
    response.data = JSON.stringify({ ...body.value, code: `logout: ${TOKEN_EXPIRED}` })
  }
  return response
}

/** What fails on the way fails at the proxy, where there is one. */
const onError = (error: unknown): Promise<never> => {
  const config = fields(error)["config"]
  const url = fields(config)["url"]
  const proxy = typeof url === "string" ? Proxy.variableFor(url, process.env) : undefined
  if (proxy !== undefined && typeof error === "object" && error !== null) Object.assign(error, { proxy })
  return Promise.reject(error)
}

const installed = new WeakSet<Axios>()

/**
 * Takes the driver's HTTP client under control, once.
 */
export const install = (axios: Axios, agents: Agents, descriptions: Descriptions): void => {
  if (installed.has(axios)) return
  installed.add(axios)
  client = axios
  axios.interceptors.request.use(onRequest)
  axios.interceptors.response.use(onResponse, onError)
  const { prototype } = agents
  const getAgent = prototype.getAgent
  prototype.getAgent = function (url, proxy, mock) {
    const self = context.getStore()
    if (self !== undefined) self.agent = (to) => getAgent.call(this, to, proxy, mock)
    return getAgent.call(this, url, proxy, mock)
  }
  const request = prototype.request
  prototype.request = function (asked) {
    const { json, params, ...others } = asked
    return request.call(this, json === undefined ? asked : { ...others, params: new Sent(params, json) })
  }
  const none = () => ""
  descriptions.describeRequestFromOptions = none
  descriptions.describeRequestFromResponse = none
  descriptions.describeURL = none
}
