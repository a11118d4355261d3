/** What ships the server into containers says what the server does; `npm run try:install` builds and runs it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parse as parseToml } from "smol-toml"
import { parse as parseYaml } from "yaml"
import * as ServerConfig from "../../src/config/ServerConfig.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const read = (file: string) => readFileSync(join(root, file), "utf8")

const project: { readonly version: string } = JSON.parse(read("package.json"))

/** The settings of an environment, by the server's own reading: a name that it does not know is a fault. */
const settingsOf = (env: { readonly [name: string]: string }, toml?: string) =>
  ServerConfig.load({
    env,
    account: false,
    ...(toml === undefined
      ? {}
      : { configPath: "/etc/snowguard/snowguard.toml", readFile: () => Promise.resolve(toml) })
  })

const routes = [...read("src/mcp/http/OperatorRoutes.ts").matchAll(/HttpRouter\.get\("(\/\w+)"/g)].map(
  ([, path]) => path
)

/** Instructions with their continuation lines joined. */
const instructions = read("Dockerfile")
  .replace(/^#.*\n/gm, "")
  .replace(/\\\n\s*/g, "")
  .split("\n")
  .filter((line) => line.trim() !== "")
  .map((line) => {
    const [, name = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? []
    return { name, rest }
  })
const stages = instructions
  .flatMap(({ name }, at) => (name === "FROM" ? [at] : []))
  .map((from, at, all) => instructions.slice(from, all[at + 1]))
const last = stages.at(-1) ?? []

describe("the Dockerfile", () => {
  it("copies into the build only what .dockerignore lets through, and what is there", () => {
    const sent = read(".dockerignore")
      .split("\n")
      .flatMap((line) => (line.startsWith("!") ? [line.slice(1)] : []))
    const copied = (stages[0] ?? []).flatMap(({ name, rest }) =>
      name === "COPY" ? rest.split(/\s+/).slice(0, -1) : []
    )
    assert.isAbove(copied.length, 5)
    for (const path of copied) {
      assert.include(sent, path.replace(/^\.\//, ""))
      assert.isTrue(existsSync(join(root, path)), path)
    }
  })

  it("builds all that the build script reads", () => {
    const copied = (stages[0] ?? []).flatMap(({ name, rest }) => (name === "COPY" ? rest.split(/\s+/) : []))
    for (const path of ["package-lock.json", "tsconfig.build.json", "./scripts", "./src"]) {
      assert.include(copied, path)
    }
  })

  it("ends with a user that is a number other than root's, a health check of a route, and the server as process 1", () => {
    const of = (name: string) => last.filter((one) => one.name === name).map(({ rest }) => rest)
    assert.match(of("USER").join(), /^[1-9]\d*:[1-9]\d*$/)
    const [, path] = /\}(\/\w+)`/.exec(of("HEALTHCHECK").join()) ?? []
    assert.include(routes, path)
    assert.deepStrictEqual(JSON.parse(of("ENTRYPOINT").join()), ["node", "/app/dist/bin.js"])
    assert.deepStrictEqual(JSON.parse(of("CMD").join()), ["http"])
  })

  it.effect("sets variables that the server knows", () =>
    Effect.gen(function* () {
      const variables = last.flatMap(({ name, rest }) => (name === "ENV" ? rest.split(/\s+/) : []))
      const env = Object.fromEntries(variables.map((one) => one.split("=") as [string, string]))
      const { settings } = yield* settingsOf(env)
      assert.strictEqual(settings.http.host, "0.0.0.0")
      const { EXPOSE } = Object.fromEntries(last.map(({ name, rest }) => [name, rest]))
      assert.strictEqual(String(settings.http.port), EXPOSE)
    })
  )
})

interface Service {
  readonly image: string
  readonly environment?: { readonly [name: string]: string }
  readonly volumes?: ReadonlyArray<string>
  readonly read_only?: boolean
  readonly stop_grace_period?: string
}

describe("the compose file", () => {
  const folder = "ops/compose"
  const compose = parseYaml(read(`${folder}/compose.yaml`), { merge: true })
  const services: ReadonlyArray<readonly [string, Service]> = Object.entries<Service>(compose.services)
  const servers = services.filter(([, { image }]) => image === "snowguard")

  it.effect("sets variables that the server knows, and keeps the quotas of both servers in its Redis", () =>
    Effect.gen(function* () {
      assert.strictEqual(servers.length, 2)
      for (const [, { environment }] of servers) {
        const env = Object.fromEntries(
          Object.entries(environment ?? {}).map(([name, value]) => [
            name,
            value.replace(/\$\{\w+:-(.*?)\}/, "$1")
          ])
        )
        const { settings } = yield* settingsOf(env)
        assert.strictEqual(settings.quotaStore.kind, "redis")
        assert.property(compose.services, new URL(env["SNOWGUARD_QUOTA_STORE_REDIS_URL"] ?? "").hostname)
      }
    })
  )

  it("mounts files that are there, and writes to a read-only root nowhere", () => {
    const mounted = services
      .flatMap(([, { volumes = [] }]) => volumes)
      .map((volume) => volume.split(":")[0] ?? "")
    for (const source of mounted) {
      if (source.startsWith(".")) assert.isTrue(existsSync(join(root, folder, source)), source)
      else assert.property(compose.volumes, source)
    }
    for (const [name, service] of services) assert.isTrue(service.read_only, name)
  })

  it("lets a server end by itself before it is killed", () => {
    for (const [, { stop_grace_period: grace }] of servers)
      assert.isAbove(Number.parseInt(grace ?? "", 10), 10)
  })

  it("has its servers scraped where they listen", () => {
    const { scrape_configs: jobs } = parseYaml(read(`${folder}/prometheus.yml`))
    assert.deepStrictEqual(
      jobs[0].static_configs[0].targets,
      servers.map(([name]) => `${name}:8787`)
    )
  })
})

describe("the Helm chart", () => {
  const chart = "ops/helm/snowguard"
  const values = parseYaml(read(`${chart}/values.yaml`))
  const templates = readdirSync(join(root, chart, "templates")).map((file) =>
    read(`${chart}/templates/${file}`)
  )
  const deployment = read(`${chart}/templates/deployment.yaml`)

  it("is of the version of the package", () => {
    assert.strictEqual(parseYaml(read(`${chart}/Chart.yaml`)).appVersion, project.version)
  })

  it.effect("its settings are settings of the server, and name the secrets where they are mounted", () =>
    Effect.gen(function* () {
      const { settings } = yield* settingsOf({}, values.config)
      assert.strictEqual(settings.warehouse, "snowflake")
      const { private_key_file: key } = parseToml(values.config)["snowflake"] as {
        readonly private_key_file: string
      }
      assert.include(deployment, `mountPath: ${dirname(key)}`)
    })
  )

  it.effect("its variables are variables of the server", () =>
    Effect.gen(function* () {
      const names = templates.flatMap((text) =>
        [...text.matchAll(/name: (SNOW\w+)/g)].map(([, name = ""]) => name)
      )
      assert.isAbove(names.length, 3)
      const values: ReadonlyArray<readonly [end: string, value: string]> = [
        ["KIND", "redis"],
        ["URL", "redis://redis:6379"],
        ["RATE_LIMITS", "shared"],
        ["CURSOR_KEY", "k".repeat(43)]
      ]
      const value = (name: string) => values.find(([end]) => name.endsWith(end))?.[1] ?? "/etc/snowguard/x"
      const env = Object.fromEntries(names.map((name) => [name, value(name)]))
      yield* settingsOf({ ...env, SNOWGUARD_CONFIG: "" })
    })
  )

  it("probes routes of the server, and a warehouse that fails restarts no pod", () => {
    const probes = [...deployment.matchAll(/(\w+)Probe:\s+httpGet: \{ path: (\/\w+), port: http \}/g)].map(
      ([, probe, path]) => ({ probe, path })
    )
    assert.deepStrictEqual(probes, [
      { probe: "startup", path: "/healthz" },
      { probe: "liveness", path: "/healthz" },
      { probe: "readiness", path: "/readyz" }
    ])
    for (const { path } of probes) assert.include(routes, path)
  })

  it("lets a server end by itself before it is killed", () => {
    assert.isAtLeast(values.terminationGracePeriodSeconds, values.preStopSeconds + 10)
  })
})
