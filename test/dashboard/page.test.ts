import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import * as Page from "../../src/dashboard/page.js"

const between = (open: string, close: string): string => {
  const from = Page.html.indexOf(open)
  const to = Page.html.indexOf(close, from)
  assert.isTrue(from >= 0 && to > from, open)
  return Page.html.slice(from + open.length, to)
}

const hash = (text: string) => `sha256-${createHash("sha256").update(text).digest("base64")}`

describe("the status page", () => {
  it("is what its sources make", async () => {
    const script: { readonly make: () => Promise<string> } = await import(
      new URL("../../scripts/dashboard.mjs", import.meta.url).href
    )
    const page = new URL("../../src/dashboard/page.ts", import.meta.url)
    assert.isTrue((await script.make()) === readFileSync(page, "utf8"), "run `node scripts/dashboard.mjs`")
  })

  it("has one script and one style, and their hashes are the ones that the policy names", () => {
    assert.strictEqual(hash(between('<script type="module">', "</script>")), Page.scriptHash)
    assert.strictEqual(hash(between("<style>", "</style>")), Page.styleHash)
    assert.strictEqual(Page.html.split("<script").length, 2)
    assert.notMatch(Page.html, /\sstyle="/)
    assert.notMatch(Page.html, /\son[a-z]+="/)
  })

  it("asks no other host for anything", () => {
    const addresses = Page.html.match(/(https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}[^\s"'`)]*/gi) ?? []
    assert.deepStrictEqual([...new Set(addresses)], ["http://www.w3.org/2000/svg"])
    assert.notMatch(Page.html, /innerHTML|outerHTML|insertAdjacentHTML|\beval\(/)
  })

  it("every field has a label, and every id is there once", () => {
    const ids = [...Page.html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id)
    assert.strictEqual(new Set(ids).size, ids.length)
    for (const [, id] of Page.html.matchAll(/<(?:input|select)[^>]*\sid="([^"]+)"/g)) {
      assert.include(Page.html, `<label for="${id}"`)
    }
    assert.include(Page.html, 'aria-live="polite"')
  })

  it("has one source for what it says of the warehouse and of what is served", async () => {
    type State = readonly [mood: string, words: string]
    const Headline: {
      readonly headline: (snapshot: object) => {
        readonly mood: string
        readonly words: string
        readonly served: string
      }
      readonly warehouse: (snapshot: object) => State
      readonly service: (snapshot: object) => State
    } = await import(new URL("../../src/dashboard/client/headline.ts", import.meta.url).href)
    const phases = [
      { phase: "closed" },
      { phase: "disabled" },
      { phase: "half-open", next_probe_in_ms: 900 },
      { phase: "open", next_probe_in_ms: 900 },
      { phase: "open" },
      { phase: "forced-open" }
    ]
    const modes = [
      { mode: "normal", shedding: 0 },
      { mode: "constrained", shedding: 0 },
      { mode: "constrained", shedding: 0.4 },
      { mode: "cache-only", shedding: 1 },
      { mode: "emergency", shedding: 1 }
    ]
    const badness = ["good", "warn", "bad"]
    for (const circuit of phases) {
      for (const mode of modes) {
        const snapshot = { circuit, mode }
        const about = JSON.stringify(snapshot)
        const { mood, served, words } = Headline.headline(snapshot)
        const [ofWarehouse, warehouse] = Headline.warehouse(snapshot)
        const [ofService, service] = Headline.service(snapshot)
        const isOff =
          circuit.phase === "forced-open" || (circuit.phase === "open" && "next_probe_in_ms" in circuit)
        const isRemembering = mode.mode === "cache-only" || mode.mode === "emergency"
        // The headline is as bad as the worst of the two.
        assert.strictEqual(
          badness.indexOf(mood),
          Math.max(badness.indexOf(ofWarehouse), badness.indexOf(ofService)),
          about
        )
        assert.strictEqual(words === "Healthy", ofWarehouse === "good" && ofService === "good", about)
        assert.strictEqual(warehouse === "Healthy", circuit.phase === "closed" && !isRemembering, about)
        // A warehouse that is not called serves nothing, in whatever words.
        assert.strictEqual(/not called/i.test(warehouse), isOff || isRemembering, about)
        if (isOff || isRemembering) assert.strictEqual(ofService, "bad", about)
        assert.strictEqual(
          served === "Every call is served within its limits.",
          service === "Everything is served"
        )
        assert.strictEqual(/turned away/.test(served), /turned away/.test(service), about)
        assert.strictEqual(
          /%/.test(served),
          mode.mode === "constrained" && mode.shedding > 0 && !isOff,
          about
        )
        // A tier may be called "batch" and be served: what counts is how it is set.
        assert.notMatch(served, /batch work/)
      }
    }
  })

  it("says first that the quota store is lost, and what becomes of calls; and which settings are wrong", async () => {
    type Told = readonly [mood: string, words: string]
    const Headline: {
      readonly headline: (snapshot: object) => {
        readonly mood: string
        readonly words: string
        readonly served: string
      }
      readonly concerns: (snapshot: object) => ReadonlyArray<Told>
    } = await import(new URL("../../src/dashboard/client/headline.ts", import.meta.url).href)
    const snapshot = (quota_store: object) => ({
      circuit: { phase: "closed", calls: 0, failures: 0 },
      mode: { mode: "normal" },
      pools: [],
      quotas: [],
      quotas_unavailable: "the same again",
      quota_store,
      rate_limits: [],
      backoff_factor: 1
    })
    const lost = snapshot({ mode: "outage", reason: "the file is damaged", refusing: true, lasting: true })
    assert.deepStrictEqual(Headline.headline(lost), {
      mood: "bad",
      words: "The quota store is out of reach",
      served: "Calls are refused: what is used cannot be counted."
    })
    assert.deepStrictEqual(Headline.concerns(lost), [
      ["bad", "The quota store is out of reach: the file is damaged (an operator has to mend it)"]
    ])
    const memory = snapshot({ mode: "memory", reason: "no disk", refusing: false, lasting: false })
    assert.strictEqual(Headline.headline(memory).mood, "good")
    assert.deepStrictEqual(Headline.concerns(memory), [
      ["warn", "Quotas are counted in this process's memory alone: no disk"]
    ])
    const well = snapshot({ mode: "normal", refusing: false, lasting: false })
    assert.lengthOf(Headline.concerns(well), 1)
    const { quotas_unavailable: _, ...known } = well
    const told = (config: object) => Headline.concerns({ ...known, config }).map(([, words]) => words)
    const wrong = ["limits.burst: expected a whole number", "log.level: expected a level"]
    const words = "The settings that were read last are wrong, and those before stay in force"
    assert.deepStrictEqual(told({ faults: 0 }), [])
    assert.deepStrictEqual(told({ faults: 2 }), [`${words}: 2 faults`])
    assert.deepStrictEqual(told({ faults: 2, wrong }), [`${words}: ${wrong.join("; ")}`])
  })
})
