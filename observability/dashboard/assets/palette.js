// The command palette: a button, and a dialog that lists pages, models and more while the reader types. Every text is set with textContent.
// On a phone the button that names the scope opens the boxes of the scope bar.

const KINDS = ["Recent", "Pinned views", "Shared views", "Models", "Pages", "Features", "Incidents", "Actions", "Time range"]
const LATER = ["Features", "Incidents"] // the server sends these groups after the palette was opened
const SHOWN = 40
const APPLE = /Mac|iP/.test(navigator.platform)

function html(tag, name, text) {
  const element = document.createElement(tag)
  if (name) element.className = name
  if (text) element.textContent = text
  return element
}

function button(name, label, act) {
  const element = html("button", name, label)
  element.type = "button"
  element.addEventListener("click", act)
  return element
}

function icon(name) {
  const element = html("span", "icon", name)
  element.setAttribute("aria-hidden", "true")
  return element
}

// Views that the reader pinned under a name, kept in this browser: [{name, go}].
const PINNED = "observability-pinned-views"

function pinned() {
  try {
    const kept = JSON.parse(localStorage.getItem(PINNED) ?? "[]")
    return Array.isArray(kept) ? kept.filter((each) => typeof each?.name === "string" && each.go) : []
  } catch {
    return []
  }
}

function pin(name, go) {
  const others = pinned().filter((each) => each.name !== name)
  localStorage.setItem(PINNED, JSON.stringify(go ? [...others, { name, go }] : others))
}

// Stores values in a cookie, which the server reads before it draws the first page.
function keep(cookie, values) {
  const path = new URL("./", location.href).pathname
  document.cookie = `${cookie}=${encodeURIComponent(JSON.stringify(values))}; path=${path}; max-age=${400 * 86400}; SameSite=Lax`
}

// Applies changes to a list of marks in a cookie that several tabs write. Each change is applied once, to the current cookie. A mark begins
// with its name.
const made = {}
function readable(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return "" // the cookie was written by another program
  }
}
function change(cookie, { changes, most, length }) {
  const held = document.cookie.split("; ").find((each) => each.startsWith(`${cookie}=`))?.slice(cookie.length + 1)
  let marks = readable(held ?? "").replaceAll('"', "").split(".").filter(Boolean)
  const later = changes.filter((each) => each.turn > (made[cookie] ?? 0))
  for (const { turn, add, drop } of later) {
    marks = [...add, ...marks.filter((mark) => !drop.includes(mark.slice(0, length)))].slice(0, most)
    made[cookie] = turn
  }
  if (later.length) keep(cookie, marks.join("."))
}

// The rank of a line for the typed words: -1 if a word is missing, else 0 (best) to 3.
function fit(item, words) {
  const text = item.t.toLowerCase()
  const all = `${text} ${item.hint.toLowerCase()} ${item.kind.toLowerCase()}`
  if (!words.every((word) => all.includes(word))) return -1
  if (text === words.join(" ")) return 0
  if (text.startsWith(words[0])) return 1
  return words.every((word) => text.includes(word)) ? 2 : 3
}

function found(items, typed) {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean)
  if (!words.length) return items.filter((item) => KINDS.slice(0, 5).includes(item.kind)).slice(0, SHOWN)
  return items
    .map((item) => ({ ...item, fit: fit(item, words) }))
    .filter((item) => item.fit >= 0)
    .sort((one, other) => one.fit - other.fit || KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind))
    .slice(0, SHOWN)
}

class Palette {
  constructor(root) {
    this.root = root
    this.build()
  }

