"""What a browser task costs a person: clicks, keystrokes, seconds until the page is quiet, and words shown on the screen."""

import re
import time
from collections import Counter
from dataclasses import dataclass

from playwright.sync_api import Download, Locator, Page

from tests.browser.pages import settle

LAPTOP = {"width": 1440, "height": 900}
QUIET_SECONDS = 0.3
"""`settle` returns this many seconds after a page has become quiet. A person does not wait for them, so they are subtracted.
"""
SEEN = r"""() => {
  const blocks = new Map()
  const boxes = new Map()
  const parent = (node) => node.parentElement ?? node.getRootNode().host ?? null
  // the part of the screen in which an element's content shows: inside every ancestor that cuts it off
  const shown = (element) => {
    if (!element) return [0, 0, innerWidth, innerHeight]
    if (boxes.has(element)) return boxes.get(element)
    const outer = shown(parent(element))
    const style = getComputedStyle(element)
    let box = style.position === 'fixed' ? [0, 0, innerWidth, innerHeight] : outer
    if (box && (style.opacity === '0' || style.visibility === 'hidden' || style.display === 'none')) box = null
    if (box && style.overflow !== 'visible' && style.display !== 'contents' && style.display !== 'inline') {
      const own = element.getBoundingClientRect()
      box = [Math.max(box[0], own.left), Math.max(box[1], own.top), Math.min(box[2], own.right), Math.min(box[3], own.bottom)]
    }
    boxes.set(element, box)
    return box
  }
  const block = (element) => {
    while (element.parentElement && getComputedStyle(element).display === 'inline') element = element.parentElement
    return element
  }
  const range = document.createRange()
  const read = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT)
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.nodeType === 1) { if (node.shadowRoot) read(node.shadowRoot); continue }
      const text = node.nodeValue.replaceAll('\u2060', '')
      const element = node.parentElement ?? node.getRootNode().host
      if (!text || !element || ['STYLE', 'SCRIPT', 'TITLE', 'NOSCRIPT', 'OPTION'].includes(element.tagName)) continue
      const box = shown(element)
      if (!box || getComputedStyle(element).fontFamily.includes('Material Symbols')) continue
      range.selectNodeContents(node)
      const seen = [...range.getClientRects()].some((own) => Math.min(own.right, box[2]) - Math.max(own.left, box[0]) > 2
        && Math.min(own.bottom, box[3]) - Math.max(own.top, box[1]) > 2)
      if (seen) blocks.set(block(element), (blocks.get(block(element)) ?? '') + text)
    }
  }
  read(document.body)
  return [...blocks.values()].map((text) => text.trim().replace(/\s+/g, ' ')).filter(Boolean)
}"""
"""The text of every paragraph, cell and button that is at least partly on the screen, without text that is cut off, hidden, or drawn as an
icon.
"""


@dataclass(frozen=True)
class Effort:
    """What a task has cost: clicks, keystrokes, seconds of waiting, and words shown on the screen."""

    clicks: int
    keys: int
    seconds: float
    words: int


class Player:
    """A person at a laptop. Every action is counted, and so are the words on the screen after it.

    On a new page all words count. After an action on the same page, and while scrolling, only words count that were not on the screen
    before.
    """

    def __init__(self, page: Page) -> None:
        self.page, self.clicks, self.keys, self.seconds, self.words = page, 0, 0, 0.0, 0
        self._read: Counter[str] = Counter()
        self._path = ""
        self.text = ""

    @property
    def effort(self) -> Effort:
        """What the task has cost so far."""
        return Effort(self.clicks, self.keys, self.seconds, self.words)

    def look(self) -> None:
        """Wait until the page is quiet, and count the new words on the screen."""
        began = time.monotonic()
        settle(self.page)
        self.seconds += max(time.monotonic() - began - QUIET_SECONDS, 0)
        self._take_in()

    def _take_in(self) -> None:
        path = self.page.url.partition("?")[0]
        if path != self._path:
            self._path, self._read = path, Counter()
        seen = self.page.evaluate(SEEN)
        now, self.text = Counter(seen), " ".join(seen)
        self.words += sum(n * words_in(text) for text, n in (now - self._read).items())
        self._read |= now

    def click(self, target: Locator, *, goes: str = "") -> None:
        """Click an element, after scrolling to it if necessary. goes: a pattern of the address to which the click leads."""
        self.see(target)
        began = time.monotonic()
        target.click()
        self.clicks += 1
        if goes:
            self.page.wait_for_url(re.compile(goes), wait_until="commit")
        self.seconds += time.monotonic() - began
        self.look()

    def type(self, text: str) -> None:
        """Type text at the cursor."""
        self.page.keyboard.type(text)
        self.keys += len(text)
        self._take_in()

    def paste(self, text: str) -> None:
        """Paste text at the cursor."""
        self.page.keyboard.insert_text(text)
        self.keys += 1

    def press(self, *keys: str, goes: str = "") -> None:
        """Press keys one after the other. An entry such as `Control+k` means keys that are pressed together."""
        began = time.monotonic()
        for key in keys:
            self.page.keyboard.press(key)
            self.keys += 1
        if goes:
            self.page.wait_for_url(re.compile(goes), wait_until="commit")
        self.seconds += time.monotonic() - began
        self.look()

    def fill(self, box: Locator, text: str, *, enter: bool = False) -> None:
        """Click a text field and type."""
        self.click(box)
        self.type(text)
        if enter:
            self.press("Enter")

    def choose(self, box: Locator, option: str) -> None:
        """Open a selection field and choose an option."""
        self.click(box)
        self.click(self.page.get_by_role("option", name=option, exact=True))

    def download(self, button: Locator) -> Download:
        """Click a button that downloads a file."""
        self.see(button)
        with self.page.expect_download() as waiting:
            button.click()
        self.clicks += 1
        self.look()
        return waiting.value

    def see(self, target: Locator) -> None:
        """Scroll screen by screen until an element is visible, and count the words shown on the way."""
        target.first.wait_for()
        for _ in range(40):
            box = target.first.bounding_box()
            assert box is not None, target
            if 0 <= box["y"] and box["y"] + min(box["height"], 60) <= LAPTOP["height"]:
                return
            self.page.mouse.move(box["x"] + box["width"] / 2, LAPTOP["height"] / 2)
            self.page.mouse.wheel(0, 600 if box["y"] > 0 else -600)
            self.page.wait_for_timeout(150)
            self._take_in()
        raise AssertionError(f"{target} does not come into sight")


def words_in(text: str) -> int:
    """The number of words: parts between spaces that contain a letter or a digit."""
    return sum(bool(re.search(r"\w", word)) for word in text.split())
