"""The example that each empty page shows: a figure like its own, made from the files of the sample fleet, and the lines of code that fill
the page.

Every builder takes the folder of the sample and returns the figure, drawn with the page's own chart. A state that no check has judged is
grey. A page without an entry shows no figure, because none could be made from the files.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core import formatting
from observability.dashboard.sample_figures import error_by_day, error_by_day_figure, naive_times
from observability.stats.interval import Interval

WEEK = pd.Timestamp(2013, 6, 24), pd.Timestamp(2013, 7, 1)
JUNE = pd.Timestamp(2013, 6, 1), pd.Timestamp(2013, 7, 1)
CHANGED = "rain_3h_in"
"""The input whose drift caused the first incident that was discussed in the reviews of the sample."""
MIN_GROUP, FEW_BARS, MAX_ROWS = 100, 5, 2000
"""Number of rows below which a group is drawn as small; number of features shown in a waterfall; maximum number of rows on each side of a
decomposition.
"""
START = "import observability as obs\nlog = obs.Logger()\n"
PREDICTION = 'log.prediction(id="a1", model="loan", version="3", features={"age": 41, "income": 52_000}, score=0.62)'
LABEL = 'log.label(id="a1", model="loan", value=1)'
LOG_LINES = f"{START}{PREDICTION}\n{LABEL}"
"""Python lines that log a prediction and its label."""
REFERENCE = "python -m observability register --model loan --version 3 --task binary --reference held_out.csv --score score --label label"


@dataclass(frozen=True)
class PageExample:
    """The example of an empty page. name: the description of its figure; build: makes the figure from the folder of the sample, None if
    there is no figure; lines: code that logs what fills the page.
    """

    name: str
    build: Callable[[Path], Any] | None
    lines: str = LOG_LINES


def page_example(page: str) -> PageExample:
    """The example of a page. A page without an entry gets the lines that log a prediction and its label, and no figure."""
    return EXAMPLES.get(page, PageExample("", None))


def traffic_figure(folder: Path) -> Any:
    """Predictions of flights-delay by day of June 2013."""
    from observability.dashboard.charts import time as charts_time

    days = _served(folder, JUNE)["day"].value_counts().sort_index()
    return charts_time.traffic_bars(pd.DataFrame({"period": days.index, "n": days.to_numpy()}))


def psi_figure(folder: Path) -> Any:
    """The PSI of each input of flights-delay in the last week of June 2013 against its reference, largest first."""
    from observability.dashboard.charts import drift as charts_drift

    now, before = _inputs(folder, WEEK), _inputs(folder)
    values = {name: column_psi(before[name], now[name]) for name in before}
    rows = pd.DataFrame({"subject": list(values), "value": list(values.values())}).sort_values("value", ascending=False)
    blank = dict.fromkeys(("low", "high", "limit", "value_there"), np.nan)
    figure = charts_drift.drift_bars(rows.head(8).assign(**blank, limit_of="", severity="unknown", n=len(now), worst_look=""))
    return figure.update_layout(showlegend=False)  # no check has judged these bars


def column_psi(before: "pd.Series[Any]", now: "pd.Series[Any]") -> float:
    """The PSI of a column. Numbers are grouped by the reference's deciles, other values by level; missing values form one more group."""
    from observability.stats.distance import psi

    if pd.api.types.is_numeric_dtype(before):
        edges = np.unique(before.quantile(np.arange(1, 10) / 10).dropna())
        sides = [pd.Series(np.searchsorted(edges, side, side="right"), side.index).where(side.notna(), -1) for side in (before, now)]
    else:
        sides = [side.fillna("") for side in (before, now)]
    counts = [side.value_counts() for side in sides]
    groups = counts[0].index.union(counts[1].index)
    reference, current = (each.reindex(groups, fill_value=0).to_numpy(float) for each in counts)
    return psi(reference, current)


