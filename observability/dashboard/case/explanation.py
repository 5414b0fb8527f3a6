"""The explanation of a case's score: a waterfall against one of three backgrounds, its stability, and sentences.

Logged and stored attributions are shown at once. Others are computed in the worker after the rest of the page, and stored for the session.
Latent features, such as the components of a text, are shown as one bar, because a single one has no meaning.
"""

import time
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import clicks, frame, links, load
from observability.dashboard.case import load_case
from observability.dashboard.case.case import CasePage
from observability.dashboard.case.inputs import input_value_words, week_scope
from observability.dashboard.charts import case as charts_case
from observability.dashboard.table import Cell
from observability.dashboard.trust import explanations
from observability.dashboard.widgets import link_button, plain_caption, progress_bar, status_line, unavailable_note
from observability.investigation import explanation_sentences
from observability.investigation.case_parts import Progress
from observability.investigation.latent_inputs import TOGETHER, latent_bars_together, named_and_other_bars
from observability.investigation.model_answers import AGAINST, Against, AttributionContrast, Contrasts

Answer = TypeVar("Answer")
MAX_BARS, FEW_BARS = 8, 5
"""Maximum number of features that are named in the waterfall of the section, and in the small one of the first screen; the others form one
bar.
"""
NEGLIGIBLE_RESIDUAL = 1e-3
"""A residual is not drawn if it is below this share of the difference between output and base value."""


def explanation_section(here: CasePage) -> None:
    """Draw the attributions relative to the chosen background, and a button that computes those for the other backgrounds."""
    names, words = list(AGAINST), (lambda name: f"against {AGAINST[name]}")
    box: dict[str, Any] = {"default": "average", "required": True, "key": here.key("against")}
    chosen: Against = st.segmented_control("Background", names, format_func=words, **box) or "average"
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
    """Whether attributions are known, so that nothing must be computed."""
    return session_contrasts(here) is not None or load_case.known_contrast(here.opened) is not None


def important_features(here: CasePage) -> list[str]:
    """The features by their known attributions, largest first; if none are known, by their attributions over all cases of the version."""
    held = session_contrasts(here)
    found = held.average if held else load_case.known_contrast(here.opened)
    return [bar.feature for bar in found.bars] if found else list(load_case.top_case_features(here.opened))


def session_contrasts(here: CasePage) -> Contrasts | None:
    """The attributions that this session computed."""
    found = st.session_state.get(here.key("contrasts"))
    return found if isinstance(found, Contrasts) else None


def computed_with_progress(here: CasePage, ask: Callable[[Progress], Answer]) -> Answer | None:
    """The result of `ask`, while its progress is drawn. If it fails, draw the reason and return None."""
    began = time.monotonic()
    with progress_bar("Starting the model process") as note:
        try:
            return ask(lambda share, words: note(share, f"{words} ({time.monotonic() - began:.0f} s)"))
        except ObservabilityError as error:
            if here.row.version.artifact:
                unavailable_note(error)
            explanation_next_step(here)
            return None


def explanation_next_step(here: CasePage) -> None:
    """Draw how explanations can be enabled for a version without a model file."""
    if not here.row.version.artifact:
        st.caption(
            "No model file is registered for this version: no explanations, what-if or replay. "
            "Register it with --artifact, or log attributions with each prediction."
        )


def score_waterfall(here: CasePage, most: int = FEW_BARS) -> None:
    """Draw the small waterfall of the first screen, relative to the average; it is computed in the worker if it is not known. most: number
    of bars for features.
    """
    held = session_contrasts(here)
    found = held.average if held else load_case.known_contrast(here.opened)
    if found is None:
        found = computed_with_progress(here, lambda note: load_case.average_contrast(here.opened, note))
    if found is not None:
        _contrast_figure(here, found, most, "waterfall-average")


def _contrast_figure(here: CasePage, found: AttributionContrast, most: int, key: str) -> None:
    """Draw the waterfall of attributions with a limited number of named features; if it cannot be drawn, draw the reason."""
    if found.mismatch:
        st.markdown(status_line("watch", found.mismatch, "Other scores"))
    if not found.adds_up:
        residual = formatting.format_number(found.residual)
        st.markdown(status_line("unknown", f"base value and attributions miss the output by {residual}.", "Not drawn"))
        return
    rows = waterfall_rows(found, most)
    columns = {"label": "Feature", "attribution": "Attribution", "start": "From", "end": "To", "error": "Standard error"}
    frame.chart_with_table(
        charts_case.attribution_waterfall(rows, unit=_output_unit(here, found)),
        rows[list(columns)],
        key=key,
        alt=" ".join(found.words) or "Attributions of the score.",
        metrics=("attribution_share",),
        columns=columns,
        on_select=lambda: open_clicked_feature(here, key, rows),
    )


def _output_unit(here: CasePage, found: AttributionContrast) -> str:
    """The unit of the axis: the unit in a regression's settings if the output is the value itself, else the unit of the link's space."""
    own = here.row.model.settings.unit if here.row.model.task == "regression" and found.link == "identity" else ""
    return own or explanations.SPACES.get(found.link, "units of the score")


