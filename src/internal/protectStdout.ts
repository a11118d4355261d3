// Imported before everything else by the binary: a library that logs to the console while it loads
// would otherwise write into the protocol.
/* eslint-disable no-console */
console.log = console.error
console.info = console.error
console.debug = console.error
console.warn = console.error
console.dir = (...args: ReadonlyArray<unknown>) => console.error(args[0])
console.table = (...args: ReadonlyArray<unknown>) => console.error(args[0])
