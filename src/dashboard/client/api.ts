/** The server, as the page talks to it. The key stays in this tab. */
import type { Done, Samples, Snapshot } from "../../operate/Operator.js"

/** What people show of themselves: a key, or a token with a scope. */
export interface SignIn {
  readonly credential: string
  readonly admin: string
}

export interface Everything {
  readonly admin: boolean
  readonly sign_in: SignIn
  readonly now: number
  readonly snapshot: Snapshot
  readonly history: Samples
}

export interface Tick {
  readonly snapshot: Snapshot
  readonly history: Samples
}

/** `status` 0: the server was not reached. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly signIn?: SignIn
  ) {
    super(message)
  }
}

const STORED = "snowguard-key"

export const key = {
  get: (): string | undefined => sessionStorage.getItem(STORED) ?? undefined,
  set: (value: string): void => sessionStorage.setItem(STORED, value),
  forget: (): void => sessionStorage.removeItem(STORED)
}

const headers = (): { [name: string]: string } => {
  const known = key.get()
  return known === undefined ? {} : { authorization: `Bearer ${known}` }
}

interface ErrorBody {
  readonly error?: { readonly message?: string; readonly data?: { readonly sign_in?: SignIn } }
}

const refusedBy = async (response: Response): Promise<Refused> => {
  const { status } = response
  try {
    const { error } = (await response.json()) as ErrorBody
    if (error?.message !== undefined) return new Refused(status, error.message, error.data?.sign_in)
  } catch {
    // Not ours: the status is all there is to say.
  }
  return new Refused(status, `The server answered ${status}.`)
}

/** A server that does not answer within this time, or sends nothing for so long, is asked again. */
const PATIENCE_MS = 10_000

const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
  let response: Response
  try {
    response = await fetch(path, {
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...init,
      cache: "no-store",
      credentials: "omit",
      headers: { ...headers(), ...init.headers }
    })
  } catch {
    throw new Refused(0, "The server cannot be reached.")
  }
  if (!response.ok) throw await refusedBy(response)
  return response
}

export const everything = async (): Promise<Everything> =>
  (await request("/status/data")).json() as Promise<Everything>

export const act = async (action: string, body: object = {}): Promise<Done> =>
  (
    await request(`/admin/${action}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
  ).json() as Promise<Done>

const listen = async (
  onTick: (tick: Tick) => void,
  signal: AbortSignal,
  heard: () => void
): Promise<void> => {
  const { body } = await request("/status/events", { signal })
  if (body === null) return
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ""
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    heard()
    const events = (rest + value).split("\n\n")
    rest = events.pop() ?? ""
    for (const event of events) if (event.startsWith("data: ")) onTick(JSON.parse(event.slice(6)) as Tick)
  }
}

/**
 * Until the server or the network ends it, or nothing is heard any more: a connection that died on its way
 * does not say so. An `EventSource` could not send the key.
 */
export const watch = async (onTick: (tick: Tick) => void, signal: AbortSignal): Promise<void> => {
  const listening = new AbortController()
  const stop = () => listening.abort()
  signal.addEventListener("abort", stop)
  // A timer of the browser's: this page runs without Effect, and has no clock of its own.
  let alarm = setTimeout(stop, PATIENCE_MS)
  try {
    await listen(onTick, listening.signal, () => {
      clearTimeout(alarm)
      alarm = setTimeout(stop, PATIENCE_MS)
    })
  } catch (error) {
    throw listening.signal.aborted ? new Refused(0, "The server is silent.") : error
  } finally {
    clearTimeout(alarm)
    signal.removeEventListener("abort", stop)
  }
}
