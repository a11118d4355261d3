/** What the manifest and the layout say of the package; `package.long.test.ts` packs and uses it. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

const manifest: {
  readonly peerDependencies: { readonly [name: string]: string }
  readonly allowScripts: { readonly [name: string]: boolean }
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

describe("the package", () => {
  it("is installed as a library by the documented line, whose versions are those of the peers", () => {
    const page = readFileSync(join(root, "docs/extending.md"), "utf8")
    const [, named = ""] = /npm install \S*snowguard-\S+\.tgz (effect@.*)/.exec(page) ?? []
    const versions = named.split(" ").map((one) => one.split(/(?<=.)@/))
    const peers = Object.entries(manifest.peerDependencies).map(([name, range]) => {
      const [major = "", minor = ""] = range.replace("^", "").split(".")
      return [name, major === "0" ? `0.${minor}` : major]
    })
    assert.deepStrictEqual(versions.sort(), peers.sort())
  })

  it("says of every dependency with an install script whether it may run: none needs to", () => {
    const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
      readonly packages: {
        readonly [path: string]: { readonly hasInstallScript?: boolean; readonly os?: ReadonlyArray<string> }
      }
    }
    const scripted = Object.entries(lock.packages).flatMap(([path, { hasInstallScript, os }]) =>
      // What is for another system is not installed here, and npm would take its entry for a stale one.
      hasInstallScript === true && (os === undefined || os.includes(process.platform))
        ? [path.replace(/^.*node_modules\//, "")]
        : []
    )
    assert.includeMembers(Object.keys(manifest.allowScripts), scripted)
    assert.isTrue(Object.values(manifest.allowScripts).every((allowed) => !allowed))
  })
})

it("a file is one concept: none is named after a part of another one", () => {
  const parts = readdirSync(join(root, "src"), { recursive: true })
    .map(String)
    .filter((file) =>
      /(?:(?:Model|Text|Words|Options|Ref)|(?:^|\/)(?:model|text|words|options|ref))\.ts$/.test(file)
    )
  // An error: options that make no sense.
  assert.deepStrictEqual(parts, ["platform/InvalidOptions.ts"])
})
