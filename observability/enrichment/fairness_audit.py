"""Measures how large the gaps between groups can become if the population shifts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from observability.core.catalog import Model
from observability.enrichment.audit_rows import AuditRows, audit_reference_rows, served_inputs
from observability.enrichment.audit_steps import MIN_POOL, SERVED_DAYS, WEIGHED, AuditSteps, audit_headline
from observability.enrichment.shift_results import shift_family, shift_results
from observability.metrics.shifted_fairness import DecidedRows


def run_fairness(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of fairness under shift. The headline has no value if groups cannot be compared."""
    rows = audit_reference_rows(steps.store, steps.model, steps.version, steps.most(WEIGHED))
    groups = {name: values for name, values in rows.groups.items() if "=" not in name}
    if (why := _no_fairness(steps.model, rows, groups)) is not None:
        return {"headline": audit_headline("fairness", None, why), "summary": {}}
    steps.total = 2
    scores = steps.step("scores", f"asking the model about {len(rows):,} rows", lambda: _own_scores(steps, rows))
    served = served_inputs(steps.store, steps.model, steps.version, steps.most(WEIGHED), SERVED_DAYS)
    decided = DecidedRows(np.array(scores) >= steps.model.settings.threshold, rows.labels == 1, groups)
    steps.progress(0.5, "reweighting rows")
    criterion = steps.model.settings.fairness_criterion or "equalized_odds"
    results = shift_results(decided, shift_family(decided, rows.inputs, served), criterion, steps.request.seed)
    worst = results["worst"]
    facts = {"reference": len(rows), "served": 0 if served is None else len(served), "served_days": SERVED_DAYS}
    if worst is None:
        why = "Cannot tell: no attribute has two groups with enough rows."
        return {"headline": audit_headline("fairness", None, why), **results, "rows": facts, "summary": {}}
    caution = "The reference holds training rows, so gaps may be smaller than on new ones." if steps.version.in_sample else None
    found = audit_headline("fairness", worst["gap"], caution, at=results["divergence"])
    return {"headline": found, **results, "rows": facts, "summary": {"shifted_fairness_gap": worst["gap"]["value"]}}


def _no_fairness(model: Model, rows: AuditRows, groups: Mapping[str, Any]) -> str | None:
    """The reason why gaps between groups cannot be measured. None if they can."""
    if model.task != "binary":
        return "Cannot tell: rates of positive decisions need a binary model."
    if not groups:
        return "Cannot tell: no attribute of the model is declared sensitive."
    if len(rows) < MIN_POOL:
        return f"Cannot tell: the reference has {len(rows):,} labelled rows; {MIN_POOL} are needed."
    return None


def _own_scores(steps: AuditSteps, rows: AuditRows) -> list[float]:
    """The scores that the model file predicts for the rows."""
    answer = steps.call("explain_job:score_rows", {"rows": rows.inputs})
    return [round(float(score), 6) for score in answer.frames["scores"]["score"]]
