/**
 * The patterns of `SHOW ... LIKE`, matched in time that grows with pattern times name: a regular
 * expression would try `%a%a%a%…` in as many ways as there are.
 */

/** `undefined` is any one character, `"%"` alone any run. */
type Part = { readonly char: string | undefined } | "%"

const fold = (char: string): string => char.toUpperCase()

const parse = (pattern: string): ReadonlyArray<Part> => {
  const chars = [...pattern]
  const parts: Array<Part> = []
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!
    if (char === "%") {
      if (parts.at(-1) !== "%") parts.push("%")
    } else if (char === "_") parts.push({ char: undefined })
    else parts.push({ char: fold(char === "\\" && at + 1 < chars.length ? chars[++at]! : char) })
  }
  return parts
}

/**
 * `%` any run, `_` any character, a backslash makes the next one itself, case does not matter.
 */
export const like = (pattern: string): ((name: string) => boolean) => {
  const parts = parse(pattern)
  return (name) => {
    const chars = [...name].map(fold)
    let at = 0
    let part = 0
    // The last run: where it ends now, and what follows it.
    let run: { end: number; next: number } | undefined
    while (at < chars.length) {
      const wanted = parts[part]
      if (wanted === "%") {
        run = { end: at, next: ++part }
      } else if (wanted !== undefined && (wanted.char === undefined || wanted.char === chars[at])) {
        at++
        part++
      } else if (run === undefined) return false
      else {
        // Longer runs before it would find nothing that a longer last one does not.
        at = ++run.end
        part = run.next
      }
    }
    return parts.slice(part).every((rest) => rest === "%")
  }
}
