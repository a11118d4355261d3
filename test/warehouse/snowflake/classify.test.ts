import { Cause, Exit, Option } from "effect"
import { describe, expect, it } from "vitest"
import { decide } from "../../../src/guard/RetryPolicy.js"
import { verdict, verdicts } from "../../../src/guard/Verdict.js"
import type { Reason } from "../../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../../src/warehouse/Warehouse.js"
import type { Phase } from "../../../src/warehouse/snowflake/classify.js"
import { classify, gist, isDefect } from "../../../src/warehouse/snowflake/classify.js"
import { failed } from "../../../src/warehouse/snowflake/session.js"

const server = (code: string, sqlState?: string, message = "no") => ({
  name: "OperationFailedError",
  code,
  message,
  ...(sqlState === undefined ? {} : { sqlState }),
  data: { queryId: "01b2" }
})
const network = (code: string, name = "Error") => ({
  name: "NetworkError",
  code: 401001,
  message: `connect ${code} 10.1.2.3:443`,
  cause: { name, code }
})
const http = (status: number, headers = {}) => ({
  name: "RequestFailedError",
  code: 401002,
  message: "Request to Snowflake failed.",
  response: { statusCode: status, headers, body: "<html>secret</html>" }
})

type Case = readonly [
  what: string,
  thrown: unknown,
  phase: Phase,
  reason: Reason,
  sent: "no" | "yes" | "unknown"
]

