"""Read a page as a person sees it."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Request, Response, TimeoutError, WebSocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from observability.dashboard.frame import FIGURE_MENU

PATIENCE = 300_000
"""Maximum milliseconds that anything on a page may take on a busy machine; a test goes on as soon as it is there."""
QUIET = """() => {
  const app = document.querySelector('[data-testid="stApp"]')
  const busy = !app || app.dataset.testScriptState !== 'notRunning' || document.querySelector('[data-testid="stSkeleton"]')
    || !document.querySelector('[data-testid="stMain"] h1') || window.quietAt !== location.href
  window.quietAt = location.href
  if (busy) { window.quietSince = undefined; return false }
  window.quietSince ??= performance.now()
  return performance.now() - window.quietSince > 300
}"""
STATE = """() => [document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState, window.quietAt,
  document.querySelector('[data-testid="stMain"] h1')?.innerText, document.querySelectorAll('[data-testid="stSkeleton"]').length]"""
"""What a page that does not become quiet is doing: the state of its script, its last address, its title, its skeletons."""
REFRESHES = """{
  const set = window.setInterval
  window.setInterval = (act, pause, ...rest) => {
    if (pause === 30_000) window.refresh = act
    return set(act, pause, ...rest)
  }
}"""
"""A script for a visit, with which a test can trigger what the page does every thirty seconds (`refresh`)."""
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
    """The errors of one page during a test, and whether the page still waits for a requested run of its script. script: the test's own
    script in the page, if any. The page's refreshes are then counted, and its tab is not used again.
    """

    def __init__(self, page: Page, url: str, script: str = "") -> None:
        self.page, self.host, self.problems, self.awaits, self.script, self.refreshes = page, urlsplit(url).netloc, [], False, script, 0
        self.heard: dict[str, Callable[..., None]] = {
            "console": self.said,
            "pageerror": lambda error: self.problems.append(f"{page.url}: {error}"),
            "request": self.asked,
            "websocket": self.connected,
            "response": self.answered,
        }
        for event, hear in self.heard.items():
            page.on(event, hear)
        WATCHES[page] = self

    def said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"{self.page.url}: console: {message.text} ({message.location})")

    def asked(self, request: Request) -> None:
        self.left(request.url)

    def connected(self, socket: WebSocket) -> None:
        self.left(socket.url)
        socket.on("framesent", self.sent)
        socket.on("framereceived", self.received)

    def sent(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes) and (message := BackMsg.FromString(frame)).HasField("rerun_script"):
            self.awaits |= not message.rerun_script.is_auto_rerun  # the server may leave automatic reruns unanswered

    def received(self, frame: str | bytes) -> None:
        if (self.awaits or self.script) and isinstance(frame, bytes) and ForwardMsg.FromString(frame).HasField("new_session"):
            self.refreshes += not self.awaits
            self.awaits = False

    def left(self, url: str) -> None:
        where = urlsplit(url)
        if where.scheme not in ("data", "blob") and where.netloc != self.host:
            self.problems.append(f"{self.page.url}: a request left for {url}")

    def answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{self.page.url}: {response.status} from {response.url}")

    def close(self) -> None:
        """Stop watching, and leave the page."""
        del WATCHES[self.page]
        for event, hear in self.heard.items():
            self.page.remove_listener(event, hear)
        self.page.close() if self.script else leave(self.page)


WATCHES: dict[Page, Watch] = {}
"""The watch of each open page."""
TABS: list[Page] = []
"""Tabs of the browser's own profile in which no page is open."""
LEFT = "cookies,local_storage,indexeddb,cache_storage,service_workers,file_systems"
"""What a page can leave behind in a profile, besides the files and compiled scripts of the browser's cache."""


def opened(
    chromium: Browser, url: str, *, width: int, height: int, scheme: str = "light", motion: str = "reduce", script: str = ""
) -> Watch:
    """Open an address in a tab of the browser's own profile that has no earlier state: no cookie, no storage, no history, no emulation.

    The profile keeps the scripts of Streamlit and Plotly, and the process of a tab keeps them compiled. A new profile and process for each
    visit took more than half of the visit's time. Animations are off unless a test is about them: without a graphics card, Streamlit's
    loading animation on a tall page takes more time than everything else. script: a script that runs in the page before its own scripts.
    """
    context = chromium.contexts[0]
    page = TABS.pop() if TABS and not script else context.new_page()
    if script:
        page.add_init_script(script)
    where = urlsplit(url)
    if where.scheme == "http":
        command(page, "Storage.clearDataForOrigin", origin=f"http://{where.netloc}", storageTypes=LEFT)
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(media="null", color_scheme=scheme, reduced_motion=motion, forced_colors="null", contrast="null")
    watch = Watch(page, url, script)
    page.goto(url, wait_until="commit")
    return watch


def leave(page: Page) -> None:
    """Leave a page and clear the state of its tab, so that another page can be opened there; a tab that does not answer is closed."""
    if page.is_closed():
        return
    try:
        if page.url.startswith("http"):
            page.evaluate("sessionStorage.clear()")
        page.evaluate("window.name = ''")
        page.mouse.move(-1, -1)
        page.goto("about:blank")
        command(page, "Page.resetNavigationHistory")
    except Error:
        page.close()
    else:
        TABS.append(page)


def command(page: Page, method: str, **options: str) -> None:
    """Send the browser a command that playwright does not offer."""
    session = page.context.new_cdp_session(page)
    session.send(method, options)
    session.detach()


