/**
 * What each public module costs who imports it, by `npm run subpaths`:
 *
 *  - `modules`: how many are loaded with it, those of `effect` and other packages among them;
 *  - `bundle`: KiB of one file with all that it exports and all that it loads at once; `gzip`: minified and compressed;
 *  - `import`: milliseconds in a fresh process, median; the first row is `import "effect"` itself;
 *  - the packages that it reaches beside `effect`: at once, and in brackets when they are used.
 */
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { parseArgs } from "node:util"
import { gzipSync } from "node:zlib"
import { publicModules, reached } from "../utils/reached.js"

const { positionals, values } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: { rounds: { type: "string", default: "5" } }
})
const rounds = Number(values.rounds)

const node = (...args: ReadonlyArray<string>): string => {
  const { status, stderr, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** The specifier is resolved from the root: the package finds itself by its own name. */
const importMs = (specifier: string): number =>
  Number(
    node(
      "--input-type=module",
      "--eval",
      `const begun = performance.now()
await import(${JSON.stringify(specifier)})
const took = performance.now() - begun
process.stdout.write(String(took), () => process.exit(0))`
    )
  )

/** Modules that node loads: ES modules by a hook, CommonJS by its cache. */
const loadedModules = (specifier: string): number => {
  const hook = `let seen = 0
export const initialize = ({ port }) => port.on("message", () => port.postMessage(seen))
export const load = (url, context, next) => {
  if (!url.startsWith("node:")) seen += 1
  return next(url, context)
}`
  return Number(
    node(
      "--input-type=module",
      "--eval",
      `import { createRequire, register } from "node:module"
const { port1, port2 } = new MessageChannel()
register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)}, {
  data: { port: port2 },
  transferList: [port2]
})
await import(${JSON.stringify(specifier)})
port1.once("message", (seen) => process.stdout.write(String(seen), () => process.exit(0)))
port1.postMessage("how many")`
    )
  )
}

/** Bytes of what is loaded at once: what is imported later is in files of its own. */
const bundled = async (specifier: string, minify: boolean): Promise<ReadonlyArray<Uint8Array>> => {
  const { metafile, outputFiles } = await build({
    stdin: {
      contents: `export * from ${JSON.stringify(specifier)}`,
      resolveDir: process.cwd(),
      sourcefile: "entry.js"
    },
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    outdir: "out",
    format: "esm",
    platform: "node",
    minify,
    loader: { ".node": "empty" },
    logLevel: "error"
  })
  const files = new Map(
    outputFiles.map(({ contents, path }) => [path.replace(/^.*\/out\//, "out/"), contents])
  )
  const seen = new Set<string>()
  const walk = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    for (const { kind, path: target } of metafile.outputs[path]?.imports ?? []) {
      if (kind === "import-statement" && files.has(target)) walk(target)
    }
  }
  walk("out/stdin.js")
  return [...seen].map((path) => files.get(path) ?? new Uint8Array())
}

const kib = (files: ReadonlyArray<Uint8Array>): string =>
  (files.reduce((sum, { length }) => sum + length, 0) / 1024).toFixed(0)

const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

const packages = await reached()
const wanted = publicModules
  .map(([subpath]) => subpath)
  .filter((subpath) => positionals.length === 0 || positionals.includes(subpath))
const rows = [
  { name: "effect", specifier: "effect", beside: "" },
  ...wanted.map((subpath) => {
    const { lazily = [], packages: once = [] } = packages.get(subpath) ?? {}
    const others = once.filter((name) => name !== "effect")
    return {
      name: subpath,
      specifier: subpath === "." ? "snowguard" : `snowguard/${subpath}`,
      beside: [...others, ...(lazily.length === 0 ? [] : [`(${lazily.join(" ")})`])].join(" ")
    }
  })
]
const times = new Map(rows.map(({ specifier }) => [specifier, new Array<number>()]))
for (let round = 0; round < rounds; round++) {
  for (const [specifier, each] of times) each.push(importMs(specifier))
}
const line = (...cells: ReadonlyArray<string>) => {
  const [name = "", modules = "", bundle = "", gzip = "", ms = "", beside = ""] = cells
  console.log(
    `${name.padEnd(24)}${modules.padStart(8)}${bundle.padStart(9)}${gzip.padStart(8)}${ms.padStart(8)}  ${beside}`.trimEnd()
  )
}
line("module", "modules", "bundle", "gzip", "import", "packages beside effect (when used)")
for (const { beside, name, specifier } of rows) {
  const small = (await bundled(specifier, true)).map((file) => gzipSync(file))
  line(
    name,
    String(loadedModules(specifier)),
    `${kib(await bundled(specifier, false))} K`,
    `${kib(small)} K`,
    `${median(times.get(specifier) ?? []).toFixed(0)} ms`,
    beside
  )
}
