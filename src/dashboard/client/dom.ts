/** As little of a framework as the page needs. Text only ever becomes text, never markup. */

type Child = Node | string | undefined

export const byId = <E extends HTMLElement = HTMLElement>(id: string): E => {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`no element #${id}`)
  return found as E
}

export const h = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: { readonly [name: string]: string } = {},
  ...children: ReadonlyArray<Child>
): HTMLElementTagNameMap[K] => {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children.filter((child) => child !== undefined))
  return made
}

export const svg = (tag: string, attributes: { readonly [name: string]: string | number }): SVGElement => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
  return made
}

/** Only what differs is written: what is read aloud or selected stays in peace. */
export const setText = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text
}

export const show = (element: HTMLElement, visible: boolean): void => {
  element.hidden = !visible
}

export type Mood = "good" | "warn" | "bad"

/** How bad it is that so much is used. */
export const fullness = (share: number): Mood => (share >= 0.95 ? "bad" : share >= 0.8 ? "warn" : "good")

/** Full is used up, whatever it shows. */
export const bar = (share: number): HTMLElement => {
  const fill = h("div", { class: `fill ${fullness(share)}` })
  fill.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`
  return h("div", { class: "track", "aria-hidden": "true" }, fill)
}

/** A bar with words on it: how much of something is used. */
export const meter = (label: string, value: string, share: number, note?: string): HTMLElement =>
  h(
    "div",
    { class: "meter" },
    h("span", { class: "meter-label" }, label),
    h("span", { class: "meter-value" }, value),
    bar(share),
    note === undefined ? undefined : h("span", { class: "meter-note quiet" }, note)
  )

/** What looks disabled but keeps its place in the order of focus, and the focus itself. */
export const setEnabled = (button: HTMLElement, enabled: boolean): void =>
  button.setAttribute("aria-disabled", String(!enabled))

export const isEnabled = (button: HTMLElement): boolean => button.getAttribute("aria-disabled") !== "true"

/** Rewritten only when it says something else than before. */
export const fill = (element: Element, key: string, children: () => ReadonlyArray<Node>): void => {
  if (element.getAttribute("data-key") === key) return
  element.setAttribute("data-key", key)
  element.replaceChildren(...children())
}
