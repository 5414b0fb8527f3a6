"""By what are rows sliced, and which numbers of theirs are compared?

Sampled rows become codes (a level of a category, a band of a number on the reference's quantiles, missing as a level) and targets (errors, missing
values, ranks of features and of the score among the reference).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzer import Context
from observability.catalog import FIELDS_TO_GROUP_BY, Column, band_limits, band_names
from observability.stats.slice_moments import Codes, Cut, Floats, Kept, Target

if TYPE_CHECKING:
    from pandas import DataFrame, Series

FIELDS = ("replica", "device")
"""What a reference does not know: these are held against their own past, or their peers."""
MOST_LEVELS, BANDS, FEW_VALUES = 12, 5, 8
"""Levels of a category, bands of a number; a number of so few values is sliced by value."""
FEWEST = 50
"""Rows of a level on one side at least."""
OUTER = 0.995
"""Errors beyond this quantile of both sides count as that: a single wild row never names a slice."""


@dataclass(frozen=True)
class Spec:
    """What a target is about. metric, subject: of its finding. worse: which way is worse, 0 both. relative: limits are shares of the
    mean before, else in the target's own unit. limits: for watch and act. complement: the finding says 1 less the mean (accuracy of wrong decisions). labelled: rests on labels.
    category: its values are categories, ranked from the commonest to the rarest.
    """

    metric: str
    subject: str
    worse: int
    limits: tuple[float, float]
    relative: bool = False
    complement: bool = False
    labelled: bool = False
    category: bool = False

    @property
    def name(self) -> str:
        """The target's name."""
        return f"{self.metric} {self.subject}"


LOSSES = {
    "regression": (
        ("absolute_error", Spec("mae", "model", 1, (0.15, 0.25), relative=True, labelled=True)),
        ("error", Spec("bias", "model", 0, (0.25, 0.5), relative=True, labelled=True)),
    ),
    "binary": (
        ("wrong", Spec("accuracy", "model", 1, (0.03, 0.05), complement=True, labelled=True)),
        ("residual", Spec("bias", "model", 0, (0.05, 0.1), labelled=True)),
    ),
    "multiclass": (("wrong", Spec("accuracy", "model", 1, (0.03, 0.05), complement=True, labelled=True)),),
}
"""Losses of a task, the main one first, with the smallest excess that matters: MAE + 15 % and 3 points of accuracy to watch, + 25 % and 5 points to act."""
MISSING, RANK, FAILED = (0.03, 0.05), (0.085, 0.15), (0.02, 0.05)
"""Nulls and failed requests in points; ranks: a move by 0.3 (0.5) standard deviations moves the mean rank of a normal by 0.085 (0.14)."""
Specs = dict[str, Spec]


def columns(context: Context) -> tuple[str, ...]:
    """References that are asked for."""
    task = context.model.task
    losses = {"regression": ("absolute_error", "error"), "binary": ("correct", "score", "label"), "multiclass": ("correct",)}.get(
        task or "", ()
    )
    names = [each.reference for each in sliced(context)]
    return tuple(dict.fromkeys(("id", "at", *names, *FIELDS, "status", "score", "label", *losses)))


def sliced(context: Context) -> tuple[Column, ...]:
    """Features that the version was registered with (all that were seen, where it was not), and sensitive attributes."""
    names = context.version.features or tuple(each.name for each in context.model.features())
    return tuple(each for each in context.model.columns if each.role == "group" or each.name in names)


def ordered(rows: "DataFrame") -> "DataFrame":
    """By id: whatever order the rows came in."""
    return rows.sort_values("id", kind="stable", ignore_index=True)


def cuts_of(now: "DataFrame", before: "DataFrame", context: Context, fields: Sequence[str] = ()) -> list[Cut]:
    """Columns to slice by with at least one level that has rows; `fields` instead of the model's columns where they are given."""
    if fields:
        made = [category(name, texts(now[name]), texts(before[name]) if name in before else None, missing=False) for name in fields]
    else:
        made = []
        for each in sliced(context):
            bands = context.version.edges.get(f"band.{each.name}")
            if each.kind == "number":
                made.append(number(each.name, now[each.reference], before[each.reference], bands.edges if bands else ()))
            else:
                made.append(category(each.name, texts(now[each.reference]), texts(before[each.reference])))
    return [each for each in made if each.levels]


