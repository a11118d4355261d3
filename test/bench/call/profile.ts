/**
 * A CPU profile by the parts of a call. Each sample belongs to the nearest frame, from the innermost outwards, whose
 * file is one of a part: what Effect's data structures, a schema or node do for the gate is the gate's. What is nobody's
 * below the fibers' loop is the runtime's. The parts add up to the whole. Pure.
 */

export interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
      readonly columnNumber: number
    }
    readonly children?: ReadonlyArray<number>
    readonly positionTicks?: ReadonlyArray<{ readonly line: number; readonly ticks: number }>
  }>
  readonly samples: ReadonlyArray<number>
  /** Microseconds. */
  readonly timeDeltas: ReadonlyArray<number>
}

/** Where a frame is in the sources: a path below the root of the project, `node:...`, or nothing. */
export interface Frame {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly name: string
  readonly text?: string | undefined
}

export type Locate = (url: string, line: number, column: number) => Omit<Frame, "name">

export const parts = [
  "transport and SDK",
  "schema decode",
  "tools",
  "gate",
  "guard",
  "quota store",
  "driver",
  "shaping",
  "encode",
  "telemetry",
  "the rest of ours",
  "Effect's runtime",
  "garbage collection",
  "node and V8"
] as const
export type Part = (typeof parts)[number] | "idle"

/** The first that fits. What fits none leaves it to the frame that called it. */
const byFile: ReadonlyArray<readonly [RegExp, Part]> = [
  [/^src\/mcp\/(Observed|mcpMetrics|logCause)\.ts$|^src\/observe\//, "telemetry"],
  [/^src\/mcp\/|@modelcontextprotocol\/|\/zod\//, "transport and SDK"],
  [/^src\/tools\/(input|jsonSchema)\.ts$/, "schema decode"],
  [
    /^src\/tools\/(collect|formats)\.ts$|^src\/platform\/core\/(ResultShape|JsonBytes)|^src\/tools\/core\//,
    "shaping"
  ],
  [/^src\/tools\//, "tools"],
  [/^src\/(gate|sql)\//, "gate"],
  [/^src\/guard\//, "guard"],
  [/^src\/quota\/|@photostructure\/sqlite|node:sqlite/, "quota store"],
  [
    /^src\/warehouse\/|snowflake-sdk|axios|follow-redirects|@duckdb|node:(_http|internal\/http|zlib|url|internal\/url)/,
    "driver"
  ],
  [/^(src|test)\/(?!platform\/)/, "the rest of ours"],
  [/(^|\/)effect\/.*\/(metric|logger)/i, "telemetry"],
  [/node_modules\/(?!effect\/|@effect\/)/, "driver"]
]

/** Nodes of the profile that are no functions. */
const special: ReadonlyMap<string, Part> = new Map([
  ["(garbage collector)", "garbage collection"],
  ["(program)", "node and V8"],
  ["(idle)", "idle"]
])

/** By its name inside of the bundle, which keeps where Effect's own sources were. */
const isEffect = (file: string): boolean => /(^|\/)@?effect\//.test(file)

const isSchema = (file: string): boolean =>
  /(^|\/)effect\/.*\/(ParseResult|Schema|SchemaAST)\.[jt]s$/.test(file)

const encodes = (text: string | undefined): boolean => text !== undefined && /JSON\.stringify/.test(text)

/** Of a stack, from the innermost frame outwards. */
export const partOf = (stack: ReadonlyArray<Frame>): Part => {
  const [leaf] = stack
  if (leaf === undefined) return "node and V8"
  const known = special.get(leaf.name)
  if (known !== undefined) return known
  if (encodes(leaf.text)) return "encode"
  let schema = false
  let effect = false
  for (const { file, name } of stack) {
    schema ||= isSchema(file)
    effect ||= isEffect(file)
    if (isEffect(file) && /span/i.test(name)) return "telemetry"
    // Asking for figures and profiles is nobody's call.
    if (file.endsWith("bench-call-probe.mjs")) return "idle"
    const part = byFile.find(([pattern]) => pattern.test(file))?.[1]
    if (part !== undefined) {
      if (schema && part === "transport and SDK") return "encode"
      return part
    }
    if (name === "runLoop" && effect) return schema ? "encode" : "Effect's runtime"
  }
  return effect ? "Effect's runtime" : "node and V8"
}

/** Microseconds between two samples that are believed: a few times what was asked for. */
const MOST_US = 1_000

export interface Spent {
  /** Microseconds. */
  readonly parts: ReadonlyMap<Part, number>
  /** Where most time is spent itself: `file:line name`, microseconds. */
  readonly lines: ReadonlyMap<string, number>
}

export const spent = (profile: Profile, locate: Locate): Spent => {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map<number, number>()
  for (const { children = [], id } of profile.nodes) for (const child of children) parents.set(child, id)
  const self = new Map<number, number>()
  profile.samples.forEach((id, i) => {
    // A thread that waited for a core between two samples did not spend that time.
    const us = Math.min(MOST_US, Math.max(0, profile.timeDeltas[i] ?? 0))
    self.set(id, (self.get(id) ?? 0) + us)
  })

  const frames = new Map<number, Frame>()
  const frameOf = (id: number): Frame => {
    const found = frames.get(id)
    if (found !== undefined) return found
    const { columnNumber, functionName, lineNumber, url } = nodes.get(id)!.callFrame
    const frame = { ...locate(url, lineNumber, columnNumber), name: functionName }
    frames.set(id, frame)
    return frame
  }
  const stackOf = (id: number): ReadonlyArray<Frame> => {
    const stack: Array<Frame> = []
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) stack.push(frameOf(at))
    return stack
  }

  const byPart = new Map<Part, number>()
  const lines = new Map<string, number>()
  const add = <K>(to: Map<K, number>, key: K, us: number) => to.set(key, (to.get(key) ?? 0) + us)
  for (const [id, us] of self) {
    const node = nodes.get(id)!
    const [leaf, ...rest] = stackOf(id)
    if (leaf === undefined) continue
    const ticks = node.positionTicks ?? []
    const total = ticks.reduce((sum, one) => sum + one.ticks, 0)
    // The lines of the function that were hit, where V8 tells; native code has none of its own.
    const pieces =
      total === 0
        ? [{ share: 1, frame: leaf }]
        : ticks.map((one) => ({
            share: one.ticks / total,
            frame: { ...locate(node.callFrame.url, one.line - 1, 0), name: leaf.name }
          }))
    for (const { frame, share } of pieces) {
      // A line that maps to nothing is still in its function's file.
      const inner = frame.file === "" ? { ...leaf, line: frame.line } : frame
      const part = partOf([inner, ...rest])
      add(byPart, part, us * share)
      if (part !== "idle") add(lines, `${inner.file}:${inner.line} ${inner.name}`, us * share)
    }
  }
  return { parts: byPart, lines }
}

/**
 * CPU microseconds a call by part. The whole is what the process was charged: the main thread's, which the profile
 * divides, and that of all others.
 */
export const perCall = (
  spentIn: ReadonlyMap<Part, number>,
  cpu: { readonly whole: number; readonly main: number },
  calls: number
): ReadonlyArray<{ readonly part: string; readonly us: number }> => {
  const busy = [...spentIn].reduce((sum, [part, us]) => (part === "idle" ? sum : sum + us), 0)
  const main = Math.min(cpu.main, cpu.whole)
  return [
    ...parts.map((part) => ({ part, us: ((spentIn.get(part) ?? 0) / busy) * (main / calls) })),
    { part: "other threads", us: (cpu.whole - main) / calls }
  ]
}
