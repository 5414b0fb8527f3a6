"""The frame of every page (title, scope, freshness, help, link to copy) and of every chart (table, CSV, help about its metrics)."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote, urlencode

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.metric_definitions import METRICS
from observability.core.window import Environment, Window
from observability.dashboard import (
    empty_states,
    figure_capture,
    links,
    load,
    load_findings,
    own_files,
    sign_in,
    start_page,
    theme,
    time_zone,
)
from observability.dashboard import scope as scopes
from observability.dashboard.links import DEFAULT_PAGE
from observability.dashboard.page_figures import FigurePlace, file_of_page
from observability.dashboard.page_skeleton import remove_page_block
from observability.dashboard.sample_examples import PageExample, page_example
from observability.dashboard.scope import SPANS, Scope
from observability.dashboard.time_range import clear_dependent_boxes, set_dates
from observability.export.csv import inert_csv
from observability.server.access import may_do_somewhere

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


Answer = TypeVar("Answer")
PIN_ASKED = "pin-asked"
"""The state that holds the figure that a person asked to pin (dashboard/boards/pinning.py)."""
SHARE_ASKED = "share-asked"
"""The state that holds the view that a person asked to share (dashboard/boards/shared_views.py)."""
FIGURE_MENU = "Table, files, pin"
"""The label of the button below a figure that opens its table, its files, its own address and its pin."""
CLICK = "Click a mark"
"""First words of the tooltip of a figure whose marks can be clicked."""
COLUMN_WORDS = {
    "period": "When (UTC)",
    "day": "Day (UTC)",
    "low": "95 % interval, low",
    "high": "95 % interval, high",
    "n": "Rows",
    "labelled": "Labelled",
    "served": "Served",
    "value": "Value",
    "reference": "Reference",
    "n_current": "Rows, current",
    "n_reference": "Rows, reference",
    "share_of_label": "Share of the label's rows",
    "error_share": "Share of errors",
    "measured": "Measured",
    "estimated": "Estimated",
    "error": "Estimate − truth",
    "null_95": "95 % point of the null",
    "pair": "Pair",
    "days": "Days",
    "limit": "Limit",
}
"""Titles of the columns in the tables of charts; the CSV files have the short names."""


@dataclass(frozen=True)
class AskedPin:
    """A figure that a person asked to pin: its page and name, the scope, and the page's own parameters."""

    page: str
    figure: str
    scope: Scope
    parameters: dict[str, list[str]]


@dataclass(frozen=True)
class AskedShare:
    """A view that a person asked to share. name: the name as typed; empty if none was typed."""

    place: FigurePlace
    name: str = ""


@dataclass(frozen=True)
class ModelPage:
    """A page about one model, after its frame was drawn: its name, scope, model and window."""

    page: str
    scope: Scope
    model: Model
    window: Window


def begin_fleet_page(page: str, *, anyway: bool = False, heading: str | None = None) -> Scope:
    """Draw title and help of a page about the whole fleet, and return its scope. The page stops if there is no model, unless `anyway` is
    set.

    heading: the heading to draw in place of the page's title.
    """
    scope = scopes.scope_from_state(st.session_state)
    page_title(page, scope, None, heading)
    link_warnings()
    if not anyway and not load.catalog().models:
        empty_states.no_models_state(example=page_example(page))
        st.stop()
    return scope


def plain_chart(figure: Any, key: str, alt: str) -> None:
    """Draw a figure without its table. key: unique on the page. alt: the text of the figure for screen readers."""
    remove_page_block()
    theme.mark_color_scheme(figure)
    figure = time_zone.zoned_figure(figure, key)
    st.plotly_chart(figure, key=key, theme="streamlit", config=theme.CONFIG, alt=alt)


def store_page_heading(page: str) -> None:
    """Draw title and help of a page about the whole store, even if the store is empty."""
    page_title(page, scopes.scope_from_state(st.session_state), None)
    link_warnings()


