/** The start of the built binary loads the SDK of the era that its client speaks, and not the other one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import * as H from "../../utils/http.js"
import { folder } from "../../utils/httpProcess.js"
import { bin, cleanEnv } from "../../utils/server.js"

interface Range {
  readonly startOffset: number
  readonly endOffset: number
  readonly count: number
}

const probe = new URL("../../utils/evaluated.mjs", import.meta.url).href

/** A text in the body of a module, of our own one and of the SDK's. */
const marks = {
  "2025": ["super.assertTaskHandlerCapability(", "MCP error ${"],
  "2026": ['"prompts/get":"name"', "PerRequestHTTPServerTransport is already started"]
}

/** Which eras were loaded by the end of a conversation. */
const loadedBy = (said: ReadonlyArray<object>) =>
  Effect.map(folder, (state) => {
    const to = join(state, "evaluated.json")
    const { status, stderr, stdout } = spawnSync(process.execPath, ["--import", probe, bin], {
      env: cleanEnv({ EVALUATED_TO: to }),
      input: said.map((message) => `${JSON.stringify(message)}\n`).join(""),
      encoding: "utf8"
    })
    assert.strictEqual(status, 0, stderr)
    const answers = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly result?: object })
    for (const { result } of answers) assert.isDefined(result)
    assert.strictEqual(answers.length, said.filter((message) => "id" in message).length)
    const { functions, path }: { readonly functions: ReadonlyArray<Range>; readonly path: string } =
      JSON.parse(readFileSync(to, "utf8"))
    const text = readFileSync(join(dirname(bin), "bundle", basename(path)), "utf8")
    // The bundle itself is a function, too.
    const inner = functions.filter(({ endOffset, startOffset }) => endOffset - startOffset < text.length / 2)
    const isLoaded = (mark: string) => {
      const at = text.indexOf(mark)
      assert.isAtLeast(at, 0, `the bundle has no ${mark}`)
      return inner.some(
        ({ count, endOffset, startOffset }) => count > 0 && startOffset <= at && at < endOffset
      )
    }
    return Object.entries(marks).flatMap(([era, texts]) =>
      texts.map((mark) => `${era} ${mark} ${isLoaded(mark)}`)
    )
  })

const only = (...eras: ReadonlyArray<string>) =>
  Object.entries(marks).flatMap(([era, texts]) => texts.map((mark) => `${era} ${mark} ${eras.includes(era)}`))

const legacy = [
  H.initialize(1),
  H.message(undefined, "notifications/initialized"),
  H.toolCall(2, "get_limits")
]
const discover = H.message(1, "server/discover", { _meta: H.envelope })
const call = H.message(2, "tools/call", { name: "get_limits", arguments: {}, _meta: H.envelope })

describe("the binary over stdio", () => {
  it.scopedLive("loads the SDK of the 2025 era alone for a client that begins with initialize", () =>
    Effect.map(loadedBy(legacy), (found) => assert.deepStrictEqual(found, only("2025")))
  )

  it.scopedLive("loads the SDK of the 2026 era alone for a client that begins with server/discover", () =>
    Effect.map(loadedBy([discover, call]), (found) => assert.deepStrictEqual(found, only("2026")))
  )

  it.scopedLive("loads both for a client that asks with the one and goes on with the other", () =>
    Effect.map(
      loadedBy([
        discover,
        ...legacy.map((message) => ("id" in message ? { ...message, id: Number(message.id) + 1 } : message))
      ]),
      (found) => assert.deepStrictEqual(found, only("2025", "2026"))
    )
  )
})
