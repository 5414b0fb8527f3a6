"""Which inputs of a week matter most: how far did each move, times how much the model listens to it?

Importance is the share of the mean absolute attribution (SHAP) where explanations are stored, else the share that the owner's settings state; without
either, inputs are ranked by drift alone, and that is said. The product is a heuristic: a small drift of what matters may hurt more than a large one of
what does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.finding import Finding, over_window
from observability.core.questions import Aggregate
from observability.core.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

Body = dict[str, Any]
Ask = Callable[[Aggregate, Window], "DataFrame"]
MOST = 10
"""Inputs that a frozen week keeps, the first."""
SAID = {
    "explanations": "Ranked by drift × importance, the share of the mean absolute attribution (SHAP) in this week.",
    "settings": "Ranked by drift × importance, the share that the settings state, as too few attributions are stored.",
    "drift": "Ranked by drift alone: no attributions are stored, and the settings state no importance.",
}


def ranked(findings: Sequence[Finding], model: Model) -> Body:
    """by: where the importance is from; said: the same in a sentence; rows: the first MOST inputs, that of the largest product first.

    A row: feature, version, drift (PSI) with its interval, share (None without), impact, severity, n. Raises nothing; without a drift finding there is only `why`.
    """
    drifts = of_version([each for each in findings if each.analyzer == "serving/drift" and each.metric == "psi" and each.value is not None])
    drifts = [over_window(each) for each in drifts if model.column(f"feature.{each.subject}")]
    if not drifts:
        return {"why": "No input could be compared with the reference in this week."}
    version = drifts[0].version
    shares = {
        each.subject: float(each.value)
        for each in findings
        if (each.analyzer, each.metric, each.version) == ("trust/explanations", "attribution_share", version) and each.value is not None
    }
    by = "explanations" if shares else "settings" if model.settings.importance else "drift"
    shares = shares or model.settings.importance
    rows: list[Body] = []
    for each in drifts:
        share = shares.get(each.subject, 0.0) if shares else None
        impact = float(each.value or 0.0) * (1.0 if share is None else share)
        rows.append(
            {"feature": each.subject, "version": version, "drift": each.value, "low": each.low, "high": each.high, "share": share, "impact": impact,
             "severity": each.severity, "n": each.n}
        )  # fmt: skip
    return {"by": by, "said": SAID[by], "rows": sorted(rows, key=lambda each: (-each["impact"], each["feature"]))[:MOST]}


def of_version(findings: Sequence[Finding]) -> list[Finding]:
    """Those about the version with the most rows."""
    if not findings:
        return []
    version = max(findings, key=lambda each: each.n).version
    return [each for each in findings if each.version == version]


def overlay(ask: Ask, window: Window, row: Body) -> Body:
    """The first input as the week and the reference have it: rows of [bin, weight], on the stored edges of the version."""
    column = f"feature.{row['feature']}"
    question = Aggregate("predictions", histogram=(column,))
    side = replace(window, version=row["version"])
    return {
        "column": column,
        "version": row["version"],
        **{
            name: ask(question, asked).groupby("bin")["w"].sum().reset_index().to_numpy().tolist()
            for name, asked in (("current", side), ("reference", side.reference()))
        },
    }
