"""How does a test read a page as a person sees it?"""

import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, Response, TimeoutError

PATIENCE = 90_000
"""Milliseconds for a page to be drawn on a busy machine."""
QUIET = """() => {
  const app = document.querySelector('[data-testid="stApp"]')
  const busy = !app || app.dataset.testScriptState !== 'notRunning' || document.querySelector('[data-testid="stSkeleton"]')
    || !document.querySelector('[data-testid="stMain"] h1')
  if (busy) { window.quietSince = undefined; return false }
  window.quietSince ??= performance.now()
  return performance.now() - window.quietSince > 300
}"""
TABLES = """() => {
  const found = []
  for (const host of document.querySelectorAll('*')) {
    if (!host.shadowRoot) continue
    for (const table of host.shadowRoot.querySelectorAll('table')) found.push(table)
  }
  return found.map((table) => ({
    caption: table.caption ? table.caption.textContent : '',
    rows: [...table.tBodies].map((body) => Object.fromEntries([...body.rows[0].cells].map((cell) => [cell.dataset.label, {
      text: cell.querySelector('.main')?.textContent ?? '',
      sub: cell.querySelector('.sub')?.textContent ?? '',
      title: cell.querySelector('.cell')?.title ?? '',
    }]))),
  }))
}"""
SAYS = """(wanted) => document.querySelector('[data-testid="stMain"]').innerText
  .replaceAll('\\u2060', '').replace(/\\s+/g, ' ').includes(wanted)"""
Row = dict[str, dict[str, str]]


class Watch:
    """What went wrong on one page while a test looked at it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.host, self.problems = page, urlsplit(url).netloc, []
        page.on("console", self.said)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("request", self.asked)
        page.on("websocket", lambda socket: self.left(socket.url))
        page.on("response", self.answered)

    def said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"{self.page.url}: console: {message.text} ({message.location})")

    def asked(self, request: Request) -> None:
        self.left(request.url)

    def left(self, url: str) -> None:
        where = urlsplit(url)
        if where.scheme not in ("data", "blob") and where.netloc != self.host:
            self.problems.append(f"{self.page.url}: a request left for {url}")

    def answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{self.page.url}: {response.status} from {response.url}")


def settle(page: Page) -> None:
    """Wait until the script has run, everything is drawn, and it stays so."""
    page.evaluate("window.quietSince = undefined")
    page.wait_for_function(QUIET, timeout=PATIENCE, polling=50)


def complete(page: Page) -> None:
    """Wait until nothing is still to be added to the page by itself."""
    page.wait_for_function("() => !document.querySelector('.st-key-still-looking')", timeout=PATIENCE, polling=100)
    settle(page)


def words(page: Page) -> str:
    """Everything that the page says outside its tables, on one line, invisible joiners left out."""
    return " ".join(page.get_by_test_id("stMain").inner_text().replace("\u2060", "").split())


def heading(page: Page) -> str:
    """The page's title."""
    return page.locator("h1").first.inner_text()


def tables(page: Page) -> dict[str, list[Row]]:
    """The page's tables by their captions: rows as {column title: {text, sub, title}}."""
    return {each["caption"]: each["rows"] for each in page.evaluate(TABLES)}


def until(page: Page, caption: str, holds: Callable[[list[Row]], bool]) -> list[Row]:
    """Wait until the rows of a table are as they should be, for as long as a rerun may take; gives them."""
    end = time.monotonic() + PATIENCE / 1000
    while not holds(rows := tables(page).get(caption, [])):
        assert time.monotonic() < end, rows
        page.wait_for_timeout(100)  # between two looks
    return rows


def row(page: Page, caption: str, column: str, value: str) -> Row:
    """The first row of a table whose cell in a column begins with a text."""
    rows = tables(page)[caption]
    return next(each for each in rows if each[column]["text"].startswith(value))


def figure(pattern: str, text: str) -> tuple[str, ...]:
    """The groups of a pattern that the text must hold."""
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in {text[:2000]!r}"
    return found.groups()


def download(page: Page, key: str) -> str:
    """What the download button with this key gives, once the page stands: a rerun replaces what a button offers, and a click on what was offered before
    gives nothing.
    """
    settle(page)
    with page.expect_download(timeout=PATIENCE) as waiting:
        page.locator(f".st-key-{key} button").click()
    return waiting.value.path().read_text(encoding="utf-8")


def link_of(page: Page) -> str:
    """The address that "Copy link" offers."""
    page.get_by_role("button", name="Copy link").click()
    code = page.locator('[data-testid="stPopoverBody"] code')
    code.wait_for(timeout=PATIENCE)
    address = code.inner_text().strip()
    page.keyboard.press("Escape")
    return address


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option of a box."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()
    settle(page)


def said(page: Page, sentence: str) -> None:
    """Wait until the page says something, for as long as a rerun may take."""
    try:
        page.wait_for_function(SAYS, arg=sentence, timeout=PATIENCE, polling=100)
    except TimeoutError:
        raise AssertionError(f"the page does not say {sentence!r} but {words(page)!r}") from None
