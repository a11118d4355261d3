import { readdirSync, readFileSync } from "node:fs"

/** Processes that `parent` has begun and that live; empty where the system does not list them. */
export const childrenOf = (parent: number = process.pid): ReadonlyArray<number> => {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((name) => {
        try {
          const [, state, of] = /\) (\S) (\d+)/.exec(readFileSync(`/proc/${name}/stat`, "utf8")) ?? []
          return of === String(parent) && state !== "Z"
        } catch {
          return false
        }
      })
      .map(Number)
  } catch {
    return []
  }
}
