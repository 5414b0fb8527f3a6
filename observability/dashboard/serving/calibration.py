"""The calibration page: reliability diagram, ECE compared with sampling noise, and ECE over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.questions import Bucket
from observability.dashboard import clicks, distributions, frame, load, time_series
from observability.dashboard.charts import calibration as charts_calibration
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.frame import ModelPage
from observability.dashboard.widgets import main_finding_lines, plain_caption, plain_paragraph
from observability.metrics.reliability import (
    CalibrationErrors,
    calibration_errors,
    daily_scored_rows,
    ece_by_period,
    score_question,
    scored_rows,
)
from observability.stats.calibration import brier_decomposition
from observability.stats.scores import SCORE_EDGES, bin_middles

STEPS = 40
"""Number of equal steps of the score for the counts below the diagram."""


@dataclass(frozen=True)
class CalibrationSides:
    """Calibration now and in the reference if there is one.

    counts: the counts of the window by day. decided: the class to which the decisions of these rows are limited; None for all classes.
    """

    now: CalibrationErrors
    before: CalibrationErrors | None
    counts: pd.DataFrame
    decided: str | None = None


def decided_class_box(here: ModelPage) -> str | None:
    """Draw the box for the decided class of a multiclass model, and return the chosen class; None for all classes."""
    if here.model.task != "multiclass":
        return None
    missing = "The link names the class {}, which this model does not have."
    return address_selectbox("class", "Decided class", here.model.classes, placeholder="All classes", width=280, missing=missing)


def calibration_sides(here: ModelPage, decided: str | None = None) -> CalibrationSides | None:
    """Calibration of all rows, or only of the rows decided as one class; None if no row is labelled."""
    window, reference = distributions.compared_windows(here.model, here.window)
    counts = _decided_as(here, frame.answer_or_stop(lambda: load.ask_store(score_question(here.model, Bucket("day")), window)), decided)
    now = calibration_errors(scored_rows(here.model, counts))
    if now is None:
        return None
    before = None
    if reference is not None:
        rows = _decided_as(here, load.ask_store(score_question(here.model), reference), decided)
        before = calibration_errors(scored_rows(here.model, rows))
    return CalibrationSides(now, before, counts, decided)


def _decided_as(here: ModelPage, counts: pd.DataFrame, decided: str | None) -> pd.DataFrame:
    """The counts of the rows that were decided as one class; all counts if `decided` is None."""
    return counts if decided is None else counts[counts["decision"] == here.model.classes.index(decided)].reset_index(drop=True)


def class_confidence_sentence(both: CalibrationSides) -> None:
    """Draw accuracy and mean confidence of the decisions for one class; draws nothing if all classes are shown."""
    if both.decided is None:
        return
    rows = both.now.scored
    confidence, accuracy = (
        formatting.format_share(float(part.sum() / rows.total.sum())) for part in (rows.total * bin_middles(), rows.positive)
    )
    words = f"`{both.decided}`: accuracy {accuracy}, mean confidence {confidence}, {rows.n:,} labelled predictions."
    st.markdown(formatting.sentence_markdown(words))


def calibration_claims(found: Sequence[Finding]) -> str:
    """Draw the main finding and the findings that need action. Returns the sentence of the main finding as plain text, for use as the
    alternative text of the charts.
    """
    main_finding_lines([each for each in found if each is found[0] or each.needs_action])
    return found[0].because.replace("`", "")


def _groups_frame(side: CalibrationErrors | None) -> pd.DataFrame:
    """One row for each group of equal mass: score, rate, low, high, n."""
    columns = ["score", "rate", "low", "high", "n"]
    if side is None:
        return pd.DataFrame(columns=columns, dtype=float)
    rows = pd.DataFrame({name: getattr(side.groups, name) for name in columns})
    return rows[rows["n"] > 0].reset_index(drop=True)


def _score_step_counts(side: CalibrationErrors) -> pd.DataFrame:
    """The number of labelled rows in equal steps of the score: low, high, n."""
    place = np.minimum((bin_middles() * STEPS).astype(int), STEPS - 1)
    ends = np.arange(STEPS + 1) / STEPS
    return pd.DataFrame({"low": ends[:-1], "high": ends[1:], "n": np.bincount(place, side.scored.total, STEPS)})


def reliability_section(here: ModelPage, both: CalibrationSides, alt: str) -> None:
    """Draw the reliability diagram, with the counts below it."""
    groups, before = _groups_frame(both.now), _groups_frame(both.before)
    score, truth = ("score", "observed rate") if here.model.task == "binary" else ("confidence (largest probability)", "accuracy")
    figure = charts_calibration.reliability_diagram(groups, _score_step_counts(both.now), before, score=score, truth=truth)
    twin = pd.concat([groups.assign(side="now"), before.assign(side="reference")], ignore_index=True)
    on_mark = clicks.cases_on_click("reliability", lambda point: cases_of_reliability_mark(here, point, both))
    frame.chart_with_table(figure, twin, key="reliability", alt=alt, metrics=("ece", "ecce"), on_select=on_mark)


def cases_of_reliability_mark(here: ModelPage, point: clicks.Point, both: CalibrationSides) -> clicks.CaseQuery | None:
    """The predictions in a clicked group of equal mass, or in a clicked step of the counts; None for a mark of the reference."""
    at, text = point.get("x"), str(point.get("customdata") or "")
    if not isinstance(at, int | float) or text.startswith("reference"):
        return None
    if text.startswith("now"):
        groups = both.now.groups
        nearest = int(np.abs(groups.score - at).argmin())
        edges = [None, *SCORE_EDGES.tolist(), None]
        q = clicks.range_condition("score", edges[int(groups.first[nearest])], edges[int(groups.last[nearest]) + 1])
    else:
        step = min(int(at * STEPS), STEPS - 1)
        q = clicks.range_condition("score", step / STEPS, (step + 1) / STEPS if step + 1 < STEPS else None)
    parts = [q, "label != null", *((clicks.equality_condition("answer", both.decided),) if both.decided else ())]
    return clicks.CaseQuery(here.scope, " and ".join(str(part) for part in parts), clicks.LARGEST) if all(parts) else None


def ece_null_section(both: CalibrationSides) -> None:
    """Draw the ECE compared with sampling noise, and the decomposition of the Brier score."""
    rows = [
        {"name": name, **{key: getattr(side.ece, key) for key in ("value", "low", "high", "null_mean", "null_95", "n")}}
        for name, side in (("now", both.now), ("reference", both.before))
        if side is not None
    ]
    twin = pd.DataFrame(rows).rename(columns={"value": "ece"})
    error = both.now.ece
    relation = "above" if error.value > error.null_95 else "within"
    noise = f"{relation} sampling noise (95 % point {formatting.format_share(error.null_95)})"
    words = f"ECE {formatting.format_share(error.value)}, {noise}."
    plain_paragraph(words)
    frame.chart_with_table(charts_calibration.ece_null_strip(twin), twin, key="against-chance", alt=words, metrics=("ece",))
    reliability, resolution, uncertainty = brier_decomposition(both.now.groups)
    total, *parts = (
        formatting.format_number(part) for part in (reliability - resolution + uncertainty, uncertainty, resolution, reliability)
    )
    plain_caption(
        f"Brier score of the groups {total} = uncertainty {parts[0]} − resolution {parts[1]} + reliability {parts[2]} (Murphy 1973)."
    )
    st.caption("Scores are binned: each figure is within 0.0025 of that of the raw scores.")


def ece_over_time_section(here: ModelPage, both: CalibrationSides) -> None:
    """Draw the ECE by day, or by week if days hold too few labels."""
    twin = pd.DataFrame(ece_by_period(daily_scored_rows(here.model, both.counts)))
    known = 0 if twin.empty else int(twin["ece"].notna().sum())
    if known < 2:
        st.caption("Too few labelled days; choose a longer window.")
        return
    twin["period"] = pd.to_datetime(twin["period"])
    twin = twin.astype(dict.fromkeys(["ece", "low", "high", "null_95", "n"], float))
    above = int((twin["ece"] > twin["null_95"]).sum())
    words = f"ECE above sampling noise on {above} of {known} {'days' if twin['days'].iloc[0] == 1 else 'weeks'}."
    plain_paragraph(words)
    figure = charts_calibration.ece_trend(twin, time_series.chart_event_marks(here.model.name, here.window))
    on_mark = clicks.periods_on_click("trend", here, twin["period"], "label != null", clicks.LARGEST)
    frame.chart_with_table(figure, twin, key="trend", alt=words, metrics=("ece",), on_select=on_mark)


def regression_calibration_section(finding: Finding) -> None:
    """Draw the truth against the prediction of a regression, by tenths of the sampled predictions."""
    groups, before = (_evidence_groups(finding.evidence.get(key)) for key in ("groups", "groups_before"))
    if not len(groups):
        return
    sides = [groups.assign(side="now"), *([before.assign(side=finding.against)] if len(before) else [])]
    figure, twin = charts_calibration.regression_calibration_lines(groups, before), pd.concat(sides, ignore_index=True)
    frame.chart_with_table(figure, twin, key="reliability", alt=finding.because.replace("`", ""), metrics=("calibration_slope", "bias"))
    st.caption(f"From a sample of {finding.n:,} labelled predictions (smallest hashes of their ids).")


def _evidence_groups(rows: Any) -> pd.DataFrame:
    """The groups in a finding's evidence as a table: score, rate, low, high, n."""
    return pd.DataFrame(rows or [], columns=["score", "rate", "low", "high", "n"], dtype=float)