const cases: ReadonlyArray<Case> = [
  ["syntax", server("001003", "42000"), "execute", "InvalidStatement", "yes"],
  ["unknown column", server("000904", "42000"), "execute", "InvalidStatement", "yes"],
  ["unknown function", server("002140", "42601"), "execute", "InvalidStatement", "yes"],
  ["a number that is none", server("100038", "22018"), "execute", "InvalidStatement", "yes"],
  ["division by zero", server("100051", "22012"), "execute", "InvalidStatement", "yes"],
  ["several statements", server("000008", "0A000"), "execute", "InvalidStatement", "yes"],
  [
    "a code nobody knows with a SQLSTATE of syntax",
    server("009999", "42601"),
    "execute",
    "InvalidStatement",
    "yes"
  ],
  ["unknown object", server("002003", "42S02"), "execute", "NotFound", "yes"],
  ["unknown database", server("002043", "02000"), "execute", "NotFound", "yes"],
  ["no privilege", server("003001", "42501"), "execute", "Permission", "yes"],
  ["out of its time", server("000630", "57014"), "execute", "StatementTimeout", "yes"],
  ["cancelled", server("000604", "57014"), "execute", "Cancelled", "yes"],
  ["a result that is gone", server("000709", "02000"), "execute", "ResultExpired", "yes"],
  ["no active warehouse", server("000606", "57P03"), "execute", "Unavailable", "yes"],
  ["suspended warehouse", server("000608", "57014"), "execute", "Unavailable", "yes"],
  [
    "resource monitor, under a SQLSTATE of mistakes",
    server("090073", "22000"),
    "execute",
    "Unavailable",
    "yes"
  ],
  ["trial over", server("390913"), "execute", "Unavailable", "yes"],
  [
    "queued too long",
    server("000630", "57014", "reached its queued timeout of 5 second(s)"),
    "execute",
    "Overloaded",
    "yes"
  ],
  ["internal error", server("000603", "XX000"), "execute", "ServerFault", "yes"],
  ["internal incident", server("300002"), "execute", "ServerFault", "yes"],
  ["internal error without a code we know", server("370001"), "execute", "ServerFault", "yes"],
  ["token expired", server("390112"), "execute", "SessionLost", "no"],
  ["session gone", server("390111"), "execute", "SessionLost", "no"],
  [
    "driver says disconnected",
    { name: "ClientError", code: 407002, isFatal: true },
    "execute",
    "SessionLost",
    "no"
  ],
  ["invalid token by HTTP", { name: "RequestFailedError", code: 401004 }, "execute", "SessionLost", "no"],
  ["too many statements of the user", server("000610", "57014"), "execute", "Overloaded", "yes"],
  ["too many that wait for a lock", server("000625", "57014"), "execute", "Overloaded", "yes"],
  [
    "a queue that is full",
    server("000699", "57014", "Too many queued statements"),
    "execute",
    "Overloaded",
    "yes"
  ],
  [
    "a service that takes no more",
    server("000603", "XX000", "Exceeded maximum number of inbound queries allowed for this instance: 36"),
    "execute",
    "Overloaded",
    "yes"
  ],
  ["too few resources", server("009999", "53200"), "execute", "Overloaded", "yes"],
  ["a result that is not there yet", server("000612", "02000"), "execute", "ServerFault", "yes"],
  ["a session that is closing", server("000607", "57014"), "execute", "ServerFault", "yes"],
  ["an unknown trouble of the service", server("000688"), "execute", "ServerFault", "yes"],
  [
    "a statement that speaks of queues",
    server("001003", "42000", "unexpected 'too many queued statements'"),
    "execute",
    "InvalidStatement",
    "yes"
  ],
  ["an ID token that has expired", server("390110", "08001"), "execute", "SessionLost", "no"],
  ["no master token", server("390113"), "execute", "SessionLost", "no"],
  ["a master token that is wrong", server("390115"), "execute", "SessionLost", "no"],
  ["an ID token that is wrong", server("390195", "08001"), "execute", "SessionLost", "no"],
  ["a session refused in an unknown way", server("390987"), "execute", "SessionLost", "no"],
  ["an address that is not let in any more", server("390422"), "execute", "Configuration", "yes"],
  ["a key pair that is refused in detail", server("394304", "08001"), "login", "Authentication", "no"],
  ["no workload identity", server("394633", "08001"), "login", "Authentication", "no"],
  ["an authentication policy", server("390511"), "login", "Authentication", "no"],
  ["a login refused in an unknown way", server("399999", "08001"), "login", "Authentication", "no"],
  ["a login that the service cannot take", server("300002", "XX000"), "login", "ServerFault", "no"],
  ["too many logins", server("390429"), "login", "LoginUnavailable", "no"],
  ["a proxy that asks for a password", http(407), "login", "Configuration", "no"],
  ["a proxy that asks for a password later", http(407), "execute", "Configuration", "no"],
  [
    "a proxy that is dead",
    { name: "NetworkError", cause: { code: "ECONNREFUSED", proxy: "HTTPS_PROXY" } },
    "execute",
    "Unreachable",
    "no"
  ],
  ["HTTP 403", http(403), "execute", "Configuration", "no"],
  ["wrong password", server("390100"), "login", "Authentication", "no"],
  ["wrong key", server("390144"), "login", "Authentication", "no"],
  ["expired OAuth token", server("390318"), "login", "Authentication", "no"],
  ["second factor", server("394507"), "login", "Authentication", "no"],
  ["no such role", server("390189"), "login", "Configuration", "no"],
  ["network policy", server("390422"), "login", "Configuration", "no"],
  ["no such object at login", server("002043", "02000"), "login", "Configuration", "no"],
  ["refused", network("ECONNREFUSED"), "execute", "Unreachable", "no"],
  ["reset", network("ECONNRESET"), "execute", "Unreachable", "unknown"],
  ["reset while logging in", network("ECONNRESET"), "login", "Unreachable", "no"],
  ["reset while reading rows", network("ECONNRESET"), "fetch", "Unreachable", "yes"],
  ["no answer", network("ECONNABORTED", "AxiosError"), "execute", "Unreachable", "unknown"],
  ["no such host", network("ENOTFOUND"), "login", "Unreachable", "no"],
  ["our own abort", network("ERR_CANCELED", "CanceledError"), "execute", "Cancelled", "unknown"],
  ["certificate", network("CERT_HAS_EXPIRED"), "login", "Configuration", "no"],
  ["self-signed", network("SELF_SIGNED_CERT_IN_CHAIN"), "execute", "Configuration", "no"],
  ["broken JSON", network("", "SyntaxError"), "execute", "Protocol", "unknown"],
  ["no data", network("", "TypeError"), "execute", "Protocol", "unknown"],
  [
    "a page instead of an answer",
    { name: "OperationFailedError", message: "" },
    "execute",
    "Protocol",
    "unknown"
  ],
  ["HTTP 429", http(429, { "retry-after": "7" }), "execute", "Overloaded", "no"],
  ["HTTP 503", http(503), "execute", "Unreachable", "unknown"],
  ["HTTP 503 at login", http(503), "login", "Unreachable", "no"],
  ["HTTP 403 at login", http(403), "login", "Configuration", "no"],
  ["HTTP 404 at login", http(404), "login", "Configuration", "no"],
  ["HTTP 401 at login", http(401), "login", "Authentication", "no"],
  ["HTTP 400", http(400), "execute", "Protocol", "unknown"],
  [
    "a part that is gone",
    { ...http(403), name: "LargeResultSetError", code: 402002 },
    "fetch",
    "Unreachable",
    "yes"
  ],
  [
    "options",
    { name: "MissingParameterError", code: 404002, message: "A user name must be specified." },
    "login",
    "Configuration",
    "no"
  ],
  ["the driver's own file", { name: "ClientError", code: 405505 }, "login", "Configuration", "no"],
  ["no key file", { name: "Error", code: "ENOENT" }, "login", "Configuration", "no"],
  ["passphrase", { name: "Error", code: "ERR_OSSL_BAD_DECRYPT" }, "login", "Authentication", "no"],
  ["identity provider down", { name: "AxiosError", code: "ECONNREFUSED" }, "login", "Unreachable", "no"],
  ["an error of no kind", new Error("boom"), "execute", "Unknown", "unknown"],
  ["nothing at all", undefined, "execute", "Unknown", "unknown"],
  ["a text", "boom", "fetch", "Unknown", "yes"]
]

