// A table of cells with icons, sparklines, bars and intervals. Every text is set with textContent and every link is built by the page's own
// helper, so nothing in the data can become markup. On a narrow screen a table scrolls sideways in its own frame, and the first column
// stays visible. A plain click on a link opens the page without reloading the app. The link has a real address for use in a new tab.

const SVG = "http://www.w3.org/2000/svg"

const ICONS = {
  ok: ["circle", "M4.6 8.3l2.3 2.3 4.6-4.9"],
  watch: ["triangle", "M8 6v3.4M8 11.6v.2"],
  act: ["octagon", "M8 4.4v4.4M8 11.3v.2"],
  unknown: ["ring", "M6.2 6.4a1.9 1.9 0 1 1 2.5 1.9c-.5.2-.7.5-.7 1M8 11.3v.2"],
}

const SHAPES = {
  circle: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1z",
  ring: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1z",
  triangle: "M8 1.4 15.3 14.2H.7z",
  octagon: "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z",
}

const SOURCES = {
  input: "M9 2h5v12H9M2 8h8M7 5l3 3-3 3",
  label: "M2 4h7.5L14 8l-4.5 4H2z",
  model: "M8 2.5v4M8 6.5l-4 5M8 6.5l4 5M8 2.5h.01M4 13h.01M12 13h.01",
  system: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01",
}

// Direction marks in a logged name are written as escapes, so that they cannot reverse the text after the name.
const unturned = (text) => String(text).replace(/[\u202a-\u202e\u2066-\u2069]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16)}`)

function html(tag, name, text) {
  const element = document.createElement(tag)
  if (name) element.className = name
  if (text !== undefined && text !== null) element.textContent = unturned(text)
  return element
}

function write(element, text, names) {
  unturned(text).split("`").forEach((part, index) => {
    if (index % 2) element.append(broken(html("code"), part))
    else if (names) broken(element, part)
    else unbroken(element, part)
  })
  return element
}

// Allows line breaks in a name after underscores and slashes.
function broken(element, name) {
  name.split(/(?<=[_/])/).forEach((part, index) => element.append(...(index ? [document.createElement("wbr"), part] : [part])))
  return element
}

// Keeps a number and its per cent sign on one line.
function unbroken(element, text) {
  unturned(text ?? "").split(/(\S+ %)/).forEach((part, index) => element.append(index % 2 ? html("span", "unit", part) : part))
  return element
}

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  return element
}

function icon(status) {
  const [shape, glyph] = ICONS[status] ?? ICONS.unknown
  const picture = svg("svg", { viewBox: "0 0 16 16", class: `icon ${status}`, "aria-hidden": "true" })
  picture.append(svg("path", { d: SHAPES[shape], class: "shape" }), svg("path", { d: glyph, class: "glyph" }))
  return picture
}

function source(name) {
  const picture = svg("svg", { viewBox: "0 0 16 16", class: "icon source", "aria-hidden": "true" })
  picture.append(svg("path", { d: SOURCES[name] }))
  return picture
}

// Marks on a line. Each kind of change has a shape, and an incident also has the colour of its state. The tooltip has the words.
const MARKS = {
  circle: (x) => `M${x - 4} 10a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z`,
  triangle: (x) => `M${x - 5} 0h10l-5 9z`, // above the line, so that an incident at the same time does not cover it
  square: (x) => `M${x - 4} 6h8v8h-8z`,
  diamond: (x) => `M${x} 5l5 5l-5 5l-5 -5z`,
}

function timeline(data) {
  const picture = svg("svg", { viewBox: "0 0 400 20", preserveAspectRatio: "xMinYMid", class: "timeline", role: "img", "aria-label": data.label })
  picture.append(svg("path", { d: "M0 10H400", class: "axis" }))
  for (const each of data.of) {
    const mark = svg("path", { d: (MARKS[each.shape] ?? MARKS.diamond)(6 + each.x * 388), class: `mark ${each.s ?? ""}` })
    mark.append(svg("title", {}))
    mark.firstChild.textContent = each.t
    picture.append(mark)
  }
  return picture
}

