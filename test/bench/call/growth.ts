/**
 * What a call costs with so many clients known: the whole server below the transport, with its default quota store,
 * in front of a warehouse that answers at once. Writes one line of JSON for each number of clients that it is given.
 */
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js"
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Effect, Exit, Logger, LogLevel, Scope } from "effect"
import * as ServerConfig from "../../../src/config/ServerConfig.js"
import * as Degradation from "../../../src/guard/Degradation.js"
import * as McpServer from "../../../src/mcp/McpServer.js"
import * as Principal from "../../../src/platform/Principal.js"
import * as Server from "../../../src/server/Server.js"
import * as Testing from "../../../src/server/Testing.js"
import { median } from "../harness.js"

const sql = "SELECT 1 AS ONE"
const answers = { [sql]: { columns: [{ name: "ONE", type: "NUMBER(1,0)", nullable: false }], rows: [[1]] } }

/** A connection without a wire. */
class Direct implements Transport {
  onmessage?: NonNullable<Transport["onmessage"]>
  private readonly pending = new Map<unknown, (message: JSONRPCMessage) => void>()
  private nextId = 1
  start = () => Promise.resolve()
  close = () => Promise.resolve()
  send = (message: JSONRPCMessage) => {
    if ("id" in message) this.pending.get(message.id)?.(message)
    return Promise.resolve()
  }
  async call(): Promise<void> {
    const id = this.nextId++
    const answer = new Promise<JSONRPCMessage>((resolve) => this.pending.set(id, resolve))
    const params = { name: "execute_query", arguments: { sql } }
    this.onmessage?.({ jsonrpc: "2.0", id, method: "tools/call", params })
    const message = await answer
    this.pending.delete(id)
    if (!("result" in message) || message.result["isError"] === true) throw new Error(JSON.stringify(message))
  }
}

const CONNECTIONS = 100
const AT_ONCE = 20

const measured = async (connections: ReadonlyArray<Direct>, calls: number) => {
  const before = process.cpuUsage()
  let next = 0
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < calls) await connections[next++ % connections.length]!.call()
    })
  )
  const { system, user } = process.cpuUsage(before)
  return (system + user) / calls
}

const program = Effect.gen(function* () {
  const { settings } = yield* ServerConfig.load({})
  const layer = Server.layer(settings, {
    warehouse: Testing.layerWarehouse(answers),
    readOnly: Testing.layerReadOnlyNoop,
    // A machine that is busy with others must not end the measurement.
    degradation: Degradation.layer()
  })
  yield* Effect.gen(function* () {
    const server = yield* McpServer.McpServer
    const open = (client: string) => {
      const direct = new Direct()
      return Effect.as(server.connect(direct, Principal.make(client)), direct)
    }
    const once = (client: string) =>
      Effect.scoped(Effect.flatMap(open(client), (direct) => Effect.promise(() => direct.call())))
    let known = 0
    for (const clients of process.argv.slice(2).map(Number)) {
      yield* Effect.forEach(
        Array.from({ length: clients - known }, (_, i) => `client-${known + i}`),
        once,
        { concurrency: AT_ONCE, discard: true }
      )
      known = clients
      const width = Math.min(CONNECTIONS, clients)
      const scope = yield* Scope.make()
      const connections = yield* Effect.forEach(
        Array.from({ length: width }, (_, i) => `client-${Math.floor((i * clients) / width)}`),
        (client) => Scope.extend(open(client), scope)
      )
      const rounds: Array<number> = []
      for (let round = known === 1 ? -5 : -1; round < 5; round++) {
        const us = yield* Effect.promise(() => measured(connections, 400))
        if (round >= 0) rounds.push(us)
      }
      yield* Scope.close(scope, Exit.void)
      globalThis.gc?.()
      const heap = process.memoryUsage().heapUsed
      process.stdout.write(`${JSON.stringify({ clients, cpuUs: median(rounds), heap })}\n`)
    }
  }).pipe(Effect.provide(layer))
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Error)), {
  disablePrettyLogger: true,
  disableErrorReporting: true,
  teardown: (exit) => {
    if (Exit.isFailure(exit)) process.stderr.write(`${Cause.pretty(exit.cause)}\n`)
    process.exit(Exit.isSuccess(exit) ? 0 : 1)
  }
})
