/**
 * One setting as data: what it may be, what it is when it is not set, and how it is described. Reading,
 * printing and documenting are all made from these, so that they cannot disagree.
 */
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { Kind } from "./Kind.js"
import { accepts, expected, show } from "./Kind.js"

interface Rules {
  /** One line for docs/configuration.md and for readers of the source. */
  readonly about: string
  /** Unit of the number, as in "seconds". */
  readonly unit?: string | undefined
  /** Setting of the same section that this one may not exceed: a fault when said, lowered when not. */
  readonly atMost?: string | undefined
  /** Setting of the same section without which this one means nothing. */
  readonly together?: string | undefined
  /** Named section (`tiers`) that must hold what this one names. */
  readonly references?: string | undefined
  /** Named section (`clients`) that this one's value is a name of, whether or not it has an entry there. */
  readonly names?: string | undefined
  /** Of a field `group.*.field`: the names that `*` may be. */
  readonly within?: ReadonlyArray<string> | undefined
  /** Of a named section: false where an entry does not take it from the base when it does not say it. */
  readonly inherits?: boolean | undefined
  /** Variables under other names that say the same; its own comes first, an empty one says nothing. */
  readonly aliases?: ReadonlyArray<string> | undefined
}

/**
 * `default` is `undefined` for a setting that may stay unset.
 */
export interface Setting<out A = unknown> extends Rules {
  readonly kind: Kind
  readonly default: A
  /** Decoded to `Redacted`, and shown nowhere: not in faults, not by `--print-config`. */
  readonly secret: boolean
  /** Names a file, or several: what is relative starts where it was said, see `Given`. */
  readonly isPath?: boolean | undefined
}

/**
 * The settings of one section by their name in the file (`snake_case`). `name.field` is `field` of the table `name`
 * within the section; `name.*.field` is `field` of each table within the table `name`.
 */
export interface Fields {
  readonly [name: string]: Setting
}

export type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S

/**
 * The settings of one section, decoded: `camelCase`, defaults applied.
 */
export type Decoded<F extends Fields> = {
  readonly [K in keyof F & string as K extends `${string}.${string}` ? never : Camel<K>]: F[K]["default"]
} & {
  readonly [K in keyof F & string as K extends `${infer G}.${string}` ? Camel<G> : never]: DecodedUnder<
    F,
    K extends `${infer G}.${string}` ? G : never
  >
}

type DecodedUnder<F extends Fields, G extends string> =
  Extract<keyof F, `${G}.*.${string}`> extends never
    ? {
        readonly [
          K in keyof F & string as K extends `${G}.${infer Field}` ? Camel<Field> : never
        ]: F[K]["default"]
      }
    : {
        readonly [name: string]: {
          readonly [
            K in keyof F & string as K extends `${G}.*.${infer Field}` ? Camel<Field> : never
          ]: F[K]["default"]
        }
      }

const star = ".*."

/** Whether the field stands for one of each table within a table. */
export const isEach = (field: string): boolean => field.includes(star)

/** The same field of the table `name`. */
const ofEach = (field: string, name: string): string => field.replace(star, `.${name}.`)

/** Every `group.*.field` once for each of the names of its group. */
export const expanded = (fields: Fields, names: (group: string) => Iterable<string>): Fields =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([field, setting]) =>
      isEach(field)
        ? [...names(field.split(star)[0] ?? "")].map((name) => [
            ofEach(field, name),
            setting.together === undefined
              ? setting
              : { ...setting, together: ofEach(setting.together, name) }
          ])
        : [[field, setting]]
    )
  )

export const camel = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

const setting = <A>(kind: Kind, fallback: A, rules: Rules, secret = false): Setting<A> => ({
  about: rules.about,
  unit: rules.unit,
  atMost: rules.atMost,
  together: rules.together,
  references: rules.references,
  inherits: rules.inherits,
  within: rules.within,
  names: rules.names,
  aliases: rules.aliases,
  kind,
  default: fallback,
  secret
})

interface Bounds<D> extends Rules {
  readonly min: number
  readonly max: number
  readonly default?: D
}

/**
 * A whole number; unset when it has no default.
 */
export const integer = <D extends number | undefined = undefined>(options: Bounds<D>): Setting<number | D> =>
  setting({ _tag: "integer", min: options.min, max: options.max }, options.default as D, options)

export const number = <D extends number | undefined = undefined>(options: Bounds<D>): Setting<number | D> =>
  setting({ _tag: "number", min: options.min, max: options.max }, options.default as D, options)

export const boolean = <D extends boolean | undefined = undefined>(
  options: Rules & { readonly default?: D }
): Setting<boolean | D> => setting({ _tag: "boolean" }, options.default as D, options)

export const choice = <const V extends ReadonlyArray<string>>(
  options: Rules & { readonly values: V; readonly default: V[number] }
): Setting<V[number]> => setting({ _tag: "choice", values: options.values }, options.default, options)

interface Patterned extends Rules {
  readonly pattern: RegExp
  readonly expected: string
}

export const text = <D extends string | undefined = undefined>(
  options: Patterned & { readonly default?: D }
): Setting<string | D> =>
  setting(
    { _tag: "text", pattern: options.pattern, expected: options.expected },
    options.default as D,
    options
  )

/**
 * The path of a file; `~/` is the home directory. In a file it is relative to that file, in a variable to the
 * working directory.
 */
export const path = (rules: Rules): Setting<string | undefined> => ({
  ...text({ ...rules, pattern: /^[^\p{Cc}]{1,4096}$/u, expected: "the path of a file" }),
  isPath: true
})

/**
 * Strings that all match; comma-separated in the environment.
 */
export const list = (options: Patterned): Setting<ReadonlyArray<string>> =>
  setting({ _tag: "list", pattern: options.pattern, expected: options.expected }, [], options)

/**
 * One of `values` by names that match; `name=value`, comma-separated, in the environment.
 */
export const record = <const V extends ReadonlyArray<string>>(
  options: Patterned & { readonly values: V }
): Setting<{ readonly [name: string]: V[number] }> =>
  setting(
    { _tag: "record", pattern: options.pattern, values: options.values, expected: options.expected },
    {},
    options
  )

/**
 * Paths of files, or patterns of them; each as a {@link path} is read.
 */
export const paths = (rules: Rules): Setting<ReadonlyArray<string>> => ({
  ...list({
    ...rules,
    pattern: /^[^\p{Cc}]{1,4096}$/u,
    expected: 'a list of files such as ["orders.parquet", "exports/*.csv"]'
  }),
  isPath: true
})

/**
 * A secret: shown nowhere, and without a default, because a secret in the source is none.
 */
export const secret = (options: Patterned): Setting<Redacted.Redacted<string> | undefined> =>
  setting({ _tag: "text", pattern: options.pattern, expected: options.expected }, undefined, options, true)

/**
 * What `--print-config` shows in place of a secret. Refused as a value: a printed configuration that is
 * used as a file must not log in with the placeholder.
 */
export const redacted = "<redacted>"

/**
 * Left: the message of the fault, without a secret's value.
 */
export const decode = (self: Setting, value: unknown): Either.Either<unknown, string> => {
  if (self.secret && value === redacted) {
    return Either.left(`expected the secret itself, got the placeholder that --print-config shows`)
  }
  if (!accepts(self.kind, value)) {
    return Either.left(
      `expected ${expected(self.kind)}, got ${self.secret ? "something else (not shown)" : show(value)}`
    )
  }
  return Either.right(self.secret ? Redacted.make(value) : Object.is(value, -0) ? 0 : value)
}