def correlation_figure(folder: Path) -> Any:
    """The rank correlations between inputs of flights-delay that changed most from the reference to the last week of June 2013."""
    from observability.dashboard.charts import domain as charts_domain

    now, before = (_inputs(folder, *when).select_dtypes("number") for when in ((WEEK,), ()))
    names = [name for name in now if min(now[name].nunique(), before[name].nunique()) > 5]
    then, here = (side[names].rank().corr().to_numpy() for side in (before, now))
    pairs = [(a, b) for a in range(len(names)) for b in range(a + 1, len(names))]
    rows = pd.DataFrame([{"pair": f"{names[a]} and {names[b]}", "reference": then[a, b], "value": here[a, b]} for a, b in pairs])
    moved = (rows["value"] - rows["reference"]).abs().sort_values(ascending=False)
    return charts_domain.correlation_change_dots(rows.loc[moved.index[:6]].assign(n=len(now), severity="unknown"))


def missing_figure(folder: Path) -> Any:
    """The share of missing values by day of June 2013, for each input of flights-delay that has missing values."""
    from observability.dashboard.charts import drift as charts_drift

    rows = _served(folder, JUNE, *INPUTS)
    shares = rows[list(INPUTS)].isna().groupby(rows["day"]).mean()
    counts = rows["day"].value_counts()
    days = shares.loc[:, shares.max() > 0].reset_index().melt("day", var_name="subject")
    days = days.assign(n=days["day"].map(counts))
    return charts_drift.column_day_heatmap(days, value="missing", unit="share", top=max(float(days["value"].max()), 0.05))


