import { RateLimited } from "../../src/guard/RateLimiter.js"

/** What a tool fails with whose client is out of tokens. */
export const refusal = new RateLimited({
  scope: "client",
  ratePerSecond: 10,
  burst: 100,
  remaining: 0,
  retryAfterMs: 250,
  retryHintMs: 260,
  never: false
})
