/** The documentation: what it names exists. `commands.test.ts` runs what it says to type. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, test } from "vitest"
import { codes } from "../../src/observe/Activity.js"
import { faults } from "./check.js"
import { root } from "./pages.js"

test("the documentation names what exists: links, anchors, settings, variables, metrics, files, commands", () => {
  assert.deepStrictEqual(faults(), [])
})

test("the table for 3 am has a row for every code that a client can get", () => {
  const page = readFileSync(join(root, "docs/operating.md"), "utf8")
  const [, section = ""] = page.split("## At 3 am\n")
  const rows = section.split("\n## ")[0]?.match(/^\| [^|]+ \|/gm) ?? []
  const missing = Object.keys(codes).filter((code) => !rows.some((row) => row.includes(`\`${code}\``)))
  assert.deepStrictEqual(missing, [])
})
