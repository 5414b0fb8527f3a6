"""Compare feature attributions with the reference, and check them against the logged outputs.

The shares of the features in the mean absolute attribution (SHAP) are compared with the reference (with the model's own past if the
reference has none): the share of the attribution that moved between features (total variation distance), and whether the ranking of the
features changed (NDCG). Each is compared with a limit and with the sampling noise at this sample size. Only the random sample of each day
counts, weighted to the day's predictions; the rows that were explained because of their large errors are excluded.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from observability.core.analyzer import OTHERS, Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity, needs_action
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Attributions, Bucket, By
from observability.detection.change import significant_severity
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.metrics.attributions import (
    ExplainedSample,
    attributed_features,
    explained_sample,
    joined_names,
    largest_first,
    main_drivers,
    share_in_percent,
    usual_link,
)
from observability.stats.attribution import AttributionChange, AttributionDistance, attribution_change, attribution_rows_needed
from observability.stats.interval import rate_interval
from observability.stats.multiple_testing import benjamini_hochberg

NAME = "trust/explanations"
DISTANCE, NDCG = 0.1, 0.90
"""Total variation above 0.1 (our limit) or NDCG below 0.90 (the limit of SageMaker Clarify) gives a warning."""
FEATURE = 0.05
"""Smallest change of a feature's share that gives a finding about the feature."""
BROKEN = 0.01
"""A significant share above this needs action: of rows with inconsistent attributions, or of rows for which the artifact gives other
scores.
"""
MINIMUM_ROWS, ROWS, PAST_DAYS = 100, 3000, 28
NO_ARTIFACT = (
    "Nothing explains the scores of version {}: register it with `--artifact FILE` (LightGBM text, XGBoost json, skops or ONNX), "
    "or log `attributions` with the predictions."
)
FAILED = (
    "The artifact of version {} could not be explained: {}. Register one that can be read with `register --artifact FILE`, or log "
    "`attributions` with "
    "the predictions; it is tried again when the artifact or a library changes."
)


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries: attributions of the window and of the reference, and daily predictions. Without an artifact, a reference cannot
    be explained, so past attributions are used instead.
    """
    served = Aggregate("predictions", keys=(Bucket("day"), By("status")))
    asks = {"current": Ask(Attributions(ROWS)), "days": Ask(served)}
    if context.version.reference_rows and context.version.artifact:
        asks["reference"] = Ask(Attributions(ROWS), span="reference")
    elif not context.version.artifact:
        asks |= {
            "past": Ask(Attributions(ROWS), span="past", days=PAST_DAYS),
            "past_days": Ask(served, span="past", days=PAST_DAYS),
        }
    return asks


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return findings about the attribution distance, the ranking, each feature, additivity, and the registered artifact."""
    against: Against = "reference" if "reference" in frames or "past" not in frames else "past"
    other = frames.get(against)
    names = attributed_features(frames["current"], *([] if other is None else [other])) or context.version.features
    now = explained_sample(frames["current"], frames["days"], names)
    if now.served == 0:
        return [undecided_attribution(context, 0, "No predictions in this window, so nothing can be explained.", against)]
    if now.explained == 0:
        return [undecided_attribution(context, 0, why_not_explained(context, now), against)]
    checks = [*adding_up(context, now), *artifact_agreement_findings(context, now)]
    if now.n < MINIMUM_ROWS:
        more = f"about {MINIMUM_ROWS - now.n:,} more explained predictions are needed"
        sentence = (
            f"The main drivers of the scores are not known yet: {more}; {now.n:,} of {now.served:,} can be used{explained_days_words(now)}."
        )
        return [undecided_attribution(context, now.n, sentence, against), *checks]
    before = None if other is None else explained_sample(other, frames.get("past_days") if against == "past" else None, names, now.link)
    if before is None or before.n < MINIMUM_ROWS:
        return [undecided_attribution(context, now.n, uncompared_sentence(now, before, against, other), against), *checks]
    change = attribution_change(before.values, now.values, before.weights, now.weights)
    return [*attribution_findings(context, now, before, change, against), *checks]


