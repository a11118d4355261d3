/** Where texts that are secret have got to. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** Each part of a token by which it could be known; its header is that of all. */
const parts = (secret: string): ReadonlyArray<string> => {
  const [, ...rest] = secret.split(".")
  return rest.length === 2 ? rest : [secret]
}

/** The names of the texts that hold one of the secrets, in whole or the half that counts, also as base64. */
export const holding = (
  texts: { readonly [name: string]: string },
  secrets: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const wanted = secrets.flatMap((secret) => [
    ...parts(secret),
    Buffer.from(secret).toString("base64").replace(/=+$/, "").slice(0, -2)
  ])
  return Object.entries(texts).flatMap(([name, text]) =>
    wanted.some((one) => one !== "" && text.includes(one)) ? [name] : []
  )
}

/** All files in a folder and below, by their path. */
export const filesIn = (folder: string): { readonly [path: string]: string } =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
      const path = join(entry.parentPath, entry.name)
      return entry.isFile() ? [[path, readFileSync(path, "latin1")] as const] : []
    })
  )
