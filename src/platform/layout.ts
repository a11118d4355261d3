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

/** A table where it fits; otherwise each row as its first cell, with the others and their headings below. */
export const fittingTable = (
  [headings = [], ...rows]: ReadonlyArray<ReadonlyArray<string>>,
  width: number,
  right: ReadonlySet<number> = new Set()
): ReadonlyArray<string> => {
  const table = textTable([headings, ...rows], right)
  return table.every(({ length }) => length <= width)
    ? table
    : rows.flatMap(([first = "", ...others]) => [
        first,
        ...wrapped(
          others.map((cell, i) => `${headings[i + 1] ?? ""}: ${cell}`).join("; "),
          width - INDENT
        ).map((line) => " ".repeat(INDENT) + line)
      ])
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

/** Lines that are too long, broken between words; what goes on stands `indent` characters further right. */
export const hanging = (text: string, indent: number, width: number): string =>
  text
    .split("\n")
    .flatMap((line) => {
      if (line.length <= width) return [line]
      const before = /^ */.exec(line)?.[0] ?? ""
      // What the line begins with keeps its place: blanks within it are columns.
      const head = line.slice(0, Math.max(indent, before.length))
      const gap = /^ */.exec(line.slice(head.length))?.[0] ?? ""
      const behind = line.slice(head.length + gap.length)
      const [first = "", ...rest] = wrapped(behind, width - head.length - gap.length)
      return [head + gap + first, ...rest.map((more) => " ".repeat(head.length) + more)]
    })
    .join("\n")