def lies_apart(one: Interval, other: Interval) -> bool:
    """Whether two intervals do not touch; False if any end is unknown."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low > other.high or one.high < other.low


def slice_figure(folder: Path) -> Any:
    """The mean absolute error of flights-delay by airport and by carrier in June 2013, beside the reference. A change counts as significant
    if the intervals of both sides (computed by day) do not touch.
    """
    from observability.dashboard.charts import slices as charts_slices
    from observability.stats.ratio import ratio_of_totals_interval

    now, before = _errors(folder), _errors(folder, reference=True)
    found = []
    for column in ("origin", "carrier"):
        for level in now[column].value_counts().index[:4]:
            parts = [side[side[column] == level].groupby("day")["error"].agg(["sum", "size"]) for side in (now, before)]
            here, then = (ratio_of_totals_interval(part["sum"], part["size"]) for part in parts)
            ends = {"value": here.value, "low": here.low, "high": here.high, "before": then.value}
            sure = lies_apart(here, then)
            rest = now[now[column] != level]["error"].mean()
            found.append({"name": f"{column} = {level}", **ends, "n": here.n, "rest": rest, "coverage": here.n / len(now), "sure": sure})
    rows = pd.DataFrame(found).sort_values("value", ascending=False)
    return charts_slices.slice_dots(rows, name="Mean absolute error", unit="", of_label="minutes")


def fairness_figure(folder: Path) -> Any:
    """The share of positive decisions of the employment model by group in 2018, beside the reference."""
    from observability.dashboard.charts import fairness as charts_fairness
    from observability.stats.interval import rate_intervals

    now = pd.read_parquet(folder / "employment.predictions.parquet", columns=["at", "score", "RAC1P"])
    now = now[naive_times(now["at"]) >= pd.Timestamp(2018, 1, 1)]
    before = pd.read_parquet(folder / "employment.reference.parquet", columns=["score", "RAC1P"])
    positive = (now["score"] >= 0.5).groupby(now["RAC1P"]).agg(["sum", "size"]).sort_values("size", ascending=False)
    ends = pd.DataFrame(rate_intervals(positive["sum"], positive["size"]), index=positive.index)[["value", "low", "high"]]
    rows = ends.assign(n=positive["size"], reference=(before["score"] >= 0.5).groupby(before["RAC1P"]).mean())
    rows = rows.assign(what="predictions", enough=rows["n"] >= MIN_GROUP).rename_axis("group").reset_index()
    return charts_fairness.group_dots(rows, name="selection rate", unit="share", overall=float((now["score"] >= 0.5).mean()))


def importance_figure(folder: Path) -> Any:
    """The mean absolute SHAP value of each input of flights-delay over the explained predictions of the last week of June 2013."""
    from observability.dashboard.charts import explanations as charts_explanations
    from observability.stats.attribution import feature_importance

    values = _attributions(_explained(folder))
    found = feature_importance(values.to_numpy(float))
    rows = pd.DataFrame({"feature": list(values), **{name: getattr(found, name) for name in ("mean", "low", "high", "share")}})
    return charts_explanations.importance_bars(rows.sort_values("mean", ascending=False), unit="minutes", against=None)


def waterfall_figure(folder: Path) -> Any:
    """The attributions of the explained prediction with the highest score (predicted delay), from the base value to the score."""
    from observability.dashboard.charts import case as charts_case

    rows = _explained(folder)
    place = int(rows["score"].argmax())
    case = rows.iloc[place]
    parts = _attributions(rows).iloc[place].astype(float).sort_values(key=np.abs, ascending=False)
    moves = [(f"{name} = {_value_words(case[str(name)])}", value, "feature") for name, value in parts[:FEW_BARS].items()]
    moves += [(f"{len(parts) - FEW_BARS} others", float(parts[FEW_BARS:].sum()), "rest")]
    ends = float(case["base"]) + np.cumsum([0.0, *(value for _, value, _ in moves)])
    levels = [("base value", ends[0], "base"), ("this case", ends[-1], "output")]
    bars = [(label, start, end, end - start, kind) for (label, _, kind), start, end in zip(moves, ends[:-1], ends[1:])]
    whole = [(label, level, level, 0.0, kind) for label, level, kind in levels]
    frame = pd.DataFrame([whole[0], *bars, whole[1]], columns=["label", "start", "end", "attribution", "kind"])
    return charts_case.attribution_waterfall(frame.assign(error=np.nan), unit="minutes")


def reliability_figure(folder: Path) -> Any:
    """The reliability diagram of flights-late in June 2013, beside its reference."""
    from observability.dashboard.charts import calibration as charts_calibration
    from observability.stats.calibration import reliability_curve

    now, before = _scored(folder), pd.read_parquet(folder / "flights-late.reference.parquet", columns=["score", "label"])
    sides = []
    for side in (now, before):
        bins = (side["score"] * 200).astype(int).clip(0, 199)
        counts = side.groupby(bins).agg(label=("label", "sum"), n=("label", "size"), score=("score", "mean"))
        found = reliability_curve(counts["label"], counts["n"], scores=counts["score"])
        sides.append(pd.DataFrame({name: getattr(found, name) for name in ("score", "rate", "low", "high", "n")}))
    heights, ends = np.histogram(now["score"], 20, (0, 1))
    steps = pd.DataFrame({"low": ends[:-1], "high": ends[1:], "n": heights})
    return charts_calibration.reliability_diagram(*(sides[0], steps, sides[1]), score="score", truth="observed rate")


def estimate_figure(folder: Path) -> Any:
    """The error rate of flights-late by day of June 2013: measured, and estimated from the logged scores alone (taken as probabilities)."""
    from observability.dashboard.charts import estimates as charts_estimates
    from observability.stats.interval import rate_intervals

    rows = _scored(folder)
    decided = rows["score"] >= 0.35
    chance = (1 - rows["score"]).where(decided, rows["score"])
    days = rows.assign(wrong=decided != (rows["label"] == 1), chance=chance, spread=chance * (1 - chance)).groupby("day")
    sums = days.agg(wrong=("wrong", "sum"), labelled=("label", "size"), estimated=("chance", "mean"), spread=("spread", "sum"))
    ends = pd.DataFrame(rate_intervals(sums["wrong"], sums["labelled"]), index=sums.index)[["value", "low", "high"]]
    half = 1.96 * np.sqrt(sums["spread"]) / sums["labelled"]
    series = sums.assign(low=sums["estimated"] - half, high=sums["estimated"] + half, served=sums["labelled"])
    series = series.assign(measured=ends["value"], measured_low=ends["low"], measured_high=ends["high"]).rename_axis("period").reset_index()
    return charts_estimates.estimated_metric_lines(series, name="Error rate", unit="share")


def label_figure(folder: Path) -> Any:
    """The share of labelled predictions of flights-delay by time since the day began: the usual share of the last three weeks of June 2013,
    and the lowest.
    """
    from observability.dashboard.charts import labels as charts_labels

    rows = _served(folder, (WEEK[1] - pd.Timedelta(days=21), WEEK[1]), "id", "at")
    arrived = pd.read_parquet(folder / "flights-delay.labels.parquet", columns=["id", "received_at"])
    age = (naive_times(rows.merge(arrived, on="id", how="left")["received_at"]) - rows["day"].to_numpy()) / pd.Timedelta(days=1)
    week = (WEEK[1] - rows["day"]).dt.days.sub(1).floordiv(7)
    ages = np.arange(0, 4.01, 0.25)
    shares = pd.DataFrame([(age <= days).groupby(week.to_numpy()).mean() for days in ages])
    return charts_labels.label_arrival_curve(pd.DataFrame({"age": ages, "usual": shares.median(axis=1), "lowest": shares.min(axis=1)}))


def latency_figure(folder: Path) -> Any:
    """The 50th, 95th and 99th percentile of the latency of flights-delay by day of June 2013."""
    from observability.dashboard.charts import latency as charts_latency

    days = _served(folder, JUNE, "latency_ms").groupby("day")["latency_ms"]
    lines = pd.DataFrame([_percentiles(day, values.sort_values().to_numpy(float)) for day, values in days])
    return charts_latency.latency_percentile_lines(lines)


def _percentiles(day: Any, values: Any) -> dict[str, Any]:
    """One row for `latency_percentile_lines`. The ends of the interval of p99 are order statistics, found with a normal approximation."""
    n = len(values)
    ranks = n * 0.99 + np.array([-1.96, 1.96]) * np.sqrt(n * 0.99 * 0.01)
    low, high = values[np.clip(np.round(ranks).astype(int), 0, n - 1)]
    p50, p95, p99 = np.quantile(values, [0.5, 0.95, 0.99])
    return {"period": day, "p50": p50, "p95": p95, "p99": p99, "low": low, "high": high, "n": n}


def cost_figure(folder: Path) -> Any:
    """The cost of the sample's calls of a language model by day."""
    from observability.dashboard.charts import energy as charts_energy

    rows = pd.read_parquet(folder / "calls.predictions.parquet", columns=["at", "cost", "currency"])
    currency = str(rows["currency"].dropna().iloc[0])
    days = rows.groupby(naive_times(rows["at"]).dt.floor("D"))["cost"].sum().rename_axis("period").reset_index(name="serving")
    say = partial(_amount_words, currency=currency)
    return charts_energy.cost_stack(days.assign(training=0.0, labelling=0.0, storage=0.0), currency=currency, say=say)


