"""Compute sums by group over coded rows."""

from collections.abc import Sequence

import numpy as np

from observability.core.questions import Aggregate
from observability.stats.arrays import Array, Bools

Figures = tuple[Array, ...]
"""First the key codes, one int64 array per key; then the figures n, w, w2 (and total, squares, low, high). All arrays have the same
length.
"""


def grouped_figures(keys: list[Array], mask: Bools, weights: Array | None, values: Array | None) -> Figures:
    """The figures of the rows of a mask, by the combinations of keys that occur. If there are no keys, there is one row."""
    if not mask.all():
        keys = [key[mask] for key in keys]
        weights = None if weights is None else weights[mask]
        values = None if values is None else values[mask]
    size = int(mask.sum())
    code = np.zeros(size, np.int64)
    ranges: list[tuple[int, int]] = []
    for key in keys:
        low, high = (int(key.min()), int(key.max())) if size else (0, 0)
        ranges.append((low, high - low + 1))
        code = code * (high - low + 1) + (key - low)
    total = int(np.prod([span for _, span in ranges])) if ranges else 1
    if total <= 4 * size + 4096:
        n = np.bincount(code, minlength=total)
        found = np.flatnonzero(n)
        place = code
        length = total
    else:
        found, place = np.unique(code, return_inverse=True)
        length = found.size
        n = np.bincount(place, minlength=length)
    picked = found if length == total else np.arange(length)
    n = n[picked]
    w = n.astype(float) if weights is None else np.bincount(place, weights, length)[picked]
    w2 = n.astype(float) if weights is None else np.bincount(place, weights * weights, length)[picked]
    figures: list[Array] = [n, w, w2]
    if values is not None:
        by = values if weights is None else values * weights
        figures += [np.bincount(place, by, length)[picked], np.bincount(place, by * values, length)[picked]]
        low_, high_ = np.full(length, np.inf), np.full(length, -np.inf)
        if size:
            np.minimum.at(low_, place, values)
            np.maximum.at(high_, place, values)
        figures += [low_[picked], high_[picked]]
    names: list[Array] = []
    left = found.copy()
    for low, span in reversed(ranges):
        names.insert(0, left % span + low)
        left //= span
    return (*names, *figures)


def summed_figures(parts: Sequence[Figures], question: Aggregate) -> Figures:
    """The figures of several parts, added up by key."""
    if not parts:
        return ()
    size = len(question.key_names)
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)]
    if len(parts) == 1:
        return tuple(columns)
    keys = columns[:size]
    code = np.zeros(columns[size].size, np.int64)
    for key in keys:
        low = int(key.min())
        code = code * (int(key.max()) - low + 1) + (key - low)
    _, first, place = np.unique(code, return_index=True, return_inverse=True)
    names = [key[first] for key in keys]
    figures: list[Array] = [np.bincount(place, each) for each in columns[size : size + 3 + 2 * bool(question.sums)]]
    if question.sums:
        low_, high_ = np.full(first.size, np.inf), np.full(first.size, -np.inf)
        np.minimum.at(low_, place, columns[size + 5])
        np.maximum.at(high_, place, columns[size + 6])
        figures += [low_, high_]
    return (*names, *figures)
