/** Text in lines for people: tables, and paragraphs that fit a width. */

/** When the width of the terminal is not known, or there is none. */
const USUAL_WIDTH = 80

/** Narrower, nothing can be read any more: then lines are as long as they are. */
const LEAST_WIDTH = 40

/** How many characters a line of this stream may have. */
export const widthOf = ({ columns }: { readonly columns?: number | undefined }): number =>
  columns === undefined || columns === 0 ? USUAL_WIDTH : Math.max(LEAST_WIDTH, columns)

/** Columns as wide as they need to be. `right`: those that are numbers. */
export const textTable = (
  rows: ReadonlyArray<ReadonlyArray<string>>,
  right: ReadonlySet<number> = new Set()
): ReadonlyArray<string> => {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0)
  )
  return rows.map((row) =>
    row
      .map((cell, i) => (right.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd()
  )
}

/** In lines of at most `width`, between words only: a word that is longer has a line of its own. */
export const wrapped = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}

const INDENT = 2
const GAP = 2

/** A column of terms may take so much of the width; a longer one stands in a line of its own. */
const TERMS_SHARE = 0.45

/** Terms, and what each means beside it. */
export const definitions = (
  rows: ReadonlyArray<readonly [term: string, meaning: string]>,
  width: number
): ReadonlyArray<string> => {
  const most = Math.floor(width * TERMS_SHARE)
  const terms = Math.max(0, ...rows.map(([{ length }]) => length).filter((length) => length <= most))
  const before = " ".repeat(INDENT + terms + GAP)
  return rows.flatMap(([term, meaning]) => {
    const [first = "", ...rest] = wrapped(meaning, width - before.length)
    const head = `${" ".repeat(INDENT)}${term}`
    return term.length > terms
      ? [head, ...[first, ...rest].map((line) => before + line)]
      : [head.padEnd(before.length) + first, ...rest.map((line) => before + line)]
  })
}
