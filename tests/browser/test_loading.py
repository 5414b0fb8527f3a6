"""A page that is still being computed is accessible too: its title, its scope and the skeletons in the place of what is to come."""

import pytest

from tests.browser.accessibility import BACKGROUNDS, IN_COLOUR, fits, serious
from tests.browser.conftest import Visit
from tests.browser.heights import LAPTOP, PHONE
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
SKELETON, TITLE = '[data-testid="stSkeleton"]', '[data-testid="stMain"] h1'
HELD = """{
  const Native = window.WebSocket
  window.WebSocket = class extends Native {
    constructor(...given) {
      super(...given)
      this.addEventListener('message', (event) => {
        if (document.querySelector('SKELETON') && document.querySelector('TITLE')) event.stopImmediatePropagation()
      })
    }
  }
}""".replace("SKELETON", SKELETON).replace("TITLE", TITLE)
"""A script for a visit: once its page shows a title and a skeleton, nothing that the server sends reaches it."""


def test_a_page_that_loads_is_accessible_in_light_and_dark_and_fits_a_phone(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/drift?model=flights-delay", ready=False, script=HELD)
    page.locator(SKELETON).first.wait_for()
    page.locator(TITLE).wait_for()
    page.set_viewport_size(LAPTOP)
    assert page.locator(SKELETON).count() and serious(page) == [], "in light"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(IN_COLOUR, arg=BACKGROUNDS["dark"])
    assert serious(page, others=False) == [], "in dark"
    page.set_viewport_size(PHONE)
    fits(page, PHONE)
    assert page.locator(SKELETON).count(), "it still loads"
