"""What do the chosen runs look like side by side: their curves, and the parameters in which they differ?"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from observability.analyzers.training.runs import Judged
from observability.core import formatting
from observability.core.finding import needs_action
from observability.core.time import naive_utc
from observability.dashboard import frame
from observability.dashboard.charts import runs as charts_runs
from observability.dashboard.choice_box import choose
from observability.dashboard.sidebar import BIND
from observability.dashboard.table import Cell, column, row, table
from observability.dashboard.training import runs
from observability.detection.study_noise import setting
from observability.metrics.training_curves import Curve, Run, base, part, prefix
from observability.stats.curve import smooth

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_PARAMETERS = 8
MANY_RUNS = 3
"""Parallel coordinates are drawn of a study with more runs than this."""
AXES = ("Step", "Time")


def metrics_of(chosen: Sequence[Judged]) -> list[str]:
    """Metrics of the chosen runs without their part of the data, those by which runs are known first."""
    found = [base(each.name) for judged in chosen if (each := judged.run.main()) is not None]
    found += [base(name) for judged in chosen for name in judged.run.curves]
    return list(dict.fromkeys(found))


def curves(chosen: Sequence[Judged]) -> None:
    """Boxes for metric, smoothing, axis and scale, and the chart that they lead to."""
    names = metrics_of(chosen)
    if not names:
        st.caption("No metric of any step was logged by these runs.")
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        asked = st.query_params.get("metric")
        if asked and asked not in names and base(asked) in names:
            st.query_params["metric"] = base(asked)
        metric = choose(
            "metric", "Metric", names, placeholder=names[0], width=220,
            missing="The link names the metric {}, which these runs do not have.",
        )  # fmt: skip
        weight = st.slider(
            "Smoothing",
            0.0,
            0.98,
            0.6,
            0.02,
            key="smooth",
            bind=BIND,
            width=220,
            help="Weight of the past in a moving average; 0 draws what was logged",
        )
        axis = st.segmented_control("Horizontal axis", AXES, default=AXES[0], key="axis", bind=BIND)
        log = st.toggle("Logarithmic scale", key="log", bind=BIND)
    metric = metric or names[0]
    rows = curve_frame(chosen, metric, weight, by_time=axis == AXES[1])
    marks = mark_frame(chosen, metric, by_time=axis == AXES[1])
    positive = bool((rows["value"].dropna() > 0).all())
    if log and not positive:
        st.caption("Some values are not positive, so the scale stays linear.")
    figure = charts_runs.curves(
        rows, marks, name=metric, x="seconds since the start" if axis == AXES[1] else "step", log=log and positive,
    )  # fmt: skip
    longest = int(rows.groupby(["run", "part"]).size().max())
    frame.chart(
        figure,
        rows,
        key="curves",
        alt=alternative(chosen, metric),
        metrics=("best_metric", "metric_spike", "plateau_share", "overfitting_gap"),
    )
    if longest > charts_runs.MOST_POINTS:
        st.caption(f"Of {longest:,} steps the lowest and highest of each stretch are drawn; the table and the CSV hold all that were read.")


def of_metric(each: Run, metric: str) -> list[Curve]:
    """The curves of a run of one metric: on held-out and on training rows."""
    return [curve for name, curve in each.curves.items() if base(name) == metric]


def since_start(each: Run, curve: Curve) -> Any:
    """Seconds from the start of a run to each step."""
    start = np.datetime64(naive_utc(each.first), "us")
    return (curve.at - start).astype(float) / 1e6


def curve_frame(chosen: Sequence[Judged], metric: str, weight: float, *, by_time: bool) -> "DataFrame":
    """run, part, metric, step, x, value, smoothed: every step of the chosen runs' curves of one metric."""
    import pandas as pd

    parts = []
    for judged in chosen:
        for curve in of_metric(judged.run, metric):
            held_out = part(curve.name) == "held out"
            shown = "training" if not held_out else prefix(curve.name) if several_parts(judged.run, metric) else "held out"
            smoothed = smooth(curve.values, weight)
            parts.append(
                pd.DataFrame(
                    {
                        "run": judged.run.name, "part": shown, "metric": curve.name, "step": curve.steps,
                        "x": since_start(judged.run, curve) if by_time else curve.steps, "value": curve.values,
                        "smoothed": np.where(np.isfinite(curve.values), smoothed, np.nan),
                    }
                )
            )  # fmt: skip
    columns = ["run", "part", "metric", "step", "x", "value", "smoothed"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def several_parts(each: Run, metric: str) -> bool:
    """Whether a run logs a metric on more than one held-out part (validation and test)."""
    return sum(part(curve.name) == "held out" for curve in of_metric(each, metric)) > 1


def mark_frame(chosen: Sequence[Judged], metric: str, *, by_time: bool) -> "DataFrame":
    """run, x, value, kind, what: the best value of each curve by which a metric is judged, and the steps that findings name."""
    import pandas as pd

    rows: list[dict[str, Any]] = []

    def add(each: Run, curve: Curve, step: int, kind: str, what: str) -> None:
        place = int(np.clip(np.searchsorted(curve.steps, step), 0, len(curve.steps) - 1))
        finite = np.flatnonzero(np.isfinite(curve.values))
        if len(finite):
            shown = int(finite[np.abs(finite - place).argmin()])
            x = float(since_start(each, curve)[shown]) if by_time else float(curve.steps[shown])
            rows.append({"run": each.name, "x": x, "value": float(curve.values[shown]), "kind": kind, "what": what})

    for judged in chosen:
        known = {curve.name: curve for curve in of_metric(judged.run, metric)}
        judged_curves = [curve for curve in known.values() if curve.better and np.isfinite(curve.values).any()]
        held_out = [curve for curve in judged_curves if part(curve.name) == "held out"] or judged_curves
        for curve in held_out:
            place = curve.best()
            step = int(curve.steps[place])
            add(judged.run, curve, step, "best", f"best {curve.name}: {formatting.number(float(curve.values[place]), 4)} at step {step:,}")
        for claim in judged.claims or ():
            curve_named = known.get(str(claim.evidence.get("metric")))
            at = next((claim.evidence[key] for key in ("first_step", "step", "since_step") if claim.evidence.get(key) is not None), None)
            if curve_named is not None and at is not None and needs_action(claim.severity):
                add(judged.run, curve_named, int(at), claim.severity, claim.because.replace("`", ""))
    return pd.DataFrame(rows, columns=["run", "x", "value", "kind", "what"])


def alternative(chosen: Sequence[Judged], metric: str) -> str:
    """The takeaway of the curves in one sentence."""
    said = []
    for judged in chosen:
        for curve in of_metric(judged.run, metric):
            if curve.better and np.isfinite(curve.values).any():
                place = curve.best()
                said.append(
                    f"{curve.name} of {judged.run.name} is best at step {int(curve.steps[place]):,} ({formatting.number(float(curve.values[place]), 4)})"
                )
    return ("; ".join(said) or f"{metric} by step; its name does not say which direction is better") + "."


def parameters(chosen: Sequence[Judged]) -> None:
    """The parameters of the chosen runs; of several, those that differ first, marked."""
    names = list(dict.fromkeys(name for judged in chosen for name in judged.run.params))
    seeds = {"seed": [judged.run.seed for judged in chosen]} if any(judged.run.seed for judged in chosen) else {}
    values: dict[str, list[Any]] = {name: [judged.run.params.get(name) for judged in chosen] for name in names} | seeds
    if not values:
        st.caption("No parameters were logged.")
        return
    differ = {name: len({json.dumps(each, sort_keys=True, default=str) for each in several}) > 1 for name, several in values.items()}
    order = sorted(values, key=lambda name: (not differ[name], name))
    columns = [column("name", "Parameter", strong=True), *(column(f"run{place}", judged.run.name) for place, judged in enumerate(chosen))]
    rows = []
    for name in order:
        cells: dict[str, Cell] = {"name": {"t": name, "mark": "differs" if differ[name] else None}}
        cells |= {f"run{place}": {"t": shown_value(value)} for place, value in enumerate(values[name])}
        rows.append(row(cells, selected=differ[name]))
    if len(chosen) > 1:
        n = sum(differ.values())
        st.markdown(f"{formatting.plural(n, 'parameter')} of {len(values)} {'differs' if n == 1 else 'differ'} between these runs.")
    table("parameters", "Parameters of the chosen runs", columns, rows, compact=True)


def shown_value(value: Any) -> str:
    """A parameter as it was logged, on one line."""
    return (
        formatting.DASH if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)[:80]
    )


