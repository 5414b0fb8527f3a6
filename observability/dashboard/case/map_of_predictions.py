"""The map of a model's predictions, and what the points that a person selects on it have in common."""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.core.small_groups import FEWER, MIN_ROWS
from observability.core.window import Slice
from observability.dashboard import clicks, empty_states, frame, links, sign_in, time_zone
from observability.dashboard.case import load_case
from observability.dashboard.case.bulk_verdicts import bulk_verdict_form
from observability.dashboard.case.case import CasePage
from observability.dashboard.case.saved_cases import bulk_save_form
from observability.dashboard.charts.prediction_map import scattered_predictions
from observability.dashboard.choice_box import link_warning
from observability.dashboard.frame import ModelPage
from observability.dashboard.scope import BIND
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.theme import inert_label
from observability.dashboard.widgets import cut_note, link_button, plain_caption, status_line
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.label_types import class_words, prediction_with_score, with_unit
from observability.investigation.latent_inputs import latent_features
from observability.investigation.neighbours import case_frame
from observability.investigation.prediction_map import PredictionMap
from observability.investigation.sampled_rows import as_environment
from observability.investigation.selected_points import SelectionErrors, SelectionRule, error_sizes, selection_errors, selection_rule
from observability.server.access import may_do
from observability.stats.arrays import Bools
from observability.stats.interval import Interval

KEY = "prediction-map"
FEATURES, EMBEDDING = "All inputs", "Latent inputs"
MAX_SAVED = 500
"""Maximum number of selected predictions that are saved or judged at once."""


def map_link(here: CasePage, key: str) -> None:
    """Draw a button that opens the map around a case with its point marked. key: unique on the page."""
    served = as_environment(here.row.environment)
    scope = replace(here.scope.at(*here.opened.span()), version=here.row.version.name, slice=None)
    scope = replace(scope, environment=None if served == "production" else served)
    target = links.link_cell("", "prediction_map", scope, id=here.row.id, answer=here.row.selector)
    link_button("Map of similar predictions", target, key=here.key(key), icon="scatter_plot")


