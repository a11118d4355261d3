import { describe, expect, it } from "vitest"
import { optionsOf } from "../../src/platform/redis/connection.js"
import { describe as say, parse } from "../../src/platform/redis/url.js"

describe("the URL of a Redis", () => {
  it("names one server, over TLS or not, with user, password and database", () => {
    expect(parse("redis://localhost")).toMatchObject({
      kind: "single",
      tls: false,
      hosts: [{ host: "localhost", port: 6379 }],
      db: 0
    })
    expect(parse("rediss://ann:p%40ss:w@[::1]:7000/3")).toEqual({
      kind: "single",
      tls: true,
      hosts: [{ host: "::1", port: 7000 }],
      username: "ann",
      password: "p@ss:w",
      name: undefined,
      db: 3
    })
    expect(parse("redis://:only@h")).toMatchObject({ username: undefined, password: "only" })
    expect(parse("redis://u:100%@h")).toMatchObject({ password: "100%" })
  })

  it("names sentinels and their master, or the nodes of a cluster", () => {
    expect(parse("redis+sentinel://u:p@a,b:1/main/2")).toMatchObject({
      kind: "sentinel",
      hosts: [
        { host: "a", port: 26379 },
        { host: "b", port: 1 }
      ],
      name: "main",
      db: 2
    })
    expect(parse("rediss+cluster://a:1,b:2")).toMatchObject({
      kind: "cluster",
      tls: true,
      hosts: [{ port: 1 }, { port: 2 }]
    })
  })

  it("is refused with a sentence that gives no secret away", () => {
    for (const url of [
      "http://u:s3cret@h",
      "redis://u:s3cret@",
      "redis://u:s3cret@h:99999",
      "redis://u:s3cret@h/x",
      "redis://u:s3cret@a,b",
      "redis+sentinel://u:s3cret@a",
      "redis+cluster://u:s3cret@a/1",
      "s3cret"
    ]) {
      const said = parse(url)
      expect(typeof said, url).toBe("string")
      expect(said).not.toContain("s3cret")
    }
    const target = parse("redis://u:s3cret@h:1")
    expect(typeof target === "string" ? target : say(target)).toBe("h:1")
  })

  it("asks the driver never to queue and never to send again", () => {
    const target = parse("rediss://h")
    if (typeof target === "string") throw new Error(target)
    expect(optionsOf(target, { commandTimeoutMs: 150 })).toMatchObject({
      commandTimeout: 150,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      tls: {}
    })
  })

  it("never breaks a connection under a command that is still in time", () => {
    const target = parse("redis://h")
    if (typeof target === "string") throw new Error(target)
    for (const commandTimeoutMs of [50, 150, 999, 1_000, 2_000, 10_000]) {
      const { commandTimeout = 0, socketTimeout = 0 } = optionsOf(target, { commandTimeoutMs })
      expect(socketTimeout).toBeGreaterThan(commandTimeout)
    }
  })
})
