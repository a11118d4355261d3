/**
 * The status page: asks who is looking where the server wants to know, shows what the server streams, and
 * says how old it is. Figures that are not news any more are shown grey, with their age.
 */
import type { Column } from "../../internal/operatorModel.js"
import type { Samples } from "../../Operator.js"
import * as Api from "./api.js"
import * as Charts from "./charts.js"
import type { Question } from "./confirm.js"
import { confirmed } from "./confirm.js"
import { byId, setText, show } from "./dom.js"
import * as Format from "./format.js"
import * as View from "./view.js"

/** The server sends every two seconds: three times that is silence. */
const STALE_MS = 6_000
const RECONNECT_MS = 2_000

let admin = false
let updatedAt: number | undefined
let announced = ""
let history: { at: Array<number>; values: { [C in Column]: Array<number> } } | undefined

const perSecond = (value: number) => `${Format.count(value)}/s`
const charts = {
  calls: Charts.makeChart({ title: "Calls", stacked: true, format: perSecond, atLeast: 1 }),
  time: Charts.makeChart({
    title: "Time of a call",
    stacked: false,
    format: (ms) => Format.duration(ms),
    atLeast: 10
  }),
  load: Charts.makeChart({ title: "Slots and queue", stacked: false, format: Format.count, atLeast: 5 }),
  states: Charts.makeStrips("Health")
}
byId("history").append(charts.calls.root, charts.time.root, charts.load.root, charts.states.root)

const good = ["k-ok", "good"] as const

const drawHistory = () => {
  if (history === undefined) return
  const { at, values } = history
  const series = (name: string, kind: string, column: Column) => ({ name, kind, values: values[column] })
  charts.calls.update({
    at,
    series: [
      series("answered", "k-ok", "ok"),
      series("refused", "k-refused", "refused"),
      series("failed", "k-failed", "failed"),
      series("callers' mistakes", "k-other", "rejected")
    ]
  })
  charts.time.update({
    at,
    series: [series("95 % within", "k-other", "p95_ms"), series("half within", "k-main", "p50_ms")]
  })
  charts.load.update({
    at,
    series: [
      series("calls", "k-main", "requests_in_use"),
      series("statements", "k-ok", "statements_in_use"),
      series("waiting", "k-refused", "queued")
    ]
  })
  charts.states.update(at, [
    {
      name: "Warehouse",
      values: values.breaker,
      states: [good, ["k-refused", "probed"], ["k-failed", "not called"]]
    },
    {
      name: "Service level",
      values: values.mode,
      states: [good, ["k-refused", "constrained"], ["k-failed", "cache only"], ["k-failed", "emergency"]]
    },
    {
      name: "Rate of the warehouse",
      values: values.rate_factor.map((factor) => (factor >= 1 ? 0 : 1)),
      states: [good, ["k-refused", "slowed down"]]
    }
  ])
}

/** What is new of it, at the end; what is over an hour old goes. */
const append = (samples: Samples) => {
  if (history === undefined) return
  const last = history.at[history.at.length - 1] ?? 0
  let added = false
  samples.at.forEach((at, i) => {
    if (history === undefined || at <= last) return
    history.at.push(at)
    for (const [column, values] of Object.entries(samples.values)) {
      history.values[column as Column].push(values[i] ?? 0)
    }
    added = true
  })
  if (!added) return
  const oldest = (history.at[history.at.length - 1] ?? 0) - Charts.SPAN_MS
  while ((history.at[0] ?? oldest) < oldest) {
    history.at.shift()
    for (const values of Object.values(history.values)) values.shift()
  }
  drawHistory()
}

const announce = (words: string) => {
  if (words === announced) return
  announced = words
  setText(byId("news"), words)
}

const showSnapshot = (snapshot: Api.Tick["snapshot"]) => {
  updatedAt = performance.now()
  View.render(snapshot, resetQuota)
  announce(View.overall(snapshot)[1])
  showAge()
}

const showAge = () => {
  if (updatedAt === undefined) return
  const age = performance.now() - updatedAt
  const stale = age > STALE_MS
  document.body.classList.toggle("stale", stale)
  setText(byId("updated"), `Last update ${Math.round(age / 1000)} s ago`)
  show(byId("banner"), stale)
  if (stale) {
    setText(
      byId("banner"),
      `No news from the server: these figures are ${Format.duration(age)} old. Trying again…`
    )
    byId("overall").className = "pill unknown"
    setText(byId("overall"), "No news")
    announce("The connection is lost; the figures are old.")
  }
}

