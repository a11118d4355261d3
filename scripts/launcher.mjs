#!/usr/bin/env node
// Becomes dist/bin.js and dist/embedded.js: runs the bundle beside it with V8's code cache, which was made when the bundle
// was built. Compiling the bundle anew at each start would take longer than all else it does. A cache
// of another V8 is refused by V8 itself, and the bundle is compiled as usual. The bundle is one function
// of what a module is given, so that nothing has to be put together here.
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import vm from "node:vm"

const bundle = "@bundle@"
const filename = fileURLToPath(new URL(`./bundle/${bundle}.cjs`, import.meta.url))
const read = (file) => {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
const script = new vm.Script(readFileSync(filename, "utf8"), {
  filename,
  cachedData: read(`${filename}.cache`)
})
const module = { exports: {} }
script.runInThisContext()(module.exports, createRequire(filename), module, filename, dirname(filename))

// Only the build asks for it, once, when what a start needs has been compiled.
if (process.env.WRITE_SNOWGUARD_CODE_CACHE === bundle) {
  const { writeFileSync } = await import("node:fs")
  process.once("exit", () => writeFileSync(`${filename}.cache`, script.createCachedData()))
}