def begin_model_page(page: str, example: PageExample | None = None) -> ModelPage:
    """Draw title, help, scope and freshness of a page about one model, which is the chosen model or the only one.

    The page stops with the next step if no model is chosen or the model cannot be shown. example: what the page shows in a store without
    models, in place of its entry in the table of examples.
    """
    scope = scopes.scope_from_state(st.session_state)
    models = load.catalog().fleet
    if scope.model is None and len(models) == 1 and not st.session_state.get("unread"):
        scope = replace(scope, model=models[0].name)
    if not models or scope.model is None:
        page_title(page, scope, None)
        link_warnings()
        offer_models(page, scope) if models else empty_states.no_models_state(example=example or page_example(page))
        st.stop()
    try:
        model = load.catalog().model(scope.model)
        window = load.window(scope, model.name)
        for name, _ in scope.slice.conditions if scope.slice else ():
            model.resolve(name)
        check_slice()
    except ObservabilityError as error:
        page_title(page, scope, None)
        link_warnings()
        empty_states.error_state(error)
        _offer_repair(scope)
        st.stop()
    page_title(page, scope, window, model.name if page == "model" else None)
    model_caption(page, scope, model)
    late_answers_note(window)
    if note := links.assumed_model_note(page, model.name):
        st.info(formatting.escape_markdown(note), icon=":material/info:")
    link_warnings()
    return ModelPage(page, scope, model, window)


def _offer_repair(scope: Scope) -> None:
    """Draw a button that repairs the scope of a page that cannot be shown: its dates are in reverse order, or it has a slice."""
    if scope.start and scope.end and scope.start > scope.end:
        st.button("Swap the dates", icon=":material/swap_horiz:", key="swap-dates", on_click=set_dates, args=(scope.end, scope.start))
    elif st.session_state.get("slice"):
        st.button("Show all rows", icon=":material/filter_alt_off:", key="all-rows", on_click=clear_dependent_boxes, args=("slice",))


def answer_or_stop(ask: Callable[[], Answer]) -> Answer:
    """Return the result of `ask`. If it raises an error that a person can fix, show the error and stop the page."""
    try:
        return ask()
    except ObservabilityError as error:
        empty_states.error_state(error)
        st.stop()


def check_slice() -> None:
    """Raise UsageError if the slice in the box cannot be parsed; otherwise the page would show all rows."""
    from observability.core.window import Slice

    Slice.parse(st.session_state.get("slice"))


def page_title(page: str, scope: Scope, window: Window | None, heading: str | None = None, address: str | None = None) -> None:
    """Draw the heading (by default the page's title), the page's help and the link to copy. address: the link to copy, by default that of
    this page.
    """
    name, _, help_text = links.page_description(links.page_files()[page])
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small", key="page-heading"):
        st.title(formatting.escape_markdown(heading or name), anchor=False, width="content")
        with st.container(horizontal=True, width="content", gap="small", key="page-links"):  # page.css: only icons on a phone
            with st.popover("About", type="tertiary", icon=":material/info:"):
                st.markdown(help_text)
            with st.popover("Copy link", type="tertiary", icon=":material/link:"):
                st.caption(link_words(scope, window))
                st.code(address or links.absolute_address(page, scope, window, own_parameters()), language=None, wrap_lines=True)
                if figure_capture.COLLECTOR.get() is None:
                    view_buttons(page, scope)
    if window is None and (note := load.live_sample_note(scope.model)):  # a page about a model shows the note beside its newest record
        st.caption(formatting.escape_markdown(note))
    if page != "health" or not load.catalog().models:
        store_banner(page)  # the health page draws the banner itself, in a part that refreshes


def link_words(scope: Scope, window: Window | None) -> str:
    """Words for the view that the copied link opens. It is this view at fixed times, or a window relative to the time at which the link is
    opened.
    """
    if window or scope.span in ("all", "dates"):
        return f"Opens this view{' with absolute times' if window else ''}."
    return f"Opens this view with “{SPANS[scope.span]}”, counted from when the link is opened. For fixed dates, choose dates first."


def store_banner(page: str) -> None:
    """Draw the problems of the store and its loader that a person should know about, with the next steps."""
    problems = load.store_problems()
    if problems:
        text = "\n\n".join(formatting.escape_markdown(sentence) for sentence in problems)
        link = "" if page == "store" else f"\n\n[Open Store](/{links.page_files()['store'].stem})"
        st.error(text + link, title="Store needs attention", icon=":material/error:")