def _contrast_details(here: CasePage, found: AttributionContrast) -> None:
    """Draw the waterfall of attributions, their sentences, their stability and how they were computed."""
    _contrast_figure(here, found, MAX_BARS, f"why-{found.against}")
    if found.adds_up:
        plain_caption(
            f"{AGAINST[found.against].capitalize()} at the top, this case at the bottom. Click a bar for the dependence of that feature."
        )
    for sentence in found.words:
        st.markdown(formatting.sentence_markdown(sentence))
    if found.stability:
        stars = "★" * found.stability.stars + "☆" * (5 - found.stability.stars)
        because = formatting.sentence_markdown(formatting.with_full_stop(found.stability.because))
        st.markdown(f"**Stability {stars}** {found.stability.stars} of 5\\. {because}")
    rows_ = f", {found.background_rows:,} rows" if found.background_rows else ""
    share = logged_share_words(found, (here.row.probabilities or {}).get(found.class_name or ""))
    plain_caption(
        f"Base value {formatting.format_number(found.base_value, 4)}: {found.background}{rows_}. "
        f"Output {formatting.format_number(found.output, 4)}, {explanation_sentences.residual_words(found.residual)}. "
        f"{found.source.capitalize()}, {found.basis}, by {explanation_sentences.method_name(found.method)}."
        + (f" Of the class {found.class_name}{share}." if found.class_name else "")
    )
    if found.note:
        st.caption(formatting.sentence_markdown(found.note))
    state = load.explanation_state(here.row.model.name, here.row.version.name)
    first = first_explained_feature(found, state.features if state else ())
    if first is not None:
        link_button(f"Dependence on {first[:40]}", dependence_link(here, first), key=here.key("dependence"), icon="lightbulb")


def first_explained_feature(found: AttributionContrast, explained: Collection[str]) -> str | None:
    """Among the explained features of the version, the single feature with the largest attribution; None if there is none.

    explained: the names of the explained features. If it is empty, nothing has been explained yet, and any feature may be returned.
    """
    bars = (bar for bar in latent_bars_together(found.bars) if bar.value is not TOGETHER)
    return next((bar.feature for bar in bars if not explained or bar.feature in explained), None)


def logged_share_words(found: AttributionContrast, logged: float | None) -> str:
    """The logged probability of the explained class, as a clause after its name. If the model file gives another probability, the clause
    says so.
    """
    if logged is None:
        return ""
    share = formatting.format_share(float(logged))
    return f"; its logged probability, {share}, is not that of this output" if found.mismatch else f", probability {share}"


def dependence_link(here: CasePage, feature: str) -> Cell:
    """The link to the dependence on a feature in the week of the case, with the case marked."""
    return links.link_cell("", "explanations", week_scope(here), feature=feature, id=here.row.id)


def open_clicked_feature(here: CasePage, key: str, rows: pd.DataFrame) -> None:
    """Open the dependence on the clicked feature, with this case marked. Only bars of a single feature are linked.

    key: key of the chart; rows: the drawn rows, from the top.
    """
    for point in clicks.clicked_points(key):
        place = clicks.row_of_mark(point, "y", len(rows))
        feature = rows["feature"].iloc[len(rows) - 1 - place] if place is not None else None
        if feature:
            links.follow_link(dependence_link(here, feature)["go"])
            return


def waterfall_rows(found: AttributionContrast, most: int = MAX_BARS) -> pd.DataFrame:
    """The rows of the waterfall from the top: base value, the largest features, latent features together, all others, residual, output.

    most: number of bars for features. The column `feature` has the feature's name if a bar is a single feature, else "".
    """
    shown, rest = named_and_other_bars(latent_bars_together(found.bars), most)
    parts: list[tuple[str, float, float | None, str, str]] = []
    for bar in shown:
        if bar.value is TOGETHER:
            parts.append((bar.feature, bar.attribution, None, "latent", ""))
        else:
            parts.append((f"{bar.feature} = {input_value_words(bar.value)}", bar.attribution, bar.standard_error, "feature", bar.feature))
    parts += [(f"{len(rest)} others", sum(bar.attribution for bar in rest), None, "rest", "")] if rest else []
    if abs(found.residual) > NEGLIGIBLE_RESIDUAL * max(abs(found.output - found.base_value), 1e-12):
        parts.append(("residual", found.residual, None, "residual", ""))
    at = found.base_value
    rows: list[tuple[Any, ...]] = [("base value", at, at, 0.0, None, "base", "")]
    for label, attribution, error, kind, feature in parts:
        rows.append((label, at, at + attribution, attribution, error, kind, feature))
        at += attribution
    rows.append(("this case", found.output, found.output, 0.0, None, "output", ""))
    return pd.DataFrame(rows, columns=["label", "start", "end", "attribution", "error", "kind", "feature"]).astype({"error": float})
