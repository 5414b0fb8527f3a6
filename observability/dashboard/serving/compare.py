"""Which two sides does the compare page hold against each other?

Side A is what the sidebar holds. Side B is chosen in four boxes of the page, kept in the address as `b_version`, `b_from`, `b_to`, `b_slice`. What is
not chosen is that of side A; where nothing is, side B is the other version that served in these days, else the window before.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import streamlit as st

from observability.compare.comparison_types import Comparison, Side
from observability.core import formatting
from observability.core.errors import UsageError
from observability.core.time import aware_utc, naive_utc
from observability.core.window import Environment, Slice, Window
from observability.dashboard import load, sidebar
from observability.dashboard.choice_box import choose
from observability.dashboard.frame import Here, guarded
from observability.dashboard.scope import SPANS, parse_instant, wire
from observability.dashboard.table import column, row, table

KEYS = ("b_version", "b_from", "b_to", "b_slice")
ALL_VERSIONS, ALL_ROWS = "all versions", "all rows"
ENVIRONMENTS: dict[Environment, str] = {
    "production": "{}",
    "shadow": "{} in shadow",
    "validation": "{} in validation",
    "reference": "reference of {}",
}
SIDES = (
    column("side", "Side", strong=True),
    column("version", "Version"),
    column("dates", "Dates (UTC)"),
    column("rows", "Rows"),
    column("n", "Predictions", align="right"),
    column("labelled", "Labelled", align="right", help="Predictions whose label is known"),
)


@dataclass(frozen=True)
class Streams:
    """What can be chosen as a version: words → version (None: all) and environment."""

    offered: dict[str, tuple[str | None, Environment]]

    def words(self, version: str | None, environment: Environment) -> str | None:
        """The words for a version in an environment; None where it is not offered."""
        return next((words for words, each in self.offered.items() if each == (version, environment)), None)


def streams(model: str) -> Streams:
    """Every version of a model in every environment that has rows."""
    seen = load.activity()
    found = seen[seen["model"] == model]
    offered: dict[str, tuple[str | None, Environment]] = {}
    for environment, words in ENVIRONMENTS.items():
        for version in found.loc[found["environment"] == environment, "version"]:
            offered.setdefault(words.format(version), (version, environment))
    if sum(environment == "production" for _, environment in offered.values()) > 1:
        offered = {ALL_VERSIONS: (None, "production"), **offered}
    return Streams(offered)


def choices(here: Here) -> Window:
    """The boxes for side B, and the window that they lead to. What a link names and is not there is said."""
    known = streams(here.model.name)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        named = choose(
            "b_version", "Side B: version", list(known.offered), placeholder="The same", width=200,
            missing="The link names {} as side B's version, which this model does not have.",
        )  # fmt: skip
        start, end = instant("b_from", "from (UTC)"), instant("b_to", "to (UTC)")
        part = chosen_slice(here)
        b = guarded(lambda: side_b(here.window, known, named, start, end, part))
        back = b.environment == "production"
        st.button(
            "Swap", icon=":material/swap_horiz:", key="swap", on_click=swap, args=(known, here.window, b), disabled=not back,
            help=None if back else "The sidebar shows what serves in production, so this side cannot become side A.",
        )  # fmt: skip
        st.button(
            "Reset", icon=":material/restart_alt:", key="reset", on_click=reset, disabled=not any(key in st.query_params for key in KEYS)
        )
    return b


def instant(key: str, label: str) -> datetime | None:
    """A box for an instant whose truth is the parameter `key` of the address."""
    asked = st.query_params.get(key)
    held = parse_instant(asked) if asked else None
    if asked and held is None:
        st.warning(f"The link names {formatting.plain(asked)} as {key.replace('_', ' ')}, which is no time.", icon=":material/link_off:")
    box = f"{key}-box"
    st.session_state[box] = held

    def write() -> None:
        chosen = st.session_state[box]
        if chosen is None:
            st.query_params.pop(key, None)
        else:
            st.query_params[key] = wire(chosen)

    found = st.datetime_input(
        label,
        value=None,
        min_value=sidebar.FIRST,
        max_value=sidebar.LAST,
        key=box,
        format="YYYY-MM-DD",
        step=3600,
        on_change=write,
        width=190,
    )
    return aware_utc(found) if isinstance(found, datetime) else None


def chosen_slice(here: Here) -> str | None:
    """The box for side B's slice: as the sidebar's, with all rows as a choice of its own. None where nothing is chosen."""
    asked = st.query_params.get("b_slice")
    offered = [ALL_ROWS, *sidebar.options(here.model)]
    st.session_state["b_slice-box"] = asked

    def write() -> None:
        chosen = st.session_state["b_slice-box"]
        if chosen is None:
            st.query_params.pop("b_slice", None)
        else:
            st.query_params["b_slice"] = chosen

    return st.selectbox(
        "rows", offered if asked is None or asked in offered else [*offered, asked], index=None, placeholder="The same", key="b_slice-box",
        accept_new_options=True, on_change=write, width=200, help="A part of the rows: name=value, several joined with &.",
    )  # fmt: skip


def side_b(a: Window, known: Streams, named: str | None, start: datetime | None, end: datetime | None, part: str | None) -> Window:
    """Side B. Raises UsageError for a slice that cannot be read, or where it ends before it starts."""
    version, environment = known.offered[named] if named else (a.version, a.environment)
    if named is None and start is None and end is None and part is None:
        version = other_version(a) or version
    sliced = a.slice if part is None else None if part == ALL_ROWS else Slice.parse(part)
    b = replace(a, version=version, environment=environment, slice=sliced)
    length = a.end - a.start
    if start is None and end is None:
        return b if b != a else replace(b, start=a.start - length, end=a.start)
    first = start if start is not None else (end or a.end) - length
    last = end if end is not None else first + length
    if last <= first:
        raise UsageError("side B ends before it starts", got=f"{wire(first)} to {wire(last)}", attempt="Choose a later end")
    return replace(b, start=first, end=last)


def other_version(a: Window) -> str | None:
    """The one other version that served in the days of side A; None where A is about all versions, or where there is none or more than one."""
    from observability.core.questions import Aggregate, By

    if a.version is None:
        return None
    served = load.frame(Aggregate("predictions", keys=(By("version"),)), replace(a, version=None, slice=None))
    others = [str(each) for each in served["version"] if each != a.version]
    return others[0] if len(others) == 1 else None


def swap(known: Streams, a: Window, b: Window) -> None:
    """Make side B what the sidebar holds, and side A what the boxes hold."""
    state = st.session_state
    state["window"], state["from"], state["to"] = SPANS["dates"], naive_utc(b.start), naive_utc(b.end)
    state["version"], state["slice"] = b.version, str(b.slice) if b.slice else None
    st.query_params.update({"b_from": wire(a.start), "b_to": wire(a.end), "b_slice": str(a.slice) if a.slice else ALL_ROWS})
    words = known.words(a.version, a.environment)
    if words and a.version != b.version:
        st.query_params["b_version"] = words
    else:
        st.query_params.pop("b_version", None)


def reset() -> None:
    """Choose nothing for side B."""
    for key in KEYS:
        st.query_params.pop(key, None)


def sides(found: Comparison) -> None:
    """Both sides as a table: version, dates, rows, how many predictions and how many labels."""
    rows = [
        row(
            {
                "side": {"t": f"{label}: {'this window' if label == 'A' else 'held against'}"},
                "version": {"t": version_words(side)},
                "dates": {
                    "t": "outside time" if side.window.environment == "reference" else formatting.span(side.window.start, side.window.end)
                },
                "rows": {"t": formatting.condition(str(side.window.slice)) if side.window.slice else ALL_ROWS},
                "n": {"t": f"{side.rows:,}"},
                "labelled": {"t": f"{side.labelled:,}", "sub": formatting.share(side.labelled_share) if side.rows else None},
            }
        )
        for label, side in (("A", found.a), ("B", found.b))
    ]
    table("sides", "The two sides", SIDES, rows, compact=True)


def version_words(side: Side) -> str:
    """Which versions answered, in which environment."""
    names = ", ".join(each.name for each in side.versions) or side.window.version or "none"
    return ENVIRONMENTS[side.window.environment].format(names)
