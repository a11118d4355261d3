/**
 * A state directory of its own for a demonstration: it uses up no client's quota.
 *
 * @since 0.1.0
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"

/**
 * Gone with the scope.
 *
 * @since 0.1.0
 * @category resources
 */
export const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "snowguard-demo-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)
