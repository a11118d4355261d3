/** `snowguard admin` at its worst hour: the file that it reads was broken after the server had started. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { run } from "../utils/command.js"
import { folder, serving } from "../utils/httpProcess.js"
import { freePort } from "../utils/freePort.js"
import { bin, cleanEnv } from "../utils/server.js"

const admin = (config: string, args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const { status, ...said } = await run(process.execPath, [bin, "admin", ...args], {
      env: cleanEnv({ SNOWGUARD_CONFIG: config })
    })
    return { code: status, ...said }
  })

describe("snowguard admin", () => {
  it.scopedLive(
    "reaches the server although the file is wrong or gone, and tells what the server says of it",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "snowguard.toml")
        const port = yield* Effect.promise(freePort)
        const write = (text: string) => {
          writeFileSync(`${path}.new`, `[http]\nport = ${port}\n${text}`)
          renameSync(`${path}.new`, path)
        }
        write("")
        const { server } = yield* serving({ SNOWGUARD_CONFIG: path, SNOWGUARD_HTTP_PORT: String(port) })

        write("[limits]\nburst = -1\nno_such_setting = 1")
        const reload = yield* admin(path, ["reload"])
        assert.strictEqual(reload.code, 1)
        assert.match(reload.stdout, /^nothing was changed, the settings are wrong:\nlimits\.burst/)
        assert.include(reload.stdout, "limits.no_such_setting")
        assert.match(reload.stderr, /settings read here are wrong \(2 faults\)/)
        const status = yield* admin(path, ["status"])
        assert.strictEqual(status.code, 0)
        assert.match(status.stdout, /THE LAST ONES READ ARE WRONG: 2 faults/)
        const { body } = yield* server.ask({ method: "GET", path: "/readyz" })
        assert.match(body, /"status":"ready".*settings that were read last are wrong.*limits\.burst/)
        assert.strictEqual((yield* admin(path, ["breaker", "open"])).code, 0)

        // Of a file that is no TOML the address is not known: it is named.
        write("[[[")
        const url = ["--url", `http://127.0.0.1:${port}`]
        const named = yield* admin(path, ["breaker", "release", ...url])
        assert.deepInclude(named, { code: 0, stderr: "" })
        rmSync(path)
        assert.strictEqual((yield* admin(path, ["status", ...url])).code, 0)

        // A port that needs a restart is not the one that the server listens on.
        write("")
        writeFileSync(path, `[http]\nport = ${yield* Effect.promise(freePort)}\n`)
        const elsewhere = yield* admin(path, ["status"])
        assert.strictEqual(elsewhere.code, 1)
        assert.match(
          elsewhere.stderr,
          /^no server answers at .*; if it listens elsewhere.* name it with --url\n$/
        )

        // An address that is wrong itself is no address.
        writeFileSync(path, `[http]\nport = "x"\n`)
        const wrong = yield* admin(path, ["status"])
        assert.strictEqual(wrong.code, 78)
        assert.include(wrong.stderr, "http.port")
      }),
    60_000
  )
})
