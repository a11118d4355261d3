/** What the tests of quota stores ask for. */
import type * as QuotaStore from "../../src/quota/QuotaStore.js"

export const DAY = 86_400_000

export const charge = (key: string, overrides: Partial<QuotaStore.Charge> = {}): QuotaStore.Charge => ({
  key,
  quota: "requests_per_hour",
  limit: 10,
  amount: 1,
  ...overrides
})

/** The id of what was granted. */
export const reserved = (decision: QuotaStore.Decision): string => {
  if (decision._tag === "Refused") throw new Error("refused")
  return decision.reservation
}
