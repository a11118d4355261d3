/** Asks before something is done that others would notice. */
import { byId, setText } from "./dom.js"

export interface Question {
  readonly title: string
  readonly text: string
  readonly yes: string
}

const dialog = byId<HTMLDialogElement>("confirm")
const form = byId<HTMLFormElement>("confirm-form")

/** The dialog keeps the focus, and gives it back; Escape is no. */
export const confirmed = ({ text, title, yes }: Question): Promise<boolean> => {
  setText(byId("confirm-title"), title)
  setText(byId("confirm-text"), text)
  setText(byId("confirm-yes"), yes)
  return new Promise((resolve) => {
    // The answer is what was pressed. `close` comes later: by then, the next question may have been asked.
    form.onsubmit = ({ submitter }) => resolve(submitter === byId("confirm-yes"))
    dialog.onclose = () => {
      if (!dialog.open) resolve(false)
    }
    dialog.showModal()
  })
}

/** Withdraws the question. */
export const dismiss = (): void => dialog.close()
