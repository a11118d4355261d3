import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { cleanEnv } from "./utils/server.js"

const root = fileURLToPath(new URL("..", import.meta.url))

const run = (command: string, args: ReadonlyArray<string>, cwd: string, input = "") =>
  spawnSync(command, [...args], { cwd, input, encoding: "utf8", env: cleanEnv() })

/**
 * A consumer's folder with the packed package in its node_modules. It lies below ours, so that the
 * dependencies are found where `npm ci` has put them and nothing is fetched.
 */
describe("the packed package", () => {
  let consumer = ""

  beforeAll(() => {
    const cache = join(root, "node_modules/.cache")
    mkdirSync(cache, { recursive: true })
    consumer = mkdtempSync(join(cache, "consumer-"))
    const packed = run("npm", ["pack", "--ignore-scripts", "--pack-destination", consumer], root)
    assert.strictEqual(packed.status, 0, packed.stderr)
    const tarball = readdirSync(consumer).find((file) => file.endsWith(".tgz")) ?? ""
    const target = join(consumer, "node_modules/snowguard")
    mkdirSync(target, { recursive: true })
    const unpacked = run(
      "tar",
      ["-xzf", join(consumer, tarball), "-C", target, "--strip-components=1"],
      consumer
    )
    assert.strictEqual(unpacked.status, 0, unpacked.stderr)
    writeFileSync(
      join(consumer, "package.json"),
      JSON.stringify({ name: "consumer", type: "module", private: true })
    )
  })

  afterAll(() => rmSync(consumer, { recursive: true, force: true }))

  it("holds the built library, its sources and types, and names no registry", () => {
    const files = readdirSync(join(consumer, "node_modules/snowguard"), { recursive: true }).map(String)
    for (const file of [
      "dist/bin.js",
      "dist/index.js",
      "dist/RateLimiter.d.ts",
      "dist/RateLimiter.js.map",
      "src/RateLimiter.ts",
      "README.md",
      "LICENSE"
    ]) {
      assert.include(files, file)
    }
    assert.isTrue(files.every((file) => !file.startsWith("test") && !file.includes("tsbuildinfo")))
    const lock = readFileSync(join(root, "package-lock.json"), "utf8")
    assert.notMatch(lock, /"resolved"/)
  })

  it("its modules are imported by subpath, and what is internal is closed", () => {
    writeFileSync(
      join(consumer, "use.mjs"),
      `import * as RateLimiter from "snowguard/RateLimiter"
import * as QuotaStore from "snowguard/QuotaStore"
import { Guard, Testing } from "snowguard"
const closed = await Promise.all(["internal/monotonic", "bin", "main", "bundle/x"].map((path) =>
  import("snowguard/" + path).then(() => path, (error) => error.code)))
console.log(JSON.stringify([typeof RateLimiter.layer, typeof QuotaStore.layerMemory, typeof Guard.layer, typeof Testing.layer, closed]))`
    )
    const used = run(process.execPath, ["use.mjs"], consumer)
    assert.strictEqual(used.status, 0, used.stderr)
    assert.deepStrictEqual(JSON.parse(used.stdout), [
      "function",
      "object",
      "function",
      "function",
      Array.from({ length: 4 }, () => "ERR_PACKAGE_PATH_NOT_EXPORTED")
    ])
  })

  it("its types are found by subpath, and the examples compile against them", () => {
    const examples = readdirSync(join(root, "test/examples")).filter((file) => !file.endsWith(".test.ts"))
    for (const file of examples) {
      writeFileSync(join(consumer, file), readFileSync(join(root, "test/examples", file), "utf8"))
    }
    writeFileSync(
      join(consumer, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          module: "NodeNext",
          target: "ES2022",
          lib: ["ES2023"],
          types: ["node"],
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: true,
          noEmit: true
        },
        files: examples
      })
    )
    const compiled = run(
      process.execPath,
      [join(root, "node_modules/typescript/bin/tsc"), "-p", "."],
      consumer
    )
    const ours = compiled.stdout
      .split("\n")
      .filter((line) => !/^(\.\.\/)+(@|[a-z])/.test(line) && line !== "")
    assert.deepStrictEqual(ours, [])
  })

  it("its binary answers initialize", () => {
    const request = {
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "npx", version: "1" } }
    }
    const bin = join(consumer, "node_modules/snowguard/dist/bin.js")
    const answered = run(process.execPath, [bin], consumer, `${JSON.stringify(request)}\n`)
    assert.strictEqual(answered.status, 0, answered.stderr)
    assert.deepInclude(JSON.parse(answered.stdout).result.serverInfo, { name: "snowguard" })
  })
})
