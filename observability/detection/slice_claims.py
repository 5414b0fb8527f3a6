"""Findings about slices that a search found."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Against, Finding, Severity, Source
from observability.core.time import aware_utc
from observability.core.window import Slice
from observability.detection import slice_sentences as words
from observability.detection.slice_past import ROWS_A_DAY, PastSlices, SliceBeginning, side_of, slice_days, without_rows
from observability.metrics import slice_rows as rows
from observability.metrics.slice_columns import SampledRows
from observability.metrics.slice_rows import TargetSpec, TargetSpecs
from observability.stats.slice_moments import Cut, Floats, Mask, SliceSide, SliceTarget
from observability.stats.slices import ChangedSlice, SliceComparison, SliceSearch, change_coverage, search_slices

NAME = "serving/slices"
ACT_SHARE = 0.2
"""`act` may use this share of the budget of false discoveries; `watch` may use all of it."""


@dataclass(frozen=True)
class SearchedSlices:
    """One search for slices: its cuts, targets and baseline."""

    cuts: list[Cut]
    targets: list[SliceTarget]
    specs: TargetSpecs
    result: SliceSearch
    against: Against
    now: SampledRows
    rows_before: int

    @classmethod
    def searched(
        cls, now: SampledRows, before: SampledRows, context: Context, against: Against, fields: Sequence[str] = ()
    ) -> "SearchedSlices":
        """Search the rows of a window, compared with the rows before. Without rows before, slices are compared with the rest of the
        window.
        """
        cuts = rows.slice_cuts(now, before, context, fields)
        targets, specs = rows.slice_targets(now, before if len(before) else now.none(), context, fields=bool(fields))
        if not len(before):
            targets, against = [replace(each, before=np.empty(0)) for each in targets], "peers"
        losses = {name for name, spec in specs.items() if spec.labelled}
        result = search_slices(cuts, targets, slice_days(now), shown=slice_table(specs), family=losses)
        return cls(cuts, targets, specs, result, against, now, len(before))

    @property
    def sample_sizes(self) -> tuple[int, int]:
        """The number of rows that were searched, in the window and in the baseline."""
        return len(self.now), self.rows_before

    def inside(self, found: ChangedSlice, side: Literal["now", "before"] = "now") -> Mask:
        """Return a mask of the rows of the window, or of the baseline, that are in a slice."""
        cuts = [(next(each for each in self.cuts if each.name == name), level) for name, level in found.conditions]
        return np.logical_and.reduce([getattr(cut, side) == cut.levels.index(level) for cut, level in cuts])

    def values(self, found: ChangedSlice) -> Floats:
        """Return the target of a finding in each row of the window; NaN in rows of slices that the search found earlier."""
        return without_rows(self.target(found).now, map(self.inside, found.peeled))

    def target(self, found: ChangedSlice) -> SliceTarget:
        """Return the target by which a slice was compared."""
        return next(each for each in self.targets if each.name == found.target)

    def described(self, found: ChangedSlice, inside: tuple[Mask, Mask] | None = None) -> ChangedSlice:
        """Return a slice with the figures that its finding states. They are computed from all rows of the slice and all other rows, with
        errors as logged.

        The search itself clips errors, and leaves out the rows of slices that it found earlier. inside: masks of the slice's rows on both
        sides; by default the rows that meet its conditions.
        """
        target = self.target(found)
        mine, then = inside or (self.inside(found), self.inside(found, "before"))
        values, values_before = target.unclipped or (target.now, target.before)
        sides = side_of(values, mine), side_of(values, ~mine)
        before = (None, None) if found.before is None else (side_of(values_before, then), side_of(values_before, ~then))
        held = SliceComparison(sides[0], before[0], sides[1], before[1])
        made = replace(found, **vars(held), coverage=change_coverage(held), share=sides[0].n / max(sides[0].n + sides[1].n, 1.0))
        reach = (found.high - found.low) / 2 * comparison_error(made) / (comparison_error(found) or 1.0)
        excess = made.change - made.rest_change
        return replace(made, excess=excess, low=excess - reach, high=excess + reach)


def comparison_error(held: SliceComparison) -> float:
    """Return the standard error of the excess of a slice, from rows alone."""
    return float(np.sqrt(sum(side.variance / max(side.n, 1) for side in (held.now, held.before, held.rest_now, held.rest_before) if side)))


def slice_table(specs: TargetSpecs) -> set[str]:
    """Return the targets whose slices a page lists even if they are not significant: losses and failed requests."""
    return {name for name, spec in specs.items() if spec.labelled or spec.metric == "error_rate"}


def slice_claims_of(held: SearchedSlices, context: Context, young: bool, past: PastSlices | None) -> list[Finding]:
    """Return findings about slices whose change is significant and large enough to matter. Single slices and pairs may each use half of the
    budget. past: the month before, if the baseline is a different one.
    """
    made = [slice_claim(held, each, context, young, past) for each in held.result.found]
    return [each for each in made if each is not None]


def slice_claim(held: SearchedSlices, found: ChangedSlice, context: Context, young: bool, past: PastSlices | None) -> Finding | None:
    """Return the finding about one slice; None if the change is not significant or too small to matter.

    If the values of a column also moved in the other rows, the finding is at most a warning, because the drift of the whole column explains
    it. A change that the past month also shows is marked as standing; its severity stays the same.
    """
    spec = held.specs[found.target]
    watch, act = slice_limits(spec, context)
    size = size_of(found, spec)
    budget = context.budget / 2
    if found.p_adjusted > budget or size < watch:
        return None
    shown = held.described(found)
    made = slice_finding(held, shown, spec, context)
    if spec.labelled and young:
        return replace(made, because=words.young_labels_sentence(made.because))
    moved = spec.metric == "rank_shift" and abs(found.rest_change) >= watch
    severity: Severity = "act" if found.p_adjusted <= ACT_SHARE * budget and size >= act and not moved else "watch"
    because = made.because
    by_outliers = size_of(shown, spec) < watch
    if by_outliers:
        because = words.slice_without_outliers(because, found, spec, held.against)
    claim = replace(
        made,
        severity=severity,
        because=because,
        evidence=made.evidence | {"whole_moved": bool(moved)},
        limit=None if by_outliers else slice_limit(shown, spec, act if severity == "act" else watch),
        likely_source=slice_source(spec, found),
        rank=8.0 + min(size / act, 5.0) * (0.5 + 0.5 * found.coverage),
    )
    return dated_slice(claim, held, found, spec, past, watch)


def dated_slice(
    claim: Finding, held: SearchedSlices, found: ChangedSlice, spec: TargetSpec, past: PastSlices | None, watch: float
) -> Finding:
    """Return the finding with the start of its change: ongoing with the first day, or an onset within the window.

    watch: the excess from which a change is a warning.
    """
    inside = held.inside(found)
    begun = past.beginning(found, held.now, held.values(found), inside, watch * scale_of(found, spec)) if past else SliceBeginning()
    if begun.stood:
        because = words.slice_stands(claim.because) if begun.month and begun.since is None else claim.because
        evidence = {"standing": True} | (begun.since.evidence if begun.since else {})
        return replace(claim, because=because, evidence=claim.evidence | evidence)
    return replace(claim, onset=slice_onset(held, found), evidence=claim.evidence | {"standing": False})


def slice_limits(spec: TargetSpec, context: Context) -> tuple[float, float]:
    """Return the smallest excess that matters, for `watch` and for `act`; the owner's limit replaces the limit for `act`."""
    act = context.model.settings.limits.get(f"{NAME}/{spec.metric}", spec.limits[1])
    return min(spec.limits[0], act), act


