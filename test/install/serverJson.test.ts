/**
 * `server.json` against the fields that the documentation of the MCP registry describes for its schema of 2025-12-11; no
 * package ships the schema itself.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as ServerConfig from "../../src/config/ServerConfig.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const read = (file: string) => JSON.parse(readFileSync(`${root}${file}`, "utf8"))
const project: { readonly mcpName: string; readonly name: string; readonly version: string } =
  read("package.json")

const text = (longest: number) => Schema.String.pipe(Schema.minLength(1), Schema.maxLength(longest))
/** An exact release: no range, no tag. */
const release = Schema.String.pipe(Schema.pattern(/^\d+\.\d+\.\d+(?:-[\w.]+)?$/))

const Variable = Schema.Struct({
  name: Schema.String.pipe(Schema.pattern(/^[A-Z][A-Z0-9_]*$/)),
  description: Schema.String,
  default: Schema.optional(Schema.String),
  placeholder: Schema.optional(Schema.String),
  choices: Schema.optional(Schema.NonEmptyArray(Schema.String)),
  format: Schema.optional(Schema.Literal("string", "number", "boolean", "filepath")),
  isSecret: Schema.optional(Schema.Boolean),
  isRequired: Schema.optional(Schema.Boolean)
})
const Package = Schema.Struct({
  registryType: Schema.Literal("npm", "mcpb", "oci"),
  identifier: text(2_000),
  version: release,
  fileSha256: Schema.optional(Schema.String.pipe(Schema.pattern(/^[a-f0-9]{64}$/))),
  transport: Schema.Struct({ type: Schema.Literal("stdio") }),
  environmentVariables: Schema.optional(Schema.Array(Variable))
})
const ServerJson = Schema.Struct({
  $schema: Schema.Literal("https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"),
  name: text(200).pipe(Schema.pattern(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/)),
  title: text(100),
  description: text(100),
  version: release,
  packages: Schema.NonEmptyArray(Package)
})
const decode = Schema.decodeUnknown(ServerJson, { onExcessProperty: "error", errors: "all" })

describe("server.json", () => {
  it.effect("has the fields that the registry documents, and no others", () => decode(read("server.json")))

  it.effect("is of this package: its name, its version, and the name that the package gives as proof", () =>
    Effect.gen(function* () {
      const { name, packages, version } = yield* decode(read("server.json"))
      assert.deepStrictEqual([name, version], [project.mcpName, project.version])
      const [npm] = packages
      assert.deepInclude(npm, { registryType: "npm", identifier: project.name, version: project.version })
    })
  )

  it.effect("a value of its variables is taken by the server, and secrets are marked as such", () =>
    Effect.gen(function* () {
      const { packages } = yield* decode(read("server.json"))
      const variables = packages[0].environmentVariables ?? []
      for (const { choices, isSecret = false, name } of variables) {
        if (name === "SNOWGUARD_CONFIG") continue
        const value = choices?.[0] ?? "a-value-of-it"
        const loaded = yield* ServerConfig.load({ env: { [name]: value }, account: false })
        assert.strictEqual(ServerConfig.printConfig(loaded, []).includes(value), !isSecret, name)
      }
    })
  )

  it.effect(
    "a range for a version, a field of another schema and a description that is too long are told",
    () =>
      Effect.gen(function* () {
        const right = read("server.json")
        for (const wrong of [
          { ...right, version: "^0.1.0" },
          { ...right, package_name: "x" },
          { ...right, description: "x".repeat(101) },
          { ...right, packages: [] },
          { ...right, name: "snowguard" }
        ]) {
          assert.strictEqual((yield* Effect.either(decode(wrong)))._tag, "Left")
        }
      })
  )
})
