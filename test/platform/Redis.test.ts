import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { vi } from "vitest"
import * as Redis from "../../src/platform/Redis.js"

vi.mock("ioredis", () => {
  throw new Error("Cannot find package 'ioredis'")
})

describe("a connection to redis", () => {
  it.scoped("says how to install the driver when it is not there", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Redis.make({ url: "redis://user:s3cret@127.0.0.1:1" }))
      expect(error).toMatchObject({
        _tag: "RedisError",
        reason: "Missing",
        message:
          "redis: The driver ioredis is not installed. Install snowguard with its optional dependencies (without --omit=optional)."
      })
      expect(JSON.stringify(error)).not.toContain("s3cret")
    })
  )
})