def size_of(found: ChangedSlice, spec: TargetSpec) -> float:
    """Return how much worse the slice became, in the unit of the limits: the smaller of its own change and its change relative to the rest.
    0 if it became better.
    """
    both = found.excess, found.change
    excess = min(map(abs, both)) if spec.worse == 0 else max(min(spec.worse * each for each in both), 0.0)
    scale = scale_of(found, spec)
    return excess / scale if scale > 0 else 0.0


def scale_of(found: ChangedSlice, spec: TargetSpec) -> float:
    """Return the size of which limits are multiples, in the unit of the target."""
    base = found.rest_now if found.before is None else found.before
    if not spec.relative:
        return 1.0
    return float(np.sqrt(base.variance)) * 0.8 if spec.metric == "bias" else abs(base.mean)


def slice_limit(found: ChangedSlice, spec: TargetSpec, allowed: float) -> float | None:
    """Return the value at which the slice reaches its limit; None if it has a limit on both sides."""
    if spec.worse == 0:
        return None
    base = found.rest_now.mean if found.before is None else found.before.mean + spec.worse * max(spec.worse * found.rest_change, 0.0)
    edge = base + spec.worse * allowed * (abs((found.before or found.rest_now).mean) if spec.relative else 1.0)
    return 1 - edge if spec.complement else edge


