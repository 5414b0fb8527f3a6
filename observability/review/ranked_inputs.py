"""Inputs of a week ranked by drift × importance.

Importance is the share of the mean absolute attribution (SHAP) if attributions are stored, else the share in the owner's settings. Without
either, inputs are ranked by drift alone, and the result says so. The product is a heuristic.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.finding import Finding, with_window_value
from observability.core.questions import Aggregate
from observability.core.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

Body = dict[str, Any]
Ask = Callable[[Aggregate, Window], "DataFrame"]
MAX_RANKED_INPUTS = 10
"""Maximum number of inputs that a frozen week keeps."""
SAID = {
    "explanations": "Ranked by drift × importance (share of the mean absolute SHAP value this week).",
    "settings": "Ranked by drift × importance (from the settings; too few attributions are stored).",
    "drift": "Ranked by drift (no attributions are stored, and the settings state no importance).",
}


def inputs_by_impact(findings: Sequence[Finding], model: Model) -> Body:
    """by: source of the importance; said: the source as a sentence; rows: the MAX_RANKED_INPUTS inputs with the largest impact.

    A row has feature, version, drift (PSI) with its interval, share (None if unknown), impact, severity and n. If no drift was measured,
    there is only `why`.
    """
    drifts = [
        finding for finding in findings if (finding.analyzer, finding.metric) == ("serving/drift", "psi") and finding.value is not None
    ]
    drifts = [with_window_value(finding) for finding in main_version_findings(drifts) if model.column(f"feature.{finding.subject}")]
    if not drifts:
        return {"why": "No input was compared with the reference this week."}
    version = drifts[0].version
    wanted = ("trust/explanations", "attribution_share", version)
    shares = {
        finding.subject: float(finding.value)
        for finding in findings
        if (finding.analyzer, finding.metric, finding.version) == wanted and finding.value is not None
    }
    by = "explanations" if shares else "settings" if model.settings.importance else "drift"
    shares = shares or model.settings.importance
    rows: list[Body] = []
    for finding in drifts:
        share = shares.get(finding.subject, 0.0) if shares else None
        impact = float(finding.value or 0.0) * (1.0 if share is None else share)
        row = {"feature": finding.subject, "version": version, "drift": finding.value, "share": share, "impact": impact}
        rows.append(row | {name: getattr(finding, name) for name in ("low", "high", "severity", "n")})
    return {"by": by, "said": SAID[by], "rows": sorted(rows, key=lambda row: (-row["impact"], row["feature"]))[:MAX_RANKED_INPUTS]}


def main_version_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Findings of the version with the most rows."""
    if not findings:
        return []
    version = max(findings, key=lambda finding: finding.n).version
    return [finding for finding in findings if finding.version == version]


def input_overlay(ask: Ask, window: Window, row: Body) -> Body:
    """Histograms of an input in the week and in the reference: rows of [bin, weight], with the bin edges that are stored with the
    version.
    """
    column = f"feature.{row['feature']}"
    question = Aggregate("predictions", histogram=(column,))
    side = replace(window, version=row["version"])
    return {
        "column": column,
        "version": row["version"],
        **{
            name: ask(question, span).groupby("bin")["w"].sum().reset_index().to_numpy().tolist()
            for name, span in (("current", side), ("reference", side.reference()))
        },
    }
