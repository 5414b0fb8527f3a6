"""One row of the weekly fleet table: figures of a model with last week's values and the reference.

A cell is a small JSON dictionary made from one finding; nothing is computed again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from observability.core.catalog import Model
from observability.core.finding import Finding, needs_action, with_window_value, worst_first
from observability.incidents.model_state import drift_counts
from observability.metrics.performance import HEADLINE
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import Interval

Cell = dict[str, Any]
FIGURES = (
    ("latency", "serving/latency", "latency_p99"),
    ("error_budget", "serving/latency", "error_budget_left"),
    ("labels", "serving/performance", "label_maturity"),
    ("cost", "operations/cost", "cost_per_thousand"),
    ("energy", "operations/energy", "energy_per_thousand"),
    ("carbon", "operations/energy", "sci"),
)
"""Cell, analyzer and metric of figures that come from one finding about the whole model."""
VERDICTS = (("quality", "data/quality"), ("drift", "serving/drift"), ("fairness", "trust/fairness"))
"""Cell and analyzer of cells that count findings."""
COMPARED = ("serving/performance", "serving/estimated_performance", "serving/latency", "operations/cost", "operations/energy")
"""Analyzers whose figures are compared with those of last week."""

NOTHING: Cell = dict.fromkeys(("metric", "value", "low", "high", "because", "reference", "currency", "before"))
NOTHING |= {"n": 0, "unit": "", "basis": "measured", "severity": "unknown", "differs": "cannot tell"}
"""The cell of a missing figure."""


def strip_cells(model: Model, now: Sequence[Finding], before: Sequence[Finding]) -> dict[str, Cell]:
    """All cells of a model's row, by name. now, before: findings of this week and of last week (last week only from the analyzers in
    COMPARED).
    """
    headline = HEADLINE.get(model.task or "", "")
    cells = {"performance": strip_cell("serving/performance", headline, now, before)}
    cells["estimated"] = strip_cell("serving/estimated_performance", headline, now, before)
    for name, analyzer, metric in FIGURES:
        cells[name] = strip_cell(analyzer, metric, now, before)
    for name, analyzer in VERDICTS:
        cells[name] = needs_action_cell([finding for finding in now if finding.analyzer == analyzer])
    counts = drift_counts(now)
    cells["drift"] |= {"bad": len(counts.drifted), "of": counts.columns, "undecided": counts.undecided}
    return cells


def main_metric_cell(strip: Mapping[str, Cell]) -> Cell:
    """The cell of the main metric: measured, else estimated. If the estimate's severity is unknown, the cell has no value, as on Home.
    strip: the row in a frozen week.
    """
    measured, estimated = strip["performance"], strip["estimated"]
    if measured["value"] is not None:
        return measured
    return estimated if estimated["severity"] != "unknown" else estimated | {"value": None, "before": None}


def strip_cell(analyzer: str, metric: str, now: Sequence[Finding], before: Sequence[Finding]) -> Cell:
    """The cell of one figure, with last week's value and whether the difference is significant."""
    found = whole_model_finding(now, analyzer, metric)
    if found is None:
        return dict(NOTHING)
    earlier = whole_model_finding(before, analyzer, metric)
    cell = finding_cell(found)
    cell["before"] = (
        None if earlier is None or earlier.value is None else {name: getattr(earlier, name) for name in ("value", "low", "high", "n")}
    )
    cell["differs"] = differs_from_last_week(found, earlier)
    return cell


def finding_cell(finding: Finding) -> Cell:
    """A finding as a cell."""
    cell = {name: getattr(finding, name) for name in ("metric", "value", "low", "high", "n", "unit", "basis", "severity", "because")}
    return cell | {"reference": finding.evidence.get("baseline"), "currency": finding.evidence.get("currency")}


def whole_model_finding(findings: Sequence[Finding], analyzer: str, metric: str) -> Finding | None:
    """An analyzer's finding about the whole model for one metric, over the whole week; None if there is no value. If there are several
    versions: the one with the most rows.
    """
    found = [
        with_window_value(finding)
        for finding in findings
        if (finding.analyzer, finding.metric, finding.subject) == (analyzer, metric, "model") and finding.value is not None
    ]
    return max(found, key=lambda finding: finding.n) if found else None


def differs_from_last_week(now: Finding, before: Finding | None) -> str:
    """`yes`, `no` or `cannot tell`: whether the figure differs significantly (95 %) from last week's figure. It is `cannot tell` if an
    interval or last week's figure is missing.
    """
    if before is None or now.value is None or before.value is None:
        return "cannot tell"
    change = difference_interval(finding_interval(now), finding_interval(before))
    if change.low is None or change.high is None:
        return "cannot tell"
    return "yes" if change.low > 0 or change.high < 0 else "no"


def finding_interval(finding: Finding) -> Interval:
    """A finding's value as an interval."""
    return Interval(finding.value, finding.low, finding.high, float(finding.n))


def needs_action_cell(findings: Sequence[Finding]) -> Cell:
    """The number of findings of one analyzer that need action, the number of all its findings, and sentence and severity of the worst. If
    none needs action: those of the first OK finding.
    """
    if not findings:
        return {"bad": 0, "of": 0, "severity": "unknown", "because": None}
    ordered = worst_first(list(findings))
    bad = sum(needs_action(finding.severity) for finding in findings)
    calm = next((finding for finding in ordered if finding.severity == "ok"), ordered[0])
    shown = ordered[0] if bad else calm
    return {"bad": bad, "of": len(findings), "severity": shown.severity, "because": shown.because}
