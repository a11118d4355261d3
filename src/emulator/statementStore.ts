/**
 * The statements that are remembered: by their id, and by the request that submitted them.
 *
 * Invariants: what has not ended is never forgotten; what has ended is, oldest first, when there are too
 * many or when their results take too much room.
 *
 * @since 0.1.0
 */
import { weight } from "./results.js"
import type { Session } from "./sessions.js"
import type { Statement } from "./statement.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface StatementStore {
  readonly add: (statement: Statement) => void
  /** To be told when a statement has ended. */
  readonly ended: (statement: Statement) => void
  readonly byQuery: (queryId: string) => Statement | undefined
  readonly byRequest: (session: Session, requestId: string | undefined) => Statement | undefined
  /** Oldest first. */
  readonly all: () => ReadonlyArray<Statement>
  readonly clear: () => void
}

const requestKey = (session: Session, requestId: string): string => `${session.id} ${requestId}`

const bytesOf = ({ result }: Statement): number => (result?._tag === "Rows" ? weight(result) : 0)

/**
 * Keeps at most so many statements, and results of so many bytes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (keep: number, keepBytes: number): StatementStore => {
  const statements = new Map<string, Statement>()
  const requests = new Map<string, Statement>()
  let bytes = 0

  const drop = (statement: Statement) => {
    bytes -= bytesOf(statement)
    statements.delete(statement.queryId)
    if (statement.requestId !== undefined) requests.delete(requestKey(statement.session, statement.requestId))
  }

  return {
    add: (statement) => {
      statements.set(statement.queryId, statement)
      if (statement.requestId !== undefined) {
        requests.set(requestKey(statement.session, statement.requestId), statement)
      }
    },
    ended: (latest) => {
      // Forgotten while it ran.
      if (!statements.has(latest.queryId)) return
      bytes += bytesOf(latest)
      for (const statement of statements.values()) {
        if (statements.size <= keep && bytes <= keepBytes) return
        // Its client has not read it yet.
        if (statement.endedAt !== undefined && statement !== latest) drop(statement)
      }
    },
    byQuery: (queryId) => statements.get(queryId),
    byRequest: (session, requestId) =>
      requestId === undefined ? undefined : requests.get(requestKey(session, requestId)),
    all: () => [...statements.values()],
    clear: () => {
      statements.clear()
      requests.clear()
      bytes = 0
    }
  }
}
