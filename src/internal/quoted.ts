const LONGEST = 200

/**
 * What somebody else wrote, for a line of the log: not in full, and without what a terminal would obey or
 * show in another order.
 */
export const quoted = (text: string, longest = LONGEST): string =>
  text.slice(0, longest).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?") + (text.length > longest ? "…" : "")
