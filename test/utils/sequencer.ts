import { createHash } from "node:crypto"
import type { TestSpecification } from "vitest/node"
import { BaseSequencer } from "vitest/node"
import { isLong } from "./long.js"

/** Files of more than ten seconds. Begun last, one of them would run alone while the other workers are done. */
const long = [
  "dashboard/PageAccessibility.browser",
  "simulation/simulate",
  "warehouse/duckdb/client",
  "warehouse/SnowflakeBin",
  "cli/bin",
  "masking/Attacks",
  "masking/Tools",
  "identity/Visibility",
  "cli/exitCodes.bin",
  "cli/ownData.bin",
  "warehouse/SnowflakeLogins"
].map((name) => `/test/${name}.test.ts`)

/** Fewer files are a choice of some. */
const WHOLE = 200

/** Long files first, all others in an order that the seed of the run draws. */
export default class LongFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const { seed } = this.ctx.config.sequence
    // A run of everything: what is listed is there, or the list is out of date.
    const isWhole = files.length > WHOLE && !isLong
    const gone = long.filter((name) => !files.some(({ moduleId }) => moduleId.endsWith(name)))
    if (isWhole && gone.length > 0) throw new Error(`no such test: ${gone.join(", ")}`)
    console.log(`order of the files: --sequence.seed=${seed}`)
    const rank = ({ moduleId }: TestSpecification): string => {
      const place = long.findIndex((name) => moduleId.endsWith(name))
      return place < 0
        ? createHash("sha256").update(`${seed} ${moduleId}`).digest("hex")
        : // Before every digest.
          ` ${String.fromCharCode(97 + place)}`
    }
    return files
      .map((file) => ({ file, rank: rank(file) }))
      .sort((a, b) => (a.rank < b.rank ? -1 : 1))
      .map(({ file }) => file)
  }
}
