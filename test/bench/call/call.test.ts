import { describe, expect, it } from "vitest"
import { cpuOfDescendants, difference, goal, ratio, statOf, table } from "./figures.js"
import type { Frame, Profile } from "./profile.js"
import { partOf, perCall, spent } from "./profile.js"

/** A line of /proc/PID/stat with the CPU that is given. */
const stat = (
  pid: number,
  parent: number,
  [user, system, cuser, csystem]: readonly [number, number, number, number],
  name = "node"
) =>
  `${pid} (${name}) S ${parent} 1 1 0 -1 4194304 119 0 0 0 ${user} ${system} ${cuser} ${csystem} 20 0 1 0 99`

const frame = (file: string, name = "f", text?: string): Frame => ({ file, line: 1, name, text })

describe("the CPU of a server's children", () => {
  it("is read behind a program's name, whatever is in that", () => {
    expect(statOf(stat(7, 3, [10, 2, 4, 1], "a) S 9 (b"))).toEqual({ pid: 7, parent: 3, own: 12, waited: 5 })
  })

  it("adds up over grandchildren, and leaves out the process itself and strangers", () => {
    const lines = [
      stat(1, 0, [100, 0, 0, 0]),
      stat(2, 1, [5, 1, 0, 0]),
      stat(3, 2, [10, 0, 20, 0]),
      stat(4, 9, [1000, 0, 0, 0])
    ]
    expect(cpuOfDescendants(lines, 1)).toBe(36)
    expect(cpuOfDescendants(lines, 3)).toBe(0)
  })
})

describe("comparisons", () => {
  it("are made within each round, before the median is taken", () => {
    expect(ratio([2, 40, 6], [1, 10, 2])).toBe(3)
    expect(difference([2, 40, 6], [1, 10, 2])).toBe(4)
  })

  it("are met or missed at the goal itself, and left out where a figure is missing", () => {
    expect(goal("a", 1.5, "at most", 1.5)).toMatchObject({ met: true })
    expect(goal("a", 1.51, "at most", 1.5)).toMatchObject({ met: false })
    expect(goal("a", 0.99, "at least", 1)).toMatchObject({ met: false })
    expect(goal("a", undefined, "at most", 1)).toBeUndefined()
    expect(goal("a", Number.NaN, "at most", 1)).toBeUndefined()
  })

  it("are printed with the digits that a reader needs", () => {
    expect(
      table(
        ["x", "y"],
        [
          ["a", 12345.6],
          ["b", 0.123],
          ["c", undefined],
          ["d", 12.34]
        ]
      )
    ).toBe(
      ["| x | y |", "| --- | ---: |", "| a | 12,346 |", "| b | 0.12 |", "| c | - |", "| d | 12.3 |"].join(
        "\n"
      )
    )
  })
})

describe("a sample of a profile", () => {
  const runLoop = [
    frame("effect/src/internal/tracer.ts", "context"),
    frame("effect/src/internal/fiberRuntime.ts", "runLoop")
  ]

  it("belongs to the nearest file of a part, whatever that called", () => {
    expect(partOf([frame("effect/src/HashMap.ts"), frame("src/gate/core/Lexer.ts"), ...runLoop])).toBe("gate")
    expect(
      partOf([frame("src/platform/monotonic.ts"), frame("src/guard/Call.ts"), frame("src/mcp/McpServer.ts")])
    ).toBe("guard")
    expect(
      partOf([
        frame("node:internal/streams/writable"),
        frame("@modelcontextprotocol/sdk/dist/server/stdio.js")
      ])
    ).toBe("transport and SDK")
    expect(partOf([frame("node_modules/axios/lib/core.js"), frame("src/warehouse/snowflake/wire.ts")])).toBe(
      "driver"
    )
    expect(
      partOf([
        frame("node_modules/@photostructure/sqlite/dist/index.js"),
        frame("src/quota/stores/Sqlite.ts")
      ])
    ).toBe("quota store")
  })

  it("is the runtime's where no part is between it and the loop", () => {
    expect(
      partOf([
        frame("effect/src/internal/fiberRuntime.ts", "OnSuccess"),
        ...runLoop,
        frame("src/mcp/requestRunner.ts")
      ])
    ).toBe("Effect's runtime")
  })

  it("is a schema's on the way in, and encoding on the way out", () => {
    expect(
      partOf([frame("effect/src/ParseResult.ts"), frame("src/tools/input.ts"), frame("src/mcp/McpServer.ts")])
    ).toBe("schema decode")
    expect(partOf([frame("effect/src/ParseResult.ts"), frame("src/mcp/McpServer.ts"), ...runLoop])).toBe(
      "encode"
    )
    expect(partOf([frame("effect/src/ParseResult.ts"), ...runLoop])).toBe("encode")
    expect(partOf([frame("src/mcp/McpServer.ts", "run", "const text = JSON.stringify(value)")])).toBe(
      "encode"
    )
  })

  it("is what the profiler calls it where there is no function", () => {
    expect(partOf([frame("", "(garbage collector)"), frame("src/guard/Guard.ts")])).toBe("garbage collection")
    expect(partOf([frame("", "(idle)")])).toBe("idle")
    expect(partOf([frame("src/guard/Guard.ts", "toString")])).toBe("guard")
    expect(partOf([frame("node:internal/timers", "listOnTimeout")])).toBe("node and V8")
  })
})

describe("a profile", () => {
  const node = (id: number, name: string, url: string, children: ReadonlyArray<number> = []) => ({
    id,
    callFrame: { functionName: name, url, lineNumber: 9, columnNumber: 0 },
    children
  })
  const profile: Profile = {
    nodes: [
      node(1, "(root)", "", [2, 3, 5]),
      node(2, "check", "src/gate/core/Lexer.ts"),
      node(3, "runLoop", "effect/src/internal/fiberRuntime.ts", [4]),
      node(4, "run", "src/guard/Guard.ts"),
      node(5, "(idle)", "")
    ],
    samples: [2, 4, 3, 5, 4],
    timeDeltas: [200, 200, 400, 900, 50_000]
  }
  const found = spent(profile, (url, line) => ({ file: url, line: line + 1 }))

  it("gives each part its own time, and no part the time in which the thread had no core", () => {
    expect(Object.fromEntries(found.parts)).toEqual({
      gate: 200,
      guard: 1_200,
      "Effect's runtime": 400,
      idle: 900
    })
    expect(found.lines.get("src/guard/Guard.ts:10 run")).toBe(1_200)
  })

  it("adds up to what the process was charged, idle time not included", () => {
    const each = perCall(found.parts, { whole: 9_000, main: 7_200 }, 10)
    expect(each.reduce((sum, { us }) => sum + us, 0)).toBeCloseTo(900)
    expect(each.find(({ part }) => part === "guard")?.us).toBeCloseTo(480)
    expect(each.find(({ part }) => part === "other threads")?.us).toBeCloseTo(180)
  })
})
