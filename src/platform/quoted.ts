const LONGEST = 200

/** What a terminal obeys (C0, DEL, C1), and what it shows in another order or not at all. */
const CONTROLS = /[\p{Cc}\p{Cf}\u2028\u2029]/gu
const CONTROLS_BUT_LINES = /(?![\n\t])[\p{Cc}\p{Cf}\u2028\u2029]/gu

/** As in a string of JSON. */
const asEscape = (control: string): string =>
  Array.from(
    { length: control.length },
    (_, i) => `\\u${control.charCodeAt(i).toString(16).padStart(4, "0")}`
  ).join("")

/** A text of several lines for a terminal: what it would obey is shown instead. */
export const escaped = (text: string): string => text.replace(CONTROLS_BUT_LINES, asEscape)

/** The same for one line. JSON stays the same JSON. */
export const escapedLine = (text: string): string => text.replace(CONTROLS, asEscape)

/** An argument of a POSIX shell. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/**
 * Foreign text, for a line of the log: not in full, and without what a terminal would obey or
 * show in another order.
 */
export const quoted = (text: string, longest = LONGEST): string =>
  text.slice(0, longest).replace(CONTROLS, "?") + (text.length > longest ? "…" : "")
