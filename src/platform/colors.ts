/**
 * May a text for this stream have colours? `FORCE_COLOR` decides where it is set (`0` and `false`: none), then a
 * `NO_COLOR` that is not empty (https://no-color.org), then whether it is a terminal that has some.
 */
export const hasColors = (
  { isTTY = false }: { readonly isTTY?: boolean | undefined },
  env: { readonly [name: string]: string | undefined }
): boolean => {
  const forced = env["FORCE_COLOR"]
  if (forced !== undefined && forced !== "") return forced !== "0" && forced !== "false"
  if ((env["NO_COLOR"] ?? "") !== "") return false
  return isTTY && env["TERM"] !== "dumb"
}

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const

export type Color = keyof typeof codes

/** Puts colours around texts, or leaves them as they are. */
export type Paint = (color: Color, text: string) => string

export const painter =
  (enabled: boolean): Paint =>
  (color, text) =>
    enabled && text !== "" ? `\u001b[${codes[color]}m${text}\u001b[0m` : text