describe("what the driver throws", () => {
  it.each(cases)("%s", (_, thrown, phase, reason, sent) => {
    const failure = classify(thrown, phase)
    expect([failure.reason, failure.sent]).toEqual([reason, sent])
    expect(failure.description).toMatch(/^\S.*[.!?…]$/)
    expect(JSON.stringify(failure)).not.toMatch(/10\.1\.2\.3|secret/)
  })

  it("is known not to have run where the server refuses before it runs a statement", () => {
    const ranOf = (code: string, sqlState?: string, message?: string) => {
      const { ran, sent } = classify(server(code, sqlState, message), "execute")
      return [sent, ran]
    }
    // No warehouse, a stopped one, a resource monitor, the end of a trial.
    for (const [code, sqlState] of [
      ["000606", "57P03"],
      ["000608", "57014"],
      ["090073", "22000"],
      ["390913", undefined],
      ["000610", undefined]
    ] as const)
      expect([code, ...ranOf(code, sqlState)]).toEqual([
        code,
        code === "390913" ? ranOf(code)[0] : "yes",
        false
      ])
    // Compilation and privileges.
    for (const [code, sqlState] of [
      ["001003", "42000"],
      ["000904", "42000"],
      ["002140", "42601"],
      ["002003", "42S02"],
      ["003001", "42501"],
      ["009999", "42601"]
    ] as const)
      expect([code, ...ranOf(code, sqlState)]).toEqual([code, "yes", false])
    // Found while rows were read.
    for (const [code, sqlState] of [
      ["100038", "22018"],
      ["100051", "22012"],
      ["000630", "57014"]
    ] as const)
      expect([code, ...ranOf(code, sqlState)]).toEqual([code, "yes", true])
    // Not told.
    for (const code of ["000603", "000604", "000625"])
      expect([code, ranOf(code)[1]]).toEqual([code, undefined])
  })

  it("trips the breaker and is tried again only where the warehouse is at fault", () => {
    for (const [what, thrown, phase, reason] of cases) {
      const retried = decide(new WarehouseError({ ...classify(thrown, phase) }))._tag === "Retry"
      const mistake = /^(InvalidStatement|NotFound|Permission)$/.test(reason)
      expect([what, verdicts[reason] === "alive", retried && mistake]).toEqual([
        what,
        mistake || reason === "ResultExpired",
        false
      ])
    }
  })

  it("never reads a fault of the way as a mistake in the SQL, whatever the code", () => {
    for (let status = 400; status < 600; status++) {
      for (const phase of ["login", "execute", "fetch"] as const) {
        expect(classify(http(status), phase).reason).not.toMatch(/^(InvalidStatement|NotFound|Permission)$/)
      }
    }
  })

  it("tries a request again that was refused on the way, as other drivers do, and advises about a proxy", () => {
    for (const phase of ["login", "execute"] as const) {
      const refused = new WarehouseError({ ...classify(http(403), phase) })
      expect(decide(refused)).toMatchObject({ _tag: "Retry", preset: "connection" })
      expect(verdicts[refused.reason]).toBe("ignored")
      expect(decide(new WarehouseError({ ...classify(http(404), "login") }))._tag).toBe("No")
      expect(classify(http(407), phase).description).toMatch(/HTTPS_PROXY/)
    }
    const dead = classify(
      { name: "NetworkError", cause: { code: "ECONNREFUSED", proxy: "HTTPS_PROXY" } },
      "login"
    )
    expect(dead.description).toMatch(/proxy that HTTPS_PROXY names/)
    expect(dead.description).not.toMatch(/account/)
  })

  it("passes on how long the server wants to be left alone", () => {
    expect(classify(http(429, { "retry-after": "7" }), "execute").retryAfterMs).toBe(7_000)
    expect(classify(http(503, { "retry-after": "nonsense" }), "execute").retryAfterMs).toBeUndefined()
  })

  it("keeps what the server says, on one line, without its headings", () => {
    expect(gist("SQL compilation error:\nObject 'X' does not exist\nor not authorized")).toBe(
      "Object 'X' does not exist or not authorized."
    )
    expect(gist(`a\u001b[31m${"x".repeat(5_000)}`).length).toBeLessThan(620)
    for (const start of ["", "a"]) {
      const cut = gist(start + "😀".repeat(1_000))
      expect(Buffer.from(cut).toString()).toBe(cut)
    }
    expect(classify(server("002003", "42S02"), "execute")).toMatchObject({ code: "002003", queryId: "01b2" })
  })

  it("tells a mistake in the driver or in us from everything that was answered", () => {
    const network = (cause: object) => ({ name: "NetworkError", code: 401001, cause })
    const broken = [
      new TypeError("mapColumnNameToIndices[column.getName(...)].push is not a function"),
      new RangeError("Invalid string length"),
      network(new TypeError("Cannot read properties of undefined")),
      network({ name: "InternalAssertError", code: 400001 })
    ]
    for (const thrown of broken) {
      expect(isDefect(thrown)).toBe(true)
      expect(Option.map(Exit.causeOption(failed(thrown, "execute")), Cause.isDie)).toEqual(Option.some(true))
      expect(verdict(failed(thrown, "execute"))).toBe("ignored")
    }
    const answered = [
      server("000603", "XX000"),
      http(503),
      network({ code: "ECONNRESET" }),
      network(new SyntaxError("x"))
    ]
    for (const thrown of answered) {
      expect(isDefect(thrown)).toBe(false)
      expect(Option.map(Exit.causeOption(failed(thrown, "execute")), Cause.isDie)).toEqual(Option.some(false))
    }
  })
})
