import { createHash } from "node:crypto"

/** A Lua script and the name under which Redis remembers it. Its answer is one string. */
export interface Script {
  readonly source: string
  readonly sha: string
}

export const make = (source: string): Script => ({
  source,
  sha: createHash("sha1").update(source).digest("hex")
})
