/** One emulator for the tests of a file: opening the engine takes longer than most of them. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Emulator from "../../src/emulator/Emulator.js"

export class Shared extends Context.Tag("test/emulator/Shared")<Shared, Emulator.Emulator>() {}

export const layer = (options: Emulator.Options) => Layer.scoped(Shared, Emulator.start(options))