def own_parameters() -> dict[str, list[str]]:
    """Return the parameters of this page besides the scope, from its boxes or else from the link."""
    found: dict[str, list[str]] = {}
    for key in links.OWN_KEYS:
        held = st.session_state[key] if key in st.session_state else st.query_params.get_all(key)
        held = str(held).lower() if isinstance(held, bool | int | float) else held
        values = [held] if isinstance(held, str) else list(held or ())
        if values:
            found[key] = values
    return found


def model_caption(page: str, scope: Scope, model: Model) -> None:
    """Draw how fresh the model's records are. The description of the model is in the tooltip, but on the model's own page it is always
    visible.
    """
    about = formatting.escape_markdown(model.settings.description or "")
    about += f" Owner: {formatting.escape_markdown(model.settings.owner)}." if about and model.settings.owner else ""
    if about and page == "model":
        st.caption(about)
    moved = load.moved_window_note(scope, model.name) if scope.span != "dates" else None
    # in the live range, the line of the range shows the newest record to the second
    fresh = [] if scope.span == "live" else [freshness_note(model.name, scope.environment or "production")]
    live = load.live_sample_note(model.name)
    notes = [about if page != "model" else None, formatting.escape_markdown(moved) if moved else None]
    if words := " · ".join([*fresh, *([formatting.escape_markdown(live)] if live else [])]):
        st.caption(words, help="\n\n".join(filter(None, notes)) or None)


def late_answers_note(window: Window) -> None:
    """Draw a sentence about days whose counts changed after they were shown, because answers of devices arrived late; nothing if no day
    changed much.
    """
    if window.days < 1:
        return
    known = answer_or_stop(lambda: load.late_answers_in(window))
    if known is not None and known.words:
        st.caption(f":material/history: {formatting.escape_markdown(known.words)}")


def freshness_note(model: str, environment: Environment = "production") -> str:
    """Return in words the hour of a model's newest record in an environment. It is an hour because counts are stored by hour. The age is
    left out after a year: the date shows it, and a phone has one line.
    """
    newest = load.newest_record(model, environment)
    if newest is None:
        return "No predictions yet"
    where = "" if environment == "production" else f" in {environment}"
    hour = f"{time_zone.zoned_minute(newest)}–{time_zone.zoned(newest + timedelta(hours=1)):%H:%M} {time_zone.zone_sign(newest)}"
    now = datetime.now(UTC)
    age = f", {formatting.time_ago(newest, now)}" if now - newest < timedelta(days=365) else ""
    return formatting.escape_markdown(f"Newest record{where} {hour}{age}")


def link_warnings() -> None:
    """Draw warnings about the link."""
    for message in st.session_state.get("unread", []):
        st.warning(message, icon=":material/link_off:")


def offer_models(page: str, scope: Scope) -> None:
    """Draw the models to choose from on a page about one model, so that none is chosen silently."""
    from observability.dashboard.table import column, draw_table, table_row

    st.markdown("Choose a model:")
    rows = [
        table_row({"model": links.link_cell(model.name, page, scope.about(model.name)), "task": {"t": model.task or "not registered"}})
        for model in load.catalog().fleet
    ]
    draw_table("choose", "Models", [column("model", "Model", strong=True), column("task", "Task")], rows, compact=True)


@contextlib.contextmanager
def loading_skeleton(height: int, name: str = "page") -> Iterator[None]:
    """Draw a skeleton while a page that was just opened computes its first part. On a rerun, an empty element takes its place, so that
    nothing moves.

    name: distinguishes several skeletons on one page.
    """
    drawn: set[str] = st.session_state.setdefault("drawn", set())
    if name in drawn:
        st.empty()
        yield
        return
    remove_page_block()
    with st.skeleton(height=height):
        yield
    drawn.add(name)


SCOPE_SHOWN = "-scope-shown"
"""The end of the session key under which a page stores the scope of the figures that it shows."""


@contextlib.contextmanager
def scope_change_note(page: str, scope: Scope) -> Iterator[None]:
    """Draw a note that figures are being computed, and grey the old figures, while a part that refreshes itself is drawn for another scope.
    Values of one time range therefore never seem to belong to the dates of another.
    """
    shown = f"{page}{SCOPE_SHOWN}"
    note = st.empty()
    if st.session_state.get(shown, scope) != scope:
        with note.container(key="scope-changing"):
            st.caption(":material/hourglass_top: Computing the new time range or model. Figures in grey are of the one before.")
    try:
        yield
    finally:
        note.empty()
    st.session_state[shown] = scope


