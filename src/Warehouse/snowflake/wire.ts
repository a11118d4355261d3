/**
 * The driver's HTTP, under our control: no retries of its own, one signal for each statement that ends
 * everything it still has under way, and parts of a result that are not rows are refused at once.
 *
 * ```
 * statement --run--> driver --request--> [ours: no retries, signal, limits] --> [driver's] --> network
 *                                                                                               |
 *           <-------------- [ours: is it a part of a result?] <-- [driver's: would retry] <-----+
 * ```
 *
 * A request is matched to its statement by the request id in its address, then by the query id, then by
 * the asynchronous context it is made in: the driver repeats requests of one statement in the context of
 * another after it has renewed a session's token, so the context alone would stop the wrong one.
 *
 * @since 0.1.0
 */
import { AsyncLocalStorage } from "node:async_hooks"

interface Config {
  readonly url?: string
  readonly method?: string
  readonly useSnowflakeRetryMiddleware?: boolean
  signal?: AbortSignal | undefined
  timeout?: number
  snowflakeRetryConfig?: unknown
}

interface Response {
  readonly status?: number
  readonly headers?: unknown
  readonly data?: unknown
  readonly config?: Config
}

/**
 * The part of the driver's HTTP client that is used.
 *
 * @since 0.1.0
 * @category models
 */
export interface Axios {
  readonly interceptors: {
    readonly request: { readonly use: (onRequest: (config: Config) => Config) => unknown }
    readonly response: {
      readonly use: (
        onResponse: (response: Response) => Response,
        onError: (error: unknown) => Promise<never>
      ) => unknown
    }
  }
}

/**
 * Everything that one login or one statement has under way.
 *
 * @since 0.1.0
 * @category models
 */
export interface Task {
  /** Undefined for a login. */
  readonly requestId: string | undefined
  readonly queryId: () => string | undefined
  /** Ends every request of the task, those already sent and those still to come. */
  readonly abort: () => void
  readonly signal: AbortSignal
  /** How often its statement has been sent, since the driver repeats it without pause when it cannot renew a token. */
  sends: number
}

/** The driver sends a statement again after it renewed the token: more than this is a loop. */
const MOST_SENDS = 6

const context = new AsyncLocalStorage<Task>()
const statements = new Map<string, Task>()

/**
 * @since 0.1.0
 * @category constructors
 */
export const task = (requestId: string | undefined, queryId: () => string | undefined): Task => {
  const controller = new AbortController()
  return { requestId, queryId, signal: controller.signal, abort: () => controller.abort(), sends: 0 }
}

/**
 * From here on the requests with the task's id are its own; call the result when it has ended.
 *
 * @since 0.1.0
 * @category tracking
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
 *
 * @since 0.1.0
 * @category tracking
 */
export const run = <A>(self: Task, f: () => A): A => context.run(self, f)

const path = (config: Config): string => {
  const url = config.url ?? ""
  const from = url.indexOf("/", url.indexOf("//") + 2)
  return from < 0 ? "" : url.slice(from)
}

const isApi = (at: string): boolean =>
  /^\/(?:queries|session|monitoring|telemetry|oauth)\b/.test(at) || at.includes("/login-request")

/** A part of a large result, from the store that Snowflake keeps results in. */
const isPart = (config: Config | undefined): boolean =>
  config !== undefined &&
  config.useSnowflakeRetryMiddleware !== true &&
  (config.method ?? "get").toLowerCase() === "get" &&
  !isApi(path(config)) &&
  context.getStore()?.requestId !== undefined

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

/** Milliseconds for requests that only tidy up, or that everybody waits for. */
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
    readonly part?: {
      readonly status?: number | undefined
      readonly headers?: unknown
      readonly malformed?: boolean
      readonly error?: unknown
    }
  ) {
    super(message)
    this.name = "Refused"
  }
}

const onRequest = (config: Config): Config => {
  config.snowflakeRetryConfig = { maxRetries: 0 }
  const at = path(config)
  const limit = limits.find(([pattern]) => pattern.test(at))?.[1]
  if (limit !== undefined) config.timeout = Math.min(config.timeout ?? limit, limit)
  // Cancelling must get through when everything else of the statement is ended.
  if (limit !== undefined) return config
  const self = owner(config)
  if (self === undefined) return config
  if (at.startsWith("/queries/v1/query-request") && ++self.sends > MOST_SENDS) {
    throw new Refused("sent too often", { error: { code: "ECONNRESET" } })
  }
  config.signal = config.signal === undefined ? self.signal : AbortSignal.any([config.signal, self.signal])
  return config
}

const looksLikeRows = (data: unknown): boolean =>
  typeof data === "string" && (data === "" || (/^\s*\[/.test(data) && /\]\s*$/.test(data)))

const onResponse = (response: Response): Response => {
  if (isPart(response.config) && !looksLikeRows(response.data)) {
    throw new Refused("not rows", { malformed: true })
  }
  return response
}

type Fields = { readonly [key: string]: unknown }
const fields = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? (value as Fields) : {}

const onError = (error: unknown): Promise<never> => {
  const failed = fields(error)
  const config = failed["config"] as Config | undefined
  if (error instanceof Refused || !isPart(config)) return Promise.reject(error)
  const response = failed["response"] === undefined ? undefined : fields(failed["response"])
  const status = response?.["status"]
  return Promise.reject(
    new Refused("a part of the result", {
      ...(typeof status === "number" && status >= 400 ? { status, headers: response?.["headers"] } : {}),
      error: { name: failed["name"], code: failed["code"] ?? fields(failed["cause"])["code"] }
    })
  )
}

const installed = new WeakSet<Axios>()

/**
 * Takes the driver's HTTP client under control, once.
 *
 * @since 0.1.0
 * @category constructors
 */
export const install = (axios: Axios): void => {
  if (installed.has(axios)) return
  installed.add(axios)
  axios.interceptors.request.use(onRequest)
  axios.interceptors.response.use(onResponse, onError)
}
