import { afterAll, describe, expect, it } from "vitest"
import * as Run from "./run.js"
import { shortOrLong } from "../utils/long.js"

const TRIALS = shortOrLong(2, 5)

describe("a quota file that processes share", () => {
  const targets: Array<Run.Target> = []
  const fresh = async (): Promise<Run.Target> => {
    const target = await Run.targetOf("sqlite")
    if (target === undefined) throw new Error("no target")
    targets.push(target)
    return target
  }
  afterAll(() => targets.forEach(({ stop }) => stop()))

  it("loses nothing, invents nothing and hangs nobody when processes are killed at random", async () => {
    const figures = await Run.kill9(await fresh(), { rounds: shortOrLong(1, 2), processes: 3 })
    expect(figures).toMatchObject({ lost: 0, invented: 0, corrupt: 0, hung: 0, aboveLimit: 0 })
    expect(figures.complaint).toBeUndefined()
    expect(figures.acknowledged).toBeGreaterThan(figures.kills)
  })

  it("lets exactly the limit through, trial after trial", async () => {
    const figures = await Run.exact(await fresh(), { trials: TRIALS, processes: 3 })
    expect(figures.complaint).toBeUndefined()
    expect(figures).toMatchObject({ trials: TRIALS, inexact: 0 })
  })
})