def texts(values: "Series[str]") -> "Series[str]":
    """Values as slices spell them; `null` where missing."""
    if any(isinstance(each, bool | np.bool_) for each in values.unique()):
        values = values.map(spelled)
    return values.where(values.notna(), "null").astype(str)


def spelled(value: object) -> str:
    """A level as slices spell it."""
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def category(name: str, now: "Series[str]", before: "Series[str] | None", *, missing: bool = True) -> Cut:
    """A cut by the commonest levels."""
    import pandas as pd

    there = pd.concat([now, before]) if before is not None and len(before) else now
    counts = now.value_counts().reindex(there.unique(), fill_value=0)
    counts = counts.where(counts > 0, there.value_counts().reindex(counts.index))
    kept = [(str(level), int(n)) for level, n in counts.items() if n >= FEWEST and (missing or level != "null")]
    levels = [level for level, _ in sorted(kept, key=lambda each: (-each[1], each[0]))[: MOST_LEVELS if missing else 30]]
    sides = [coded(each, levels) if each is not None else np.empty(0, np.int16) for each in (now, before)]
    return Cut(name, tuple(levels), *sides)


def coded(values: "Series[str]", levels: Sequence[str]) -> Codes:
    """Places of levels, -1 for others."""
    return np.asarray(values.map({level: place for place, level in enumerate(levels)}).fillna(-1), np.int16)


def number(name: str, now: "Series[float]", before: "Series[float]", limits: Sequence[float] = ()) -> Cut:
    """A cut of a number: by value where it has few, else in bands between round quantiles of the values before; missing is a level."""
    import pandas as pd

    values, then = now.to_numpy(float), before.to_numpy(float)
    base = then[np.isfinite(then)] if np.isfinite(then).sum() >= FEWEST else values[np.isfinite(values)]
    if not limits and len(np.unique(base)) <= FEW_VALUES:
        spelled = [pd.Series([spell(float(each)) for each in side], dtype=object) for side in (values, then)]
        return category(name, spelled[0], spelled[1])
    if not limits:
        cuts = np.quantile(base, np.arange(1, BANDS) / BANDS)
        limits = sorted({float(f"{each:.3g}") for each in cuts})
    names = (*band_names(limits), "null")
    sides = [
        np.where(np.isnan(side), len(limits) + 1, np.searchsorted(limits, side, side="right")).astype(np.int16) for side in (values, then)
    ]
    return Cut(name, tuple(names), *sides)


def spell(value: float) -> str:
    """A number as slices spell it."""
    return "null" if value != value else str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(float(value))


def in_band(values: Floats, text: str) -> Kept:
    """Which numbers a condition of a slice holds: those of a band, or one value."""
    if limits := band_limits(text):
        return np.asarray((values >= limits[0]) & ((values < limits[1]) | np.isinf(limits[1])), bool)
    try:
        return np.asarray(values == float(text), bool)
    except ValueError:
        return np.zeros(values.size, bool)


