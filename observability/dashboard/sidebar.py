"""The sidebar: boxes for model, version, window and slice, bound to the address.

No box has a default that depends on the store, so a link keeps its meaning. What a link names and the store does not have is reported, not
replaced.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.window import Slice
from observability.dashboard import links, load
from observability.dashboard.case import find_case
from observability.dashboard.scope import SPANS, WINDOWS, address_time, parse_instant, scope_from_state

BIND: Final = "query-params"
INSTANTS: dict[str, Any] = {"min_value": datetime(1970, 1, 1), "max_value": datetime(2100, 1, 1), "format": "YYYY-MM-DD", "step": 3600}
"""Options of a box for a date and time."""
MOST_LEVELS = 24
"""Columns with at most this many levels are offered as slices; others can be typed."""


def draw_sidebar(page: str) -> None:
    """Draw the boxes of a page. Warnings about them are shown on the page (`frame.link_warnings`), where a phone shows them too."""
    state = st.session_state
    models = {model.name: model for model in load.catalog().models}
    check_address(list(models))
    if state.get("model") and state["model"] not in models:
        _box_changed("model", "version", "slice")
    assume_model(page, list(models))
    with st.sidebar:
        find_case.case_search_field()
        changed: dict[str, Any] = {"bind": BIND, "on_change": _box_changed}
        st.selectbox("Model", list(models), None, placeholder="All models", key="model", args=("version", "slice"), **changed)
        model = models.get(state.get("model") or "")
        if model:
            state["last-model"] = model.name
            versions = [version.name for version in model.versions]
            named = st.query_params.get("version")
            if named and named not in versions:
                words = formatting.escape_markdown(named)
                warn_about_link(f"The link names version {words}, which does not exist; all versions are shown.")
            st.selectbox("Version", versions, None, placeholder="All versions", key="version", **changed)
        st.selectbox("Window", list(WINDOWS), key="window", **changed)
        if state.get("window") == SPANS["dates"]:
            for label, key in (("From (UTC)", "from"), ("To (UTC)", "to")):
                st.datetime_input(label, None, key=key, **INSTANTS, **changed)
        if model:
            _slice_box(model)


def assume_model(page: str, models: list[str]) -> None:
    """On a page about one model where none is chosen, choose the model that this session looked at last, else the one that needs action
    most. The page says which and why (`links.assumed_model_note`).
    """
    state = st.session_state
    if len(models) < 2 or state.get("model") or st.query_params.get("model") or state.get("unread") or not links.is_model_page(page):
        return
    last = state.get("last-model")
    found, why = (last, "the model you looked at last") if last in models else (_neediest_model(models), "the model that needs action most")
    state.update({"model": found, "assumed": (page, found, why)})


def _neediest_model(models: list[str]) -> str:
    """The model of the worst incident of the window, else the first."""
    try:
        found = load.scope_report(replace(scope_from_state(st.session_state), model=None)).incidents
    except ObservabilityError:
        return models[0]
    return next((incident.model for incident in found if incident.model in models), models[0])


def _box_changed(*dependent: str) -> None:
    """A box changed: clear the boxes that depend on it, and the warnings about the link."""
    for key in dependent:
        st.session_state[key] = None
    for key in ("unread", "assumed"):
        st.session_state.pop(key, None)


def warn_about_link(message: str) -> None:
    """Keep a warning about the link until a box changes; a box drops what it cannot read, so it is seen only once."""
    messages: list[str] = st.session_state.setdefault("unread", [])
    if message not in messages:
        messages.append(message)


def check_address(models: list[str]) -> None:
    """Read the address before the boxes do, and warn about what cannot be read."""
    address = {key: value for key, value in st.query_params.items() if value}
    named = {key: formatting.escape_markdown(value) for key, value in address.items()}
    if "model" in address and address["model"] not in models:
        warn_about_link(f"The link names the model {named['model']}, which is not in this store.")
    if "window" in address and address["window"] not in WINDOWS:
        warn_about_link(f"The link names the window {named['window']}, which does not exist; the last 7 days are shown.")
    for key in ("from", "to"):
        if key in address and parse_instant(address[key]) is None:
            warn_about_link(f"The link names {named[key]} as {key}, which is not a time. Write 2013-07-01 or 2013-07-01T06:00.")


def corrected_address() -> dict[str, list[str]] | None:
    """The address as the boxes write it, where it is in another accepted form: window codes, dates, times with an offset.

    None where it needs no correction. A link of Streamlit's own repeats what is already in the address; that needs none.
    """
    given = {key: list(dict.fromkeys(st.query_params.get_all(key))) for key in st.query_params}
    fixed = {key: list(values) for key, values in given.items()}
    instants = {key: parse_instant(given[key][-1]) for key in ("from", "to") if key in given}
    for key, instant in instants.items():
        if instant is not None:
            fixed[key] = [address_time(instant)]
    window = given["window"][-1] if "window" in given else None
    if any(instants.values()) and window in (None, "dates"):
        fixed["window"] = [SPANS["dates"]]
    elif window in SPANS:
        fixed["window"] = [SPANS[window]]
    return fixed if fixed != given else None


def _slice_box(model: Model) -> None:
    """Draw the box for a slice: levels of categories to choose from, or `name=value&name=value` to type."""
    words = "Type name=value for any feature, group, version, replica, device or status; join several with &."
    binding: dict[str, Any] = {"key": "slice", "bind": BIND, "accept_new_options": True, "on_change": _box_changed}
    st.selectbox("Slice", slice_options(model), index=None, placeholder="All rows", help=words, **binding)


@st.cache_data(max_entries=64, show_spinner=False)
def slice_options(model: Model) -> list[str]:
    """Slices of one level, by columns with few levels, sensitive columns first."""
    found: list[str] = []
    edges = {reference: kept for version in model.versions for reference, kept in version.edges.items()}
    for column in sorted(model.columns, key=lambda column: (not column.sensitive, column.id)):
        levels = edges[column.reference].levels if column.reference in edges else ()
        if column.kind != "number" and 1 < len(levels) <= MOST_LEVELS:
            found += [str(Slice(((column.name, level),))) for level in levels]
    return found
