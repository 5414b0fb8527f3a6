"""What is claimed of the slices that a search found, of those that the owner watches, and of the search itself?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Against, Finding, Severity, Source
from observability.core.time import aware_utc
from observability.core.window import Slice
from observability.detection import slice_sentences as words
from observability.metrics import slice_rows as rows
from observability.metrics.slice_columns import Sampled
from observability.metrics.slice_rows import Spec, Specs
from observability.stats.slice_moments import Cut, Floats, Kept, Side, Target
from observability.stats.slices import Found, Search, search

NAME = "serving/slices"
ACT_SHARE = 0.2
"""An act may spend a fifth of the budget, a watch all of it."""
ROWS_A_DAY = 10


@dataclass(frozen=True)
class Held:
    """One search: by which cuts, over which targets, held against what."""

    cuts: list[Cut]
    targets: list[Target]
    specs: Specs
    result: Search
    against: Against
    now: Sampled

    @classmethod
    def searched(cls, now: Sampled, before: Sampled, context: Context, against: Against, fields: Sequence[str] = ()) -> "Held":
        """Search the rows of a window against those before; without any before, slices against their peers."""
        cuts = rows.cuts_of(now, before, context, fields)
        targets, specs = rows.targets_of(now, before if len(before) else now.none(), context, fields=bool(fields))
        if not len(before):
            targets, against = [replace(each, before=np.empty(0)) for each in targets], "peers"
        return cls(cuts, targets, specs, search(cuts, targets, day_numbers(now), shown=listed(specs)), against, now)

    def inside(self, found: Found) -> Kept:
        """Which rows of the window are in a slice."""
        held = np.ones(len(self.now), bool)
        for name, level in found.conditions:
            cut = next(each for each in self.cuts if each.name == name)
            held &= cut.now == cut.levels.index(level)
        return held

    def values(self, found: Found) -> Floats:
        """The target of a finding in each row of the window."""
        return next(each.now for each in self.targets if each.name == found.target)


def listed(specs: Specs) -> set[str]:
    """The targets whose slices a page lists, whatever chance says of them: losses and failures."""
    return {name for name, spec in specs.items() if spec.labelled or spec.metric == "error_rate"}


def day_numbers(now: Sampled) -> Floats:
    """The day of each row, as a number."""
    return now.frame["at"].to_numpy("datetime64[D]").astype(float)


def claims(held: Held, context: Context, young: bool) -> list[Finding]:
    """Findings about what the search found, where it is more than chance and large enough to matter. Single slices and pairs may spend half each."""
    made = [claim(held, each, context, young) for each in held.result.found]
    return [each for each in made if each is not None]


def claim(held: Held, found: Found, context: Context, young: bool) -> Finding | None:
    """The finding about one slice; None where chance explains it, or it does not matter."""
    spec = held.specs[found.target]
    watch, act = limits(spec, context)
    size = size_of(found, spec)
    budget = context.budget / 2
    if found.p_adjusted > budget or size < watch:
        return None
    severity: Severity = "act" if found.p_adjusted <= ACT_SHARE * budget and size >= act else "watch"
    made = finding(held, found, spec, context)
    if spec.labelled and young:
        return replace(made, because=words.young(made.because))
    return replace(
        made,
        severity=severity,
        limit=limit(found, spec, act if severity == "act" else watch),
        onset=onset(held, found, spec),
        likely_source=source(spec, found),
        rank=8.0 + min(size / act, 5.0) * (0.5 + 0.5 * found.coverage),
    )


def limits(spec: Spec, context: Context) -> tuple[float, float]:
    """The smallest excess that matters, for watch and for act; the owner's limit replaces the one for act."""
    act = context.model.settings.limits.get(f"{NAME}/{spec.metric}", spec.limits[1])
    return min(spec.limits[0], act), act


def size_of(found: Found, spec: Spec) -> float:
    """How much worse the slice became than the rest did, in the unit of the limits; 0 where it became better."""
    excess = abs(found.excess) if spec.worse == 0 else max(spec.worse * found.excess, 0.0)
    if not spec.relative:
        return excess
    scale = abs((found.rest_now if found.before is None else found.before).mean)
    if spec.metric == "bias":
        scale = float(np.sqrt((found.rest_now if found.before is None else found.before).variance)) * 0.8
    return excess / scale if scale > 0 else 0.0


def limit(found: Found, spec: Spec, allowed: float) -> float | None:
    """The value of the slice from which it is reported; None where it has two."""
    if spec.worse == 0:
        return None
    base = found.rest_now.mean if found.before is None else found.before.mean + found.rest_change
    edge = base + spec.worse * allowed * (abs((found.before or found.rest_now).mean) if spec.relative else 1.0)
    return 1 - edge if spec.complement else edge


def finding(held: Held, found: Found, spec: Spec, context: Context) -> Finding:
    """The claim, to be judged."""
    subject, part = placed(found, spec, context)
    n = round(found.now.n)
    value, low, high = shown(found, spec)
    base = context.undecided(NAME, subject, spec.metric, n, words.sentence(found, spec, held.against, n), against=held.against)
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
            "rest": told(found.rest_now.mean, spec),
            "rest_baseline": None if found.rest_before is None else told(found.rest_before.mean, spec),
            "baseline": None if found.before is None else told(found.before.mean, spec),
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


def placed(found: Found, spec: Spec, context: Context) -> tuple[str, str | None]:
    """Subject and slice: a replica, device or sensitive group is the subject of a claim about the model, any other slice stands in `slice`."""
    outer = context.window.slice.conditions if context.window.slice else ()
    part = str(Slice(tuple(dict((*outer, *found.conditions)).items())))
    (name, level), *more = found.conditions
    sensitive = any(each.name == name and each.sensitive for each in context.model.columns)
    if spec.subject == "model" and not more and (rows.is_field(name) or sensitive):
        return f"{name}={level}", str(context.window.slice) if outer else None
    return spec.subject, part


def told(mean: float, spec: Spec) -> float:
    """A mean as the metric has it."""
    return 1 - mean if spec.complement else mean


def shown(found: Found, spec: Spec) -> tuple[float, float, float]:
    """Value and interval of the finding: the slice's own mean now; of ranks how far they moved beyond the rest."""
    if spec.metric == "rank_shift":
        return found.excess, found.low, found.high
    low, high = interval(found.now, binary=spec.metric in ("null_rate", "error_rate", "accuracy"))
    ends = sorted((told(low, spec), told(high, spec)))
    return told(found.now.mean, spec), ends[0], ends[1]


def interval(side: Side, *, binary: bool) -> tuple[float, float]:
    """The 95 % interval of a mean."""
    from observability.stats.interval import Moments, mean_interval, rate_interval

    squares = side.variance * max(side.n - 1, 1) + side.n * side.mean**2
    found = rate_interval(side.n * side.mean, side.n) if binary else mean_interval(Moments(side.n, side.n * side.mean, squares))
    low, high = (side.mean if each is None else each for each in (found.low, found.high))
    return min(low, side.mean), max(high, side.mean)


def source(spec: Spec, found: Found) -> Source:
    """What the claim itself points at."""
    if spec.metric == "error_rate" or any(rows.is_field(name) for name, _ in found.conditions):
        return "system"
    return "model" if spec.subject in ("model", "score") else "input"


def onset(held: Held, found: Found, spec: Spec) -> datetime | None:
    """The first day of the unbroken run of days, up to the end, that are beyond half of the change."""
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
