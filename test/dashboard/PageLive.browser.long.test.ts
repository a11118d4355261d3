/**
 * The page in a browser, as an operator sees it while a real server has good and bad times: spawned, with
 * keys, in front of a Snowflake account that fails on demand.
 */
import { assert, describe } from "@effect/vitest"
import { vi } from "vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { setTimeout as sleep } from "node:timers/promises"
import type { Locator, Page } from "playwright-core"
import { withLayer } from "../utils/withLayer.js"
import * as Chromium from "./chromium.js"
import * as Stack from "./stack.js"

const settings = (openSeconds: number) => `
[limits]
# One of them is kept for a client without any.
max_concurrent_statements = 3
[breaker]
consecutive_failures = 2
open_seconds = ${openSeconds}
open_max_seconds = 240
[clients.agent]
queries_per_day = 4
`

class Live extends Context.Tag("test/Live")<Live, Stack.Stack>() {}

/** Minutes: the circuit stays open to the end of a test. */
const live = Layer.scoped(Live, Stack.start({ toml: settings(240) }))

const failing = [{ kind: "status", where: "query", status: 503 }] as const

const heading = (page: Page, name: string | RegExp) => page.getByRole("heading", { name }).waitFor()
const card = (page: Page, title: string) =>
  page.getByRole("article").filter({ has: page.getByRole("heading", { name: title, exact: true }) })
const says = (within: Locator, text: string | RegExp) => within.getByText(text).first().waitFor()
const rowOf = (page: Page, client: string) => page.getByRole("row", { name: new RegExp(`^${client}`) })

const signIn = async (page: Page, key: string) => {
  await page.getByLabel("API key").fill(key)
  await page.getByRole("button", { name: "Show the status" }).click()
}

/** Presses it and answers the question that comes. */
const press = async (page: Page, name: string, answer: "Go back" | "Yes") => {
  await page.getByRole("button", { name, exact: true }).click()
  const dialog = page.getByRole("dialog")
  await dialog.waitFor()
  await dialog
    .getByRole("button")
    .nth(answer === "Go back" ? 0 : 1)
    .click()
  await dialog.waitFor({ state: "hidden" })
}

/** Not what is said aloud only. */
const done = (page: Page, text: string | RegExp) => page.getByRole("main").getByText(text).waitFor()

/** The audit line of an action is written after the page has its answer. */
const heard = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 10_000 })

type Agent = Effect.Effect.Success<ReturnType<typeof Stack.agent>>

/** Looks something up again and again, until the page says so. */
const callUntil = async (agent: Agent, said: Promise<void>): Promise<void> => {
  const seen = said.then(() => true)
  while (!(await Promise.race([seen, agent.lookUp().then(() => sleep(100, false))])));
}

/** `3 min 58 s` */
const secondsIn = (text: string): number =>
  Number(/(\d+)\smin/.exec(text)?.[1] ?? 0) * 60 + Number(/(\d+)\ss\b/.exec(text)?.[1] ?? 0)

interface Scene {
  readonly page: Page
  readonly stack: Stack.Stack
  readonly agent: Agent
}

/** A page without a sign-in; checked at the end for errors, foreign requests and keys in addresses. */
const scene = (test: (scene: Scene) => Promise<void>) =>
  Effect.gen(function* () {
    const chrome = yield* Chromium.Chrome
    const stack = yield* Live
    const agent = yield* Stack.agent(stack.server, stack.keys.agent)
    const { complaints, page, strangers } = yield* chrome.visit(stack.status)
    const addresses: Array<string> = []
    page.on("request", (request) => addresses.push(request.url()))
    yield* Effect.promise(async () => {
      await page.clock.install()
      await page.goto(stack.status)
      await test({ page, stack, agent })
    })
    assert.deepStrictEqual(complaints, [])
    assert.deepStrictEqual(strangers, [])
    for (const key of Object.values(stack.keys)) assert.notInclude(addresses.join("\n"), key)
  })

