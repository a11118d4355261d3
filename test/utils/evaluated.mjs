// Loaded into the binary (node --import): which functions of its bundle ran, written to EVALUATED_TO when it ends. The
// modules of a bundle are functions that run when the module is loaded.
import { writeFileSync } from "node:fs"
import { Session } from "node:inspector"

const session = new Session()
session.connect()
session.post("Profiler.enable")
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false })
process.once("exit", () =>
  session.post("Profiler.takePreciseCoverage", (_, { result }) => {
    const bundle = result.find(({ url }) => /\/bundle\/snowguard-[^/]*\.cjs$/.test(url))
    const functions = bundle.functions.map(({ ranges: [range] }) => range)
    writeFileSync(process.env.EVALUATED_TO, JSON.stringify({ path: bundle.url, functions }))
  })
)
