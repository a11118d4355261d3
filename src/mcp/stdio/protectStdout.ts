// Imported before everything else by the binary: a library that logs to the console while it loads
// would otherwise write into the protocol.
import { consoleToStderr } from "./consoleToStderr.js"

consoleToStderr()
