"""By what are rows sliced, and which numbers of theirs are compared?

Sampled rows become codes (a level of a category, a band of a number on the reference's quantiles, missing as a level) and targets (errors, missing
values, ranks of features and of the score among the reference).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Context
from observability.core.catalog import FIELDS_TO_GROUP_BY, Column, band_limits, band_names
from observability.metrics.slice_columns import Levels, Numbers, Sampled
from observability.stats.slice_moments import Cut, Floats, Kept, Target

if TYPE_CHECKING:
    from pandas import DataFrame

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


def ordered(rows: "DataFrame") -> Sampled:
    """By id: whatever order the rows came in."""
    return Sampled(rows.sort_values("id", kind="stable", ignore_index=True))


def cuts_of(now: Sampled, before: Sampled, context: Context, fields: Sequence[str] = ()) -> list[Cut]:
    """Columns to slice by with at least one level that has rows; `fields` instead of the model's columns where they are given."""
    if fields:
        made = [category(name, now.levels(name), before.levels(name) if name in before else None, missing=False) for name in fields]
    else:
        made = []
        for each in sliced(context):
            bands = context.version.edges.get(f"band.{each.name}")
            if each.kind == "number":
                made.append(number(each.name, now.numbers(each.reference), before.numbers(each.reference), bands.edges if bands else ()))
            else:
                made.append(category(each.name, now.levels(each.reference), before.levels(each.reference)))
    return [each for each in made if each.levels]


def category(name: str, now: Levels, before: Levels | None, *, missing: bool = True) -> Cut:
    """A cut by the commonest levels now; of those that are gone now, by the commonest before."""
    then = before.rows_of if before is not None else {}
    counts = then | {text: rows for text, rows in now.rows_of.items() if rows}
    kept = [(level, rows) for level, rows in counts.items() if rows >= FEWEST and (missing or level != "null")]
    levels = [level for level, _ in sorted(kept, key=lambda each: (-each[1], each[0]))[: MOST_LEVELS if missing else 30]]
    return Cut(name, tuple(levels), now.coded(levels), np.empty(0, np.int16) if before is None else before.coded(levels))


def number(name: str, now: Numbers, before: Numbers, limits: Sequence[float] = ()) -> Cut:
    """A cut of a number: by value where it has few, else in bands between round quantiles of the values before; missing is a level."""
    base = before.finite if before.finite.counts.sum() >= FEWEST else now.finite
    if not limits and base.distinct.size <= FEW_VALUES:
        return category(name, by_value(now), by_value(before))
    if not limits:
        cuts = np.quantile(np.repeat(base.distinct, base.counts), np.arange(1, BANDS) / BANDS)
        limits = sorted({float(f"{each:.3g}") for each in cuts})
    sides = [
        np.where(np.isnan(side.distinct), len(limits) + 1, np.searchsorted(limits, side.distinct, side="right")).astype(np.int16)[
            side.place
        ]
        for side in (now, before)
    ]
    return Cut(name, (*band_names(limits), "null"), *sides)


def by_value(side: Numbers) -> Levels:
    """Each value of a number as a level."""
    known = int((~np.isnan(side.distinct)).sum())
    return Levels(tuple(map(spell, side.distinct[:known].tolist())), np.where(side.place < known, side.place, -1), side.counts[:known])


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


def targets_of(now: Sampled, before: Sampled, context: Context, *, fields: bool = False) -> tuple[list[Target], Specs]:
    """What is compared, and what each is about; numbers that vary on neither side are left out. Errors are sought in bands of numbers too; values that
    move or go missing in categories only, since numbers go together in ways that change with the season. fields: replicas and devices are sliced by, whose
    failures and latencies serving/latency judges.
    """
    made: list[tuple[Spec, Target]] = []
    bands = frozenset(each.name for each in sliced(context) if each.kind == "number")
    for name, spec in LOSSES.get(context.model.task or "", ()):
        sides = clipped(loss(now.frame, name), loss(before.frame, name))
        made.append((spec, Target(spec.name, *sides)))
    for each in sliced(context):
        own = bands | {each.name}
        missing = Spec("null_rate", each.name, 1, MISSING)
        made.append((missing, Target(missing.name, gone(now, each), gone(before, each), own)))
        if each.role == "feature":
            moved = Spec("rank_shift", each.name, 0, RANK, category=each.kind != "number")
            placed = ranks(now, before, each.reference, numeric=each.kind == "number")
            made.append((moved, Target(moved.name, *placed, own)))
    score = Spec("rank_shift", context.model.subject("score"), 0, RANK)
    placed = ranks(now, before, "score", numeric=True)
    made.append((score, Target(score.name, *placed, bands)))
    if not fields:
        failed = Spec("error_rate", "model", 1, FAILED)
        made.append((failed, Target(failed.name, failures(now.frame), failures(before.frame))))
    kept = [(spec, target) for spec, target in made if varies(target)]
    return [target for _, target in kept], {target.name: spec for spec, target in kept}


def gone(side: Sampled, column: Column) -> Floats:
    """1 where a value is missing, else 0."""
    held = side.numbers(column.reference) if column.kind == "number" else side.levels(column.reference)
    return held.missing.astype(float)


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


def ranks(now: Sampled, before: Sampled, reference: str, *, numeric: bool) -> tuple[Floats, Floats]:
    """Where each value stands among the values before, 0 to 1 (ties in their middle); of categories the commonest first. NaN where missing."""
    if numeric:
        values, then = now.numbers(reference), before.numbers(reference)
    else:
        order = before.levels(reference).commonest
        values, then = (side.levels(reference).ranked(order) for side in (now, before))
    return values.ranks_in(then), then.ranks_in(then)


def varies(target: Target) -> bool:
    """Whether there is anything to compare."""
    both = np.concatenate([target.now, target.before])
    both = both[np.isfinite(both)]
    return bool(both.size and both.min() < both.max())


def is_field(name: str) -> bool:
    """Whether a cut is a field of the record, so that a claim about it names it as its subject."""
    return name in FIELDS_TO_GROUP_BY
