/**
 * Requests for a tool that never become a call: of a tool there is not, or with what is no request at all. They
 * are written down and counted like the others.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Audit } from "../observe/Audit.js"
import type { Principal } from "../platform/Principal.js"
import * as Telemetry from "../observe/Telemetry.js"
import { quoted } from "../platform/quoted.js"

/** Stands for every name that is no tool's: a client must not make labels, nor forge what an operator did. */
const NO_TOOL = "(unknown)"

/** Characters of such a name that are written down. */
const MAX_NAME = 64

export const make =
  (audit: Context.Tag.Service<Audit>, isTool: (name: string) => boolean) =>
  (
    name: string,
    decision: "UNKNOWN_TOOL" | "INVALID_PARAMS",
    { client, tier }: Principal
  ): Effect.Effect<void> => {
    const isKnown = isTool(name)
    const tool = isKnown ? name : NO_TOOL
    Telemetry.recordCall({ tool, tier, outcome: decision, ms: 0 })
    const asked = isKnown || name === "" ? undefined : quoted(name, MAX_NAME)
    return audit.record({ client, tier, tool, asked, decision, ms: 0 })
  }
