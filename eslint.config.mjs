// Boundary rules come first: they are the layout of the project, held by a machine.
//   core, sql  <-  services  <-  Guard  <-  tools  <-  McpServer  <-  transport  <-  main  <-  commands  <-  bin
import tseslint from "typescript-eslint"

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
const barrels = {
  paths: ["effect", "@effect/platform", "@effect/platform-node"].map((name) => ({
    name,
    message: "Import the module itself (effect/Effect): the barrel costs hundreds of milliseconds at start."
  }))
}
const drivers = ["snowflake-sdk", "@duckdb/node-api", "@photostructure/sqlite", "ioredis"].map((name) => ({
  name,
  message: "Drivers are loaded by dynamic import() in their adapter; import types only.",
  allowTypeImports: true
}))
const sdk = {
  group: ["@modelcontextprotocol/sdk/*"],
  message: "Only McpServer.ts and transport/* know the MCP SDK."
}
const adapters = {
  group: ["**/QuotaStore/*", "**/Warehouse/*", "**/ReadOnly/*"],
  message: "Only main.ts chooses an adapter; depend on the port."
}
// Served from embedded/ and started by the command line only: what is below must work without it.
const emulator = {
  group: ["**/emulator/*"],
  message: "Only main.ts, bin.ts and Testing.ts may start the emulator."
}
const upward = (...names) => ({ group: names, message: "Imports flow one way; this one goes upward." })
const outer = [
  "**/commands/*",
  "**/Guard.js",
  "**/tools/*",
  "**/Toolbox.js",
  "**/McpServer.js",
  "**/transport/*",
  "**/main.js", "**/main/*",
  "**/bin.js"
]

const restrict = (patterns, extraPaths = []) => [
  "error",
  { paths: [...barrels.paths, ...drivers, ...extraPaths], patterns }
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
      "no-restricted-syntax": [
        "error",
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: "Use Clock or DateTime."
        }
      ],
      "@typescript-eslint/no-restricted-imports": restrict([
        sdk,
        adapters,
        emulator,
        upward("**/commands/*", "**/main.js", "**/main/*", "**/bin.js")
      ])
    }
  },
  {
    files: ["src/core/**/*.ts", "src/sql/**/*.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        ...globalsForbidden,
        { name: "Date", message: "Time is an argument here." },
        { name: "process", message: "Pure code knows no process." }
      ],
      "@typescript-eslint/no-restricted-imports": restrict([
        { group: ["../*"], message: "core/ and sql/ import nothing of ours outside their folder." },
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
          message: "core/ and sql/ are pure: no runtime, no clock, no IO."
        }
      ])
    }
  },
  {
    // Services below the guard do not look up.
    files: [
      "src/*.ts",
      "src/Warehouse/**/*.ts",
      "src/QuotaStore/**/*.ts",
      "src/ReadOnly/**/*.ts",
      "src/embedded/**/*.ts"
    ],
    ignores: ["src/{Guard,ErrorReport,Tool,Toolbox,McpServer,Server,Stack,main,bin,index,Testing}.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": restrict([sdk, adapters, emulator, upward(...outer)])
    }
  },
  {
    files: ["src/tools/**/*.ts", "src/Tool.ts", "src/Toolbox.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": restrict([
        sdk,
        adapters,
        emulator,
        upward("**/McpServer.js", "**/transport/*", "**/commands/*", "**/main.js", "**/main/*", "**/bin.js")
      ])
    }
  },
  {
    files: ["src/McpServer.ts", "src/transport/**/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": restrict([
        adapters,
        emulator,
        upward("**/commands/*", "**/main.js", "**/main/*", "**/bin.js")
      ])
    }
  },
  {
    files: ["src/main.ts", "src/main/**/*.ts", "src/Server.ts", "src/bin.ts", "src/Testing.ts"],
    rules: { "@typescript-eslint/no-restricted-imports": restrict([sdk]) }
  },
  {
    files: ["src/commands/**/*.ts"],
    rules: { "@typescript-eslint/no-restricted-imports": restrict([sdk, adapters, upward("**/bin.js")]) }
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
      "no-restricted-syntax": "off"
    }
  },
  { files: ["scripts/**/*.mjs", "test/**/*.ts"], rules: { "no-console": "off" } }
)