const askForKey = (why: string) => {
  show(byId("status"), false)
  show(byId("login"), true)
  setText(byId("login-why"), why)
  setText(byId("overall"), "Who is looking?")
  byId("overall").className = "pill unknown"
  setText(byId("updated"), "")
  document.body.classList.remove("stale")
  show(byId("banner"), false)
  updatedAt = undefined
  byId("key").focus()
}

// The browser's own timers: this page runs without Effect, which would be many times its size.
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

let current = new AbortController()

/** Until somebody has to say who he is. */
const run = async (signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    try {
      const all = await Api.everything()
      admin = all.admin
      history = {
        at: [...all.history.at],
        values: Object.fromEntries(
          Object.entries(all.history.values).map(([column, values]) => [column, [...values]])
        ) as { [C in Column]: Array<number> }
      }
      show(byId("login"), false)
      show(byId("status"), true)
      show(byId("forget"), Api.key.get() !== undefined)
      for (const element of document.querySelectorAll<HTMLElement>("[data-admin]")) show(element, admin)
      showSnapshot(all.snapshot)
      drawHistory()
      await Api.watch((tick) => {
        showSnapshot(tick.snapshot)
        append(tick.history)
      }, signal)
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof Api.Refused && error.status === 401) {
        const known = Api.key.get() !== undefined
        Api.key.forget()
        askForKey(known ? "The server does not take this key." : "This server asks for a key.")
        return
      }
      if (updatedAt === undefined) {
        const why = error instanceof Error ? error.message : "unknown trouble"
        setText(byId("banner"), `${why} Trying again…`)
        show(byId("banner"), true)
      }
    }
    await wait(RECONNECT_MS)
  }
}

const start = () => {
  current.abort()
  current = new AbortController()
  void run(current.signal)
}

/** Asks, does it, and says what came of it. */
const perform = async (question: Question, action: string, body: object = {}) => {
  if (!(await confirmed(question))) return
  try {
    const done = await Api.act(action, body)
    setText(byId("news"), done.result)
    announced = done.result
    showSnapshot((await Api.everything()).snapshot)
  } catch (error) {
    setText(byId("banner"), error instanceof Error ? error.message : "It could not be done.")
    show(byId("banner"), true)
    setText(byId("news"), byId("banner").textContent ?? "")
  }
}

const resetQuota = (client: string) =>
  void perform(
    {
      title: `Reset the quotas of ${client}?`,
      text: "All that this client has used in the current hour and day is forgotten.",
      yes: "Reset quotas"
    },
    "quota/reset",
    { client }
  )

const onClick = (id: string, then: () => void) => byId(id).addEventListener("click", then)

onClick(
  "breaker-open",
  () =>
    void perform(
      {
        title: "Hold the circuit open?",
        text: "No call reaches the warehouse until it is released, or this server stops. Look-ups are answered from memory, queries are refused.",
        yes: "Hold open"
      },
      "breaker/open"
    )
)
onClick(
  "breaker-release",
  () =>
    void perform(
      { title: "Release the circuit?", text: "Calls reach the warehouse again.", yes: "Release" },
      "breaker/release"
    )
)
onClick(
  "breaker-reset",
  () =>
    void perform(
      {
        title: "Reset the breaker?",
        text: "It forgets the failures it has seen and lets calls through at once.",
        yes: "Reset"
      },
      "breaker/reset"
    )
)
onClick("ladder-pin", () => {
  const { value } = byId<HTMLSelectElement>("pin-mode")
  void perform(
    {
      title: `Pin the mode "${value}"?`,
      text: "It stays whatever the signals say, until it is unpinned or this server stops.",
      yes: "Pin"
    },
    "ladder/pin",
    { mode: value }
  )
})
onClick(
  "ladder-unpin",
  () =>
    void perform(
      { title: "Unpin the mode?", text: "The signals decide again.", yes: "Unpin" },
      "ladder/unpin"
    )
)
onClick("forget", () => {
  current.abort()
  Api.key.forget()
  askForKey("The key is forgotten.")
})
byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault()
  const input = byId<HTMLInputElement>("key")
  Api.key.set(input.value.trim())
  input.value = ""
  start()
})

setInterval(showAge, 1_000)
start()
