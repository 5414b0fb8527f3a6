"""What drives the model's scores, is that still what drove them in the reference, and do the explanations add up?

Shares of the mean absolute attribution (SHAP) of the features, now against the reference (against the model's own past where the reference has none):
how much of the attribution moved between features (total variation distance), and whether their order held (NDCG). Each is held against a limit and against
what chance does with samples of this size. Only the sample of each day counts, weighted to the day's predictions; the worst errors are no sample.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity, needs_action
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Attributions, Bucket, By
from observability.detection.onset import Since, since
from observability.metrics.attributions import Explained, drivers, explained, features_of, largest_first, listed, percent, usual_link
from observability.stats.attribution import Change, Compared, attribution_change, needed_rows
from observability.stats.interval import rate_interval
from observability.stats.multiple import benjamini_hochberg

NAME = "trust/explanations"
DISTANCE, NDCG = 0.1, 0.90
"""Total variation above 0.1 (ours) and NDCG below 0.90 (SageMaker Clarify) are worth a look."""
FEATURE = 0.05
"""So much of a feature's share has to have moved for a claim about the feature."""
ACT_SHARE = 0.2
"""An act may spend a fifth of the run's budget of false discoveries, and asks for twice the distance."""
BROKEN = 0.01
"""From this share of rows on, beyond chance, it is said that explanations do not add up or that the artifact gives other scores."""
MINIMUM_ROWS, ROWS, PAST_DAYS = 100, 3000, 28
NO_ARTIFACT = (
    "Nothing explains the scores of version {}: register it with `--artifact FILE` (LightGBM text, XGBoost json, skops or ONNX), "
    "or log `attributions` with the predictions."
)
FAILED = (
    "The artifact of version {} could not be explained: {}. Register one that can be read with `register --artifact FILE`, or log `attributions` with "
    "the predictions; it is tried again when the artifact or a library changes."
)


def needs(context: Context) -> dict[str, Ask]:
    """Attributions of the window and of the reference (of the past where there is no artifact to explain one), and predictions by day."""
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
    """Findings about the distance, the order and each feature; whether attributions add up; whether the artifact is the one that served."""
    against: Against = "reference" if "reference" in frames or "past" not in frames else "past"
    other = frames.get(against)
    names = features_of(frames["current"], *([] if other is None else [other])) or context.version.features
    now = explained(frames["current"], frames["days"], names)
    if now.served == 0:
        return [unknown(context, 0, "No predictions in this window, so nothing can be explained.", against)]
    if now.explained == 0:
        return [unknown(context, 0, missing(context, now), against)]
    checks = [*adding_up(context, now), *same_model(context, now)]
    if now.n < MINIMUM_ROWS:
        more = f"needs about {MINIMUM_ROWS - now.n:,} more explained predictions"
        sentence = f"What drives the scores cannot be judged yet: {more}, {now.n:,} of {now.served:,} can be used{coverage(now)}."
        return [unknown(context, now.n, sentence, against), *checks]
    before = None if other is None else explained(other, frames.get("past_days") if against == "past" else None, names, now.link)
    if before is None or before.n < MINIMUM_ROWS:
        return [unknown(context, now.n, alone(now, before, against, other), against), *checks]
    change = attribution_change(before.values, now.values, before.weights, now.weights)
    return [*judged(context, now, before, change, against), *checks]


def missing(context: Context, now: Explained) -> str:
    """Why nothing is explained, and what to do."""
    if not context.version.artifact:
        return NO_ARTIFACT.format(context.version.name)
    if failed := context.counters.get("not_explained", {}).get(context.version.name):
        return FAILED.format(context.version.name, str(failed).rstrip(". "))
    return (
        f"None of the {now.served_days} days with predictions is explained yet: the dashboard does it when it is idle, "
        "or `python -m observability explain` does it now."
    )


def coverage(now: Explained) -> str:
    """How many days are explained, where some are not."""
    return f" ({now.days} of {now.served_days} days are explained so far)" if now.days < now.served_days else ""


def alone(now: Explained, before: Explained | None, against: Against, other: Any) -> str:
    """What drives the scores, where there is nothing to compare with."""
    said = f"The scores are driven most by {drivers(now)}, on {now.n:,} of {now.served:,} predictions{coverage(now)}"
    if other is not None and before is not None and len(other) and usual_link(other) not in (None, now.link):
        return f"{said}; the {against} is explained in another space ({usual_link(other)}, not {now.link}), so they cannot be compared."
    where = "the reference is not explained yet" if against == "reference" else f"the {PAST_DAYS} days before hold too few explanations"
    held = before.n if before is not None else 0
    return f"{said}; whether that changed cannot be told: {where} ({held:,} rows, needs about {MINIMUM_ROWS - held:,} more)."


