"""In which slices is a new version worse than the one that serves, on the rows that both answered?

Every level of every feature (numbers in quarters of the paired rows) is one slice; its mean loss is compared row by row (absolute error; of a
classifier whether the decision was wrong), the false discovery rate held over all of them. Slices that the owner watches are in the comparison itself.
"""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.compare.paired_rows import Matched
from observability.core.catalog import Model
from observability.core.window import Slice
from observability.stats.multiple import benjamini_hochberg
from observability.stats.paired import Paired, paired_means, paired_rates

if TYPE_CHECKING:
    from pandas import DataFrame

Body = dict[str, Any]
Bools = NDArray[np.bool_]
FALSE_DISCOVERIES = 0.05
LEAST_ROWS, MOST_LEVELS, MOST = 30, 20, 5
"""Labelled pairs of a slice below which it is not looked at; levels of a feature that are, the most frequent; slices that are named, the largest loss first."""


def regressed(model: Model, matched: Matched) -> Body:
    """looked_at: slices that were compared; rows: those in which the new version (side a) loses more beyond chance, with both mean losses and their difference."""
    new, then, label = matched.a, matched.b, matched.label
    known = ~np.isnan(label)
    if model.task != "regression":
        known &= (new["decision"].to_numpy() >= 0) & (then["decision"].to_numpy() >= 0)
    watched, of = set(model.settings.slices), "absolute_error" if model.task == "regression" else "wrong"
    found: list[tuple[str, str, int, Paired]] = []
    for name, key, inside in slices(model, new[known]):
        if key is None or key not in watched:
            found.append((name, key or "", int(inside.sum()), loss(model, new[known][inside], then[known][inside], label[known][inside])))
    if not found:
        return {"loss": of, "looked_at": 0, "rows": []}
    adjusted = benjamini_hochberg([each.p_value for *_, each in found])[0]
    rows: list[Body] = [
        {"name": name, "slice": key or None, "n": n, "new": each.a, "then": each.b, "change": each.difference.value, "low": each.difference.low,
         "high": each.difference.high, "p_adjusted": float(p)}
        for (name, key, n, each), p in zip(found, adjusted)
        if p <= FALSE_DISCOVERIES and each.difference.low is not None and each.difference.low > 0
    ]  # fmt: skip
    return {"loss": of, "looked_at": len(found), "rows": sorted(rows, key=lambda each: -float(each["change"]) * each["n"])[:MOST]}


def slices(model: Model, rows: "DataFrame") -> Iterator[tuple[str, str | None, Bools]]:
    """(name for people, the slice as a link carries it or None where it is a band of a number, which rows) of every slice with enough rows."""
    for feature in model.features():
        if feature.reference not in rows:
            continue
        values = rows[feature.reference]
        parts: list[tuple[str, str | None, Bools]]
        if feature.kind == "number":
            parts = bands(feature.name, values.to_numpy(np.float64))
        else:
            levels = values.dropna().astype(str)
            parts = [
                (
                    f"{feature.name} = {level}",
                    str(Slice(((feature.name, level.lower() if feature.kind == "boolean" else level),))),
                    np.asarray(values.astype(str) == level, np.bool_),
                )
                for level in levels.value_counts().index[:MOST_LEVELS]
            ]
        for name, key, inside in [
            *parts,
            (f"{feature.name} is missing", str(Slice(((feature.name, "null"),))), values.isna().to_numpy(bool)),
        ]:
            if LEAST_ROWS <= inside.sum() < len(rows):
                yield name, key, inside


def bands(name: str, values: NDArray[np.float64]) -> list[tuple[str, str | None, Bools]]:
    """Quarters of a number's values."""
    held = values[np.isfinite(values)]
    if held.size < LEAST_ROWS:
        return []
    cuts = np.unique(np.quantile(held, [0.25, 0.5, 0.75]))
    place = np.where(np.isfinite(values), np.searchsorted(cuts, values, side="right"), -1)
    ends = [f"below {cuts[0]:.4g}", *(f"{low:.4g} to below {high:.4g}" for low, high in itertools.pairwise(cuts)), f"from {cuts[-1]:.4g}"]
    return [(f"{name} {words}", None, np.asarray(place == number, np.bool_)) for number, words in enumerate(ends)]


def loss(model: Model, new: "DataFrame", then: "DataFrame", label: NDArray[np.float64]) -> Paired:
    """Mean loss of both on the same rows."""
    if model.task == "regression":
        errors = [np.abs(side["score"].to_numpy(np.float64) - label) for side in (new, then)]
        return paired_means(errors[0], errors[1])
    wrong = [side["decision"].to_numpy(np.float64) != label for side in (new, then)]
    return paired_rates(wrong[0], wrong[1])
