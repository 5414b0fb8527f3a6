// The row of a case's sections, which stays visible while the open section scrolls. Every text is set with textContent. A plain click opens a
// section without reloading the page. The link has a real address for use in a new tab. An address with an anchor opens that section.

function html(tag, name, text) {
  const element = document.createElement(tag)
  if (name) element.className = name
  if (text) element.textContent = text
  return element
}

// The element that holds the list. It sticks below the scope bar.
function held(root) {
  const outside = root.getRootNode().host?.closest('[data-testid="stElementContainer"]') ?? root
  const bar = document.querySelector(".st-key-scope-bar")?.parentElement
  Object.assign(outside.style, {
    position: "sticky", top: `${bar?.offsetHeight ?? 0}px`, zIndex: "99", background: "var(--st-background-color)",
  })
  return outside
}

// Scrolls to a heading and focuses it as soon as it is drawn, also for users of the keyboard or a screen reader.
function seek(id, outside, tries = 60) {
  const section = document.getElementById(id)
  if (!section) {
    if (tries) setTimeout(() => seek(id, outside, tries - 1), 100)
    return
  }
  section.style.scrollMarginTop = `${outside.offsetHeight + parseFloat(outside.style.top) + 12}px`
  section.tabIndex = -1
  section.style.outlineOffset = "4px"
  section.scrollIntoView()
  section.focus({ preventScroll: true })
}

function open(root, to, go) {
  root.wanted = to
  go(to)
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector("#sections")
  const said = JSON.stringify(data)
  if (!root || root.dataset.said === said) return
  root.dataset.said = said
  const outside = held(root)
  const go = (to) => setTriggerValue("go", to)
  const nav = html("nav")
  nav.setAttribute("aria-label", data.caption)
  const list = html("ol")
  for (const each of data.rows) {
    const link = html("a")
    link.href = each.href
    if (each.to === data.opened) link.setAttribute("aria-current", "true")
    link.append(html("span", "name", each.name), html("span", `word ${each.s ?? ""}`, each.word))
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
      event.preventDefault()
      if (each.to === data.opened) seek(each.to, outside)
      else open(root, each.to, go)
    })
    const item = html("li")
    item.append(link)
    list.append(item)
  }
  nav.append(list)
  root.replaceChildren(nav)
  if (root.wanted && (data.leads[root.wanted] ?? root.wanted) === data.opened) {
    seek(root.wanted, outside)
    root.wanted = undefined
  }
  if (root.dataset.arrived) return
  root.dataset.arrived = "yes"
  const anchor = location.hash.slice(1)
  if (!Object.hasOwn(data.leads, anchor)) return
  const section = data.leads[anchor]
  if (section && section !== data.opened) {
    root.wanted = anchor
    go(section)
  } else seek(anchor, outside)
}
