"""Prepare the slice search: cuts, which divide rows into levels, and targets, which are compared between slices.

Sampled rows become codes and targets. Codes: the level of a category, or the band of a number between quantiles; missing is a level.
Targets: errors, missing values, ranks of features and of the score.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Context
from observability.core.catalog import FIELDS_TO_GROUP_BY, Column, band_limits, band_names
from observability.metrics.slice_columns import LevelColumn, NumberColumn, SampledRows
from observability.stats.slice_moments import Cut, Floats, Mask, SliceTarget

if TYPE_CHECKING:
    from pandas import DataFrame

FIELDS = ("replica", "device")
"""Fields that a reference does not have. They are therefore compared with their own past, or with their peers."""
MAX_LEVELS, BANDS, FEW_VALUES = 12, 5, 8
"""Maximum number of levels of a category, of bands of a number, and of distinct values of a number that is sliced by value."""
MIN_LEVEL_ROWS = 50
"""A level is used if it has at least this many rows on one of the sides."""
OUTER = 0.995
"""In the search, errors are clipped at this quantile of both sides, so that a single outlier never determines a slice. Findings state the
errors as logged.
"""


@dataclass(frozen=True)
class TargetSpec:
    """Meaning of a target.

    metric, subject: metric and subject of its finding. worse: which direction is worse, 0 for both. relative: whether limits are shares of
    the mean before; otherwise they are in the target's own unit. limits: warning and critical. complement: whether the finding states 1
    minus the mean (accuracy for wrong decisions). labelled: whether it depends on labels. category: whether its values are categories,
    ranked from the most to the least frequent. unit: unit of the model's label, in which it is measured; empty for shares and ranks.
    """

    metric: str
    subject: str
    worse: int
    limits: tuple[float, float]
    relative: bool = False
    complement: bool = False
    labelled: bool = False
    category: bool = False
    unit: str = ""

    @property
    def name(self) -> str:
        """The name of the target: its metric and subject."""
        return f"{self.metric} {self.subject}"


LOSSES = {
    "regression": (
        ("absolute_error", TargetSpec("mae", "model", 1, (0.15, 0.25), relative=True, labelled=True)),
        ("error", TargetSpec("bias", "model", 0, (0.25, 0.5), relative=True, labelled=True)),
    ),
    "binary": (
        ("wrong", TargetSpec("accuracy", "model", 1, (0.03, 0.05), complement=True, labelled=True)),
        ("residual", TargetSpec("bias", "model", 0, (0.05, 0.1), labelled=True)),
    ),
    "multiclass": (("wrong", TargetSpec("accuracy", "model", 1, (0.03, 0.05), complement=True, labelled=True)),),
}
"""Losses of each task, the main one first, with the smallest excess that matters: a warning from MAE + 15 % or 3 points of accuracy, a
critical finding from + 25 % or 5 points.
"""
MISSING, RANK, FAILED = (0.03, 0.05), (0.07, 0.15), (0.02, 0.05)
"""Limits for missing values, ranks and failed requests. Missing values and failed requests are in points. For ranks: if a normal variable
moves by 0.25 (0.55) standard deviations, its mean rank moves by 0.07 (0.15).
"""
TargetSpecs = dict[str, TargetSpec]


def slice_references(context: Context) -> tuple[str, ...]:
    """The references of the columns that the sample needs.

    Parameters
    ----------
    context : Context
        Context of the check.

    Returns
    -------
    tuple[str, ...]
    """
    task = context.model.task
    losses = {"regression": ("absolute_error", "error"), "binary": ("correct", "score", "label"), "multiclass": ("correct",)}.get(
        task or "", ()
    )
    names = [column.reference for column in slicing_columns(context)]
    return tuple(dict.fromkeys(("id", "at", *names, *FIELDS, "status", "score", "label", *losses)))


def slicing_columns(context: Context) -> tuple[Column, ...]:
    """The columns to slice by: the features with which the version was registered, and sensitive attributes. If it was not registered, all
    observed features are used; if there are very many, only the most important ones.

    Parameters
    ----------
    context : Context
        Context of the check.

    Returns
    -------
    tuple[Column, ...]
    """
    names = set(context.most_important(context.version.features or tuple(feature.name for feature in context.model.features())))
    return tuple(column for column in context.model.columns if column.role == "group" or column.name in names)


def sampled_by_id(rows: "DataFrame") -> SampledRows:
    """Sampled rows, sorted by id, so that results do not depend on the order in which they came.

    Parameters
    ----------
    rows : DataFrame
        Sampled rows.

    Returns
    -------
    SampledRows
    """
    return SampledRows(rows.sort_values("id", kind="stable", ignore_index=True))


def slice_cuts(now: SampledRows, before: SampledRows, context: Context, fields: Sequence[str] = ()) -> list[Cut]:
    """Cuts for the columns to slice by. Columns without a level that has rows are left out.

    Parameters
    ----------
    now : SampledRows
        Sampled rows now.
    before : SampledRows
        Sampled rows before.
    context : Context
        Context of the check.
    fields : Sequence[str]
        Fields instead of the model's columns.

    Returns
    -------
    list[Cut]
    """
    if fields:
        made = [_category_cut(name, now.levels(name), before.levels(name) if name in before else None, missing=False) for name in fields]
    else:
        made = []
        for column in slicing_columns(context):
            bands = context.version.edges.get(f"band.{column.name}")
            if column.kind == "number":
                made.append(
                    _number_cut(column.name, now.numbers(column.reference), before.numbers(column.reference), bands.edges if bands else ())
                )
            else:
                made.append(_category_cut(column.name, now.levels(column.reference), before.levels(column.reference)))
    return [each for each in made if each.levels]


def _category_cut(name: str, now: LevelColumn, before: LevelColumn | None, *, missing: bool = True) -> Cut:
    """A cut by the levels that are most frequent now. Levels that no longer occur are added, those that were most frequent before first."""
    then = before.rows_of if before is not None else {}
    counts = then | {text: rows for text, rows in now.rows_of.items() if rows}
    kept = [(level, rows) for level, rows in counts.items() if rows >= MIN_LEVEL_ROWS and (missing or level != "null")]
    levels = [level for level, _ in sorted(kept, key=lambda each: (-each[1], each[0]))[: MAX_LEVELS if missing else 30]]
    return Cut(name, tuple(levels), now.coded(levels), np.empty(0, np.int16) if before is None else before.coded(levels))


def _number_cut(name: str, now: NumberColumn, before: NumberColumn, limits: Sequence[float] = ()) -> Cut:
    """A cut of a number: by value if it has few values, else in bands between round quantiles of the values before. Missing is a level."""
    base = before.finite if before.finite.counts.sum() >= MIN_LEVEL_ROWS else now.finite
    if not limits and base.distinct.size <= FEW_VALUES:
        return _category_cut(name, _value_levels(now), _value_levels(before))
    if not limits:
        cuts = np.quantile(np.repeat(base.distinct, base.counts), np.arange(1, BANDS) / BANDS)
        limits = sorted({float(f"{cut:.3g}") for cut in cuts})
    sides = [
        np.where(np.isnan(side.distinct), len(limits) + 1, np.searchsorted(limits, side.distinct, side="right")).astype(np.int16)[
            side.place
        ]
        for side in (now, before)
    ]
    return Cut(name, (*band_names(limits), "null"), *sides)


def _value_levels(side: NumberColumn) -> LevelColumn:
    """A number column as levels: each value is a level."""
    known = int((~np.isnan(side.distinct)).sum())
    return LevelColumn(
        tuple(map(_value_text, side.distinct[:known].tolist())), np.where(side.place < known, side.place, -1), side.counts[:known]
    )


def _value_text(value: float) -> str:
    """A number as text, in the form that slices use."""
    return "null" if value != value else str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(float(value))


def slice_condition_mask(values: Floats, text: str) -> Mask:
    """Mask of the numbers that satisfy a condition of a slice: within a band, or equal to a value.

    Parameters
    ----------
    values : Floats
        Numbers.
    text : str
        Band or value of the condition.

    Returns
    -------
    Mask
    """
    if limits := band_limits(text):
        return np.asarray((values >= limits[0]) & ((values < limits[1]) | np.isinf(limits[1])), bool)
    try:
        return np.asarray(values == float(text), bool)
    except ValueError:
        return np.zeros(values.size, bool)


def rows_in_slice(side: SampledRows, conditions: Iterable[tuple[str, str]]) -> Mask:
    """Mask of the rows that satisfy all conditions. If the sample lacks a column, it is False for every row.

    Parameters
    ----------
    side : SampledRows
        Sampled rows.
    conditions : Iterable[tuple[str, str]]
        Column references with a level, a band, a value or `null`.

    Returns
    -------
    Mask
    """
    held = np.ones(len(side), bool)
    for reference, value in conditions:
        if reference not in side:
            return np.zeros(len(side), bool)
        if side.frame[reference].dtype.kind != "f":
            held &= side.levels(reference).coded([value]) == 0
        elif value in ("null", "NaN"):
            held &= side.numbers(reference).missing
        else:
            held &= slice_condition_mask(side.floats(reference), value)
    return held


def task_losses(context: Context) -> tuple[tuple[str, TargetSpec], ...]:
    """The losses of the model's task and their meanings, the main one first. Losses of a regression are in the unit of its label.

    Parameters
    ----------
    context : Context
        Context of the check.

    Returns
    -------
    tuple[tuple[str, TargetSpec], ...]
        Empty for a task without losses.
    """
    unit = (context.model.settings.unit or "") if context.model.task == "regression" else ""
    return tuple((name, replace(spec, unit=unit)) for name, spec in LOSSES.get(context.model.task or "", ()))


def slice_targets(
    now: SampledRows, before: SampledRows, context: Context, *, fields: bool = False
) -> tuple[list[SliceTarget], TargetSpecs]:
    """The targets and their meanings. A number that varies on neither side is left out.

    Errors are searched in all levels, including bands of numbers. Values that move or go missing are searched only in categories, because
    the correlation between numbers changes with the season.

    Parameters
    ----------
    now : SampledRows
        Sampled rows now.
    before : SampledRows
        Sampled rows before.
    context : Context
        Context of the check.
    fields : bool
        Replicas and devices are sliced by, whose failures and latencies serving/latency tests.

    Returns
    -------
    tuple[list[SliceTarget], TargetSpecs]
    """
    made: list[tuple[TargetSpec, SliceTarget]] = []
    bands = frozenset(column.name for column in slicing_columns(context) if column.kind == "number")
    for name, spec in task_losses(context):
        logged = row_losses(now.frame, name), row_losses(before.frame, name)
        made.append((spec, SliceTarget(spec.name, *_clipped_errors(*logged), unclipped=logged)))
    for column in slicing_columns(context):
        own = bands | {column.name}
        missing = TargetSpec("null_rate", column.name, 1, MISSING)
        made.append((missing, SliceTarget(missing.name, _missing_flags(now, column), _missing_flags(before, column), own)))
        if column.role == "feature":
            moved = TargetSpec("rank_shift", column.name, 0, RANK, category=column.kind != "number")
            placed = _ranks_among(now, before, column.reference, numeric=column.kind == "number")
            made.append((moved, SliceTarget(moved.name, *placed, own)))
    score = TargetSpec("rank_shift", context.model.subject("score"), 0, RANK)
    placed = _ranks_among(now, before, "score", numeric=True)
    made.append((score, SliceTarget(score.name, *placed, bands)))
    if not fields:
        failed = TargetSpec("error_rate", "model", 1, FAILED)
        made.append((failed, SliceTarget(failed.name, _failure_flags(now.frame), _failure_flags(before.frame))))
    kept = [(spec, target) for spec, target in made if _varies(target)]
    return [target for _, target in kept], {target.name: spec for spec, target in kept}


def _missing_flags(side: SampledRows, column: Column) -> Floats:
    """1 if a value is missing, else 0."""
    held = side.numbers(column.reference) if column.kind == "number" else side.levels(column.reference)
    return held.missing.astype(float)


def _failure_flags(rows: "DataFrame") -> Floats:
    """1 if a request failed, else 0."""
    return (rows["status"] != "ok").to_numpy().astype(float)


def row_losses(rows: "DataFrame", name: str) -> Floats:
    """Loss of each row.

    Parameters
    ----------
    rows : DataFrame
        Sampled rows.
    name : str
        Name of the loss.

    Returns
    -------
    Floats
        NaN without a label.
    """
    if name == "wrong":
        return 1 - rows["correct"].to_numpy(float)
    if name == "residual":
        return np.where(rows["label"] >= 0, rows["score"].to_numpy(float) - rows["label"].to_numpy(float), np.nan)
    return rows[name].to_numpy(float)


def _clipped_errors(now: Floats, before: Floats) -> tuple[Floats, Floats]:
    """The errors of both sides, clipped at the quantile OUTER of both sides together, that is, in the outermost half per cent."""
    both = np.abs(np.concatenate([now, before]))
    both = both[np.isfinite(both)]
    if not both.size or both.max() <= 1:
        return now, before
    limit = float(np.quantile(both, OUTER))
    return np.clip(now, -limit, limit), np.clip(before, -limit, limit)


def _ranks_among(now: SampledRows, before: SampledRows, reference: str, *, numeric: bool) -> tuple[Floats, Floats]:
    """Rank of each value among the values before, 0 to 1 (mid-ranks for ties); for categories, the most frequent level first. NaN if
    missing.
    """
    if numeric:
        values, then = now.numbers(reference), before.numbers(reference)
    else:
        order = before.levels(reference).commonest
        values, then = (side.levels(reference).ranked(order) for side in (now, before))
    return values.ranks_in(then), then.ranks_in(then)


def _varies(target: SliceTarget) -> bool:
    """Whether a target takes more than one value."""
    both = np.concatenate([target.now, target.before])
    both = both[np.isfinite(both)]
    return bool(both.size and both.min() < both.max())


def is_field(name: str) -> bool:
    """Whether a cut is by a field of the record. The field is then the subject of a finding about the cut.

    Parameters
    ----------
    name : str
        Name of the cut.

    Returns
    -------
    bool
    """
    return name in FIELDS_TO_GROUP_BY
