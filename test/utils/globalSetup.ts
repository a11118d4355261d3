import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { spawnSync } from "node:child_process"

const root = fileURLToPath(new URL("../..", import.meta.url))

const newest = (folder: string): number =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0)

/** Tests spawn the built binary: a dist/ older than src/ would test yesterday's code. */
export default function setup() {
  const bin = join(root, "dist/bin.js")
  if (existsSync(bin) && statSync(bin).mtimeMs >= newest(join(root, "src"))) return
  const build = spawnSync(process.execPath, [join(root, "scripts/build.mjs")], {
    cwd: root,
    stdio: "inherit"
  })
  if (build.status !== 0) throw new Error("dist/ is older than src/ and could not be built")
}
