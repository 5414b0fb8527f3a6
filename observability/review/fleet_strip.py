"""What stands in a model's row of the fleet's week: one figure for each question, beside last week's and the reference's?

A cell is a small JSON-able dict made from the one finding that answers the question: nothing is computed a second time.
"""

from collections.abc import Sequence
from typing import Any

from observability.core.catalog import Model
from observability.core.finding import Finding, Severity, needs_action, over_window, worst_first
from observability.metrics.performance import HEADLINE
from observability.stats.interval import Interval, difference_interval

Cell = dict[str, Any]
FIGURES = (
    ("latency", "serving/latency", "latency_p99"),
    ("error_budget", "serving/latency", "error_budget_left"),
    ("labels", "serving/performance", "label_maturity"),
    ("cost", "operations/cost", "cost_per_thousand"),
    ("energy", "operations/energy", "energy_per_thousand"),
    ("carbon", "operations/energy", "sci"),
)
"""Cell, analyzer and metric of the figures that one finding about the whole model gives."""
VERDICTS = (("quality", "data/quality"), ("drift", "serving/drift"), ("fairness", "trust/fairness"))
"""Cell and analyzer of the cells that count findings."""
COMPARED = ("serving/performance", "serving/estimated_performance", "serving/latency", "operations/cost", "operations/energy")
"""Analyzers whose figures stand beside last week's."""

NOTHING: Cell = {
    "metric": None, "value": None, "low": None, "high": None, "n": 0, "unit": "", "basis": "measured", "severity": "unknown", "because": None,
    "reference": None, "currency": None, "before": None, "differs": "cannot tell",
}  # fmt: skip
"""The cell of a figure that nobody gives."""


def strip(model: Model, now: Sequence[Finding], before: Sequence[Finding]) -> dict[str, Cell]:
    """Every cell of a model's row by its name. now, before: findings of this week and of the week before (those of COMPARED)."""
    headline = HEADLINE.get(model.task or "", "")
    cells = {"performance": figure("serving/performance", headline, now, before)}
    cells["estimated"] = figure("serving/estimated_performance", headline, now, before)
    for name, analyzer, metric in FIGURES:
        cells[name] = figure(analyzer, metric, now, before)
    for name, analyzer in VERDICTS:
        cells[name] = counted([each for each in now if each.analyzer == analyzer])
    return cells


def figure(analyzer: str, metric: str, now: Sequence[Finding], before: Sequence[Finding]) -> Cell:
    """The cell of one figure with what it was last week, and whether the two differ by more than chance."""
    found = of(now, analyzer, metric)
    if found is None:
        return dict(NOTHING)
    earlier = of(before, analyzer, metric)
    cell = told(found)
    cell["before"] = None if earlier is None or earlier.value is None else {**span(earlier), "n": earlier.n}
    cell["differs"] = differs(found, earlier)
    return cell


def told(finding: Finding) -> Cell:
    """A finding as a cell."""
    return {
        "metric": finding.metric,
        **span(finding),
        "n": finding.n,
        "unit": finding.unit,
        "basis": finding.basis,
        "severity": finding.severity,
        "because": finding.because,
        "reference": finding.evidence.get("baseline"),
        "currency": finding.evidence.get("currency"),
    }


def span(finding: Finding) -> Cell:
    """Value and interval."""
    return {"value": finding.value, "low": finding.low, "high": finding.high}


def of(findings: Sequence[Finding], analyzer: str, metric: str) -> Finding | None:
    """What an analyzer says of the whole model by one metric, over the whole week; None where it gives no value. Of several versions the one with the most rows."""
    found = [
        over_window(each)
        for each in findings
        if (each.analyzer, each.metric, each.subject) == (analyzer, metric, "model") and each.value is not None
    ]
    return max(found, key=lambda each: each.n) if found else None


def differs(now: Finding, before: Finding | None) -> str:
    """`yes`, `no` or `cannot tell`: does the figure differ from last week's by more than chance (95 %)? No interval, or no last week: cannot tell."""
    if before is None or now.value is None or before.value is None:
        return "cannot tell"
    change = difference_interval(interval(now), interval(before))
    if change.low is None or change.high is None:
        return "cannot tell"
    return "yes" if change.low > 0 or change.high < 0 else "no"


def interval(finding: Finding) -> Interval:
    """A finding's value as an interval."""
    return Interval(finding.value, finding.low, finding.high, float(finding.n))


def counted(findings: Sequence[Finding]) -> Cell:
    """How many findings of one analyzer need a person, of how many, and the worst in a sentence."""
    if not findings:
        return {"bad": 0, "of": 0, "severity": "unknown", "because": None}
    worst = worst_first(list(findings))[0]
    bad = sum(needs_action(each.severity) for each in findings)
    return {"bad": bad, "of": len(findings), "severity": worst.severity if bad else settled(findings), "because": worst.because}


def settled(findings: Sequence[Finding]) -> Severity:
    """The severity of findings none of which needs a person: fine where at least one could be judged."""
    return "ok" if any(each.severity == "ok" for each in findings) else "unknown"
