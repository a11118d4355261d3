import { assert, describe, it } from "@effect/vitest"
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { apiExamples } from "./utils/apiExamples.js"
import { run as runCommand } from "./utils/command.js"
import { reached } from "./utils/reached.js"
import { cleanEnv } from "./utils/server.js"

const root = fileURLToPath(new URL("..", import.meta.url))

const run = (
  command: string,
  args: ReadonlyArray<string>,
  cwd: string,
  input = "",
  env: { readonly [name: string]: string } = {}
) => runCommand(command, args, { cwd, input, env: { ...cleanEnv(), ...env } })

const manifest: {
  readonly exports: { readonly [subpath: string]: string }
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

const initialize = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "npx", version: "1" }
}

/**
 * A consumer's folder with the packed package in its node_modules. What the package depends on is found where
 * `npm ci` has put it, through the link in the folder above, and nothing is fetched.
 */
describe("the packed package", () => {
  let home = ""
  let consumer = ""

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "snowguard-consumer-"))
    symlinkSync(realpathSync(join(root, "node_modules")), join(home, "node_modules"), "junction")
    consumer = join(home, "app")
    mkdirSync(consumer)
    const packed = await run("npm", ["pack", "--ignore-scripts", "--pack-destination", consumer], root)
    assert.strictEqual(packed.status, 0, packed.stderr)
    const tarball = readdirSync(consumer).find((file) => file.endsWith(".tgz")) ?? ""
    const target = join(consumer, "node_modules/snowguard")
    mkdirSync(target, { recursive: true })
    const unpacked = await run(
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

  afterAll(() => rmSync(home, { recursive: true, force: true }))

  it("holds the built library, its sources and types, and names no registry", () => {
    const files = readdirSync(join(consumer, "node_modules/snowguard"), { recursive: true }).map(String)
    for (const file of [
      "dist/bin.js",
      "dist/index.js",
      "dist/guard/RateLimiter.d.ts",
      "dist/guard/RateLimiter.js.map",
      "src/guard/RateLimiter.ts",
      "README.md",
      "CHANGELOG.md",
      "docs/configuration.md",
      "LICENSE"
    ]) {
      assert.include(files, file)
    }
    assert.isTrue(files.every((file) => !file.startsWith("test") && !file.includes("tsbuildinfo")))
    const lock = readFileSync(join(root, "package-lock.json"), "utf8")
    assert.notMatch(lock, /"resolved"/)
  })

  /** Subpaths as they are written after `snowguard/`. */
  const publicModules = Object.keys(manifest.exports)
    .map((subpath) => subpath.slice(2))
    .filter((subpath) => subpath !== "" && subpath !== "package.json")

  const use = async (program: string, input = ""): Promise<string> => {
    writeFileSync(join(consumer, "use.mjs"), program)
    const used = await run(process.execPath, ["use.mjs"], consumer, input)
    assert.strictEqual(used.status, 0, used.stderr)
    return used.stdout
  }

  it("every public module is imported by subpath, and every other one is closed", async () => {
    const closed = readdirSync(join(consumer, "node_modules/snowguard/dist"), { recursive: true })
      .map((file) => String(file).replaceAll("\\", "/"))
      .filter((file) => file.endsWith(".js"))
      .map((file) => file.slice(0, -".js".length))
      .filter((file) => file !== "index" && !publicModules.includes(file))
    assert.isAbove(closed.length, 100)
    const found = await use(`
const opened = []
for (const path of ${JSON.stringify(publicModules)}) {
  const module = await import("snowguard/" + path)
  if (Object.keys(module).length === 0) opened.push(path + " is empty")
}
for (const path of ${JSON.stringify(closed)}) {
  try {
    opened.push(import.meta.resolve("snowguard/" + path))
  } catch (error) {
    if (error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error
  }
}
console.log(JSON.stringify(opened))`)
    assert.deepStrictEqual(JSON.parse(found), [])
  })

  it("what loads no other package is there where nothing but effect is installed, and a driver that is not is named", async () => {
    const bare = mkdtempSync(join(tmpdir(), "snowguard-layers-"))
    try {
      mkdirSync(join(bare, "node_modules"))
      cpSync(join(consumer, "node_modules/snowguard"), join(bare, "node_modules/snowguard"), {
        recursive: true
      })
      symlinkSync(
        realpathSync(join(root, "node_modules/effect")),
        join(bare, "node_modules/effect"),
        "junction"
      )
      const light = [...(await reached())].flatMap(([subpath, { packages }]) =>
        packages.every((name) => name === "effect") ? [subpath] : []
      )
      assert.includeMembers(light, [
        "RateLimiter",
        "CircuitBreaker",
        "Bulkhead",
        "Retry",
        "Degradation",
        "Guard"
      ])
      writeFileSync(
        join(bare, "layers.mjs"),
        `import { Effect } from "effect"
for (const path of ${JSON.stringify(light)}) await import("snowguard/" + path)
const Sqlite = await import("snowguard/QuotaStore/Sqlite")
const Redis = await import("snowguard/Redis")
for (const made of [Sqlite.make({ path: "quota.db" }), Redis.make({ url: "redis://127.0.0.1:1" })]) {
  console.log((await Effect.runPromise(Effect.scoped(Effect.flip(made)))).message)
}`
      )
      const ran = await run(process.execPath, ["layers.mjs"], bare)
      assert.strictEqual(ran.status, 0, ran.stderr)
      assert.match(
        ran.stdout,
        /driver @photostructure\/sqlite is not installed.*\n.*driver ioredis is not installed/
      )
    } finally {
      rmSync(bare, { recursive: true, force: true })
    }
  })

  it("its barrel has every public module of the first level, and the documentation names public modules only", async () => {
    const names = JSON.parse(
      await use(`import * as all from "snowguard"; console.log(JSON.stringify(Object.keys(all)))`)
    )
    assert.deepStrictEqual([...names].sort(), publicModules.filter((path) => !path.includes("/")).sort())
    const pages = ["README.md", ...readdirSync(join(root, "docs")).map((file) => `docs/${file}`)]
      .filter((file) => file.endsWith(".md"))
      .map((file) => readFileSync(join(root, file), "utf8"))
    const named = [...pages.join("\n").matchAll(/[`"]snowguard\/([A-Za-z/]+)[`"]/g)].map(
      ([, path]) => path ?? ""
    )
    assert.isAbove(named.length, 5)
    assert.deepStrictEqual(
      named.filter((path) => !publicModules.includes(path)),
      []
    )
  })

  it(
    "the examples compile against its types as strictly as can be, those in the comments of its modules too, and so do programs that name them",
    { timeout: 240_000 },
    async () => {
      const examples = readdirSync(join(root, "test/examples")).filter((file) => !file.endsWith(".test.ts"))
      for (const file of examples) {
        writeFileSync(join(consumer, file), readFileSync(join(root, "test/examples", file), "utf8"))
      }
      const inComments = apiExamples()
      assert.isAbove(inComments.length, 12)
      for (const { file, source } of inComments) writeFileSync(join(consumer, file), source)
      writeFileSync(
        join(consumer, "everything.ts"),
        publicModules.map((path, i) => `export * as M${i} from "snowguard/${path}"\n`).join("")
      )
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
            noUncheckedIndexedAccess: true,
            skipLibCheck: false,
            // What is inferred has to have a name that a consumer may write.
            declaration: true,
            outDir: "out"
          },
          files: [...examples, ...inComments.map(({ file }) => file), "everything.ts"]
        })
      )
      const compiled = await run(
        process.execPath,
        [join(root, "node_modules/typescript/bin/tsc"), "-p", "."],
        consumer
      )
      // Other packages' types are theirs; an indented line goes on with the one before it.
      const ours = compiled.stdout
        .split("\n")
        .filter((line) => !/^(\s|(\.\.\/)+(@|[a-z]))/.test(line) && line !== "")
      assert.deepStrictEqual(ours, [])
    }
  )

  it("the compiled examples run: a server with a store of its own, and a test on virtual time", async () => {
    const call = (id: number, method: string, params: object) =>
      `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`
    const served = await run(
      process.execPath,
      ["out/ownStore.js"],
      consumer,
      call(1, "initialize", initialize) +
        call(2, "tools/call", { name: "list_schemas", arguments: { database: "SNOWGUARD_SAMPLE" } }),
      { SNOWGUARD_STATE_DIR: join(consumer, "state") }
    )
    assert.strictEqual(served.status, 0, served.stderr)
    const answers = served.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
    assert.deepStrictEqual(
      answers.map(({ id }) => id),
      [1, 2]
    )
    assert.isUndefined(answers[1].result.isError, JSON.stringify(answers[1]))
    const ledger = readFileSync(join(consumer, "ledger.jsonl"), "utf8").trimEnd().split("\n")
    assert.deepInclude(JSON.parse(ledger[0] ?? ""), { decision: "Granted" })
    const contract = await run(process.execPath, ["--test", "out/ownContract.js"], consumer)
    assert.strictEqual(contract.status, 0, contract.stdout)
    assert.match(contract.stdout, /^# pass [1-9][0-9]$/m)
    const tested = await use(`import { Effect } from "effect"
import { test } from "./out/ownToolTest.js"
await Effect.runPromise(test)
console.log("passed")`)
    assert.strictEqual(tested, "passed\n")
  })

  it("a server of one's own keeps stdout for the protocol, whatever logs there and with whichever logger", async () => {
    const stdout = await use(
      `import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Server, ServerConfig, Toolbox } from "snowguard"
const noisy = Effect.tap(Effect.logInfo("a layer is built"), () => Effect.sync(() => console.log("a library")))
const toolbox = Layer.tap(Toolbox.layerDefault, () => noisy)
NodeRuntime.runMain(Server.stdio(ServerConfig.defaults, { toolbox }, ${JSON.stringify(join(consumer, "noisy"))}))`,
      `${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: initialize })}\n`
    )
    assert.strictEqual(JSON.parse(stdout).id, 1)
  })

  it("its binary answers initialize", async () => {
    const request = { jsonrpc: "2.0", id: 1, method: "initialize", params: initialize }
    const bin = join(consumer, "node_modules/snowguard/dist/bin.js")
    const answered = await run(process.execPath, [bin], consumer, `${JSON.stringify(request)}\n`)
    assert.strictEqual(answered.status, 0, answered.stderr)
    assert.deepInclude(JSON.parse(answered.stdout).result.serverInfo, { name: "snowguard" })
  })
})
