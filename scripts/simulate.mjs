// Runs the simulation of `test/simulation` outside of the test runner.
import { run } from "./bundled.mjs"

// Calls are born and die by the thousand: with more room for the young, fewer of them are moved.
await run("test/simulation/cli.ts", { flags: ["--max-semi-space-size=64"] })