def settle(page: Page) -> None:
    """Wait until every requested run of the page's script has ended, everything is drawn, and the address no longer changes."""
    end = time.monotonic() + PATIENCE / 1000
    while True:
        page.evaluate("window.quietSince = undefined")
        try:
            page.wait_for_function(QUIET, polling=50)
        except TimeoutError as error:
            raise AssertionError(f"{page.url} is not quiet: {page.evaluate(STATE)}") from error
        if not WATCHES[page].awaits:
            return
        assert time.monotonic() < end, f"{page.url}: a run that the page asked for never began"


def refresh(page: Page) -> None:
    """Trigger the refresh that a page opened with REFRESHES does every thirty seconds, and wait until it is done."""
    watch, end = WATCHES[page], time.monotonic() + PATIENCE / 1000
    before = watch.refreshes
    page.evaluate("refresh()")
    while watch.refreshes == before:
        assert time.monotonic() < end, f"{page.url} does not refresh itself"
        page.wait_for_timeout(50)
    settle(page)


def complete(page: Page) -> None:
    """Wait until the page adds nothing more by itself."""
    page.wait_for_function("() => !document.querySelector('.st-key-still-looking')", polling=100)
    settle(page)


def words(page: Page) -> str:
    """All text of the page outside its tables, on one line, without invisible joiners."""
    return " ".join(page.get_by_test_id("stMain").inner_text().replace("\u2060", "").split())


def heading(page: Page) -> str:
    """The page's title."""
    return page.locator("h1").first.inner_text()


class Tables(dict[str, list[Row]]):
    """The current tables of a page, by caption. Asking for a table by its caption waits until it is there."""

    def __init__(self, page: Page) -> None:
        super().__init__((each["caption"], each["rows"]) for each in page.evaluate(TABLES))
        self.page = page

    def __missing__(self, caption: str) -> list[Row]:
        end = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < end:
            self.page.wait_for_timeout(100)
            for each in self.page.evaluate(TABLES):
                if each["caption"] == caption:
                    return list(each["rows"])
        raise KeyError(caption)


def tables(page: Page) -> Tables:
    """The page's tables by their captions: rows as {column title: {text, sub, title}}."""
    return Tables(page)


def until(page: Page, caption: str, holds: Callable[[list[Row]], bool]) -> list[Row]:
    """Wait until the rows of a table are as expected, for as long as a rerun may take. Returns them."""
    end = time.monotonic() + PATIENCE / 1000
    while not holds(rows := tables(page).get(caption, [])):
        assert time.monotonic() < end, rows
        page.wait_for_timeout(100)  # between two looks
    return rows


def until_row(page: Page, column: str, text: str) -> Row:
    """Wait until a row of any table of the page holds a text in a column, and return the row."""
    end = time.monotonic() + PATIENCE / 1000
    while True:
        rows = [row for rows in tables(page).values() for row in rows]
        if found := next((each for each in rows if column in each and each[column]["text"] == text), None):
            return found
        assert time.monotonic() < end, rows
        page.wait_for_timeout(100)


def row(page: Page, caption: str, column: str, value: str) -> Row:
    """The first row of a table whose cell in the given column begins with a text."""
    rows = tables(page)[caption]
    return next(each for each in rows if each[column]["text"].startswith(value))


def figure(pattern: str, text: str) -> tuple[str, ...]:
    """The groups of a pattern that must match the text."""
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in {text[:2000]!r}"
    return found.groups()


def download(page: Page, key: str) -> str:
    """The file of the download button with this key, once the page is settled. The button of a figure is in the figure's menu."""
    settle(page)
    button = page.locator(f".st-key-{key} button")
    menu = page.locator(f"[class*='st-key-{key.removesuffix('-csv')}-table-'] button")
    if opens := not button.count() and menu.count() > 0:
        menu.click()
    with page.expect_download() as waiting:
        button.click()
    if opens:
        page.keyboard.press("Escape")
    return waiting.value.path().read_text(encoding="utf-8")


def open_figure_menu(page: Page) -> None:
    """Open the menu of the first figure of a page, with its table, its files, its own address and its pin."""
    page.get_by_role("button", name=FIGURE_MENU).first.click()


def link_of(page: Page) -> str:
    """The address that "Copy link" offers."""
    page.get_by_role("button", name="Copy link").click()
    code = page.locator('[data-testid="stPopoverBody"] code')
    code.wait_for()
    address = code.inner_text().strip()
    page.keyboard.press("Escape")
    return address


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option of a box."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()
    settle(page)


def said(page: Page, sentence: str) -> None:
    """Wait until the page shows a sentence, for as long as a rerun may take."""
    try:
        page.wait_for_function(SAYS, arg=sentence, polling=100)
    except TimeoutError:
        raise AssertionError(f"the page does not say {sentence!r} but {words(page)!r}") from None


def parameters(page: Page) -> dict[str, str]:
    """The first value of each parameter of the address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def click_in(page: Page, key: str, across: float, down: float) -> None:
    """Click inside the plot of a chart, at fractions of its width and height."""
    plot = page.locator(f".st-key-{key} .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    page.locator(f".st-key-{key} .hoverlayer > *").first.wait_for(state="attached")  # plotly now knows the mark under the mouse
    page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])


def open_search(page: Page) -> Locator:
    """Open the command palette, which every page has, and return its field. If the key was pressed before the page listens, it is pressed
    again, as a person would do.
    """
    field = page.get_by_role("combobox", name="Search")
    for _ in range(20):
        page.keyboard.press("Control+k")
        with suppress(TimeoutError):
            field.wait_for(timeout=5000)
            break
    return field
