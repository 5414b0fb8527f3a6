"""What does the page about estimated performance show: an estimate beside the measurement, and how far off such estimates were?"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, EstimatedErrors
from observability.core.window import Window
from observability.dashboard import clicks, distributions, frame, load, time_series
from observability.dashboard.charts import estimates as charts_estimates
from observability.dashboard.choice_box import choose as choose_one
from observability.dashboard.frame import Here
from observability.dashboard.table import column, row
from observability.metrics.estimates import Day
from observability.metrics.performance import HEADLINE
from observability.monitoring.estimated_days import estimated_days
from observability.stats.interval import Interval, difference_interval

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_DAYS = 62
"""Windows longer than that are drawn by week."""
MATURE = 0.8
COLUMNS = (
    column("metric", "Metric", strong=True),
    column("value", "Estimated", align="right"),
    column("interval", "95 % interval", align="right"),
    column("baseline", "Of the reference", align="right"),
    column("said", "Last said", align="right", help="On the newest days whose labels are in"),
    column("truth", "Labels showed", align="right"),
    column("status", "Status"),
)
BLIND = (
    "An estimate, not a measurement. It rests on one assumption: that scores (of a regression: inputs) still mean what they meant in the reference. "
    "Where the relation between inputs and labels changes (concept drift), it cannot see that. So look at how right it was where labels came in."
)


def estimated(found: Sequence[Finding]) -> dict[str, Finding]:
    """Findings that carry an estimate, by metric."""
    return {each.metric: each for each in reversed(found) if each.value is not None and each.metric != "estimate_error"}


def choose(metrics: dict[str, Finding], here: Here) -> Finding:
    """The metric that the box holds, else the model's main one."""
    main = HEADLINE.get(here.model.task or "", next(iter(metrics)))
    names = sorted(metrics, key=lambda name: (name != main, name))
    chosen = choose_one(
        "metric", "Metric", names, words=formatting.metric_title, placeholder=formatting.metric_title(names[0]),
        missing="The link names the metric {}, which was not estimated here.", width=280,
    )  # fmt: skip
    return metrics[chosen or names[0]]


def days(here: Here, metric: str) -> "DataFrame":
    """period, measured, measured_low, measured_high, estimated, low, high, labelled, served, error, error_low, error_high by day or week.

    The error is estimated less measured, where most labels are in.
    """
    import pandas as pd

    rows = []
    for period, each in parts(here):
        guess, truth = each.estimated.get(metric), each.measured.get(metric, Interval(None, None, None, 0.0))
        value = guess.interval if guess else Interval(None, None, None, 0.0)
        same = truth if each.same_rows is None else each.same_rows.get(metric, Interval(None, None, None, 0.0))
        ripe = each.labelled >= MATURE * each.served and same.value is not None and value.value is not None
        side = (guess.calibration if guess and guess.calibration else replace(value, low=value.value, high=value.value)) if ripe else value
        error = difference_interval(side, same) if ripe else Interval(None, None, None, 0.0)
        rows.append(
            [period, truth.value, truth.low, truth.high, value.value, value.low, value.high, each.labelled, each.served, error.value, error.low, error.high]
        )  # fmt: skip
    names = [
        "period",
        "measured",
        "measured_low",
        "measured_high",
        "estimated",
        "low",
        "high",
        "labelled",
        "served",
        "error",
        "error_low",
        "error_high",
    ]
    found = pd.DataFrame(rows, columns=names)
    found["period"] = pd.to_datetime(found["period"])
    return found.astype(dict.fromkeys(names[1:], float))


def parts(here: Here) -> Iterable[tuple[Any, Day]]:
    """Estimated and measured figures of each day, or of each week of a long window."""
    version, window = distributions.judged_version(here.model, here.window, here.window.version)
    if version is None or not version.reference_rows:
        return []
    return estimated_days(ask, here.model, window, timedelta(days=1 if window.days <= MOST_DAYS else 7))


def ask(question: Aggregate | EstimatedErrors, window: Window) -> "DataFrame":
    """The answer that sessions share."""
    return load.frame(question, window) if isinstance(question, Aggregate) else load.answer(question, window)


def over_time(here: Here, finding: Finding, rows: "DataFrame") -> None:
    """Measured and estimated over time."""
    figure = charts_estimates.over_time(
        rows, name=formatting.metric_title(finding.metric), unit=finding.unit, baseline=finding.evidence.get("baseline"),
        marks=time_series.marks(here.model.name, here.window),
    )  # fmt: skip
    shown = rows.drop(columns=["error", "error_low", "error_high"])
    frame.chart(
        figure,
        shown,
        key="over-time",
        alt=finding.because.replace("`", ""),
        metrics=(finding.metric, "estimate_error", "label_maturity"),
        on_select=clicks.leads("over-time", lambda point: clicks.period(here, point, rows["period"], clicks.EVERY)),
    )


def errors(here: Here, finding: Finding, rows: "DataFrame") -> None:
    """How far off the estimate was, where labels came in."""
    shown = rows[["period", "error", "error_low", "error_high", "labelled", "served"]]
    if not shown["error"].notna().any():
        st.caption("Most labels of these days are still to come, so the estimate could not be checked here.")
        return
    check = finding.evidence.get("check") or {}
    allowed = check.get("allowed")
    known = shown[shown["error"].notna()]
    over = int((known["error"] > 0).sum())
    unit = "weeks" if here.window.days > MOST_DAYS else "days"
    said = f"The estimate was above the truth on {over} and below it on {len(known) - over} of {len(known)} {unit} with labels."
    st.markdown(formatting.plain(said))
    figure = charts_estimates.errors(shown, name=formatting.metric_title(finding.metric).lower(), unit=finding.unit, allowed=allowed)
    on_mark = clicks.leads("errors", lambda point: clicks.period(here, point, shown["period"], "label != null"))
    frame.chart(figure, shown, key="errors", alt=said, metrics=("estimate_error",), on_select=on_mark)
    if allowed:
        st.caption(formatting.plain(f"Green: errors below {formatting.amount(allowed, finding.unit)}, which do not count."))


def rows(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """All estimated metrics as a table's rows."""
    made = []
    order = list(METRICS)
    for each in sorted(found, key=lambda one: order.index(one.metric)):
        check = each.evidence.get("check") or {}
        interval = (
            f"{formatting.amount(each.low, each.unit)} to {formatting.amount(each.high, each.unit)}"
            if each.low is not None
            else formatting.DASH
        )
        made.append(
            row(
                {
                    "metric": {"t": formatting.metric_title(each.metric)},
                    "value": {"t": formatting.amount(each.value, each.unit), "title": "estimated"},
                    "interval": {"t": interval},
                    "baseline": {"t": formatting.amount(each.evidence.get("baseline"), each.unit)},
                    "said": {"t": formatting.amount(check.get("estimated"), each.unit)},
                    "truth": {"t": formatting.amount(check.get("measured"), each.unit), "title": f"{check.get('n', 0):,} labels"},
                    "status": {"s": each.severity, "t": formatting.STATUS_WORDS[each.severity], "title": each.because.replace("`", "")},
                }
            )
        )
    return made
