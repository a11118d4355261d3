/** Writes pictures of the page in all its states into a folder, or those that are named after it. */
import { Effect } from "effect"
import { mkdirSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { BrowserContextOptions, Page } from "playwright-core"
import * as PageText from "../../src/dashboard/page.js"
import * as Chromium from "./chromium.js"
import { pretend } from "./pretend.js"

const [folder = "page-shots", ...names] = process.argv.slice(2)

const site = Effect.acquireRelease(
  Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
    const server = createServer((_, response) => {
      response.setHeader("content-type", "text/html; charset=utf-8")
      response.end(PageText.html)
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      const url = `http://127.0.0.1:${port}/status`
      resume(Effect.succeed({ url, close: () => void server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

const desktop: BrowserContextOptions = { viewport: { width: 1280, height: 900 } }
const phone: BrowserContextOptions = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 }
const dark: BrowserContextOptions = { colorScheme: "dark" }

const seen = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor()

interface Shot {
  readonly options: BrowserContextOptions
  readonly prepare: (page: Page) => Promise<void>
  readonly whole?: boolean
}

const showing = (what: Parameters<typeof pretend>[1]) => async (page: Page) => {
  await pretend(page, what)
  await page.reload()
  await seen(page, what === "stranger" ? "API key" : "Warehouse")
}

const shots: { readonly [name: string]: Shot } = {
  light: { options: desktop, prepare: showing("healthy"), whole: true },
  dark: { options: { ...desktop, ...dark }, prepare: showing("healthy"), whole: true },
  failing: { options: desktop, prepare: showing("failing"), whole: true },
  "failing-dark": { options: { ...desktop, ...dark }, prepare: showing("failing") },
  "failing-phone": { options: phone, prepare: showing("failing"), whole: true },
  phone: { options: { ...phone, ...dark }, prepare: showing("healthy"), whole: true },
  // The one of the documentation.
  status: {
    options: { viewport: { width: 1280, height: 820 } },
    prepare: showing("failing")
  },
  fresh: { options: desktop, prepare: showing("fresh"), whole: true },
  stale: {
    options: desktop,
    prepare: async (page) => {
      await showing("failing")(page)
      await pretend(page, "gone")
      await seen(page, /Trying again/)
    }
  },
  "sign-in": { options: desktop, prepare: showing("stranger") },
  "sign-in-phone": { options: { ...phone, ...dark }, prepare: showing("stranger") },
  dialog: {
    options: desktop,
    prepare: async (page) => {
      await showing("healthy")(page)
      await page.getByRole("button", { name: "Hold open" }).click()
    }
  },
  readout: {
    options: desktop,
    prepare: async (page) => {
      await showing("failing")(page)
      const plot = page.locator(".plot").first()
      await page.locator(".plot").last().scrollIntoViewIfNeeded()
      await plot.hover({ position: { x: 340, y: 60 } })
    }
  }
}

const take = (browser: Chromium.Browser, url: string, name: string, { options, prepare, whole }: Shot) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { page } = yield* browser.visit(url, options)
      yield* Effect.promise(async () => {
        await page.goto(url)
        await prepare(page)
        await page.screenshot({ path: join(folder, `${name}.png`), fullPage: whole === true })
      })
    })
  )

if (Chromium.available()) {
  mkdirSync(folder, { recursive: true })
  await Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const { url } = yield* site
        const browser = yield* Chromium.Chrome
        for (const [name, shot] of Object.entries(shots)) {
          if (names.length === 0 || names.includes(name)) yield* take(browser, url, name, shot)
        }
      })
    ).pipe(Effect.provide(Chromium.layer))
  )
}
