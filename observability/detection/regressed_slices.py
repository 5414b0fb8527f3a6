"""Finds slices in which a new version is worse than the serving version, on rows that both versions scored.

Each level of each feature (for numbers, each quartile band) is a slice. The losses of both versions are compared row by row: the absolute
error for a regression, the rate of wrong decisions for classifiers. The false discovery rate over all slices is 5 %. Slices that are
compared elsewhere can be left out. Changed decisions are also counted by slice, with or without labels.
"""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from observability.core.catalog import Model
from observability.core.window import Slice
from observability.stats.arrays import Bools, Floats
from observability.stats.interval import Interval, rate_interval
from observability.stats.multiple_testing import benjamini_hochberg
from observability.stats.paired import PairedComparison, paired_means, paired_rates

if TYPE_CHECKING:
    from pandas import DataFrame

Body = dict[str, Any]
FALSE_DISCOVERIES = 0.05
MIN_ROWS, MAX_LEVELS, MAX_NAMED_SLICES = 30, 20, 5
"""Minimum number of rows (labelled pairs) in a slice; maximum number of levels of a feature that are tested, most frequent first; maximum
number of slices that are named, largest added loss first (the difference of the mean losses times the rows).
"""


class PairedAnswers(Protocol):
    """The answers of two versions to the same requests, row by row. label: the class index, or the number for a regression; NaN if
    unknown.
    """

    @property
    def a(self) -> "DataFrame":
        """The answers of the new version, with features, score and decision."""

    @property
    def b(self) -> "DataFrame":
        """The answers of the serving version."""

    @property
    def label(self) -> Floats:
        """The label of each pair."""


def find_regressed_slices(model: Model, matched: PairedAnswers, left_out: Collection[str] = ()) -> Body:
    """The result as fields. looked_at: number of slices tested; rows: the slices in which the new version (side a) has a significantly
    larger loss, with both mean losses and their difference. left_out: slices not to test, as the text that stands in the address of a page
    (`str(Slice(...))`).
    """
    new, then, label = matched.a, matched.b, matched.label
    known = ~np.isnan(label)
    if model.task != "regression":
        known &= (new["decision"].to_numpy() >= 0) & (then["decision"].to_numpy() >= 0)
    of = "absolute_error" if model.task == "regression" else "wrong"
    answers, label = ["score" if model.task == "regression" else "decision"], label[known]
    new, (now, then) = new[known], (side.loc[known, answers] for side in (new, then))
    found = [
        (name, key or "", int(inside.sum()), mean_losses(model, now[inside], then[inside], label[inside]))
        for name, key, inside in candidate_slices(model, new)
        if key is None or key not in left_out
    ]
    if not found:
        return {"loss": of, "looked_at": 0, "rows": []}
    adjusted = benjamini_hochberg([losses.p_value for *_, losses in found])[0]
    rows: list[Body] = []
    for (name, key, n, losses), p_value in zip(found, adjusted):
        change = losses.difference
        if p_value <= FALSE_DISCOVERIES and change.low is not None and change.low > 0:
            row = {"name": name, "slice": key or None, "n": n, "new": losses.a, "then": losses.b, "p_adjusted": float(p_value)}
            rows.append(row | {"change": change.value, "low": change.low, "high": change.high})
    return {"loss": of, "looked_at": len(found), "rows": sorted(rows, key=lambda row: -float(row["change"]) * row["n"])[:MAX_NAMED_SLICES]}


@dataclass(frozen=True)
class SliceChurn:
    """The changed decisions of one slice. name, slice: as returned by `candidate_slices`. flips: share of decisions that change, with its
    interval. elsewhere: this share in all other rows. more: whether the share is significantly larger than elsewhere. regressed: number of
    labelled rows that only the serving version has right; repaired: number that only the new version has right; both are None if no row is
    labelled.
    """

    name: str
    slice: str | None
    flips: Interval
    elsewhere: float
    more: bool
    regressed: int | None
    repaired: int | None


