"""Findings about the slices that the owner watches, and about the search as a whole, with the ranking that a page shows."""

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
    dated_slice,
    mean_in_metric_unit,
    shown_slice,
    size_of,
    slice_finding,
    slice_limit,
    slice_limits,
    slice_source,
)
from observability.detection.slice_levels import WeakSlices, newly_weak_slices
from observability.detection.slice_past import PastSlices, slice_days
from observability.metrics import slice_rows as rows
from observability.metrics.slice_columns import SampledRows
from observability.metrics.slice_rows import TargetSpec
from observability.stats.slice_moments import Cut
from observability.stats.slices import MAX_REPORTED, MIN_ROWS, ChangedSlice, is_own_change, search_slices

SHOWN = 20
"""A page ranks at most this many slices of one target."""


def watched_slices(held: SearchedSlices, now: SampledRows, before: SampledRows, context: Context) -> list[Finding]:
    """Return one finding, of any severity, about each watched slice; if the slice has no rows, the finding says so."""
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
    """Return the finding about the main loss in a watched slice. If the sample lacks a field of the slice, the severity is `unknown`."""
    text = str(part)
    spec = next((each for each in held.specs.values() if each.labelled), None)
    target = next((each for each in held.targets if spec and each.name == spec.name), None)
    cut = Cut(text, (text,), *(np.where(rows.rows_in_slice(side, conditions), 0, -1).astype(np.int16) for side in (now, before)))
    if spec is None or target is None or (cut.now < 0).all():
        because = f"The watched slice {words.slice_text_words(text)} has no labelled row in this window."
        return [
            replace(context.undecided(NAME, "model", spec.metric if spec else "slices_named", 0, because, against=held.against), slice=text)
        ]
    result = search_slices([cut], [target], slice_days(now), pairs=False, least=1)
    (found,) = result.single[target.name] or (None,)
    if found is None or min(found.now.n, found.before.n if found.before else found.now.n) < MIN_ROWS:
        n = 0 if found is None else round(found.now.n)
        because = (
            f"The watched slice {words.slice_text_words(text)} needs more than {n:,} labelled rows: about {max(MIN_ROWS - n, 1):,} more."
        )
        return [replace(context.undecided(NAME, "model", spec.metric, n, because, against=held.against), slice=text)]
    shown = held.described(found, (cut.now >= 0, cut.before >= 0))
    made = replace(
        slice_finding(replace(held, result=result), replace(shown, conditions=(("", ""),)), spec, context), subject="model", slice=text
    )
    watch, act = slice_limits(spec, context)
    size = size_of(found, spec)
    severity: Severity = (
        "ok"
        if size < watch
        else "unknown"
        if found.p_value > context.budget
        else "act"
        if size >= act and found.p_value <= ACT_SHARE * context.budget
        else "watch"
    )
    because = words.slice_sentence(replace(shown, conditions=part.conditions), spec, held.against, round(shown.now.n), held.sample_sizes)
    by_outliers = (size_of(shown, spec) < watch) != (size < watch)
    if severity == "unknown":
        because = words.slice_within_noise(because, found, context.budget)
    if by_outliers:
        because = words.slice_without_outliers(because, found, spec, held.against)
    return [
        replace(
            made,
            severity=severity,
            limit=None if by_outliers else slice_limit(shown, spec, watch),
            because=because,
            rank=7.0,
            evidence=made.evidence | {"watched": True},
        )
    ]


def slice_search_summary(
    held: Sequence[SearchedSlices], weaker: WeakSlices, named: Sequence[Finding], now: SampledRows, before: SampledRows, context: Context
) -> Finding:
    """Return the finding about the search: number of tests, significant slices and weakest slices, with the rankings that the page draws.

    The finding is OK if no slice changed, and if every slice that is significantly worse than elsewhere has a baseline. The number of
    changed slices is not judged, because each of them has a finding of its own.
    """
    singles, pairs = (sum(each.result.looks[place] for each in held) for place in (0, 1))
    sample = words.sample_words(len(now), len(before), held[0].against)
    base = context.undecided(NAME, "model", "slices_named", len(now), "", against=held[0].against)
    if not singles:
        return replace(base, because=f"No slice has {MIN_ROWS} rows on both sides, in {sample}: a longer window has more.")
    count = len({(each.subject, each.slice) for each in named if needs_action(each.severity)})
    beyond = beyond_the_limit(held[0], weaker, context)
    new = [each for each in beyond if each.before is None]
    weakest = words.weak_slices_sentence(beyond, weaker.spec, held[0].against, len(before))
    said = words.search_sentence(count, singles, pairs, sample, weakest, words.no_baseline_sentence(new, held[0].against))
    return replace(
        base,
        value=float(count),
        low=float(count),
        high=float(count),
        severity="unknown" if count or new else "ok",
        because=said,
        evidence={
            "ranked": ranked_slices(held),
            "weak": [slice_line(held[0], each, weaker.spec) for each in weaker.worse[:SHOWN]] if weaker.spec else [],
            "looks": [singles, pairs],
            "sample": len(now),
            "sample_before": len(before),
        },
    )


