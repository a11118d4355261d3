/** On a phone what is needed least is folded away: five screens at most are left to scroll through. */
const narrow = matchMedia("(max-width: 47.99rem)")

const fit = (): void => {
  for (const fold of document.querySelectorAll<HTMLDetailsElement>("details.fold"))
    fold.open = !narrow.matches
}

export const mount = (): void => {
  fit()
  narrow.addEventListener("change", fit)
}
