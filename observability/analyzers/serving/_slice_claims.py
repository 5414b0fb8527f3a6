"""What is claimed of the slices that a search found, of those that the owner watches, and of the search itself?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzer import Context
from observability.analyzers.serving import _slice_rows as rows
from observability.analyzers.serving import _slice_words as words
from observability.analyzers.serving._slice_rows import Spec, Specs
from observability.errors import ObservabilityError
from observability.finding import Against, Finding, Severity, Source
from observability.stats.slice_moments import Cut, Floats, Kept, Side, Target
from observability.stats.slices import LEAST, Found, Search, search
from observability.window import Slice

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/slices"
ACT_SHARE = 0.2
"""An act may spend a fifth of the budget, a watch all of it."""
SHOWN = 20
"""Slices that a page ranks of one target."""
ROWS_A_DAY = 10


@dataclass(frozen=True)
class Held:
    """One search: by which cuts, over which targets, held against what."""

    cuts: list[Cut]
    targets: list[Target]
    specs: Specs
    result: Search
    against: Against
    now: "DataFrame"

    @classmethod
    def searched(cls, now: "DataFrame", before: "DataFrame", context: Context, against: Against, fields: Sequence[str] = ()) -> "Held":
        """Search the rows of a window against those before; without any before, slices against their peers."""
        cuts = rows.cuts_of(now, before, context, fields)
        targets, specs = rows.targets_of(now, before if len(before) else now.iloc[:0], context, fields=bool(fields))
        if not len(before):
            targets, against = [replace(each, before=np.empty(0)) for each in targets], "peers"
        return cls(cuts, targets, specs, search(cuts, targets, day_numbers(now)), against, now)

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


def day_numbers(now: "DataFrame") -> Floats:
    """The day of each row, as a number."""
    return now["at"].to_numpy("datetime64[D]").astype(float)


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
    days = held.now["at"].to_numpy("datetime64[D]")[inside]
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
    return None if first is None else first.astype("datetime64[s]").item().replace(tzinfo=UTC)


def watched(held: Held, now: "DataFrame", before: "DataFrame", context: Context) -> list[Finding]:
    """A finding about each slice that the owner watches and that the rows have, whatever it says."""
    found = []
    for text in context.model.settings.slices:
        try:
            part = Slice.parse(text)
            assert part is not None
            conditions = [(context.model.resolve(name), value) for name, value in part.conditions]
        except ObservabilityError as error:
            found.append(
                context.undecided(
                    NAME, text, "slices_named", 0, f"The watched slice {text} cannot be looked at: {error.what}.", against="level"
                )
            )
            continue
        found += one_watched(held, str(part), conditions, now, before, context)
    return found


def one_watched(
    held: Held, text: str, conditions: Iterable[tuple[str, str]], now: "DataFrame", before: "DataFrame", context: Context
) -> list[Finding]:
    """The main loss in a watched slice; fields that the sample does not hold make it unknown."""
    spec = next((each for each in held.specs.values() if each.labelled), None)
    target = next((each for each in held.targets if spec and each.name == spec.name), None)
    cut = Cut(text, (text,), *(coded(side, conditions) for side in (now, before)))
    if spec is None or target is None or (cut.now < 0).all():
        because = f"The watched slice {words.condition(text)} has no labelled row in this window."
        return [
            replace(context.undecided(NAME, "model", spec.metric if spec else "slices_named", 0, because, against=held.against), slice=text)
        ]
    result = search([cut], [target], day_numbers(now), pairs=False, least=1)
    (found,) = result.single[target.name] or (None,)
    if found is None or min(found.now.n, found.before.n if found.before else found.now.n) < LEAST:
        n = 0 if found is None else round(found.now.n)
        because = (
            f"The watched slice {words.condition(text)} cannot be judged on {n:,} labelled rows: it needs about {max(LEAST - n, 1):,} more."
        )
        return [replace(context.undecided(NAME, "model", spec.metric, n, because, against=held.against), slice=text)]
    made = replace(
        finding(replace(held, result=result), replace(found, conditions=(("", ""),)), spec, context), subject="model", slice=text
    )
    watch, act = limits(spec, context)
    size, sure = size_of(found, spec), found.p_value <= context.budget
    severity: Severity = (
        "ok" if size < watch or not sure else "act" if size >= act and found.p_value <= ACT_SHARE * context.budget else "watch"
    )
    because = words.sentence(replace(found, conditions=tuple(Slice.parse(text).conditions)), spec, held.against, round(found.now.n))  # type: ignore[union-attr]
    return [
        replace(
            made, severity=severity, limit=limit(found, spec, watch), because=because, rank=7.0, evidence=made.evidence | {"watched": True}
        )
    ]


def coded(side: "DataFrame", conditions: Iterable[tuple[str, str]]) -> Any:
    """Place 0 for rows of the slice, -1 for others."""
    held = np.ones(len(side), bool)
    for reference, value in conditions:
        if reference not in side:
            return np.full(len(side), -1, np.int16)
        values = side[reference]
        if values.dtype.kind == "f" and value not in ("null", "NaN"):
            held &= rows.in_band(values.to_numpy(float), value)
        elif values.dtype.kind == "f":
            held &= values.isna().to_numpy()
        else:
            held &= (rows.texts(values) == value).to_numpy()
    return np.where(held, 0, -1).astype(np.int16)


def summary(held: Sequence[Held], named: Sequence[Finding], now: "DataFrame", before: "DataFrame", context: Context) -> Finding:
    """How much was looked at and how many slices stand out; with the ranking that the page draws."""
    singles, pairs = (sum(each.result.looks[place] for each in held) for place in (0, 1))
    sample = words.sampled(len(now), len(before), held[0].against)
    base = context.undecided(NAME, "model", "slices_named", len(now), "", against=held[0].against)
    if not singles:
        return replace(base, because=f"No slice has {LEAST} rows on both sides, of {sample}: a longer window has more.")
    count = len({(each.subject, each.slice) for each in named if each.severity in ("watch", "act")})
    said = words.searched(count, singles, pairs, sample)
    return replace(
        base, value=float(count), low=float(count), high=float(count), severity="ok", because=said,
        evidence={"ranked": ranked(held), "weak": weak(held[0]), "looks": [singles, pairs], "sample": len(now), "sample_before": len(before)},
    )  # fmt: skip


def ranked(held: Sequence[Held]) -> dict[str, list[dict[str, Any]]]:
    """Of each loss the single slices that became worse than the rest by most, whatever chance says, for a page."""
    found: dict[str, list[dict[str, Any]]] = {}
    for part in held:
        for name, singles in part.result.single.items():
            spec = part.specs[name]
            if spec.labelled or spec.metric == "error_rate":
                worse = [each for each in singles if not spec.worse or spec.worse * each.excess > 0]
                found.setdefault(spec.metric, []).extend(line(each, spec) for each in worse)
    return {metric: sorted(lines, key=lambda each: -abs(each["z"]))[:SHOWN] for metric, lines in found.items()}


def weak(held: Held) -> list[dict[str, Any]]:
    """Slices in which the main loss is worse than in the rest now, changed or not: what is known to be weak raises no alarm."""
    target = next((each for each in held.targets if held.specs[each.name].labelled), None)
    if target is None:
        return []
    result = search(held.cuts, [replace(target, before=np.empty(0))], day_numbers(held.now))
    spec = held.specs[target.name]
    worse = [each for each in result.single[target.name] if spec.worse * each.excess > 0]
    return [line(each, spec) for each in worse]


def line(found: Found, spec: Spec) -> dict[str, Any]:
    """One slice as a page shows it."""
    value, low, high = shown(found, spec)
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
