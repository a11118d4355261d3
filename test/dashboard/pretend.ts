/** Puts the page into states that a real server is in only sometimes. */
import type { Page } from "playwright-core"
import type { Condition } from "./figures.js"
import { data } from "./figures.js"

const refused = (sign_in?: object) => ({
  status: 401,
  json: { error: { message: "A credential is needed.", data: { sign_in } } }
})

const token = { credential: "access token", admin: "an access token with the scope snowguard:admin" }

type Pretended = Condition | "silent" | "gone" | "stranger" | "tokenless"

const pretended = new WeakMap<Page, Pretended>()

/**
 * From now on the server's figures are these; `silent`: a healthy one that says nothing more; `gone`: no server
 * answers; `stranger`: a key is asked for. The page comes back for more as soon as the stream of events has
 * ended, which it does at once.
 */
export const pretend = async (page: Page, what: Pretended): Promise<void> => {
  const isNew = !pretended.has(page)
  pretended.set(page, what)
  // One route for all states: while one took the place of another, a request would reach the server itself.
  if (!isNew) return
  await page.route(/\/status\/(data|events)$/, async (route) => {
    const what = pretended.get(page) ?? "gone"
    if (what === "gone") return route.abort("connectionrefused")
    if (what === "stranger") return route.fulfill(refused())
    if (what === "tokenless") return route.fulfill(refused(token))
    const all = data(what === "silent" ? "healthy" : what, Date.now())
    if (route.request().url().endsWith("data")) return route.fulfill({ json: all })
    return what === "silent"
      ? undefined
      : route.fulfill({
          contentType: "text/event-stream",
          body: `data: ${JSON.stringify({ snapshot: all.snapshot, history: all.history })}\n\n`
        })
  })
}
