/** `npm run check:docs`: a line on stderr for each fault of the documentation, and exit code 1. */
import { faults } from "./check.js"
import { pages } from "./pages.js"

const found = faults()
for (const fault of found) process.stderr.write(`docs-check: ${fault}\n`)
if (found.length > 0) process.exitCode = 1
else process.stderr.write(`docs-check: ${pages().length} pages, no fault\n`)
