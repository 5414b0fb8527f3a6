"""Compare the height of a page, as it opens, with a budget for each width."""

import time
from urllib.parse import urlsplit

from playwright.sync_api import Page

from observability.dashboard.links import DEFAULT_PAGE

LAPTOP, TABLET, PHONE = {"width": 1360, "height": 900}, {"width": 820, "height": 1180}, {"width": 390, "height": 844}
SCREENS = {LAPTOP["width"]: 4.0, TABLET["width"]: 4.0, PHONE["width"]: 8.0}
"""Maximum height of a page in screens, by width, before anything is unfolded."""
OF_CASE = {LAPTOP["width"]: 3.0, TABLET["width"]: 3.0, PHONE["width"]: 4.0}
"""Maximum height of the page of one prediction, in screens."""
REST_SECONDS = 15
"""How long a page may be taller while an answer replaces another one, because for a moment both are there."""
HEIGHT = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
  done(document.querySelector('[data-testid="stMainBlockContainer"]').getBoundingClientRect().height))))"""
"""The height of the page's content after the browser has laid it out anew."""


def screens(page: Page, size: dict[str, int]) -> float:
    """The height of the page in screens of this size. The tab must already have the width of the size."""
    return float(page.evaluate(HEIGHT)) / size["height"]


def within_height(page: Page, size: dict[str, int]) -> None:
    """Fail if a page with the width of this size is still taller than its budget after all of its parts are drawn."""
    name = urlsplit(page.url).path.strip("/") or DEFAULT_PAGE
    most = (OF_CASE if name == "case" else SCREENS)[size["width"]]
    until = time.monotonic() + REST_SECONDS
    while (tall := screens(page, size)) > most and time.monotonic() < until:
        page.wait_for_timeout(250)
    assert tall <= most, f"{name} is {tall:.1f} screens tall at a width of {size['width']}, at most {most:g}: fold or shorten it"
