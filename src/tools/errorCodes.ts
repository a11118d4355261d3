/** Under which code a failure is counted, logged and told. A new error does not compile until it has its code here. */
import type { Code } from "../observe/Activity.js"
import type { Reason, WarehouseError } from "../warehouse/Warehouse.js"
import type { RequestError } from "./Tool.js"

/** Of the warehouse: the code, and whether the same call may work later. */
export const warehouseCode: {
  readonly [R in Reason]: { readonly code: Code; readonly retryable: boolean }
} = {
  InvalidStatement: { code: "WAREHOUSE_INVALID_STATEMENT", retryable: false },
  NotFound: { code: "WAREHOUSE_NOT_FOUND", retryable: false },
  Permission: { code: "WAREHOUSE_PERMISSION", retryable: false },
  StatementTimeout: { code: "WAREHOUSE_STATEMENT_TIMEOUT", retryable: false },
  ResourcesExceeded: { code: "WAREHOUSE_RESOURCES_EXCEEDED", retryable: false },
  Cancelled: { code: "WAREHOUSE_CANCELLED", retryable: true },
  ResultExpired: { code: "WAREHOUSE_RESULT_EXPIRED", retryable: false },
  Authentication: { code: "WAREHOUSE_AUTHENTICATION", retryable: false },
  LoginUnavailable: { code: "WAREHOUSE_LOGIN_UNAVAILABLE", retryable: true },
  Configuration: { code: "WAREHOUSE_CONFIGURATION", retryable: false },
  Unavailable: { code: "WAREHOUSE_UNAVAILABLE", retryable: false },
  Overloaded: { code: "WAREHOUSE_OVERLOADED", retryable: true },
  SessionLost: { code: "WAREHOUSE_SESSION_LOST", retryable: true },
  Unreachable: { code: "WAREHOUSE_UNREACHABLE", retryable: true },
  Protocol: { code: "WAREHOUSE_PROTOCOL", retryable: true },
  ServerFault: { code: "WAREHOUSE_SERVER_FAULT", retryable: true },
  Unknown: { code: "WAREHOUSE_UNKNOWN", retryable: false }
}

/** May the same call work later? That a slow warehouse did not end a statement in time is not the statement's fault. */
export const mayWorkLater = ({ lateness, reason }: WarehouseError): boolean =>
  warehouseCode[reason].retryable || (reason === "StatementTimeout" && lateness?.fault === "warehouse")

/** Of our own. */
const codes: { readonly [T in Exclude<RequestError["_tag"], "WarehouseError" | "ToolError">]: Code } = {
  RateLimited: "RATE_LIMITED",
  Overloaded: "OVERLOADED",
  QuotaExceeded: "QUOTA_EXCEEDED",
  QuotaStoreError: "QUOTA_STORE_UNAVAILABLE",
  ScanBudgetExceeded: "SCAN_BUDGET_EXCEEDED",
  WarehouseSuspended: "WAREHOUSE_SUSPENDED",
  CircuitOpen: "CIRCUIT_OPEN",
  Degraded: "DEGRADED",
  DeadlineExceeded: "DEADLINE_EXCEEDED",
  RepeatedFailure: "REPEATED_FAILURE",
  StatementRejected: "STATEMENT_REJECTED",
  ToolDenied: "TOOL_DENIED"
}

/** A tool of your own may have codes that are not ours. */
export const codeOf = (error: RequestError): string =>
  error._tag === "WarehouseError"
    ? warehouseCode[error.reason].code
    : error._tag === "ToolError"
      ? error.code
      : codes[error._tag]
