// The conformance suite imports `globSync` of Node 22, for something that is not used here.
import { register } from "node:module"

const fs = `import fs from "node:fs"
export * from "node:fs"
export default fs
export const globSync = () => { throw new Error("globSync is not in this version of Node") }`

const resolve = `export const resolve = (specifier, context, next) =>
  /^(node:)?fs$/.test(specifier) && /@modelcontextprotocol.conformance/.test(context.parentURL ?? "")
    ? { url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(fs)}`)}, shortCircuit: true }
    : next(specifier, context)`

if (!("globSync" in (await import("node:fs")))) {
  register(`data:text/javascript,${encodeURIComponent(resolve)}`)
}
