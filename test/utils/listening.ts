import { Effect } from "effect"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"

/** Lets the server listen on a free port of this machine, until the scope is closed. Its address. */
export const listening = (server: Server) =>
  Effect.acquireRelease(
    Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.async<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  ).pipe(Effect.map(() => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))
