/**
 * Every setting of the server: defaults < `snowguard.toml` < environment (`SNOWGUARD_*`), read once at
 * start. Wrong settings are all reported at once and none is guessed at.
 *
 * The settings themselves are in `config/Settings.ts`. Services take plain options and know nothing of this
 * module; `rateLimiterOptions` and its like make their options from the settings.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { readFile } from "node:fs/promises"
import type { Fault } from "./config/Faults.js"
import { ConfigFaults } from "./config/Faults.js"
import * as Print from "./config/Print.js"
import type { Input, Origin } from "./config/Resolve.js"
import { resolve } from "./config/Resolve.js"
import type { Settings } from "./config/Settings.js"
import { table } from "./config/Settings.js"
import { codeOf, reasonOf } from "./internal/fileReasons.js"

export type { BreakerOptions } from "./config/Options.js"
export {
  breakerOptions,
  bulkheadOptions,
  concurrentStatements,
  cacheOptions,
  callPolicyTiers,
  guardOptions,
  httpOptions,
  logLevel,
  quotaOptions,
  rateLimiterOptions,
  tierOf,
  tiersOf
} from "./config/Options.js"
export { ConfigFaults }
export type { Fault, Origin, Settings }

/**
 * @since 0.1.0
 * @category models
 */
export type TierSettings = Settings["tiers"][string]

/**
 * @since 0.1.0
 * @category models
 */
export type ClientSettings = Settings["clients"][string]

/**
 * @since 0.1.0
 * @category models
 */
export interface Loaded {
  readonly settings: Settings
  /** Where each value comes from, by key (`limits.burst`). */
  readonly sources: ReadonlyMap<string, Origin>
  /** The file that was read, where there was one. */
  readonly path: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LoadOptions {
  /** From the command line; comes before `SNOWGUARD_CONFIG`. */
  readonly configPath?: string | undefined
  /** The environment of the process when absent. */
  readonly env?: { readonly [name: string]: string | undefined } | undefined
  /** Rejects as `node:fs` does; reads the disk when absent. */
  readonly readFile?: ((path: string) => Promise<string>) | undefined
}

/**
 * Exit code of a process that does not start because of its configuration (`EX_CONFIG` of sysexits.h).
 *
 * @since 0.1.0
 * @category constants
 */
export const exitCode = 78

/**
 * Read when no file is named, if it is there.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultPath = "snowguard.toml"

/**
 * @since 0.1.0
 * @category context
 */
export class ServerConfig extends Context.Tag("snowguard/ServerConfig")<ServerConfig, Settings>() {}

/**
 * The settings that an already parsed file and an environment make together.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = (
  input: Input & { readonly path?: string | undefined }
): Either.Either<Loaded, ConfigFaults> =>
  Either.mapBoth(resolve(table, input), {
    onLeft: (faults) => new ConfigFaults({ faults, path: input.path }),
    onRight: (resolved) => ({ ...resolved, path: input.path })
  })

/**
 * What is in effect when nobody says anything.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults: Settings = Either.getOrThrow(decode({})).settings

type Document = { readonly [key: string]: unknown }

interface NamedFile {
  readonly path: string
  /** Who named it; nobody when it is the default. */
  readonly by?: Pick<Fault, "key" | "source"> | undefined
}

const namedFile = (options: LoadOptions, env: NonNullable<LoadOptions["env"]>): NamedFile => {
  if (options.configPath !== undefined) {
    return { path: options.configPath, by: { key: "--config", source: "args" } }
  }
  const path = env["SNOWGUARD_CONFIG"]
  return path === undefined ? { path: defaultPath } : { path, by: { key: "SNOWGUARD_CONFIG", source: "env" } }
}

const parse = (path: string, text: string): Effect.Effect<Document, Fault> =>
  // Loaded only when there is something to parse: it is on the way of every start over stdio.
  Effect.flatMap(
    Effect.promise(() => import("smol-toml")),
    (toml) =>
      Effect.try({
        try: (): Document => toml.parse(text),
        catch: (error): Fault => {
          const fault = { key: path, source: "file" as const }
          // The rest of the message quotes the file, and a file may hold secrets.
          const message = (error instanceof Error ? (error.message.split("\n")[0] ?? "") : "").replace(
            /^Invalid TOML document: /,
            ""
          )
          return error instanceof toml.TomlError
            ? { ...fault, message, line: error.line, column: error.column }
            : { ...fault, message: `cannot be parsed: ${message}` }
        }
      })
  )

const readDocument = Effect.fnUntraced(function* (
  file: NamedFile,
  read: NonNullable<LoadOptions["readFile"]>
) {
  if (file.path === "") {
    return yield* Effect.fail<Fault>({
      ...(file.by ?? { key: defaultPath, source: "file" }),
      message: 'expected the path of a configuration file, got ""'
    })
  }
  const text = yield* Effect.tryPromise({ try: () => read(file.path), catch: (cause) => cause }).pipe(
    Effect.catchAll((cause) =>
      codeOf(cause) === "ENOENT" && file.by === undefined
        ? Effect.succeed(undefined)
        : Effect.fail<Fault>({
            ...(file.by ?? { key: file.path, source: "file" }),
            message: `cannot read ${file.path}: ${reasonOf(cause)}`
          })
    )
  )
  return text === undefined ? undefined : yield* parse(file.path, text)
})

/**
 * Reads the file, if one is named or `./snowguard.toml` is there, and the environment. Fails with
 * everything that is wrong in both.
 *
 * @since 0.1.0
 * @category loading
 */
export const load: (options?: LoadOptions) => Effect.Effect<Loaded, ConfigFaults> = Effect.fnUntraced(
  function* (options: LoadOptions = {}) {
    const env = options.env ?? process.env
    const file = namedFile(options, env)
    const document = yield* Effect.either(
      readDocument(file, options.readFile ?? ((path) => readFile(path, "utf8")))
    )
    if (Either.isLeft(document)) {
      const others = Either.match(resolve(table, { env, incomplete: true }), {
        onLeft: (faults) => faults,
        onRight: () => []
      })
      return yield* new ConfigFaults({ faults: [document.left, ...others], path: file.path })
    }
    const path = document.right === undefined ? undefined : file.path
    return yield* decode({ document: document.right, env, path })
  }
)

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (settings: Settings): Layer.Layer<ServerConfig> => Layer.succeed(ServerConfig, settings)

/**
 * @since 0.1.0
 * @category layers
 */
export const layerFromEnv = (options?: LoadOptions): Layer.Layer<ServerConfig, ConfigFaults> =>
  Layer.effect(
    ServerConfig,
    Effect.map(load(options), ({ settings }) => settings)
  )

/**
 * What `--print-config` prints: a file that says what is in effect and where each value comes from, with
 * secrets redacted.
 *
 * @since 0.1.0
 * @category rendering
 */
export const printConfig = (loaded: Loaded): string => Print.config(table, loaded)

/**
 * The README's tables of settings, in Markdown.
 *
 * @since 0.1.0
 * @category rendering
 */
export const settingsTable = (): string => Print.markdown(table)
