/**
 * Builds an error that carries no stack trace. A refusal is an answer, not an accident: where it was
 * raised is always the same line, and taking the trace costs ten times the decision itself.
 */
export const withoutStack = <A>(build: () => A): A => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return build()
  } finally {
    Error.stackTraceLimit = limit
  }
}
