"""The view that a browser opens first, instead of Home. A cookie of the browser stores it, as with favourites."""

import json
from typing import Any
from urllib.parse import unquote

import streamlit as st

from observability.dashboard import links

COOKIE = "observability-start-page"
HELD, CHANGED, LOOKED = "start-page", "start-page-changed", "start-page-looked"
LONGEST = 2_000
"""Maximum number of characters of a stored view. A browser stores up to 4 kB per cookie, and a character may take three bytes in it."""
Target = dict[str, Any]


def read_start_page(cookie: str | None) -> Target | None:
    """The view stored in a cookie, as a target of `links.follow_link`; None if the cookie names no page of this version of the
    dashboard.
    """
    try:
        found = json.loads(unquote(cookie or "null"))
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("page") not in links.page_files() or not isinstance(found.get("parameters"), dict):
        return None
    return {"page": found["page"], "parameters": {str(key): str(value) for key, value in found["parameters"].items()}}


def start_page() -> Target | None:
    """The view that this browser opens first; None for Home."""
    state = st.session_state
    if HELD not in state:
        state[HELD] = read_start_page(dict(st.context.cookies).get(COOKIE))
    held: Target | None = state[HELD]
    return held


def begin_at_start_page(page: str) -> None:
    """If a visit starts at the bare address of the dashboard, switch to the view that this browser opens first. page: the page that the
    address names.

    An address that explicitly asks for Home opens Home; the address bar then shows the bare address.
    """
    state = st.session_state
    asked = st.query_params.pop(links.HOME, None) is not None
    if state.get(LOOKED):
        return
    state[LOOKED] = True
    if not (page or asked or st.query_params) and (target := start_page()) is not None:
        st.switch_page(str(links.page_files()[target["page"]]), query_params=target["parameters"])


def set_start_page(target: Target | None) -> None:
    """Store the view that this browser opens first; None for Home."""
    st.session_state.update({HELD: target, CHANGED: True})


def changed_start_page() -> Target | None:
    """The view to write to the cookie, empty for Home; None if this session has not changed it."""
    return (start_page() or {}) if st.session_state.get(CHANGED) else None


def draw_start_button(here: Target) -> None:
    """Draw the button that makes the present view the first view, or Home if the present view is the first already. here: the present view
    as a link target.
    """
    if len(json.dumps(here)) > LONGEST:
        return
    first = here == start_page()
    label, target = ("Open Home first", None) if first else ("Open here first", here)
    hint = "What this browser shows at the bare address of the dashboard"
    st.button(
        label,
        type="tertiary",
        icon=":material/home:" if first else ":material/first_page:",
        key="start-page-button",
        help=hint,
        on_click=set_start_page,
        args=(target,),
    )
