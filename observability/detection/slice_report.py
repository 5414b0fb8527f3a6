"""Findings about the slices that the owner watches and about the search as a whole, with the ranking of a page."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from observability.core.analyzer import Context
from observability.core.errors import ObservabilityError
from observability.core.finding import Finding, Severity, needs_action
from observability.core.window import Slice
from observability.detection import slice_sentences as words
from observability.detection.slice_claims import (
    ACT_SHARE,
    NAME,
    SearchedSlices,
    shown_slice,
    size_of,
    slice_days,
    slice_finding,
    slice_limit,
    slice_limits,
    told,
)
from observability.metrics import slice_rows as rows
from observability.metrics.slice_columns import SampledRows
from observability.metrics.slice_rows import TargetSpec
from observability.stats.slice_moments import Cut
from observability.stats.slices import LEAST_ROWS, ChangedSlice, search_slices

SHOWN = 20
"""Slices of one target that a page ranks."""


def watched_slices(held: SearchedSlices, now: SampledRows, before: SampledRows, context: Context) -> list[Finding]:
    """Return a finding about each watched slice that has rows, whatever its severity."""
    found = []
    for text in context.model.settings.slices:
        try:
            part = Slice.parse(text)
            assert part is not None
            conditions = [(context.model.resolve(name), value) for name, value in part.conditions]
        except ObservabilityError as error:
            found.append(
                context.undecided(
                    NAME, text, "slices_named", 0, f"The watched slice {text} cannot be evaluated: {error.what}.", against="level"
                )
            )
            continue
        found += one_watched(held, part, conditions, now, before, context)
    return found


def one_watched(
    held: SearchedSlices, part: Slice, conditions: Iterable[tuple[str, str]], now: SampledRows, before: SampledRows, context: Context
) -> list[Finding]:
    """Return the finding about the main loss in a watched slice; fields that the sample does not hold make it unknown."""
    text = str(part)
    spec = next((each for each in held.specs.values() if each.labelled), None)
    target = next((each for each in held.targets if spec and each.name == spec.name), None)
    cut = Cut(text, (text,), *(coded(side, conditions) for side in (now, before)))
    if spec is None or target is None or (cut.now < 0).all():
        because = f"The watched slice {words.condition(text)} has no labelled row in this window."
        return [
            replace(context.undecided(NAME, "model", spec.metric if spec else "slices_named", 0, because, against=held.against), slice=text)
        ]
    result = search_slices([cut], [target], slice_days(now), pairs=False, least=1)
    (found,) = result.single[target.name] or (None,)
    if found is None or min(found.now.n, found.before.n if found.before else found.now.n) < LEAST_ROWS:
        n = 0 if found is None else round(found.now.n)
        because = f"The watched slice {words.condition(text)} needs more than {n:,} labelled rows: about {max(LEAST_ROWS - n, 1):,} more."
        return [replace(context.undecided(NAME, "model", spec.metric, n, because, against=held.against), slice=text)]
    made = replace(
        slice_finding(replace(held, result=result), replace(found, conditions=(("", ""),)), spec, context), subject="model", slice=text
    )
    watch, act = slice_limits(spec, context)
    size, sure = size_of(found, spec), found.p_value <= context.budget
    severity: Severity = (
        "ok" if size < watch or not sure else "act" if size >= act and found.p_value <= ACT_SHARE * context.budget else "watch"
    )
    because = words.slice_sentence(replace(found, conditions=part.conditions), spec, held.against, round(found.now.n))
    return [
        replace(
            made,
            severity=severity,
            limit=slice_limit(found, spec, watch),
            because=because,
            rank=7.0,
            evidence=made.evidence | {"watched": True},
        )
    ]


def coded(side: SampledRows, conditions: Iterable[tuple[str, str]]) -> Any:
    """Return place 0 for rows of the slice, -1 for others."""
    held = np.ones(len(side), bool)
    for reference, value in conditions:
        if reference not in side:
            return np.full(len(side), -1, np.int16)
        if side.frame[reference].dtype.kind != "f":
            held &= side.levels(reference).coded([value]) == 0
        elif value in ("null", "NaN"):
            held &= side.numbers(reference).missing
        else:
            held &= rows.in_band(side.floats(reference), value)
    return np.where(held, 0, -1).astype(np.int16)


def slice_search_summary(
    held: Sequence[SearchedSlices], named: Sequence[Finding], now: SampledRows, before: SampledRows, context: Context
) -> Finding:
    """Return the finding about the search: tests and significant slices, with the ranking that the page draws."""
    singles, pairs = (sum(each.result.looks[place] for each in held) for place in (0, 1))
    sample = words.sampled(len(now), len(before), held[0].against)
    base = context.undecided(NAME, "model", "slices_named", len(now), "", against=held[0].against)
    if not singles:
        return replace(base, because=f"No slice has {LEAST_ROWS} rows on both sides, in {sample}: a longer window has more.")
    count = len({(each.subject, each.slice) for each in named if needs_action(each.severity)})
    said = words.searched(count, singles, pairs, sample)
    return replace(
        base,
        value=float(count),
        low=float(count),
        high=float(count),
        severity="ok",
        because=said,
        evidence={
            "ranked": ranked_slices(held),
            "weak": weak(held[0]),
            "looks": [singles, pairs],
            "sample": len(now),
            "sample_before": len(before),
        },
    )


def ranked_slices(held: Sequence[SearchedSlices]) -> dict[str, list[dict[str, Any]]]:
    """Return the single slices of each loss that became worse than the rest by most, whatever their significance, for a page."""
    found: dict[str, list[dict[str, Any]]] = {}
    for part in held:
        for name, singles in part.result.single.items():
            spec = part.specs[name]
            worse = [each for each in singles if not spec.worse or spec.worse * each.excess > 0]
            found.setdefault(spec.metric, []).extend(line(each, spec) for each in worse)
    return {metric: sorted(lines, key=lambda each: -abs(each["z"]))[:SHOWN] for metric, lines in found.items()}


def weak(held: SearchedSlices) -> list[dict[str, Any]]:
    """Return slices whose main loss is worse than in the rest now, changed or not; a known weakness raises no alarm."""
    target = next((each for each in held.targets if held.specs[each.name].labelled), None)
    if target is None:
        return []
    result = search_slices(held.cuts, [replace(target, before=np.empty(0))], slice_days(held.now))
    spec = held.specs[target.name]
    worse = [each for each in result.single[target.name] if spec.worse * each.excess > 0]
    return [line(each, spec) for each in worse]


def line(found: ChangedSlice, spec: TargetSpec) -> dict[str, Any]:
    """Return one slice as a page shows it."""
    value, low, high = shown_slice(found, spec)
    return {
        "slice": str(Slice(found.conditions)),
        "value": value,
        "low": low,
        "high": high,
        "n": round(found.now.n),
        "before": None if found.before is None else told(found.before.mean, spec),
        "rest": told(found.rest_now.mean, spec),
        "effect": -found.excess if spec.complement else found.excess,
        "coverage": round(found.coverage, 4),
        "p_adjusted": found.p_adjusted,
        "z": found.z,
    }