/** What a tab leaves behind, in all the places where it could. */
const leftBehind = async (page: Page): Promise<string> =>
  JSON.stringify([
    page.url(),
    await page.content(),
    await page.context().cookies(),
    await page.evaluate(
      "[{ ...localStorage }, document.cookie, history.state, document.title, ...[...document.querySelectorAll('input')].map((input) => input.value)]"
    )
  ])

describe.skipIf(!Chromium.available())("the status page of a live server, in a browser", () => {
  withLayer(Layer.merge(Chromium.layer, live))("", (it) => {
    it.effect("asks for a key, and shows what that key may see", () =>
      scene(async ({ agent, page, stack }) => {
        assert.strictEqual(await agent.lookUp(), "ok")
        const { agent: mere, ops } = stack.keys
        await signIn(page, "sg_wrong")
        await done(page, "The server does not take this key.")
        const input = page.getByLabel("API key")
        assert.strictEqual(await input.getAttribute("aria-invalid"), "true")
        assert.strictEqual(await page.evaluate("document.activeElement.id"), "key")
        assert.strictEqual(await page.evaluate("JSON.stringify({ ...sessionStorage })"), "{}")

        await signIn(page, mere)
        await heading(page, "Healthy")
        await page.getByText("This key shows totals.").waitFor()
        for (const name of ["Hold open", "Release", "Reset", "Pin", "Unpin", "Reset quotas of agent"]) {
          assert.strictEqual(await page.getByRole("button", { name, exact: true }).count(), 0, name)
        }
        assert.strictEqual(await page.getByRole("heading", { name: "Clients" }).count(), 0)
        assert.notInclude(await leftBehind(page), mere)

        await page.getByRole("button", { name: "Sign out" }).click()
        await done(page, "Signed out.")
        assert.strictEqual(await page.evaluate("JSON.stringify({ ...sessionStorage })"), "{}")

        await signIn(page, ops)
        await rowOf(page, "agent").waitFor()
        assert.notInclude(await leftBehind(page), ops)
        // It comes back with the tab, and with no other one.
        await page.reload()
        await rowOf(page, "agent").waitFor()
        const other = await page.context().newPage()
        await other.goto(stack.status)
        await other.getByLabel("API key").waitFor()
        await other.close()
        // After signing out no name is left on the page.
        await page.getByRole("button", { name: "Sign out" }).click()
        await page.getByLabel("API key").waitFor()
        assert.notMatch(await page.locator("body").innerHTML(), /Reset quotas of agent/)
      })
    )

    it.effect("shows a quota running down, the refusal, and sets it back when asked to", () =>
      scene(async ({ agent, page, stack }) => {
        assert.strictEqual(await agent.query(), "ok")
        await signIn(page, stack.keys.ops)
        const row = rowOf(page, "agent")
        await says(row, "1 of 4 queries per day")
        assert.deepStrictEqual(
          [await agent.query(), await agent.query(), await agent.query()],
          ["ok", "ok", "ok"]
        )
        assert.strictEqual(await agent.query(), "QUOTA_EXCEEDED")
        await says(row, "4 of 4 queries per day")
        await says(row, /^used up, resets in \d/)
        await says(row, /ago: QUOTA_EXCEEDED$/)
        await page.getByText(/^agent has no queries per day left, resets in \d/).waitFor()
        await heading(page, "Healthy")

        await press(page, "Reset quotas of agent", "Go back")
        assert.strictEqual(await agent.query(), "QUOTA_EXCEEDED")
        assert.deepStrictEqual(stack.operated(), [])
        await press(page, "Reset quotas of agent", "Yes")
        await done(page, /^Done: forgotten: .*queries_per_day 4/)
        await heard(() => assert.deepStrictEqual(stack.operated(), ["ops quota/reset agent"]))
        assert.strictEqual(await agent.query(), "ok")
        await page.getByText(/reset the quotas of agent/).waitFor()
      })
    )

    it.effect("pins the mode and unpins it", () =>
      scene(async ({ agent, page, stack }) => {
        await signIn(page, stack.keys.ops)
        await heading(page, "Healthy")
        const before = stack.operated().length
        await page.getByLabel("Mode to pin").selectOption("emergency")
        await press(page, "Pin", "Go back")
        assert.strictEqual(await agent.query(), "ok")
        assert.strictEqual(stack.operated().length, before)
        await press(page, "Pin", "Yes")
        await heading(page, "Cached answers only")
        const level = card(page, "Service level")
        await says(level.locator("[aria-current]"), "emergency")
        await says(level, /Way back: an operator must release the pin\./)
        assert.strictEqual(await agent.query(), "DEGRADED")
        await press(page, "Unpin", "Go back")
        assert.strictEqual(await agent.query(), "DEGRADED")
        await press(page, "Unpin", "Yes")
        await heading(page, "Healthy")
        await says(level.locator("[aria-current]"), "normal")
        assert.strictEqual(await agent.query(), "ok")
        await heard(() =>
          assert.deepStrictEqual(stack.operated().slice(before), [
            "ops ladder/pin emergency",
            "ops ladder/unpin"
          ])
        )
      })
    )

    it.effect("holds the circuit open and releases it", () =>
      scene(async ({ agent, page, stack }) => {
        await signIn(page, stack.keys.ops)
        await heading(page, "Healthy")
        const before = stack.operated().length
        await press(page, "Hold open", "Go back")
        assert.strictEqual(await agent.lookUp(), "ok")
        assert.strictEqual(stack.operated().length, before)
        await press(page, "Hold open", "Yes")
        await heading(page, "Circuit held open by an operator: the warehouse is not called")
        await says(card(page, "Warehouse"), "No probe until it is released.")
        assert.include(["CIRCUIT_OPEN", "DEGRADED"], await agent.query())
        await press(page, "Release", "Go back")
        assert.include(["CIRCUIT_OPEN", "DEGRADED"], await agent.query())
        await press(page, "Release", "Yes")
        await says(card(page, "Warehouse"), "Healthy")
        await heard(() =>
          assert.deepStrictEqual(stack.operated().slice(before), ["ops breaker/open", "ops breaker/release"])
        )
      })
    )

    it.effect("shows the breaker open, with its cause and the time to the next try, and resets it", () =>
      scene(async ({ agent, page, stack }) => {
        await signIn(page, stack.keys.ops)
        const warehouse = card(page, "Warehouse")
        await says(warehouse, "Healthy")
        await stack.account.faults(failing)
        await callUntil(agent, heading(page, "Circuit open: the warehouse is not called"))
        await says(warehouse, /consecutive failures; the last: .*HTTP 503/)
        // It runs down under one's eyes.
        const next = warehouse.getByText(/^Next probe in \d/)
        const first = await next.innerText()
        await next.filter({ hasNotText: first }).waitFor()
        assert.isBelow(secondsIn(await next.innerText()), secondsIn(first))
        await says(card(page, "Service level").locator("[aria-current]"), "cache only")
        assert.include(["CIRCUIT_OPEN", "DEGRADED"], await agent.query())
        await stack.account.faults([])
        assert.include(["CIRCUIT_OPEN", "DEGRADED"], await agent.query())
        await press(page, "Reset", "Go back")
        await says(warehouse, "Circuit open: not called")
        await press(page, "Reset", "Yes")
        await says(warehouse, "Healthy")
        await heard(() => assert.strictEqual(stack.operated().at(-1), "ops breaker/reset"))
        assert.strictEqual(await agent.lookUp(), "ok")
      })
    )

    it.effect("is honest when the server is gone, and back when it is; a breaker closes by itself", () =>
      scene(async ({ page, stack }) => {
        await signIn(page, stack.keys.ops)
        await says(card(page, "Warehouse"), "Healthy")
        await stack.stop()
        await page
          .getByText(/^The server cannot be reached\. These figures are .* old\. Trying again…$/)
          .waitFor()
        await heading(page, /^No news for/)
        await press(page, "Hold open", "Yes")
        await done(page, "Perhaps it was done, perhaps not. The server cannot be reached.")
        stack.configure(settings(0.5))
        await stack.begin()
        // It tries again by itself; the page's clock is moved on.
        await page.clock.fastForward(2_500)
        await heading(page, "Healthy")
        await page.getByText(/Trying again/).waitFor({ state: "hidden" })

        await Effect.gen(function* () {
          const agent = yield* Stack.agent(stack.server, stack.keys.agent)
          yield* Effect.promise(async () => {
            await stack.account.faults(failing)
            await callUntil(agent, heading(page, "Circuit open: the warehouse is not called"))
            await stack.account.faults([])
            const warehouse = card(page, "Warehouse")
            await says(warehouse, "The next call is a probe.")
            await callUntil(agent, says(warehouse, "Healthy"))
            // The ladder holds the next mode for half a minute: batch tiers, or a share of the queries, still wait.
            await heading(page, /^(Healthy|Batch tiers are turned away|Some queries are turned away)$/)
          })
        }).pipe(Effect.scoped, Effect.runPromise)
      })
    )

    // The last: from here on the server has two clients, of which one alone does not open the circuit.
    it.effect("shows what runs and who waits, and cancels a call: its caller is told, and no other", () =>
      scene(async ({ agent: other, page, stack }) => {
        await signIn(page, stack.keys.ops)
        await says(card(page, "Warehouse"), "Healthy")
        const before = stack.operated().length
        const scope = await Effect.runPromise(Scope.make())
        // A client without a quota of queries.
        const agent = await Effect.runPromise(Scope.extend(Stack.agent(stack.server, stack.keys.ops), scope))
        const endless = "FROM TABLE(GENERATOR(ROWCOUNT => 1000000000000)) WHERE RANDOM() = 3"
        const ask = (name: string) => agent.run(`SELECT COUNT(*) AS SLOW_${name} ${endless}`)
        const running = card(page, "Running now")
        const rowFor = (name: string) => running.getByRole("listitem").filter({ hasText: `SLOW_${name}` })
        // Two have the slots before the third asks, or it could have one of them.
        const slow = [ask("ONE"), ask("TWO")]
        for (const name of ["ONE", "TWO"]) await says(rowFor(name), /^for .*, in the warehouse$/)
        slow.push(ask("THREE"))
        const slots = card(page, "Slots")
        await says(slots, /^1 wait, about .*; next: ops 1$/)
        await says(running, /^SELECT COUNT\(\*\) AS SLOW_ONE/)
        const one = rowFor("ONE")
        const cancel = one.getByRole("button")
        await cancel.click()
        await page.getByRole("dialog").getByRole("button", { name: "Go back" }).click()
        await cancel.click()
        await page.getByRole("dialog").getByRole("button", { name: "Cancel the call" }).click()
        await done(page, /^Done: the call of execute_query by ops is cancelled \(server /)
        assert.strictEqual(await slow[0], "CANCELLED_BY_OPERATOR")
        await one.waitFor({ state: "detached" })
        // The slot is free: the call that waited has it now.
        await says(running.getByRole("listitem").filter({ hasText: "SLOW_THREE" }), /in the warehouse/)
        assert.strictEqual(await running.getByRole("listitem").count(), 2)
        await heard(() => assert.match(stack.operated()[before] ?? "", /^ops call\/cancel [a-z0-9]+-\d+$/))
        for (const name of ["TWO", "THREE"]) {
          const row = running.getByRole("listitem").filter({ hasText: name })
          await row.getByRole("button").click()
          await page.getByRole("dialog").getByRole("button", { name: "Cancel the call" }).click()
          // The rows below it move up: a click while they do may meet another one.
          await row.waitFor({ state: "detached" })
        }
        assert.deepStrictEqual(await Promise.all(slow.slice(1)), [
          "CANCELLED_BY_OPERATOR",
          "CANCELLED_BY_OPERATOR"
        ])
        // It counts against no warehouse.
        await says(card(page, "Warehouse"), "Healthy")
        assert.strictEqual(await other.lookUp(), "ok")
        await Effect.runPromise(Scope.close(scope, Exit.void))
      })
    )
  })
})