function spark(data) {
  const width = data.width ?? 120
  const height = data.height ?? 28
  const values = data.y.map((each) => (each === null ? NaN : each))
  const lows = data.low ?? values
  const highs = data.high ?? values
  const known = [...values, ...lows, ...highs].filter((each) => each !== null && Number.isFinite(each))
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "spark", role: "img", "aria-label": data.label ?? "" })
  picture.style.width = `${width}px`
  picture.style.height = `${height}px`
  if (!known.length) return picture
  let [low, high] = [Math.min(...known), Math.max(...known)]
  if (data.zero) low = Math.min(low, 0)
  if (data.limit !== undefined && data.limit !== null) [low, high] = [Math.min(low, data.limit), Math.max(high, data.limit)]
  if (high - low < 1e-12) [low, high] = data.zero && high === 0 ? [0, 1] : [low - Math.abs(low || 1) * 0.5, high + Math.abs(high || 1) * 0.5]
  const x = (index) => 2 + (index * (width - 5)) / Math.max(values.length - 1, 1)
  const y = (value) => height - 3 - ((value - low) / (high - low)) * (height - 6)
  if (data.bars) {
    const step = (width - 4) / values.length
    values.forEach((value, index) => {
      if (!Number.isFinite(value)) return
      picture.append(svg("rect", { x: (2 + index * step).toFixed(1), y: y(value).toFixed(1), width: Math.max(step - 1, 1).toFixed(1), height: Math.max(y(low) - y(value), 0.5).toFixed(1), class: "bar" }))
    })
    return picture
  }
  if (data.limit !== undefined && data.limit !== null) picture.append(svg("line", { x1: 0, x2: width, y1: y(data.limit), y2: y(data.limit), class: "limit" }))
  if (data.low && data.high) {
    const there = values.map((_, index) => index).filter((index) => Number.isFinite(lows[index]) && Number.isFinite(highs[index]) && lows[index] !== null)
    if (there.length > 1) {
      const up = there.map((index) => `${x(index).toFixed(1)} ${y(highs[index]).toFixed(1)}`)
      const down = there.toReversed().map((index) => `${x(index).toFixed(1)} ${y(lows[index]).toFixed(1)}`)
      picture.append(svg("path", { d: `M${up.join("L")}L${down.join("L")}z`, class: "band" }))
    }
  }
  let path = ""
  let open = false
  let last = null
  values.forEach((value, index) => {
    if (!Number.isFinite(value)) { open = false; return }
    path += `${open ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`
    if (!open && !Number.isFinite(values[index + 1])) path += "h.1"
    open = true
    last = index
  })
  picture.append(svg("path", { d: path, class: "line" }))
  if (last !== null) picture.append(svg("circle", { cx: x(last), cy: y(values[last]), r: 2, class: "dot" }))
  return picture
}

function bar(data) {
  const box = html("span", "meter")
  box.setAttribute("aria-hidden", "true")
  const fill = html("span", `fill ${data.tone ?? ""}`)
  fill.style.width = `${Math.max(0, Math.min(1, data.v / data.max)) * 100}%`
  box.append(fill)
  if (data.limit !== undefined && data.limit !== null) {
    const mark = html("span", "mark")
    mark.style.left = `${Math.max(0, Math.min(1, data.limit / data.max)) * 100}%`
    box.append(mark)
  }
  return box
}

function interval(data) {
  const width = data.width ?? 150
  const height = 16
  const x = (value) => 3 + ((value - data.min) / (data.max - data.min || 1)) * (width - 6)
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "interval", "aria-hidden": "true" })
  picture.style.width = `${width}px`
  picture.style.height = `${height}px`
  if (data.whole !== undefined && data.whole !== null) picture.append(svg("line", { x1: x(data.whole), x2: x(data.whole), y1: 0, y2: height, class: "whole" }))
  if (data.low !== null && data.high !== null) picture.append(svg("line", { x1: x(data.low), x2: x(data.high), y1: height / 2, y2: height / 2, class: "whisker" }))
  picture.append(svg("circle", { cx: x(data.v), cy: height / 2, r: 3.4, class: `dot ${data.tone ?? ""}` }))
  return picture
}

function anchor(content, go, strong) {
  const link = html("a", content.plain ? "plain" : "")
  write(link, content.t, strong)
  link.href = content.href
  if (!content.go) Object.assign(link, { target: "_blank", rel: "noopener noreferrer" })  // another site
  else link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
    event.preventDefault()
    go(content.go)
  })
  return link
}

