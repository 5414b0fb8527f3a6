// The list of a long page's sections, which stays in sight while the page scrolls. Every text is set with textContent. A plain click scrolls to the
// section and moves the focus there, for those who read with the keyboard or hear the page; the address is a real one, for a new tab.

function html(tag, name, text) {
  const element = document.createElement(tag)
  if (name) element.className = name
  if (text) element.textContent = text
  return element
}

function jump(event, to, outside) {
  const section = document.getElementById(to)
  if (!section || event.ctrlKey || event.metaKey || event.shiftKey) return
  event.preventDefault()
  section.style.scrollMarginTop = `${outside.offsetHeight + parseFloat(outside.style.top) + 12}px`
  section.tabIndex = -1
  section.style.outlineOffset = "4px"
  section.scrollIntoView()
  section.focus({ preventScroll: true })
}

// What holds the list on the page: it sticks below the app's own header, which lies over the page.
function held(root) {
  const outside = root.getRootNode().host?.closest('[data-testid="stElementContainer"]') ?? root
  const header = document.querySelector('[data-testid="stHeader"]')
  Object.assign(outside.style, {
    position: "sticky", top: `${header?.offsetHeight ?? 0}px`, zIndex: "99", background: "var(--st-background-color)",
  })
  return outside
}

export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector("#sections")
  const said = JSON.stringify(data)
  if (!root || root.dataset.said === said) return
  root.dataset.said = said
  const outside = held(root)
  const nav = html("nav")
  nav.setAttribute("aria-label", data.caption)
  const list = html("ol")
  for (const each of data.rows) {
    const link = html("a")
    link.href = `#${each.to}`
    link.append(html("span", "name", each.name), html("span", `word ${each.s ?? ""}`, each.word))
    link.addEventListener("click", (event) => jump(event, each.to, outside))
    const item = html("li")
    item.append(link)
    list.append(item)
  }
  nav.append(list)
  root.replaceChildren(nav)
}
