import { Console } from "node:console"

/** Everything that `console` would write to stdout goes to stderr. Returns what undoes it. */
export const consoleToStderr = (): (() => void) => {
  const { debug, dir, dirxml, info, log, table } = console
  const stderr = new Console(process.stderr)
  Object.assign(console, {
    debug: stderr.debug,
    dir: stderr.dir,
    dirxml: stderr.dirxml,
    info: stderr.info,
    log: stderr.log,
    table: stderr.table
  })
  return () => void Object.assign(console, { debug, dir, dirxml, info, log, table })
}
