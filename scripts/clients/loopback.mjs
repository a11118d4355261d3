// Loaded before a client: what it reports home is not sent, and what it serves is for this machine alone.
import * as Net from "node:net"

const isLoopback = (host) => host === undefined || /^(localhost|127\.|::1$|\[::1\])/.test(host)
const { connect } = Net.Socket.prototype
const { listen } = Net.Server.prototype

Net.Socket.prototype.connect = function (...args) {
  const [first, second] = Array.isArray(args[0]) ? args[0] : args
  const host = typeof first === "object" && first !== null ? (first.path ? undefined : first.host) : second
  if (typeof host !== "string" || isLoopback(host)) return connect.apply(this, args)
  process.nextTick(() => this.destroy(new Error(`not on loopback: ${host}`)))
  return this
}

Net.Server.prototype.listen = function (...args) {
  if (typeof args[0] === "object" && args[0] !== null && args[0].port !== undefined) {
    return listen.call(this, { host: "127.0.0.1", ...args[0] }, ...args.slice(1))
  }
  return /^\d+$/.test(String(args[0])) && typeof args[1] !== "string"
    ? listen.call(this, args[0], "127.0.0.1", ...args.slice(1))
    : listen.apply(this, args)
}
