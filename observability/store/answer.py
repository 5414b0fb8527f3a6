"""What does the answer to an aggregate look like, and how are the parts of an answer added up?

Parts come with keys as the store has them (`k0`, `k1`, …: hours since 1970, stream numbers, codes, texts), the place of the histogrammed or
summed reference (`item`), and figures. Added up, they get the names and types that aggregate.py promises; rows are in order of the keys.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.aggregate import Aggregate, Bucket

if TYPE_CHECKING:
    from pandas import DataFrame, Series

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


def assemble(aggregate: Aggregate, parts: Sequence["DataFrame"], versions: Mapping[int, str]) -> "DataFrame":
    """The whole answer from its parts. versions: name by stream."""
    import pandas as pd

    keys, names = key_columns(aggregate), figures(aggregate)
    parts = [part for part in parts if len(part)]
    if parts:
        joined = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
        joined = added_up(joined, keys, names, several=len(parts) > 1)
        joined = joined[joined["n"] != 0]
    else:
        joined = pd.DataFrame({name: [] for name in (*keys, *names)})
    answer = {}
    for place, key in enumerate(aggregate.keys):
        name, values = aggregate.key_names[place], joined[f"k{place}"]
        if isinstance(key, Bucket):
            answer[name] = pd.Series(values.to_numpy(np.int64).astype("datetime64[h]").astype("datetime64[us]"))
        elif name in CODES:
            answer[name] = pd.Series(values.to_numpy(np.int64))
        else:
            answer[name] = texts([versions[int(stream)] for stream in values] if name == "version" else values)
    items = aggregate.histogram or aggregate.sums
    if items:
        chosen = np.array(items, object)[joined["item"].to_numpy(np.int64)]
        answer["column" if aggregate.histogram else "measure"] = pd.Series(chosen, dtype=object)
    if aggregate.histogram:
        answer["bin"] = pd.Series(joined["bin"].to_numpy(np.int64))
    for figure in names:
        answer[figure] = pd.Series(joined[figure].to_numpy(np.int64 if figure == "n" else np.float64))
    return pd.DataFrame(answer)


def added_up(frame: "DataFrame", keys: list[str], names: Sequence[str], *, several: bool) -> "DataFrame":
    """Rows of equal keys added up (several parts may have them), in order of the keys; missing ones last."""
    if not keys:
        return frame[list(names)].agg(how(names)).to_frame().T
    if several:
        frame = frame.groupby(keys, dropna=False, sort=False, as_index=False).agg(how(names))
    numbers = [frame[key].to_numpy() for key in keys]
    if all(values.dtype.kind in "iu" for values in numbers):
        return frame.take(np.lexsort(numbers[::-1]))
    return frame.sort_values(keys, kind="stable", na_position="last")


def how(names: Sequence[str]) -> dict[str, Any]:
    """How each figure is added."""
    return {name: name if name in ("min", "max") else {"low": "min", "high": "max"}.get(name, "sum") for name in names}


def texts(values: Any) -> "Series":
    """A column of texts, None where missing."""
    import pandas as pd

    column = pd.Series(list(values), dtype=object)
    return column.where(column.notna(), None)
