/** The part of opossum that the benchmark uses: the package has no types of its own. */
declare module "opossum" {
  export default class CircuitBreaker<A> {
    constructor(
      action: () => Promise<A>,
      options: {
        readonly timeout: number
        readonly capacity: number
        readonly errorThresholdPercentage: number
        readonly volumeThreshold: number
      }
    )
    fire(): Promise<A>
    shutdown(): void
  }
}
