import { readdirSync, readFileSync } from "node:fs"
import { defineConfig } from "vitest/config"
import { isLong } from "./test/utils/long.js"
import LongFirst from "./test/utils/sequencer.js"

const manifest: { readonly exports: { readonly [subpath: string]: string } } = JSON.parse(
  readFileSync(new URL("package.json", import.meta.url), "utf8")
)

/** The long forms: files of their own, and those that do more when they are asked for. */
const longForms = () =>
  readdirSync("test", { recursive: true })
    .map((file) => `test/${String(file).replaceAll("\\", "/")}`)
    .filter(
      (file) =>
        file.endsWith(".long.test.ts") ||
        (file.endsWith(".test.ts") && readFileSync(file, "utf8").includes("utils/long.js"))
    )

export default defineConfig({
  // The examples import the package as its users do.
  resolve: {
    alias: Object.entries(manifest.exports)
      .filter(([, file]) => file.startsWith("./dist/"))
      .map(([subpath, file]) => ({
        find: new RegExp(`^snowguard${subpath.slice(1)}$`),
        replacement: new URL(file.replace("./dist/", "./src/").replace(/\.js$/, ".ts"), import.meta.url)
          .pathname
      }))
  },
  test: {
    include: isLong ? longForms() : ["test/**/*.test.ts"],
    exclude: isLong ? [] : ["test/**/*.long.test.ts"],
    // Two workers fit the smallest machine we support, and `npm test` asks for three, as many tests wait for a process:
    // three from the first to the last, since tinypool fails when it ends the first idle one of three. Tests inside a
    // file stay sequential because a layer shared in a file shares its virtual clock.
    pool: "forks",
    // Modules are loaded once a worker, not once a file: that was more than half of the time. No file may
    // leave anything behind in a module, and any file can follow any other.
    isolate: false,
    sequence: { sequencer: LongFirst, seed: Date.now() },
    maxWorkers: 2,
    minWorkers: 1,
    // A limit against hanging only: spawning is slow on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", "./test/utils/summaryReporter.ts"],
    setupFiles: ["test/utils/setup.ts"],
    globalSetup: ["test/utils/globalSetup.ts"]
  }
})
