// Runs the many users of `test/identity` outside of the test runner, for as long as it is told to.
import { run } from "./bundled.mjs"

await run("test/identity/cli.ts", {
  bundle: {
    // Native packages and the driver find their files relative to themselves.
    packages: "external",
    // The program of the embedded engine is found from where the sources are.
    define: {
      "import.meta.url": JSON.stringify(new URL("../src/emulator/Emulator.ts", import.meta.url).href)
    }
  },
  flags: ["--expose-gc"]
})
