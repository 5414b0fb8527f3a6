"""The two sides of the compare page.

Side A is the scope of the page. Side B is chosen in four boxes on the page; the address holds them as `b_version`, `b_from`, `b_to`,
`b_slice`. An empty box takes the value of side A. If all are empty, side B is the other version that served in these days, else the
previous window.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import streamlit as st

from observability.compare.comparison_types import ComparisonSide, WindowComparison
from observability.core import formatting
from observability.core.errors import UsageError
from observability.core.time import aware_utc
from observability.core.window import Environment, Slice, Window
from observability.dashboard import load, scope_bar, time_range, time_zone
from observability.dashboard.choice_box import address_selectbox, address_writer, link_warning
from observability.dashboard.frame import ModelPage, answer_or_stop
from observability.dashboard.instant_boxes import instant_boxes
from observability.dashboard.scope import address_time, parse_instant
from observability.dashboard.table import column, columns_on_phone, draw_table, plain_columns, table_row

KEYS = ("b_version", "b_from", "b_to", "b_slice")
ALL_VERSIONS, ALL_ROWS = "all versions", "all rows"
ENVIRONMENTS: dict[Environment, str] = {
    "production": "{}",
    "shadow": "{} in shadow",
    "validation": "{} in validation",
    "probe": "{} in probes",
    "reference": "reference of {}",
}
SIDES = columns_on_phone(
    "side dates n",
    column("side", "Side", strong=True),
    *plain_columns(version="Version", dates="Dates", rows="Slice"),
    column("n", "Predictions", align="right"),
    column("labelled", "Labelled", align="right", help="Predictions with a label"),
)


@dataclass(frozen=True)
class VersionChoices:
    """The versions that can be chosen. offered: from the words of each choice to its version (None: all versions) and environment."""

    offered: dict[str, tuple[str | None, Environment]]

    def words(self, version: str | None, environment: Environment) -> str | None:
        """The words of the choice for a version in an environment; None if it is not offered."""
        return next((words for words, stream in self.offered.items() if stream == (version, environment)), None)


def version_choices(model: str) -> VersionChoices:
    """The choices for a model: every version in every environment that has rows."""
    seen = load.stream_activity()
    found = seen[seen["model"] == model]
    offered: dict[str, tuple[str | None, Environment]] = {}
    for environment, words in ENVIRONMENTS.items():
        for version in found.loc[found["environment"] == environment, "version"]:
            offered.setdefault(words.format(version), (version, environment))
    if sum(environment == "production" for _, environment in offered.values()) > 1:
        offered = {ALL_VERSIONS: (None, "production"), **offered}
    return VersionChoices(offered)


def side_b_boxes(here: ModelPage) -> Window:
    """Draw the boxes for side B and return its window."""
    known = version_choices(here.model.name)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        missing = "The link names {} as side B's version, which this model does not have."
        named = address_selectbox("b_version", "Side B: version", list(known.offered), placeholder="The same", width=200, missing=missing)
        start, end = instant_box("b_from", "from (UTC)"), instant_box("b_to", "to (UTC)")
        part = side_b_slice_box(here)
        b = answer_or_stop(lambda: side_b(here.window, known, named, start, end, part))
        swappable = b.environment == "production"
        why = None if swappable else "Side A is always production."
        args = (known, here.window, b)
        st.button("Swap", icon=":material/swap_horiz:", key="swap", on_click=swap_sides, args=args, disabled=not swappable, help=why)
        unset = not any(key in st.query_params for key in KEYS)
        st.button("Reset", icon=":material/restart_alt:", key="reset", on_click=reset_side_b, disabled=unset)
    return b


def instant_box(key: str, label: str) -> datetime | None:
    """Draw the boxes for an instant, which the address holds as the parameter `key`, and return the instant."""
    named = st.query_params.get(key)
    held = parse_instant(named) if named else None
    if named and held is None:
        link_warning(f"The link names {named} as {key.replace('_', ' ')}, which is not a time.")

    def write(chosen: datetime | None) -> None:
        if chosen:
            st.query_params[key] = address_time(chosen)
        else:
            st.query_params.pop(key, None)

    instant_boxes(label, key, held, write, ends=key == "b_to")
    return aware_utc(held) if held else None


def side_b_slice_box(here: ModelPage) -> str | None:
    """Draw the box for side B's slice. It works like the slice box of the scope bar, and also offers all rows. Returns the choice; None if
    nothing is chosen.
    """
    named = st.query_params.get("b_slice")
    offered = [ALL_ROWS, *scope_bar.slice_options(here.model)]
    st.session_state["b_slice-box"] = named
    binding: dict[str, Any] = {"key": "b_slice-box", "on_change": address_writer("b_slice", "b_slice-box"), "accept_new_options": True}
    options, hint = offered if named is None or named in offered else [*offered, named], "Type name=value; join several with &."
    return st.selectbox("slice", options, index=None, placeholder="The same", width=200, help=hint, **binding)


def side_b(a: Window, known: VersionChoices, named: str | None, start: datetime | None, end: datetime | None, part: str | None) -> Window:
    """The window of side B. Raises UsageError for a slice that cannot be read, or if the window ends before it starts."""
    version, environment = known.offered[named] if named else (a.version, a.environment)
    if named is None and start is None and end is None and part is None:
        version = other_serving_version(a) or version
    sliced = a.slice if part is None else None if part == ALL_ROWS else Slice.parse(part)
    b = replace(a, version=version, environment=environment, slice=sliced)
    length = a.end - a.start
    if start is None and end is None:
        return b if b != a else replace(b, start=a.start - length, end=a.start)
    first = start if start is not None else (end or a.end) - length
    last = end if end is not None else first + length
    if last <= first:
        raise UsageError("side B ends before it starts", got=f"{address_time(first)} to {address_time(last)}", attempt="Choose a later end")
    return replace(b, start=first, end=last)


def other_serving_version(a: Window) -> str | None:
    """The only other version that served in the days of side A. None if side A covers all versions, or if the number of other versions is
    not exactly one.
    """
    from observability.core.questions import Aggregate, By

    if a.version is None:
        return None
    served = load.ask_store(Aggregate("predictions", keys=(By("version"),)), replace(a, version=None, slice=None))
    others = [str(version) for version in served["version"] if version != a.version]
    return others[0] if len(others) == 1 else None


def swap_sides(known: VersionChoices, a: Window, b: Window) -> None:
    """Swap the two sides: the page's scope takes the values of side B, and the boxes of side B take those of the scope."""
    state = st.session_state
    time_range.set_dates(b.start, b.end)
    state["version"], state["slice"] = b.version, str(b.slice) if b.slice else None
    st.query_params.update({"b_from": address_time(a.start), "b_to": address_time(a.end), "b_slice": str(a.slice) if a.slice else ALL_ROWS})
    words = known.words(a.version, a.environment)
    if words and a.version != b.version:
        st.query_params["b_version"] = words
    else:
        st.query_params.pop("b_version", None)


def reset_side_b() -> None:
    """Clear the boxes of side B."""
    for key in KEYS:
        st.query_params.pop(key, None)


def compared_sides_table(found: WindowComparison) -> None:
    """Draw both sides as a table: version, dates, slice, predictions, labels."""
    rows = [
        table_row(
            side=f"{label}: {'this window' if label == 'A' else 'baseline'}",
            version=_side_versions(side),
            dates="no dates" if side.window.environment == "reference" else time_zone.named_span(side.window.start, side.window.end),
            rows=formatting.slice_in_words(str(side.window.slice)) if side.window.slice else ALL_ROWS,
            n=f"{side.rows:,}",
            labelled={"t": f"{side.labelled:,}", "sub": formatting.format_share(side.labelled_share) if side.rows else None},
        )
        for label, side in (("A", found.a), ("B", found.b))
    ]
    draw_table("sides", "The two sides", SIDES, rows, compact=True)


def _side_versions(side: ComparisonSide) -> str:
    """The names of the versions of a side, with their environment."""
    names = ", ".join(version.name for version in side.versions) or side.window.version or "none"
    return ENVIRONMENTS[side.window.environment].format(names)
