/** Is this `npm run test:long`? It runs the files that ask this, and `.ci/run` runs it. */
export const isLong = process.env["SNOWGUARD_TEST_LONG"] === "1"

/**
 * How much of a property, a load or a simulation a run of all tests affords, and how much the long form does.
 *
 * @example
 * const calls = shortOrLong(200, 5_000)
 */
export const shortOrLong = <A>(short: A, long: A): A => (isLong ? long : short)
