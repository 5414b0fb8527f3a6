"""Accessibility violations of a page, as axe finds them."""

from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from observability.dashboard.links import DEFAULT_PAGE
from tests.browser.heights import LAPTOP, PHONE, TABLET, within_height
from tests.browser.pages import complete, heading, settle
from tests.support.length import LONG

TABLES = ("health", "case", "findings")
"""Pages with tables that scroll sideways on a phone."""
ZOOMED = {"width": LAPTOP["width"] // 2, "height": LAPTOP["height"] // 2}
"""What a laptop shows at a zoom of 200 %: half as many CSS pixels in each direction. Measured on the pages of TABLES, in a long run on all
pages.
"""
IN_DARK = ("health", "case", "drift", "review", "lineage", "add_model")
"""Pages whose contrast is measured in the dark theme in every run; a long run measures it on all pages."""
ON_PHONE = ("health", "case", "findings", "model", "drift", "review", "lineage", "add_model", "query", "compare", "prediction_map")
"""Pages that are measured on a phone in every run: at least one with each kind of table, chart, form and text. A long run measures all
pages.
"""
BACKGROUNDS: dict[Literal["light", "dark"], str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 22, 29)"}
IN_COLOUR = "(wanted) => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor === wanted"
STILL = "() => !document.getAnimations().some((each) => each instanceof CSSTransition && each.playState === 'running')"
"""Whether no colour is in transition from one theme to the other."""


AUDIT = """async ([others, contrast, each]) => {
  const options = {resultTypes: ['violations']}, runs = []
  if (others) runs.push(await axe.run(document, {...options, rules: {'color-contrast': {enabled: false}, 'target-size': {enabled: true}}}))
  const shown = contrast && !each ? kinds() : []
  if (contrast && (each || shown.length))
    runs.push(await axe.run(each ? document : {include: shown}, {...options, runOnly: ['color-contrast']}))
  return runs.flatMap((run) => run.violations).map(({id, impact, nodes}) => ({id, impact, nodes: nodes.map(({target, html}) => ({target, html}))}))

  function kinds() {
    const first = new Map(), known = new Map()
    const look = (element, above) => {
      const style = getComputedStyle(element)
      if (style.display === 'none' || Number(style.opacity) === 0) return
      const own = [above, element.localName, element.getAttribute('class'), element.matches(':disabled, [aria-disabled=true]'),
        style.backgroundColor, style.backgroundImage, style.opacity, style.position, style.filter, style.mixBlendMode].join('|')
      const kind = known.get(own) ?? known.size
      known.set(own, kind)
      const letters = [kind, style.color, style.fontSize, style.fontWeight, style.textShadow].join('|')
      const says = element.matches('input, textarea, select')
        || [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim())
      if (says && style.visibility === 'visible' && element.getClientRects().length && !first.has(letters)) first.set(letters, element)
      for (const child of (element.shadowRoot ?? element).children) {
        const slotted = child.localName === 'slot' ? child.assignedElements() : []
        for (const inner of slotted.length ? slotted : [child]) look(inner, kind)
      }
    }
    look(document.body, document.documentElement.className)
    return [...first.values()]
  }
}"""
"""Runs axe. Measuring the contrast of each text takes as long as all other rules together. So the contrast is measured for one text of each
kind: texts of a kind have the same colours, sizes and classes, and so do all elements that contain them.
"""


def accessible(page: Page) -> None:
    """Fail in three cases: a page has a serious violation in the light or the dark theme (IN_DARK); it scrolls sideways on a phone
    (ON_PHONE) or at a zoom of 200 %; or it is taller than its budget on a laptop, a phone or (in a long run) a tablet.

    Call this last in a visit, after the test has read the page, because the page may stay narrow and dark.
    """
    name = urlsplit(page.url).path.strip("/") or DEFAULT_PAGE
    complete(page)
    assert heading(page), name
    page.set_viewport_size(LAPTOP)
    within_height(page, LAPTOP)
    found = serious(page)
    assert not found, f"{name} in light: {found}"
    if LONG or name in IN_DARK:
        turn(page, "dark")
        assert serious(page, others=False) == [], f"{name} in dark"  # a theme changes only colours
    if LONG:  # each width draws every chart anew; this one is between the two widths that every run measures
        page.set_viewport_size(TABLET)
        within_height(page, TABLET)
    if LONG or name in TABLES:
        page.set_viewport_size(ZOOMED)
        settle(page)
        fits(page, ZOOMED)
    if not LONG and name not in ON_PHONE:  # another width draws every chart anew
        return
    page.set_viewport_size(PHONE)
    settle(page)
    within_height(page, PHONE)
    fits(page, PHONE)
    if name in TABLES:
        assert serious(page) == [], f"{name} on a phone"


def fits(page: Page, size: dict[str, int]) -> None:
    """Fail if a page at this size scrolls sideways."""
    wide = page.evaluate(
        """() => [document.documentElement, document.querySelector('[data-testid="stMain"]')].map((each) => each.scrollWidth)"""
    )
    assert max(wide) <= size["width"], f"{page.url} is {wide} wide on {size}"


def turn(page: Page, scheme: Literal["light", "dark"]) -> None:
    """Switch a page to the light or the dark theme, and wait until it is drawn."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(IN_COLOUR, arg=BACKGROUNDS[scheme])
    settle(page)


def violations(page: Page, *, others: bool = True, contrast: bool = True) -> list[dict[str, Any]]:
    """All violations on the current page, of contrast and of the other rules. In a long run, contrast is measured for each text."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(AUDIT, [others, contrast, LONG])
    return found


def serious(page: Page, *, others: bool = True) -> list[str]:
    """Serious and critical violations of all rules or of contrast alone, one line each."""
    page.wait_for_function(STILL)
    return [
        f"{violation['id']}: {node['target']} {node['html'][:200]}"
        for violation in violations(page, others=others)
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
