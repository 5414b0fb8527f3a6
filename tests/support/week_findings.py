"""Findings of one model in one week, and the incidents that they form."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.incidents.grouping import Incident, group_findings

START = datetime(2026, 7, 6, tzinfo=UTC)
DAY = timedelta(days=1)
IMPORTANCE = {"m": {"age": 0.5, "income": 0.3, "zip": 0.19, "tiny": 0.01}}


def week_finding(metric: str, subject: str = "model", *, day: float | None = 3, severity: str = "act", **changed: Any) -> Finding:
    """A finding of model m in the week from START, with its onset on a day of that week."""
    analyzer = changed.pop("analyzer", None) or ANALYZER_OF_METRIC[metric]
    base = Finding(
        analyzer=analyzer,
        model="m",
        version="1",
        subject=subject,
        metric=metric,
        unit=METRICS[metric].unit,
        value=0.4,
        low=0.3,
        high=0.5,
        n=900,
        severity="act",
        because=f"{metric} of `{subject}` is off.",
        start=START,
        end=START + 7 * DAY,
        against="reference",
        onset=None if day is None else START + day * DAY,
        rank=5.0,
    )
    return replace(base, severity=severity, **changed)


METRICS_OF_ANALYZER = {
    "data/quality": "null_rate out_of_range_rate volume",
    "serving/drift": "psi level_trade",
    "serving/multivariate_drift": "domain_auc",
    "serving/performance": "mae rmse roc_auc",
    "serving/estimated_performance": "estimate_error",
    "serving/calibration": "ece",
    "trust/explanations": "attribution_distance",
    "operations/cost": "money_lost_per_thousand cost_per_thousand",
    "operations/energy": "energy_per_thousand",
    "serving/latency": "latency_p99 burn_rate",
    "serving/edge_fleet": "device_late_share device_crash_share ring_crash_gap",
    "data/labels": "label_maturity",
    "trust/fairness": "equal_opportunity_difference demographic_parity_ratio",
    "training/runs": "straggler_score",
    "serving/slices": "rank_shift",
    "trust/live_guard": "boundary_request_share far_request_share",
}
ANALYZER_OF_METRIC = {metric: analyzer for analyzer, metrics in METRICS_OF_ANALYZER.items() for metric in metrics.split()}


def score_moved(**changed: Any) -> Finding:
    return week_finding("psi", "score", evidence={"column": "score"}, **changed)


def week_incidents(*findings: Finding, importance: dict[str, dict[str, float]] | None = None) -> tuple[Incident, ...]:
    return group_findings(findings, IMPORTANCE if importance is None else importance)[1]


def unit_change() -> list[Finding]:
    """The findings that the changed unit of one feature causes in all parts of the pipeline."""
    return [
        week_finding("mae", rank=15.0),
        week_finding("rmse", rank=12.0),
        week_finding("ece", day=None, severity="watch"),
        week_finding("psi", "income", evidence={"jensen_shannon_distance": 0.8}),
        week_finding("out_of_range_rate", "income", evidence={"baseline": 0.0}, value=0.97, high=0.98),
        score_moved(),
        week_finding("domain_auc", day=None, severity="watch"),
        week_finding("attribution_distance", day=None),
        week_finding("equal_opportunity_difference", day=4, severity="watch"),
        week_finding("money_lost_per_thousand", day=None, severity="watch"),
    ]
