/**
 * The protocol without an SDK: messages, transports, and what a connection asks of the server behind it.
 *
 * ```
 *   transport <--> Sdk1 (revisions to 2025-11-25)  --.
 *                                                    |--> Handlers (McpServer)
 *   transport <--> Sdk2 (revision 2026-07-28)      --'
 * ```
 *
 * An era is a family of revisions that share their rules for connections: the 2025 era has a handshake and sessions,
 * in the 2026 era every request says by itself in its `_meta` which revision it is of.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export type Era = "2025" | "2026"

/** Revisions of the 2025 era, the newest first. */
export const legacyRevisions: ReadonlyArray<string> = [
  ...["2025-11-25", "2025-06-18", "2025-03-26"],
  ...["2024-11-05", "2024-10-07"]
]

/** Revisions of the 2026 era, the newest first. */
export const modernRevisions: ReadonlyArray<string> = ["2026-07-28"]

/** The member of `_meta` by which a request says which revision it is of. */
export const REVISION_KEY = "io.modelcontextprotocol/protocolVersion"

/** Does it name a revision of the 2026 era, or a later one? */
export const isModern = (revision: unknown): boolean =>
  typeof revision === "string" && /^\d{4}-\d\d-\d\d$/.test(revision) && revision >= "2026-07-28"

/**
 * @since 0.1.0
 * @category models
 */
export type RequestId = string | number

/**
 * @since 0.1.0
 * @category models
 */
export interface Params {
  readonly [name: string]: unknown
}

/**
 * @since 0.1.0
 * @category models
 */
export type Message =
  | {
      readonly jsonrpc: "2.0"
      readonly id: RequestId
      readonly method: string
      readonly params?: Params | undefined
    }
  | { readonly jsonrpc: "2.0"; readonly method: string; readonly params?: Params | undefined }
  | { readonly jsonrpc: "2.0"; readonly id: RequestId; readonly result: Params }
  | {
      readonly jsonrpc: "2.0"
      readonly id?: RequestId | undefined
      readonly error: { readonly code: number; readonly message: string; readonly data?: unknown }
    }

/**
 * The revision that a message says it is of; undefined when it says none. What is claimed may be anything.
 *
 * @since 0.1.0
 * @category getters
 */
export const claimOf = (message: Message): { readonly revision: unknown } | undefined => {
  const meta = "method" in message ? message.params?.["_meta"] : undefined
  return typeof meta === "object" && meta !== null && REVISION_KEY in meta
    ? { revision: meta[REVISION_KEY] }
    : undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SendOptions {
  /** The request that a notification belongs to; of none when absent. */
  readonly relatedRequestId?: RequestId | undefined
}

/** As a method, so that the transport of an SDK, which hands on its own messages alone, is one. */
interface Receive {
  receive(message: Message): void
}

/**
 * A transport as both SDKs know it; theirs are such ones.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transport {
  start(): Promise<void>
  send(message: Message, options?: SendOptions): Promise<void>
  close(): Promise<void>
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: Receive["receive"] | undefined
  sessionId?: string | undefined
}

/** What is thrown as the answer to a request: a plain object, because the SDKs' errors add words to the message. */
export interface Fault {
  readonly code: number
  readonly message: string
  readonly data?: { readonly [name: string]: unknown } | undefined
}

export const invalidParams = (message: string): Fault => ({ code: -32602, message })

/** What {@link Handlers.request} answers. */
export const methods: ReadonlySet<string> = new Set([
  ...["tools/list", "tools/call", "prompts/list", "prompts/get", "completion/complete"],
  ...["resources/list", "resources/templates/list", "resources/read"]
])

export const methodNotFound: Fault = { code: -32601, message: "Method not found" }

/** No member of the protocol: the JSON of a result's `structuredContent`, where its text is that already. */
export const structuredJson: unique symbol = Symbol("structuredJson")

/**
 * The result of a call.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolResult {
  readonly [structuredJson]?: string
  readonly content: ReadonlyArray<{ readonly type: "text"; readonly text: string }>
  readonly structuredContent?: { readonly [name: string]: unknown }
  readonly isError?: boolean
  readonly _meta?: { readonly [name: string]: unknown }
}

/** A request as it was asked. */
export interface Asked {
  readonly id: RequestId
  readonly meta: Params | undefined
  /** Aborted when the client cancels the request, or leaves. */
  readonly signal: AbortSignal
  /** Tells the client how far it is. */
  readonly progress: (params: {
    readonly progressToken: RequestId
    readonly progress: number
    readonly message: string
  }) => Promise<void>
}

/** The server behind a connection, the same for both eras. */
export interface Handlers {
  readonly info: { readonly name: string; readonly version: string }
  readonly instructions: string
  readonly capabilities: {
    readonly tools: { readonly listChanged?: true }
    readonly resources: { readonly listChanged?: true }
    readonly prompts: {}
    readonly completions: {}
  }
  /** Everything but the handshake and `ping`. Rejects with a {@link Fault}, or when the request was cancelled. */
  readonly request: (method: string, params: Params, asked: Asked) => Promise<object>
  readonly failed: (error: Error) => void
}

/**
 * What the server says without being asked: that a list is another one than it was. In the 2025 era alone: in the other
 * one a list says itself how long it may be kept.
 */
export type Notice = "notifications/tools/list_changed" | "notifications/resources/list_changed"

/** A transport that is bound to {@link Handlers}. */
export interface Bound {
  readonly close: () => Promise<void>
  /** Absent in an era that has no notices. */
  readonly notify?: (notice: Notice) => Promise<void>
}

/** What one SDK gives. */
export type Connect = (transport: Transport, handlers: Handlers) => Promise<Bound>