def judged(context: Context, now: Explained, before: Explained, change: Change, against: Against) -> list[Finding]:
    """The findings that compare: distance and order, then the features, which are judged only where the distance is breached."""
    limits = context.model.settings.limits
    limit, lowest = limits.get(f"{NAME}/attribution_distance", DISTANCE), limits.get(f"{NAME}/attribution_ndcg", NDCG)
    adjusted, _ = benjamini_hochberg([change.distance.p_value, change.ndcg.p_value], context.budget)
    moved = severity_of(change.distance.value > limit, float(adjusted[0]), change.distance.null > limit, context)
    if moved == "watch" and change.distance.value > 2 * limit and adjusted[0] <= context.budget * ACT_SHARE:
        moved = "act"
    order = severity_of(change.ndcg.value < lowest, float(adjusted[1]), change.ndcg.null < lowest, context)
    more = needed_rows(change.distance.null, limit, now.n, before.n)
    words = sentence(now, before, change, against, moved, limit, more)
    shares, then = now.importance(), before.importance()
    base = unknown(context, now.n, "", against)
    common = {"n_reference": before.n, "days": now.days, "served_days": now.served_days, "served": now.served, "link": now.link}
    table = [
        {"feature": name, "mean": float(shares.mean[k]), "share": float(shares.share[k]), "share_reference": float(then.share[k])}
        for k, name in enumerate(now.names)
    ]
    found = [
        filled(base, "attribution_distance", change.distance, limit, moved, words, float(adjusted[0]), {**common, "features": table}),
        filled(
            base, "attribution_ndcg", change.ndcg, lowest, order, ranked(now, before, change, against, order, lowest), float(adjusted[1]), common
        ),
    ]  # fmt: skip
    if needs_action(moved):
        when = began(now, before, change, context)
        found[0] = replace(found[0], onset=when.at, evidence=found[0].evidence | when.evidence)
    p_values = benjamini_hochberg(change.p_values, context.budget)[0]
    for place, name in enumerate(now.names):
        is_moved = needs_action(moved) and abs(change.shares[place]) >= FEATURE and p_values[place] <= context.budget
        share, was = float(shares.share[place]), float(then.share[place])
        went = "rose" if share > was else "fell"
        said = (
            f"`{name}` {went} from {percent(was)} to {percent(share)} of the attribution"
            if is_moved
            else f"`{name}` has {percent(share)} of the attribution, {percent(was)} in the {against}"
        )
        found.append(
            replace(
                base, subject=name, metric="attribution_share", unit=METRICS["attribution_share"].unit, value=share,
                low=min(float(shares.share_low[place]), share), high=max(float(shares.share_high[place]), share),
                limit=(max(was - FEATURE, 0.0), min(was + FEATURE, 1.0)), severity="watch" if is_moved else "ok",
                likely_source="input" if is_moved else None, rank=5.0 + abs(float(change.shares[place])),
                because=f"{said}, on {now.n:,} explained predictions.",
                evidence={
                    "baseline": was, "baseline_n": before.n, "change": float(change.shares[place]), "change_low": float(change.low[place]),
                    "change_high": float(change.high[place]), "p_value": float(change.p_values[place]), "p_adjusted": float(p_values[place]),
                    "mean": float(shares.mean[place]), "mean_low": float(shares.low[place]), "mean_high": float(shares.high[place]),
                },
            )
        )  # fmt: skip
    return found


def began(now: Explained, before: Explained, change: Change, context: Context) -> Since:
    """The day from which the features' shares lie where they moved to: along the direction of the whole move, the days of the past first where they
    are known.
    """
    length = float(np.linalg.norm(change.shares))
    direction = change.shares / length if length > 0 else change.shares
    rows = [*before.by_day(direction), *now.by_day(direction)]
    return since(
        [np.datetime64(day, "D") for day, *_ in rows], [value for _, value, _ in rows], [error for *_, error in rows], start=context.window.start,
        before=None if before.of_day.size else before.along(direction), worse=1,
    )  # fmt: skip


def severity_of(breached: bool, adjusted: float, too_small: bool, context: Context) -> Severity:
    """Beyond the limit and beyond chance is a watch; where chance alone passes the limit, it cannot be told."""
    if breached and adjusted <= context.budget:
        return "watch"
    return "unknown" if too_small else "ok"


