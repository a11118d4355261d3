import { describe, expect, it } from "@effect/vitest"
import { Either, Redacted } from "effect"
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto"
import type { Login } from "../../../src/warehouse/snowflake/auth.js"
import { plan, where } from "../../../src/warehouse/snowflake/auth.js"

const hide = (text: string) => Redacted.make(text)
const base: Login = { account: "org-acct", user: "U" }
const planned = (login: Login) => Either.getOrThrow(plan(login))
const faults = (login: Login) =>
  Either.match(plan(login), {
    onLeft: (all) => all.map((one) => `${one.setting} ${one.message}`),
    onRight: () => []
  })

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
const passphrase = "correct horse"
const pems = {
  pkcs8: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  pkcs1: privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
  encrypted: privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }).toString()
}

describe("the login", () => {
  it("is found out from what is there", () => {
    const authenticator = (login: Partial<Login>) => planned({ ...base, ...login })["authenticator"]
    expect(authenticator({ password: hide("p") })).toBe("SNOWFLAKE")
    expect(authenticator({ privateKey: hide(pems.pkcs8) })).toBe("SNOWFLAKE_JWT")
    expect(authenticator({ password: hide("p"), passcode: hide("123456") })).toBe("USERNAME_PASSWORD_MFA")
    expect(authenticator({ workloadIdentityProvider: "aws" })).toBe("WORKLOAD_IDENTITY")
    expect(authenticator({ authenticator: "ExternalBrowser" })).toBe("EXTERNALBROWSER")
    expect(authenticator({ authenticator: "oauth", token: hide("t") })).toBe("OAUTH")
    expect(faults({ ...base, token: hide("t") })).toEqual([
      'authenticator is needed beside a token: "oauth" or "programmatic_access_token"'
    ])
  })

  it.each(Object.entries(pems))("takes a private key as %s, and lines joined by \\n", (_, pem) => {
    for (const text of [pem, pem.trimEnd().replaceAll("\n", "\\n")]) {
      const { privateKey: found } = planned({
        ...base,
        privateKey: hide(text),
        privateKeyPassphrase: hide(passphrase)
      })
      const key = createPublicKey(createPrivateKey(String(found)))
      expect(key.equals(createPublicKey(privateKey))).toBe(true)
    }
  })

  it("says what is wrong with a key, and nothing of what is in it", () => {
    const key = (pem: string, pass?: string) =>
      faults({
        ...base,
        privateKey: hide(pem),
        privateKeyPassphrase: pass === undefined ? undefined : hide(pass)
      })
    expect(key(pems.encrypted)).toEqual(["private_key is encrypted; set private_key_passphrase"])
    expect(key(pems.encrypted, "wrong")).toEqual(["private_key cannot be decrypted with this passphrase"])
    expect(key("my key")).toEqual(["private_key expected a private key in PEM form"])
    expect(key(pems.pkcs8.replace(/M/g, "?"))).toEqual(["private_key cannot be read"])
  })

  it("refuses an authenticator it does not know instead of trying the password", () => {
    expect(faults({ ...base, password: hide("p"), authenticator: "oath" })[0]).toMatch(/did you mean oauth\?/)
    expect(faults({ ...base, authenticator: "https://x.okta.com" })[0]).toMatch(/Okta/)
    expect(faults({ ...base, authenticator: "sql" })[0]).toMatch(/expected one of/)
  })

  it("reports everything that is missing at once, and no secret", () => {
    expect(faults({ authenticator: "oauth_client_credentials", oauthClientId: "x" })).toEqual([
      "account is needed",
      "oauth_client_secret is needed for the authenticator oauth_client_credentials",
      "oauth_token_request_url is needed for the authenticator oauth_client_credentials"
    ])
    expect(faults({ account: "a b", password: hide("hunter2") }).join()).not.toContain("hunter2")
    expect(faults({ ...base, password: hide("p"), accessUrl: "https://u:hunter2@h" }).join()).not.toContain(
      "hunter2"
    )
    expect(
      faults({ ...base, authenticator: "workload_identity", workloadIdentityProvider: "IBM" })
    ).toHaveLength(1)
  })

  it.each(["org-acct", "https://org-acct.snowflakecomputing.com/console", "ORG-ACCT.snowflakecomputing.com"])(
    "takes %s as the account",
    (account) => {
      expect(String(planned({ ...base, account, password: hide("p") })["account"]).toLowerCase()).toBe(
        "org-acct"
      )
      expect(where({ account }).toLowerCase()).toBe("org-acct.snowflakecomputing.com")
    }
  )

  it("gives a personal token as a token, wherever it was put", () => {
    expect(
      planned({ ...base, authenticator: "programmatic_access_token", password: hide("pat") })["token"]
    ).toBe("pat")
  })
})
