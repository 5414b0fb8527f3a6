"""The scope bar at the top of every page: boxes for model, version, environment, time range and slice, bound to the address.

No box has a default that depends on the store, so a link keeps its meaning. If a link names something that the store does not have, the
page reports it instead of silently showing something else.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.time import naive_utc
from observability.core.window import Slice
from observability.dashboard import favourites, links, load, load_findings, palette, replica_line, slice_builder, time_zone
from observability.dashboard.instant_boxes import FIRST, LAST, instant_boxes, instant_in_boxes
from observability.dashboard.paged_names import MOST_OPTIONS
from observability.dashboard.scope import (
    BIND,
    DAYS,
    SPANS,
    TIME_KEYS,
    WINDOWS,
    YEAR,
    Scope,
    Span,
    address_time,
    parse_instant,
    scope_from_state,
)
from observability.dashboard.time_range import clear_dependent_boxes, set_dates, set_time_range, time_parameters

MAX_LEVELS = 24
"""The levels of a column are offered as slices if there are at most this many. Slices of other columns can be typed."""


Dates = tuple[datetime, datetime]


def draw_scope_bar(page: str) -> None:
    """Draw the scope bar of a page. Warnings about its boxes are shown further down the page (`frame.link_warnings`)."""
    state = st.session_state
    models = {model.name: model for model in load.catalog().models}
    check_address(list(models))
    if state.get("model") and state["model"] not in models:
        clear_dependent_boxes("model", "version", "environment", "slice")
    assume_model(page, [model.name for model in load.catalog().fleet])
    changed: dict[str, Any] = {"bind": BIND, "on_change": clear_dependent_boxes}
    with st.container(key="scope-bar", horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
        hidden: dict[str, Any] = {"label_visibility": "collapsed", **changed}
        chosen = st.query_params.get("model") or state.get("model")
        offered = load.offered_models(chosen if chosen in models else None)
        names = favourites.favourites_first(offered, state.get("recent-models", []))
        favourites.mark_favourites(names)
        st.selectbox(
            "Model", names, None, placeholder="All models", key="model", args=("version", "environment", "slice"), width=146, **hidden
        )
        model = models.get(state.get("model") or "")
        if model:
            favourites.draw_favourite_button(model.name)
            state["last-model"] = model.name
            state["recent-models"] = [model.name, *(name for name in state.get("recent-models", []) if name != model.name)]
            versions = [version.name for version in model.versions]
            named = st.query_params.get("version")
            if named and named not in versions:
                words = formatting.escape_markdown(named)
                warn_about_link(f"The link names version {words}, which does not exist; all versions are shown.")
            st.selectbox("Version", versions, None, placeholder="All versions", key="version", width=112, **hidden)
            _environment_box(model.name, hidden)
        span = _time_range(model)
        if model:
            options = {"accept_new_options": True, "placeholder": "All rows", "width": 102, **hidden}
            st.selectbox("Slice", slice_options(model), index=None, key="slice", **options)
            slice_builder.draw_slice_builder(model)
        named = model.name if model else "All models"
        rows = scope_from_state(state).slice
        part = formatting.slice_in_words(str(rows)) if rows else None
        beside = (state.get("version"), scope_from_state(state).environment) if model else ()
        palette.draw_palette(page, " · ".join(filter(None, (named, *beside, span, part))))
    replica_line.draw_replica_line(page)


def _environment_box(model: str, hidden: dict[str, Any]) -> None:
    """Draw the choice of an environment if the model has predictions in an environment other than production."""
    offered = load.environments(model)
    named = st.query_params.get("environment")
    if named and named not in offered:
        words = formatting.escape_markdown(named)
        warn_about_link(f"The link names the environment {words}, in which this model has no predictions; production is shown.")
        st.session_state["environment"] = None
    others = [each for each in offered if each != "production"]
    if others:
        st.selectbox("Environment", others, None, placeholder="Production", key="environment", width=108, **hidden)


def take_time_range(page: str) -> None:
    """Read the time range from the address. If the address of a newly opened page has none, it takes over the time range of the previous
    page.

    No input box holds the range: a hidden box, for example in a closed popover, would restore the value that it showed last.
    """
    state, context = st.session_state, get_script_run_ctx()
    back = context is not None and context.is_history_navigation
    if state.get("shown") not in (None, page) and not back and not any(key in st.query_params for key in TIME_KEYS):
        st.query_params.update(time_parameters(scope_from_state(state)))
    address = st.query_params
    instants = {key: parse_instant(address[key]) if key in address else None for key in ("from", "to")}
    state.update({"window": address.get("window"), **instants})


def _time_range(model: Model | None) -> str:
    """Draw the time range, and the buttons that move it by its own length. Returns the time range in words."""
    scope, zone = scope_from_state(st.session_state), time_zone.zone_name()
    dates = scope_window_dates(scope)
    span = time_zone.named_span(*dates) if dates else None
    words = " · ".join(filter(None, (SPANS[scope.span] if scope.span != "dates" or not span else None, span)))
    key = f"time-range-{st.session_state.get('closed-time-ranges', 0)}"
    with st.popover(formatting.escape_markdown(words), icon=":material/schedule:", key=key, wrap=False):
        sides = st.container(horizontal=True, gap="large")
        with sides.container(gap=None, width=140):
            for name, title in SPANS.items():
                if name != "dates":
                    icon = ":material/check:" if name == scope.span else None
                    st.button(title, icon=icon, type="tertiary", key=f"preset-{name}", on_click=choose_preset, args=(name,))
        with sides.container(width=328):
            start, end = dates or (scope.start, scope.end)
            length = timedelta(days=DAYS[scope.span]) if scope.span in DAYS else None
            latest = latest_window_end(scope)
            with st.container(horizontal=True, gap="small"):
                for label, side, shown in ((f"From ({zone})", "from", start), (f"To ({zone})", "to", end)):
                    changed = partial(change_date, side, start, end, length)
                    instant_boxes(label, side, shown, changed, ends=side == "to", latest=latest, zone=time_zone.shown_zone())
            earlier = shifted_dates(dates, -1) if dates else None
            if dates and earlier:
                longer = (earlier[0], dates[1])
                st.button("Twice as long", icon=":material/zoom_out:", type="tertiary", key="zoom-out", on_click=set_dates, args=longer)
            _zone_choice(dates)
            if model and dates:
                comparison_links(scope, model.name, dates)
    turned = scope.start and scope.end and scope.start >= scope.end
    why = (
        "The dates end before they start." if turned else "The newest records of the models have different dates: choose a model, or dates."
    )
    for key, label, icon, moved in (
        ("earlier", "Earlier: one window back", "arrow_back", dates and shifted_dates(dates, -1)),
        ("later", "Later: one window forward", "arrow_forward", dates and shifted_dates(dates, 1)),
    ):
        ahead = moved is not None and key == "later" and moved[0] >= load.page_clock()
        hint = why if not dates else "This window ends now." if ahead else label
        off = moved is None or ahead
        st.button(label, icon=f":material/{icon}:", key=key, help=hint, on_click=set_dates, args=moved or (), disabled=off)
    return words


def scope_window_dates(scope: Scope) -> Dates | None:
    """Start and end of the window that a page shows in this scope; None if the windows of the models differ, or the window ends before it
    starts.
    """
    try:
        found = load.scope_window_spans(scope)
        dates = next(iter(found)) if len(found) == 1 else None if found else load.scope_dates(scope)
    except ObservabilityError:
        return None
    return dates if dates and dates[0] < dates[1] else None


def _zone_choice(dates: Dates | None) -> None:
    """Draw the choice of the time zone in which all pages show times (UTC or the viewer's own zone) if the two differ. Also draws the dates
    in the viewer's zone.
    """
    own = time_zone.viewer_zone()
    if own is None:
        return
    names = {False: "UTC", True: str(own).replace("_", " ")}
    key, chosen = f"time-zone-{own}", time_zone.shown_zone() is not UTC

    def keep() -> None:
        time_zone.choose_zone(own=bool(st.session_state[key]))

    st.segmented_control("Times in", list(names), default=chosen, format_func=names.__getitem__, key=key, on_change=keep, required=True)
    if words := dates and dates_in_zone(dates, own):
        st.caption(words)


def dates_in_zone(dates: Dates, zone: tzinfo) -> str | None:
    """The dates in words, in the viewer's own zone; None if that zone shows the same times as UTC."""
    try:
        start, end = (instant.astimezone(zone) for instant in dates)
    except OverflowError:
        return None
    if not (start.utcoffset() or end.utcoffset()):
        return None
    words = f"{formatting.format_minute(start)} to {formatting.format_minute(end)}"
    return f"In your time zone: {words}. Charts by day count UTC days."


def latest_window_end(scope: Scope) -> datetime | None:
    """The end of the newest window of the scope's models; None if the window is unknown."""
    try:
        return load.scope_dates(replace(scope, start=None, end=None))[1]
    except ObservabilityError:
        return None


def shifted_dates(dates: Dates, windows: int) -> Dates | None:
    """The dates moved by a multiple of their own length; None if the result is outside the range of a date box."""
    try:
        length = (dates[1] - dates[0]) * windows
        start, end = dates[0] + length, dates[1] + length
    except OverflowError:
        return None
    return (start, end) if naive_utc(start) >= FIRST and naive_utc(end) <= LAST else None


def choose_preset(span: Span) -> None:
    """Choose a relative window, and close the popover."""
    set_time_range(Scope(span=span))
    _close_time_range()


def _close_time_range() -> None:
    """Close the popover of the time range, by changing its key: the browser then creates a new, closed popover."""
    st.session_state["closed-time-ranges"] = st.session_state.get("closed-time-ranges", 0) + 1


def change_date(key: str, start: datetime | None, end: datetime | None, length: timedelta | None, chosen: datetime | None) -> None:
    """Set the date whose boxes were changed. The other date stays as its own boxes hold it, because both may have been changed before the
    page was drawn again. The other date is moved in two cases, so that the window gets the length of the relative one: both were empty, or
    the window would become more than twice as long. It is not moved if it was changed too. A valid window closes the popover when its end
    was set, because the popover covers the page.
    """
    shown = end if key == "from" else start
    other = instant_in_boxes("to" if key == "from" else "from", shown, ends=key == "from", zone=time_zone.shown_zone())
    start, end = (chosen, other) if key == "from" else (other, chosen)
    if chosen and length and other == shown and (start is None or end is None or end - start > 2 * length):
        start, end = (chosen, chosen + length) if key == "from" else (chosen - length, chosen)
    set_dates(start, end)
    if key == "to" and start and end and start < end:
        _close_time_range()


def comparison_links(scope: Scope, model: str, dates: Dates) -> None:
    """Draw links to the comparison of these dates with earlier dates. All other pages compare with the reference or with the model's own
    past.
    """
    from observability.dashboard.widgets import link_button

    st.caption("Pages compare with the reference or the model's own past. Compare with other dates:")
    first = load.first_record(load.model_activity(model), model, scope.environment or "production")
    for key, label, earlier in (
        ("previous", "Previous period", shifted_dates(dates, -1)),
        ("year-ago", "Same weekdays a year ago", (dates[0] - YEAR, dates[1] - YEAR) if naive_utc(dates[0]) >= FIRST + YEAR else None),
    ):
        if first is not None and earlier is not None and earlier[1] > first:
            own = {"b_from": address_time(earlier[0]), "b_to": address_time(earlier[1])}
            link_button(label, links.link_cell("", "compare", scope, **own), key=f"compare-{key}", icon="compare_arrows")
        else:
            st.caption(f"{label}: no records from that time.")


def assume_model(page: str, models: list[str]) -> None:
    """On a page about one model, if no model is chosen, choose the model that this session showed last, else the model that needs action
    most. The page says which model it chose and why (`links.assumed_model_note`).
    """
    state = st.session_state
    if len(models) < 2 or state.get("model") or st.query_params.get("model") or state.get("unread") or not links.is_model_page(page):
        return
    last, fit = state.get("last-model"), _models_of_page(page, models)
    of = "" if fit == models else " of those that serve in batches"
    found, why = (
        (last, "the model you looked at last") if last in models else (_neediest_model(fit), f"the model that needs action most{of}")
    )
    state.update({"model": found, "assumed": (page, found, why)})


def _models_of_page(page: str, models: list[str]) -> list[str]:
    """The models for which a page has something to show; all models if there is none."""
    if page != "batch_gate":
        return models
    return [each.name for each in load.catalog().models if each.name in models and each.settings.batch_key] or models


def _neediest_model(models: list[str]) -> str:
    """The model of the worst incident in the window; without an incident, the first model."""
    try:
        found = load_findings.scope_report(replace(scope_from_state(st.session_state), model=None)).incidents
    except ObservabilityError:
        return models[0]
    return next((incident.model for incident in found if incident.model in models), models[0])


def warn_about_link(message: str) -> None:
    """Keep a warning about the link until a box changes. It must be kept because a box drops a value that it cannot read, so the problem is
    seen only once.
    """
    messages: list[str] = st.session_state.setdefault("unread", [])
    if message not in messages:
        messages.append(message)


def check_address(models: list[str]) -> None:
    """Read the address before the boxes read it, and record a warning about each part that cannot be read."""
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
    """The address as the boxes would write it, if it uses another accepted form: window codes, dates, or times with an offset.

    None if no correction is needed. A link made by Streamlit repeats parameters that are already in the address; this needs no warning.
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


def slice_options(model: Model) -> list[str]:
    """Slices of one level each, from columns with few levels, sensitive columns first. If there are very many, only the first ones are
    returned; the reader can type or build any other slice.
    """
    found: list[str] = []
    categories = [column for column in model.columns if column.kind != "number"]
    for column in sorted(categories, key=lambda column: (not column.sensitive, column.id)):
        if len(found) >= MOST_OPTIONS:
            break
        reference = column.reference
        levels = next((version.edges[reference].levels for version in reversed(model.versions) if reference in version.edges), ())
        if 1 < len(levels) <= MAX_LEVELS:
            found += [str(Slice(((column.name, level),))) for level in levels]
    return found
