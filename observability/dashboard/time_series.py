"""Data frames of series over time: traffic, metrics, drift, events.

The series of a metric is taken from the finding's evidence if the evidence has it.
"""

from datetime import timedelta
from typing import Any

import pandas as pd

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.questions import Aggregate, Bucket, By
from observability.core.time import naive_utc
from observability.core.window import HOUR, Window
from observability.dashboard import load
from observability.metrics.performance import outcome_aggregates, performance_by_key

HOURS_UP_TO_DAYS = 4
"""Windows of at most this many days are drawn by hour, longer ones by day."""
TRAFFIC = Aggregate("predictions", keys=(Bucket("hour"), By("status")))


def chart_grain(window: Window) -> str:
    """The period by which charts of a window are drawn: "hour" or "day"."""
    return "hour" if window.days <= HOURS_UP_TO_DAYS else "day"


def traffic_frame(window: Window, period: str | None = None) -> pd.DataFrame:
    """Predictions by period: period (start of the hour or day, naive UTC, without gaps), n, errors, error_share, running.

    If the window has not ended, the frame ends now, and its last period is `running` if that period is not over. errors: predictions whose
    status is not `ok`. error_share is NaN if nothing was served.
    """
    rows = load.ask_store(TRAFFIC, window)
    every = timedelta(days=1) if (period or chart_grain(window)) == "day" else HOUR
    start, end = naive_utc(window.start), naive_utc(min(window.end, max(window.start, load.page_clock())))
    first = pd.Timestamp(start).floor("D" if every.days else "h")
    index = pd.date_range(first, end, freq=every, inclusive="left", name="period")
    if len(rows):
        at = pd.to_datetime(rows["period"]).dt.tz_localize(None).dt.floor("D" if every.days else "h")
        n = rows["n"].groupby(at).sum()
        errors = rows["n"].where(rows["status"].fillna("ok") != "ok", 0).groupby(at).sum()
    else:
        n = errors = pd.Series(dtype=float)
    frame = pd.DataFrame({"n": n.reindex(index, fill_value=0), "errors": errors.reindex(index, fill_value=0)}, index=index).reset_index()
    frame["error_share"] = (frame["errors"] / frame["n"]).where(frame["n"] > 0)
    frame["running"] = frame["period"] + every > naive_utc(load.page_clock())
    return frame


def metric_by_day_frame(finding: Finding) -> pd.DataFrame:
    """A metric by day from the evidence of its finding: period, value, low, high, labelled, served; empty if the evidence has no days."""
    columns = ["period", "value", "low", "high", "labelled", "served"]
    frame = pd.DataFrame(finding.evidence.get("by_day") or [], columns=columns)
    frame["period"] = pd.to_datetime(frame["period"])
    frame[columns[1:4]] = frame[columns[1:4]].astype(float)
    return fill_missing_days(frame)


def fill_missing_days(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with one row for each day between its first and last day, so that a day without predictions becomes a gap."""
    if len(frame) < 2:
        return frame
    days = pd.date_range(frame["period"].min(), frame["period"].max(), freq="D")
    full = frame.set_index("period").reindex(days).rename_axis("period").reset_index()
    return full.assign(labelled=full["labelled"].fillna(0), served=full["served"].fillna(0))


def metric_over_window(model: Model, window: Window, finding: Finding) -> pd.DataFrame:
    """A metric over the whole window, taken from the finding's evidence. It is measured again if the evidence is coarser or shorter than
    the window.
    """
    if chart_grain(window) == "hour":
        return _metric_by_period(model, window, "hour", finding.metric)
    kept = finding.evidence.get("by_day") or []
    return (
        metric_by_day_frame(finding)
        if window.days <= len(kept) + 1
        else fill_missing_days(_metric_by_period(model, window, "day", finding.metric))
    )


def _metric_by_period(model: Model, window: Window, period: str, metric: str) -> pd.DataFrame:
    """A metric by hour or day, measured again. The columns are those of `metric_by_day_frame`."""
    bucket = Bucket("hour") if period == "hour" else Bucket("day")
    aggregates = outcome_aggregates(model, bucket)
    rows: list[list[Any]] = []
    for when, metrics, served, labelled in performance_by_key(
        model, load.ask_store(aggregates["counts"], window), load.ask_store(aggregates["sums"], window), "period"
    ):
        ends = (found.value, found.low, found.high) if (found := metrics.get(metric)) else (None, None, None)
        rows.append([when, *ends, labelled, served])
    frame = pd.DataFrame(rows, columns=["period", "value", "low", "high", "labelled", "served"])
    return frame.astype({"value": float, "low": float, "high": float}) if len(frame) else frame


def drift_by_day_frame(findings: list[Finding]) -> pd.DataFrame:
    """The PSI of each column on each day, from the evidence of drift findings: subject, day, value, n. The columns are in the order of the
    findings.
    """
    rows = [(finding.subject, *day) for finding in findings for day in finding.evidence.get("by_day") or []]
    frame = pd.DataFrame(rows, columns=["subject", "day", "value", "n"])
    frame["day"] = pd.to_datetime(frame["day"])
    return frame


def chart_event_marks(model: str, window: Window) -> pd.DataFrame:
    """Events of a model in a window: at, what, text."""
    return load.model_events(model, window.start, window.end, window.as_of)
