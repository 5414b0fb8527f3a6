"""The page of the weekly review of a small log: every step is accessible."""

import pytest

from observability.dashboard.review.review import STEP_NAMES
from tests.browser.accessibility import serious
from tests.browser.conftest import Visit
from tests.browser.pages import settle
from tests.support.length import LONG
from tests.support.review_world import BROKEN
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"] if LONG else ["light"])
def test_every_step_is_accessible(scheme: str, meeting: Dashboard, visit: Visit) -> None:
    page = visit(f"{meeting.url}/review?review={BROKEN}", scheme=scheme)
    for step in STEP_NAMES:
        assert serious(page) == [], step
        if step != STEP_NAMES[-1]:
            page.keyboard.press("ArrowRight")
            page.wait_for_url(f"**step={STEP_NAMES[STEP_NAMES.index(step) + 1]}**")
            settle(page)