def mark_page_change(page: str) -> None:
    """Store the current page, and forget which claims were shown. After a change of page, none of its parts counts as drawn."""
    st.session_state["shown-claims"] = set()
    if st.session_state.get("shown") != page:
        st.session_state.update(shown=page, drawn=set())
        for key in [key for key in st.session_state if str(key).endswith(SCOPE_SHOWN)]:
            del st.session_state[key]


def sampling_notice(windows: Sequence[Window]) -> None:
    """Draw the number of models whose findings from samples are still being computed, and rerun the page once all are known."""

    def pending() -> int:
        return sum(load_findings.findings_pending(window) for window in windows)

    if pending():
        refresh_when_known(pending, lambda left: f"{formatting.plural(left, 'model')} still being analyzed: counts are not final.")


@st.fragment(run_every="2s")
def refresh_when_known(pending: Callable[[], int], words: Callable[[int], str]) -> None:
    """Draw a note that findings are still being computed, and rerun the page once they are known.

    pending: returns the number of missing results. words: returns the text for this number.
    """
    left = pending()
    if not left:
        st.rerun()
    with st.container(key="still-looking"):
        st.caption(f":material/hourglass_top: {words(left)}")


def metric_help(*metrics: str) -> None:
    """Draw a "What is this?" button with the meaning, formula and source of metrics."""
    with st.popover("What is this?", type="tertiary", icon=":material/help:"):
        for name in metrics:
            known = METRICS.get(name)
            if known:
                better = {"high": " Higher is better.", "low": " Lower is better."}.get(known.better or "", "")
                st.markdown(f"**{formatting.escape_markdown(known.title)}**: {formatting.escape_markdown(known.meaning)}{better}")
                st.caption(formatting.escape_markdown(f"{known.formula} ({known.unit}). Source: {known.source}."))


def chart_with_table(
    figure: "Figure",
    twin: "DataFrame",
    *,
    key: str,
    alt: str,
    metrics: tuple[str, ...] = (),
    on_select: Callable[[], None] | None = None,
    columns: dict[str, Any] | None = None,
    beside: Callable[[], None] | None = None,
    alone: bool = False,
) -> None:
    """Draw a chart with its table, its CSV (exactly what is drawn), its SVG, the link that opens it alone, and help about its metrics.
    beside: a function that draws a further button. alone: whether the figure already stands alone.

    alt: the takeaway in one plain sentence. on_select: called after a click on a mark, which is in `st.session_state[key]`; its `hint`
    (dashboard/clicks.py) is shown beside the chart. If it has periods, a drag along the chart chooses dates. If it has areas, Lasso and Box
    Select choose marks.
    """
    collector = figure_capture.COLLECTOR.get()
    if collector is not None:
        collector.take(figure_capture.PageFigure(key, figure, twin, alt, metrics, columns))
        collector.take_file(f"{key}-csv", lambda: inert_csv(twin))
        return
    theme.mark_color_scheme(figure)
    mode: tuple[Literal["points", "box", "lasso"], ...] = ("points",)
    config = theme.CONFIG
    if getattr(on_select, "periods", None) is not None:
        mode = ("points", "box")
        theme.mark_date_drag(figure)
    elif getattr(on_select, "areas", False):
        mode, config = ("points", "box", "lasso"), theme.AREA_CONFIG
    drawn: str = getattr(on_select, "drawn", key)
    shown = time_zone.zoned_figure(figure, drawn)
    with st.container(gap=None):
        remove_page_block()
        st.plotly_chart(shown, key=drawn, theme="streamlit", config=config, alt=alt, on_select=on_select or "ignore", selection_mode=mode)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            if metrics:
                metric_help(*metrics)
            asked = st.session_state.get(f"{key}-pins", 0)  # the menu closes when its figure is pinned
            with st.popover(FIGURE_MENU, type="tertiary", icon=":material/table:", key=f"{key}-table-{asked}", width="content"):
                titles = {name: words for name, words in COLUMN_WORDS.items() if name in twin} | (columns or {})
                seen = time_zone.zoned_frame(twin)
                titles = time_zone.table_titles(titles, twin, seen)
                st.dataframe(seen, hide_index=True, alt=f"Table: {alt}", width=620, column_config=titles)
                with st.container(horizontal=True, gap="small"):
                    download_button(f"{key}.csv", lambda: inert_csv(twin), "CSV", key=f"{key}-csv", has_groups=True)
                    st.link_button("SVG", f"#svg-{quote(drawn)}", type="tertiary", icon=":material/download:", key=f"{key}-svg")
                    if not alone and (st.session_state.get("shown") or DEFAULT_PAGE) not in figure_capture.WITHOUT_PINS:
                        hint = "Opens this figure alone; its address can be shared or embedded"
                        alone_at = figure_address(place_of_page(), key)
                        st.link_button("Alone", alone_at, type="tertiary", icon=":material/open_in_new:", key=f"{key}-alone", help=hint)
                        st.button("Pin", type="tertiary", icon=":material/keep:", key=f"{key}-pin", on_click=ask_to_pin, args=(key,))
            if beside:
                beside()
            if words := getattr(on_select, "hint", None):
                with st.container(key=f"{key}-hint", width="content"):
                    st.markdown(f":gray[:material/ads_click: :small[{hint_label(words)}]]", width="content", help=words)


