"""Why did performance change: other inputs, or another relation of inputs and outcomes, or other labels?

The labelled rows of a bounded sample of the window are held against those of the reference (of the month before where there is none): see
stats/decompose.py. It explains and seldom alarms: that performance fell is said by serving/performance. Only where inputs hide that the relation
became worse it asks for a look.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers.serving import slices
from observability.analyzers.serving.multivariate_drift import plain
from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding
from observability.core.questions import UNKNOWN, Aggregate
from observability.detection import attribution_sentences as words
from observability.metrics import slice_rows as rows
from observability.metrics.slice_columns import Sampled
from observability.stats.decompose import FEWEST, Decomposition, decompose, standardised
from observability.stats.interval import Interval
from observability.stats.slice_moments import Cut, Floats

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/why_changed"
PARTS = ("change_from_inputs", "change_from_relation", "change_from_label_mix")
MOST = 3000
"""Labelled rows of each side, of those that serving/slices asks for."""
CARRIERS, LABEL_BANDS = 5, 5
APART = 0.5
"""Where more of the window has no counterpart, the month before is taken instead of the reference; if that has none either, nothing is told."""
HIDDEN = 0.15
"""A relation that is worse by this share of the mean before is worth a look where the change as a whole does not show half of it."""


@dataclass(frozen=True)
class Held:
    """The rows of both sides with their losses."""

    before: "DataFrame"
    now: "DataFrame"
    loss_before: Floats
    loss_now: Floats
    against: Against


def needs(context: Context) -> dict[str, Ask]:
    """What serving/slices asks for."""
    return slices.needs(context) if context.model.task else {"volume": Ask(Aggregate("predictions"))}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """A finding for each part of the change."""
    if "volume" in frames:
        because = "Why performance changed is told over a day or more, of a registered model."
        return [context.undecided(NAME, "model", PARTS[1], int(frames["volume"]["n"].sum()), because)]
    sides: list[Against] = ["reference", "past"] if "reference" in frames else ["past"]
    now, loss_now = labelled(frames["current"], context)
    held, found = None, None
    for against in sides:
        before, loss_before = labelled(frames[against], context)
        if held is not None and len(before) < FEWEST:
            break
        held = Held(before, now, loss_before, loss_now, against)
        if min(len(before), len(now)) < FEWEST:
            return [context.undecided(NAME, "model", PARTS[1], len(now), words.too_few(len(now), len(before), FEWEST), against=against)]
        found = taken_apart(held, context)
        if found is None or found.alone_now <= APART:
            break
    if held is None or found is None:
        return [context.undecided(NAME, "model", PARTS[1], len(now), "The inputs do not vary, so they explain nothing.", against=sides[0])]
    return judged(held, found, context, slices.maturity(frames))


def taken_apart(held: Held, context: Context) -> Decomposition | None:
    """The parts of the change."""
    days = held.now["at"].to_numpy("datetime64[D]").astype(float)
    return decompose(inputs_of(held.before, context), inputs_of(held.now, context), held.loss_before, held.loss_now, days)


def labelled(sample: "DataFrame", context: Context) -> tuple["DataFrame", Floats]:
    """At most MOST rows with their main loss, in the order of hashes of their ids, which says nothing."""
    name = rows.LOSSES[context.model.task or ""][0][0]
    loss = rows.loss(sample, name)
    kept = sample[np.isfinite(loss)]
    order = np.argsort([hashlib.md5(each.encode()).digest()[:8] for each in kept["id"]], kind="stable")[:MOST]
    chosen = kept.iloc[order].reset_index(drop=True)
    return chosen, rows.loss(chosen, name)


def inputs_of(sample: "DataFrame", context: Context) -> dict[str, Any]:
    """The features, as stats/domain.py takes them."""
    return {each.name: plain(sample[each.reference].to_numpy()) for each in rows.sliced(context) if each.role == "feature"}


def judged(held: Held, found: Decomposition, context: Context, young: bool) -> list[Finding]:
    """The findings; unknown while labels are young."""
    cuts = rows.cuts_of(Sampled(held.now), Sampled(held.before), context)
    carried = {PARTS[0]: by_input(held, cuts), PARTS[1]: by_slice(found, cuts), PARTS[2]: []}
    values = {PARTS[0]: found.inputs, PARTS[1]: found.relation, PARTS[2]: by_label(held, context)}
    said = []
    for metric, value in values.items():
        if value.value is None:
            continue
        base = context.undecided(NAME, "model", metric, len(held.now), "", against=held.against)
        made = replace(
            base, value=value.value, low=value.low, high=value.high,
            because=words.sentence(metric, value, found, carried[metric], context, held.against), evidence=evidence(held, found, carried[metric]),
        )  # fmt: skip
        apart = found.alone_now > APART and metric != PARTS[2]
        if apart:
            made = replace(made, because=words.apart(found, held.against))
        said.append(made if young or apart else replace(made, severity="watch" if metric == PARTS[1] and hidden(found) else "ok"))
    return [replace(each, because=words.young(each.because)) if young else each for each in said]


def hidden(found: Decomposition) -> bool:
    """Whether the relation is worse by more than chance and by enough to matter, and the change as a whole shows less than half of it."""
    relation, before = found.relation, found.before.value
    assert relation.value is not None and relation.low is not None and before is not None
    return relation.low > relation.value / 4 > 0 and relation.value >= HIDDEN * before and found.change < relation.value / 2


def by_input(held: Held, cuts: list[Cut]) -> list[dict[str, Any]]:
    """The inputs whose own shift explains most of the change, each by itself: their parts overlap."""
    found: list[dict[str, Any]] = []
    for cut in cuts:
        value = standardised(cut.before.astype(np.int64), cut.now.astype(np.int64), held.loss_before, held.loss_now)
        if value.value is not None:
            found.append({"name": cut.name, "value": value.value, "low": value.low, "high": value.high})
    return sorted(found, key=lambda each: (-abs(each["value"]), each["name"]))[:CARRIERS]


def by_slice(found: Decomposition, cuts: list[Cut]) -> list[dict[str, Any]]:
    """The levels that hold more of the changed relation than their share of the rows: part, share of the part, share of the rows. None where chance may
    explain the relation.
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
            if inside.sum() >= rows.FEWEST and error > 0 and more * whole > 0 and abs(more) / error > 3:
                lines.append({"name": cut.name, "level": level, "value": part, "share": share, "of_part": part / whole, "z": more / error})
    return sorted(lines, key=lambda each: (-abs(each["z"]), each["name"], each["level"]))[:CARRIERS]


def by_label(held: Held, context: Context) -> Interval:
    """What the mix of labels explains alone: of classes, or of bands of a number between quantiles before."""
    before, now = (truth(each, context) for each in (held.before, held.now))
    if context.model.task == "regression":
        limits = np.unique(np.quantile(before, np.arange(1, LABEL_BANDS) / LABEL_BANDS))
        before, now = (np.searchsorted(limits, each, side="right").astype(float) for each in (before, now))
    return standardised(before.astype(np.int64), now.astype(np.int64), held.loss_before, held.loss_now)


def truth(sample: "DataFrame", context: Context) -> Floats:
    """The label of each row: its class, or its number."""
    if context.model.task == "regression":
        return (sample["score"] - sample["error"]).to_numpy(float)
    return sample["label"].to_numpy(float).clip(min=UNKNOWN)


def evidence(held: Held, found: Decomposition, carried: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page draws."""
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
    NAME, "Why did performance change: other inputs, another relation of inputs and outcomes, or other labels?", needs, analyze
)
