/** Asks before something is done that others would notice. */
import { byId, setText } from "./dom.js"

export interface Question {
  readonly title: string
  readonly text: string
  readonly yes: string
}

/** The dialog keeps the focus, and gives it back; Escape is no. */
export const confirmed = async ({ text, title, yes }: Question): Promise<boolean> => {
  const dialog = byId<HTMLDialogElement>("confirm")
  setText(byId("confirm-title"), title)
  setText(byId("confirm-text"), text)
  setText(byId("confirm-yes"), yes)
  dialog.returnValue = "no"
  dialog.showModal()
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }))
  return dialog.returnValue === "yes"
}
