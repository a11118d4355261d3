import { randomBytes } from "node:crypto"
import { open, rename, rm } from "node:fs/promises"

/** Writes a file as a whole, readable by its owner alone: readers find the old text or the new one. */
export const replaceFile = async (path: string, text: string): Promise<void> => {
  const aside = `${path}.${randomBytes(6).toString("hex")}.new`
  try {
    const file = await open(aside, "wx", 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(aside, path)
  } finally {
    await rm(aside, { force: true })
  }
}