// An action that a button or key of a row starts needs a person's name. If no name was entered yet, the box for the name gets the focus as
// soon as it is drawn. Otherwise the box for the text of the action gets the focus.
function askName() {
  const dialog = '[role="dialog"] input[aria-label="Your name"]'
  focusOnce([dialog, '[data-testid="stMain"] input[aria-label="Your name"]'], (box) => {
    if (box.value) return askAction()
    box.focus()
    box.addEventListener("keydown", (event) => event.key === "Enter" && askAction())
  })
}

const askAction = () => focusOnce(['[data-testid="stMain"] textarea[aria-label="Action"]'], (box) => box.focus())

// Waits for the first of some elements, up to a minute on a busy machine. Does nothing if a person has meanwhile begun to type in another
// box.
function focusOnce(selectors, found) {
  const before = document.activeElement
  let left = 600
  const look = () => {
    const box = selectors.map((selector) => document.querySelector(selector)).find(Boolean)
    const now = document.activeElement
    if (now !== before && now !== box && now?.matches("input, textarea")) return
    if (box) found(box)
    else if (--left) setTimeout(look, 100)
  }
  setTimeout(look, 100)
}

function cell(content, go, strong, act, pick) {
  const box = html("div", "cell")
  if (content?.week) box.classList.add("week", ...content.week.split(" "))
  if (content === null || content === undefined) return box
  if (content.title) box.title = content.title
  const line = html("div", `main${content.quiet ? " quiet" : ""}${content.changed ? " changed" : ""}`)
  if (content.dot) {
    const dot = html("span", "unread-dot")
    dot.setAttribute("role", "img")
    dot.setAttribute("aria-label", content.dot)
    line.append(dot)
  }
  if (content.s) line.append(icon(content.s))
  if (SOURCES[content.source]) line.append(source(content.source))
  if (content.href) line.append(anchor(content, go, strong))
  else if (content.act) {
    const button = html("button", "act", "⋯")
    button.type = "button"
    button.title = content.t
    button.setAttribute("aria-label", content.t)
    button.addEventListener("click", () => {
      act({ on: [content.act], does: "act" })
      askName()
    })
    line.append(button)
    if (pick) line.prepend(pick(content.act))
  } else if (content.t !== undefined) {
    line.append(write(html("span", "text"), content.t, strong))
  }
  if (content.mark) line.append(html("span", "badge", content.mark))
  if (line.childNodes.length) box.append(line)
  if (content.sub || content.more) {
    const under = unbroken(html("div", "sub"), content.sub)
    const more = [content.more ?? []].flat()
    more.forEach((target, place) => under.append(...(content.sub || place ? ["\n"] : []), anchor(target, go)))
    box.append(under)
  }
  if (content.phone) box.append(html("div", "sub phone", content.phone))
  if (content.marks) box.prepend(timeline(content.marks))
  if (content.spark) box.append(spark(content.spark))
  if (content.bar) box.append(bar(content.bar))
  if (content.interval) box.append(interval(content.interval))
  return box
}

// The sort value of a cell: its key, else its severity, else its number, else its text. Cells without a value come last.
const RANKS = { act: 0, watch: 1, unknown: 2, ok: 3 }

function sortKey(content) {
  if (content?.k !== undefined && content.k !== null) return content.k
  if (content?.s) return RANKS[content.s] ?? 4
  const text = String(content?.t ?? "").trim()
  if (!text || text === "–") return null
  const number = Number(text.replace(/[,\s%]/g, "").replace("−", "-"))
  return Number.isFinite(number) ? number : text.toLowerCase()
}

function compare(one, other) {
  if (one === null || other === null) return (one === null) - (other === null)
  return typeof one === typeof other && typeof one === "number" ? one - other : String(one).localeCompare(String(other))
}

