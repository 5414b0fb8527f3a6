"""The days of a finding's metric and its comparison band, read from the finding's evidence: once, for pages, reviews and exports."""

from collections.abc import Mapping
from typing import Any

DayValue = tuple[str, float | None, float | None, float | None]
"""Day, value, and its interval, None where unknown."""
WIDTHS = {"serving/drift": 3, "data/quality": 3, "trust/fairness": 5, "serving/performance": 6}
"""Analyzers whose `by_day` holds a day, the metric's value, and 1 (n), 3 (interval, n) or 4 (interval, labelled, served) more numbers.
The days of the others hold rows and amounts, which are not the metric.
"""


def daily_values(analyzer: str, evidence: Mapping[str, Any]) -> list[DayValue]:
    """The metric of a finding by day; empty where its evidence has no such days."""
    width = WIDTHS.get(analyzer)
    rows = [row for row in evidence.get("by_day") or [] if len(row) == width]
    return [(str(row[0]), row[1], *((row[2], row[3]) if len(row) > 3 else (None, None))) for row in rows]


Band = tuple[float, float, str]
"""The ends of a comparison band, and whose it is in words."""


def comparison_band(analyzer: str, evidence: Mapping[str, Any]) -> Band | None:
    """The usual range of a metric: the interval of its baseline, else how far its own past varied; None where neither is known."""
    ends = evidence.get("baseline_low"), evidence.get("baseline_high")
    if ends[0] is not None and ends[1] is not None:
        return float(ends[0]), float(ends[1]), "95 % interval of the baseline"
    reach = evidence.get("varies_up_to")
    if analyzer not in ("data/quality", "serving/drift") or not reach:
        return None
    least = min(float(evidence.get("past") or 0.0), float(evidence.get("baseline") or 0.0)) if analyzer == "data/quality" else 0.0
    return least, float(reach), "range of its own past"
