/**
 * What commands read out of their arguments.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { UsageFault } from "./Cli.js"
import type { Input } from "./commands/Command.js"

/**
 * @since 0.1.0
 * @category errors
 */
export const wrong = (argument: string, message: string): UsageFault =>
  new UsageFault({ faults: [{ argument, message }] })

/**
 * @since 0.1.0
 * @category reading
 */
export const text = (options: Input["options"], name: string): string | undefined => {
  const value = options[name]
  return typeof value === "string" ? value : undefined
}

/**
 * @since 0.1.0
 * @category reading
 */
export const whole = (
  options: Input["options"],
  name: string,
  most: number
): Effect.Effect<number | undefined, UsageFault> => {
  const value = text(options, name)
  if (value === undefined) return Effect.succeed(undefined)
  return /^\d{1,10}$/.test(value) && Number(value) <= most
    ? Effect.succeed(Number(value))
    : wrong(`--${name}`, `expected a whole number from 0 to ${most}`)
}
