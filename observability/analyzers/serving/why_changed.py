"""Attribute a performance change to covariate shift, concept drift or a changed label mix.

The labelled rows of a bounded sample of the window are compared with those of the reference, or of the month before if there is no
reference (stats/decompose.py). The findings explain a change and seldom need action, because serving/performance reports the loss. Action
is needed only if covariate shift hides concept drift.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers.serving import slices
from observability.analyzers.serving.multivariate_drift import plain_values
from observability.core.analyzer import OTHERS, Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding
from observability.core.questions import UNKNOWN, Aggregate
from observability.detection import attribution_sentences as words
from observability.detection.slice_sentences import young_labels_sentence
from observability.metrics import slice_rows as rows
from observability.metrics.slice_columns import SampledRows
from observability.stats.decompose import MIN_LABELLED_ROWS, Decomposition, decompose_loss_change, kitagawa_mix_effect
from observability.stats.interval import Interval
from observability.stats.slice_moments import Cut, Floats

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/why_changed"
PARTS = ("change_from_inputs", "change_from_relation", "change_from_label_mix")
MAX_LABELLED_ROWS = 3000
"""Maximum number of labelled rows of each side. They are chosen from the rows that serving/slices queries."""
CARRIERS, LABEL_BANDS = 5, 5
APART = 0.5
"""If more than this share of the window's rows have no counterpart in the reference, the month before replaces the reference; if the share
is as large there, the result is `unknown`.
"""
HIDDEN = 0.15
"""Concept drift from this size on (as a share of the earlier mean loss) is `watch` if the whole change is less than half of the drift."""


@dataclass(frozen=True)
class ComparedRows:
    """The rows of both sides with their losses."""

    before: "DataFrame"
    now: "DataFrame"
    loss_before: Floats
    loss_now: Floats
    against: Against


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries, the same as those of serving/slices."""
    return slices.needs(context) if context.model.task else {"volume": Ask(Aggregate("predictions"))}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding for each part of the change."""
    if "volume" in frames:
        because = "A performance change is attributed over a day or more, for a registered model."
        return [context.undecided(NAME, "model", PARTS[1], int(frames["volume"]["n"].sum()), because)]
    sides: list[Against] = ["reference", "past"] if "reference" in frames else ["past"]
    now, loss_now = labelled_losses(frames["current"], context)
    held, found = None, None
    for against in sides:
        before, loss_before = labelled_losses(frames[against], context)
        if held is not None and len(before) < MIN_LABELLED_ROWS:
            break
        held = ComparedRows(before, now, loss_before, loss_now, against)
        if min(len(before), len(now)) < MIN_LABELLED_ROWS:
            return [
                context.undecided(
                    NAME,
                    "model",
                    PARTS[1],
                    len(now),
                    words.too_few_for_attribution(len(now), len(before), MIN_LABELLED_ROWS),
                    against=against,
                )
            ]
        found = taken_apart(held, context)
        if found is None or found.alone_now <= APART:
            break
    if held is None or found is None:
        return [
            context.undecided(
                NAME,
                "model",
                PARTS[1],
                len(now),
                "The inputs do not vary, so a performance change cannot be attributed to them.",
                against=sides[0],
            )
        ]
    return attribution_severity(held, found, context, slices.young_labels(frames))


def taken_apart(held: ComparedRows, context: Context) -> Decomposition | None:
    """Return the parts of the change in loss; None if the change cannot be decomposed."""
    days = held.now["at"].to_numpy("datetime64[D]").astype(float)
    return decompose_loss_change(inputs_of(held.before, context), inputs_of(held.now, context), held.loss_before, held.loss_now, days)


def labelled_losses(sample: "DataFrame", context: Context) -> tuple["DataFrame", Floats]:
    """Return at most MAX_LABELLED_ROWS rows and the main loss of each, in the order of the hashes of their ids (a random order)."""
    name = rows.LOSSES[context.model.task or ""][0][0]
    loss = rows.row_losses(sample, name)
    kept = sample[np.isfinite(loss)]
    order = np.argsort([hashlib.md5(each.encode()).digest()[:8] for each in kept["id"]], kind="stable")[:MAX_LABELLED_ROWS]
    chosen = kept.iloc[order].reset_index(drop=True)
    return chosen, rows.row_losses(chosen, name)


def inputs_of(sample: "DataFrame", context: Context) -> dict[str, Any]:
    """Return the features in the form that stats/domain.py takes."""
    return {each.name: plain_values(sample[each.reference].to_numpy()) for each in rows.slicing_columns(context) if each.role == "feature"}


def attribution_severity(held: ComparedRows, found: Decomposition, context: Context, young: bool) -> list[Finding]:
    """Return the findings with their severities; `unknown` while many labels are still missing."""
    cuts = rows.slice_cuts(SampledRows(held.now), SampledRows(held.before), context)
    carried = {PARTS[0]: by_input(held, cuts), PARTS[1]: by_slice(found, cuts), PARTS[2]: []}
    values = {PARTS[0]: found.inputs, PARTS[1]: found.relation, PARTS[2]: by_label(held, context)}
    said = []
    for metric, value in values.items():
        if value.value is None:
            continue
        base = context.undecided(NAME, "model", metric, len(held.now), "", against=held.against)
        made = replace(
            base,
            value=value.value,
            low=value.low,
            high=value.high,
            because=words.attribution_split_sentence(metric, value, found, carried[metric], context, held.against),
            evidence=attribution_evidence(held, found, carried[metric]),
        )
        apart = found.alone_now > APART and metric != PARTS[2]
        if apart:
            made = replace(made, because=words.too_little_overlap_sentence(found, held.against))
        said.append(made if young or apart else replace(made, severity="watch" if metric == PARTS[1] and is_drift_hidden(found) else "ok"))
    return [replace(each, because=young_labels_sentence(each.because)) if young else each for each in said]


def is_drift_hidden(found: Decomposition) -> bool:
    """Whether concept drift is significant and large enough, while the whole change is less than half of the drift."""
    relation, before = found.relation, found.before.value
    assert relation.value is not None and relation.low is not None and before is not None
    return relation.low > relation.value / 4 > 0 and relation.value >= HIDDEN * before and found.change < relation.value / 2


def by_input(held: ComparedRows, cuts: list[Cut]) -> list[dict[str, Any]]:
    """Return the inputs whose own shift explains most of the change. Each is measured alone, so the parts that they explain overlap."""
    found: list[dict[str, Any]] = []
    for cut in cuts:
        value = kitagawa_mix_effect(cut.before.astype(np.int64), cut.now.astype(np.int64), held.loss_before, held.loss_now)
        if value.value is not None:
            found.append({"name": cut.name, "value": value.value, "low": value.low, "high": value.high})
    return sorted(found, key=lambda each: (-abs(each["value"]), each["name"]))[:CARRIERS]


def by_slice(found: Decomposition, cuts: list[Cut]) -> list[dict[str, Any]]:
    """Return the levels that hold more of the concept drift than their share of the rows: the drift in the level, its share of the rows and
    its share of the whole drift.

    Empty if the concept drift is not significant.
    """
    low, high = found.relation.low, found.relation.high
    if low is None or high is None or low <= 0 <= high:
        return []
    whole = float(found.unexpected.sum())
    lines: list[dict[str, Any]] = []
    for cut in cuts:
        for place, level in enumerate(cut.levels):
            inside = cut.now == place
            part, share = float(found.unexpected[inside].sum()), float(inside.mean())
            more = part - share * whole
            error = float(np.sqrt(((found.unexpected * (inside - share)) ** 2).sum()))
            if inside.sum() >= rows.MIN_LEVEL_ROWS and error > 0 and more * whole > 0 and abs(more) / error > 3:
                lines.append({"name": cut.name, "level": level, "value": part, "share": share, "of_part": part / whole, "z": more / error})
    return sorted(lines, key=lambda each: (-abs(each["z"]), each["name"], each["level"]))[:CARRIERS]


def by_label(held: ComparedRows, context: Context) -> Interval:
    """Return the change that the label mix alone explains. The mix is that of classes, or of quantile bands for a regression."""
    before, now = (true_labels(each, context) for each in (held.before, held.now))
    if context.model.task == "regression":
        limits = np.unique(np.quantile(before, np.arange(1, LABEL_BANDS) / LABEL_BANDS))
        before, now = (np.searchsorted(limits, each, side="right").astype(float) for each in (before, now))
    return kitagawa_mix_effect(before.astype(np.int64), now.astype(np.int64), held.loss_before, held.loss_now)


def true_labels(sample: "DataFrame", context: Context) -> Floats:
    """Return the label of each row: its class, or its number."""
    if context.model.task == "regression":
        return (sample["score"] - sample["error"]).to_numpy(float)
    return sample["label"].to_numpy(float).clip(min=UNKNOWN)


def attribution_evidence(held: ComparedRows, found: Decomposition, carried: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the evidence that the page draws."""
    sides = {"before": found.before, "inputs": found.inputs, "relation": found.relation, "now": found.now}
    return {
        "parts": {name: [each.value, each.low, each.high] for name, each in sides.items()},
        "carried": carried,
        "alone_now": round(found.alone_now, 4),
        "alone_before": round(found.alone_before, 4),
        "overlap": round(found.overlap, 4),
        "baseline": found.before.value,
        "baseline_n": len(held.before),
    }


ANALYZER = Analyzer(
    NAME,
    "Is a performance change due to covariate shift, concept drift or the label mix?",
    needs,
    analyze,
    proofs={OTHERS: "it is a part of a change that a model of the rows attributes to inputs, relation or labels"},
)
