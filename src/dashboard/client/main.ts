/**
 * The status page: asks for a credential where the server requires one, shows what the server streams, and
 * says how old it is. Figures that are not news any more are shown grey, with their age.
 */
import * as Actions from "./actions.js"
import * as Api from "./api.js"
import { dismiss } from "./confirm.js"
import { byId, setText, show } from "./dom.js"
import * as Folds from "./folds.js"
import * as Format from "./format.js"
import { headline } from "./headline.js"
import * as History from "./history.js"
import * as View from "./view.js"

/** The server sends every two seconds: three times that is silence. */
const STALE_MS = 6_000
const RECONNECT_MS = 2_000

let updatedAt: number | undefined
/** Why there is no news, as far as it is known. */
let trouble: string | undefined
let announced = ""

const announce = (words: string) => {
  if (words === announced) return
  announced = words
  setText(byId("news"), words)
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : "Unknown trouble.")

/** What came of an action stays until it is read, or until the next one. */
const notify = (mood: "good" | "bad", words: string) => {
  byId("notice").className = `notice ${mood}`
  setText(byId("notice-text"), words)
  show(byId("notice"), true)
  announced = words
  setText(byId("news"), words)
}

const showAge = () => {
  if (updatedAt === undefined) return
  const age = performance.now() - updatedAt
  const stale = age > STALE_MS || trouble !== undefined
  document.body.classList.toggle("stale", stale)
  setText(byId("updated"), `Last update ${Math.round(age / 1000)} s ago`)
  show(byId("banner"), stale)
  if (!stale) return View.tick(age)
  setText(
    byId("banner"),
    `${trouble ?? "The server is silent."} These figures are ${Format.duration(age)} old. Trying again…`
  )
  View.renderLost(age)
  announce("The connection is lost; the figures are old.")
}

/** As the server last said. */
let signIn: Api.SignIn = { credential: "API key", admin: "an API key made with --admin" }

/** In a sentence: `key`, `access token`. */
const credential = () => signIn.credential.replace("API ", "")

const showSnapshot = (snapshot: Api.Tick["snapshot"]) => {
  updatedAt = performance.now()
  trouble = undefined
  View.render(snapshot, actions)
  History.now(snapshot)
  announce(headline(snapshot).words)
  showAge()
}

const askForKey = (why: string, isWrong: boolean) => {
  dismiss()
  show(byId("status"), false)
  show(byId("login"), true)
  show(byId("forget"), false)
  show(byId("banner"), false)
  show(byId("notice"), false)
  const reason = byId("login-why")
  setText(reason, why)
  reason.className = isWrong ? "bad" : ""
  setText(byId("updated"), "")
  document.title = "Snowguard status"
  document.body.classList.remove("stale")
  updatedAt = undefined
  trouble = undefined
  View.forget()
  setText(byId("key-label"), Format.sentence(signIn.credential))
  setText(
    byId("login-hint"),
    `Any ${credential()} shows totals. To see clients and to act, use ${signIn.admin}. It is kept in this tab only.`
  )
  const input = byId<HTMLInputElement>("key")
  input.setAttribute("aria-invalid", String(isWrong))
  input.focus()
  announce(why)
}

// The browser's own timers and clock, here and below: this page runs without Effect, which would be many times
// its size.
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

let current = new AbortController()

const showAll = ({ admin, history, sign_in, snapshot }: Api.Everything) => {
  signIn = sign_in
  show(byId("login"), false)
  show(byId("status"), true)
  show(byId("forget"), Api.key.get() !== undefined)
  for (const element of document.querySelectorAll<HTMLElement>("[data-admin]")) show(element, admin)
  show(byId("totals-only"), !admin)
  setText(
    byId("totals-only"),
    `This ${credential()} shows totals. To see clients and to act, use ${signIn.admin}.`
  )
  showSnapshot(snapshot)
  History.replace(history)
}

/** No news, for a reason. False: a credential is required. */
const goesOn = (error: unknown): boolean => {
  if (error instanceof Api.Refused && error.status === 401) {
    const known = Api.key.get() !== undefined
    Api.key.forget()
    signIn = error.signIn ?? signIn
    const an = credential() === "key" ? "a" : "an"
    askForKey(
      known
        ? `The server does not take this ${credential()}.`
        : `This server asks for ${an} ${credential()}.`,
      known
    )
    return false
  }
  trouble = messageOf(error)
  if (updatedAt === undefined) {
    setText(byId("banner"), `${trouble} Trying again…`)
    show(byId("banner"), true)
    announce(trouble)
  } else showAge()
  return true
}

/** Until a credential is required. */
const run = async (signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    try {
      const all = await Api.everything()
      if (signal.aborted) return
      showAll(all)
      await Api.watch((tick) => {
        if (signal.aborted) return
        showSnapshot(tick.snapshot)
        History.append(tick.history)
      }, signal)
    } catch (error) {
      if (signal.aborted || !goesOn(error)) return
    }
    await wait(RECONNECT_MS)
  }
}

const start = () => {
  current.abort()
  current = new AbortController()
  void run(current.signal)
}

const actions = Actions.make({
  onDone: (result) => {
    notify("good", `Done: ${result}.`)
    const { signal } = current
    void Api.everything().then(
      ({ snapshot }) => signal.aborted || showSnapshot(snapshot),
      () => undefined
    )
  },
  onRefused: (error) => {
    if (error instanceof Api.Refused && error.status === 401) {
      current.abort()
      goesOn(error)
    } else {
      // Without an answer the result of the action is unknown.
      const known = error instanceof Api.Refused && error.status !== 0
      notify("bad", `${known ? "It was not done." : "Perhaps it was done, perhaps not."} ${messageOf(error)}`)
    }
  }
})

const onClick = (id: string, then: () => void) => byId(id).addEventListener("click", then)

onClick("forget", () => {
  current.abort()
  Api.key.forget()
  askForKey("Signed out.", false)
})
onClick("notice-close", () => {
  show(byId("notice"), false)
  byId("now").focus()
})
byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault()
  const input = byId<HTMLInputElement>("key")
  Api.key.set(input.value.trim())
  input.value = ""
  start()
})

History.mount()
Folds.mount()
setInterval(showAge, 1_000)
start()