def churn_by_slice(model: Model, matched: PairedAnswers) -> list[SliceChurn]:
    """The share of decisions that differ between the two versions in each slice, largest first; empty for a regression.

    Whether a slice has a significantly larger share than all other rows is tested by Fisher's exact test, one-sided, with a false discovery
    rate of 5 % over all slices.
    """
    from scipy.stats import hypergeom

    if model.task == "regression":
        return []
    new, then = (side["decision"].to_numpy(np.int64) for side in (matched.a, matched.b))
    decided = (new >= 0) & (then >= 0)
    new, then, label = new[decided], then[decided], matched.label[decided]
    changed, total = new != then, int(decided.sum())
    regressed, repaired, labelled = changed & (then == label), changed & (new == label), ~np.isnan(label)

    def of_labelled(inside: Bools, hit: Bools) -> int | None:
        return int(hit[inside].sum()) if labelled[inside].any() else None

    parts = [
        (name, key, int(inside.sum()), int(changed[inside].sum()), of_labelled(inside, regressed), of_labelled(inside, repaired))
        for name, key, inside in candidate_slices(model, matched.a[decided])
    ]
    if not parts:
        return []
    flips = int(changed.sum())
    adjusted = benjamini_hochberg([float(hypergeom.sf(k - 1, total, flips, n)) for _, _, n, k, *_ in parts])[0]
    found = [
        SliceChurn(name, key, rate_interval(k, n), (flips - k) / (total - n), p_value <= FALSE_DISCOVERIES, worse, better)
        for (name, key, n, k, worse, better), p_value in zip(parts, adjusted, strict=True)
    ]
    return sorted(found, key=lambda each: -float(each.flips.value or 0.0))


def candidate_slices(model: Model, rows: "DataFrame") -> Iterator[tuple[str, str | None, Bools]]:
    """Yield each slice with enough rows as (name, `str(Slice(...))` as in the address of a page or None for a band, mask)."""
    for feature in model.features():
        if feature.reference not in rows:
            continue
        values = rows[feature.reference]
        parts: list[tuple[str, str | None, Bools]]
        if feature.kind == "number":
            parts = quarter_bands(feature.name, values.to_numpy(np.float64))
        else:
            levels = values.dropna().astype(str)
            parts = [
                (
                    f"{feature.name} = {level}",
                    str(Slice(((feature.name, level.lower() if feature.kind == "boolean" else level),))),
                    np.asarray(values.astype(str) == level, np.bool_),
                )
                for level in levels.value_counts().index[:MAX_LEVELS]
            ]
        for name, key, inside in [
            *parts,
            (f"{feature.name} is missing", str(Slice(((feature.name, "null"),))), values.isna().to_numpy(bool)),
        ]:
            if MIN_ROWS <= inside.sum() < len(rows):
                yield name, key, inside


def quarter_bands(name: str, values: Floats) -> list[tuple[str, str | None, Bools]]:
    """The quartile bands of a number, in the format of `candidate_slices`."""
    held = values[np.isfinite(values)]
    if held.size < MIN_ROWS:
        return []
    cuts = np.unique(np.quantile(held, [0.25, 0.5, 0.75]))
    place = np.where(np.isfinite(values), np.searchsorted(cuts, values, side="right"), -1)
    ends = [f"below {cuts[0]:.4g}", *(f"{low:.4g} to below {high:.4g}" for low, high in itertools.pairwise(cuts)), f"from {cuts[-1]:.4g}"]
    return [(f"{name} {words}", None, np.asarray(place == number, np.bool_)) for number, words in enumerate(ends)]


def mean_losses(model: Model, new: "DataFrame", then: "DataFrame", label: Floats) -> PairedComparison:
    """The mean losses of both versions on the same rows, compared."""
    if model.task == "regression":
        errors = [np.abs(side["score"].to_numpy(np.float64) - label) for side in (new, then)]
        return paired_means(errors[0], errors[1])
    wrong = [side["decision"].to_numpy(np.float64) != label for side in (new, then)]
    return paired_rates(wrong[0], wrong[1])