def study(chosen: Sequence[Judged], everything: Sequence[Judged]) -> None:
    """Parallel coordinates of the first chosen run's study, where it has more than three runs and something in it differs."""
    name = chosen[0].run.study
    members = [judged.run for judged in everything if name and judged.run.study == name]
    if len(members) <= MANY_RUNS:
        return
    rows = study_frame(members)
    if rows is None:
        return
    metric = str(rows.columns[-1])
    st.subheader("The study", anchor=False)
    known, settings = len(rows), len({setting(each) for each in members})
    said = f"{known} runs of {name} with {metric}; {formatting.plural(settings, 'setting')} apart from seed, fold and rows."
    st.markdown(formatting.plain(said))
    frame.chart(charts_runs.parallel(rows, metric=metric), rows, key="study", alt=said, metrics=("seed_noise",))


def study_frame(members: Sequence[Run]) -> "DataFrame | None":
    """run, the parameters that differ (at most 8), and the best value of the metric that most of these runs are known by; None where nothing differs."""
    import pandas as pd

    known = [(each, found) for each in members if (found := runs.best_of(each)) is not None]
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
    rows = [
        {"run": each.name, **{name: each.params.get(name) if isinstance(each.params.get(name), int | float) else shown_value(each.params.get(name)) for name in differ[:MOST_PARAMETERS]}, metric: value}
        for each, value in kept
    ]  # fmt: skip
    return pd.DataFrame(rows)
