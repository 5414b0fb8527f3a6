// A logged text whose words are marked by their effect: raised with a solid line, lowered with a dotted one. Every text is set with textContent.

// Direction marks are written as escapes, so that they cannot reverse the text after them.
const unturned = (text) => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16)}`)

function html(tag, name, text) {
  const element = document.createElement(tag)
  if (name) element.className = name
  if (text !== undefined) element.textContent = unturned(text)
  return element
}

export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector("#text")
  const said = JSON.stringify(data)
  if (!root || root.dataset.said === said) return
  root.dataset.said = said
  const box = html("p")
  box.dir = "auto"
  box.setAttribute("aria-label", data.caption)
  box.setAttribute("role", "group")
  const signs = [...data.text]
  let at = 0
  for (const word of data.words) {
    box.append(unturned(signs.slice(at, word.from).join("")))
    const mark = html("mark", word.part > 0 ? "up" : "down", signs.slice(word.from, word.to).join(""))
    mark.style.setProperty("--strength", `${Math.round(10 + 45 * Math.abs(word.part))}%`)
    mark.title = word.title
    mark.append(html("span", "hidden", ` (${word.title})`))
    box.append(mark)
    at = word.to
  }
  box.append(unturned(signs.slice(at).join("")))
  root.replaceChildren(box)
  if (box.scrollHeight > box.clientHeight) box.tabIndex = 0
}
