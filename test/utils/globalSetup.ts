import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { spawnSync } from "node:child_process"

const root = fileURLToPath(new URL("../..", import.meta.url))

const newest = (folder: string): number =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0)

/**
 * Tests spawn the built binary: a bundle older than src/ would test yesterday's code. The library is built by those
 * who test the package, when they pack it.
 */
const build = () => {
  const bin = join(root, "dist/bin.js")
  if (existsSync(bin) && statSync(bin).mtimeMs >= newest(join(root, "src"))) return
  const built = spawnSync(process.execPath, [join(root, "scripts/build.mjs"), "--bundle-only"], {
    cwd: root,
    stdio: "inherit"
  })
  if (built.status !== 0) throw new Error("dist/ is older than src/ and could not be built")
}

/** Whatever tests and the processes they kill leave in the directory for temporary files is gone with the run. */
export default function setup() {
  build()
  const folder = mkdtempSync(join(tmpdir(), "snowguard-test-"))
  process.env["TMPDIR"] = folder
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}
