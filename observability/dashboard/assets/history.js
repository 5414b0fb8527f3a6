// One action of the reader makes at most one entry in the browser's history.
//
// Streamlit writes the bound parameters of a page one at a time, and before the path of the page. Without this script one click adds up to
// seven entries, most of them with only some of the parameters. With this script the first change of the address after an action adds an
// entry. The later changes replace that entry, so that it ends with the complete address.
(() => {
  const push = history.pushState.bind(history)
  let acted = false // the reader has acted since the last change of the address
  let unfinished = false // the newest entry still has the path of the previous page
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
