"""How far a case is from another decision: margin, nearest opposite case, counterfactuals, what-if and response curves.

Scores of inputs that were never logged are marked as simulated. Immutable features are shown and locked.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.dashboard import frame, links
from observability.dashboard.case import load_case, what_if
from observability.dashboard.case.case import CasePage
from observability.dashboard.case.explanation import computed_with_progress as asked_now
from observability.dashboard.case.explanation import explanation_next_step
from observability.dashboard.case.inputs import input_value_words
from observability.dashboard.charts import case as charts_case
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import cut_note, plain_caption, plain_paragraph, status_line, unavailable_note
from observability.investigation.counterfactuals import Found
from observability.investigation.known_attributions import class_of
from observability.investigation.label_types import class_words, outcome_words, prediction_with_score, score_name, with_unit
from observability.investigation.model_answers import Curve, Margin, Opposite

MAX_CHANGES = 8
Answer = TypeVar("Answer")


def boundary_section(here: CasePage) -> None:
    """Draw the margin and the nearest opposite case, then the parts for which the model must compute scores."""
    near: Margin | None = answer_or_reason(lambda: load_case.case_margin(here.opened))
    if near is not None:
        st.markdown(formatting.sentence_markdown(formatting.with_full_stop(near.because)))
    _opposite_case(here)
    if not here.row.version.artifact:
        st.markdown(status_line("unknown", "other inputs cannot be scored.", "Off"))
        explanation_next_step(here)
        what_if.saved_what_if_table(here)
        return
    _counterfactual_section(here)
    what_if.what_if_section(here)
    _response_curves(here)


def answer_or_reason(ask: Callable[[], Answer]) -> Answer | None:
    """The result of `ask`. If it is not available, draw the reason and return None."""
    try:
        return ask()
    except ObservabilityError as error:
        unavailable_note(error)
        return None


def _opposite_case(here: CasePage) -> None:
    """Draw the nearest logged case with another decision, and in which inputs it differs."""
    what = "opposite case" if here.row.model.classes else "case with another score"
    st.subheader(f"Nearest {what}", anchor=False)
    found: Opposite | None = answer_or_reason(lambda: load_case.opposite_case(here.opened))
    if found is None:
        return
    label = f"label {outcome_words(here.row.model, found.label)}" if found.label is not None else "no label"
    differ = f"{formatting.plural(len(found.changes), 'feature')} {'differs' if len(found.changes) == 1 else 'differ'}"
    plain_paragraph(f"{differ}; {label}. {distance_sentence(found)}")
    columns = (column("feature", "Feature", strong=True), column("mine", "This case"), column("theirs", "The other case"))
    rows = [
        table_row(feature=name, mine=input_value_words(mine), theirs={"t": input_value_words(theirs), "mark": "differs", "changed": True})
        for name, (mine, theirs) in list(found.changes.items())[:MAX_CHANGES]
    ]
    answer: Cell = {"t": prediction_with_score(here.row.model, found.prediction, found.score)}
    own: Cell = {"t": prediction_with_score(here.row.model, here.row.answer, here.row.score)}
    head = table_row(feature=links.case_link(found.id, found.id, here.row.model.name, here.scope), mine=own, theirs=answer, selected=True)
    draw_table("opposite", f"This case and the nearest {what}", columns, [head, *rows], compact=True)
    cut_note(len(found.changes), MAX_CHANGES, "The {0} largest of {1} differences.")


def distance_sentence(found: Opposite) -> str:
    """The distance to the nearest row with the other outcome, the number of such rows, and the number of rows in the sample."""
    such = f"with {found.goal}" if found.goal else "decided otherwise"
    rows = f"the nearest of {found.others:,} rows {such}" if found.others > 1 else f"the only row {such}"
    return f"Distance {formatting.format_number(found.distance)}: {rows}, of {found.searched:,} sampled."


def _counterfactual_section(here: CasePage) -> None:
    """Draw the counterfactuals of the case, or the button that searches for them."""
    st.subheader("Counterfactuals", anchor=False)
    found = None if here.key("flips") in st.session_state else load_case.known_counterfactuals(here.opened)
    if found is None:
        found = computed_on_request(
            here, "flips", "Search for counterfactuals", lambda note: load_case.case_counterfactuals(here.opened, note)
        )
    if found is None:
        return
    st.markdown(f"{what_if.SIMULATED} {formatting.escape_markdown(f'Goal: {found.goal.text}.')}")
    _counterfactual_table(here, found)
    locked = f"Immutable: {', '.join(found.locked)}. " if found.locked else ""
    plain_caption(f"{locked}{found.asked:,} inputs scored in {found.seconds:.1f} s. {found.note}".strip())


def _counterfactual_table(here: CasePage, found: Found) -> None:
    """Draw a table with a row for each changed feature and a column for each counterfactual."""
    names = list(dict.fromkeys(name for each in found.counterfactuals for name in each.changes))
    columns = [column("feature", "Feature", strong=True), column("own", "This case")]
    columns += [column(f"c{place}", f"Change {place + 1}") for place in range(len(found.counterfactuals))]
    rows = []
    for name in names:
        cells: dict[str, Cell] = {"feature": {"t": name}, "own": {"t": input_value_words(here.row.features.get(name))}}
        for place, each in enumerate(found.counterfactuals):
            pair = each.changes.get(name)
            cells[f"c{place}"] = (
                {"t": input_value_words(pair[1]), "mark": "changed", "changed": True} if pair else {"t": "unchanged", "quiet": True}
            )
        rows.append(table_row(cells))
    scores: dict[str, Cell] = {
        "feature": {"t": score_name(here.row.model).replace("score", "Score", 1)},
        "own": {"t": formatting.format_number(here.row.score)},
    }
    decided = bool(here.row.model.classes)
    reached, missed = ("another decision", "same decision") if decided else ("reaches the goal", "does not reach the goal")
    for place, each in enumerate(found.counterfactuals):
        scores[f"c{place}"] = {
            "s": "ok" if each.reached else "unknown",
            "t": score_words(here.row.model, each.score),
            "title": reached if each.reached else missed,
        }
    draw_table("flips", "Counterfactuals beside this case", columns, [*rows, table_row(scores, selected=True)], compact=True)


def score_words(model: Model, score: Any) -> str:
    """A score in words; for a score by class, the most probable class with its score."""
    if isinstance(score, dict) and score:
        best = max(score, key=lambda name: score[name])
        return f"{class_words(model, best)} ({formatting.format_number(score[best])})"
    return formatting.format_number(score) if isinstance(score, int | float) else formatting.DASH


def _response_curves(here: CasePage) -> None:
    """Draw how the score changes along single features."""
    st.subheader("Response curves", anchor=False)
    found: tuple[Curve, ...] | None = computed_on_request(
        here, "curves", "Draw response curves", lambda note: load_case.response_curves(here.opened, note)
    )
    if not found:
        return
    st.markdown(f"{what_if.SIMULATED} One feature varies at a time; the diamond is this case.")
    for start in range(0, len(found), 3):
        for place, (each, side) in enumerate(zip(found[start : start + 3], st.columns(3), strict=False), start):
            with side:
                _response_curve(here, each, place)


def _response_curve(here: CasePage, each: Curve, place: int) -> None:
    """Draw the response curve of one feature with its sentence."""
    classes = bool(here.row.model.classes)
    flips = {"another_answer" if classes else "reaches_goal": list(each.flips)}
    rows = pd.DataFrame({"value": list(each.values), "score": list(each.scores), **flips})
    edge_ = here.row.threshold if here.row.model.task == "binary" else None
    said_ = curve_sentence(each, here.row.model, score_name(here.row.model, class_of(here.row)))
    st.markdown(formatting.escape_markdown(said_) + (" :gray[:material/lock: locked]" if each.locked else ""))
    options: dict[str, Any] = {"feature": each.feature, "kind": each.kind, "at": each.at, "score": each.score}
    figure = charts_case.ice_curve(rows, **options, edge=edge_, share=classes)
    frame.chart_with_table(figure, rows, key=f"ice-{place}", alt=f"Simulated: {said_}")


def curve_sentence(each: Curve, model: Model, what: str) -> str:
    """A sentence about the range of scores over the values of a feature, and about how many of its values reach the goal. what: what is
    scored, in words.
    """
    low, high = min(each.scores), max(each.scores)
    ends = f"{formatting.format_number(low)} and {with_unit(model, formatting.format_number(high))}"
    missing = (
        ""
        if each.at is not None
        else f"; without a value, as in this case, the score is {with_unit(model, formatting.format_number(each.score))}"
    )
    flipping, of = sum(each.flips), len(each.flips)
    count = f"{flipping} of {of} values" if flipping else f"none of {of} values"
    one = flipping == 1 or not flipping
    does = f"{'gives' if one else 'give'} {each.goal}" if each.goal else f"{'changes' if one else 'change'} the decision"
    return f"{each.feature} moves the {what} between {ends}{missing}; {count} {does}."


def computed_on_request(here: CasePage, name: str, label: str, ask: Callable[[Callable[[float, str], None]], Answer]) -> Answer | None:
    """The result that this session computed. If there is none, draw a button that computes it with progress, and return None until then."""
    key = here.key(name)
    if key in st.session_state:
        found: Answer = st.session_state[key]
        return found
    if not st.session_state.pop(f"{key}-wanted", False):
        st.button(label, icon=":material/bolt:", key=f"{key}-button", on_click=lambda: st.session_state.update({f"{key}-wanted": True}))
        return None
    answer = asked_now(here, ask)
    if answer is not None:
        st.session_state[key] = answer
    return answer
