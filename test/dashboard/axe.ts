/** What people with other senses, and other devices, would stumble over. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { Page } from "playwright-core"

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

/** All that another colour scheme can break. */
const COLOURS = ["color-contrast", "link-in-text-block"]

interface Found {
  readonly violations: ReadonlyArray<{
    readonly id: string
    readonly nodes: ReadonlyArray<{
      readonly target: ReadonlyArray<string>
      readonly failureSummary?: string
    }>
  }>
  readonly passes: ReadonlyArray<{ readonly id: string }>
}

/** A line for each rule that is broken. Evaluated from outside, which no policy of the page has a say in. */
export const violations = async (
  page: Page,
  only: "all rules" | "colours" = "all rules"
): Promise<ReadonlyArray<string>> => {
  if (!(await page.evaluate<boolean>("'axe' in window"))) await page.evaluate(source)
  const options = {
    runOnly: only === "all rules" ? RULES : { type: "rule", values: COLOURS },
    resultTypes: ["violations"]
  }
  const found = await page.evaluate<Found>(`axe.run(document, ${JSON.stringify(options)})`)
  if (found.passes.length < (only === "all rules" ? 10 : 1)) throw new Error("hardly anything was looked at")
  return found.violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .slice(0, 5)
        .map(({ failureSummary, target }) => `${target.join(" ")} ${failureSummary ?? ""}`)
        .join("; ")}`
  )
}
