import { describe, expect, it } from "@effect/vitest"
import { isSafe } from "../../src/QuotaStore/sqlite/Driver.js"
import { stateDir } from "../../src/internal/stateDir.js"

const linux = { platform: "linux", home: "/home/ada", cwd: "/work", env: {} }
const mac = { ...linux, platform: "darwin", home: "/Users/ada" }
const windows = { platform: "win32", home: "C:\\Users\\ada", cwd: "D:\\work", env: {} }

describe("the state directory", () => {
  it("is where each platform keeps a user's state", () => {
    expect(stateDir(linux)).toBe("/home/ada/.local/state/snowguard")
    expect(stateDir(mac)).toBe("/Users/ada/Library/Application Support/snowguard")
    expect(stateDir(windows)).toBe("C:\\Users\\ada\\AppData\\Local\\snowguard")
  })

  it("follows the platform's variable, unless that is empty or relative", () => {
    expect(stateDir({ ...linux, env: { XDG_STATE_HOME: "/var/ada" } })).toBe("/var/ada/snowguard")
    expect(stateDir({ ...linux, env: { XDG_STATE_HOME: "" } })).toBe("/home/ada/.local/state/snowguard")
    expect(stateDir({ ...linux, env: { XDG_STATE_HOME: "var" } })).toBe("/home/ada/.local/state/snowguard")
    expect(stateDir({ ...windows, env: { LOCALAPPDATA: "E:\\local" } })).toBe("E:\\local\\snowguard")
  })

  it("is exactly the override where there is one", () => {
    const at = (SNOWGUARD_STATE_DIR: string) => ({ SNOWGUARD_STATE_DIR, XDG_STATE_HOME: "/var/ada" })
    expect(stateDir({ ...linux, env: at("/srv/state") })).toBe("/srv/state")
    expect(stateDir({ ...linux, env: at("~/state") })).toBe("/home/ada/state")
    expect(stateDir({ ...linux, env: at("~state") })).toBe("/work/~state")
    expect(stateDir({ ...linux, env: at("state") })).toBe("/work/state")
    expect(stateDir({ ...linux, env: at("") })).toBe("/var/ada/snowguard")
    expect(stateDir({ ...windows, env: at("state") })).toBe("D:\\work\\state")
  })
})

describe("versions of SQLite", () => {
  it("are refused while processes could corrupt a file they share", () => {
    expect(["3.51.2", "3.45.1", "2.99.99"].map(isSafe)).toEqual([false, false, false])
    expect(["3.51.3", "3.53.0", "4.0.0"].map(isSafe)).toEqual([true, true, true])
  })
})
