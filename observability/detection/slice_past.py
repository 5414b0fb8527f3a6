"""Finds whether a change of a slice is ongoing (the month before the window shows it too), and since which day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from observability.core.analyzer import Context
from observability.core.standing_since import StandingSince
from observability.core.window import EPOCH
from observability.detection.days_beyond import days_beyond
from observability.metrics import slice_rows as rows
from observability.metrics.slice_columns import SampledRows
from observability.stats.arrays import Integers
from observability.stats.lasting_excess import MIN_POINTS, has_stretch_within
from observability.stats.slice_moments import Floats, Mask, SliceSide
from observability.stats.slices import MIN_ROWS, ChangedSlice

PAST_DAYS = 28
"""This many days before the window show whether a change is ongoing."""
ROWS_A_DAY = 10
"""A day is used only if it has at least this many rows of the slice."""
STANDING = 2 / 3
"""A change is standing if the past month also shows at least this share of it."""


def side_of(values: Floats, chosen: Mask) -> SliceSide:
    """Return number, mean and variance of the known values among some rows."""
    known = values[chosen & np.isfinite(values)]
    mean, variance = (float(known.mean()), float(known.var(ddof=1))) if known.size > 1 else (0.0, 0.0)
    return SliceSide(float(known.size), mean, variance)


def without_rows(values: Floats, left_out: Iterable[Mask]) -> Floats:
    """Return the values, with NaN in the rows to leave out."""
    return np.where(np.logical_or.reduce([np.zeros(values.size, bool), *left_out]), np.nan, values)


def day_number(day: date) -> int:
    """Return the number of a day, counted from 1970."""
    return (day - EPOCH.date()).days


def slice_days(side: SampledRows) -> Floats:
    """Return the day of each row, as a number counted from 1970."""
    return side.frame["at"].to_numpy("datetime64[D]").astype(float)


@dataclass(frozen=True)
class SliceBeginning:
    """How a slice's change began. stood: whether the change was there when the window began; since: the day since which it has been a
    warning (None if unknown); month: whether the past month as a whole shows it.
    """

    stood: bool = False
    since: StandingSince | None = None
    month: bool = False


@dataclass(frozen=True)
class PastSlices:
    """The month before the window, compared with the same baseline as the window, to tell a standing change from a new one."""

    past: SampledRows
    before: SampledRows
    context: Context

    @cached_property
    def values(self) -> dict[str, Floats]:
        """The values of each target in the past rows, by name of the target."""
        return {target.name: target.now for target in rows.slice_targets(self.past, self.before, self.context)[0]}

    def searched_values(self, found: ChangedSlice) -> Floats | None:
        """The target of a slice in the past rows; NaN in rows of slices that the search found earlier. None if the past does not have the
        target.
        """
        known = self.values.get(found.target)
        return None if known is None else without_rows(known, map(self.inside, found.peeled))

    def is_standing(self, found: ChangedSlice) -> bool:
        """Whether the past month also shows most of the change; False if it has too few rows."""
        values = self.searched_values(found) if len(self.past) >= 2 * MIN_ROWS else None
        if values is None or found.before is None or found.rest_before is None:
            return False
        own, rest = side_of(values, self.inside(found)), side_of(values, ~self.inside(found))
        if min(own.n, rest.n) < MIN_ROWS:
            return False
        change, excess = own.mean - found.before.mean, own.mean - found.before.mean - (rest.mean - found.rest_before.mean)
        return min(change * np.sign(found.change), excess * np.sign(found.excess)) >= STANDING * min(abs(found.change), abs(found.excess))

    def inside(self, found: ChangedSlice) -> Mask:
        """Mask of the past rows that are in a slice."""
        return rows.rows_in_slice(self.past, [(self.context.model.resolve(name), level) for name, level in found.conditions])

    def beginning(self, found: ChangedSlice, now: SampledRows, values: Floats, inside: Mask, level: float) -> SliceBeginning:
        """How and when the change of a slice began, judged up to the end of the window.

        now, values, inside: the rows of the window, the target in these rows, and which of them are in the slice. level: the change from
        which it is a warning, in the unit of the target. The change is ongoing if days before the window are significantly beyond the level
        and show most of the change. The month as a whole decides only if its days cannot. A change that ended before the window and came
        back is new.
        """
        known = self.searched_values(found)
        if known is None or found.before is None or found.rest_before is None:
            return SliceBeginning()
        start, end = (day_number(each.date()) for each in (self.context.window.start, self.context.window.end))
        days = np.arange(start - PAST_DAYS, max(end, start + 1))
        at = np.concatenate([slice_days(self.past), slice_days(now)])
        excess, errors = _excess_by_day(np.concatenate([known, values]), np.concatenate([self.inside(found), inside]), at, days, found)
        before, most = days < start, STANDING * min(abs(found.change), abs(found.excess))
        since, told = days_beyond(days, excess - level, errors), np.isfinite(excess[before]).sum() >= MIN_POINTS
        late = since is not None and day_number(since.day) >= start
        if late and told:
            return SliceBeginning()
        old = days_beyond(days[before], excess[before] - level, errors[before])
        stood = old is not None and np.nanmean(excess[before][-(start - day_number(old.day)) :]) >= most
        month = not (told and has_stretch_within(excess - level, errors)) and self.is_standing(found)
        return SliceBeginning(bool(stood) or month, None if late else since, month)


def _excess_by_day(values: Floats, inside: Mask, at: Floats, days: Integers, found: ChangedSlice) -> tuple[Floats, Floats]:
    """The distance of a slice from its baseline on each day, and its standard error. The distance is the smaller of the slice's own change
    and its change relative to the other rows. The variance of all days is mixed in, so that a standard error is never 0. NaN on days with
    fewer than ROWS_A_DAY rows. at: the day of each row.
    """
    assert found.before is not None and found.rest_before is not None
    sides = []
    for part in (inside, ~inside):
        kept = part & np.isfinite(values) & (at >= days[0]) & (at <= days[-1])
        place, own = (at[kept] - days[0]).astype(np.int64), values[kept]
        n = np.bincount(place, minlength=days.size)
        n = np.where(n >= ROWS_A_DAY, n, np.nan)
        mean = np.bincount(place, own, days.size) / n
        squares = np.bincount(place, (own - np.nan_to_num(mean)[place]) ** 2, days.size)
        usual = np.nansum(squares) / max(own.size, 1)
        sides.append((mean, (squares + usual) / n**2))
    (mine, own_error), (rest, rest_error) = sides
    change = mine - found.before.mean
    excess = change - (rest - found.rest_before.mean)
    return np.minimum(np.sign(found.change) * change, np.sign(found.excess) * excess), np.sqrt(own_error + rest_error)
