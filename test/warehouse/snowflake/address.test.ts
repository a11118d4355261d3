import { describe, expect, it } from "vitest"
import { Either, Redacted } from "effect"
import { addressOf, plan, where } from "../../../src/warehouse/snowflake/auth.js"

const com = "snowflakecomputing.com"
const cn = "snowflakecomputing.cn"

const accounts: ReadonlyArray<readonly [given: string, host: string, account?: string]> = [
  ["xy12345", `xy12345.${com}`, "xy12345"],
  ["  ORG-ACCT ", `org-acct.${com}`, "ORG-ACCT"],
  ["org-my_account", `org-my-account.${com}`, "org-my_account"],
  ["ORG.ACCT", `org-acct.${com}`, "ORG-ACCT"],
  ["ORG.MY_ACCT", `org-my-acct.${com}`, "ORG-MY_ACCT"],
  ["xy12345.eu-central-1", `xy12345.eu-central-1.${com}`, "xy12345"],
  ["xy12345.us-west-2", `xy12345.${com}`, "xy12345"],
  ["xy12345.us-east-2.aws", `xy12345.us-east-2.aws.${com}`, "xy12345"],
  ["xy12345.west-europe.azure", `xy12345.west-europe.azure.${com}`],
  ["xy12345.us-central1.gcp", `xy12345.us-central1.gcp.${com}`],
  ["xy12345.us-gov-west-1.fhplus", `xy12345.us-gov-west-1.fhplus.${com}`],
  ["xy12345.privatelink", `xy12345.privatelink.${com}`, "xy12345"],
  ["org-acct.privatelink", `org-acct.privatelink.${com}`, "org-acct"],
  ["xy12345.eu-west-1.privatelink", `xy12345.eu-west-1.privatelink.${com}`, "xy12345"],
  ["org-my_acct.privatelink", `org-my-acct.privatelink.${com}`],
  ["xy12345.cn-northwest-1", `xy12345.cn-northwest-1.${cn}`, "xy12345"],
  ["xy12345.cn-northwest-1.aws", `xy12345.cn-northwest-1.aws.${cn}`],
  [`org-acct.${cn}`, `org-acct.${cn}`, "org-acct"],
  [`https://ORG-ACCT.${cn}/`, `org-acct.${cn}`],
  ["acct.snowflakecomputing.mil", "acct.snowflakecomputing.mil"],
  [`https://org-acct.${com}`, `org-acct.${com}`, "org-acct"],
  [`http://org-acct.${com}:443/console/login#/`, `org-acct.${com}`],
  [`org-acct.${com}.`, `org-acct.${com}`],
  [`org-acct.${com}/`, `org-acct.${com}`],
  ["https://xy12345/", `xy12345.${com}`],
  ["org-acct///", `org-acct.${com}`],
  [`xy12345.us-west-2.${com}`, `xy12345.us-west-2.${com}`],
  [`https://xy12345.eu-central-1.privatelink.${com}/x?y=z`, `xy12345.eu-central-1.privatelink.${com}`],
  [`https://app-org-acct.privatelink.${com}`, `org-acct.privatelink.${com}`, "org-acct"],
  ["https://app.snowflake.com/org/acct/#/homepage", `org-acct.${com}`, "org-acct"],
  ["app.snowflake.com/us-east-1/xy12345", `xy12345.us-east-1.${com}`, "xy12345"],
  ["https://app.snowflake.com/us-west-2/xy12345/worksheets", `xy12345.${com}`],
  ["https://app.snowflake.com/east-us-2.azure/xy12345/", `xy12345.east-us-2.azure.${com}`, "xy12345"],
  ["https://app.snowflake.cn/org/acct/", `org-acct.${cn}`],
  [`jdbc:snowflake://org-acct.${com}/?db=X&warehouse=W`, `org-acct.${com}`]
]

const nonsense: ReadonlyArray<string> = [
  "",
  " ",
  "a b",
  "-acct",
  "org..acct",
  "app.snowflake.com",
  "https://app.snowflake.com/",
  "https://app.snowflake.com/org",
  "https://app.snowflake.com/us-east-1/",
  `app.us-east-1.privatelink.${com}`,
  `.${com}`,
  `a b.${com}`,
  "https://docs.snowflake.com/en/user-guide",
  "snowflake.example.com",
  "someone@example.com",
  "localhost:8080",
  "xy12345.eu-central-1.aws.more",
  "org-acct.other",
  "xy12345.eu-central-1.example",
  "snowflake://user:hunter2@org-acct/db",
  "ünïcode"
]

describe("the account", () => {
  it.each(accounts)("%s is reached at %s", (given = "", host, account) => {
    const found = Either.getOrThrow(addressOf(given))
    expect(found.host).toBe(host)
    if (account !== undefined) expect(found.account).toBe(account)
    expect(
      Either.getOrThrow(plan({ account: given, user: "U", password: Redacted.make("p") }))
    ).toMatchObject({
      account: found.account,
      accessUrl: `https://${host}`
    })
    expect(where({ account: given })).toBe(host)
    // What the driver asks of an account.
    expect(found.account).toMatch(/^\w+([.-]\w+)*$/)
    expect(new URL(`https://${host}`).host).toBe(host)
  })

  it.each(nonsense)("%j is refused, with how to find it", (given) => {
    const found = addressOf(given)
    expect(Either.isLeft(found) && found.left).toMatch(/orgname-account.*account menu/)
    expect(JSON.stringify(found)).not.toContain("hunter2")
  })

  it("stays what it is where another address is set", () => {
    const login = {
      account: "ORG-ACCT",
      accessUrl: "http://127.0.0.1:1",
      user: "U",
      password: Redacted.make("p")
    }
    expect(Either.getOrThrow(plan(login))).toMatchObject({
      account: "ORG-ACCT",
      accessUrl: "http://127.0.0.1:1"
    })
    expect(where({ account: "ORG-ACCT", accessUrl: "http://127.0.0.1:1" })).toBe("127.0.0.1:1")
  })
})
