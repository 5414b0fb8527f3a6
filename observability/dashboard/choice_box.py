"""How does a box of one page keep its choice in the address under a short code, while it shows words?

Streamlit's own binding writes the words that a box shows into the address. Where code and words differ (a metric, a finding), the address is the
truth here: the box is set from it before it is drawn, and a change writes it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import streamlit as st

from observability.core import formatting
from observability.metrics.performance import HEADLINE


class AboutOne(Protocol):
    """What is about one thing: a finding, a difference."""

    @property
    def subject(self) -> str:
        """What it is about."""
        ...


About = TypeVar("About", bound=AboutOne)


def choose(
    key: str,
    label: str,
    options: Sequence[str],
    *,
    words: Callable[[str], str] = str,
    placeholder: str,
    missing: str,
    width: Any = "stretch",
) -> str | None:
    """A box whose choice is the parameter `key` of the address. None where nothing is chosen.

    missing: what is said where the address names something that is not offered, as "The link names the metric {}, which …".
    """
    named = st.query_params.get(key)
    if named is not None and named not in options:
        st.warning(missing.format(formatting.plain(named)), icon=":material/link_off:")
    box = f"{key}-box"
    st.session_state[box] = named if named in options else None

    def write() -> None:
        chosen = st.session_state[box]
        if chosen is None:
            st.query_params.pop(key, None)
        else:
            st.query_params[key] = chosen

    chosen: str | None = st.selectbox(
        label, options, index=None, placeholder=placeholder, format_func=words, key=box, on_change=write, width=width
    )
    return chosen


def metric(names: Sequence[str], task: str | None, missing: str) -> str:
    """The metric that a box of the page holds, else the one that models of the task are known by, else the first. missing: why one that the address names is not
    offered, as "was not measured here".
    """
    ordered = sorted(names, key=lambda name: name != HEADLINE.get(task or ""))
    words = formatting.metric_title
    said = f"The link names the metric {{}}, which {missing}."
    return choose("metric", "Metric", ordered, words=words, placeholder=words(ordered[0]), missing=said, width=280) or ordered[0]


def column(among: Sequence[About], how: str) -> About | None:
    """What is said about the column that the address (or a click, which writes to it) names; None where it names none. One that is not among them is said: it
    was not `how`, as "judged".
    """
    named = st.session_state["feature"] if "feature" in st.session_state else st.query_params.get("feature")
    found = next((each for each in among if each.subject == named), None)
    if named and found is None:
        st.warning(f"The link names {formatting.plain(named)}, which is not among the columns that were {how}.", icon=":material/link_off:")
    return found


def by_click(key: str) -> Callable[[], None]:
    """After a click on a mark of the chart `key`: look at the column that the mark stands for."""

    def look() -> None:
        points = st.session_state[key].selection.points
        if points and points[0].get("customdata"):
            st.session_state["feature"] = str(points[0]["customdata"][0])

    return look
