// Packages that a script tries or measures against and that are no dependencies: installed by npm, when the
// script is run, into a folder of their own.
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** Milliseconds that an installation may take. */
const installMs = 600_000

/** The package.json of a package that is installed in the folder. */
export const manifest = (folder, name) =>
  JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8"))

/** Installs `packages` (version by name) into the folder, if they are not there. */
export const install = (folder, packages) => {
  const has = ([name, version]) => {
    try {
      return manifest(folder, name).version === version
    } catch {
      return false
    }
  }
  if (Object.entries(packages).every(has)) return
  process.stderr.write(`installing ${Object.entries(packages).map((one) => one.join("@"))}\n`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: packages }))
  const npm = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
  const { status, stderr } = spawnSync("npm", npm, { cwd: folder, encoding: "utf8", timeout: installMs })
  if (status !== 0) throw new Error(`npm install in ${folder} ended with ${status}: ${stderr}`)
}

/** The Node.js for a package that asks for this major: this one, or a newer one that is installed below `dir`. */
export const nodeFor = (dir, major) => {
  if (major === undefined || major <= Number(process.versions.node.split(".")[0])) {
    return { program: process.execPath, version: process.versions.node }
  }
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(dir, "node")
  install(folder, { [name]: "24.22.3" })
  return {
    program: join(folder, "node_modules", name, "bin", "node"),
    version: manifest(folder, name).version
  }
}
