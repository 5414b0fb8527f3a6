"""Whether a change of a slice stands: the month before the window shows most of it too."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from observability.core.analyzer import Context
from observability.metrics import slice_rows as rows
from observability.metrics.slice_columns import SampledRows
from observability.stats.slice_moments import Floats, Mask, SliceSide
from observability.stats.slices import MIN_ROWS, ChangedSlice

STANDING = 2 / 3
"""Share of a change that the past month has to show as well, for the change to be standing."""


def side_of(values: Floats, chosen: Mask) -> SliceSide:
    """Return rows, mean and variance of the known values of some rows."""
    known = values[chosen & np.isfinite(values)]
    mean, variance = (float(known.mean()), float(known.var(ddof=1))) if known.size > 1 else (0.0, 0.0)
    return SliceSide(float(known.size), mean, variance)


@dataclass(frozen=True)
class PastSlices:
    """The month before the window, held against the same baseline, to tell a standing change from a new one."""

    past: SampledRows
    before: SampledRows
    context: Context

    @cached_property
    def values(self) -> dict[str, Floats]:
        """Each target of the past rows, by its name."""
        return {target.name: target.now for target in rows.slice_targets(self.past, self.before, self.context)[0]}

    def is_standing(self, found: ChangedSlice) -> bool:
        """Whether the past month shows most of the change too; False where it has too few rows."""
        values = self.values.get(found.target) if len(self.past) >= 2 * MIN_ROWS else None
        if values is None or found.before is None or found.rest_before is None:
            return False
        inside = rows.rows_in_slice(self.past, [(self.context.model.resolve(name), level) for name, level in found.conditions])
        own, rest = side_of(values, inside), side_of(values, ~inside)
        if min(own.n, rest.n) < MIN_ROWS:
            return False
        change, excess = own.mean - found.before.mean, own.mean - found.before.mean - (rest.mean - found.rest_before.mean)
        return min(change * np.sign(found.change), excess * np.sign(found.excess)) >= STANDING * min(abs(found.change), abs(found.excess))
