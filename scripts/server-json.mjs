// Writes server.json, which the MCP registry takes, from package.json and src/cli/clients.ts. `--check` writes nothing and
// exits 1 when the file says something else. With `--bundles URL` it is printed with the bundles in bundles/ beside the
// package, as they are downloaded from below that address.
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { fromSources } from "./fromSources.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const { values: options } = parseArgs({
  options: { check: { type: "boolean", default: false }, bundles: { type: "string" } }
})
const { mcpName, name, version } = JSON.parse(readFileSync(`${root}package.json`, "utf8"))
const { settings } = await fromSources("src/cli/clients.ts")

const environmentVariables = settings.map(
  ({ choices, description, example, isSecret, kind, standard, variable }) => ({
    name: variable,
    description,
    ...(kind === "file" ? { format: "filepath" } : {}),
    ...(isSecret ? { isSecret } : {}),
    ...(example === "" ? {} : { placeholder: example }),
    ...(standard === undefined ? {} : { default: standard }),
    ...(choices === undefined ? {} : { choices })
  })
)
const transport = { type: "stdio" }

/** The bundles, as files of a release. */
const bundles = () => {
  if (!existsSync(`${root}bundles`)) throw new Error("there are no bundles: npm run build:mcpb")
  return readdirSync(`${root}bundles`)
    .filter((file) => file.endsWith(".mcpb") && file.includes(`-${version}-`))
    .sort()
    .map((file) => ({
      registryType: "mcpb",
      identifier: `${options.bundles.replace(/\/$/, "")}/${file}`,
      version,
      fileSha256: createHash("sha256")
        .update(readFileSync(`${root}bundles/${file}`))
        .digest("hex"),
      transport
    }))
}

const server = {
  $schema: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
  name: mcpName,
  title: "Snowguard",
  description: "Snowflake for agents: rate limits, quotas, a circuit breaker and a read-only gate",
  version,
  packages: [
    { registryType: "npm", identifier: name, version, transport, environmentVariables },
    ...(options.bundles === undefined ? [] : bundles())
  ]
}
const text = `${JSON.stringify(server, undefined, 2)}\n`
if (options.bundles !== undefined) process.stdout.write(text)
else if (!options.check) writeFileSync(`${root}server.json`, text)
else if (!existsSync(`${root}server.json`) || readFileSync(`${root}server.json`, "utf8") !== text) {
  process.stderr.write(
    "server.json does not say what package.json and src/cli/clients.ts say: run `npm run docs`\n"
  )
  process.exitCode = 1
}
