// Writes pictures of the status page in all its states into a folder: `node scripts/page-shots.mjs FOLDER`. Those
// that are named only: `node scripts/page-shots.mjs docs/images status` is the picture of the documentation.
import { run } from "./bundled.mjs"

await run("test/dashboard/shots.ts", { bundle: { packages: "external" } })
