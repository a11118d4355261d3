/** The moment that the pointer is at: the same on all charts, so that they can be compared. */

type Listener = () => void

const listeners: Array<Listener> = []
let pointed: number | undefined

export const get = (): number | undefined => pointed

export const set = (at: number | undefined): void => {
  if (at === pointed) return
  pointed = at
  for (const listener of listeners) listener()
}

export const onChange = (listener: Listener): void => {
  listeners.push(listener)
}