def targets_of(now: "DataFrame", before: "DataFrame", context: Context, *, fields: bool = False) -> tuple[list[Target], Specs]:
    """What is compared, and what each is about; numbers that vary on neither side are left out. Errors are sought in bands of numbers too; values that
    move or go missing in categories only, since numbers go together in ways that change with the season. fields: replicas and devices are sliced by, whose
    failures and latencies serving/latency judges.
    """
    made: list[tuple[Spec, Target]] = []
    bands = frozenset(each.name for each in sliced(context) if each.kind == "number")
    for name, spec in LOSSES.get(context.model.task or "", ()):
        sides = clipped(loss(now, name), loss(before, name))
        made.append((spec, Target(spec.name, *sides)))
    for each in sliced(context):
        own = bands | {each.name}
        missing = Spec("null_rate", each.name, 1, MISSING)
        made.append((missing, Target(missing.name, gone(now[each.reference]), gone(before[each.reference]), own)))
        if each.role == "feature":
            moved = Spec("rank_shift", each.name, 0, RANK, category=each.kind != "number")
            placed = ranks(now[each.reference], before[each.reference], each.kind == "number")
            made.append((moved, Target(moved.name, *placed, own)))
    score = Spec("rank_shift", context.model.subject("score"), 0, RANK)
    placed = ranks(now["score"], before["score"], numeric=True)
    made.append((score, Target(score.name, *placed, bands)))
    if not fields:
        failed = Spec("error_rate", "model", 1, FAILED)
        made.append((failed, Target(failed.name, failures(now), failures(before))))
    kept = [(spec, target) for spec, target in made if varies(target)]
    return [target for _, target in kept], {target.name: spec for spec, target in kept}


def gone(values: "Series[float]") -> Floats:
    """1 where a value is missing, else 0."""
    return values.isna().to_numpy().astype(float)


def failures(rows: "DataFrame") -> Floats:
    """1 where a request was not answered as it should be, else 0."""
    return (rows["status"] != "ok").to_numpy().astype(float)


def loss(rows: "DataFrame", name: str) -> Floats:
    """A loss of each row, NaN where it has no label."""
    if name == "wrong":
        return 1 - rows["correct"].to_numpy(float)
    if name == "residual":
        return np.where(rows["label"] >= 0, rows["score"].to_numpy(float) - rows["label"].to_numpy(float), np.nan)
    return rows[name].to_numpy(float)


def clipped(now: Floats, before: Floats) -> tuple[Floats, Floats]:
    """Both sides, no further out than the outermost half per cent of either."""
    both = np.abs(np.concatenate([now, before]))
    both = both[np.isfinite(both)]
    if not both.size or both.max() <= 1:
        return now, before
    limit = float(np.quantile(both, OUTER))
    return np.clip(now, -limit, limit), np.clip(before, -limit, limit)


def ranks(now: "Series[float]", before: "Series[float]", numeric: bool) -> tuple[Floats, Floats]:
    """Where each value stands among the values before, 0 to 1 (ties in their middle); of categories the commonest first. NaN where missing."""
    if not numeric:
        order = before.value_counts()
        place = {level: at for at, level in enumerate(sorted(order.index, key=lambda level: (-order[level], str(level))))}
        values, then = (placed_by(side, place) for side in (now, before))
    else:
        values, then = np.asarray(now, float), np.asarray(before, float)
    base = np.sort(then[np.isfinite(then)])
    if not base.size:
        return np.full(values.size, np.nan), np.full(then.size, np.nan)
    return placed_in(base, values), placed_in(base, then)


def placed_in(base: Floats, values: Floats) -> Floats:
    """Where each value stands in a sorted base. Each value is sought once, in order: out of order a search takes four times as long."""
    sought, place = np.unique(values, return_inverse=True)
    middle = (np.searchsorted(base, sought, side="left") + np.searchsorted(base, sought, side="right")) / (2 * base.size)
    return np.where(np.isnan(sought), np.nan, middle)[place]


def placed_by(values: "Series[float]", place: dict[object, int]) -> Floats:
    """The place of each value's level, one behind the last for a level without one, NaN where missing; each level is looked up once."""
    codes, levels = values.factorize()
    return np.array([*(place.get(each, len(place)) for each in levels), np.nan])[codes]


def varies(target: Target) -> bool:
    """Whether there is anything to compare."""
    both = np.concatenate([target.now, target.before])
    both = both[np.isfinite(both)]
    return bool(both.size and both.min() < both.max())


def is_field(name: str) -> bool:
    """Whether a cut is a field of the record, so that a claim about it names it as its subject."""
    return name in FIELDS_TO_GROUP_BY
