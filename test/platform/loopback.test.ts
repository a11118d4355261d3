import { assert, describe, it } from "@effect/vitest"
import { mayDirectTo } from "../../src/platform/loopback.js"

const remote = new URL("https://issuer.example/t")
const local = new URL("http://localhost:9000")

describe("a URL that a server names", () => {
  it.each([
    "https://localhost/keys",
    "https://LOCALHOST./keys",
    "https://issuer.localhost/keys",
    "https://127.0.0.1/keys",
    "https://127.1:8443/keys",
    "https://2130706433/keys",
    "https://0/keys",
    "https://[::1]/keys",
    "https://[::]/keys",
    "https://[::ffff:127.0.0.1]/keys",
    "https://[::ffff:0.0.0.0]/keys",
    "https://[::127.9.9.9]/keys"
  ])("is not asked where a remote server directs to this machine: %s", (url) => {
    assert.isFalse(mayDirectTo(remote, url))
    assert.isTrue(mayDirectTo(local, url))
  })

  it.each(["https://issuer.example/keys", "https://keys.example:8443/", "https://localhost.example/"])(
    "is asked where it is of another machine, encrypted: %s",
    (url) => {
      assert.isTrue(mayDirectTo(remote, url))
      assert.isFalse(mayDirectTo(remote, url.replace("https:", "http:")))
      assert.isFalse(mayDirectTo(remote, url.replace("https://", "https://user:secret@")))
    }
  )

  it("is not asked where it is none", () => {
    for (const text of ["", "keys", "file:///etc/passwd", "javascript:0"])
      assert.isFalse(mayDirectTo(local, text))
  })
})