def energy_figure(folder: Path) -> Any:
    """Joules per thousand predictions of flights-late by batch size, for each measured form (precision or runtime of the model)."""
    from observability.dashboard.charts import energy as charts_energy

    audits = [json.loads(line) for line in (folder / "energy.jsonl").read_text(encoding="utf-8").splitlines()]
    batches = next(each for each in audits if each["model"] == "flights-late")["results"]["batches"]
    rows = [{**{name: each[name] for name in ("form", "batch", "source")}, **each["joules"]} for each in batches]
    return charts_energy.batch_energy_lines(pd.DataFrame(rows))


def change_figure(folder: Path) -> Any:
    """The change of the mean absolute error of flights-delay from the reference to June 2013, split into covariate shift and
    concept drift.
    """
    from observability.dashboard.charts import waterfall as charts_waterfall
    from observability.stats.decompose import decompose_loss_change

    columns = ["departure_hour", "distance_miles", "humidity_percent", "wind_speed_mph", "rain_in"]
    sides = [_errors(folder, *columns, reference=reference).dropna() for reference in (True, False)]
    before, now = (side.sample(min(len(side), MAX_ROWS), random_state=0) for side in sides)
    inputs = [{name: side[name].to_numpy(float) for name in columns} for side in (before, now)]
    losses = [side["error"].to_numpy(float) for side in (before, now)]
    days = np.asarray((now["day"] - JUNE[0]) / pd.Timedelta(days=1), np.float64)
    found = decompose_loss_change(inputs[0], inputs[1], losses[0], losses[1], days)
    if found is None:
        raise ValueError("the sample has too few labelled rows for a decomposition")
    steps, level = [], 0.0
    parts = {"Reference": found.before, "Covariate shift": found.inputs, "Concept drift": found.relation, "Now": found.now}
    for name, part in parts.items():
        whole, value = name in ("Reference", "Now"), float(part.value or 0.0)
        start, end = (0.0, value) if whole else (level, level + value)
        level, sure = end, not (part.low or 0.0) <= 0 <= (part.high or 0.0)
        row = {"step": name, "value": value, "low": part.low, "high": part.high, "start": start, "end": end, "whole": whole, "sure": sure}
        steps.append(row)
    return charts_waterfall.change_waterfall(pd.DataFrame(steps), name="Mean absolute error, minutes", unit="")