def beyond_the_limit(held: SearchedSlices, weak: WeakSlices, context: Context) -> list[ChangedSlice]:
    """Return the slices that are significantly worse than elsewhere by at least the limit for `act`, even with unclipped errors, worst
    first.
    """
    if weak.spec is None:
        return []
    spec, act = weak.spec, slice_limits(weak.spec, context)[1]
    shown = [(spec.worse * (each.now.mean - each.rest_now.mean), each) for each in map(held.described, weak.beyond)]
    kept = [(gap, each) for gap, each in shown if gap >= act * (abs(each.rest_now.mean) if spec.relative else 1.0)]
    return [each for _, each in sorted(kept, key=lambda pair: (-pair[0], pair[1].conditions))]


def weak_slice_claims(
    held: SearchedSlices, weaker: WeakSlices, named: Sequence[Finding], context: Context, young: bool, past: PastSlices | None
) -> list[Finding]:
    """Return findings about slices that are significantly worse than elsewhere and than in the baseline, but that the search did not name
    because seasonal variation between slices hides them; the worst first. past: as for `slice_claims_of`.
    """
    losses = [finding for finding in named if weaker.spec is not None and finding.metric == weaker.spec.metric]
    parts = [tuple((name, level) for name, level in finding.evidence.get("conditions", ())) for finding in losses]
    made = []
    for found in newly_weak_slices(weaker, parts, context)[:MAX_REPORTED]:
        assert weaker.spec is not None
        shown = held.described(found)
        if size_of(shown, weaker.spec) < slice_limits(weaker.spec, context)[0]:
            continue
        finding = slice_finding(held, shown, weaker.spec, context)
        if not young:
            watch, source = slice_limits(weaker.spec, context)[0], slice_source(weaker.spec, found)
            limit = slice_limit(shown, weaker.spec, watch)
            finding = replace(finding, severity="watch", limit=limit, likely_source=source, rank=7.0)
            finding = dated_slice(finding, held, found, weaker.spec, past, watch)
        made.append(replace(finding, because=words.young_labels_sentence(finding.because)) if young else finding)
    return made


def ranked_slices(held: Sequence[SearchedSlices]) -> dict[str, list[dict[str, Any]]]:
    """For each loss, return the single slices that became worse, both in themselves and relative to the rest, most worsened first; they
    need not be significant. A page shows them.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for part in held:
        for name, singles in part.result.single.items():
            spec = part.specs[name]
            worse = [each for each in singles if is_own_change(each) and (not spec.worse or spec.worse * each.excess > 0)]
            found.setdefault(spec.metric, []).extend(slice_line(part, each, spec) for each in worse)
    return {metric: sorted(lines, key=lambda each: -abs(each["z"]))[:SHOWN] for metric, lines in found.items()}


def slice_line(held: SearchedSlices, tested: ChangedSlice, spec: TargetSpec) -> dict[str, Any]:
    """Return the figures of one slice that a page shows."""
    found = held.described(tested)
    value, low, high = shown_slice(found, spec)
    return {
        "slice": str(Slice(found.conditions)),
        "value": value,
        "low": low,
        "high": high,
        "n": round(found.now.n),
        "before": None if found.before is None else mean_in_metric_unit(found.before.mean, spec),
        "rest": mean_in_metric_unit(found.rest_now.mean, spec),
        "effect": -found.excess if spec.complement else found.excess,
        "coverage": round(found.coverage, 4),
        "p_adjusted": found.p_adjusted,
        "z": found.z,
    }
