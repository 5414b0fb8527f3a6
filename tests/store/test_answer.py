"""Adding up the parts of an answer agrees with pandas; also tests of values cached in a snapshot."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from observability.store.query.answer import key_order, sum_parts
from observability.store.query.source import snapshot_cursor, snapshot_value

FIGURES = ("n", "w", "total", "low", "high")


def part(seed: int, size: int, *, wide: bool) -> dict[str, np.ndarray]:
    """Rows with a text that may be missing, a number, and figures. wide: whether the numbers are too far apart for one combined key."""
    rng = np.random.default_rng(seed)
    texts = np.array(["b", "a", None, "ä", "A"], object)[rng.integers(0, 5, size)]
    numbers = rng.integers(-3, 3, size) * (2**60 if wide else 1)
    n = rng.integers(-1, 3, size)
    low = np.where(rng.random(size) < 0.2, np.nan, rng.normal(size=size))
    return {"k0": texts, "k1": numbers, "k2": -numbers, "n": n, "w": n * 0.5, "total": rng.normal(size=size), "low": low, "high": low + 1}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("keys", [["k0", "k1", "k2"], ["k1", "k0"], []])
@pytest.mark.parametrize("sizes", [(200,), (150, 90, 3)])
def test_parts_are_added_up_as_pandas_does(sizes: tuple[int, ...], keys: list[str], wide: bool) -> None:
    parts = [part(seed, size, wide=wide) for seed, size in enumerate(sizes)]
    frame = pd.concat([pd.DataFrame(each).astype({"k0": object}) for each in parts], ignore_index=True)
    if len(parts) == 1:
        frame = frame.drop_duplicates(keys) if keys else frame.head(1)
        parts = [{name: frame[name].to_numpy() for name in frame}]
    how = {"n": "sum", "w": "sum", "total": "sum", "low": "min", "high": "max"}
    wanted = frame.groupby(keys, dropna=False).agg(how).reset_index() if keys else frame.agg(how).to_frame().T
    wanted = wanted[wanted["n"] != 0]
    wanted = wanted.sort_values(keys, na_position="last", kind="stable") if keys else wanted
    found = pd.DataFrame(sum_parts(parts, keys, FIGURES))
    for name in (*keys, *FIGURES):
        theirs = wanted[name].to_numpy()
        if name == "k0":
            assert [each if isinstance(each, str) else None for each in found[name]] == [
                each if isinstance(each, str) else None for each in theirs
            ]
        else:
            np.testing.assert_allclose(found[name].to_numpy(float), theirs.astype(float), rtol=1e-12, atol=1e-12)


def test_without_parts_or_rows_the_sum_is_empty() -> None:
    assert sum_parts([], ["k0"], ("n",))["k0"].size == 0
    assert key_order([np.zeros(0, np.int64)], 0).size == 0 and key_order([], 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("spread", [1, 1000])
def test_rows_are_ordered_alike_by_placing_and_by_sorting(repeated: bool, spread: int) -> None:
    rng = np.random.default_rng(4)
    pairs = rng.permutation(np.array([(item, spread * place) for item in range(40) for place in range(-2, 9)]))
    pairs = np.concatenate([pairs, pairs[:50]]) if repeated else pairs
    order = key_order([pairs[:, 0], pairs[:, 1].astype(np.int16)], len(pairs))
    assert order.tolist() == np.lexsort([pairs[:, 1], pairs[:, 0]]).tolist()


def test_a_snapshot_keeps_its_values_until_a_question_fails(store) -> None:
    asked = []

    def read() -> int:
        asked.append(1)
        return len(asked)

    with snapshot_cursor(store):
        assert [snapshot_value(store, "what", read), snapshot_value(store, "what", read), snapshot_value(store, "other", read)] == [1, 1, 2]
        with pytest.raises(duckdb.Error), snapshot_cursor(store) as cursor:
            cursor.execute("SELECT * FROM there_is_no_such_table")
        assert snapshot_value(store, "what", read) == 3, "outside the snapshot, the value may be from a newer state"
    with snapshot_cursor(store):
        assert snapshot_value(store, "what", read) == 4
