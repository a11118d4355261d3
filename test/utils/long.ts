/** Is this `npm run test:long`? It runs the files that ask this, and `.ci/run` runs it. */
export const isLong = process.env["SNOWGUARD_TEST_LONG"] === "1"

/**
 * How much of a property, a load or a simulation a run of all tests affords, and how much the long form does.
 *
 * @example
 * const calls = shortOrLong(200, 5_000)
 */
export const shortOrLong = <A>(short: A, long: A): A => (isLong ? long : short)

/**
 * So many rows of a table, spread evenly over it, and all of them in the long form.
 *
 * @example
 * for (const attack of someOrAll(attacks, 10)) it(`refuses ${attack}`, () => refused(attack))
 */
export const someOrAll = <A>(all: ReadonlyArray<A>, some: number): ReadonlyArray<A> =>
  isLong || some >= all.length
    ? all
    : Array.from({ length: some }, (_, n) => all[Math.floor((n * all.length) / some)]!)

/**
 * Tests that only the long form has. What they are about has another test beside them, which both forms have.
 *
 * @example
 * inLongForm(() => {
 *   it("holds for each version of the protocol", () => ...)
 * })
 */
export const inLongForm = (define: () => void): void => {
  if (isLong) define()
}
