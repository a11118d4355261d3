/** What only the start of the server can find out about its settings. */
import { ConfigFaults } from "../ServerConfig.js"

const startFault = (key: string, message: string) =>
  new ConfigFaults({ faults: [{ key, source: "file", message }] })

/** From what a layer fails with to the setting that is to blame. */
export const startFaults = {
  AuthMisconfigured: ({ description, key }: { readonly key: string; readonly description: string }) =>
    startFault(key, description),
  AuditError: ({ description, path }: { readonly path: string; readonly description: string }) =>
    startFault("audit.file", `${path} ${description}`),
  KeysFileError: ({ message }: { readonly message: string }) => startFault("auth.keys_file", message),
  ServeError: ({ cause }: { readonly cause: unknown }) =>
    startFault(
      "http.port",
      `cannot listen: ${cause instanceof Error ? cause.message : "the address is not available"}`
    )
}