def compare_figure(folder: Path) -> Any:
    """The PSI of each input of flights-delay between the last week of June 2013 and the week before it."""
    from observability.dashboard.charts import compare as charts_compare
    from observability.detection.histogram_distance import WATCH

    week = pd.Timedelta(days=7)
    now, before = _inputs(folder, WEEK), _inputs(folder, (WEEK[0] - week, WEEK[0]))
    rows = pd.DataFrame([{"column": name, "psi": column_psi(before[name], now[name])} for name in INPUTS])
    rows = rows.sort_values("psi", ascending=False).head(8).assign(low=np.nan, high=np.nan, null_95=np.nan)
    figure = charts_compare.distance_bars(rows.assign(verdict="unknown", n_a=len(now), n_b=len(before)), least=WATCH)
    return figure.update_traces(showlegend=False, selector={"type": "scatter"})  # no null distribution was computed


def incident_figure(folder: Path) -> Any:
    """The PSI of the changed input by day, with the onset from the incident in the sample's first review."""
    from observability.dashboard.charts import incident as charts_incident

    about = _incident(folder)
    onset = pd.Timestamp(about["onset"])
    first = onset.tz_localize(None).floor("D") - pd.Timedelta(days=21)
    rows, before = _served(folder, (first, first + pd.Timedelta(days=29)), CHANGED), _inputs(folder)[CHANGED]
    days = [{"period": day, "value": column_psi(before, part[CHANGED])} for day, part in rows.groupby("day")]
    series = pd.DataFrame(days).assign(low=np.nan, high=np.nan)
    return charts_incident.incident_line(series, name=f"PSI of {CHANGED}", unit="", onset=onset.to_pydatetime())


def review_figure(folder: Path) -> Any:
    """The mean absolute error of flights-delay by day of June and July 2013, drawn like an item of a review."""
    from observability.dashboard.charts import incident as charts_incident

    days, baseline = error_by_day(folder)
    return charts_incident.incident_line(days, name="Mean absolute error", unit="", of_label="minutes", baseline=baseline)


def map_figure(folder: Path) -> Any:
    """Explained predictions in the plane that holds most of the variance of their attributions, coloured by score."""
    from observability.dashboard.charts import prediction_map as charts_map
    from observability.stats.principal_plane import principal_plane

    rows = _explained(folder)
    plane = principal_plane(_attributions(rows).to_numpy(float))
    x, y = plane.points.T
    marks = pd.DataFrame({"x": x, "y": y, "outcome": "No label", "text": rows["id"], "value": rows["score"]})
    titles = [f"component {place}, {share:.0%} of the variance" for place, share in enumerate(plane.shares, 1)]
    return charts_map.scattered_predictions(marks, titles=titles, number="score, minutes")


