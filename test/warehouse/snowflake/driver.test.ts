import { it } from "@effect/vitest"
import { Effect } from "effect"
import { describe, expect } from "vitest"
import pkg from "../../../package.json" with { type: "json" }
import * as Driver from "../../../src/warehouse/snowflake/driver.js"

/** The internals as the driver has them, one of them changed. */
const parts = Effect.promise(async () => ({
  sdk: await import("snowflake-sdk"),
  util: await import("snowflake-sdk/dist/lib/util.js"),
  axios: await import("snowflake-sdk/dist/lib/http/axios_instance.js"),
  http: await import("snowflake-sdk/dist/lib/http/node_untyped.js"),
  descriptions: await import("snowflake-sdk/dist/lib/http/request_util.js")
}))

describe("the driver", () => {
  it("is pinned to the version whose internals are known", () => {
    expect(pkg.optionalDependencies["snowflake-sdk"]).toBe(Driver.version)
  })

  it.effect("has every internal that is relied on", () =>
    Effect.gen(function* () {
      yield* Driver.load
      expect(Driver.missing(yield* parts)).toEqual([])
    })
  )

  it.effect("says which of them has moved", () =>
    Effect.gen(function* () {
      const good = yield* parts
      const found = (changed: object) => Driver.missing({ ...good, ...changed })
      expect(found({ util: { default: { driverVersion: "3.4.0" } } })).toEqual([
        "version 3.3.0 (it is 3.4.0)"
      ])
      expect(found({ sdk: { default: { createConnection: 1 } } })).toEqual(["createConnection and configure"])
      expect(found({ axios: undefined })).toEqual(["the HTTP client with interceptors"])
      expect(
        found({
          axios: {
            request() {},
            interceptors: { request: { use() {} }, response: { use() {}, handlers: [] } }
          }
        })
      ).toEqual(["the retries as an interceptor of the HTTP client"])
      expect(found({ http: { NodeHttpClient: () => undefined } })).toEqual([
        "the requests and the agents for an address"
      ])
      expect(found({ descriptions: { describeURL: () => "" } })).toEqual(["the descriptions of requests"])
    })
  )
})
