"""The script and style of tables, without a dashboard: text that is written from right to left."""

import pytest
from playwright.sync_api import Browser

from observability.dashboard import palette

pytestmark = pytest.mark.browser
SCRIPT, STYLE = ((palette.ASSETS / f"ledger.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
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


def test_a_name_from_right_to_left_leaves_the_number_behind_it_in_its_place(chromium: Browser) -> None:
    """The number stood before the name."""
    page = chromium.contexts[0].new_page()
    page.evaluate(SET_UP, [SCRIPT, STYLE, "`\u05d2\u05d9\u05dc` 12 of 90 rows"])
    places = [page.evaluate(LEFT_OF_WORD, word) for word in ("\u05d2\u05d9\u05dc", "12", "90", "rows")]
    assert places == sorted(places) and len({*places}) == 4
    page.close()
