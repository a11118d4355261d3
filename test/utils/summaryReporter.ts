import type { Reporter, TestModule } from "vitest/node"

/** Ends the output with one plain line that scripts can read. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const count = { passed: 0, failed: 0, skipped: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state !== "pending") count[state] += 1
      }
    }
    // After the default reporter's own summary.
    process.on("exit", () => {
      console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
    })
  }
}
