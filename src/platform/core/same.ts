/** Whether two values say the same, whatever holds them: records and lists by what is in them, all else as Effect does. */
import * as Equal from "effect/Equal"
import * as Predicate from "effect/Predicate"

/** What holds values by name. What knows its equals itself (`Redacted`) is a value. */
export const isGroup = (value: unknown): value is { readonly [name: string]: unknown } =>
  Predicate.isRecord(value) && !Equal.isEqual(value)

export const same = (a: unknown, b: unknown): boolean =>
  Object.is(a, b) ||
  Equal.equals(a, b) ||
  (Array.isArray(a) && Array.isArray(b)
    ? a.length === b.length && a.every((one, i) => same(one, b[i]))
    : isGroup(a) &&
      isGroup(b) &&
      [...new Set([...Object.keys(a), ...Object.keys(b)])].every((name) => same(a[name], b[name])))
