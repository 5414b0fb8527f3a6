"""Figures of the pages about scores, explanations, runs and forms, in the states of the gallery (charts/gallery.py), with invented
values.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from observability.core.window import Window
from observability.dashboard.charts import (
    augmentation,
    calibration,
    case,
    controllers,
    domain,
    energy,
    estimates,
    explanations,
    lab,
    labels,
    lineage,
    outcomes,
    programme,
    runs,
    storage,
    suggestions,
    trade_offs,
)
from observability.dashboard.charts.gallery_states import START, state_frame
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


def _reliability(state: str) -> go.Figure:
    groups = _groups(state)
    ends = {"low": groups["score"], "high": groups["score"] + 1 / 6}
    return calibration.reliability_diagram(groups, groups.assign(**ends), groups, score="mean score", truth="observed rate")


def _noise(state: str) -> go.Figure:
    sides = state_frame(state, null_mean=0.02, null_95=0.04).rename(columns={"value": "ece"})
    return calibration.ece_null_strip(sides.head(2).assign(name=["now", "reference"][: len(sides)]))


def _attributions(state: str) -> pd.DataFrame:
    """Twenty explained predictions for each row of a state, with the columns that the figures of attributions read."""
    frame = state_frame(state).rename(columns={"name": "feature", "value": "attribution"})
    rows = frame.loc[np.repeat(frame.index, 20)].reset_index(drop=True)
    place = rows.index.to_numpy() % 20
    known: dict[str, Any] = {
        "id": [f"p{number}" for number in rows.index],
        "raw": place.astype(float),
        "rank": place / 19,
        "value": place.astype(str),
    }
    return rows.assign(attribution=rows["attribution"].fillna(0.0) * (place - 8) / 10, **known)


def _beeswarm(state: str) -> go.Figure:
    frame = _attributions(state)
    return explanations.attribution_beeswarm(frame, features=list(frame["feature"].unique()), unit="log odds")


def _dependence(state: str) -> go.Figure:
    return explanations.dependence_plot(_attributions(state), feature="distance", kind="number", unit="log odds")


def _maturity(state: str) -> go.Figure:
    frame = state_frame(state, usual=0.9, final=0.95)
    shown = frame.assign(share=frame["value"].clip(0, 0.9), labelled=frame["n"] * 0.6)
    begin = START.tz_localize("UTC").to_pydatetime()
    return labels.label_maturity_bars(shown, Window("loan", begin + timedelta(days=3), begin + timedelta(days=6)), 0.8, "watch")


def _lineage(state: str) -> go.Figure:
    frame = state_frame(state, kind="dataset", hover="a thing", hidden=0).rename(columns={"name": "label"})
    places = np.arange(len(frame))
    tree = frame.assign(
        address=frame["label"], distance=np.minimum(places, 3), place=places, above=np.where(places > 0, places - 1.0, np.nan)
    )
    return lineage.lineage_tree(tree, pd.DataFrame({"from": [0], "to": [2]}).head(max(len(frame) - 2, 0)))


def _parameters(state: str) -> go.Figure:
    frame = state_frame(state)
    return runs.parallel_coordinates(
        pd.DataFrame({"run": frame["name"], "rate": frame["value"], "optimizer": frame["name"], "log_loss": frame["value"]}),
        metric="log_loss",
    )


def _stragglers(state: str) -> go.Figure:
    frame = state_frame(state)
    own = np.outer(frame["value"].abs().fillna(0.0), np.linspace(1, 2, 12))
    return runs.rank_step_heatmap(own, list(frame["name"]), list(range(1, 13)))


def _attribution_steps(state: str) -> go.Figure:
    frame = state_frame(state, kind="feature", error=np.nan).rename(columns={"name": "label"})
    moved = frame["value"].fillna(0.0)
    return case.attribution_waterfall(
        frame.assign(attribution=moved, start=moved.cumsum().shift(fill_value=0.0), end=moved.cumsum()), unit="log odds"
    )


def _fault(state: str) -> go.Figure:
    frame = _rows(state, severity="watch", because="It drifted.", also_without_fault=False)
    return lab.fault_timeline(frame.rename(columns={"name": "what", "at": "day"}), 7)


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
    "Reliability diagram": _reliability,
    "Sampling noise": _noise,
    "Direction of features": _beeswarm,
    "Dependence": _dependence,
    "Label maturity": _maturity,
    "Lineage": _lineage,
    "Parameters of runs": _parameters,
    "Ranks by step": _stragglers,
    "Attributions of a prediction": _attribution_steps,
    "Planted fault": _fault,
}
