/** What only the start of the server can find out about its settings. */
import { ConfigFaults } from "../config/ServerConfig.js"
import { codeOf } from "../platform/fileReasons.js"

const startFault = (key: string, message: string) =>
  new ConfigFaults({ faults: [{ key, source: "file", message }] })

/** Why there is no listening, and the setting that would change it. */
const listening: { readonly [code: string]: { readonly key: string; readonly what: string } } = {
  EADDRINUSE: {
    key: "http.port",
    what: "another program does; stop it, or choose another port (--port; 0 takes any free one)"
  },
  EACCES: { key: "http.port", what: "permission denied; choose a port above 1023" },
  EADDRNOTAVAIL: { key: "http.host", what: "this machine has no such address" },
  ENOTFOUND: { key: "http.host", what: "there is no such host" },
  EAI_AGAIN: { key: "http.host", what: "the host's name cannot be looked up" }
}

const addressOf = (cause: unknown): string | undefined => {
  if (typeof cause !== "object" || cause === null) return undefined
  if ("address" in cause && "port" in cause) return `${String(cause.address)}:${String(cause.port)}`
  return "hostname" in cause ? String(cause.hostname) : undefined
}

/** From what a layer fails with to the setting that is to blame. */
export const startFaults = {
  AuthMisconfigured: ({ description, key }: { readonly key: string; readonly description: string }) =>
    startFault(key, description),
  AuditError: ({ description, path }: { readonly path: string; readonly description: string }) =>
    startFault("audit.file", `${path} ${description}`),
  KeysFileError: ({ message }: { readonly message: string }) => startFault("auth.keys_file", message),
  ServeError: ({ cause }: { readonly cause: unknown }) => {
    const code = codeOf(cause)
    const { key, what } = listening[code] ?? { key: "http.port", what: code }
    const where = addressOf(cause)
    return startFault(key, `cannot listen${where === undefined ? "" : ` on ${where}`}: ${what}`)
  }
}