INPUTS = (
    *("carrier", "origin", "destination", "weekday", "departure_hour", "distance_miles", "planned_minutes", "departures_same_hour"),
    *("carrier_departures_same_hour", "temperature_f", "dew_point_f", "humidity_percent", "wind_direction_degrees", "wind_speed_mph"),
    *("wind_gust_mph", "rain_in", "pressure_mb", "visibility_miles", "pressure_change_3h_mb", CHANGED),
)
"""The inputs of flights-delay."""


def _served(folder: Path, dates: tuple[pd.Timestamp, pd.Timestamp], *columns: str) -> pd.DataFrame:
    """Predictions of flights-delay within some dates, with their `day` and the given columns."""
    rows = pd.read_parquet(folder / "flights-delay.predictions.parquet", columns=list(dict.fromkeys(("at", *columns))))
    rows = rows.assign(day=naive_times(rows["at"]).dt.floor("D"))
    return rows[(rows["day"] >= dates[0]) & (rows["day"] < dates[1])].reset_index(drop=True)


def _inputs(folder: Path, dates: tuple[pd.Timestamp, pd.Timestamp] | None = None) -> pd.DataFrame:
    """The inputs of flights-delay within some dates; without dates, the inputs of the reference."""
    if dates is None:
        return pd.read_parquet(folder / "flights-delay.reference.parquet", columns=list(INPUTS))
    return _served(folder, dates, *INPUTS)[list(INPUTS)]


def _errors(folder: Path, *columns: str, reference: bool = False) -> pd.DataFrame:
    """Labelled predictions of flights-delay in June 2013, or the reference: `day`, absolute `error`, airport, carrier and the given
    columns.
    """
    wanted = ("score", "origin", "carrier", *columns)
    if reference:
        rows = pd.read_parquet(folder / "flights-delay.reference.parquet", columns=["at", "label", *wanted])
        rows = rows.assign(day=naive_times(rows["at"]).dt.floor("D"))
    else:
        labels = pd.read_parquet(folder / "flights-delay.labels.parquet", columns=["id", "value"]).rename(columns={"value": "label"})
        rows = _served(folder, JUNE, "id", *wanted).merge(labels, on="id")
    return rows.assign(error=(rows["label"] - rows["score"]).abs())


def _scored(folder: Path) -> pd.DataFrame:
    """`day`, `score` and `label` of the labelled predictions of flights-late of June 2013."""
    rows = pd.read_parquet(folder / "flights-late.predictions.parquet", columns=["id", "at", "score"])
    labels = pd.read_parquet(folder / "flights-late.labels.parquet", columns=["id", "value"]).rename(columns={"value": "label"})
    rows = rows.assign(day=naive_times(rows["at"]).dt.floor("D"))
    return rows[(rows["day"] >= JUNE[0]) & (rows["day"] < JUNE[1])].merge(labels, on="id")


def _explained(folder: Path) -> pd.DataFrame:
    """The explained predictions of the sample."""
    return pd.read_parquet(folder / "flights-delay.explained.parquet")


def _attributions(rows: pd.DataFrame) -> pd.DataFrame:
    """The attributions of explained predictions; each column has the name of its input."""
    return rows[[f"attribution.{name}" for name in INPUTS]].rename(columns=lambda name: name.removeprefix("attribution."))


def _incident(folder: Path) -> dict[str, Any]:
    """The first entry about the incident of the changed input in the sample's reviews; it contains the `onset`, among others."""
    with gzip.open(folder / "meetings.jsonl.gz", "rt", encoding="utf-8") as lines:
        agendas = (json.loads(line).get("body", {}).get("agenda", []) for line in lines)
        return next(item["about"] for agenda in agendas for item in agenda if item["about"].get("subject") == CHANGED)


