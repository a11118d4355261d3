import { Either } from "effect"
import type { Fault } from "../../src/config/Faults.js"
import { ConfigFaults } from "../../src/config/Faults.js"
import type { Input } from "../../src/config/Resolve.js"
import { resolve } from "../../src/config/Resolve.js"
import * as Setting from "../../src/config/Setting.js"
import { table } from "../../src/config/Settings.js"
import type { Table } from "../../src/config/Table.js"

/** A table with a secret, which the server's own does not have yet. */
export const withSecret = {
  root: { client: Setting.text({ pattern: /^[a-z]+$/, expected: "a name", default: "local", about: "who" }) },
  sections: {
    account: {
      about: "The account.",
      fields: {
        user: Setting.text({ pattern: /^[a-z]+$/, expected: "a name", about: "the user" }),
        password: Setting.secret({
          pattern: /^[ -~]{8,}$/,
          expected: "at least 8 characters",
          about: "the password"
        })
      }
    }
  },
  named: {}
} satisfies Table

export const settingsOf = (input: Input) => resolve(table, input).pipe(Either.getOrThrowWith(render)).settings

export const render = (faults: ReadonlyArray<Fault>): string =>
  new ConfigFaults({ faults, path: "snowguard.toml" }).render()

export const faultsOf = (input: Input, of: Table = table): ReadonlyArray<string> =>
  Either.match(resolve(of, input), {
    onLeft: (faults) => render(faults).split("\n"),
    onRight: () => []
  })

/** Every setting with a path to it; those of a tier or a client under the name given. */
export const everySetting = (
  name: string,
  tool = "execute_query"
): ReadonlyArray<readonly [ReadonlyArray<string>, Setting.Setting]> => {
  const of = (path: ReadonlyArray<string>, fields: Setting.Fields) =>
    Object.entries(Setting.expanded(fields, () => [tool])).map(
      ([key, setting]) => [[...path, ...key.split(".")], setting] as const
    )
  return [
    ...of([], table.root),
    ...Object.entries(table.sections).flatMap(([section, { fields }]) => of([section], fields)),
    ...Object.entries(table.named).flatMap(([section, { fields }]) => of([section, name], fields))
  ]
}

export const nest = (path: ReadonlyArray<string>, value: unknown): { readonly [key: string]: unknown } =>
  path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as { readonly [key: string]: unknown }

export const accepted = (setting: Setting.Setting, value: unknown): boolean =>
  Either.isRight(Setting.decode(setting, value))
