// What clients of the two eras say of themselves: the 2025 era once, in `initialize`; the 2026 era in each request.

/** The parameters of `initialize`. */
export const initialize = (name) => ({
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name, version: "1" }
})

/** `_meta` of a request. */
export const envelope = (name) => ({
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name, version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {}
})
