// The layout of the project, held by a machine. Each folder of src is a room: one concept. Imports go down only:
//
//   cli > demo > server > config > mcp > dashboard > operate > tools > guard > quota > observe > emulator > embedded > warehouse > gate > sql > platform
//
// A room's pure decisions are in its core/, which no other room imports.
import tseslint from "typescript-eslint"

const rooms = [
  "cli",
  "demo",
  "server",
  "config",
  "mcp",
  "dashboard",
  "operate",
  "tools",
  "guard",
  "quota",
  "observe",
  "emulator",
  "embedded",
  "warehouse",
  "gate",
  "sql",
  "platform"
]
/** Rooms with a `core/`; that of `platform` is for all. */
const withCore = ["gate", "guard", "mcp", "observe", "operate", "quota", "tools"]
/** What stands beside the server and is started by the rooms named here only. */
const startedBy = { emulator: ["cli", "demo", "server"], embedded: [], demo: ["cli"], dashboard: ["mcp"] }
/** Rooms from which an adapter may be chosen. */
const assemblers = ["cli", "demo", "server"]

const clockAndChance = [
  { object: "Date", property: "now", message: "Use Clock (services) or the `now` argument (core)." },
  { object: "Math", property: "random", message: "Use Random, or take the number as an argument." },
  { object: "performance", property: "now", message: "Use Clock.currentTimeNanos." }
]
const globalsForbidden = [
  { name: "setTimeout", message: "Use Effect.sleep / Clock." },
  { name: "setInterval", message: "Use Schedule." },
  { name: "setImmediate", message: "Use Effect.yieldNow." }
]
const barrels = ["effect", "@effect/platform", "@effect/platform-node"].map((name) => ({
  name,
  message: "Import the module itself (effect/Effect): the barrel costs hundreds of milliseconds at start."
}))
const drivers = ["snowflake-sdk", "@duckdb/node-api", "@photostructure/sqlite", "ioredis"].map((name) => ({
  name,
  message: "Drivers are loaded by dynamic import() in their adapter; import types only.",
  allowTypeImports: true
}))
const sdk = { group: ["@modelcontextprotocol/*"], message: "Only mcp/ knows the MCP SDK." }

const folder = (name) => `^(\\.\\./)+${name}/`

/** Folders above `room` in the order, and those that others do not import. */
const forbidden = (room) => {
  const upper = rooms.slice(0, rooms.indexOf(room)).map((name) => ({
    regex: folder(name),
    message: `Imports go down only: ${name}/ is above ${room}/.`
  }))
  const cores = withCore
    .filter((name) => name !== room)
    .map((name) => ({ regex: folder(`${name}/core`), message: `core/ of ${name}/ is its own.` }))
  const beside = Object.entries(startedBy)
    .filter(([name, by]) => name !== room && !by.includes(room))
    .map(([name, by]) => ({ regex: folder(name), message: `Only ${by.join(", ")} may use ${name}/.` }))
  const adapters = assemblers.includes(room)
    ? []
    : [
        ...(room === "quota"
          ? []
          : [{ group: ["**/quota/stores/**"], message: "Depend on the port; server/ chooses the adapter." }]),
        ...(room === "warehouse"
          ? []
          : [
              {
                group: [
                  "**/warehouse/{DuckDb,Snowflake}.js",
                  "**/warehouse/snowflake/**",
                  ...(room === "emulator" || room === "embedded" ? [] : ["**/warehouse/duckdb/**"])
                ],
                message: "Depend on the port; server/ chooses the adapter."
              }
            ])
      ]
  return [...(room === "mcp" ? [] : [sdk]), ...upper, ...cores, ...beside, ...adapters]
}

const imports = (patterns) => ["error", { paths: [...barrels, ...drivers], patterns }]

