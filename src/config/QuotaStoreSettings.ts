/**
 * The settings of the quotas' store.
 *
 * @since 0.1.0
 */
import { choice, number, secret, text } from "./Setting.js"
import type { Section } from "./Table.js"
import { seconds } from "./Tiers.js"

/**
 * @since 0.1.0
 * @category constants
 */
export const quotaStore = {
  about: "Where it is remembered what was used.",
  fields: {
    kind: choice({
      values: ["sqlite", "redis", "memory"],
      default: "sqlite",
      about:
        "a file in the state directory, shared by all servers of this user; a Redis, shared by a fleet; or the " +
        "memory of this process"
    }),
    on_unavailable: choice({
      values: ["refuse", "memory"],
      default: "refuse",
      about:
        "when the store cannot be opened, or Redis is not reached within seconds of the start: end with exit code " +
        "74, so that a supervisor tries again; or count in memory until the next start, and say so in the log. " +
        "A store that is lost later is looked for, and `on_quota_outage` decides meanwhile"
    }),
    windows: choice({
      values: ["fixed", "rolling"],
      default: "fixed",
      about:
        "UTC hours and days with an exact end; or never more than the limit in any hour or day. The same for all " +
        "servers of a store"
    }),
    durability: choice({
      values: ["normal", "full"],
      default: "normal",
      about:
        "of the file: `full` also survives a power cut, and waits for the disk; `normal` may lose a second"
    }),
    lock_wait_seconds: number({
      ...seconds,
      min: 0.001,
      max: 60,
      default: 0.25,
      about: "longest wait for other servers that use the same file"
    }),
    redis_url: secret({
      pattern: /^[^\p{Cc}\s]{1,4096}$/u,
      expected: "a URL",
      about:
        "`redis://`, `rediss://` (TLS), `redis+sentinel://h:p,h:p/NAME` or `redis+cluster://h:p,h:p`, with or " +
        "without `user:password@`"
    }),
    redis_prefix: text({
      pattern: /^[^\p{Cc}\s{}*?[\]\\]{1,64}$/u,
      expected: "a text without braces, brackets and wildcards",
      default: "snowguard:",
      about: "what every key in Redis starts with"
    }),
    redis_timeout_seconds: number({
      ...seconds,
      min: 0.01,
      max: 5,
      default: 0.15,
      about: "an operation of Redis"
    })
  }
} satisfies Section
