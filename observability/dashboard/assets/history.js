// One action of the reader makes at most one entry in the browser's history.
//
// Streamlit writes the bound parameters of a page one at a time, and before the page's own path, so that one click adds up to seven entries,
// most of them with a part of the parameters. Here the first change of the address after an action adds an entry, and the changes that
// follow from it replace that entry, which so ends with the whole address.
(() => {
  const push = history.pushState.bind(history)
  let acted = false // the reader did something since the last change of the address
  let unfinished = false // the newest entry still has the path of the page before
  const idle = () => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning"
  const act = () => {
    acted = true
    if (idle()) unfinished = false
  }
  for (const name of ["pointerdown", "keydown", "click"]) {
    addEventListener(name, (event) => event.isTrusted && act(), { capture: true, passive: true })
  }
  addEventListener("popstate", () => {
    acted = unfinished = false
  })
  history.pushState = (state, title, address) => {
    const samePath = new URL(address ?? "", document.baseURI).pathname === location.pathname
    const adds = acted && !unfinished
    acted = false
    unfinished = samePath && (adds || unfinished)
    return adds ? push(state, title, address) : history.replaceState(state, title, address)
  }
})()
