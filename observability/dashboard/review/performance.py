"""How did the main metric of a model go over the frozen week, measured and estimated, and which cases are behind a slice?"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.window import Slice
from observability.dashboard import clicks, frame, links
from observability.dashboard.charts import time as charts_time
from observability.dashboard.review.fleet import scope_of
from observability.dashboard.review.review import Room
from observability.metrics.performance import HEADLINE

if TYPE_CHECKING:
    from pandas import DataFrame

MEASURED = ["period", "value", "low", "high", "labelled", "served"]
ESTIMATED = ["period", "estimated", "estimated_low", "estimated_high"]


def headline(part: dict[str, Any]) -> dict[str, Any] | None:
    """The frozen finding about a model's main metric."""
    name = HEADLINE.get(part["task"] or "")
    return next(
        (
            each
            for each in part["findings"]
            if each["analyzer"] == "serving/performance" and each["metric"] == name and each["value"] is not None
        ),
        None,
    )


def beside(part: dict[str, Any]) -> None:
    """What was estimated where labels are not in, and what the search for slices says, under the measured figure."""
    estimated = part["strip"]["estimated"]
    if estimated["value"] is not None:
        st.caption(formatting.sentence(estimated["because"] or ""))
    for each in part["findings"]:
        if each["analyzer"] == "serving/slices" and each["subject"] == "model" and each["slice"] is None:
            st.caption(f"{formatting.plain('Slices:')} {formatting.sentence(each['because'])}")


def days_of(part: dict[str, Any], finding: dict[str, Any]) -> "DataFrame":
    """The frozen metric by day; with the estimate of each day where one was frozen, of days without labels too."""
    import pandas as pd

    days = pd.DataFrame(finding["evidence"].get("by_day", []), columns=MEASURED)
    guesses = part.get("estimates", {}).get("by_day")
    if guesses:
        days = days.merge(pd.DataFrame(guesses, columns=ESTIMATED), on="period", how="outer").sort_values("period")
        days[["labelled", "served"]] = days[["labelled", "served"]].fillna(0)
    days["period"] = pd.to_datetime(days["period"])
    return days.astype({name: float for name in days.columns if name != "period"}).reset_index(drop=True)


def draw(part: dict[str, Any], finding: dict[str, Any]) -> None:
    """The chart of a frozen metric, the estimate dashed in it."""
    days = days_of(part, finding)
    if len(days) < 2:
        return
    limit = finding["limit"] if isinstance(finding["limit"], int | float) else None
    title = formatting.metric_title(finding["metric"])
    figure = charts_time.metric(
        days, name=title, unit=finding["unit"], limit=limit, baseline=finding["evidence"].get("baseline"), height=240
    )
    dashed = " The dashed line is an estimate." if "estimated" in days else ""
    frame.chart(
        figure,
        days,
        key=f"week-{part['model']}",
        alt=f"{title} of {part['model']} by day. {finding['because']}{dashed}".replace("`", ""),
        metrics=(finding["metric"],),
    )
    if "estimates" not in part:
        st.caption("This week was frozen before estimates by day were kept; the estimated figure of the week stands above.")
    elif "estimated" in days:
        st.caption("Solid: measured on labels. Dashed: estimated, as far as scores still mean what they meant in the reference.")


def behind(room: Room, part: dict[str, Any], each: dict[str, Any]) -> dict[str, Any]:
    """Where a finding leads: one about a slice to its cases of the week, the largest loss first; any other to the live page of its analyzer."""
    scope, page = scope_of(room, part["model"]), each["analyzer"].rpartition("/")[2]
    if each["analyzer"] == "serving/slices" and each["slice"]:
        wrong = clicks.errors_of(part["task"], each["metric"])
        return links.link(each["because"], "cases", replace(scope, slice=Slice.parse(each["slice"])), q=wrong, order=clicks.LARGEST)
    return links.link(each["because"], page if page in links.page_files() else "findings", scope)