def why_not_explained(context: Context, now: ExplainedSample) -> str:
    """Return why nothing is explained, and the next step."""
    if not context.version.artifact:
        return NO_ARTIFACT.format(context.version.name)
    if failed := context.counters.get("not_explained", {}).get(context.version.name):
        return FAILED.format(context.version.name, str(failed).rstrip(". "))
    return (
        f"None of the {now.served_days} days with predictions is explained yet: the dashboard does it when it is idle, "
        "or `python -m observability explain` does it now."
    )


def explained_days_words(now: ExplainedSample) -> str:
    """Return a clause with the number of explained days; empty if all days are explained."""
    return f" ({now.days} of {now.served_days} days are explained so far)" if now.days < now.served_days else ""


def uncompared_sentence(now: ExplainedSample, before: ExplainedSample | None, against: Against, other: Any) -> str:
    """Return the sentence with the main drivers of the scores, and why they are not compared with a baseline."""
    said = f"Main drivers of the scores: {main_drivers(now)}, on {now.n:,} of {now.served:,} predictions{explained_days_words(now)}"
    if other is not None and before is not None and len(other) and usual_link(other) not in (None, now.link):
        return f"{said}; the {against} is explained in another space ({usual_link(other)}, not {now.link}), so they cannot be compared."
    where = "the reference is not explained yet" if against == "reference" else f"the {PAST_DAYS} days before hold too few explanations"
    held = before.n if before is not None else 0
    return f"{said}; no comparison: {where} ({held:,} rows, needs about {MINIMUM_ROWS - held:,} more)."


def attribution_findings(
    context: Context, now: ExplainedSample, before: ExplainedSample, change: AttributionChange, against: Against
) -> list[Finding]:
    """Return the findings of the comparison: distance and ranking, then the features.

    The features are tested only if the distance is beyond its limit.
    """
    limits = context.model.settings.limits
    limit, lowest = limits.get(f"{NAME}/attribution_distance", DISTANCE), limits.get(f"{NAME}/attribution_ndcg", NDCG)
    adjusted, _ = benjamini_hochberg([change.distance.p_value, change.ndcg.p_value], context.budget)
    value = change.distance.value
    moved = severity_of(value > limit, value > 2 * limit, float(adjusted[0]), change.distance.null > limit, context)
    order = severity_of(change.ndcg.value < lowest, False, float(adjusted[1]), change.ndcg.null < lowest, context)
    more = attribution_rows_needed(change.distance.null, limit, now.n, before.n)
    words = attribution_sentence(now, before, change, against, moved, limit, more)
    shares, then = now.importance(), before.importance()
    base = undecided_attribution(context, now.n, "", against)
    common = {"n_reference": before.n, "days": now.days, "served_days": now.served_days, "served": now.served, "link": now.link}
    table = [
        {"feature": name, "mean": float(shares.mean[k]), "share": float(shares.share[k]), "share_reference": float(then.share[k])}
        for k, name in enumerate(now.names)
    ]
    found = [
        attribution_finding(
            base, "attribution_distance", change.distance, limit, moved, words, float(adjusted[0]), {**common, "features": table}
        ),
        attribution_finding(
            base,
            "attribution_ndcg",
            change.ndcg,
            lowest,
            order,
            ranking_sentence(now, before, change, against, order, lowest),
            float(adjusted[1]),
            common,
        ),
    ]
    if needs_action(moved):
        when = attribution_onset(now, before, change, context)
        found[0] = replace(found[0], onset=when.at, evidence=found[0].evidence | when.evidence)
    p_values = benjamini_hochberg(change.p_values, context.budget)[0]
    for place, name in enumerate(now.names):
        is_moved = needs_action(moved) and abs(change.shares[place]) >= FEATURE and p_values[place] <= context.budget
        share, was = float(shares.share[place]), float(then.share[place])
        went = "rose" if share > was else "fell"
        said = (
            f"`{name}` {went} from {share_in_percent(was)} to {share_in_percent(share)} of the attribution"
            if is_moved
            else f"`{name}` has {share_in_percent(share)} of the attribution, {share_in_percent(was)} in the {against}"
        )
        found.append(
            replace(
                base,
                subject=name,
                metric="attribution_share",
                unit=METRICS["attribution_share"].unit,
                value=share,
                low=min(float(shares.share_low[place]), share),
                high=max(float(shares.share_high[place]), share),
                limit=(max(was - FEATURE, 0.0), min(was + FEATURE, 1.0)),
                severity="watch" if is_moved else "ok",
                likely_source="input" if is_moved else None,
                rank=5.0 + abs(float(change.shares[place])),
                because=f"{said}, on {now.n:,} explained predictions.",
                evidence={
                    "baseline": was,
                    "baseline_n": before.n,
                    "change": float(change.shares[place]),
                    "change_low": float(change.low[place]),
                    "change_high": float(change.high[place]),
                    "p_value": float(change.p_values[place]),
                    "p_adjusted": float(p_values[place]),
                    "mean": float(shares.mean[place]),
                    "mean_low": float(shares.low[place]),
                    "mean_high": float(shares.high[place]),
                },
            )
        )
    return found


