"""Compare the chosen runs: curves of one metric, parameters, and the runs of a study."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.analyzers.training.runs import RunVerdict
from observability.core import formatting
from observability.core.finding import needs_action
from observability.core.time import naive_utc
from observability.dashboard import frame
from observability.dashboard.charts import runs as charts_runs
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.scope import BIND
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.training import runs
from observability.metrics.training_curves import MetricCurve, TrainingRun
from observability.metrics.training_metric_names import base_metric, data_part, data_prefix
from observability.stats.curve import exponential_moving_average

MAX_PARAMETERS = 8
MANY_RUNS = 3
"""Parallel coordinates are drawn only for more runs than this."""
AXES = ("Step", "Time")


def _metrics_of_runs(chosen: Sequence[RunVerdict]) -> list[str]:
    """The metrics of the chosen runs, without the name of the data part (such as validation); main metrics first."""
    found = [base_metric(each.name) for judged in chosen if (each := judged.run.main()) is not None]
    found += [base_metric(name) for judged in chosen for name in judged.run.curves]
    return list(dict.fromkeys(found))


def shared_metric(chosen: Sequence[RunVerdict]) -> str | None:
    """The metric that most runs have as their main metric; None if no run has one."""
    names = [each.name for judged in chosen if (each := judged.run.main()) is not None]
    return max(sorted(set(names)), key=names.count) if names else None


def run_curves_section(chosen: Sequence[RunVerdict]) -> None:
    """Draw the boxes for metric, smoothing, axis and scale, and the chart of the curves."""
    names = _metrics_of_runs(chosen)
    if not names:
        st.caption("These runs logged no metric by step.")
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        asked = st.query_params.get("metric")
        if asked and asked not in names and base_metric(asked) in names:
            st.query_params["metric"] = base_metric(asked)
        missing = "The link names the metric {}, which these runs do not have."
        metric = address_selectbox("metric", "Metric", names, placeholder=names[0], width=220, missing=missing)
        words = "Weight of the past in a moving average; 0: as logged"
        weight = st.slider("Smoothing", 0.0, 0.98, 0.6, 0.02, key="smooth", bind=BIND, width=220, help=words)
        axis = st.segmented_control("Horizontal axis", AXES, default=AXES[0], key="axis", bind=BIND)
        log = st.toggle("Logarithmic scale", key="log", bind=BIND)
    metric = metric or names[0]
    rows = curve_frame(chosen, metric, weight, by_time=axis == AXES[1])
    marks = mark_frame(chosen, metric, by_time=axis == AXES[1])
    positive = bool((rows["value"].dropna() > 0).all())
    if log and not positive:
        st.caption("Linear scale: some values are not positive.")
    unit = "seconds since the start" if axis == AXES[1] else "step"
    figure = charts_runs.training_curve_lines(rows, marks, name=metric, x=unit, log=log and positive)
    longest = int(rows.groupby(["run", "part"]).size().max())
    metrics = ("best_metric", "metric_spike", "plateau_share", "overfitting_gap")
    frame.chart_with_table(figure, rows, key="curves", alt=_curves_alt_text(chosen, metric), metrics=metrics)
    if longest > charts_runs.MAX_POINTS:
        st.caption(f"Chart: minimum and maximum of each stretch of {longest:,} steps. Table and CSV: all.")


def _curves_of_metric(each: TrainingRun, metric: str) -> list[MetricCurve]:
    """The curves of one metric of a run, both on held-out and on training rows."""
    return [curve for name, curve in each.curves.items() if base_metric(name) == metric]


def _seconds_since_start(each: TrainingRun, curve: MetricCurve) -> Any:
    """For each step of a curve, the seconds since the start of the run."""
    start = np.datetime64(naive_utc(each.first), "us")
    return (curve.at - start).astype(float) / 1e6


def curve_frame(chosen: Sequence[RunVerdict], metric: str, weight: float, *, by_time: bool) -> pd.DataFrame:
    """Every step of the chosen runs' curves of one metric: run, part, metric, step, x, value, smoothed."""
    parts = []
    for judged in chosen:
        for curve in _curves_of_metric(judged.run, metric):
            held_out = data_part(curve.name) == "held out"
            shown = "training" if not held_out else data_prefix(curve.name) if _has_several_parts(judged.run, metric) else "held out"
            smoothed = exponential_moving_average(curve.values, weight)
            x = _seconds_since_start(judged.run, curve) if by_time else curve.steps
            names = {"run": judged.run.name, "part": shown, "metric": curve.name}
            smoothed = np.where(np.isfinite(curve.values), smoothed, np.nan)
            parts.append(pd.DataFrame({**names, "step": curve.steps, "x": x, "value": curve.values, "smoothed": smoothed}))
    columns = ["run", "part", "metric", "step", "x", "value", "smoothed"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _has_several_parts(each: TrainingRun, metric: str) -> bool:
    """Whether a run logs a metric on more than one held-out part (validation and test)."""
    return sum(data_part(curve.name) == "held out" for curve in _curves_of_metric(each, metric)) > 1


def mark_frame(chosen: Sequence[RunVerdict], metric: str, *, by_time: bool) -> pd.DataFrame:
    """The marks on the curves: run, x, value, kind, what. Marked are the best value of each held-out curve (of each training curve, if the
    run has no held-out curve), and the steps that findings name.
    """
    rows: list[dict[str, Any]] = []

    def add(each: TrainingRun, curve: MetricCurve, step: int, kind: str, what: str) -> None:
        place = int(np.clip(np.searchsorted(curve.steps, step), 0, len(curve.steps) - 1))
        finite = np.flatnonzero(np.isfinite(curve.values))
        if len(finite):
            shown = int(finite[np.abs(finite - place).argmin()])
            x = float(_seconds_since_start(each, curve)[shown]) if by_time else float(curve.steps[shown])
            rows.append({"run": each.name, "x": x, "value": float(curve.values[shown]), "kind": kind, "what": what})

    for judged in chosen:
        known = {curve.name: curve for curve in _curves_of_metric(judged.run, metric)}
        judged_curves = [curve for curve in known.values() if curve.better and np.isfinite(curve.values).any()]
        held_out = [curve for curve in judged_curves if data_part(curve.name) == "held out"] or judged_curves
        for curve in held_out:
            place = curve.best()
            step = int(curve.steps[place])
            best = formatting.format_number(float(curve.values[place]), 4)
            add(judged.run, curve, step, "best", f"best {curve.name}: {best} at step {step:,}")
        for claim in judged.claims or ():
            curve_named = known.get(str(claim.evidence.get("metric")))
            at = next((claim.evidence[key] for key in ("first_step", "step", "since_step") if claim.evidence.get(key) is not None), None)
            if curve_named is not None and at is not None and needs_action(claim.severity):
                add(judged.run, curve_named, int(at), claim.severity, claim.because.replace("`", ""))
    return pd.DataFrame(rows, columns=["run", "x", "value", "kind", "what"])


def _curves_alt_text(chosen: Sequence[RunVerdict], metric: str) -> str:
    """A sentence with the best value of each curve, used as the alternative text of the chart."""
    said = []
    for judged in chosen:
        for curve in _curves_of_metric(judged.run, metric):
            if curve.better and np.isfinite(curve.values).any():
                place = curve.best()
                best = formatting.format_number(float(curve.values[place]), 4)
                said.append(f"{curve.name} of {judged.run.name} is best at step {int(curve.steps[place]):,} ({best})")
    return ("; ".join(said) or f"{metric} by step; its direction of improvement is unknown") + "."


def run_parameters_table(run: TrainingRun) -> None:
    """Draw the parameters of one run, and its seed."""
    values = dict(run.params) | ({"seed": run.seed} if run.seed else {})
    if not values:
        st.caption("No parameters logged.")
        return
    columns = [column("name", "Parameter", strong=True), column("value", "Value")]
    rows = [table_row({"name": {"t": name}, "value": {"t": parameter_text(value)}}) for name, value in sorted(values.items())]
    draw_table("parameters", "Parameters", columns, rows, compact=True)


def parameter_text(value: Any) -> str:
    """A parameter as logged, on one line."""
    return (
        formatting.DASH if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)[:80]
    )


def study_frame(members: Sequence[TrainingRun]) -> pd.DataFrame | None:
    """One row per run: run, up to 8 parameters that differ, and the best value of the most frequent main metric. None if no parameter
    differs, or if there are too few runs.
    """
    known = [(each, found) for each in members if (found := runs.best_value_of_run(each)) is not None]
    names = [curve.name for _, (curve, _) in known]
    if not names:
        return None
    metric = max(sorted(set(names)), key=names.count)
    kept = [(each, float(curve.values[place])) for each, (curve, place) in known if curve.name == metric]
    parameters_of = dict.fromkeys(name for each, _ in kept for name in each.params)
    differ = [
        name for name in parameters_of if len({json.dumps(each.params.get(name), sort_keys=True, default=str) for each, _ in kept}) > 1
    ]
    if not differ or len(kept) <= MANY_RUNS:
        return None
    rows = []
    for each, value in kept:
        own = {name: each.params.get(name) for name in differ[:MAX_PARAMETERS]}
        texts = {name: held if isinstance(held, int | float) else parameter_text(held) for name, held in own.items()}
        rows.append({"run": each.name, **texts, metric: value})
    return pd.DataFrame(rows)
