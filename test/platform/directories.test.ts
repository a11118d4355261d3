import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Directories from "../../src/platform/directories.js"

const within = (f: (root: string) => void): void => {
  const root = mkdtempSync(join(tmpdir(), "snowguard-directories-"))
  try {
    f(root)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

describe("a directory for state", () => {
  it("is made with all that is above it, for its owner alone, as often as it is asked for", () =>
    within((root) => {
      const path = join(root, "a", "b", "c")
      for (let i = 0; i < 2; i++) Directories.make(path)
      for (const each of [path, join(root, "a")]) assert.strictEqual(statSync(each).mode & 0o777, 0o700)
    }))

  it("may be a link to one", () =>
    within((root) => {
      symlinkSync(root, join(root, "link"))
      Directories.make(join(root, "link"))
      Directories.make(join(root, "link", "below"))
      assert.isTrue(statSync(join(root, "below")).isDirectory())
    }))

  it("is refused where a file is in the way", () =>
    within((root) => {
      const file = join(root, "file")
      writeFileSync(file, "")
      assert.throws(() => Directories.make(file), /EEXIST/)
      assert.throws(() => Directories.make(join(file, "below", "it")), /ENOTDIR/)
    }))

  it.skipIf(process.platform !== "linux")("is refused where the system lets no user make one", () => {
    assert.throws(() => Directories.make("/proc/snowguard/state"), /ENOENT|EACCES/)
  })
})
