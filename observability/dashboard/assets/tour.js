// The tour of the sample in the sidebar. The browser stores the reader's current step, or that the reader left the tour. Every text is set
// with textContent.

const KEPT = "observability-tour"

function kept() {
  try {
    return localStorage.getItem(KEPT) ?? "0"
  } catch {
    return "left"
  }
}

function keep(place) {
  try {
    localStorage.setItem(KEPT, place)
  } catch {
    // a browser without storage shows no tour
  }
}

function html(tag, name, text) {
  const element = document.createElement(tag)
  if (name) element.className = name
  if (text) element.textContent = text
  return element
}

function button(text, act, name) {
  const element = html("button", name, text)
  element.type = "button"
  element.addEventListener("click", act)
  return element
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector("#tour")
  if (!root) return

  function move(place, moved = true) {
    keep(String(place))
    draw()
    if (moved) root.querySelector("button")?.focus()
    if (data.steps[place - 1]) setTriggerValue("go", data.steps[place - 1].go)
  }

  function draw() {
    const place = kept()
    if (place === "left") {
      root.replaceChildren(button(data.again, () => move(1), "quiet"))
      return
    }
    const at = Math.min(Number(place) || 0, data.steps.length)
    const step = data.steps[at - 1] ?? data.first
    const card = html("section")
    card.setAttribute("aria-label", data.caption)
    const head = html("p", "head")
    head.append(html("strong", "", step.t))
    if (at) head.append(html("span", "place", `${at} of ${data.steps.length}`))
    const row = html("div", "row")
    const last = at === data.steps.length
    row.append(last ? button("Done", () => move("left")) : button(at ? "Next" : "Start", () => move(at + 1), "next"))
    if (at > 1) row.append(button("Back", () => move(at - 1)))
    if (!last) row.append(button("Leave", () => move("left")))
    card.append(head, ...(step.text ? [html("p", "", step.text)] : []), row)
    root.replaceChildren(card)
  }

  const said = JSON.stringify(data)
  if (root.dataset.said === said) return
  root.dataset.said = said
  draw()
}