def attribution_onset(now: ExplainedSample, before: ExplainedSample, change: AttributionChange, context: Context) -> OnsetEstimate:
    """Estimate the onset date of the change of the features' shares.

    The series consists of each day's position along the direction of the whole change; known past days come first.
    """
    length = float(np.linalg.norm(change.shares))
    direction = change.shares / length if length > 0 else change.shares
    rows = [*before.by_day(direction), *now.by_day(direction)]
    return estimate_onset(
        [np.datetime64(day, "D") for day, *_ in rows],
        [value for _, value, _ in rows],
        [error for *_, error in rows],
        start=context.window.start,
        before=None if before.of_day.size else before.along(direction),
        worse=1,
    )


def severity_of(beyond: bool, far_beyond: bool, adjusted: float, too_small: bool, context: Context) -> Severity:
    """Return the severity of a value that is beyond the limit, or far beyond it. It is `unknown` if sampling noise alone
    exceeds the limit.
    """
    severity = significant_severity(beyond, far_beyond, adjusted, context.budget)
    return "unknown" if severity == "ok" and too_small else severity


def attribution_finding(
    base: Finding,
    metric: str,
    found: AttributionDistance,
    limit: float,
    severity: Severity,
    because: str,
    adjusted: float,
    evidence: dict[str, Any],
) -> Finding:
    """Return a finding about the model from a comparison."""
    return replace(
        base,
        metric=metric,
        unit=METRICS[metric].unit,
        value=found.value,
        low=found.low,
        high=found.high,
        limit=limit,
        severity=severity,
        because=because,
        likely_source="input" if needs_action(severity) else None,
        rank=7.0 + (found.value if metric == "attribution_distance" else 1 - found.value),
        evidence={**evidence, "null_95": found.null, "p_value": found.p_value, "p_adjusted": adjusted},
    )


def attribution_sentence(
    now: ExplainedSample,
    before: ExplainedSample,
    change: AttributionChange,
    against: Against,
    severity: Severity,
    limit: float,
    more: int | None,
) -> str:
    """Return the sentence about the main drivers of the scores, or about the features whose share rose or fell."""
    value, rows = change.distance, f"{now.n:,} of {now.served:,} predictions{explained_days_words(now)}"
    if needs_action(severity):
        return (
            f"The drivers of the scores changed: {share_in_percent(value.value)} of the attribution moved between features since the "
            f"{against} "
            f"(limit {share_in_percent(limit)}); {risen_and_fallen_features(now, before, change)}, on {rows}."
        )
    said = f"Main drivers of the scores: {main_drivers(now)}, on {rows}"
    if severity == "unknown":
        needed = f"about {max(more, 1):,} more explained predictions" if more is not None else f"more explained rows of the {against}"
        return f"{said}; no comparison with the {against} yet: that needs {needed}."
    beyond = ", within sampling noise" if value.value > limit else ""
    return (
        f"{said}; {share_in_percent(value.value)} of the attribution moved since the {against} (warning from "
        f"{share_in_percent(limit)}){beyond}."
    )