const noNewDate = {
  selector: "NewExpression[callee.name='Date'][arguments.length=0]",
  message: "Use Clock or DateTime."
}
/** Where the unsafe API of Effect is refused. */
const safeFiles = rooms.map((room) => `src/${room}/**/*.ts`)
/** Exempt: where the runtime, an SDK or a driver calls back and nothing else will do. */
const mayBeUnsafe = [
  "src/platform/**/*.ts",
  // Callbacks of the DuckDB driver.
  "src/warehouse/duckdb/**/*.ts",
  // Effect's tracer ends a span synchronously, and hands it to the exporter's queue there.
  "src/observe/Otlp.ts"
]
const unsafe = [
  {
    selector:
      "MemberExpression[property.name=/^unsafe[A-Z]/], ImportSpecifier[imported.name=/^unsafe[A-Z]/], " +
      "Identifier[name=/^(getFiberRefs|currentContext|withFiberRuntime|RuntimeFlags)$/]",
    message: "Only platform/ and the callbacks of SDKs and drivers use the unsafe API."
  }
]
/** Services whose state is a Ref. */
const statefulFiles = ["src/guard/*.ts", "src/quota/*.ts"]
const mutable = [
  { selector: "VariableDeclaration[kind='let']", message: "State is a Ref; pure decisions are in core/." },
  { selector: "Identifier[name='MutableRef']", message: "State is a Ref." }
]

export default tseslint.config(
  { ignores: ["dist/**", "dist.building-*/**", "node_modules/**"] },
  ...tseslint.configs.recommended,
  {
    files: ["**/*.ts"],
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "separate-type-imports" }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-empty-object-type": "off",
      "no-console": "error",
      "require-yield": "off"
    }
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "no-restricted-properties": ["error", ...clockAndChance],
      "no-restricted-globals": ["error", ...globalsForbidden],
      "no-restricted-syntax": ["error", noNewDate]
    }
  },
  {
    files: safeFiles,
    ignores: mayBeUnsafe,
    rules: { "no-restricted-syntax": ["error", noNewDate, ...unsafe] }
  },
  {
    files: statefulFiles,
    rules: { "no-restricted-syntax": ["error", noNewDate, ...unsafe, ...mutable] }
  },
  ...rooms.map((room) => ({
    files: [`src/${room}/**/*.ts`],
    rules: { "@typescript-eslint/no-restricted-imports": imports(forbidden(room)) }
  })),
  ...["platform", ...withCore].map((room) => ({
    // Pure: no runtime, no clock, no IO.
    files: [`src/${room}/core/**/*.ts`],
    rules: {
      "no-restricted-globals": [
        "error",
        ...globalsForbidden,
        { name: "Date", message: "Time is an argument here." },
        { name: "process", message: "Pure code knows no process." }
      ],
      "@typescript-eslint/no-restricted-imports": imports([
        {
          regex: `^\\.\\./(?!\\.\\./(platform/core${room === "gate" ? "|sql" : ""})/)`,
          message: "core/ imports its own folder and platform/core only."
        },
        {
          group: [
            "effect/Effect",
            "effect/Ref",
            "effect/Clock",
            "effect/Layer",
            "effect/Context",
            "effect/Runtime",
            "node:*"
          ],
          message: "core/ is pure: no runtime, no clock, no IO."
        }
      ])
    }
  })),
  {
    files: ["src/sql/**/*.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        ...globalsForbidden,
        { name: "Date", message: "Time is an argument here." },
        { name: "process", message: "Pure code knows no process." }
      ]
    }
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          paths: [
            {
              name: "@effect/vitest",
              importNames: ["layer"],
              message: "It changes the `it` of every other file in the process; use test/utils/withLayer."
            }
          ]
        }
      ]
    }
  },
  {
    // Runs in a browser, which has no Clock.
    files: ["src/dashboard/client/**/*.ts"],
    rules: {
      "no-restricted-globals": "off",
      "no-restricted-properties": "off",
      "no-restricted-syntax": "off",
      // The types of what the server answers.
      "@typescript-eslint/no-restricted-imports": "off"
    }
  },
  { files: ["scripts/**/*.mjs", "test/**/*.ts"], rules: { "no-console": "off" } }
)
