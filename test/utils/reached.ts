import { build } from "esbuild"
import manifest from "../../package.json" with { type: "json" }

/** What an import of a public module comes to. */
export interface Reached {
  /** Packages that are loaded with it. */
  readonly packages: ReadonlyArray<string>
  /** Packages that are loaded later, when what needs them is used. */
  readonly lazily: ReadonlyArray<string>
  /** Modules of this project that are loaded with it. */
  readonly modules: number
}

/** Subpath as it is written after `snowguard/` (`.` for the barrel), and its file in `dist/`. */
export const publicModules: ReadonlyArray<readonly [subpath: string, file: string]> = Object.entries(
  manifest.exports
).flatMap(([subpath, file]) => (file.endsWith(".js") ? [[subpath.replace(/^\.\//, ""), file]] : []))

const packageOf = (path: string): string =>
  path
    .split("/")
    .slice(0, path.startsWith("@") ? 2 : 1)
    .join("/")

/** Of every public module: follows each import in the sources, those that are evaluated at once and those that are not. */
export const reached = async (): Promise<ReadonlyMap<string, Reached>> => {
  const sources = publicModules.map(
    ([subpath, file]) => [subpath, file.replace("./dist/", "src/").replace(/\.js$/, ".ts")] as const
  )
  const { metafile } = await build({
    entryPoints: sources.map(([, source]) => source),
    bundle: true,
    splitting: true,
    write: false,
    outdir: "out",
    format: "esm",
    platform: "node",
    packages: "external",
    // A package that is imported for nothing is imported.
    treeShaking: false,
    metafile: true,
    logLevel: "warning"
  })
  const of = (source: string): Reached => {
    const at = { once: new Set<string>(), later: new Set<string>() }
    const packages = { once: new Set<string>(), later: new Set<string>() }
    const walk = (path: string, when: "once" | "later"): void => {
      if (at[when].has(path)) return
      at[when].add(path)
      for (const { external, kind, path: target } of metafile.inputs[path]?.imports ?? []) {
        const then = kind === "dynamic-import" ? "later" : when
        if (external !== true) walk(target, then)
        else if (!target.startsWith("node:")) packages[then].add(packageOf(target))
      }
    }
    walk(source, "once")
    return {
      packages: [...packages.once].sort(),
      lazily: [...packages.later].filter((name) => !packages.once.has(name)).sort(),
      modules: at.once.size
    }
  }
  return new Map(sources.map(([subpath, source]) => [subpath, of(source)]))
}
