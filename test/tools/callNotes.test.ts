import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { CurrentNotes } from "../../src/tools/callNotes.js"

it.effect("outside of a server nothing is kept of what calls of tools note", () =>
  Effect.gen(function* () {
    const notes = yield* CurrentNotes
    notes.observed({ code: "RATE_LIMITED", scope: "client", retryAfterMs: 1 })
    assert.strictEqual(notes.metered, undefined)
    assert.strictEqual(notes.all.wouldRefuse, undefined)
    assert.deepStrictEqual(notes.limits(), [])
  })
)
