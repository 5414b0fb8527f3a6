"""Accessibility violations of a page, as axe finds them."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TAGS = '[data-testid="stMultiSelectTagsContainer"]'
STREAMLIT = {
    ("color-contrast", TAGS): "Streamlit 1.67 writes white on the primary colour in the tags of a multiselect, whatever the theme",
}
"""Serious violations that are Streamlit's own: (rule, selector of the element that they are in) and why. No other violation is accepted."""
STILL = "() => !document.getAnimations().some((each) => each instanceof CSSTransition && each.playState === 'running')"
"""Whether no colour is in transition from one theme to the other."""


def serious(page: Page, only: str | None = None) -> list[str]:
    """Serious and critical violations, of all rules or of one, that are not Streamlit's own, a line each."""
    page.wait_for_function(STILL)
    rules = {"resultTypes": ["violations"], **({"runOnly": [only]} if only else {})}
    found: dict[str, Any] = Axe().run(page, options=rules).response
    return [
        f"{violation['id']}: {node['target']} {node['html'][:200]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
        if not excused(page, violation["id"], node["target"])
    ]


def excused(page: Page, rule: str, target: list[Any]) -> bool:
    """Whether a violation is listed above: one of the selectors holds the element. An element inside a table of ours never is."""
    if not isinstance(target[-1], str) or len(target) > 1:
        return False
    inside = "([target, holder]) => Boolean(document.querySelector(target)?.closest(holder))"
    return any(page.evaluate(inside, [target[0], holder]) for name, holder in STREAMLIT if name == rule)