def map_section(here: ModelPage) -> None:
    """Draw the map of the page's window with its options, and what the selected points have in common."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        first = "Error" if here.model.task == "regression" else "Outcome"
        colour = st.segmented_control("Colour", [first, "Score"], default=first, required=True, key="color", bind=BIND)
        latent = latent_features(each.name for each in here.model.features() if each.kind == "number")
        space = FEATURES
        if latent:
            space = st.segmented_control(
                "Distance by",
                [FEATURES, EMBEDDING],
                default=FEATURES,
                required=True,
                key="space",
                bind=BIND,
                help=", ".join(latent[:3]) + " …",
            )
    try:
        found = load_case.window_map(here.window, embedding=space == EMBEDDING)
    except NotGivenError as error:
        empty_states.stop_with_empty_state(formatting.error_markdown(error))
    case = _marked_case(here.model, found)
    points = drawn_points(found, by_score=colour == "Score")
    number = None if colour == "Outcome" else "score" if colour == "Score" else f"absolute error{_unit(here.model)}"
    titles = [_axis_title(found, axis) for axis in (0, 1)]
    figure = scattered_predictions(points, titles=titles, number=number, case=case)
    _map_words(found)
    _map_and_selection(here, found, figure, points)


@st.fragment
def _map_and_selection(here: ModelPage, found: PredictionMap, figure: object, points: pd.DataFrame) -> None:
    """Draw the chart and the section about the selected points. A new selection reruns only this part."""
    said = f"Map of {len(points):,} predictions by their inputs; both axes show {formatting.format_share(found.shown)} of the variance."
    twin = points.drop(columns="text")
    frame.chart_with_table(figure, twin, key=KEY, alt=said, on_select=clicks.AreaSelection(KEY))
    selected_points_section(here, found, selected_mask(len(points)))


def selected_mask(n: int) -> Bools:
    """A mask of the drawn predictions that are selected on the map. n: the number of drawn predictions."""
    mask = np.zeros(n, bool)
    for point in clicks.clicked_points(KEY):
        held = point.get("customdata")
        if isinstance(held, list | tuple) and held and isinstance(held[0], int) and 0 <= held[0] < n:
            mask[held[0]] = True
    return mask


def drawn_points(found: PredictionMap, *, by_score: bool) -> pd.DataFrame:
    """The points in the form for the chart and its table: id, at, x, y, outcome, score, text, and `value` if the colour is a number."""
    model, rows = found.model, found.frame
    sizes = error_sizes(model, rows)
    known = np.isfinite(sizes)
    regression = model.task == "regression"
    outcome = np.where(known, "Labelled" if regression else np.where(sizes > 0, "Wrong", "Right"), "No label")
    drawn = rows[["id", "at", "x", "y", "score"]].assign(outcome=outcome)
    if regression:
        drawn["absolute_error"] = sizes
    if regression or by_score:
        drawn["value"] = drawn["score"] if by_score else sizes
    words = [
        prediction_with_score(model, model.classes[code] if 0 <= code < len(model.classes) else None, score)
        for code, score in zip(rows["decision"], rows["score"])
    ]
    labels = [
        f"label {class_words(model, model.classes[code])}" if 0 <= code < len(model.classes) else _label_number(model, number)
        for code, number in zip(rows["label"], rows["label_value"])
    ]
    drawn["text"] = [
        f"{inert_label(name, 60)}<br>{time_zone.named_minute(at)}<br>predicted {inert_label(said, 60)}, {inert_label(label, 60)}"
        for name, at, said, label in zip(rows["id"], rows["at"], words, labels)
    ]
    return drawn


def _label_number(model: Model, number: float) -> str:
    """The label of a regression as text, with its unit."""
    return "no label" if number != number else f"label {with_unit(model, formatting.format_number(number))}"


def _unit(model: Model) -> str:
    """The unit of a regression in brackets."""
    return f" ({model.settings.unit})" if model.settings.unit else ""


def _axis_title(found: PredictionMap, axis: int) -> str:
    """The share of the variance along an axis, and the features that contribute most to it, on two lines."""
    parts = [f"{inert_label(name, 20)} {formatting.format_share(round(part, 2))}" for name, part in found.axis_features(axis)]
    return f"{formatting.format_share(float(found.plane.shares[axis]))} of the variance<br>{', '.join(parts) or 'no input'}"


def _map_words(found: PredictionMap) -> None:
    """Draw how many predictions are drawn, and the meaning of distance."""
    drawn, total = len(found.frame), found.total
    which = f"A fixed sample of {drawn:,} of {total:,} predictions" if drawn < total else f"All {drawn:,} predictions"
    rest = formatting.format_share(1 - found.shown)
    st.markdown(f"{which}; similar inputs lie close together.")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f"Points far apart differ; points close together can still differ in the {rest} of the variance that is not shown.",
            width="content",
        )
        with st.popover("What does distance mean?", type="tertiary", icon=":material/help:"):
            st.markdown(_distance_words(found))


def _distance_words(found: PredictionMap) -> str:
    """A text that explains how the map is made and what it does not show."""
    ranked = f"{found.known:,} reference rows" if found.known else "the drawn rows"
    made = (
        f"The {len(found.blocks)} latent inputs are taken as one vector, with their values as logged."
        if found.embedding
        else f"Numbers are ranks in {ranked}, categories one column per level, and each of {len(found.blocks)} inputs has the same weight."
    )
    return (
        f"{made} The map is the plane that shows most of their variance (principal component analysis): "
        f"{formatting.format_share(found.shown)}. A missing number lies in the middle. "
        "The percentage beside a feature is its part of that axis. Wrong predictions are drawn over right ones. Scores and labels do not "
        "affect where a point lies, and lying close together does not explain an error."
    )


def _marked_case(model: Model, found: PredictionMap) -> tuple[float, float] | None:
    """The place on the map of the case in the address; None without a case. If the case is not found, a warning is drawn."""
    named = st.query_params.get("id")
    if not named:
        return None
    try:
        row = load_case.opened_case(named, model.name, st.query_params.get("answer")).look.row
    except NotFoundError as error:
        link_warning(f"The marked case: {error}")
        return None
    sign_in.note_case_seen(row.id, model.name, row.stored.get("subject"))
    place = found.project(case_frame(row))[0]
    link_button(f"Marked: {row.id[:60]}", links.case_link("", row.id, model.name, None, row.selector), key="marked-case", icon="star")
    return float(place[0]), float(place[1])


def selected_points_section(here: ModelPage, found: PredictionMap, chosen: Bools) -> None:
    """Draw the number of selected points, their errors compared with the other points, the rule that describes them, and the actions for
    them.
    """
    if not chosen.any():
        st.caption("Select points with the lasso or the box: their error rate, the rule that describes them and a slice follow here.")
        return
    names = found.frame.loc[chosen, "id"].tolist()
    st.subheader(f"{len(names):,} of {len(found.frame):,} points selected", anchor=False)
    if len(names) == 1:
        link_button(f"Open {names[0][:60]}", links.case_link("", names[0], here.model.name, here.scope), key="map-case", quiet=False)
        return
    errors = selection_errors(here.model, found.frame, chosen)
    hidden = not may_do(sign_in.current_person(), "reveal", here.model.name)
    few = min(len(names), len(chosen) - len(names), *(n for n in (errors.n, errors.of_others) if n)) < MIN_ROWS
    if hidden and few:
        st.markdown(status_line("unknown", f"Your role shows no figures of {FEWER} rows; select more points.", "Not shown"))
    else:
        _error_table(here.model, errors, len(names), len(chosen))
        _rule_words(here, selection_rule(here.model, found.frame, chosen))
    with st.container(horizontal=True, gap="small"):
        bulk_save_form(here.model, names[:MAX_SAVED], "map")
        bulk_verdict_form(here.model, names[:MAX_SAVED], "map")
    cut_note(len(names), MAX_SAVED, "The first {0} of {1} selected predictions can be saved or judged at once.")


def _error_table(model: Model, errors: SelectionErrors, selected: int, drawn: int) -> None:
    """Draw the sentence about the errors of the selected points, and the table behind it."""
    gap = errors.difference
    if gap.low is None or gap.high is None:
        level, word, said = "unknown", "Not enough labels", "errors cannot be compared."
    elif gap.low > 0:
        level, word, said = "watch", "More errors", "the selected points err more than the others."
    elif gap.high < 0:
        level, word, said = "ok", "Fewer errors", "the selected points err less than the others."
    else:
        level, word, said = "unknown", "No significant difference", "the interval of the difference includes 0."
    st.markdown(status_line(level, said, word))
    sides = (("Selected", errors.selected, errors.n, selected), ("Others", errors.others, errors.of_others, drawn - selected))
    rows = [table_row(what=name, value=_size_words(model, size), labelled=f"{n:,} of {of:,}") for name, size, n, of in sides]
    rows.append(table_row(what="Difference", value=_size_words(model, gap), labelled=""))
    title = f"Mean absolute error{_unit(model)}" if model.task == "regression" else "Error rate"
    columns = (
        column("what", "Points", strong=True),
        column("value", title, width="16rem", help="With its 95 % interval"),
        column("labelled", "Labelled of points", align="right", width="10rem"),
    )
    draw_table("map-errors", "Errors of the selected points and of the others", columns, rows, compact=True)
    plain_caption("Points were chosen by eye, which the intervals do not account for: check the rule on other dates.")


def _size_words(model: Model, size: Interval) -> str:
    """An error rate or a mean absolute error with its interval."""
    return formatting.value_with_interval(size.value, size.low, size.high, "" if model.task == "regression" else "share")


def _rule_words(here: ModelPage, rule: SelectionRule | None) -> None:
    """Draw the rule that describes the selection, how well it does so, and links to the predictions that meet it."""
    if rule is None:
        st.markdown(status_line("unknown", "every point is selected." if here.model.columns else "there are no inputs.", "No rule"))
        return
    lead = "Best description" if rule.clear else "No simple rule describes them; the best"
    precision, recall = formatting.format_share(rule.precision), formatting.format_share(rule.recall)
    st.markdown(f"{lead}: **{formatting.escape_markdown(rule.text)}**.")
    plain_caption(
        f"Precision {precision}: {rule.both:,} of the {rule.n:,} points that meet it are selected. "
        f"Recall {recall}: {rule.both:,} of the {rule.chosen:,} selected points meet it."
    )
    with st.container(horizontal=True, gap="small"):
        if rule.search:
            target = links.link_cell("", "cases", here.scope, q=rule.search)
            link_button("Find predictions that meet it", target, key="map-cases", icon="manage_search", quiet=False)
        if rule.slice and (part := Slice.parse(rule.slice)):
            own = here.scope.slice.conditions if here.scope.slice else ()
            both = Slice(tuple(dict((*own, *part.conditions)).items()))
            target = links.link_cell("", "prediction_map", replace(here.scope, slice=both), id=st.query_params.get("id"))
            link_button("Use as slice", target, key="map-slice", icon="filter_alt", quiet=False)
