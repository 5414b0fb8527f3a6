"""Add up the parts of the answer to an aggregate.

Parts have keys as stored (`k0`, `k1`, …: hours since 1970, stream numbers, codes, texts), the position of the histogrammed or summed
reference (`item`), and figures. The sum gets the names and types of core/questions.py, sorted by the keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.questions import Aggregate, Bucket
from observability.stats.arrays import Array, Integers
from observability.store.types.answer_columns import CODE_COLUMNS

if TYPE_CHECKING:
    from pandas import DataFrame

Part = dict[str, Array]
"""The columns of a part by name."""
COUNTS = ("n", "w", "w2")
SUMS = ("n", "w", "w2", "total", "squares", "low", "high")


def _key_columns(aggregate: Aggregate) -> list[str]:
    """Names of the key columns of a part."""
    names = [f"k{place}" for place in range(len(aggregate.keys))]
    return names + (["item", "bin"] if aggregate.histogram else ["item"] if aggregate.sums else [])


def _figure_names(aggregate: Aggregate) -> tuple[str, ...]:
    """The names of the columns that hold the figures of an answer."""
    return SUMS if aggregate.sums else COUNTS


@dataclass(frozen=True)
class KeyColumn:
    """A key of an answer, as numbers whose order is the order of the values. names: the value of each number; None if the numbers are the
    values.
    """

    numbers: Integers
    names: list[Any] | None = None


@dataclass(frozen=True)
class AnswerCells:
    """An answer before it is a table: its keys by name, in column order, and its figures."""

    keys: dict[str, KeyColumn]
    figures: Part

    def table(self) -> "DataFrame":
        """The answer with the names and types of core/questions.py."""
        import pandas as pd

        answer: dict[str, Any] = {}
        for name, key in self.keys.items():
            if name == "period":
                answer[name] = key.numbers.astype("datetime64[h]").astype("datetime64[us]")
            elif key.names is None:
                answer[name] = key.numbers
            else:
                answer[name] = pd.Series(np.array(key.names, object)[key.numbers], dtype=object, copy=False)
        return pd.DataFrame(
            answer | {name: values.astype(np.int64 if name == "n" else np.float64, copy=False) for name, values in self.figures.items()}
        )


def assemble_answer(aggregate: Aggregate, parts: Sequence["Part | DataFrame"], versions: Mapping[int, str]) -> AnswerCells:
    """The whole answer from its parts. versions: name by stream."""
    joined = sum_parts([part for part in map(part_arrays, parts) if part["n"].size], _key_columns(aggregate), _figure_names(aggregate))
    keys: dict[str, KeyColumn] = {}
    for place, key in enumerate(aggregate.keys):
        name, values = aggregate.key_names[place], joined[f"k{place}"]
        if isinstance(key, Bucket) or name in CODE_COLUMNS:
            keys[name] = KeyColumn(values.astype(np.int64))
        elif name == "version":
            streams = np.unique(values)
            keys[name] = KeyColumn(np.searchsorted(streams, values), [versions.get(number) for number in streams.tolist()])
        else:
            keys[name] = _ranked_texts(values)
    items = aggregate.histogram or aggregate.sums
    if items:
        keys["column" if aggregate.histogram else "measure"] = KeyColumn(joined["item"].astype(np.int64), list(items))
    if aggregate.histogram:
        keys["bin"] = KeyColumn(joined["bin"].astype(np.int64))
    return AnswerCells(keys, {name: joined[name] for name in _figure_names(aggregate)})


def part_arrays(part: "Part | DataFrame") -> Part:
    """The columns of a part as arrays."""
    return part if isinstance(part, dict) else {str(name): values.to_numpy() for name, values in part.items()}


def sum_parts(parts: Sequence[Part], keys: list[str], names: Sequence[str]) -> Part:
    """The sum of the parts: rows with equal keys are added up and sorted by the keys, missing keys last. Groups with n = 0 are left out."""
    if not parts:
        return {name: np.zeros(0) for name in (*keys, *names)}
    whole = parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in (*keys, *names)}
    order, firsts = key_groups([_ranks(whole[key]) for key in keys], whole["n"].size)
    found = {key: whole[key][order[firsts]] for key in keys} | group_sums({name: whole[name][order] for name in names}, firsts)
    held = found["n"] != 0
    return found if held.all() else {name: values[held] for name, values in found.items()}


def key_groups(keys: Sequence[Integers], size: int) -> tuple[Integers, Integers]:
    """The order of rows by their keys, and the start of each group of equal keys in it. size: number of rows."""
    order = key_order(keys, size)
    changed = np.ones(size, bool) if keys else np.arange(size) == 0
    if keys and size:
        changed[1:] = False
        for key in keys:
            values = key[order]
            changed[1:] |= values[1:] != values[:-1]
    return order, np.flatnonzero(changed)


def group_sums(figures: Part, firsts: Integers) -> Part:
    """Figures added up within each group. firsts: the start of each group; rows are sorted by group."""
    if firsts.size == figures["n"].size:
        return figures
    return {name: REDUCE.get(name, np.add).reduceat(values, firsts) for name, values in figures.items()}


REDUCE: dict[str, np.ufunc] = {"low": np.fmin, "high": np.fmax}
"""How figures other than sums are combined; NaN is an unknown extreme."""


SCATTERED = 4
"""Maximum number of possible keys for each row, up to which rows are placed by their keys. It bounds the memory."""


def key_order(keys: Sequence[Integers], size: int) -> Integers:
    """The order of rows by their keys, the first key first; stable. size: number of rows."""
    code, room = np.zeros(size, np.int64), max(size, 1)
    for key in reversed(keys) if size else ():
        low, high = int(key.min()), int(key.max())
        if room * (high - low + 1) >= 2**62:
            return np.lexsort(list(keys)[::-1])
        code, room = code + (key.astype(np.int64) - low) * room, room * (high - low + 1)
    places = np.arange(size, dtype=np.int64)
    if (code[1:] >= code[:-1]).all():
        return places
    if room <= SCATTERED * size**2:  # few combinations of keys for each row: placing the rows is faster than sorting them
        held = np.full(room // size, -1)
        held[code // size] = places
        if (order := held[held >= 0]).size == size:  # no two rows have equal keys
            return order
    return np.sort(code + places) % size


def _ranks(values: Array) -> Integers:
    """Numbers that sort like the values: integers stay as they are; texts become ranks, missing ones last."""
    return values if values.dtype.kind in "iu" else _ranked_texts(values).numbers


def _ranked_texts(values: Array) -> KeyColumn:
    """Texts as numbers in their order, a missing one (None) last."""
    import pandas as pd

    places, found = pd.factorize(values)
    order = np.array(sorted(range(len(found)), key=lambda place: str(found[place])), np.int64)
    rank = np.empty(len(found) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(found)), len(found)
    return KeyColumn(rank[places], [*(found[place] for place in order.tolist()), None])


def level_names(names: Mapping[int, str | None], numbers: Integers) -> Array:
    """The text of each number, as objects."""
    known = np.array(sorted(names), np.int64)
    return np.array([names[number] for number in known.tolist()], object)[np.searchsorted(known, numbers)]


def without_mask(values: Any) -> Array:
    """A column without a mask: NaN for a missing number, None for a missing text."""
    if not np.ma.is_masked(values):
        return np.asarray(np.ma.getdata(values))
    if values.dtype.kind == "f":
        return np.asarray(np.ma.filled(values, np.nan))
    found = np.ma.getdata(values).astype(object)
    found[np.ma.getmaskarray(values)] = None
    return found
