// Runs the replay of simulated audit logs of `test/simulation` outside of the test runner.
import { run } from "./bundled.mjs"

await run("test/simulation/replayCli.ts", { flags: ["--max-semi-space-size=64"] })
