/**
 * The shape of a table of settings, and the type of what it decodes to. Everything that reads, prints or
 * documents settings takes a table, so that it can be tried on a small one.
 */
import type { Camel, Decoded, Fields } from "./Setting.js"

interface Section {
  readonly about: string
  readonly fields: Fields
}

/**
 * A section of sections, one for each name the operator chooses. With `base`, that name always exists
 * and the others inherit from it what they do not say.
 */
export interface NamedSection extends Section {
  /** What one entry is called: "tier". */
  readonly one: string
  readonly base?: string | undefined
  /** Also written as an array of tables, `[[alerts]]`: its entries are then called 1, 2 and so on. */
  readonly listed?: boolean | undefined
}

export interface Table {
  /** Settings without a section. */
  readonly root: Fields
  readonly sections: { readonly [name: string]: Section }
  readonly named: { readonly [name: string]: NamedSection }
}

export type SettingsOf<T extends Table> = Decoded<T["root"]> & {
  readonly [K in keyof T["sections"] & string as Camel<K>]: Decoded<T["sections"][K]["fields"]>
} & {
  readonly [K in keyof T["named"] & string as Camel<K>]: {
    readonly [name: string]: Decoded<T["named"][K]["fields"]>
  }
}

/**
 * Environment variables that are no settings: they say where things are before a setting can be read.
 */
export const reserved: { readonly [name: string]: string } = {
  SNOWGUARD_CONFIG:
    "absolute path of the configuration file; `--config` comes before it. Neither is given: `snowguard.toml` in " +
    "`$XDG_CONFIG_HOME/snowguard` or `~/.config/snowguard`, on macOS in `~/Library/Application Support/snowguard`, " +
    "on Windows in `%APPDATA%\\snowguard`",
  SNOWGUARD_STATE_DIR:
    "directory for what must survive a restart (quotas, API keys), on a local disk. Not set: `$XDG_STATE_HOME/snowguard` " +
    "or `~/.local/state/snowguard`, on macOS `~/Library/Application Support/snowguard`, on Windows " +
    "`%LOCALAPPDATA%\\snowguard`",
  SNOWGUARD_ADMIN_KEY: "API key, or access token, with which `snowguard admin` calls a running server"
}
