/**
 * The proxy that the environment names for an address, as the driver reads it: `https_proxy` or `HTTPS_PROXY`
 * for https, `http_proxy` or `HTTP_PROXY` for http, and the hosts of `no_proxy`. Pure.
 */

type Env = { readonly [name: string]: string | undefined }

/** Of two spellings the driver takes the lower-case one. */
const variable = (name: string, env: Env): { readonly name: string; readonly value: string } | undefined => {
  for (const spelling of [name.toLowerCase(), name.toUpperCase()]) {
    const value = env[spelling]
    if (value !== undefined && value !== "") return { name: spelling, value }
  }
  return undefined
}

const given = (url: URL, env: Env) => variable(url.protocol === "http:" ? "HTTP_PROXY" : "HTTPS_PROXY", env)

/** `*` stands for anything, as does what comes before a leading dot. */
const matches = (pattern: string, host: string): boolean => {
  const expression = pattern
    .replace(/^\./, "*.")
    .split("*")
    .map((text) => text.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*")
  return new RegExp(`^${expression}$`, "i").test(host)
}

/**
 * The name of the variable whose proxy a request to this address goes through.
 */
export const variableFor = (address: string, env: Env): string | undefined => {
  if (!URL.canParse(address)) return undefined
  const url = new URL(address)
  const excluded = variable("NO_PROXY", env)?.value.split(/[,|]/) ?? []
  return excluded.some((pattern) => pattern.trim() !== "" && matches(pattern.trim(), url.hostname))
    ? undefined
    : given(url, env)?.name
}

/**
 * What is wrong with the proxy for this address: the driver would fail in the middle of a request. Nothing of
 * the value is repeated, since it may hold a password.
 */
export const problem = (address: string, env: Env): string | undefined => {
  if (!URL.canParse(address)) return undefined
  const found = given(new URL(address), env)
  if (found === undefined) return undefined
  const { name, value } = found
  const text = value.includes("://") ? value : `http://${value}`
  const expected = `${name} expected the address of a proxy, such as http://host:8080 or http://user:password@host:8080`
  if (!URL.canParse(text)) return expected
  const url = new URL(text)
  if (!/^https?:$/.test(url.protocol) || url.hostname === "") return expected
  return (url.username === "") === (url.password === "")
    ? undefined
    : `${name} has a user without a password, or a password without a user`
}
