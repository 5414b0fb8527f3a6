"""The slice builder of the scope bar. It shows the values of a column, each with its number of predictions in the window; a click on a
value adds or removes a condition.
"""

from collections import Counter
from dataclasses import replace

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.questions import NULL, Aggregate, By
from observability.core.window import Slice, Window
from observability.dashboard import load
from observability.dashboard.paged_names import searched_options
from observability.dashboard.scope import scope_from_state
from observability.dashboard.time_range import clear_dependent_boxes

SHOWN = 24
"""Maximum number of values of a column that are offered; rarer values can be typed."""


@st.fragment
def draw_slice_builder(model: Model) -> None:
    """Draw the button of the slice builder. The values are counted only when it is opened."""
    if st.session_state.pop("slice-built", False):
        st.rerun()
    columns = sliceable_columns(model)
    if not columns:
        return
    builder = st.popover("Build a slice from counted values", icon=":material/filter_alt:", key="slice-builder", on_change="rerun")
    if not builder.open:
        return
    with builder:
        scope = scope_from_state(st.session_state)
        held = dict(scope.slice.conditions) if scope.slice else {}
        for name, value in held.items():
            label = formatting.escape_markdown(f"{name} = {value}")
            st.button(label, icon=":material/close:", key=f"slice-without-{name}", help="Remove", on_click=choose_value, args=(name, value))
        key = f"slice-column-{model.name}"
        offered = searched_options(list(columns), "Search columns", key, st.session_state.get(key))
        column = st.selectbox("Column", offered, key=key)
        if column is None:
            st.caption("No column matches.")
            return
        try:
            counts = level_counts(load.window(replace(scope, slice=None), model.name), model, columns[column])
        except ObservabilityError:  # an error about the window; the page explains it
            return
        with st.container(key="slice-values", gap=None):
            for value, n in list(counts.items())[:SHOWN]:
                icon = ":material/check:" if held.get(column) == value else None
                label = f"{formatting.escape_markdown(formatting.truncate(value, 40))} · {n:,}"
                st.button(label, icon=icon, type="tertiary", key=f"slice-{column}-{value}", on_click=choose_value, args=(column, value))
        left = len(counts) - SHOWN
        more = f" {left:,} rarer values are not shown: type them into the box." if left > 0 else ""
        st.caption(f"Predictions of the window, before the slice.{more}" if counts else "No value of this column was counted.")


def sliceable_columns(model: Model) -> dict[str, str]:
    """The columns whose values are counted one by one, from name to reference; sensitive columns first."""
    known = {reference for version in model.versions for reference, edges in version.edges.items() if edges.levels}
    counted = [column for column in model.columns if column.kind != "number" and column.reference in known]
    return {column.name: column.reference for column in sorted(counted, key=lambda column: (not column.sensitive, column.id))}


def level_counts(window: Window, model: Model, reference: str) -> dict[str, int]:
    """The number of predictions in the window for each value of a column, most frequent first, from counts that are kept as rows arrive.
    Values without predictions, or with too few for the person's role, are left out. `null` stands for a missing value.
    """
    counted = load.ask_store(Aggregate("predictions", (By("version"),), (reference,)), window)
    levels = {version.name: version.edges[reference].levels for version in model.versions if reference in version.edges}
    found: Counter[str] = Counter()
    for version, place, n in zip(counted["version"], counted["bin"], counted["n"]):
        known = levels.get(version, ())
        if place == NULL or 0 <= place < len(known):
            found["null" if place == NULL else known[place]] += int(n)
    return {value: n for value, n in found.most_common() if n}


def choose_value(column: str, value: str) -> None:
    """Add a condition to the slice; it replaces another condition on the same column. If the slice already has this
    condition, remove it.
    """
    held = scope_from_state(st.session_state).slice
    conditions = dict(held.conditions) if held else {}
    if conditions.pop(column, None) != value:
        conditions[column] = value
    clear_dependent_boxes()
    st.session_state["slice"] = str(Slice(tuple(conditions.items()))) if conditions else None
    st.session_state["slice-built"] = True
