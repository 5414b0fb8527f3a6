"""Boxes that show words while the address holds the choice as a code.

Streamlit's own binding writes the words of a box into the address. If the code and the words differ (for a metric or a finding), the box is
set from the address before it is drawn, and a change of the box writes the address.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import streamlit as st

from observability.core import formatting
from observability.dashboard import paged_names
from observability.dashboard.scope import BIND
from observability.metrics.performance import HEADLINE


class HasSubject(Protocol):
    """Anything with a subject: a finding, a difference."""

    @property
    def subject(self) -> str:
        """The thing that the choice is about."""
        ...


SubjectItem = TypeVar("SubjectItem", bound=HasSubject)


def link_warning(text: object) -> None:
    """Draw a warning about the link. Names and values in it cannot become markup."""
    st.warning(formatting.error_markdown(text), icon=":material/link_off:")


def address_writer(key: str, box: str, words: Callable[[Any], str | None] = lambda chosen: chosen) -> Callable[[], None]:
    """A callback that writes the content of a box to the parameter `key` of the address, or removes the parameter if the box is empty."""

    def write() -> None:
        if chosen := words(st.session_state[box]):
            st.query_params[key] = chosen
        else:
            st.query_params.pop(key, None)

    return write


def address_selectbox(
    key: str,
    label: str,
    options: Sequence[str],
    *,
    words: Callable[[str], str] = str,
    placeholder: str,
    missing: str,
    width: Any = "stretch",
    search: str = "",
) -> str | None:
    """Return the choice of a box, which is the parameter `key` of the address; None if nothing is chosen.

    missing: the warning if the address names something that is not offered, such as "The link names the metric {}, which …". search: the
    label of the search field that is shown if there are very many options; by default "Search" and the label of the box.
    """
    named = st.query_params.get(key)
    if named is not None and named not in options:
        link_warning(missing.format(named))
    box = f"{key}-box"
    st.session_state[box] = named if named in options else None
    binding: dict[str, Any] = {"key": box, "on_change": address_writer(key, box)}
    field = search or f"Search {label[:1].lower()}{label[1:]}"
    offered = paged_names.searched_options(options, field, box, st.session_state[box], words=words)
    chosen: str | None = st.selectbox(label, offered, None, words, placeholder=placeholder, width=width, **binding)
    return chosen


def metric_selectbox(names: Sequence[str], task: str | None, missing: str) -> str:
    """Return the metric that a box of the page holds; if it holds none, the main metric of the task, else the first metric.

    missing: why a metric in the address is not offered, such as "was not measured here".
    """
    ordered = sorted(names, key=lambda name: name != HEADLINE.get(task or ""))
    words, warning = formatting.metric_title, f"The link names the metric {{}}, which {missing}."
    hint = words(ordered[0])
    return address_selectbox("metric", "Metric", ordered, words=words, placeholder=hint, missing=warning, width=280) or ordered[0]


def measure_selectbox(measures: Mapping[str, tuple[str, str]], offered: Sequence[str], default: str, missing: str) -> str:
    """The measure that a box of the page holds, else the default. measures: name and unit by metric.

    missing: why a measure in the address is not offered, such as "no round of this set has".
    """

    def words(metric: str) -> str:
        return measures[metric][0].capitalize()

    warning = f"The link names the measure {{}}, which {missing}."
    return address_selectbox("measure", "Measure", offered, words=words, placeholder=words(default), missing=warning, width=420) or default


def feature_in_address() -> str | None:
    """Return the column that the address names, or that a click has written there; None if there is none."""
    named: str | None = st.session_state["feature"] if "feature" in st.session_state else st.query_params.get("feature")
    return named


def item_in_address(among: Sequence[SubjectItem], how: str) -> SubjectItem | None:
    """Return the item about the column that the address names, or that a click has written there; None if no item is about it.

    how: the adjective in the warning about an unknown column, such as "analyzed".
    """
    named = feature_in_address()
    found = next((item for item in among if item.subject == named), None)
    if named and found is None:
        link_warning(f"The link names {named}, which is not among the {how} columns.")
    return found


def column_selectbox(names: Sequence[str], placeholder: str) -> None:
    """Draw the box to choose a column. The choice is the parameter `feature` of the address.

    If there are very many columns, the box lists the first ones, and a search field finds the others.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        offered = paged_names.searched_options(names, "Search columns", "feature", feature_in_address())
        st.selectbox("Column", offered, index=None, placeholder=placeholder, key="feature", bind=BIND, width=320)


def select_column_on_click(key: str) -> Callable[[], None]:
    """Return a callback for clicks on the chart `key`, which chooses the column of the clicked mark."""
    return partial(select_clicked_column, key)


def select_clicked_column(key: str) -> None:
    """Choose the column of the mark that was clicked on the chart `key`."""
    points = st.session_state[key].selection.points
    if points and points[0].get("customdata"):
        st.session_state["feature"] = str(points[0]["customdata"][0])
