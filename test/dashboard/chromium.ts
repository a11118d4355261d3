/**
 * A headless Chromium for tests of the page: the one of this machine, nothing is downloaded. Without one the
 * tests are skipped, loudly, or fail when `SNOWGUARD_TEST_REQUIRE_CHROMIUM=1`.
 */
import { Context, Effect, Layer } from "effect"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import type { Browser as Chromium, BrowserContextOptions, Page } from "playwright-core"

const NAMES = ["chromium", "chromium-browser", "google-chrome"]

const find = (): string | undefined => {
  const given = process.env["CHROMIUM_PATH"]
  if (given !== undefined && given !== "") return existsSync(given) ? given : undefined
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "")
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path))
}

export const binary: string | undefined = find()

/** May the tests of this file run? Says how they could, and fails if they must. */
export const available = (): boolean => {
  if (binary !== undefined) return true
  const how = `no ${NAMES.join(", ")} in PATH and none at CHROMIUM_PATH; install one (apt-get install chromium)`
  if (process.env["SNOWGUARD_TEST_REQUIRE_CHROMIUM"] === "1") throw new Error(how)
  console.log(`skipped: the tests in a browser. ${how}`)
  return false
}

/** A page, and what it did that no page of ours may do. */
export interface Visit {
  readonly page: Page
  /** Requests to other hosts than the server. */
  readonly strangers: ReadonlyArray<string>
  /** What the page complained about; a request that was refused or failed is not its fault. */
  readonly complaints: ReadonlyArray<string>
}

export class Browser {
  constructor(private readonly chromium: Chromium) {}

  /** In a profile of its own, gone when the scope closes. */
  visit(url: string, options: BrowserContextOptions = {}) {
    return Effect.map(
      Effect.acquireRelease(
        Effect.promise(() =>
          this.chromium.newContext({ viewport: { width: 1280, height: 900 }, ...options })
        ),
        (context) => Effect.promise(() => context.close())
      ).pipe(Effect.flatMap((context) => Effect.promise(() => context.newPage()))),
      (page): Visit => {
        const strangers: Array<string> = []
        const complaints: Array<string> = []
        const { host } = new URL(url)
        page.on("request", (request) => {
          const to = new URL(request.url())
          if (to.protocol !== "data:" && to.host !== host) strangers.push(request.url())
        })
        page.on("pageerror", (error) => complaints.push(String(error)))
        page.on("console", (message) => {
          const isOfNetwork = message.text().startsWith("Failed to load resource")
          if (["error", "warning"].includes(message.type()) && !isOfNetwork) complaints.push(message.text())
        })
        // A limit against hanging only.
        page.setDefaultTimeout(45_000)
        return { page, strangers, complaints }
      }
    )
  }
}

/** All that it writes is in a directory of its own, removed when it has ended. */
const home = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-chromium-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }))
)

const launch = Effect.gen(function* () {
  const { chromium } = yield* Effect.promise(() => import("playwright-core"))
  const folder = yield* home
  const launched = yield* Effect.acquireRelease(
    Effect.promise(() =>
      chromium.launch({
        executablePath: binary ?? "chromium",
        headless: true,
        // Of root it demands to do without a sandbox.
        chromiumSandbox: process.getuid?.() !== 0,
        args: ["--disable-gpu", "--disable-breakpad"],
        env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder }
      })
    ),
    (browser) => Effect.promise(() => browser.close())
  )
  return new Browser(launched)
})

/** One for as long as the layer is there. */
export class Chrome extends Context.Tag("test/Chrome")<Chrome, Browser>() {}

export const layer = Layer.scoped(Chrome, launch)
