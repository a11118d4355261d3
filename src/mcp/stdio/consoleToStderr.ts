/* eslint-disable no-console */
const toStderr = (...args: ReadonlyArray<unknown>): void => console.error(args[0])

/** Everything that `console` would write to stdout goes to stderr. Returns what undoes it. */
export const consoleToStderr = (): (() => void) => {
  const { debug, dir, info, log, table } = console
  const { error } = console
  Object.assign(console, { debug: error, dir: toStderr, info: error, log: error, table: toStderr })
  return () => void Object.assign(console, { debug, dir, info, log, table })
}
