// Writes pictures of the status page in all its states into a folder: `node scripts/page-shots.mjs FOLDER`.
import { run } from "./bundled.mjs"

await run("test/dashboard/shots.ts", { bundle: { packages: "external" } })