// The rows in the order that the reader chose. Clicks on a column's title sort up, then down, then not at all. `state` survives new data.
function order(grid, data, state) {
  const bodies = rowsOf(grid).sort((one, other) => one.dataset.place - other.dataset.place)
  const titles = new Map([...grid.tBodies].filter((body) => body.matches(".group")).map((body) => [body.textContent, body]))
  const place = (sorted) => {
    if (!titles.size) return grid.append(...sorted)
    for (const [words, title] of titles) grid.append(title, ...sorted.filter((body) => data.rows[body.dataset.place].group === words))
  }
  const key = data.columns[state.column]?.key
  if (key) {
    const keyed = bodies.map((body) => [body, sortKey(data.rows[body.dataset.place].cells[key])])
    keyed.sort((one, other) => (one[1] === null || other[1] === null ? compare(one[1], other[1]) : state.down * compare(one[1], other[1])))
    place(keyed.map(([body]) => body))
  } else place(bodies)
  ;[...grid.tHead.rows[0].cells].forEach((title, place) => {
    title.ariaSort = place === state.column ? (state.down > 0 ? "ascending" : "descending") : "none"
  })
}

function sorter(label, place, grid, data, state) {
  const button = html("button", "sorter", label)
  button.type = "button"
  button.addEventListener("click", () => {
    if (state.column !== place) Object.assign(state, { column: place, down: 1 })
    else if (state.down > 0) state.down = -1
    else state.column = undefined
    order(grid, data, state)
  })
  return button
}

// A search box that hides the rows that lack one of its words.
function filter(grid, data, state) {
  const box = html("div", "filter")
  const input = html("input")
  Object.assign(input, { type: "search", placeholder: "Filter rows", value: state.words ?? "" })
  input.setAttribute("aria-label", `Filter: ${data.caption}`)
  const count = html("span", "count")
  count.setAttribute("aria-live", "polite")
  const apply = () => {
    state.words = input.value
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean)
    let shown = 0
    for (const body of rowsOf(grid)) {
      const text = body.textContent.toLowerCase()
      body.hidden = !words.every((word) => text.includes(word))
      shown += !body.hidden
    }
    count.textContent = words.length ? `${shown} of ${data.rows.length}` : ""
  }
  input.addEventListener("input", apply)
  box.append(input, count)
  apply()
  return box
}

// The keys j and k move between the visible rows, Enter opens a row, and the keys of the table start an action on the row. The keys work
// while the table has the focus, and elsewhere on the page while no field has it. Of several tables, the one with the focus takes a key,
// else the first visible one.
const takesKey = (root, event) => {
  const seen = [...document.tablesWithKeys].filter((each) => each.isConnected && each.checkVisibility())
  return (seen.find((each) => event.composedPath().includes(each)) ?? seen[0]) === root
}

// Labels of actions whose names are too short to be clear.
const WORDS = { turn: "read or unread" }

// The subject of a row's button. It identifies the chosen row after the rows change their order.
const acted = (data, body) => Object.values(data.rows[body.dataset.place].cells).find((content) => content?.act)?.act

function keys(root, data, act) {
  const rows = () => rowsOf(root.querySelector("table")).filter((body) => !body.hidden)
  root.keys?.abort()
  root.keys = new AbortController()
  document.tablesWithKeys = new Set([...(document.tablesWithKeys ?? []), root].filter((each) => each.isConnected))
  document.addEventListener("keydown", (event) => {
    if (!root.isConnected) return root.keys.abort()
    if (!takesKey(root, event)) return
    const field = (event.composedPath()[0] ?? event.target)?.closest?.("input, textarea, select, [contenteditable], [role=dialog], [role=combobox]")
    if (field || event.metaKey || event.ctrlKey || event.altKey || document.querySelector("[role=dialog]")) return
    const shown = rows()
    const at = shown.findIndex((body) => body.classList.contains("at"))
    if (event.key === "j" || event.key === "k") {
      const next = shown[Math.max(0, Math.min(shown.length - 1, at < 0 ? 0 : at + (event.key === "j" ? 1 : -1)))]
      shown.forEach((body) => body.classList.toggle("at", body === next))
      next?.scrollIntoView({ block: "nearest" })
      root.at = next && acted(data, next)
      event.preventDefault()
    } else if (at >= 0 && event.key === "Enter" && !event.composedPath()[0]?.closest?.("a, button")) {
      shown[at].querySelector("a")?.click()
    } else if (at >= 0 && event.key === "x") {
      shown[at].querySelector(".pick")?.click()
      event.preventDefault()
    } else if (at >= 0 && data.keys[event.key]) {
      const on = acted(data, shown[at])
      if (on) {
        act({ on: [on], does: data.keys[event.key] })
        if (data.keys[event.key] !== "turn") askName()
      }
      event.preventDefault()
    }
  }, { signal: root.keys.signal })
}