def _amount_words(value: float, currency: str) -> str:
    """An amount in words."""
    return f"{currency} {formatting.format_number(value)}"


def _value_words(value: Any) -> str:
    """The value of an input in words."""
    return value if isinstance(value, str) else "missing" if value != value else formatting.format_number(float(value))


_TIMED = PREDICTION.removesuffix(")") + ', latency_ms=12.4, status="ok")'
_GROUPED = PREDICTION.removesuffix(")") + ', groups={"sex": "female"})'
_EXPLAINED = PREDICTION.removesuffix(")") + ', attributions={"age": 0.1, "income": 0.2}, base_value=0.32)'
_PRICED = PREDICTION.removesuffix(")") + ', cost=0.0004, currency="USD")'
_WITH_REFERENCE = f"{START}{PREDICTION}\n# the reference to compare with, once\n# {REFERENCE}"
_WITH_LABEL = f"{START}{PREDICTION}\n{LABEL}\n# {REFERENCE}"
_TO_DEPLOY = f'{START}{PREDICTION}\n{LABEL}\nlog.event(what="deploy", text="loan 3 deployed", model="loan", version="3")'
EXAMPLES: dict[str, PageExample] = {
    "health": PageExample("Mean absolute error of a model by day", error_by_day_figure),
    "model": PageExample("Predictions of a model by day", traffic_figure),
    "performance": PageExample("Mean absolute error of a model by day", error_by_day_figure),
    "dashboards": PageExample("Mean absolute error of a model by day", error_by_day_figure),
    "drift": PageExample("Drift of each input against the reference", psi_figure, _WITH_REFERENCE),
    "multivariate_drift": PageExample("Rank correlations of inputs, now and in the reference", correlation_figure, _WITH_REFERENCE),
    "quality": PageExample("Share of missing values of each input by day", missing_figure, START + PREDICTION),
    "slices": PageExample("Mean absolute error by slice, now and before", slice_figure, _WITH_LABEL),
    "fairness": PageExample("Selection rate of each group with its interval", fairness_figure, f"{START}{_GROUPED}\n{LABEL}"),
    "explanations": PageExample("Mean absolute SHAP value of each input", importance_figure, START + _EXPLAINED),
    "calibration": PageExample("Reliability diagram of a model", reliability_figure),
    "estimated_performance": PageExample("Error rate by day, measured and estimated", estimate_figure, _WITH_REFERENCE),
    "labels": PageExample("Share of labelled predictions by age", label_figure),
    "latency": PageExample("Percentiles of latency by day", latency_figure, START + _TIMED),
    "cost": PageExample("Cost by day", cost_figure, START + _PRICED),
    "energy": PageExample(
        "Energy of a thousand predictions by batch size",
        energy_figure,
        f'{START}log.resource(device="gpu-0", model="loan", version="3", energy_j=1200.0, seconds=60)\n'
        "# or measure it\n# python -m observability energy measure loan",
    ),
    "why_changed": PageExample("Covariate shift and concept drift in a change of error", change_figure, _WITH_LABEL),
    "compare": PageExample("Distance of each input between two weeks", compare_figure),
    "incident": PageExample("The leading metric of an incident, with its onset", incident_figure),
    "alerts": PageExample("The metric of an alert, with its onset", incident_figure),
    "review": PageExample("The metric of an item of a review", review_figure),
    "case": PageExample("Attributions of a prediction, from the base value to its score", waterfall_figure, START + _EXPLAINED),
    "prediction_map": PageExample("Predictions by their attributions", map_figure, START + _EXPLAINED),
    "changes": PageExample("", None, _TO_DEPLOY),
    "personal_data": PageExample("", None, f'{START}{PREDICTION.removesuffix(")")}, subject="u-17")\n{LABEL}'),
    "requests": PageExample("", None, f'{START}{PREDICTION.removesuffix(")")}, subject="u-17")'),
}
