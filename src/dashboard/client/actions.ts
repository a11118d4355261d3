/** What an operator can do, each after a question. */
import * as Api from "./api.js"
import type { Question } from "./confirm.js"
import { confirmed } from "./confirm.js"
import { byId, isEnabled } from "./dom.js"
import type { RunningRow } from "./tables.js"

export interface Hooks {
  /** It was done, and this came of it. */
  readonly onDone: (result: string) => void
  readonly onRefused: (error: unknown) => void
}

export type Actions = ReturnType<typeof make>

export const make = ({ onDone, onRefused }: Hooks) => {
  /** Asks, does it, and says what came of it. */
  const perform = async (question: Question, action: string, body: object = {}): Promise<void> => {
    if (!(await confirmed(question))) return
    try {
      const { result, server } = await Api.act(action, body)
      onDone(`${result} (server ${server})`)
    } catch (error) {
      onRefused(error)
    }
  }

  const onClick = (id: string, ask: () => readonly [Question, string, object?]) => {
    const button = byId(id)
    button.addEventListener("click", () => {
      if (isEnabled(button)) void perform(...ask())
    })
  }

  onClick("breaker-open", () => [
    {
      title: "Hold the circuit open?",
      text: "No call reaches the warehouse until it is released, or this server stops. Look-ups are answered from memory, queries are refused.",
      yes: "Hold open"
    },
    "breaker/open"
  ])
  onClick("breaker-release", () => [
    { title: "Release the circuit?", text: "Calls reach the warehouse again.", yes: "Release" },
    "breaker/release"
  ])
  onClick("breaker-reset", () => [
    {
      title: "Reset the breaker?",
      text: "It forgets the failures it has seen and lets calls through at once.",
      yes: "Reset"
    },
    "breaker/reset"
  ])
  onClick("ladder-pin", () => {
    const { value } = byId<HTMLSelectElement>("pin-mode")
    return [
      {
        title: `Pin the mode "${value}"?`,
        text: "It stays whatever the signals say, until it is unpinned or this server stops.",
        yes: "Pin"
      },
      "ladder/pin",
      { mode: value }
    ]
  })
  onClick("ladder-unpin", () => [
    { title: "Unpin the mode?", text: "The signals decide again.", yes: "Unpin" },
    "ladder/unpin"
  ])

  return {
    cancelCall: ({ client, id, tool }: Pick<RunningRow, "client" | "id" | "tool">): void =>
      void perform(
        {
          title: `Cancel ${tool} of ${client}?`,
          text: "Its statement is cancelled in the warehouse, and its caller is told that an operator did it.",
          yes: "Cancel the call"
        },
        "call/cancel",
        { id }
      ),
    resetQuota: (client: string): void =>
      void perform(
        {
          title: `Reset the quotas of ${client}?`,
          text: "All that this client has used in the current hour and day is forgotten.",
          yes: "Reset quotas"
        },
        "quota/reset",
        { client }
      )
  }
}
