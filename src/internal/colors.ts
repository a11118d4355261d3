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