  build() {
    this.summary = button("summary", "", () => this.toggleBar())
    this.summary.setAttribute("aria-expanded", "false")
    this.opener = button("opener", "", () => this.show())
    this.opener.append(icon("search"), html("span", "label", "Search"), html("kbd", "", APPLE ? "⌘ K" : "Ctrl K"))
    this.opener.setAttribute("aria-keyshortcuts", "Control+K Meta+K")
    this.opener.setAttribute("aria-label", "Search pages, models, features, incidents, actions and cases")
    this.dialog = html("dialog")
    this.dialog.setAttribute("aria-label", "Search")
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close())
    this.input = html("input")
    Object.assign(this.input, { type: "text", placeholder: "Page, model, feature, incident, action, or the id of a case", autocomplete: "off", spellcheck: false })
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-label": "Search", "aria-expanded": "true", "aria-controls": "lines", "aria-autocomplete": "list",
    })) this.input.setAttribute(name, value)
    this.input.addEventListener("input", () => this.list())
    this.input.addEventListener("keydown", (event) => this.key(event))
    this.lines = html("ul")
    this.lines.id = "lines"
    this.lines.setAttribute("role", "listbox")
    this.lines.setAttribute("aria-label", "Results")
    this.count = html("p", "hidden")
    this.count.setAttribute("aria-live", "polite")
    this.foot = html("p", "foot", "↑ ↓ choose · Enter opens · Esc closes · ? lists shortcuts")
    this.dialog.append(this.input, this.lines, this.count, this.foot)
    this.help = html("dialog", "help")
    this.help.setAttribute("aria-label", "Keyboard shortcuts")
    this.help.addEventListener("click", (event) => event.target === this.help && this.help.close())
    this.root.replaceChildren(this.summary, this.opener, this.dialog, this.help)
  }

  take(data, send) {
    Object.assign(this, { data, send })
    if (data.full) {
      this.more = data.items.filter((item) => LATER.includes(item.kind))
      this.answered = data.opened
    }
    for (const [cookie, values] of Object.entries(data.cookies)) (values.changes ? change : keep)(cookie, values)
    this.summary.textContent = data.summary
    this.summary.setAttribute("aria-label", `Scope: ${data.summary}`)
    this.showBar(false)
    if (!this.dialog.open) return
    this.list(true)
    if (this.answered !== this.asked && data.opened === this.asked) this.ask() // another run of the page replaced the answer
  }

  // Each opening has its own number, because Streamlit does not pass equal data to this script again.
  ask() {
    this.asked = Math.max(Date.now(), (this.asked ?? 0) + 1)
    this.send("open", this.asked)
  }

  bar() {
    return this.root.getRootNode().host?.closest(".st-key-scope-bar")?.parentElement
  }

  showBar(open) {
    this.bar()?.classList.toggle("open", open)
    this.summary.setAttribute("aria-expanded", String(open))
  }

  toggleBar() {
    this.showBar(!this.bar()?.classList.contains("open"))
  }

  show() {
    if (this.dialog.open) return
    this.help.close()
    this.input.value = ""
    this.list()
    this.dialog.showModal()
    this.input.focus()
    this.ask()
  }

  list(keep) {
    const typed = this.input.value.trim()
    const views = pinned().map(({ name, go }) => ({ kind: "Pinned views", t: name, hint: "Delete unpins", go }))
    const now = this.data.items.filter((item) => !LATER.includes(item.kind))
    const recent = now.filter((item) => item.kind === "Recent")
    const items = [...recent, ...views, ...now.filter((item) => item.kind !== "Recent"), ...(this.more ?? [])]
    const chosen = keep ? this.place : 0
    this.shown = found(items, typed)
    if (typed) this.shown.push({ kind: "Case", t: `Find the case ${typed}`, hint: "by id, subject or condition", find: typed })
    if (typed && !views.some((each) => each.t === typed)) {
      this.shown.push({ kind: "This view", t: `Pin this view as ${typed}`, hint: "in this browser", pin: typed })
    }
    if (typed && this.data.share) this.shown.push({ kind: "This view", t: `Share this view as ${typed}`, hint: "with everybody", share: typed })
    let kind
    const rows = []
    this.shown.forEach((item, place) => {
      if (item.kind !== kind) {
        kind = item.kind
        const head = html("li", "kind", kind)
        head.setAttribute("role", "presentation")
        rows.push(head)
      }
      const line = html("li", "line")
      line.id = `line-${place}`
      line.setAttribute("role", "option")
      line.append(html("span", "text", item.t), html("span", "hint", item.hint))
      line.addEventListener("click", () => this.go(place))
      line.addEventListener("pointermove", () => this.choose(place, false))
      rows.push(line)
    })
    this.lines.replaceChildren(...rows)
    this.count.textContent = `${this.shown.length} results`
    this.choose(Math.min(chosen, this.shown.length - 1), !keep)
  }

  choose(place, scroll = true) {
    this.place = place
    for (const line of this.lines.querySelectorAll("[role=option]")) {
      const chosen = line.id === `line-${place}`
      line.setAttribute("aria-selected", String(chosen))
      if (chosen && scroll) line.scrollIntoView({ block: "nearest" })
    }
    this.input.setAttribute("aria-activedescendant", this.shown.length ? `line-${place}` : "")
  }

  key(event) {
    const last = this.shown.length - 1
    const to = { ArrowDown: this.place >= last ? 0 : this.place + 1, ArrowUp: this.place <= 0 ? last : this.place - 1 }[event.key]
    if (to !== undefined) {
      event.preventDefault()
      this.choose(to)
    } else if (event.key === "Enter") {
      event.preventDefault()
      this.go(this.place)
    } else if (event.key === "Delete" && this.shown[this.place]?.kind === "Pinned views" && this.input.selectionStart === this.input.value.length) {
      event.preventDefault()
      pin(this.shown[this.place].t)
      this.list(true)
    } else if (event.key === "?" && !this.input.value) {
      event.preventDefault()
      this.dialog.close()
      this.shortcuts()
    }
    event.stopPropagation()
  }

  go(place) {
    const item = this.shown[place]
    if (!item) return
    this.dialog.close()
    if (item.pin) pin(item.pin, this.data.here)
    else if (item.share) this.send("share", item.share)
    else if (item.find) this.send("find", item.find)
    else this.send("go", item.go)
  }

  shortcuts() {
    const rows = [[APPLE ? "⌘ K" : "Ctrl K", "Search"], ["?", "This list"], ["Esc", "Close"]]
    rows.push(...this.data.shortcuts.map((each) => [`g ${each.key}`, each.t]))
    rows.push(...this.data.keys.map((each) => [each.key, each.t]))
    const list = html("dl")
    list.tabIndex = 0 // makes the list scrollable by keyboard on a low screen
    for (const [key, words] of rows) {
      const name = html("dt")
      name.append(html("kbd", "", key))
      list.append(name, html("dd", "", words))
    }
    const close = button("close", "Close", () => this.help.close())
    this.help.replaceChildren(html("h2", "", "Keyboard shortcuts"), list, close)
    this.help.showModal()
    close.focus()
  }

  // Keys of the whole page. Keys without Control are ignored while the reader types in a field.
  pressed(event) {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault()
      event.stopPropagation()
      this.dialog.open ? this.dialog.close() : this.show()
      return
    }
    const at = event.composedPath()[0]
    // Streamlit accepts a typed date when Tab leaves its box.
    const box = event.key === "Enter" && at instanceof Element && at.closest('[data-testid="stDateInputField"]:not(:has(button:focus))')
    if (box) box.querySelector('[data-testid="stDateInputCalendarButton"]')?.dispatchEvent(new KeyboardEvent("keydown", { key: "Tab", bubbles: true }))
    const typing = at instanceof Element && at.closest("input, textarea, select, [contenteditable=true]")
    if (typing || event.ctrlKey || event.metaKey || event.altKey || this.dialog.open || this.help.open) return
    if (event.key === "?") {
      event.preventDefault()
      this.shortcuts()
      return
    }
    const target = this.went && Date.now() - this.went < 1500 && this.data.shortcuts.find((each) => each.key === event.key)
    this.went = event.key === "g" ? Date.now() : undefined
    if (target) {
      event.preventDefault()
      event.stopPropagation()
      this.send("go", target.go)
    }
  }
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector("#palette")
  if (!root) return
  if (!root.palette) {
    root.palette = new Palette(root)
    // The listener removes itself when its root is gone. A returned clean-up function would not do: Streamlit may call it late, for data that
    // were already replaced, and the keys would then stop working.
    const keys = (event) => (root.isConnected ? root.palette.pressed(event) : document.removeEventListener("keydown", keys, { capture: true }))
    document.addEventListener("keydown", keys, { capture: true })
  }
  root.palette.take(data, setTriggerValue)
}
