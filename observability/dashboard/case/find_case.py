"""Search for cases from every page: the command palette, buttons and clicks on charts."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import streamlit as st

from observability.dashboard import clicks, links
from observability.dashboard import scope as scopes
from observability.dashboard.case import load_case
from observability.dashboard.widgets import link_button


def open_typed_case(text: str) -> None:
    """Open the case with a typed id; if there is none, open the page of results."""
    typed = typed_case_id(text)
    if not typed:
        return
    scope = scopes.scope_from_state(st.session_state)
    model = load_case.model_holding(typed)
    links.follow_link((links.case_link("", typed, model, scope) if model else links.link_cell("", "cases", scope, q=typed))["go"])


def open_clicked_case(key: str, model: str) -> Callable[[], None]:
    """A callback that opens the case of a clicked point; the second item of the point's custom data is the id of the prediction."""

    def go_there() -> None:
        for point in clicks.clicked_points(key):
            data = point.get("customdata")
            if isinstance(data, list | tuple) and len(data) > 1 and isinstance(data[1], str):
                links.follow_link(links.case_link("", data[1], model, scopes.scope_from_state(st.session_state))["go"])
                return

    return go_there


def find_cases_button(label: str, scope: scopes.Scope, key: str, **own: str) -> None:
    """Draw a button to the cases page in the scope of this page."""
    link_button(label, links.link_cell("", "cases", scope, **own), key=key, icon="manage_search")


def typed_case_id(typed: str) -> str:
    """The typed text, or the id in it if it is the address of a case."""
    plain = typed.strip()
    try:
        parts = urlsplit(plain) if plain.startswith(("http://", "https://", "/", "./")) else None
    except ValueError:
        return plain
    return parse_qs(parts.query).get("id", [plain])[0] if parts and parts.path.endswith("/case") else plain