def risen_and_fallen_features(now: ExplainedSample, before: ExplainedSample, change: AttributionChange) -> str:
    """Return the features that rose and fell most, with their shares."""
    shares, then = now.importance().share, before.importance().share
    order = largest_first(now.names, np.abs(change.shares))[:4]
    parts = {
        word: [
            f"`{now.names[place]}` from {share_in_percent(float(then[place]))} to {share_in_percent(float(shares[place]))}"
            for place in order
            if (change.shares[place] > 0) == rose and abs(change.shares[place]) >= 0.01
        ]
        for word, rose in (("rose", True), ("fell", False))
    }
    return " and ".join(f"{joined_names(several)} {word}" for word, several in parts.items() if several)


def ranking_sentence(
    now: ExplainedSample, before: ExplainedSample, change: AttributionChange, against: Against, severity: Severity, lowest: float
) -> str:
    """Return a sentence on whether the ranking of the features changed."""
    first, was = main_drivers(now, 1), main_drivers(before, 1)
    rows = f"on {now.n:,} explained predictions"
    if severity == "watch":
        said = f"{first} leads now, {was} led in the {against}" if first.split(" ")[0] != was.split(" ")[0] else f"{first} still leads"
        return f"The features no longer rank as in the {against}: NDCG {change.ndcg.value:.2f} (limit {lowest:.2f}); {said}, {rows}."
    if severity == "unknown":
        return f"The ranking cannot be compared with the {against} yet, {rows}: sampling noise exceeds the limit."
    return f"The features rank about as in the {against}: NDCG {change.ndcg.value:.3f} (watch below {lowest:.2f}), {first} leads, {rows}."


def adding_up(context: Context, now: ExplainedSample) -> list[Finding]:
    """Return the finding about additivity: whether base value plus attributions equals the output.

    Rows in which the explanation fails this check are left out of all other findings.
    """
    held = rate_interval(now.left_out, now.explained)
    bad = (held.low or 0.0) > BROKEN
    because = (
        f"{now.left_out:,} of {now.explained:,} explained predictions do not add up to their output within 1 %, so they are excluded."
        if now.left_out
        else f"The attributions of all {now.explained:,} explained predictions add up to their output within 1 %."
    )
    if now.other_link:
        because = f"{because[:-1]}; {now.other_link:,} more are in another space than {now.link} and are left out too."
    base = context.undecided(NAME, "model", "additivity_residual", now.explained, because, against="level")
    return [replace(base, value=held.value, low=held.low, high=held.high, limit=BROKEN, severity="watch" if bad else "ok", rank=6.0)]


def artifact_agreement_findings(context: Context, now: ExplainedSample) -> list[Finding]:
    """Return the finding that compares the artifact's scores with the logged scores; empty if no explained row has both."""
    n = now.matched + now.mismatched
    if not n:
        return []
    held = rate_interval(now.mismatched, n)
    bad = (held.low or 0.0) > BROKEN
    because = (
        f"The registered artifact gives other scores than were logged for {now.mismatched:,} of {n:,} explained predictions, "
        "so it may not be the model that served."
        if bad
        else f"The registered artifact gives the scores that were logged for {now.matched:,} of {n:,} explained predictions."
    )
    base = context.undecided(NAME, "model", "artifact_mismatch", n, because, against="level")
    return [
        replace(
            base,
            value=held.value,
            low=held.low,
            high=held.high,
            limit=BROKEN,
            severity="watch" if bad else "ok",
            likely_source="system" if bad else None,
            rank=6.5,
        )
    ]


def undecided_attribution(context: Context, n: int, because: str, against: Against) -> Finding:
    """Return a finding about the model of severity `unknown`."""
    return context.undecided(NAME, "model", "attribution_distance", n, because, against=against)


ANALYZER = Analyzer(
    NAME,
    "Did the drivers of the scores change, and are the explanations consistent?",
    needs,
    analyze,
    limits={"attribution_distance": DISTANCE, "attribution_ndcg": NDCG},
    proofs={OTHERS: "it is a distance between mean attributions, which a model file computed for a sample"},
)
