// Kills processes that share a quota store and counts what is lost; or counts what many processes are let
// through of one limit.
//   npm run torture:quota -- [--rounds 100] [--store sqlite|redis] [--processes 4]
//   npm run torture:quota -- --exact [--trials 100] [--processes 10]
import { run } from "./bundled.mjs"

await run("test/torture/cli.ts", { bundle: { external: ["@photostructure/sqlite", "esbuild"] } })
