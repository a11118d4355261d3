/**
 * Where a user's state belongs on each platform.
 *
 * @since 0.1.0
 */
import * as path from "node:path"

/**
 * @since 0.1.0
 * @category models
 */
export interface Environment {
  /** As in `process.platform`. */
  readonly platform: string
  readonly env: { readonly [name: string]: string | undefined }
  /** The user's home directory. */
  readonly home: string
  /** A relative `SNOWGUARD_STATE_DIR` starts here. */
  readonly cwd: string
}

/**
 * `SNOWGUARD_STATE_DIR` if it is set; otherwise `snowguard` in `$XDG_STATE_HOME` or `~/.local/state`, in
 * `~/Library/Application Support` on macOS, in `%LOCALAPPDATA%` on Windows. It must be a local
 * disk: processes share memory through the files in it, which network file systems do not offer.
 *
 * @since 0.1.0
 * @category combinators
 */
export const stateDir = ({ cwd, env, home, platform }: Environment): string => {
  const { isAbsolute, join, resolve } = platform === "win32" ? path.win32 : path.posix
  /** What is empty or relative counts as not set, as the XDG specification demands. */
  const absolute = (name: string): string | undefined => {
    const value = env[name]
    return value !== undefined && isAbsolute(value) ? value : undefined
  }
  const override = env["SNOWGUARD_STATE_DIR"]
  if (override !== undefined && override !== "") {
    return /^~([/\\]|$)/.test(override) ? join(home, override.slice(1)) : resolve(cwd, override)
  }
  switch (platform) {
    case "win32":
      return join(absolute("LOCALAPPDATA") ?? join(home, "AppData", "Local"), "snowguard")
    case "darwin":
      return join(absolute("XDG_STATE_HOME") ?? join(home, "Library", "Application Support"), "snowguard")
    default:
      return join(absolute("XDG_STATE_HOME") ?? join(home, ".local", "state"), "snowguard")
  }
}
