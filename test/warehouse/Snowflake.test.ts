import { Effect, Layer } from "effect"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import { contract } from "./Warehouse.contract.js"
import { optionsFor } from "./snowflakeServer.js"

contract(
  "Snowflake, over its protocol",
  Layer.unwrapScoped(Effect.map(Emulator.start(), (emulator) => Snowflake.layer(optionsFor(emulator.url)))),
  // A result is made whole before its first row is sent.
  { streams: false }
)
