"""What stands around every page: its title, the scope it is about, how fresh the data are, help, and a link to copy?

And around every chart: the sentence before it, the table behind it, its CSV, and what its metric means.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.metric_definitions import METRICS
from observability.core.window import Window
from observability.dashboard import empty_states, links, load, theme
from observability.dashboard import scope as scopes
from observability.dashboard.scope import SPANS, Scope
from observability.export.csv import inert_csv

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


Answer = TypeVar("Answer")
COLUMN_WORDS = {
    "period": "When (UTC)",
    "day": "Day (UTC)",
    "low": "95 % interval from",
    "high": "to",
    "n": "Rows",
    "labelled": "Labelled",
    "served": "Served",
    "value": "Value",
    "reference": "In the reference",
    "n_current": "Rows now",
    "n_reference": "Rows in the reference",
    "share_of_label": "Share of the label's rows",
    "error_share": "Share of errors",
    "measured": "Measured",
    "estimated": "Estimated",
    "error": "Estimate less truth",
    "null_95": "Chance stays below",
    "pair": "Pair",
    "days": "Days",
    "limit": "Limit",
}
"""What the columns of charts' tables are called on the screen; the CSV keeps the short names."""


@dataclass(frozen=True)
class Here:
    """What a page is about once its frame is drawn: the scope, and the model and its window where the page is about one model."""

    page: str
    scope: Scope
    model: Model
    window: Window


def begin(page: str, *, anyway: bool = False) -> Scope:
    """Title, help and scope of a page about the whole fleet. Stops where no model is known, unless the page has something to show `anyway`."""
    scope = scopes.read(st.session_state)
    title(page, scope, None)
    said()
    if not anyway and not load.catalog().models:
        empty_states.no_models()
        st.stop()
    return scope


def heading(page: str) -> None:
    """Title and help of a page that is about the store as a whole, empty or not."""
    title(page, scopes.read(st.session_state), None)
    said()


def begin_model(page: str) -> Here:
    """Title, help, scope chips and freshness of a page about one model: the only one there is, else the chosen one. Stops with the next step where none is
    chosen or it cannot be shown.
    """
    scope = scopes.read(st.session_state)
    models = load.catalog().models
    if scope.model is None and len(models) == 1 and not st.session_state.get("unread"):
        scope = replace(scope, model=models[0].name)
    if not models or scope.model is None:
        title(page, scope, None)
        said()
        choose(page, scope) if models else empty_states.no_models()
        st.stop()
    try:
        model = load.catalog().model(scope.model)
        window = load.window(scope, model.name)
        for name, _ in scope.slice.conditions if scope.slice else ():
            model.resolve(name)
        check_slice()
    except ObservabilityError as error:
        title(page, scope, None)
        said()
        empty_states.problem(error)
        st.stop()
    title(page, scope, window, model.name if page == "model" else None)
    chips(scope, model, window)
    said()
    return Here(page, scope, model, window)


def guarded(ask: Callable[[], Answer]) -> Answer:
    """What `ask` gives; a failure that a person can mend is said, and the page stops."""
    try:
        return ask()
    except ObservabilityError as error:
        empty_states.problem(error)
        st.stop()


def check_slice() -> None:
    """Raise UsageError where the box holds a slice that cannot be read: then nothing is shown, rather than all rows."""
    from observability.core.window import Slice

    Slice.parse(st.session_state.get("slice"))


