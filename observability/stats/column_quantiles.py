"""Quantiles of many columns at once; unknown values (NaN) are left out."""

from collections.abc import Sequence

import numpy as np

from observability.stats.arrays import Floats, Integers


def column_quantiles(values: Floats, shares: Sequence[float]) -> list[Floats]:
    """Quantiles along the first axis, linear between neighbours.

    All quantiles come from one sort. For many small arrays this is several times as fast as numpy's function.

    Parameters
    ----------
    values : Floats
        Rows × columns (or more axes); NaN is no value.
    shares : Sequence[float]
        The quantiles, from 0 to 1.

    Returns
    -------
    list[Floats]
        One array for each share; NaN if a column has no value.
    """
    return quantiles_of_sorted(*sorted_values(values), shares)


def sorted_values(values: Floats) -> tuple[Floats, Integers]:
    """Values sorted along the first axis with NaN last, and the number of known values in each column.

    Parameters
    ----------
    values : Floats
        Rows × columns (or more axes); NaN is no value.

    Returns
    -------
    tuple[Floats, Integers]
        An array of the same shape, and one count for each column.
    """
    ordered = np.sort(values, axis=0)
    if len(ordered) and not np.isnan(ordered[-1]).any():
        return ordered, np.full(ordered.shape[1:], len(ordered))
    return ordered, np.asarray((~np.isnan(ordered)).sum(0))


def quantiles_of_sorted(ordered: Floats, known: Integers, shares: Sequence[float]) -> list[Floats]:
    """Quantiles along the first axis of sorted values, linear between neighbours.

    Parameters
    ----------
    ordered : Floats
        Rows × columns (or more axes), sorted along the first axis, NaN last.
    known : Integers
        Number of known values of each column.
    shares : Sequence[float]
        The quantiles, from 0 to 1.

    Returns
    -------
    list[Floats]
        One array for each share; NaN if a column has no value.
    """
    if not len(ordered):
        return [np.full(ordered.shape[1:], np.nan) for _ in shares]
    if known.size and (n := int(known.flat[0])) and (known == n).all():  # in this case the places are the same in all columns
        places = [share * (n - 1) for share in shares]
        between = [(ordered[int(place)], ordered[min(int(place) + 1, n - 1)], place - int(place)) for place in places]
        return [low + (high - low) * part for low, high, part in between]
    last, found = np.maximum(known - 1, 0), []
    for share in shares:
        place = share * last
        low = np.floor(place).astype(int)
        ends = [value_at(ordered, each) for each in (low, np.minimum(low + 1, last))]
        found.append(np.where(known > 0, ends[0] + (ends[1] - ends[0]) * (place - low), np.nan))
    return found


def quantiles_of_others(values: Floats, shares: Sequence[float]) -> tuple[Integers, list[Floats]]:
    """For each row, the quantiles of all other rows.

    One sort serves all rows: a row's own value is skipped at its place in the sorted order.

    Parameters
    ----------
    values : Floats
        Rows × columns; NaN is no value.
    shares : Sequence[float]
        The quantiles, from 0 to 1.

    Returns
    -------
    tuple[Integers, list[Floats]]
        How many other rows have a value, and one array for each share; all rows × columns, NaN if no other row has a value.
    """
    order = np.argsort(values, axis=0)
    ordered, place = np.take_along_axis(values, order, 0), np.argsort(order, axis=0)
    known, found = (~np.isnan(values)).sum(0) - ~np.isnan(values), []
    last = np.maximum(known - 1, 0)
    for share in shares:
        at = share * last
        low = np.floor(at).astype(int)
        own = (np.minimum(each + (each >= place), len(values) - 1) for each in (low, np.minimum(low + 1, last)))
        ends = [np.take_along_axis(ordered, each, 0) for each in own]
        found.append(np.where(known > 0, ends[0] + (ends[1] - ends[0]) * (at - low), np.nan))
    return known, found


def value_at(ordered: Floats, places: Integers) -> Floats:
    """For each column, the value at that column's given place along the first axis.

    Parameters
    ----------
    ordered : Floats
        Rows × columns (or more axes).
    places : Integers
        One place for each column.

    Returns
    -------
    Floats
        One value for each column.
    """
    if places.size and (places == places.flat[0]).all():
        return ordered[int(places.flat[0])]
    flat = ordered.reshape(len(ordered), -1)
    return np.asarray(flat[places.ravel(), np.arange(flat.shape[1])].reshape(places.shape))


def column_medians(values: Floats) -> Floats:
    """Medians along the first axis.

    Parameters
    ----------
    values : Floats
        Rows × columns (or more axes); NaN is no value.

    Returns
    -------
    Floats
        NaN if a column has no value.
    """
    return column_quantiles(values, (1 / 2,))[0]


def medians_of_repeated(values: Floats, times: Integers) -> Floats:
    """Medians along the first axis if each row is repeated several times.

    Parameters
    ----------
    values : Floats
        Rows × columns, without NaN.
    times : Integers
        How often each row is repeated.

    Returns
    -------
    Floats
        The result of `column_medians` for the repeated rows.
    """
    order = np.argsort(values, axis=0)
    ordered, until = np.take_along_axis(values, order, 0), np.cumsum(times[order], axis=0)
    place = (int(times.sum()) - 1) / 2
    low, high = (
        np.take_along_axis(ordered, (until <= each).sum(0)[None], 0)[0] for each in (int(place), min(int(place) + 1, int(times.sum()) - 1))
    )
    return np.asarray(low + (high - low) * (place - int(place)))
