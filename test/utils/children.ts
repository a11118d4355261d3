import { readdirSync, readFileSync } from "node:fs"

/**
 * Processes of the embedded warehouse that `parent` has begun and that live; empty where the system does not list
 * them. Not every child: the worker of the test runner has others, such as the bundler's.
 */
export const childrenOf = (parent: number = process.pid): ReadonlyArray<number> => {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((name) => {
        try {
          const [, state, of] = /\) (\S) (\d+)/.exec(readFileSync(`/proc/${name}/stat`, "utf8")) ?? []
          return (
            of === String(parent) &&
            state !== "Z" &&
            readFileSync(`/proc/${name}/cmdline`, "utf8").includes("embedded.js")
          )
        } catch {
          return false
        }
      })
      .map(Number)
  } catch {
    return []
  }
}

/** Those that were begun from now on: what other tests have begun may still be ending. */
export const newChildren = (): (() => ReadonlyArray<number>) => {
  const others = new Set(childrenOf())
  return () => childrenOf().filter((pid) => !others.has(pid))
}