def title(page: str, scope: Scope, window: Window | None, heading: str | None = None, address: str | None = None) -> None:
    """The heading (the page's title where it is not given), with the page's help and the link to copy beside it. address: that link."""
    name, _, help_text = links.about(links.page_files()[page])
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
        st.title(formatting.plain(heading or name), anchor=False, width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            with st.popover("About", type="tertiary", icon=":material/info:"):
                st.markdown(help_text)
            with st.popover("Copy link", type="tertiary", icon=":material/link:"):
                st.caption("Opens this view again, with these absolute times." if window else "Opens this view again.")
                st.code(address or links.absolute(page, scope, window, own_parameters()), language=None, wrap_lines=True)


def own_parameters() -> dict[str, list[str]]:
    """Choices of this page that stand in its address beside the scope: as its boxes hold them, else as the link brought them."""
    found: dict[str, list[str]] = {}
    for key in links.OWN_KEYS:
        held = st.session_state[key] if key in st.session_state else st.query_params.get_all(key)
        held = str(held).lower() if isinstance(held, bool | int | float) else held
        values = [held] if isinstance(held, str) else list(held or ())
        if values:
            found[key] = values
    return found


def chips(scope: Scope, model: Model, window: Window) -> None:
    """One line: model, version, window, slice, and how fresh the records are. Edited in the sidebar."""
    parts = [f":blue-badge[{formatting.plain(model.name)}]"]
    parts.append(f":gray-badge[version {formatting.plain(scope.version)}]" if scope.version else ":gray-badge[all versions]")
    how = "" if scope.span == "dates" else f"{SPANS[scope.span].lower()}: "
    parts.append(f":gray-badge[{formatting.plain(how + formatting.span(window.start, window.end))} UTC]")
    parts.append(f":orange-badge[{formatting.plain(formatting.condition(str(scope.slice)))}]" if scope.slice else ":gray-badge[all rows]")
    st.markdown(" ".join(parts) + f"  :gray[:small[{freshness(model.name)}]]")
    if model.settings.description:
        st.caption(
            formatting.plain(model.settings.description)
            + (f" Owner: {formatting.plain(model.settings.owner)}." if model.settings.owner else "")
        )
    moved = load.note(scope, model.name)
    if moved and scope.span != "dates":
        st.caption(formatting.plain(moved))


def freshness(model: str) -> str:
    """When the newest record of a model happened, for one line."""
    newest = load.newest_record(model)
    if newest is None:
        return "no prediction yet"
    return f"newest record {formatting.plain(formatting.minute(newest))} UTC, {formatting.plain(formatting.ago(newest, datetime.now(UTC)))}"


def said() -> None:
    """What could not be read in the link."""
    for message in st.session_state.get("unread", []):
        st.warning(message, icon=":material/link_off:")


def choose(page: str, scope: Scope) -> None:
    """The page is about one model and none is chosen: offer them, none is taken silently."""
    from observability.dashboard.table import column, row, table

    st.markdown("This page is about one model. Which one?")
    rows = [
        row({"model": links.link(each.name, page, scope.about(each.name)), "task": {"t": each.task or "not registered"}})
        for each in load.catalog().models
    ]
    table("choose", "Models", [column("model", "Model", strong=True), column("task", "Task")], rows, compact=True)


@contextlib.contextmanager
def loading(height: int, name: str = "page") -> Iterator[None]:
    """A skeleton while a page that was just opened works out what it shows first. Where the page stands already it stays as it is, so that nothing jumps.

    name: tells apart several on one page.
    """
    drawn: set[str] = st.session_state.setdefault("drawn", set())
    if name in drawn:
        yield
        return
    with st.skeleton(height=height):
        yield
    drawn.add(name)


def arrive(page: str) -> None:
    """A person is on this page: where another was shown before, nothing of it is drawn yet."""
    if st.session_state.get("shown") != page:
        st.session_state.update(shown=page, drawn=set())


def still_looking(windows: Sequence[Window]) -> None:
    """Says that samples of single rows are still being looked at in some windows, and draws the page anew once they have been."""
    if any(load.looking(each) for each in windows):
        waiting(windows)


@st.fragment(run_every="2s")
def waiting(windows: Sequence[Window]) -> None:
    """See `still_looking`."""
    if not any(load.looking(each) for each in windows):
        st.rerun()
    with st.container(key="still-looking"):
        st.caption(":material/hourglass_top: Single rows are still being looked at; more may be added.")


def explain(*metrics: str) -> None:
    """A "What is this?" button: meaning, formula and source of metrics."""
    with st.popover("What is this?", type="tertiary", icon=":material/help:"):
        for name in metrics:
            known = METRICS.get(name)
            if known:
                better = {"high": " Higher is better.", "low": " Lower is better."}.get(known.better or "", "")
                st.markdown(f"**{formatting.plain(known.title)}**: {formatting.plain(known.meaning)}{better}")
                st.caption(f"{formatting.plain(known.formula)} ({formatting.plain(known.unit)}). Source: {formatting.plain(known.source)}.")


def chart(
    figure: "Figure",
    twin: "DataFrame",
    *,
    key: str,
    alt: str,
    metrics: tuple[str, ...] = (),
    on_select: Callable[[], None] | None = None,
    columns: dict[str, Any] | None = None,
) -> None:
    """A chart with its table, its CSV (exactly what is drawn) and what its metrics mean.

    alt: the takeaway, in one plain sentence. on_select: called after a click on a mark; read `st.session_state[key]` there; its `hint` (dashboard/clicks.py) is said beside the chart.
    """
    with st.container(gap=None):
        st.plotly_chart(
            figure, key=key, theme="streamlit", config=theme.CONFIG, alt=alt, on_select=on_select or "ignore", selection_mode="points"
        )
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            if metrics:
                explain(*metrics)
            with st.popover("Table", type="tertiary", icon=":material/table:", key=f"{key}-table", width="content"):
                st.dataframe(
                    twin, hide_index=True, alt=f"Table: {alt}", width=620, height=min(36 * len(twin) + 38, 420),
                    column_config={name: words for name, words in COLUMN_WORDS.items() if name in twin} | (columns or {}),
                )  # fmt: skip
            download(f"{key}.csv", lambda: inert_csv(twin), "CSV", key=f"{key}-csv")
            if hint := getattr(on_select, "hint", None):
                st.markdown(f":gray[:material/ads_click: :small[{hint}]]", width="content")


def download(name: str, data: Callable[[], str | bytes], label: str, *, key: str, kind: str = "text/csv") -> None:
    """A quiet download button; the data are made when it is pressed."""
    st.download_button(label, data, name, kind, key=key, type="tertiary", icon=":material/download:", on_click="ignore")


def stamp_of(instant: datetime) -> str:
    """For the names of files."""
    return instant.strftime("%Y-%m-%d")
