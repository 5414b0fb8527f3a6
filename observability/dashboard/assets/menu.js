// The menu of the sidebar, and the tabs of a page. Every text is set with textContent. A plain click opens a page without
// reloading the app. The link has a real address for use in a new tab.

function html(tag, name, text) {
  const element = document.createElement(tag)
  if (name) element.className = name
  if (text) element.textContent = text
  return element
}

function item(each, go) {
  const link = html("a")
  link.href = each.href
  if (each.current) link.setAttribute("aria-current", "page")
  if (each.icon) {
    const icon = html("span", "icon", each.icon)
    icon.setAttribute("aria-hidden", "true")
    link.append(icon)
  }
  link.append(html("span", "text", each.t))
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
    event.preventDefault()
    go(each.go)
    if (each.icon && innerWidth <= 768) document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click()
  })
  const place = html("li")
  place.append(link)
  return place
}

// A chart keeps its colours after a change of the theme, so the change starts a run that draws the charts again.
function watchScheme(root, changed) {
  const app = document.querySelector('[data-testid="stApp"]')
  root.changed = changed
  if (!app || root.observer) return
  let scheme = getComputedStyle(app).colorScheme
  root.observer = new MutationObserver(() => {
    if (!root.isConnected) return root.observer.disconnect()
    const now = getComputedStyle(app).colorScheme
    if (now === scheme) return
    scheme = now
    root.changed(now)
  })
  root.observer.observe(app, { attributes: true, attributeFilter: ["class"] })
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector("#menu")
  if (root && data.kind === "menu") watchScheme(root, (scheme) => setTriggerValue("scheme", scheme))
  const said = JSON.stringify(data)
  if (!root || root.dataset.said === said) return
  root.dataset.said = said
  const nav = html("nav", data.kind)
  nav.setAttribute("aria-label", data.caption)
  nav.append(...data.lists.map((each) => {
    const list = html("ul")
    list.append(...each.map((one) => item(one, (target) => setTriggerValue("go", target))))
    return list
  }))
  root.replaceChildren(nav)
  // On a narrow screen the row is scrolled sideways, so that the current tab is visible.
  for (const current of nav.querySelectorAll(".tabs [aria-current]")) {
    const row = current.closest("ul")
    row.scrollLeft = current.offsetLeft - row.offsetLeft - row.clientWidth / 3
  }
}
