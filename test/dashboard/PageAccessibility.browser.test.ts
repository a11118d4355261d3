/** The page with a screen reader, without a mouse, and on a phone: in a browser, in all its states. */
import { assert, describe } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel } from "effect"
import type { BrowserContextOptions, Page } from "playwright-core"
import * as H from "../utils/http.js"
import { inLongForm, isLong } from "../utils/long.js"
import { withLayer } from "../utils/withLayer.js"
import * as Axe from "./axe.js"
import * as Chromium from "./chromium.js"
import { pretend } from "./pretend.js"

const quiet = Logger.minimumLogLevel(LogLevel.None)

const site = Effect.map(H.server(), ({ port }) => `http://127.0.0.1:${port}/status`)

const screens = [
  { width: 1280, height: 900 },
  { width: 390, height: 844 }
] as const
/** Narrower than any phone of today; what a page at 400 % on a desktop has, too. */
const narrowest = { width: 320, height: 700 }

const seen = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor()

/** The page asks again, or knows that it heard nothing, without a real wait. */
const later = (page: Page, ms: number) => page.clock.fastForward(ms)

/** How to get there, from wherever the page is. */
const states: { readonly [name: string]: (page: Page) => Promise<void> } = {
  "asks for a key": async (page) => {
    await pretend(page, "stranger")
    await page.reload()
    await page.getByLabel("API key").waitFor()
  },
  "asks for a token": async (page) => {
    await pretend(page, "tokenless")
    await page.reload()
    await page.getByLabel("Access token").waitFor()
    await seen(page, "This server asks for an access token.")
    await seen(page, /an access token with the scope snowguard:admin/)
    assert.notMatch(await page.getByRole("main").innerText(), /API key|--admin/)
  },
  "has nothing to show yet": async (page) => {
    await pretend(page, "fresh")
    await page.reload()
    await seen(page, "No client has called yet.")
  },
  "shows a server in health": async (page) => {
    await pretend(page, "healthy")
    await page.reload()
    await seen(page, "Healthy")
  },
  "asks back before it acts": async (page) => {
    await pretend(page, "healthy")
    await page.reload()
    await page.getByRole("button", { name: "Hold open" }).click()
    await page.getByRole("dialog").waitFor()
  },
  "shows a server in trouble": async (page) => {
    await pretend(page, "failing")
    await page.reload()
    await seen(page, "Circuit open: the warehouse is not called")
  },
  "has lost the server": async (page) => {
    await pretend(page, "failing")
    await page.reload()
    await seen(page, "Circuit open: the warehouse is not called")
    await pretend(page, "gone")
    await later(page, 2_500)
    await seen(page, /cannot be reached.*Trying again/)
  }
}

const scrollWidth = (page: Page) => page.evaluate<number>("document.documentElement.scrollWidth")

/** A page that has done nothing wrong in the end. */
const visit = (test: (page: Page) => Promise<void>, options: BrowserContextOptions = {}) =>
  Effect.gen(function* () {
    const chrome = yield* Chromium.Chrome
    const url = yield* site
    const { complaints, page, strangers } = yield* chrome.visit(url, options)
    yield* Effect.promise(async () => {
      await page.clock.install()
      await page.goto(url)
      await test(page)
    })
    assert.deepStrictEqual(complaints, [])
    assert.deepStrictEqual(strangers, [])
  })

interface Focused {
  readonly name: string
  readonly inDialog: boolean
  /** Pixels of the outline. */
  readonly outline: number
}

/** The accessible name of the focused element. */
const focused = (page: Page) =>
  page.evaluate<Focused>(`(() => {
    const { activeElement: it } = document
    const label = it.labels?.[0]?.textContent
    return {
      name: it === document.body ? "" : it.getAttribute("aria-label") ?? label ?? it.textContent,
      inDialog: it.closest("dialog") !== null,
      outline: getComputedStyle(it).outlineStyle === "none" ? 0 : parseFloat(getComputedStyle(it).outlineWidth)
    }
  })()`)

const nameOfFocused = async (page: Page) => (await focused(page)).name

const tabTo = async (page: Page, name: string) => {
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab")
    if ((await nameOfFocused(page)) === name) return
  }
  throw new Error(`no way to ${name} by Tab`)
}

