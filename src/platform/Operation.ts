/**
 * What kind of work a call asks for. Limits, quotas, time-outs and degradation are decided by these
 * two words and never by what the client says of itself.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * `control`: about the server itself (always admitted, free). `metadata`: catalog look-ups that need
 * no compute. `query`: statements that use a warehouse.
 *
 * @since 0.1.0
 * @category models
 */
export const OperationClass = Schema.Literal("control", "metadata", "query")
/**
 * @since 0.1.0
 * @category models
 */
export type OperationClass = typeof OperationClass.Type

/**
 * Which calls are served first when not all can be: `control > metadata > query > batch`.
 *
 * @since 0.1.0
 * @category models
 */
export const Criticality = Schema.Literal("control", "metadata", "query", "batch")
/**
 * @since 0.1.0
 * @category models
 */
export type Criticality = typeof Criticality.Type
