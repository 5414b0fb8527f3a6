"""Measures whether the model reveals which records it was trained on."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.enrichment import audit_curves as curves
from observability.enrichment.audit_rows import AuditRows, audit_reference_rows, audit_served_rows
from observability.enrichment.audit_steps import MIN_POOL, POOL, AuditSteps, audit_headline
from observability.enrichment.canary_rows import CANDIDATES, CanaryRows, canary_results, drawn_canary_rows, planted_canary_rows
from observability.stats.arrays import Floats
from observability.stats.exposure import likelihood_ratios

if TYPE_CHECKING:
    from pandas import DataFrame


def run_membership(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of membership, with the exposure of canaries if any are logged."""
    reference = audit_reference_rows(steps.store, steps.model, steps.version, steps.most(POOL))
    planted = planted_canary_rows(steps.store, steps.model, steps.version, reference.inputs) if len(reference) else None
    steps.total = int(planted is not None)
    results = _attacked_members(steps, reference)
    if planted is not None:
        results["canaries"] = _canary_exposures(steps, planted, drawn_canary_rows(reference, CANDIDATES, seed=0))
    return results


def _canary_exposures(steps: AuditSteps, planted: CanaryRows, drawn: CanaryRows) -> dict[str, Any]:
    """The exposure of canaries: how the model's confidence in them ranks among candidates from the same distribution. It takes one step."""
    import pandas as pd

    def ask() -> list[float]:
        rows = pd.concat([planted.inputs, drawn.inputs], ignore_index=True)
        labels = np.concatenate([planted.labels, drawn.labels]).tolist()
        answer = steps.call("audit_membership_job:truth_confidences", {"rows": rows}, labels=labels)
        return [float(value) for value in answer.frames["found"]["confidence"]]

    number = len(planted.names)
    confidence = np.array(steps.step(f"canaries {number}", f"ranking {number} canaries among {len(drawn.names):,} candidates", ask))
    return canary_results(planted.names, confidence[:number], confidence[number:])


def _attacked_members(steps: AuditSteps, inside: AuditRows) -> dict[str, Any]:
    """The results of the attack on rows of the reference. If too few training or held-out records are known, the headline has no value."""
    if not (steps.request.in_sample or steps.version.in_sample):
        why = "Cannot tell: it is not stated that the reference holds training rows. Run with --in-sample if it does."
        return {"headline": audit_headline("membership", None, why), "summary": {}}
    outside = audit_served_rows(steps.store, steps.model, steps.version, steps.most(POOL))
    if min(len(inside), len(outside)) < MIN_POOL:
        why = (
            f"Cannot tell: {len(inside):,} training records and {len(outside):,} held-out ones with labels are known; "
            f"{MIN_POOL} of each are needed."
        )
        return {"headline": audit_headline("membership", None, why), "summary": {}}
    import pandas as pd

    table = pd.concat([inside.inputs, outside.inputs], ignore_index=True)
    labels, members = np.concatenate([inside.labels, outside.labels]), np.repeat([True, False], [len(inside), len(outside)])
    ids = (*inside.ids, *outside.ids)
    why = steps.call("audit_membership_job:shadow_hindrance", {}).values["why"] if steps.request.shadows else "none were asked for"
    shadows = 0 if why else steps.request.shadows
    steps.total += 2 + shadows
    given = {"labels": labels.tolist()}

    def confidence(job: str, column: str, **more: Any) -> list[float]:
        answer = steps.call(f"audit_membership_job:{job}", {"rows": table}, **given, **more)
        return [float(value) for value in answer.frames["found"][column]]

    own = np.array(
        steps.step("target", f"asking the model about {len(ids):,} records", lambda: confidence("truth_confidences", "confidence"))
    )
    blind = np.array(
        steps.step(
            "blind",
            "recognising members without the model",
            lambda: confidence("membership_without_model", "member_score", members=members.astype(int).tolist()),
        )
    )
    statistic, attack = own, "loss threshold"
    note: str | None = f"No shadow models: {why}."
    if shadows:
        statistic, attack, note = _calibrated(steps, table, given, own, shadows), f"LiRA, {shadows} shadow models", None
    groups = {name: np.concatenate([inside.groups[name], outside.groups[name]]) for name in inside.groups}
    if steps.model.task != "regression":
        groups["class"] = np.array([steps.model.classes[int(label)] for label in labels], dtype=object)
    attacked, threshold, plain = (curves.exposure_results(values, members) for values in (statistic, own, blind))
    rate = attacked["true_positive_rates"][0]
    caution = None
    if plain["auc"]["value"] > curves.BLIND:
        caution = (
            f"The records differ without the model too (AUC {plain['auc']['value']:.2f} from features and label alone), "
            "so part of the exposure may be that difference."
        )
    return {
        "headline": audit_headline("membership", rate, caution, at=rate["false_positive_rate"]),
        "attack": attack,
        "note": note,
        "members": {"n": len(inside), "are": "rows of the reference"},
        "others": {"n": len(outside), "are": f"labelled rows of {outside.environment}"},
        "best": attacked,
        "loss_threshold": threshold,
        "without_model": {"auc": plain["auc"]},
        "gap": curves.generalisation_gap(own, members, steps.model.task or "regression"),
        "groups": curves.exposure_by_group(statistic, members, groups),
        "exposed": curves.most_exposed(ids, statistic, members),
        "summary": {"membership_exposure": rate["value"], "attack_auc": attacked["auc"]["value"]},
    }


def _calibrated(steps: AuditSteps, table: "DataFrame", given: Mapping[str, Any], own: Floats, shadows: int) -> Floats:
    """LiRA's statistic for each record, from shadow models. Each shadow model is one step."""

    def shadow(seed: int) -> dict[str, list[float]]:
        answer = steps.call("audit_membership_job:shadow_confidences", {"rows": table}, **given, seed=steps.request.seed * 1000 + seed)
        return {name: np.round(answer.frames["found"][name].to_numpy(np.float64), 5).tolist() for name in ("confidence", "inside")}

    every = [steps.step(f"shadow {k}", f"shadow model {k + 1} of {shadows}", partial(shadow, k)) for k in range(shadows)]
    confidence, inside = (np.array([each[name] for each in every]) for name in ("confidence", "inside"))
    return likelihood_ratios(own, np.where(inside == 1, confidence, np.nan), np.where(inside == 1, np.nan, confidence))