def hint_label(words: str) -> str:
    """Return the label of a figure's tooltip: "Click a mark" if the words begin with it, else the words themselves."""
    return CLICK if words.startswith(CLICK) else words


def ask_to_pin(figure: str) -> None:
    """Record that a person wants to pin a figure of the page; the shell then draws the dialog."""
    here = place_of_page()
    st.session_state[f"{figure}-pins"] = st.session_state.get(f"{figure}-pins", 0) + 1
    st.session_state[PIN_ASKED] = AskedPin(here.page, figure, here.scope, {name: list(values) for name, values in here.parameters})


def view_buttons(page: str, scope: Scope) -> None:
    """Draw two buttons: one to share the view of a page, and one to make it the start page of this browser."""
    with st.container(horizontal=True, gap="small"):
        if page not in figure_capture.WITHOUT_SHARING:
            st.button("Share this view", type="tertiary", icon=":material/share:", key="share-view", on_click=ask_to_share)
        start_page.draw_start_button(view_target(page, scope))


def ask_to_share(name: str = "") -> None:
    """Record that a person wants to share the view that is shown; the shell then draws the dialog. name: what the person typed."""
    st.session_state[SHARE_ASKED] = AskedShare(place_of_page(), name)


def view_target(page: str, scope: Scope) -> dict[str, Any]:
    """Return the target of a link to the view that is shown, with the choices made on its page."""
    own = {key: values[0] for key, values in own_parameters().items()}
    return {"page": page, "parameters": {**scope.parameters(), **own}}


def figure_address(place: FigurePlace, key: str) -> str:
    """The relative address that opens one figure of a page alone."""
    path = "./" if place.page == DEFAULT_PAGE else f"./{place.page}"
    return f"{path}?{place.query}&{urlencode({links.ONLY: key})}"


def place_of_page() -> FigurePlace:
    """Return the page that is shown, with its scope and its own parameters."""
    scope, page = scopes.scope_from_state(st.session_state), st.session_state.get("shown") or DEFAULT_PAGE
    named = {key: st.query_params.get_all(key) for key in st.query_params if key not in scopes.KEYS}
    return FigurePlace(page, scope, tuple((name, tuple(values)) for name, values in {**named, **own_parameters()}.items()))


def download_button(
    name: str, data: Callable[[], str | bytes], label: str, *, key: str, kind: str = "text/csv", has_groups: bool = False
) -> None:
    """Draw a quiet download button. The data are made when the button is pressed, and the download is logged as an export.

    has_groups: whether the data may contain figures of small groups. The file leaves these figures out. If the person's pages show them,
    the page is computed once more without them.
    """
    if (collector := figure_capture.COLLECTOR.get()) is not None:
        collector.take_file(key, data)
        return
    if has_groups and may_do_somewhere(person := sign_in.current_person(), "reveal"):
        here = place_of_page()
        data = data if here.page in figure_capture.SIMULATED else partial(file_of_page, here, key, person)
    st.download_button(
        label, own_files.noted_download(name, data), name, kind, key=key, type="tertiary", icon=":material/download:", on_click="ignore"
    )


def file_date(instant: datetime) -> str:
    """A date in a file name."""
    return instant.strftime("%Y-%m-%d")
