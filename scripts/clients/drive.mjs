// Drives one client through one row of the table. The parent says what to do, and gets each cell as it is
// known; the parent bounds all of it in time.
import { pathToFileURL } from "node:url"

const [task] = await new Promise((resolve) => process.once("message", (...args) => resolve(args)))
const tell = (message) => new Promise((resolve) => process.send(message, resolve))
const told = (what) =>
  new Promise((resolve) => {
    const listen = (message) => {
      if (!(what in message)) return
      process.off("message", listen)
      resolve(message[what])
    }
    process.on("message", listen)
  })

/** A cell: what it returns is what is printed, "ok" if nothing. */
const cell = async (name, work) => {
  try {
    await tell({ cell: name, value: (await work()) ?? "ok" })
  } catch (error) {
    await tell({ cell: name, value: String(error?.stack ?? error), failed: true })
  }
}
const holds = (what, text) => {
  if (!what.test(text.replace(/\s/g, ""))) throw new Error(`answers ${what} not, but ${text}`)
}
/** A client may throw what the server refused; its text is what is looked at. */
const shown = (work) => work.then(String, (error) => String(error?.message ?? error))

let client
await cell("connect", async () => {
  client = await (await import(pathToFileURL(task.driver).href)).open(task)
})
if (client !== undefined) {
  await cell("list", async () => {
    const names = (await client.list()).toSorted()
    if (names.join() !== task.tools.join()) throw new Error(`lists ${names}`)
  })
  await cell("call", async () => {
    holds(/\[\[1\]\]/, await client.call("execute_query", { sql: "select 1 as one" }))
    holds(/SNOWGUARD_SAMPLE/, await client.call("list_databases", {}))
  })
  await cell("refusal", async () =>
    holds(/STATEMENT_REJECTED/, await shown(client.call("execute_query", { sql: task.drop })))
  )
  await cell("cancel", async () => {
    if (client.cancels === undefined) return "-"
    const controller = new AbortController()
    const call = shown(client.call("execute_query", { sql: task.endless }, controller.signal))
    const ended = call.then((text) => {
      throw new Error(`ended before it was cancelled: ${text}`)
    })
    const ready = told("runs")
    await tell({ called: true })
    if (client.cancels === "timeout") await Promise.all([ready, call])
    else await Promise.race([ready, ended])
    ended.catch(() => {})
    if (client.cancels === "close") await client.close()
    else controller.abort()
    await call
    const verdict = told("status")
    await tell({ gaveUp: true })
    const status = await verdict
    if (status !== "ABORTED") throw new Error(`the statement is ${status} in the warehouse`)
    return client.cancels === "signal" ? "ok" : `ok (${client.cancels})`
  })
  await client.close()
}
process.disconnect()
