import { describe, expect, it } from "vitest"
import { problem, variableFor } from "../../../src/warehouse/snowflake/proxy.js"

const https = "https://org-acct.snowflakecomputing.com"

describe("the proxy of the environment", () => {
  it.each([
    ["not a proxy"],
    ["http://"],
    ["http://proxy:port"],
    ["http://proxy:99999"],
    ["proxy:80:80"],
    ["://proxy"],
    ["socks5://proxy:1080"],
    ["http://user@proxy:8080"],
    ["http://:hunter2@proxy:8080"]
  ])("%s is refused by its name, and nothing of it is repeated", (value) => {
    const found = problem(https, { HTTPS_PROXY: value })
    expect(found).toMatch(/^HTTPS_PROXY /)
    expect(found).not.toContain("hunter2")
  })

  it.each([
    ["http://proxy:8080"],
    ["proxy:8080"],
    ["proxy"],
    ["https://user:p%40ss@proxy.example.com"],
    ["http://[::1]:3128"],
    [""]
  ])("%s is taken", (value) => {
    expect(problem(https, { HTTPS_PROXY: value })).toBeUndefined()
  })

  it("is that of the address: its scheme, the lower-case spelling first, and no host that is excluded", () => {
    const env = { HTTPS_PROXY: "http://a:1", http_proxy: "http://b:2", HTTP_PROXY: "http://c:3" }
    expect(variableFor(https, env)).toBe("HTTPS_PROXY")
    expect(variableFor("http://127.0.0.1:1/x", env)).toBe("http_proxy")
    expect(variableFor(https, {})).toBeUndefined()
    for (const excluded of [
      "*",
      ".snowflakecomputing.com",
      "x, org-acct.snowflakecomputing.com",
      "*computing.com"
    ]) {
      expect([excluded, variableFor(https, { ...env, NO_PROXY: excluded })]).toEqual([excluded, undefined])
    }
    expect(variableFor(https, { ...env, no_proxy: "snowflakecomputing.com.evil,localhost" })).toBe(
      "HTTPS_PROXY"
    )
    expect(problem(https, { HTTP_PROXY: "nonsense :" })).toBeUndefined()
  })
})
