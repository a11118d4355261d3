/** The binary, with its runtime counted. */
import { countRuntime } from "./countRuntime.js"

countRuntime()
await import("../../../src/cli/bin.js")
