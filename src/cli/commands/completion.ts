/**
 * `snowguard completion SHELL`: prints the script that makes a shell complete the commands and options.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Completion from "../Completion.js"
import type { Run } from "./Command.js"
import { print } from "./Command.js"

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ operands: [shell] }) =>
  Effect.as(
    print(shell === "zsh" ? Completion.zsh() : shell === "fish" ? Completion.fish() : Completion.bash()),
    0
  )
