import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

it("the documentation names the versions that the script pins", () => {
  const script = readFileSync(`${root}scripts/clients.mjs`, "utf8")
  const page = readFileSync(`${root}docs/measured.md`, "utf8")
  const pins = [...script.matchAll(/"?([@\w/-]+)"?: "(\d+\.\d+\.\d+)"/g)].map(([, name, pin]) => ({
    name,
    pin
  }))
  assert.isAbove(pins.length, 9)
  for (const { name, pin } of pins) {
    assert.match(page, new RegExp(`\\| ${name}(, \\w+)? \\| ${pin} \\|`))
  }
})
