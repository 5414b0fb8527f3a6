// The line of the time range Live. Every few seconds it requests the newest state, but only while the tab is visible, no run is in progress,
// no dialog is open and nobody types.

function quiet() {
  const app = document.querySelector('[data-testid="stApp"]')
  if (document.visibilityState !== "visible" || app?.dataset.testScriptState !== "notRunning") return false
  if (document.querySelector('[role="dialog"]')) return false
  return !document.activeElement?.matches("input, textarea, [contenteditable=true]")
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector("#live")
  if (!root) return
  root.querySelector(".said").textContent = data.said
  root.ask = () => setTriggerValue("tick", Date.now())
  if (root.timer) return
  root.timer = setInterval(() => {
    if (!root.isConnected) return clearInterval(root.timer)
    if (quiet()) root.ask()
  }, data.every)
}
