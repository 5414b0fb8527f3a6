"""Measures how stable a model's decisions are if its inputs are attacked, disturbed, absent or misspelt."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from observability.core.errors import UsageError
from observability.enrichment import audit_curves as curves
from observability.enrichment.audit_rows import (
    AuditRows,
    attackable_features,
    audit_reference_rows,
    logged_text_of,
)
from observability.enrichment.audit_steps import (
    ATTACKED,
    CHUNK,
    DISTURBED,
    NOISE,
    REAL,
    TEXTS,
    AuditSteps,
    audit_headline,
    audited_rows,
    first_audit_rows,
)

TEXT_NAMES = ("text", "prompt", "question", "query", "message", "body", "review", "comment", "tweet", "title", "content", "document")
THREAT = (
    "An attacker who sees the model's decisions, changes features within the reference's range, and pays for each change: "
    "standard deviations of a number, 1 for another level, times the feature's cost."
)


def run_robustness(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of robustness."""
    rows, real = audited_rows(steps, steps.most(DISTURBED)), audit_reference_rows(steps.store, steps.model, steps.version, REAL)
    real = real if len(real) else rows
    free, locked = attackable_features(steps.model, steps.version, real.inputs)
    tolerance = float(np.std(real.scores[np.isfinite(real.scores)]) / 2) if steps.model.task == "regression" else 0.0
    attacked = min(steps.most(ATTACKED), len(rows))
    texts = logged_text_of(steps.store, first_audit_rows(rows, steps.most(TEXTS)), steps.version, TEXT_NAMES)
    chunks = range(0, attacked, CHUNK)
    steps.total = len(chunks) + 1 + bool(texts[2])
    shared = {"free": free, "tolerance": tolerance}
    found = []
    for start in chunks:
        end = min(start + CHUNK, attacked)
        words = f"attacking rows {start + 1} to {end} of {attacked}"
        found.append(steps.step(f"attack {start}", words, partial(_attack, steps, rows, real, start, end, shared)))
    disturbed = steps.step("disturb", f"noise and absent features on {len(rows):,} rows", lambda: _disturb(steps, rows, shared))
    changed = steps.step("texts", "changing texts", lambda: _change_texts(steps, rows, texts)) if texts[2] else None
    right = np.array(disturbed["right"]["clean"][:attacked]) > 0.5 if steps.model.task != "regression" else np.ones(attacked, np.bool_)
    single, several = (np.array([np.inf if cost is None else cost for part in found for cost in part[name]]) for name in ("single", "any"))
    changes = [each["any"] for part in found for each in part["changes"]]
    curve = curves.attack_curves(right, single, several)
    at = next(point for point in curve if point["epsilon"] == curves.HEADLINE_EPSILON)
    results: dict[str, Any] = {
        "headline": audit_headline("robustness", at, at=curves.HEADLINE_EPSILON),
        "threat": THREAT,
        "exact_single": all(part["exact"] for part in found),
        "rows": {"from": rows.environment, "attacked": attacked, "disturbed": len(rows)},
        "tolerance": tolerance or None,
        "locked": locked,
        "costs": dict(steps.model.settings.attack_costs),
        "directions": {each["name"]: each["direction"] for each in free if "direction" in each},
        "epsilon": curve,
        "groups": curves.curves_by_group({name: values[:attacked] for name, values in rows.groups.items()}, right, single, several),
        "flips": curves.cheapest_flips(rows.ids[:attacked], several, changes, right),
        **_disturbed_results(disturbed, steps.model.task or "regression"),
    }
    if changed is not None:
        results["texts"] = _text_results(changed, rows.ids)
    summary = {"robust_accuracy": at["value"], "accuracy": curve[0]["value"]}
    return results | {"summary": {name: value for name, value in summary.items() if value is not None}}


def _attack(steps: AuditSteps, rows: AuditRows, real: AuditRows, start: int, end: int, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The result of one step with the attack, for rows from `start` to before `end`."""
    frames = {"rows": rows.inputs.iloc[start:end].reset_index(drop=True), "real": real.inputs}
    answer = steps.call("audit_robustness_job:attack_rows", frames, **shared)
    costs = {name: [float(cost) if np.isfinite(cost) else None for cost in answer.frames["found"][name]] for name in ("single", "any")}
    return {"exact": bool(answer.values["exact"]), "changes": list(answer.values["changes"]), **costs}


def _disturb(steps: AuditSteps, rows: AuditRows, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The results of the step with noise and absent features."""
    given = {**shared, "levels": list(NOISE), "labels": rows.labels.tolist()}
    answer = steps.call("audit_robustness_job:disturb_rows", {"rows": rows.inputs}, **given)
    right = {name: np.round(answer.frames["right"][name].to_numpy(np.float64), 6).tolist() for name in answer.frames["right"]}
    return {"right": right, "order": list(answer.values["order"]), "filled": list(answer.values["filled"])}


def _disturbed_results(found: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The curves of accuracy (for a regression, mean absolute error) with more noise and with more absent features."""
    points = {name: curves.interval_json(curves.measured_mean(np.array(values), task)) for name, values in found["right"].items()}
    noise = [{"noise": 0.0, **points["clean"]}, *({"noise": level, **points[f"noise/{level:g}"]} for level in NOISE)]
    without = [{"features": 0, **points["clean"]}]
    without += [{"features": place, "name": name, **points[f"without/{place}"]} for place, name in enumerate(found["order"], start=1)]
    return {"noise": noise, "without": without, "filled": found["filled"], "measure": "mae" if task == "regression" else "accuracy"}


def _change_texts(steps: AuditSteps, rows: AuditRows, texts: tuple[str | None, str | None, list[str]]) -> dict[str, Any]:
    """The results of the step with changed texts. If the texts do not reach the model in a known way, only the reason, as `why`."""
    feature, _, own = texts
    some = first_audit_rows(rows, len(own))
    try:
        answer = steps.call(
            "audit_robustness_job:change_texts", {"rows": some.inputs}, texts=own, feature=feature, labels=some.labels.tolist()
        )
    except UsageError as error:
        return {"why": str(error)}
    tables = {name: {column: answer.frames[name][column].tolist() for column in answer.frames[name]} for name in ("right", "flipped")}
    return {**tables, "cases": dict(answer.values["cases"]), "through": list(answer.values["through"])}


def _text_results(found: Mapping[str, Any], ids: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy and share of changed decisions for each change of the text. Cases hold the id of the prediction, not its text."""
    if "why" in found:
        return {"why": found["why"]}
    made = []
    for name, flipped in found["flipped"].items():
        right = curves.interval_json(curves.held_share(np.array(found["right"][name]) > 0.5))
        share = curves.interval_json(curves.held_share(np.array(flipped) > 0.5))
        made.append({"change": name, "accuracy": right, "flipped": share, "ids": [ids[row] for row, _ in found["cases"].get(name, [])]})
    clean = curves.interval_json(curves.held_share(np.array(found["right"]["clean"]) > 0.5))
    return {"clean": clean, "changes": made, "through": found["through"]}
