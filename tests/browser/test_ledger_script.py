"""The script and style of tables, tested without a dashboard: right-to-left text, hidden columns and keys."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from observability.dashboard import components

pytestmark = pytest.mark.browser
SCRIPT, STYLE = ((components.ASSETS / f"ledger.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
SET_UP = """async ([script, style, text]) => {
  document.body.innerHTML = '<div id="ledger"></div>'
  document.head.append(Object.assign(document.createElement('style'), { textContent: style }))
  const address = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
  const draw = (await import(address)).default
  const data = { caption: 'Columns', size: '', columns: [{ key: 'what', label: 'What', phone: true }], rows: [{ cells: { what: { t: text } } }] }
  draw({ data, parentElement: document.body, setTriggerValue: () => undefined })
}"""
LEFT_OF_WORD = """(word) => {
  const texts = document.createTreeWalker(document.querySelector('tbody'), NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const at = texts.currentNode.data.indexOf(word)
    if (at < 0) continue
    const range = document.createRange()
    range.setStart(texts.currentNode, at)
    range.setEnd(texts.currentNode, at + word.length)
    return range.getBoundingClientRect().left
  }
}"""


def test_a_right_to_left_name_does_not_move_the_number_after_it(chromium: Browser) -> None:
    """Regression: the number stood in front of the name."""
    page = chromium.contexts[0].new_page()
    page.evaluate(SET_UP, [SCRIPT, STYLE, "`\u05d2\u05d9\u05dc` 12 of 90 rows"])
    places = [page.evaluate(LEFT_OF_WORD, word) for word in ("\u05d2\u05d9\u05dc", "12", "90", "rows")]
    assert places == sorted(places) and len({*places}) == 4
    page.close()


TWO = """async ([script, style]) => {
  document.body.innerHTML = '<div id="ledger"></div>'
  document.head.append(Object.assign(document.createElement('style'), { textContent: style }))
  const draw = (await import(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })))).default
  const columns = [{ key: 'name', label: 'Name', phone: true }, { key: 'what', label: 'What', wide: true, phone: true },
    { key: 'n', label: 'n', phone: true }, { key: 'act', label: '', phone: true }]
  const rows = [{ cells: { name: { t: 'a' }, what: { t: 'words', dot: 'Unread' }, n: { t: '3' }, act: { act: 'i1', t: 'Act' } } }]
  const data = { caption: 'Columns', size: '', columns, rows, remembers: 'two', keys: { u: 'turn' } }
  window.asked = []
  draw({ data, parentElement: document.body, setTriggerValue: (name, value) => window.asked.push([name, value]) })
}"""


def test_a_hidden_column_stays_hidden_and_the_unread_dot_has_a_text_label(chromium: Browser, tmp_path: Path) -> None:
    """The page is a file, because a page without an address cannot store anything."""
    (tmp_path / "table.html").write_text("<!doctype html><title>Table</title><body></body>", encoding="utf-8")
    page = chromium.contexts[0].new_page()
    for turn in range(2):
        page.goto((tmp_path / "table.html").as_uri())
        page.evaluate(TWO, [SCRIPT, STYLE])
        page.get_by_text("Columns", exact=True).last.click()
        boxes = page.get_by_role("group", name="Columns: Columns").get_by_role("checkbox")
        assert boxes.count() == 1, "only one column can be hidden: not the first column, not sentences, not buttons"
        assert boxes.is_checked() == page.get_by_role("cell", name="3").is_visible() == (turn == 0)
        boxes.set_checked(turn == 1)
        assert page.get_by_role("cell", name="3").is_visible() == (turn == 1)
    assert page.get_by_role("img", name="Unread").count() == 1
    page.keyboard.press("Escape")
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("j")
    page.keyboard.press("u")
    assert page.evaluate("window.asked") == [["act", {"on": ["i1"], "does": "turn"}]]
    page.close()


SEVERAL = """async ([script, style]) => {
  document.body.innerHTML = `<details><summary>Settled</summary><div id="a"><div id="ledger"></div></div></details>
    <div id="b"><div id="ledger"></div></div><div id="c"><div id="ledger"></div></div>`
  window.asked = []
  for (const name of ['a', 'b', 'c']) {
    const draw = (await import(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })))).default
    const columns = [{ key: 'name', label: 'Name', phone: true }, { key: 'act', label: '', phone: true }]
    const rows = [{ cells: { name: { t: name, href: '#' + name }, act: { act: name, t: 'Act' } } }]
    const data = { caption: name, size: '', columns, rows, keys: { s: 'snooze' } }
    const parentElement = document.getElementById(name)
    draw({ data, parentElement, setTriggerValue: (_, value) => window.asked.push(value.on[0]) })
  }
}"""


def test_a_key_acts_on_only_one_visible_table(chromium: Browser) -> None:
    """Regression: a key started an action on the chosen row of every table, even of folded tables."""
    page = chromium.contexts[0].new_page()
    page.evaluate(SEVERAL, [SCRIPT, STYLE])
    page.keyboard.press("j")
    page.keyboard.press("s")
    assert page.evaluate("window.asked") == ["b"], "the first table is folded, so the second table takes the key"
    page.locator("#c a").focus()
    page.keyboard.press("j")
    page.keyboard.press("s")
    assert page.evaluate("window.asked") == ["b", "c"], "the table with the focus takes the key"
    page.close()
