import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import { isSafe } from "../../src/quota/stores/sqlite/database.js"
import * as UserDirs from "../../src/platform/userDirs.js"

const linux = { platform: "linux", home: "/home/ada", cwd: "/work", env: {} }
const mac = { ...linux, platform: "darwin", home: "/Users/ada" }
const windows = { platform: "win32", home: "C:\\Users\\ada", cwd: "D:\\work", env: {} }

const stateDir = (environment: UserDirs.Environment) => Either.merge(UserDirs.stateDir(environment))

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

  it("is missing with a reason where there is neither a home directory nor an override", () => {
    const homeless = { ...linux, home: undefined }
    const at = (SNOWGUARD_STATE_DIR: string) =>
      UserDirs.stateDir({ ...homeless, env: { SNOWGUARD_STATE_DIR } })
    expect(UserDirs.stateDir(homeless)).toEqual(Either.left(expect.stringMatching(/set SNOWGUARD_STATE_DIR/)))
    expect(at("/srv/state")).toEqual(Either.right("/srv/state"))
    expect(at("state")).toEqual(Either.right("/work/state"))
    expect(at("~/state")).toEqual(Either.left(expect.stringMatching(/^SNOWGUARD_STATE_DIR .*home directory/)))
    expect(UserDirs.stateDir({ ...linux, cwd: undefined, env: { SNOWGUARD_STATE_DIR: "state" } })).toEqual(
      Either.left(expect.stringMatching(/^SNOWGUARD_STATE_DIR .*working directory/))
    )
    expect(UserDirs.stateDir({ ...homeless, env: { XDG_STATE_HOME: "/var/x" } })).toEqual(
      Either.right("/var/x/snowguard")
    )
    expect(UserDirs.stateDir({ ...windows, home: undefined })).toEqual(Either.left(expect.any(String)))
  })
})

describe("the user's own configuration directory", () => {
  it("is where each platform keeps it", () => {
    expect(UserDirs.configDir(linux)).toBe("/home/ada/.config/snowguard")
    expect(UserDirs.configDir(mac)).toBe("/Users/ada/Library/Application Support/snowguard")
    expect(UserDirs.configDir(windows)).toBe("C:\\Users\\ada\\AppData\\Roaming\\snowguard")
    expect(UserDirs.configDir({ ...linux, home: undefined })).toBeUndefined()
  })

  it("follows the platform's variable, and never leads into the working directory", () => {
    const at = (XDG_CONFIG_HOME: string) => UserDirs.configDir({ ...linux, env: { XDG_CONFIG_HOME } })
    expect(at("/etc/ada")).toBe("/etc/ada/snowguard")
    for (const unset of ["", ".", "config", "./config"]) expect(at(unset)).toBe("/home/ada/.config/snowguard")
    expect(UserDirs.configDir({ ...windows, env: { APPDATA: "E:\\roaming" } })).toBe("E:\\roaming\\snowguard")
    expect(UserDirs.configDir({ ...windows, env: { APPDATA: "roaming" } })).toBe(
      "C:\\Users\\ada\\AppData\\Roaming\\snowguard"
    )
  })
})

describe("the home directory", () => {
  const none = () => {
    throw new Error("uv_os_get_passwd returned ENOENT")
  }

  it("is that of the environment, or that of the system, or none", () => {
    expect(UserDirs.homeOf({ HOME: "/home/ada" }, "linux", none)).toBe("/home/ada")
    expect(UserDirs.homeOf({ USERPROFILE: "C:\\Users\\ada" }, "win32", none)).toBe("C:\\Users\\ada")
    expect(UserDirs.homeOf({}, "linux", () => "/root")).toBe("/root")
    expect(UserDirs.homeOf({}, "linux", none)).toBeUndefined()
  })

  it("is never relative: that would be the working directory", () => {
    for (const HOME of ["", ".", "home", "../x"]) {
      expect(UserDirs.homeOf({ HOME }, "linux", () => "/root")).toBe("/root")
      expect(UserDirs.homeOf({ HOME }, "linux", none)).toBeUndefined()
    }
    expect(UserDirs.homeOf({}, "linux", () => "")).toBeUndefined()
  })
})

describe("the directories of Snowflake's own tools", () => {
  it("are ~/.snowflake and the platform's, or the one that is named", () => {
    const at = (SNOWFLAKE_HOME: string) => UserDirs.snowflakeDirs({ ...linux, env: { SNOWFLAKE_HOME } })
    const usual = ["/home/ada/.snowflake", "/home/ada/.config/snowflake"]
    expect(UserDirs.snowflakeDirs(linux)).toEqual(usual)
    expect(UserDirs.snowflakeDirs(mac)).toEqual([
      "/Users/ada/.snowflake",
      "/Users/ada/Library/Application Support/snowflake"
    ])
    expect(UserDirs.snowflakeDirs(windows)).toEqual([
      "C:\\Users\\ada\\.snowflake",
      "C:\\Users\\ada\\AppData\\Local\\snowflake"
    ])
    expect(at("/srv/snow")).toEqual(["/srv/snow"])
    expect(at("~/snow")).toEqual(["/home/ada/snow"])
    for (const unset of ["", ".snowflake", "."]) expect(at(unset)).toEqual(usual)
    expect(UserDirs.snowflakeDirs({ ...linux, home: undefined })).toEqual([])
  })
})

describe("a path that an operator writes", () => {
  it("starts at the root, at the home directory, or where it was written", () => {
    const at = (written: string, base?: string) => Either.merge(UserDirs.resolvePath(linux, base, written))
    expect(at("/a/b", "/etc")).toBe("/a/b")
    expect(at("~/k.p8", "/etc")).toBe("/home/ada/k.p8")
    expect(at("k.p8", "/etc")).toBe("/etc/k.p8")
    expect(at("../k.p8", "/etc/x")).toBe("/etc/k.p8")
    expect(at("k.p8")).toMatch(/is relative/)
  })
})

describe("versions of SQLite", () => {
  it("are refused while processes could corrupt a file they share", () => {
    expect(["3.51.2", "3.45.1", "2.99.99"].map(isSafe)).toEqual([false, false, false])
    expect(["3.51.3", "3.53.0", "4.0.0"].map(isSafe)).toEqual([true, true, true])
  })
})
