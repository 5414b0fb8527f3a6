"""The explanation of a case's score: a waterfall against one of three backgrounds, its stability, and sentences.

Logged and stored attributions show at once. Others are computed in the worker after the rest of the page, and kept for the session.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import clicks, frame, links
from observability.dashboard.case import load_case
from observability.dashboard.case.case import CasePage
from observability.dashboard.case.inputs import input_value_words, week_scope
from observability.dashboard.charts import case as charts_case
from observability.dashboard.trust import explanations
from observability.dashboard.widgets import link_button, plain_caption, status_line, unavailable_note
from observability.investigation import explanation_sentences
from observability.investigation.case_parts import Progress
from observability.investigation.model_answers import AGAINST, Against, AttributionContrast, Contrasts

if TYPE_CHECKING:
    from pandas import DataFrame

Answer = TypeVar("Answer")
MOST_BARS = 8
NEGLIGIBLE_RESIDUAL = 1e-3
"""A residual below this share of the difference of output and base value is not drawn."""


def explanation_section(here: CasePage) -> None:
    """The known attributions, the switch between backgrounds, and a button that computes the others."""
    chosen: Against = (
        st.segmented_control(
            "Background",
            list(AGAINST),
            default="average",
            required=True,
            format_func=lambda name: f"against {AGAINST[name]}",
            key=here.key("against"),
        )
        or "average"
    )
    held = session_contrasts(here)
    known = load_case.known_contrast(here.opened) if held is None else None
    asked = st.session_state.pop(here.key("compute-now"), False)
    if held is None and (asked or chosen != "average"):
        held = computed_with_progress(here, lambda note: load_case.case_contrasts(here.opened, note))
        st.session_state[here.key("contrasts")] = held
    elif held is None and known is None:
        known = computed_with_progress(here, lambda note: load_case.average_contrast(here.opened, note))
    if held is None and known is None:
        return
    found: AttributionContrast | None = getattr(held, chosen) if held else known if chosen == "average" else None
    if found is not None:
        _contrast_details(here, found)
    elif held is not None:
        unavailable_note(held.why.get(chosen, "This could not be computed."))
        explanation_next_step(here)
    if held is None and here.row.version.artifact:
        label, wanted = "Compute stability, similar cases and correct twins", {here.key("compute-now"): True}
        st.button(label, icon=":material/bolt:", key=here.key("compute"), type="tertiary", on_click=lambda: st.session_state.update(wanted))


def is_explanation_known(here: CasePage) -> bool:
    """Whether attributions are known without computing."""
    return session_contrasts(here) is not None or load_case.known_contrast(here.opened) is not None


def session_contrasts(here: CasePage) -> Contrasts | None:
    """The attributions that this session computed."""
    found = st.session_state.get(here.key("contrasts"))
    return found if isinstance(found, Contrasts) else None


def computed_with_progress(here: CasePage, ask: Callable[[Progress], Answer]) -> Answer | None:
    """The answer of `ask`, with its progress; None, with the reason on the page, where it failed."""
    began = time.monotonic()
    bar = st.progress(0.0, "Starting the model process")

    def note(share: float, words: str) -> None:
        bar.progress(min(max(share, 0.0), 1.0), formatting.escape_markdown(f"{words} ({time.monotonic() - began:.0f} s)"))

    try:
        return ask(note)
    except ObservabilityError as error:
        unavailable_note(error)
        explanation_next_step(here)
        return None
    finally:
        bar.empty()


def explanation_next_step(here: CasePage) -> None:
    """How to enable explanations of a version without a model file."""
    if not here.row.version.artifact:
        st.caption(
            "No model file is registered for this version: no explanations, what-if or replay. "
            "Register it with --artifact, or log attributions with each prediction."
        )


def _contrast_details(here: CasePage, found: AttributionContrast) -> None:
    """The waterfall of one contrast, its sentences, stability and provenance."""
    unit = explanations.SPACES.get(found.link, "units of the score")
    if not found.adds_up:
        residual = formatting.format_number(found.residual)
        st.markdown(status_line("unknown", f"base value and attributions miss the output by {residual}.", "Not drawn"))
    else:
        rows = waterfall_rows(found)
        said = " ".join(found.words) or "Attributions of the score."
        frame.chart_with_table(
            charts_case.attribution_waterfall(rows, unit=unit),
            rows[["label", "attribution", "start", "end", "error"]],
            key=f"waterfall-{found.against}",
            alt=said,
            metrics=("attribution_share",),
            columns={"label": "Feature", "attribution": "Attribution", "start": "From", "end": "To", "error": "Standard error"},
            on_select=lambda: open_clicked_feature(here, found, len(rows)),
        )
        st.caption(
            formatting.escape_markdown(f"{AGAINST[found.against].capitalize()} at the top, this case at the bottom.")
            + " Click a bar for the dependence of that feature."
        )
    for sentence in found.words:
        st.markdown(formatting.sentence_markdown(sentence))
    if found.stability:
        stars = "★" * found.stability.stars + "☆" * (5 - found.stability.stars)
        because = formatting.sentence_markdown(formatting.with_full_stop(found.stability.because))
        st.markdown(f"**Stability {stars}** {found.stability.stars} of 5\\. {because}")
    rows_ = f", {found.background_rows:,} rows" if found.background_rows else ""
    got = (here.row.probabilities or {}).get(found.class_name or "")
    share = f", probability {formatting.format_share(float(got))}" if got is not None else ""
    plain_caption(
        f"Base value {formatting.format_number(found.base_value, 4)}: {found.background}{rows_}. "
        f"Output {formatting.format_number(found.output, 4)}, {explanation_sentences.left_over(found.residual)}. "
        f"{found.source.capitalize()}, {found.basis}, by {explanation_sentences.method(found.method)}."
        + (f" Of the class {found.class_name}{share}." if found.class_name else "")
    )
    if found.note:
        st.caption(formatting.sentence_markdown(found.note))
    first = next(iter(found.bars), None)
    if first is not None:
        target = links.link_cell("", "explanations", week_scope(here), feature=first.feature, id=here.row.id)["go"]
        label = f"Dependence on {first.feature[:40]}"
        link_button(label, target, key=here.key("dependence"), icon="lightbulb")


def open_clicked_feature(here: CasePage, found: AttributionContrast, count: int) -> None:
    """Open the dependence of the clicked feature, with this case marked. Base, residual and others are not linked."""
    chosen = st.session_state.get(f"waterfall-{found.against}") or {}
    for point in chosen.get("selection", {}).get("points", []):
        place = clicks.row_of_mark(point, "y", count)
        bar = count - 2 - place if place is not None else -1  # the first row is the base value
        if 0 <= bar < min(len(found.bars), MOST_BARS):
            links.follow_link(links.link_cell("", "explanations", week_scope(here), feature=found.bars[bar].feature, id=here.row.id)["go"])
            return


def waterfall_rows(found: AttributionContrast) -> "DataFrame":
    """The rows of the waterfall from the top: base, the largest features, others, residual, output."""
    import pandas as pd

    at = found.base_value
    rows = [("base value", at, at, 0.0, float("nan"), "base")]
    shown, rest = found.bars[:MOST_BARS], found.bars[MOST_BARS:]
    for each in shown:
        error = float("nan") if each.standard_error is None else each.standard_error
        rows.append((f"{each.feature} = {input_value_words(each.value)}", at, at + each.attribution, each.attribution, error, "feature"))
        at += each.attribution
    if rest:
        total = sum(each.attribution for each in rest)
        rows.append((f"{len(rest)} others", at, at + total, total, float("nan"), "rest"))
        at += total
    if abs(found.residual) > NEGLIGIBLE_RESIDUAL * max(abs(found.output - found.base_value), 1e-12):
        rows.append(("residual", at, at + found.residual, found.residual, float("nan"), "residual"))
        at += found.residual
    rows.append(("this case", found.output, found.output, 0.0, float("nan"), "output"))
    return pd.DataFrame(rows, columns=["label", "start", "end", "attribution", "error", "kind"])
