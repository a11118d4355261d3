// Loaded into every server that `bench:call` measures (node --import), the peers' too: answers over the IPC
// channel what the process has cost so far, and takes CPU profiles of it. It does nothing until it is asked.
import { Session } from "node:inspector"

let session
const post = (method, params) =>
  new Promise((resolve, reject) =>
    session.post(method, params, (error, result) => (error === null ? resolve(result) : reject(error)))
  )

const answers = {
  /** CPU microseconds of all threads, and the largest RSS so far in bytes. */
  cost: () => {
    const { system, user } = process.cpuUsage()
    return { cpu: system + user, rss: process.memoryUsage.rss(), peak: process.resourceUsage().maxRSS * 1024 }
  },
  profile: async () => {
    session = new Session()
    session.connect()
    await post("Profiler.enable")
    await post("Profiler.setSamplingInterval", { interval: 200 })
    await post("Profiler.start")
  },
  profiled: async () => {
    const { profile } = await post("Profiler.stop")
    session.disconnect()
    return profile
  },
  /** Of the runtime, where the program counts it (test/bench/call/counted.ts). */
  counts: () => globalThis.countsOfTheRuntime?.()
}

process.on("message", ({ ask, id }) => {
  if (answers[ask] === undefined) return
  void (async () => process.send({ id, answer: await answers[ask]() }))()
})
// A server ends when its client leaves, also while it is measured.
process.channel?.unref()