def slice_finding(held: SearchedSlices, found: ChangedSlice, spec: TargetSpec, context: Context) -> Finding:
    """Return the finding about one slice, without its severity."""
    subject, part = placed_slice(found, spec, context)
    n = round(found.now.n)
    value, low, high = shown_slice(found, spec)
    because = words.slice_sentence(found, spec, held.against, n, held.sample_sizes)
    base = context.undecided(NAME, subject, spec.metric, n, because, against=held.against)
    return replace(
        base,
        slice=part,
        value=value,
        low=low,
        high=high,
        evidence={
            "coverage": round(found.coverage, 4),
            "effect": found.excess,
            "effect_low": found.low,
            "effect_high": found.high,
            "rest": mean_in_metric_unit(found.rest_now.mean, spec),
            "rest_baseline": None if found.rest_before is None else mean_in_metric_unit(found.rest_before.mean, spec),
            "baseline": None if found.before is None else mean_in_metric_unit(found.before.mean, spec),
            "baseline_n": None if found.before is None else round(found.before.n),
            "share": round(found.share, 4),
            "conditions": [list(each) for each in found.conditions],
            "p_value": found.p_value,
            "p_adjusted": found.p_adjusted,
            "looks": list(held.result.looks),
            "inflation": round(held.result.inflation[found.target], 3),
            "sample": len(held.now),
        },
    )


def placed_slice(found: ChangedSlice, spec: TargetSpec, context: Context) -> tuple[str, str | None]:
    """Return the subject of the finding, and the text for its field `slice`.

    A replica, device or sensitive group becomes the subject of a finding about the model. Any other slice goes into the field `slice`.
    """
    outer = context.window.slice.conditions if context.window.slice else ()
    part = str(Slice(tuple(dict((*outer, *found.conditions)).items())))
    (name, level), *more = found.conditions
    sensitive = any(each.name == name and each.sensitive for each in context.model.columns)
    if spec.subject == "model" and not more and (rows.is_field(name) or sensitive):
        return f"{name}={level}", str(context.window.slice) if outer else None
    return spec.subject, part


def mean_in_metric_unit(mean: float, spec: TargetSpec) -> float:
    """Return a mean in the unit of its metric."""
    return 1 - mean if spec.complement else mean


def shown_slice(found: ChangedSlice, spec: TargetSpec) -> tuple[float, float, float]:
    """Return value and interval of the finding: the slice's own mean in the window; for ranks, its shift beyond that of the rest."""
    if spec.metric == "rank_shift":
        return found.excess, found.low, found.high
    low, high = slice_interval(found.now, binary=spec.metric in ("null_rate", "error_rate", "accuracy"))
    ends = sorted((mean_in_metric_unit(low, spec), mean_in_metric_unit(high, spec)))
    return mean_in_metric_unit(found.now.mean, spec), ends[0], ends[1]


def slice_interval(side: SliceSide, *, binary: bool) -> tuple[float, float]:
    """Return the 95 % interval of a mean."""
    from observability.stats.interval import Moments, mean_interval, rate_interval

    squares = side.variance * max(side.n - 1, 1) + side.n * side.mean**2
    found = rate_interval(side.n * side.mean, side.n) if binary else mean_interval(Moments(side.n, side.n * side.mean, squares))
    low, high = (side.mean if each is None else each for each in (found.low, found.high))
    return min(low, side.mean), max(high, side.mean)


def slice_source(spec: TargetSpec, found: ChangedSlice) -> Source:
    """Return the likely source of the finding."""
    if spec.metric == "error_rate" or any(rows.is_field(name) for name, _ in found.conditions):
        return "system"
    return "model" if spec.subject in ("model", "score") else "input"


def slice_onset(held: SearchedSlices, found: ChangedSlice) -> datetime | None:
    """Return the first day of the last unbroken run of days on which the change is at least half of the whole change.

    Days with few rows are skipped. None if the change on the last day is smaller.
    """
    inside = held.inside(found)
    days = held.now.frame["at"].to_numpy("datetime64[D]")[inside]
    values = held.values(found)[inside]
    base = found.rest_now.mean if found.before is None else found.before.mean
    first = None
    for day in np.unique(days)[::-1]:
        mine = values[(days == day) & np.isfinite(values)]
        if mine.size < ROWS_A_DAY:
            continue
        if (mine.mean() - base) * np.sign(found.change) < 0.5 * abs(found.change):
            break
        first = day
    return None if first is None else aware_utc(first.astype("datetime64[s]").item())
