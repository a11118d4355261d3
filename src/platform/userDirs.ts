/**
 * Where a user's files belong on each platform, and where relative paths start.
 *
 * The working directory decides nothing of this: clients start servers in whatever directory is open, and its
 * files may belong to any user.
 */
import * as Either from "effect/Either"
import { userInfo } from "node:os"
import * as path from "node:path"

export interface Environment {
  /** As in `process.platform`. */
  readonly platform: string
  readonly env: { readonly [name: string]: string | undefined }
  /** The user's home directory; none where the system knows none. */
  readonly home: string | undefined
  /** The working directory; none when it has been removed. */
  readonly cwd: string | undefined
}

type Place = Pick<Environment, "platform" | "home">

const pathOf = (platform: string): path.PlatformPath => (platform === "win32" ? path.win32 : path.posix)

/** What is empty or relative counts as not set, as the XDG specification demands. */
const absolute = ({ env, platform }: Pick<Environment, "env" | "platform">, name: string) => {
  const value = env[name]
  return value !== undefined && pathOf(platform).isAbsolute(value) ? value : undefined
}

const attempt = (read: () => string): string | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

/**
 * The home directory: `HOME` (`USERPROFILE` on Windows), or what the system has for this user. `os.homedir()`
 * throws for a user without an entry, and takes a relative or empty `HOME` for a directory.
 */
export const homeOf = (
  env: Environment["env"],
  platform: string,
  ofSystem: () => string = () => userInfo().homedir
): string | undefined =>
  absolute({ env, platform }, platform === "win32" ? "USERPROFILE" : "HOME") ??
  absolute({ env: { home: attempt(ofSystem) }, platform }, "home")

/**
 * Of this process.
 */
export const current = (env: Environment["env"] = process.env): Environment => ({
  platform: process.platform,
  env,
  home: homeOf(env, process.platform),
  cwd: attempt(() => process.cwd())
})

/**
 * DuckDB aborts the process in a working directory that was removed, so a process leaves such a one before it loads
 * DuckDB. Relative paths have been resolved by then.
 */
export const leaveRemovedDirectory = (): void => {
  if (attempt(() => process.cwd()) === undefined) process.chdir(path.parse(process.execPath).root)
}

/**
 * A path as an operator writes it: `~/` is the home directory, a relative one starts at `base`. Left: why it
 * leads nowhere.
 */
export const resolvePath = (
  { home, platform }: Place,
  base: string | undefined,
  written: string
): Either.Either<string, string> => {
  const { isAbsolute, join, resolve } = pathOf(platform)
  if (/^~([/\\]|$)/.test(written)) {
    return home === undefined
      ? Either.left("starts at the home directory, and this user has none (HOME)")
      : Either.right(join(home, written.slice(1)))
  }
  if (isAbsolute(written)) return Either.right(written)
  return base === undefined
    ? Either.left("is relative, and the working directory does not exist")
    : Either.right(resolve(base, written))
}

const inHome = ({ home, platform }: Place, ...parts: ReadonlyArray<string>): string | undefined =>
  home === undefined ? undefined : pathOf(platform).join(home, ...parts)

/**
 * The directory for what must survive a restart: `SNOWGUARD_STATE_DIR` if it is set; otherwise `snowguard` in
 * `$XDG_STATE_HOME` or `~/.local/state`, in `~/Library/Application Support` on macOS, in `%LOCALAPPDATA%` on
 * Windows. It must be a local disk: processes share memory through the files in it, which network file systems
 * do not offer. Left: why there is none.
 */
export const stateDir = (environment: Environment): Either.Either<string, string> => {
  const { cwd, env, platform } = environment
  const override = env["SNOWGUARD_STATE_DIR"]
  if (override !== undefined && override !== "") {
    return Either.mapLeft(resolvePath(environment, cwd, override), (why) => `SNOWGUARD_STATE_DIR ${why}`)
  }
  const parent =
    platform === "win32"
      ? (absolute(environment, "LOCALAPPDATA") ?? inHome(environment, "AppData", "Local"))
      : (absolute(environment, "XDG_STATE_HOME") ??
        (platform === "darwin"
          ? inHome(environment, "Library", "Application Support")
          : inHome(environment, ".local", "state")))
  return parent === undefined
    ? Either.left("this user has no home directory: set SNOWGUARD_STATE_DIR (or HOME)")
    : Either.right(pathOf(platform).join(parent, "snowguard"))
}

/**
 * The user's own configuration of a program: `NAME` in `$XDG_CONFIG_HOME` or `~/.config`, in
 * `~/Library/Application Support` on macOS, in `%APPDATA%` on Windows. None without a home directory.
 */
export const configDir = (environment: Environment, name = "snowguard"): string | undefined => {
  const { platform } = environment
  const parent =
    platform === "win32"
      ? (absolute(environment, "APPDATA") ?? inHome(environment, "AppData", "Roaming"))
      : (absolute(environment, "XDG_CONFIG_HOME") ??
        (platform === "darwin"
          ? inHome(environment, "Library", "Application Support")
          : inHome(environment, ".config")))
  return parent === undefined ? undefined : pathOf(platform).join(parent, name)
}

/**
 * Where Snowflake's own tools keep connections: `SNOWFLAKE_HOME`, `~/.snowflake`, and the platform's directory
 * for those without one. A relative `SNOWFLAKE_HOME` counts as not set.
 */
export const snowflakeDirs = (environment: Environment): ReadonlyArray<string> => {
  const { env, platform } = environment
  const named = env["SNOWFLAKE_HOME"]
  const home = named === undefined || named === "" ? undefined : named
  const override =
    home === undefined || !(home.startsWith("~") || pathOf(platform).isAbsolute(home))
      ? undefined
      : Either.getOrUndefined(resolvePath(environment, undefined, home))
  if (override !== undefined) return [override]
  const own = inHome(environment, ".snowflake")
  // platformdirs, which those tools use, has the local directory on Windows.
  const fallback =
    platform === "win32"
      ? (absolute(environment, "LOCALAPPDATA") ?? inHome(environment, "AppData", "Local"))
      : undefined
  const other =
    fallback === undefined
      ? configDir(environment, "snowflake")
      : pathOf(platform).join(fallback, "snowflake")
  return [own, other].filter((directory) => directory !== undefined)
}
