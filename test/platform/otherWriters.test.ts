import { assert, describe, it } from "@effect/vitest"
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as OtherWriters from "../../src/platform/otherWriters.js"

const self = process.getuid?.()

const within = (f: (root: string) => void) => (): void => {
  const root = mkdtempSync(join(tmpdir(), "snowguard-writers-"))
  try {
    f(root)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

const file = (root: string, mode = 0o600): string => {
  const path = join(root, "keys.json")
  writeFileSync(path, "{}")
  chmodSync(path, mode)
  return path
}

/** Root may give it away; for all others, ask as if this process were somebody else. */
const asForeign = (path: string, foreign: string): string | undefined => {
  if (self !== 0) return OtherWriters.problem(path, (self ?? 0) + 1)
  chownSync(foreign, 4711, 4711)
  return OtherWriters.problem(path)
}

describe.skipIf(self === undefined)("a file that is believed", () => {
  it(
    "may be read by others, and lie in a directory of its owner's or where it is safe from others",
    within((root) => {
      assert.isUndefined(OtherWriters.problem(file(root)))
      chmodSync(root, 0o755)
      assert.isUndefined(OtherWriters.problem(file(root, 0o644)))
      chmodSync(root, 0o1777)
      assert.isUndefined(OtherWriters.problem(file(root)))
      assert.isUndefined(OtherWriters.problem(join(root, "missing")))
    })
  )

  it(
    "is not believed when everybody may write to it, or to its directory; the command that mends it is told",
    within((root) => {
      const open = file(root, 0o622)
      assert.include(OtherWriters.problem(open) ?? "", `chmod 600 ${open}`)
      chmodSync(open, 0o600)
      chmodSync(root, 0o777)
      assert.include(OtherWriters.problem(open) ?? "", `chmod 700 ${root}`)
      // Also before there is one: whoever is quicker makes it.
      assert.include(OtherWriters.problem(join(root, "missing")) ?? "", "mode 0777")
      // A name that a shell would take apart.
      const odd = join(root, "it's here")
      mkdirSync(odd)
      chmodSync(odd, 0o777)
      assert.include(OtherWriters.problem(join(odd, "keys.json")) ?? "", `'${root}/it'\\''s here'`)
    })
  )

  it(
    "is not believed when it, or its directory, belongs to somebody else",
    within((root) => {
      const path = file(root)
      assert.match(asForeign(path, path) ?? "", /belongs to another user \(uid \d+\).*chown \d+ /)
    })
  )

  it(
    "nor when it is a link to such a file, or one in such a directory",
    within((root) => {
      const inside = join(root, "open")
      mkdirSync(inside)
      const target = file(inside)
      const link = join(root, "link.json")
      symlinkSync(target, link)
      assert.isUndefined(OtherWriters.problem(link))
      chmodSync(inside, 0o777)
      assert.include(OtherWriters.problem(link) ?? "", `chmod 700 ${inside}`)
    })
  )

  it(
    "is doubted when a group may write to it",
    within((root) => {
      const path = file(root, 0o660)
      assert.isUndefined(OtherWriters.problem(path))
      assert.include(OtherWriters.doubt(path) ?? "", `chmod g-w ${path}`)
      chmodSync(path, 0o600)
      assert.isUndefined(OtherWriters.doubt(path))
    })
  )
})
