/** A report as the result of a call, and back. */
import * as Schema from "effect/Schema"
import * as ErrorReport from "./ErrorReport.js"
import { ran, retry, wait } from "./ErrorReport.js"

export const errorResult = (report: ErrorReport.ErrorReport) => ({
  isError: true,
  content: [{ type: "text" as const, text: report.message }],
  _meta: { [ErrorReport.metaKey]: report }
})

const isReport = Schema.is(ErrorReport.ErrorReport)

export const reportOf = (result: {
  readonly _meta?: { readonly [key: string]: unknown } | undefined
}): ErrorReport.ErrorReport | undefined => {
  const report = result._meta?.[ErrorReport.metaKey]
  return isReport(report) ? report : undefined
}

/** How long until another server is there: a guess, and longer than this one takes to end. */
const RESTART_MS = 10_000

/** The server stopped before the call had ended. `sent`: its statement may have reached the warehouse. */
export const shuttingDown = (sent: boolean, now: number): ErrorReport.ErrorReport => ({
  code: "SHUTTING_DOWN",
  message:
    `SHUTTING_DOWN: the server is shutting down and could not wait for this call to end. ` +
    // Told before it is done: the caller may be gone by then.
    `${sent ? "The statement was sent and is being cancelled." : ran(false)} ` +
    `Open a new session. ${wait(RESTART_MS, now)}`,
  ...retry(RESTART_MS, now),
  sideEffects: sent ? "unknown" : "none"
})
