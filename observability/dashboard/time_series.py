"""Which series over time does a page draw, from which aggregate or finding?

Frames only: `load` asks, `charts_*` draw. Series of a metric that a finding rests on come out of that finding's evidence.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.questions import Aggregate, Bucket, By
from observability.core.time import naive_utc
from observability.core.window import HOUR, Window
from observability.dashboard import load
from observability.metrics.performance import outcome_aggregates, performance_by

if TYPE_CHECKING:
    from pandas import DataFrame

HOURS_UP_TO_DAYS = 4
"""Windows up to this many days are drawn by hour."""
TRAFFIC = Aggregate("predictions", keys=(Bucket("hour"), By("status")))


def grain(window: Window) -> str:
    """Draw by "hour" or by "day"?"""
    return "hour" if window.days <= HOURS_UP_TO_DAYS else "day"


def traffic(window: Window, period: str | None = None) -> "DataFrame":
    """Predictions by period (start of each hour or day, naive UTC, none left out): period, n, errors, error_share.

    Of a window under way, up to now. errors: those whose status is not `ok`. error_share is NaN where nothing was served.
    """
    import pandas as pd

    rows = load.frame(TRAFFIC, window)
    every = timedelta(days=1) if (period or grain(window)) == "day" else HOUR
    start, end = naive_utc(window.start), naive_utc(min(window.end, max(window.start, load.now())))
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
    return frame


def of_metric(finding: Finding) -> "DataFrame":
    """A metric by day from its finding's evidence: period, value, low, high, labelled, served; empty where there is none."""
    import pandas as pd

    columns = ["period", "value", "low", "high", "labelled", "served"]
    frame = pd.DataFrame(finding.evidence.get("by_day") or [], columns=columns)
    frame["period"] = pd.to_datetime(frame["period"])
    frame[columns[1:4]] = frame[columns[1:4]].astype(float)
    return whole_days(frame)


def whole_days(frame: "DataFrame") -> "DataFrame":
    """The same with a row for each day between the first and the last, so that a day without predictions is a gap."""
    import pandas as pd

    if len(frame) < 2:
        return frame
    days = pd.date_range(frame["period"].min(), frame["period"].max(), freq="D")
    full = frame.set_index("period").reindex(days).rename_axis("period").reset_index()
    return full.assign(labelled=full["labelled"].fillna(0), served=full["served"].fillna(0))


def metric_over(model: Model, window: Window, finding: Finding) -> "DataFrame":
    """A metric over the whole window: from the finding's own evidence, or from the same aggregate where that is coarser or shorter than the window."""
    if grain(window) == "hour":
        return metric_by(model, window, "hour", finding.metric)
    kept = finding.evidence.get("by_day") or []
    return of_metric(finding) if window.days <= len(kept) + 1 else whole_days(metric_by(model, window, "day", finding.metric))


def metric_by(model: Model, window: Window, period: str, metric: str) -> "DataFrame":
    """A metric by hour or day, measured anew: the columns of `of_metric`."""
    import pandas as pd

    bucket = Bucket("hour") if period == "hour" else Bucket("day")
    asked = outcome_aggregates(model, bucket)
    rows: list[list[Any]] = []
    for when, metrics, served, labelled in performance_by(
        model, load.frame(asked["counts"], window), load.frame(asked["sums"], window), "period"
    ):
        each = metrics.get(metric)
        rows.append([when, each.value if each else None, each.low if each else None, each.high if each else None, labelled, served])
    frame = pd.DataFrame(rows, columns=["period", "value", "low", "high", "labelled", "served"])
    return frame.astype({"value": float, "low": float, "high": float}) if len(frame) else frame


def drift_by_day(findings: list[Finding]) -> "DataFrame":
    """PSI of each column and day from the evidence of drift findings: subject, day, value, n; columns in the order of the findings."""
    import pandas as pd

    rows = [(each.subject, day, value, n) for each in findings for day, value, n in each.evidence.get("by_day") or []]
    frame = pd.DataFrame(rows, columns=["subject", "day", "value", "n"])
    frame["day"] = pd.to_datetime(frame["day"])
    return frame


def marks(model: str, window: Window) -> "DataFrame":
    """Events of a model in a window: at, what, text."""
    return load.events(model, window.start, window.end)
