"""Figures of the pages about scores, explanations, runs and forms, in the states of the gallery (charts/gallery.py), with invented
values.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from observability.dashboard.charts import (
    augmentation,
    calibration,
    case,
    controllers,
    domain,
    energy,
    estimates,
    explanations,
    outcomes,
    programme,
    runs,
    storage,
    suggestions,
    trade_offs,
)
from observability.dashboard.charts.gallery_states import state_frame
from observability.stats.interval import Interval


def _groups(state: str) -> pd.DataFrame:
    return state_frame(state).rename(columns={"value": "rate"}).assign(score=lambda frame: np.arange(len(frame)) / 6)


def _rows(state: str, **columns: object) -> pd.DataFrame:
    """A frame with its rows numbered in `at`, from 1."""
    frame = state_frame(state, **columns)
    return frame.assign(at=np.arange(1, len(frame) + 1))


def _regression(state: str) -> go.Figure:
    return calibration.regression_calibration_lines(_groups(state))


def _planned(state: str) -> go.Figure:
    return controllers.outcome_calibration(_groups(state), "minutes")


def _ice(state: str) -> go.Figure:
    frame = _rows(state).rename(columns={"value": "score"}).assign(value=lambda rows: rows["at"])
    return case.ice_curve(frame, feature="distance", kind="numeric", at=2, score=0.55, edge=0.5, share=False)


def _separable(state: str) -> go.Figure:
    frame = state_frame(state, severity="watch").rename(columns={"value": "auc"})
    return domain.domain_auc_scale(frame, null_low=0.48, null_high=0.52, limits={"watch": 0.6, "act": 0.7})


def _batches(state: str) -> go.Figure:
    return energy.batch_energy_lines(_rows(state, form="onnx", source="measured").rename(columns={"at": "batch"}))


def _estimated(state: str) -> go.Figure:
    frame = state_frame(state)
    measured = {
        "measured": frame["value"],
        "measured_low": frame["low"],
        "measured_high": frame["high"],
        "estimated": frame["value"] * 0.98,
    }
    return estimates.estimated_metric_lines(frame.assign(**measured), name="Accuracy", unit="", baseline=0.6)


def _importance_by_day(state: str) -> go.Figure:
    frame = state_frame(state, feature="distance").rename(columns={"value": "share"})
    return explanations.importance_over_time(frame, features=["distance"], step="day")


def _coverage(state: str) -> go.Figure:
    frame = state_frame(state, coverage=0.7, accepted=90)
    frame = frame.assign(confidence=np.arange(len(frame)) / 6)
    return suggestions.accuracy_coverage_curve(frame, 0.5, Interval(0.05, 0.03, 0.08, 400))


def _forms(state: str) -> go.Figure:
    frame = _rows(state, group="Pareto front", text="a form").rename(columns={"at": "x", "name": "form"})
    return trade_offs.form_scatter(frame, x="milliseconds", y="changed decisions", share=False, budget=4.0, most_flips=0.6)


def _augmentations(state: str) -> go.Figure:
    frame = state_frame(state, effect=augmentation.EFFECTS[0][0], text="an augmentation")
    sides = {side: frame[column] for side, column in (("", "value"), ("_low", "low"), ("_high", "high"))}
    return augmentation.affinity_scatter(
        frame.assign(**{f"{axis}{side}": values for axis in ("affinity", "diversity") for side, values in sides.items()})
    )


def _error_steps(state: str) -> go.Figure:
    frame = _rows(state).rename(columns={"value": "current"})
    ends = {"low": (frame["at"] - 4) * 10.0, "high": (frame["at"] - 3) * 10.0}
    return outcomes.error_histogram(frame.assign(step=frame["at"].astype(str), **ends), "minutes")


def _programme(state: str) -> go.Figure:
    frame = state_frame(state, measure="kept", unit="share", words="4 of 6")
    frame = frame.assign(month=pd.date_range("2026-01-01", periods=len(frame), freq="MS"))
    return programme.programme_panels(frame, {"kept": "Actions done in time"}, few=5)


def _curves(state: str) -> go.Figure:
    frame = _rows(state, run="r1", part="training").rename(columns={"at": "step"})
    frame = frame.assign(x=frame["step"], smoothed=frame["value"])
    marks = pd.DataFrame({"run": ["r1"], "x": [3], "value": [0.71], "kind": ["best"], "what": ["best"]}).head(len(frame))
    return runs.training_curve_lines(frame, marks, name="loss", x="step", log=False)


def _stored(state: str) -> go.Figure:
    frame = _rows(state, lossless=False).rename(columns={"name": "form", "value": "change"})
    return storage.storage_forms_chart(frame.assign(bytes=frame["at"] * 1e6), change="Largest change of a score")


MODEL_FIGURES: dict[str, Callable[[str], go.Figure]] = {
    "Calibration of a regression": _regression,
    "Outcomes against the plan": _planned,
    "One feature changed": _ice,
    "Separability": _separable,
    "Energy by batch size": _batches,
    "Estimated performance": _estimated,
    "Importance by day": _importance_by_day,
    "Accuracy by coverage": _coverage,
    "Forms of a model": _forms,
    "Augmentations": _augmentations,
    "Errors": _error_steps,
    "Programme": _programme,
    "Training curves": _curves,
    "Storage forms": _stored,
}