def filled(
    base: Finding, metric: str, found: Compared, limit: float, severity: Severity, because: str, adjusted: float, evidence: dict[str, Any]
) -> Finding:  # fmt: skip
    """A finding about the model from a comparison."""
    return replace(
        base, metric=metric, unit=METRICS[metric].unit, value=found.value, low=found.low, high=found.high, limit=limit, severity=severity,
        because=because, likely_source="input" if needs_action(severity) else None,
        rank=7.0 + (found.value if metric == "attribution_distance" else 1 - found.value),
        evidence={**evidence, "null_95": found.null, "p_value": found.p_value, "p_adjusted": adjusted},
    )  # fmt: skip


def sentence(
    now: Explained, before: Explained, change: Change, against: Against, severity: Severity, limit: float, more: int | None
) -> str:  # fmt: skip
    """What drives the scores, and what rose and fell."""
    value, rows = change.distance, f"{now.n:,} of {now.served:,} predictions{coverage(now)}"
    if needs_action(severity):
        return (
            f"What drives the scores has changed: {percent(value.value)} of the attribution moved between features since the {against} "
            f"(limit {percent(limit)}); {turned(now, before, change)}, on {rows}."
        )
    said = f"The scores are driven most by {drivers(now)}, on {rows}"
    if severity == "unknown":
        needed = f"about {max(more, 1):,} more explained predictions" if more is not None else f"more explained rows of the {against}"
        return f"{said}; whether that changed since the {against} cannot be told yet: that needs {needed}."
    beyond = ", which chance alone would do too" if value.value > limit else ""
    return f"{said}; {percent(value.value)} of the attribution moved since the {against} (watch from {percent(limit)}){beyond}."


def turned(now: Explained, before: Explained, change: Change) -> str:
    """Which features rose and fell most, with their shares."""
    shares, then = now.importance().share, before.importance().share
    order = largest_first(now.names, np.abs(change.shares))[:4]
    parts = {
        word: [
            f"`{now.names[place]}` from {percent(float(then[place]))} to {percent(float(shares[place]))}"
            for place in order
            if (change.shares[place] > 0) == rose and abs(change.shares[place]) >= 0.01
        ]
        for word, rose in (("rose", True), ("fell", False))
    }
    return " and ".join(f"{listed(several)} {word}" for word, several in parts.items() if several)


def ranked(now: Explained, before: Explained, change: Change, against: Against, severity: Severity, lowest: float) -> str:
    """Whether the order of the features held."""
    first, was = drivers(now, 1), drivers(before, 1)
    rows = f"on {now.n:,} explained predictions"
    if severity == "watch":
        said = f"{first} leads now, {was} led in the {against}" if first.split(" ")[0] != was.split(" ")[0] else f"{first} still leads"
        return f"The features no longer rank as in the {against}: NDCG {change.ndcg.value:.2f} (limit {lowest:.2f}); {said}, {rows}."
    if severity == "unknown":
        return f"Whether the features still rank as in the {against} cannot be told yet, {rows}: chance alone passes the limit."
    return f"The features rank about as in the {against}: NDCG {change.ndcg.value:.3f} (watch below {lowest:.2f}), {first} leads, {rows}."


def adding_up(context: Context, now: Explained) -> list[Finding]:
    """Whether base value and attributions give the output, row by row; rows that do not are left out of everything else."""
    held = rate_interval(now.left_out, now.explained)
    bad = (held.low or 0.0) > BROKEN
    because = (
        f"{now.left_out:,} of {now.explained:,} explained predictions do not add up to their output within 1 %, so they are left out of what is shown."
        if now.left_out
        else f"The attributions of all {now.explained:,} explained predictions add up to their output within 1 %."
    )
    if now.other_link:
        because = f"{because[:-1]}; {now.other_link:,} more are in another space than {now.link} and are left out too."
    base = context.undecided(NAME, "model", "additivity_residual", now.explained, because, against="level")
    return [replace(base, value=held.value, low=held.low, high=held.high, limit=BROKEN, severity="watch" if bad else "ok", rank=6.0)]


def same_model(context: Context, now: Explained) -> list[Finding]:
    """Whether the artifact gives the scores that were logged; nothing where attributions were logged and no artifact was asked."""
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
            base, value=held.value, low=held.low, high=held.high, limit=BROKEN, severity="watch" if bad else "ok",
            likely_source="system" if bad else None, rank=6.5,
        )
    ]  # fmt: skip


def unknown(context: Context, n: int, because: str, against: Against) -> Finding:
    """A finding about the model that cannot tell."""
    return context.undecided(NAME, "model", "attribution_distance", n, because, against=against)


ANALYZER = Analyzer(
    NAME,
    "What drives the scores, is that still what drove them in the reference, and do the explanations add up?",
    needs,
    analyze,
    limits={"attribution_distance": DISTANCE, "attribution_ndcg": NDCG},
)
