"""Finds the group whose rows an attack in an audit hits most, if the difference is larger than chance explains."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from observability.detection.form_slices import SliceExcess, slice_excesses
from observability.metrics.trade_offs import FormResult, FormSlice
from observability.stats.multiple_testing import benjamini_hochberg

CHANCE = 0.05
"""A group is named only if its adjusted p-value is at most this."""


@dataclass(frozen=True)
class AttackedGroup:
    """A group that an attack hits more often than the other groups of its attribute. rate, rest: the share of rows hit in this group, and
    in the other groups.
    """

    attribute: str
    level: str
    n: int
    rate: float
    rest: float
    p_adjusted: float


def most_attacked_group(shares: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> AttackedGroup | None:
    """Return the group whose number of hits is least likely by chance, and its p-value, adjusted for all groups of all attributes.

    shares: by attribute and level, the share of rows hit (`value`) and the number of rows (`n`), as in the results of an audit. None if no
    group is hit significantly more often than the others, or if no attribute has two groups.
    """
    found: list[SliceExcess] = []
    for attribute, levels in shares.items():
        parts = tuple(
            FormSlice(attribute, level, int(cell["n"]), round(cell["value"] * cell["n"]))
            for level, cell in levels.items()
            if cell.get("value") is not None
        )
        found += slice_excesses(
            FormResult(attribute, 0, probes=sum(part.n for part in parts), flips=sum(part.flips for part in parts), slices=parts)
        )
    adjusted = benjamini_hochberg([each.p_value for each in found], CHANCE)[0].tolist()
    named = [(p, -each.rate, place) for place, (p, each) in enumerate(zip(adjusted, found, strict=True)) if p <= CHANCE]
    if not named:
        return None
    p, _, place = min(named)
    part = found[place].part
    return AttackedGroup(part.column, part.level, part.n, found[place].rate, found[place].rest, p)