const charts = ["Calls", "Latency", "Slots and queue", "Health"].map((title) => `${title}: moment`)
const resets = ["analytics-agents", "billing", "data-platform-team-with-a-name-that-does-not-end"]
  .concat("nightly-report")
  .map((client) => `Reset quotas of ${client}`)

describe.skipIf(!Chromium.available())("the accessibility of the status page, in a browser", () => {
  withLayer(Layer.merge(Chromium.layer, quiet))("", (it) => {
    const some = ["asks back before it acts", "shows a server in trouble"]
    it.effect("has the states of its short form", () =>
      Effect.sync(() => assert.includeMembers(Object.keys(states), some))
    )
    for (const [state, enter] of Object.entries(states)) {
      // Each rule is a second of the browser's; between them these states have everything that a page has.
      if (!isLong && !some.includes(state)) continue
      it.effect(`breaks no rule of accessibility, light and dark, wide and narrow, when it ${state}`, () =>
        visit(async (page) => {
          await enter(page)
          for (const screen of screens) {
            await page.setViewportSize(screen)
            assert.isAtMost(await scrollWidth(page), screen.width)
            assert.deepStrictEqual(await Axe.violations(page), [], String(screen.width))
            // The narrow screen has the same colours, and less to see.
            if (screen !== screens[0]) continue
            await page.emulateMedia({ colorScheme: "dark" })
            assert.deepStrictEqual(await Axe.violations(page, "colours"), [], "dark")
            await page.emulateMedia({ colorScheme: "light" })
          }
          await page.setViewportSize(narrowest)
          assert.isAtMost(await scrollWidth(page), narrowest.width)
        })
      )
    }

    it.effect("leads the Tab key to every control, from top to bottom, and shows where it is", () =>
      visit(async (page) => {
        await page.evaluate("sessionStorage.setItem('snowguard-key', 'any')")
        await states["shows a server in health"]?.(page)
        const names: Array<string> = []
        for (;;) {
          await page.keyboard.press("Tab")
          const { name, outline } = await focused(page)
          if (name === "") break
          assert.isAtLeast(outline, 2, name)
          names.push(name)
        }
        assert.deepStrictEqual(names, [
          "Sign out",
          ...["Hold open", "Release", "Reset"],
          ...["Mode to pin", "Pin", "Unpin"],
          ...["Cancel execute_query of nightly-report", "Cancel list_tables of analytics-agents"],
          ...charts,
          ...resets
        ])
      })
    )

    inLongForm(() => {
      it.effect("folds on a phone what is needed least: five screens at most, and all of it on a tap", () =>
        visit(
          async (page) => {
            const height = () => page.evaluate<number>("document.documentElement.scrollHeight")
            await states["shows a server in trouble"]?.(page)
            assert.isAtMost(await height(), 5 * 844)
            const isSeen = (title: string) =>
              page.getByRole("heading", { name: title, exact: true }).isVisible()
            for (const title of ["Warehouse", "Running now", "Refusals and errors"])
              assert.isTrue(await isSeen(title), title)
            assert.isFalse(await isSeen("Settings"))
            const folds = page.locator("details.fold > summary")
            for (const fold of await folds.all()) await fold.click()
            for (const title of ["Since the start", "Settings", "Alerts", "Clients", "What operators did"])
              assert.isTrue(await isSeen(title), title)
            assert.isTrue(await page.getByRole("slider", { name: "Calls: moment" }).isVisible())
            assert.isAbove(await height(), 5 * 844)
          },
          { viewport: { width: 390, height: 844 } }
        )
      )
    })

    inLongForm(() => {
      it.effect("says which server it is, what runs there, and what was not served", () =>
        visit(async (page) => {
          await states["shows a server in trouble"]?.(page)
          await seen(
            page,
            /^Version 0\.1\.0 · on snowguard-\S+ · account myorg-myaccount · user AGENT · role READER · warehouse AGENTS$/
          )
          const items = (title: string) =>
            page
              .getByRole("article")
              .filter({ has: page.getByRole("heading", { name: title }) })
              .getByRole("listitem")
              .allInnerTexts()
          assert.deepStrictEqual(
            (await items("Running now")).map((text) => text.replaceAll(/\s+/g, " ")),
            [
              "nightly-report execute_query for 41 s, in the warehouse, 12.4K rows so far SELECT c.region, SUM(o.total) FROM sales.public.orders o JOIN sales.public.customers c USING (id) GROUP BY 1 Cancel",
              "analytics-agents list_tables for 80 ms, not sent yet Cancel"
            ]
          )
          const [first = "", , third = "", , latest = ""] = await items("Refusals and errors")
          assert.match(first, /^51\.2K RATE_LIMITED refused, the last 400\sms ago$/)
          assert.match(third, /WAREHOUSE_INVALID_STATEMENT client error/)
          assert.match(latest, /billing execute_query: RATE_LIMITED$/)
          await seen(
            page,
            /^7 wait, about 420\sms; next: billing 5, data-platform-team-with-a-name-that-does-not-end 2$/
          )
          // What is stale is a part of what came from the cache, and is shown as one.
          const totals = await page.locator("#totals").innerText()
          assert.match(totals, /Served from cache\s+18\.4K\s+Of these served stale\s+77/)
        })
      )
    })

    inLongForm(() => {
      it.effect(
        "says what observed limits would have refused, the limits by tool, the age and faults of the settings, and the alerts",
        () =>
          visit(async (page) => {
            const textOf = async (title: string) =>
              (
                await page
                  .getByRole("article")
                  .filter({ has: page.getByRole("heading", { name: title, exact: true }) })
                  .innerText()
              ).replaceAll("\u00a0", " ")
            const expectIn = async (title: string, ...parts: ReadonlyArray<string>) => {
              const text = (await textOf(title)).replaceAll(/\s+/g, " ")
              for (const part of parts) assert.include(text, part, title)
            }
            await states["shows a server in trouble"]?.(page)
            await expectIn(
              "Would have been refused",
              "5,120 by the rate of a tool and went on, the last 1 s ago",
              "3 by the bytes per day of a client and went on",
              "The tier bronze only observes: tool, bytes per day.",
              "nightly-report execute_query: rate of a tool"
            )
            await expectIn(
              "Limits by tool",
              "execute_query 4 of 4 used by nightly-report 0.05 more each second for each client. A call takes 5 calls of the client's own rate. Only observed.",
              "list_tables A call takes 2 calls of the client's own rate.",
              "Denied: describe_view, explain_query, list_views, query_view",
              "Tier gold execute_query 10 each, unused"
            )
            // A kind of quota that this page has never heard of is shown as any other.
            await expectIn(
              "Fullest quotas of clients",
              "Requests per hour 100 of 100 nightly-report; resets in 21 min",
              "Credits per day 0.25 of 1.5 billing, only observed; resets in 11 h 6 min"
            )
            await expectIn("Quotas, shared", "Credits per hour 0.05 of 12.5 used")
            await expectIn(
              "Settings",
              "A change was refused: 2 faults",
              "In force: generation 4, read 2 h 5 min ago.",
              "The change was refused 5 min 10 s ago; nothing of it is in force.",
              "File: /etc/snowguard/snowguard.toml",
              "limits.burst (snowguard.toml:3): must be at least 1, not 0",
              "Only after a restart: http.port, snowflake.role"
            )
            await expectIn(
              "Alerts",
              "critical The circuit is open, and no call reaches the warehouse: 3 consecutive failures",
              "hooks.slack.com 12 delivered, 3 waiting, 7 failed attempts, it answers 503"
            )
            await states["has nothing to show yet"]?.(page)
            await expectIn("Would have been refused", "No limit is only observed: each one is enforced.")
            await expectIn("Limits by tool", "No tier limits, weighs or denies a tool.")
            await expectIn("Settings", "As they were read last")
            await expectIn("Alerts", "Nothing to tell since the start.", "No receiver is configured")
            await states["shows a server in health"]?.(page)
            await expectIn("Settings", "A part of them waits for a restart")
          })
      )
    })

    it.effect("keeps the focus in a dialog, and gives it back, whatever the answer was", () =>
      visit(async (page) => {
        const asked: Array<string> = []
        await states["shows a server in health"]?.(page)
        await page.route(/\/admin\//, (route) => {
          asked.push(new URL(route.request().url()).pathname)
          return route.fulfill({
            json: { changed: true, result: "so it is", server: "vm:8787, process k7m2qd" }
          })
        })
        await tabTo(page, "Hold open")
        await page.keyboard.press("Enter")
        // What does no harm is what a hasty Enter chooses.
        assert.strictEqual(await nameOfFocused(page), "Go back")
        const within: Array<string> = []
        for (let i = 0; i < 6; i++) {
          await page.keyboard.press("Tab")
          const { inDialog, name } = await focused(page)
          assert.isTrue(inDialog || name === "", name)
          within.push(name)
        }
        assert.includeMembers(within, ["Go back", "Hold open"])
        await page.keyboard.press("Escape")
        assert.strictEqual(await page.getByRole("dialog").count(), 0)
        assert.strictEqual(await nameOfFocused(page), "Hold open")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")
        assert.strictEqual(await page.getByRole("dialog").count(), 0)
        assert.strictEqual(await nameOfFocused(page), "Hold open")
        assert.deepStrictEqual(asked, [])
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await seen(page, "Done: so it is (server vm:8787, process k7m2qd).")
        assert.strictEqual(await nameOfFocused(page), "Hold open")
        assert.deepStrictEqual(asked, ["/admin/breaker/open"])
        await page.keyboard.press("Shift+Tab")
        assert.strictEqual(await nameOfFocused(page), "Close")
        await page.keyboard.press("Enter")
        assert.strictEqual(
          await page.getByText("Done: so it is (server vm:8787, process k7m2qd).").count(),
          1
        )
        assert.isFalse(await page.locator("#notice").isVisible())
        // What is of no use now can be found, and does nothing.
        await tabTo(page, "Release")
        await page.keyboard.press("Enter")
        assert.strictEqual(await page.getByRole("dialog").count(), 0)
      })
    )

    inLongForm(() => {
      it.effect("reads the values of any moment to keys and pointers, the same one on all charts", () =>
        visit(async (page) => {
          await states["shows a server in trouble"]?.(page)
          const calls = page.getByRole("slider", { name: "Calls: moment" })
          const legend = page.locator("figure", { hasText: "Latency" }).locator("b").first()
          const valueOf = () => calls.getAttribute("aria-valuetext")
          assert.match(String(await valueOf()), /^\d\d:\d\d:\d\d, now: answered 1\/s, refused .*, failed /)
          assert.strictEqual(await legend.innerText(), "4\u00a0ms")
          await calls.focus()
          await page.keyboard.press("Home")
          assert.match(String(await valueOf()), /, 59\smin 55\ss ago: answered 1\d/)
          assert.match(await legend.innerText(), /^(600\sms|1\ss)$/)
          const shown = await page.getByText(/^59\smin 55\ss ago$/).count()
          assert.strictEqual(shown, 4)
          await page.keyboard.press("PageUp")
          await page.keyboard.press("ArrowRight")
          await page.keyboard.press("ArrowLeft")
          assert.match(String(await valueOf()), /, 58\smin 55\ss ago/)
          await page.keyboard.press("Escape")
          assert.match(String(await valueOf()), /, now: /)
          const box = await page.locator(".plot").nth(1).boundingBox()
          if (box === null) throw new Error("no chart")
          await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
          await page
            .getByText(/^(30\smin|29\smin 5\d\ss|30\smin \ds) ago$/)
            .first()
            .waitFor()
          assert.match(String(await valueOf()), /, (30|29)\smin/)
          await page.mouse.move(0, 0)
          assert.match(String(await valueOf()), /, now: /)
        })
      )
    })

    it.effect(
      "says that it hears nothing when the server falls silent, and asks again; nothing moves where reduced motion is asked for",
      () =>
        visit(
          async (page) => {
            await pretend(page, "silent")
            await page.reload()
            await seen(page, "Healthy")
            await later(page, 5_000)
            assert.isFalse(await page.getByText(/Trying again/).isVisible())
            await later(page, 3_000)
            await seen(page, /The server is silent. These figures are \d\ss old/)
            await seen(page, "The last that was known: healthy.")
            assert.strictEqual(await page.getByRole("heading", { name: "Healthy" }).count(), 0)
            assert.match(await page.title(), /No news/)
            // A connection that died says nothing of it: another one is made.
            await pretend(page, "failing")
            await later(page, 10_000)
            await later(page, 2_500)
            await seen(page, "Circuit open: the warehouse is not called")
            assert.isFalse(await page.getByText(/Trying again/).isVisible())
            const moving =
              await page.evaluate<number>(`[...document.querySelectorAll("*")].filter((element) => {
            const { animationName, transitionDuration } = getComputedStyle(element)
            return animationName !== "none" || transitionDuration.split(", ").some((time) => time !== "0s")
          }).length + document.getAnimations().length`)
            assert.strictEqual(moving, 0)
          },
          { reducedMotion: "reduce" }
        )
    )
  })
})