// The line above the rows of a group.
function groupTitle(words, span) {
  const body = html("tbody", "group")
  const line = html("tr")
  const title = html("th", "", words)
  Object.assign(title, { colSpan: span, scope: "rowgroup" })
  line.append(title)
  body.append(line)
  return body
}

// The bodies that hold rows of data, without the lines above groups.
const rowsOf = (grid) => [...grid.tBodies].filter((body) => body.dataset.place !== undefined)

function table(data, go, state, act) {
  const trimmed = data.columns.some((column) => !column.phone)
  const few = data.columns.filter((column) => column.phone).length <= 3
  const grid = html("table", `${data.size}${data.columns.length > 7 ? " many" : ""}${trimmed ? ` trimmed${few ? " few" : ""}${state.all ? " all" : ""}` : ""}`)
  const caption = html("caption", "hidden", data.caption)
  const head = html("thead")
  const titles = html("tr")
  data.columns.forEach((column, place) => {
    const title = html("th", `${column.align ?? ""}${column.phone ? "" : " desk"}`, data.sort ? undefined : column.label)
    title.scope = "col"
    title.dataset.key = column.key
    if (data.sort && column.label) title.append(sorter(column.label, place, grid, data, state))
    if (column.help) title.title = column.help
    if (column.width) title.style.width = column.width
    if (column.width && column.strong) title.style.minWidth = column.width
    if (column.min_width) title.style.setProperty("--min-width", column.min_width)
    titles.append(title)
  })
  head.append(titles)
  grid.append(caption, head)
  data.rows.forEach((row, place) => {
    if (row.group && row.group !== data.rows[place - 1]?.group) grid.append(groupTitle(row.group, data.columns.length))
    const body = html("tbody", `${row.tone ?? ""}${row.note ? " noted" : ""}${row.selected ? " selected" : ""}`)
    body.dataset.place = place
    const line = html("tr")
    data.columns.forEach((column, index) => {
      const place = html(index === 0 ? "th" : "td", `${column.align ?? ""}${column.strong ? " strong" : ""}${column.wide ? " wide" : ""}${column.short ? " short" : ""}${column.phone ? "" : " desk"}`)
      if (index === 0) place.scope = "row"
      place.dataset.label = column.label
      place.dataset.key = column.key
      place.append(cell(row.cells[column.key], go, column.strong, act, data.bulk ? (name) => picker(name, state) : null))
      line.append(place)
    })
    body.append(line)
    if (row.note) {
      const under = html("tr", "note")
      const place = html("td")
      place.colSpan = data.columns.length
      place.append(cell(row.note, go))
      under.append(place)
      body.append(under)
    }
    grid.append(body)
  })
  return grid
}

// The columns that a reader hid, by table name; the browser stores them.
const HIDDEN = "observability-hidden-columns"

function hiddenColumns() {
  try {
    return JSON.parse(localStorage.getItem(HIDDEN)) ?? {}
  } catch {
    return {}
  }
}

// The menu that hides columns. The first column, columns of sentences and columns without a title cannot be hidden.
function columnChoice(grid, data) {
  const choice = html("details", "columns")
  const boxes = html("div", "choices")
  boxes.setAttribute("role", "group")
  boxes.setAttribute("aria-label", `Columns: ${data.caption}`)
  const hidden = new Set(hiddenColumns()[data.remembers])
  const apply = () => {
    for (const each of grid.querySelectorAll("[data-key]")) each.hidden = hidden.has(each.dataset.key)
  }
  data.columns.slice(1).filter((column) => column.label && !column.wide).forEach((column) => {
    const line = html("label")
    const box = html("input")
    Object.assign(box, { type: "checkbox", checked: !hidden.has(column.key) })
    box.addEventListener("change", () => {
      hidden[box.checked ? "delete" : "add"](column.key)
      try {
        localStorage.setItem(HIDDEN, JSON.stringify({ ...hiddenColumns(), [data.remembers]: [...hidden] }))
      } catch { /* without storage the columns are hidden until a reload */ }
      apply()
    })
    line.append(box, column.label)
    boxes.append(line)
  })
  choice.append(html("summary", "", "Columns"), boxes)
  apply()
  return choice
}

