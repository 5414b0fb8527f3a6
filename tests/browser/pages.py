"""How does a test read a page as a person sees it?"""

import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, Response, TimeoutError

PATIENCE = 45_000
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

    def said(page: Page, sentence: str) -> None:
    """Wait until the page says something, for as long as a rerun may take."""
    try:
        page.wait_for_function(SAYS, arg=sentence, timeout=PATIENCE, polling=100)
    except TimeoutError:
        raise AssertionError(f"the page does not say {sentence!r} but {words(page)!r}") from None
