/** Drivers are optional dependencies: an installation for the layers alone may leave them out. */

/** The driver itself is absent; not one that is there and fails, or of whose own parts one is absent. */
export const isAbsent = (driver: string, cause: unknown): boolean => {
  if (cause instanceof Error && cause.cause !== undefined) return isAbsent(driver, cause.cause)
  const said = cause instanceof Error ? cause.message : String(cause)
  const [, absent = ""] = /Cannot find (?:module|package) '([^']+)'/.exec(said) ?? []
  return absent === driver || absent.startsWith(`${driver}/`)
}

/** Why a driver could not be loaded, and what to do. */
export const notLoaded = (driver: string, cause: unknown): string =>
  isAbsent(driver, cause)
    ? `The driver ${driver} is not installed. Install snowguard with its optional dependencies (without --omit=optional).`
    : `The driver ${driver} could not be loaded; reinstall it on the server.`
