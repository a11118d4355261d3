/**
 * Paths into semi-structured values: `v:a.b[0]::string` becomes `v['a']['b'][1]::string`.
 *
 * @since 0.1.0
 */
import type { Edit, Source } from "./edits.js"
import { isName, operandStart } from "./edits.js"

const key = (text: string): string => `['${text.replaceAll("'", "''")}']`

const textTypes = new Set(["STRING", "VARCHAR", "TEXT", "CHAR", "NVARCHAR"])

/**
 * @since 0.1.0
 * @category rules
 */
export const paths = (from: Source): ReadonlyArray<Edit> => {
  const { partner, tokens } = from
  const edits: Array<Edit> = []
  const brackets: Array<string> = []
  tokens.forEach((token, index) => {
    if (token.kind === "open") brackets.push(token.text)
    else if (token.kind === "close") brackets.pop()
    if (token.kind !== "operator" || token.value !== ":") return
    const base = tokens[index - 1]
    const first = tokens[index + 1]
    // In a slice `a[i:j]` and after the key of a struct `{k: v}` the colon means something else.
    const inside = brackets[brackets.length - 1]
    const before = tokens[index - 2]
    const isKey = inside === "{" && (before?.text === "{" || before?.text === ",")
    if (!isName(first) || inside === "[" || isKey) return
    if (!isName(base) && base?.text !== "]" && base?.text !== ")") return
    const start = operandStart(from, index - 1)
    if (start === undefined) return
    edits.push({
      start: token.start,
      end: first.end,
      text: key(first.kind === "quoted" ? first.value : first.text)
    })
    let at = index + 2
    for (;;) {
      const next = tokens[at]
      const name = tokens[at + 1]
      if (next?.value === "." && isName(name)) {
        edits.push({
          start: next.start,
          end: name.end,
          text: key(name.kind === "quoted" ? name.value : name.text)
        })
        at += 2
      } else if (next?.text === "[" && partner.has(at)) {
        // Snowflake counts from 0, DuckDB from 1.
        if (name?.kind === "number" && partner.get(at) === at + 2) {
          edits.push({ start: name.start, end: name.end, text: String(Number(name.value) + 1) })
        }
        at = partner.get(at)! + 1
      } else break
    }
    const cast = tokens[at + 1]
    if (tokens[at]?.value === "::" && cast?.kind === "word" && textTypes.has(cast.value)) {
      // The text of an object is its JSON, of a string the string itself.
      edits.push({ start: tokens[start]!.start, end: tokens[start]!.start, text: "sg_text(" })
      edits.push({ start: tokens[at]!.start, end: tokens[at]!.start, text: ")" })
    }
  })
  return edits
}