// On a phone a table shows only the main columns. This button, which is visible only on a phone, shows all columns.
function wholeTable(grid, state) {
  const button = html("button", "act whole")
  button.type = "button"
  const apply = () => {
    grid.classList.toggle("all", Boolean(state.all))
    button.textContent = state.all ? "Fewer columns" : "All columns"
    button.setAttribute("aria-pressed", String(Boolean(state.all)))
  }
  button.addEventListener("click", () => {
    state.all = !state.all
    apply()
  })
  apply()
  return button
}

// The box that selects a row, for an action on several.
function picker(name, state) {
  const box = html("input", "pick")
  Object.assign(box, { type: "checkbox", checked: state.picked.has(name) })
  box.setAttribute("aria-label", "Select")
  box.addEventListener("change", () => {
    state.picked[box.checked ? "add" : "delete"](name)
    state.pickedChanged()
  })
  return box
}

// The actions on the selected rows.
function bulk(data, state, act) {
  const bar = html("div", "bulk")
  bar.setAttribute("role", "group")
  bar.setAttribute("aria-label", "Selected rows")
  const known = new Set(data.rows.flatMap((row) => Object.values(row.cells).map((content) => content?.act)))
  state.picked = new Set([...state.picked].filter((name) => known.has(name)))
  state.pickedChanged = () => {
    const count = state.picked.size
    bar.hidden = !count
    const words = html("span", "count", `${count} selected`)
    words.setAttribute("aria-live", "polite")
    const buttons = Object.entries(data.bulk).filter(([does]) => does !== "merge" || count > 1).map(([does, title]) => {
      const button = html("button", "act", title)
      button.type = "button"
      button.addEventListener("click", () => act({ on: [...state.picked], does }))
      return button
    })
    bar.replaceChildren(words, ...buttons)
  }
  state.pickedChanged()
  return bar
}

// The frame of a table. If the table is wider than the frame, the frame can be focused and scrolled by keyboard, and has the table's name.
function framed(grid, caption) {
  const frame = html("div", "frame")
  frame.append(grid)
  const watch = new ResizeObserver(() => {
    const wider = frame.scrollWidth > frame.clientWidth + 1
    frame.classList.toggle("wider", wider)
    if (wider) {
      frame.tabIndex = 0
      frame.setAttribute("role", "region")
      frame.setAttribute("aria-label", `${caption}, scrolls sideways`)
    } else for (const name of ["tabindex", "role", "aria-label"]) frame.removeAttribute(name)
  })
  watch.observe(frame)
  watch.observe(grid)
  return frame
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector("#ledger")
  const said = JSON.stringify(data)
  if (!root || root.dataset.said === said) return
  root.dataset.said = said
  root.state ??= {}
  const act = (asked) => setTriggerValue("act", asked)
  root.state.picked ??= new Set()
  const grid = table(data, (target) => setTriggerValue("go", target), root.state, act)
  const parts = [framed(grid, data.caption)]
  if (data.sort) {
    order(grid, data, root.state)
    if (data.rows.length > 5 && !data.paged) parts.unshift(filter(grid, data, root.state))
  }
  if (data.bulk) parts.splice(-1, 0, bulk(data, root.state, act))
  if (data.remembers) parts.push(columnChoice(grid, data))
  if (grid.classList.contains("trimmed")) parts.push(wholeTable(grid, root.state))
  root.replaceChildren(...parts)
  root.getRootNode().host?.toggleAttribute("data-drawn", true)  // from now on the page gives it the height of its content (page.css)
  if (data.keys) {
    keys(root, data, act)
    if (root.at) rowsOf(grid).find((body) => acted(data, body) === root.at)?.classList.add("at")
    const own = [...Object.entries(data.keys), ...(data.bulk ? [["x", "select"]] : [])].map(([key, does]) => ` · ${key} ${WORDS[does] ?? does}`)
    root.append(html("div", "count", `Keys: j, k move · Enter open${own.join("")}`))
  }
}
