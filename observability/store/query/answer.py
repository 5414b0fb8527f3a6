"""What does the answer to an aggregate look like, and how are the parts of an answer added up?

Parts come with keys as the store has them (`k0`, `k1`, …: hours since 1970, stream numbers, codes, texts), the place of the histogrammed or
summed reference (`item`), and figures. Added up, they get the names and types that aggregate.py promises; rows are in order of the keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.questions import Aggregate, Bucket

if TYPE_CHECKING:
    from pandas import DataFrame

Part = dict[str, NDArray[Any]]
"""The columns of a part by name."""
Integers = NDArray[np.int64]
COUNTS = ("n", "w", "w2")
SUMS = ("n", "w", "w2", "total", "squares", "low", "high")
CODES = ("decision", "label", "score_bin")


def key_columns(aggregate: Aggregate) -> list[str]:
    """Names of a part's key columns."""
    names = [f"k{place}" for place in range(len(aggregate.keys))]
    return names + (["item", "bin"] if aggregate.histogram else ["item"] if aggregate.sums else [])


def figures(aggregate: Aggregate) -> tuple[str, ...]:
    """Names of the figures."""
    return SUMS if aggregate.sums else COUNTS


@dataclass(frozen=True)
class Keyed:
    """One key of an answer as numbers: their order is that of the rows. names: what stands for each number, None where the numbers are the values."""

    numbers: Integers
    names: list[Any] | None = None


@dataclass(frozen=True)
class Cells:
    """An answer before it is a table: its keys by name, in the order of the table's columns, and its figures."""

    keys: dict[str, Keyed]
    figures: Part

    def table(self) -> "DataFrame":
        """The answer with the names and types that aggregate.py promises."""
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


def assemble(aggregate: Aggregate, parts: Sequence["Part | DataFrame"], versions: Mapping[int, str]) -> Cells:
    """The whole answer from its parts. versions: name by stream."""
    joined = added_up([each for each in map(arrays_of, parts) if each["n"].size], key_columns(aggregate), figures(aggregate))
    keys: dict[str, Keyed] = {}
    for place, key in enumerate(aggregate.keys):
        name, values = aggregate.key_names[place], joined[f"k{place}"]
        if isinstance(key, Bucket) or name in CODES:
            keys[name] = Keyed(values.astype(np.int64))
        elif name == "version":
            streams = np.unique(values)
            keys[name] = Keyed(np.searchsorted(streams, values), [versions.get(number) for number in streams.tolist()])
        else:
            keys[name] = ranked(values)
    items = aggregate.histogram or aggregate.sums
    if items:
        keys["column" if aggregate.histogram else "measure"] = Keyed(joined["item"].astype(np.int64), list(items))
    if aggregate.histogram:
        keys["bin"] = Keyed(joined["bin"].astype(np.int64))
    return Cells(keys, {name: joined[name] for name in figures(aggregate)})


def arrays_of(part: "Part | DataFrame") -> Part:
    """The columns of a part as arrays."""
    return part if isinstance(part, dict) else {str(name): values.to_numpy() for name, values in part.items()}


def added_up(parts: Sequence[Part], keys: list[str], names: Sequence[str]) -> Part:
    """Rows of equal keys added up (several parts may have them), in order of the keys, missing ones last; those of no rows left out."""
    if not parts:
        return {name: np.zeros(0) for name in (*keys, *names)}
    whole = parts[0] if len(parts) == 1 else {name: np.concatenate([each[name] for each in parts]) for name in (*keys, *names)}
    order, firsts = groups_of([ranks(whole[key]) for key in keys], whole["n"].size)
    found = {key: whole[key][order[firsts]] for key in keys} | sums_of({name: whole[name][order] for name in names}, firsts)
    held = found["n"] != 0
    return found if held.all() else {name: values[held] for name, values in found.items()}


def groups_of(keys: Sequence[Integers], size: int) -> tuple[Integers, Integers]:
    """The order of rows by their keys, and where in it each group of equal keys begins. size: number of rows."""
    order = order_of(keys, size)
    changed = np.ones(size, bool) if keys else np.arange(size) == 0
    if keys and size:
        changed[1:] = False
        for key in keys:
            values = key[order]
            changed[1:] |= values[1:] != values[:-1]
    return order, np.flatnonzero(changed)


def sums_of(figures: Part, firsts: Integers) -> Part:
    """Figures added up from each place to the next. Rows stand group by group."""
    if firsts.size == figures["n"].size:
        return figures
    return {name: REDUCE.get(name, np.add).reduceat(values, firsts) for name, values in figures.items()}


REDUCE: dict[str, np.ufunc] = {"low": np.fmin, "high": np.fmax}
"""How figures that are not sums are put together; NaN is an extreme that is not known."""


def order_of(keys: Sequence[Integers], size: int) -> Integers:
    """The order of rows by their keys, the first one first; rows of equal keys stay as they were. size: number of rows."""
    code, room = np.zeros(size, np.int64), max(size, 1)
    for key in reversed(keys) if size else ():
        low, high = int(key.min()), int(key.max())
        if room * (high - low + 1) >= 2**62:
            return np.lexsort(list(keys)[::-1])
        code, room = code + (key.astype(np.int64) - low) * room, room * (high - low + 1)
    places = np.arange(size, dtype=np.int64)
    return places if (code[1:] >= code[:-1]).all() else np.sort(code + places) % size


def ranks(values: NDArray[Any]) -> Integers:
    """Numbers in the order of the values: whole numbers are themselves; texts in their order, a missing one last."""
    return values if values.dtype.kind in "iu" else ranked(values).numbers


def ranked(values: NDArray[Any]) -> Keyed:
    """Texts as numbers in their order, a missing one (None) last."""
    import pandas as pd

    places, found = pd.factorize(values)
    order = np.array(sorted(range(len(found)), key=lambda place: str(found[place])), np.int64)
    rank = np.empty(len(found) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(found)), len(found)
    return Keyed(rank[places], [*(found[place] for place in order.tolist()), None])


def named(names: Mapping[int, str | None], numbers: Integers) -> NDArray[Any]:
    """The text that stands for each number, as objects."""
    known = np.array(sorted(names), np.int64)
    return np.array([names[number] for number in known.tolist()], object)[np.searchsorted(known, numbers)]


def filled(values: Any) -> NDArray[Any]:
    """A column without a mask: NaN for a missing number, None for a missing text."""
    if not np.ma.is_masked(values):
        return np.asarray(np.ma.getdata(values))
    if values.dtype.kind == "f":
        return np.asarray(np.ma.filled(values, np.nan))
    found = np.ma.getdata(values).astype(object)
    found[np.ma.getmaskarray(values)] = None
    return found


def texts(values: NDArray[Any]) -> NDArray[Any]:
    """A column of texts as objects, None where missing."""
    import pandas as pd

    found, missing = values.astype(object), pd.isna(values)
    if missing.any():
        found[missing] = None
    return found
