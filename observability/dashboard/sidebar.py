"""How does a person choose the model, the version, the window and the slice?

Four boxes, bound to the address. None has a silent default that depends on the store, so a link never changes its meaning. What a link names
and the store does not have is said, and nothing is put in its place.
"""

from datetime import datetime
from typing import Final

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.window import Slice
from observability.dashboard import load
from observability.dashboard.case import find
from observability.dashboard.scope import SPANS, WINDOWS, parse_instant, wire

BIND: Final = "query-params"
FIRST, LAST = datetime(1970, 1, 1), datetime(2100, 1, 1)
MOST_LEVELS = 24
"""Levels of one column that are offered as slices; others can be typed."""


def draw() -> None:
    """The boxes. What is wrong with them is said on the page (`frame.begin`), where a phone shows it too."""
    state = st.session_state
    models = {each.name: each for each in load.catalog().models}
    read_address(list(models))
    if state.get("model") and state["model"] not in models:
        changed("model", "version", "slice")
    with st.sidebar:
        find.field()
        st.selectbox(
            "Model",
            list(models),
            index=None,
            placeholder="All models",
            key="model",
            bind=BIND,
            on_change=changed,
            args=("version", "slice"),
        )
        model = models.get(state.get("model") or "")
        if model:
            versions = [each.name for each in model.versions]
            named = st.query_params.get("version")
            if named and named not in versions:
                unread(f"The link names version {formatting.plain(named)}, which this model does not have; all versions are shown.")
            st.selectbox("Version", versions, index=None, placeholder="All versions", key="version", bind=BIND, on_change=changed)
        st.selectbox("Window", list(WINDOWS), key="window", bind=BIND, on_change=changed)
        if state.get("window") == SPANS["dates"]:
            for label, key in (("From (UTC)", "from"), ("To (UTC)", "to")):
                st.datetime_input(
                    label,
                    value=None,
                    min_value=FIRST,
                    max_value=LAST,
                    key=key,
                    bind=BIND,
                    format="YYYY-MM-DD",
                    step=3600,
                    on_change=changed,
                )
        if model:
            slices(model)


def changed(*dependent: str) -> None:
    """A box changed: clear those that depend on it, and what was said about the link."""
    for key in dependent:
        st.session_state[key] = None
    st.session_state.pop("unread", None)


def unread(message: str) -> None:
    """Keep a message about the link until a box changes; a box throws away what it cannot read, so it is seen only once."""
    messages: list[str] = st.session_state.setdefault("unread", [])
    if message not in messages:
        messages.append(message)


def read_address(models: list[str]) -> None:
    """Look at the address before the boxes do, and say what cannot be read."""
    asked = st.query_params
    if asked.get("model") and asked["model"] not in models:
        unread(f"The link names the model {formatting.plain(asked['model'])}, which is not in this store; nothing was put in its place.")
    if asked.get("window") and asked["window"] not in WINDOWS:
        unread(f"The link names the window {formatting.plain(asked['window'])}, which there is not; the last 7 days are shown.")
    for key in ("from", "to"):
        if asked.get(key) and parse_instant(asked[key]) is None:
            unread(f"The link names {formatting.plain(asked[key])} as {key}, which is no time. Write it as 2013-07-01 or 2013-07-01T06:00.")


def corrected_address() -> dict[str, list[str]] | None:
    """The address in the form that the boxes write, where it is in another that is understood: codes of windows, dates, times with an offset.

    None where it needs no correction.
    """
    asked = {key: st.query_params.get_all(key) for key in st.query_params}
    fixed = {key: list(values) for key, values in asked.items()}
    instants = {key: parse_instant(asked[key][-1]) for key in ("from", "to") if key in asked}
    for key, instant in instants.items():
        if instant is not None:
            fixed[key] = [wire(instant)]
    window = asked["window"][-1] if "window" in asked else None
    if any(instants.values()) and window in (None, "dates"):
        fixed["window"] = [SPANS["dates"]]
    elif window in SPANS:
        fixed["window"] = [SPANS[window]]
    return fixed if fixed != asked else None


def slices(model: Model) -> None:
    """The box for a slice: levels of categories to choose from, or `name=value&name=value` to type."""
    st.selectbox(
        "Slice",
        options(model),
        index=None,
        placeholder="All rows",
        key="slice",
        bind=BIND,
        accept_new_options=True,
        on_change=changed,
        help="A part of the rows. Type name=value for any feature, group, version, replica, device or status; join several with &.",
    )


@st.cache_data(max_entries=64, show_spinner=False)
def options(model: Model) -> list[str]:
    """Slices of one level that are offered: sensitive columns first, then categories with few levels."""
    found: list[str] = []
    edges = {reference: each for version in model.versions for reference, each in version.edges.items()}
    for each in sorted(model.columns, key=lambda column: (not column.sensitive, column.id)):
        levels = edges[each.reference].levels if each.reference in edges else ()
        if each.kind != "number" and 1 < len(levels) <= MOST_LEVELS:
            found += [str(Slice(((each.name, level),))) for level in levels]
    return found
