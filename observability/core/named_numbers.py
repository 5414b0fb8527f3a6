"""Numbers of named things, such as the statistics of a batch by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class NamedNumbers:
    """Numbers of named things. names: sorted. numbers: for each number (such as mean), an array over `names`, with NaN where it is missing;
    a number that no name has is left out.
    """

    names: tuple[str, ...] = ()
    numbers: Mapping[str, "np.ndarray[Any, np.dtype[np.float64]]"] = field(default_factory=dict)

    def first(self, wanted: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """For each name, the first of the wanted numbers that is known; NaN if none is."""
        found = np.full(len(self.names), np.nan)
        for number in reversed(wanted):
            if (values := self.numbers.get(number)) is not None:
                found = np.where(np.isnan(values), found, values)
        return found


def named_numbers(objects: Any, wanted: Sequence[str]) -> NamedNumbers:
    """The wanted numbers in an object of objects, such as `{"temperature": {"mean": 20.5}}`; empty for any other value.

    Values that are not finite numbers count as missing.
    """
    held = {name: own for name, own in objects.items() if isinstance(own, Mapping)} if isinstance(objects, Mapping) else {}
    names = tuple(sorted(held))
    found = {}
    for number in wanted:
        values = np.array([_number_or_nan(held[name].get(number)) for name in names], np.float64)
        if not np.isnan(values).all():
            found[number] = values
    return NamedNumbers(names, found)


def number_tables(rows: Sequence[NamedNumbers], names: Sequence[str], wanted: Sequence[str]) -> "dict[str, np.ndarray[Any, Any]]":
    """For each wanted number, a table of its values (rows × names); NaN where it is missing.

    Numbers that no row has are left out.
    """
    asked, tables = {name: place for place, name in enumerate(names)}, {}
    alike: dict[tuple[str, ...], list[int]] = {}
    shared: dict[int, list[int]] = {}  # by id, because the hash of a long tuple is slow, and most rows share the same tuple
    for row, each in enumerate(rows):
        if (places := shared.get(id(each.names))) is None:
            places = shared[id(each.names)] = alike.setdefault(each.names, [])
        places.append(row)
    for held, places in alike.items():
        own = [place for place, name in enumerate(held) if name in asked]
        into = [asked[held[place]] for place in own]
        whole = own == into == list(range(len(names)))
        for number in wanted:
            if known := [row for row in places if number in rows[row].numbers]:
                if whole and len(known) == len(rows):  # for example devices of one kind
                    tables[number] = np.array([each.numbers[number] for each in rows])
                    continue
                if number not in tables:
                    tables[number] = np.full((len(rows), len(names)), np.nan)
                tables[number][np.ix_(known, into)] = np.array([rows[row].numbers[number] for row in known])[:, own]
    return tables


def stacked_numbers(rows: Sequence[NamedNumbers], names: Sequence[str], wanted: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """For each row and name, the first of the wanted numbers that is known: an array of rows × names, NaN if none is."""
    found, tables = np.full((len(rows), len(names)), np.nan), number_tables(rows, names, wanted)
    for values in (tables[number] for number in reversed(wanted) if number in tables):
        found = np.where(np.isnan(values), found, values)
    return found


def _number_or_nan(value: Any) -> float:
    """The value if it is a finite number, else NaN."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else float("nan")
