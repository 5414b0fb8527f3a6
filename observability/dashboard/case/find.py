"""How does a person get from an id to its case, from every page? A field in the sidebar: an id opens its case, anything else is looked for."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import streamlit as st

from observability.dashboard import links
from observability.dashboard import scope as scopes
from observability.dashboard.case import load_case


def field() -> None:
    """The field."""
    st.text_input("Find a case", key="find", placeholder="Id, subject or condition", icon=":material/search:", on_change=go)


def go() -> None:
    """Go to the case of the id that was typed, or to what is found."""
    typed = meant(str(st.session_state.get("find") or ""))
    st.session_state["find"] = ""
    if not typed:
        return
    scope = scopes.read(st.session_state)
    model = load_case.holder(typed)
    links.go((links.case("", typed, model, scope) if model else links.link("", "cases", scope, q=typed))["go"])


def opens(key: str, model: str) -> Callable[[], None]:
    """What a click on a point of a chart does: open the case of the prediction that the point is, named second in its custom data."""

    def go_there() -> None:
        chosen = st.session_state.get(key) or {}
        for point in chosen.get("selection", {}).get("points", []):
            data = point.get("customdata")
            if isinstance(data, list | tuple) and len(data) > 1 and isinstance(data[1], str):
                links.go(links.case("", data[1], model, scopes.read(st.session_state))["go"])
                return

    return go_there


def button(label: str, scope: scopes.Scope, key: str, **own: str) -> None:
    """A button that leads to the page that finds cases, in the scope of this page."""
    st.button(
        label,
        type="tertiary",
        icon=":material/manage_search:",
        key=key,
        on_click=links.go,
        args=(links.link("", "cases", scope, **own)["go"],),
    )


def meant(typed: str) -> str:
    """What a person means: what was typed itself, of a pasted address of a case its id."""
    plain = typed.strip()
    try:
        parts = urlsplit(plain) if plain.startswith(("http://", "https://", "/", "./")) else None
    except ValueError:
        return plain
    return parse_qs(parts.query).get("id", [plain])[0] if parts and parts.path.endswith("/case") else plain
