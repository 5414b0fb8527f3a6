"""The main metric of a model over a frozen week, measured and estimated, and links from findings to cases."""

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.window import Slice
from observability.dashboard import clicks, frame, links, load
from observability.dashboard.charts import time as charts_time
from observability.dashboard.overview import findings
from observability.dashboard.review.fleet import frozen_scope
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.widgets import plain_caption
from observability.metrics.performance import HEADLINE

MEASURED = ["period", "value", "low", "high", "labelled", "served"]
ESTIMATED = ["period", "estimated", "estimated_low", "estimated_high"]


def headline_finding(part: dict[str, Any]) -> dict[str, Any] | None:
    """The frozen finding about a model's main metric; None without one."""
    name = HEADLINE.get(part["task"] or "")
    measured = (each for each in part["findings"] if each["analyzer"] == "serving/performance" and each["value"] is not None)
    return next((each for each in measured if each["metric"] == name), None)


def estimates_and_slices(part: dict[str, Any]) -> None:
    """Draw the estimate for rows without labels, and the result of the slice search."""
    estimated = part["strip"]["estimated"]
    if estimated["value"] is not None:
        plain_caption((estimated["because"] or "").replace("`", ""))
    for each in part["findings"]:
        if each["analyzer"] == "serving/slices" and each["subject"] == "model" and each["slice"] is None:
            plain_caption(f"Slices: {each['because'].replace('`', '')}")


def frozen_daily_metric(part: dict[str, Any], finding: dict[str, Any]) -> pd.DataFrame:
    """The frozen metric by day, with the estimate of each day if it was frozen."""
    days = pd.DataFrame(finding["evidence"].get("by_day", []), columns=MEASURED)
    guesses = part.get("estimates", {}).get("by_day")
    if guesses:
        days = days.merge(pd.DataFrame(guesses, columns=ESTIMATED), on="period", how="outer").sort_values("period")
        days[["labelled", "served"]] = days[["labelled", "served"]].fillna(0)
    days["period"] = pd.to_datetime(days["period"])
    return days.astype({name: float for name in days.columns if name != "period"}).reset_index(drop=True)


def weekly_metric_chart(part: dict[str, Any], finding: dict[str, Any]) -> None:
    """Draw the chart of a frozen metric, with the estimate dashed."""
    days = frozen_daily_metric(part, finding)
    if len(days) < 2:
        return
    limit = finding["limit"] if isinstance(finding["limit"], int | float) else None
    title = formatting.metric_title(finding["metric"])
    figure = charts_time.metric_lines(
        days,
        name=title,
        unit=finding["unit"],
        of_label=load.label_unit(part["model"]),
        limit=limit,
        severity=finding["severity"],
        baseline=finding["evidence"].get("baseline"),
        baseline_name=findings.BASELINES[finding["against"]],
        height=240,
    )
    dashed = " The dashed line is an estimate." if "estimated" in days else ""
    alt = f"{title} of {part['model']} by day. {finding['because']}{dashed}".replace("`", "")
    frame.chart_with_table(figure, days, key=f"week-{part['model']}", alt=alt, metrics=(finding["metric"],))
    if "estimates" not in part:
        st.caption("Frozen before estimates by day were kept; see the estimate of the week above.")
    elif "estimated" in days:
        st.caption("Solid: measured on labels. Dashed: estimated, assuming no concept drift since the reference.")


def finding_target(room: ReviewPage, part: dict[str, Any], each: dict[str, Any]) -> dict[str, Any]:
    """The link of a finding. A finding about a slice links to the cases of the week in that slice, largest loss first; any other finding
    links to the live page of its analyzer.
    """
    scope, page = frozen_scope(room, part["model"]), links.analyzer_page(each["analyzer"])
    if each["analyzer"] == "serving/slices" and each["slice"]:
        wrong = clicks.error_condition(part["task"], each["metric"])
        return links.link_cell(each["because"], "cases", replace(scope, slice=Slice.parse(each["slice"])), q=wrong, order=clicks.LARGEST)
    return links.link_cell(each["because"], page or "findings", scope)
