import { assert, describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const here = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const rules = here("ops/prometheus-alerts.yml")

const hasPromtool = () => {
  if (spawnSync("promtool", ["--version"], { stdio: "ignore" }).status === 0) return true
  console.log(
    "skipped: promtool is not in PATH; install it (apt-get install prometheus, brew install prometheus)"
  )
  return false
}

describe("the rules for Prometheus", () => {
  it("ask for metrics that there are, and for no client", () => {
    const text = readFileSync(rules, "utf8")
    const source = readdirSync(here("src"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => readFileSync(here(join("src", path)), "utf8"))
      .join("\n")
    const asked = new Set(text.match(/snowguard_[a-z_]+/g))
    expect(asked.size).toBeGreaterThan(8)
    for (const name of asked) assert.include(source, `"${name}"`)
    expect(text).not.toMatch(/\bclient=|by \([^)]*client/)
  })

  it.skipIf(!hasPromtool())("are valid, fire when they should, and only then", () => {
    const check = spawnSync("promtool", ["check", "rules", rules], { encoding: "utf8" })
    assert.strictEqual(check.status, 0, check.stdout + check.stderr)
    const folder = mkdtempSync(join(tmpdir(), "snowguard-rules-"))
    try {
      const path = join(folder, "test.yml")
      const text = readFileSync(here("test/operate/prometheus-alerts.yml"), "utf8")
      writeFileSync(path, text.replace("RULES", JSON.stringify(rules)))
      const test = spawnSync("promtool", ["test", "rules", path], { encoding: "utf8" })
      assert.strictEqual(test.status, 0, test.stdout + test.stderr)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
