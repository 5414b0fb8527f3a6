"""Sizes, lossy forms and small groups agree with other libraries and with counts by hand."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from observability.metrics.storage_forms import (
    codec_costs,
    groups_by_size,
    lossy_forms,
    prediction_change,
    quantised,
    rounded_digits,
    small_groups,
)


def test_the_bytes_of_a_column_are_those_of_a_file_that_holds_only_this_column(tmp_path: Path) -> None:
    """Independent check: each column is written as a file of its own. Its pages are the file without header, footer and the lengths of
    these.
    """
    rng = np.random.default_rng(3)
    table = pa.table({"zeros": np.zeros(20_000), "noise": rng.normal(size=20_000), "word": rng.choice(["a", "b"], 20_000)})
    costs = {cost.codec: cost for cost in codec_costs(table, repeats=1)}
    assert costs["none"].encode == costs["none"].decode == 1.0
    for codec, cost in costs.items():
        assert set(cost.columns) == {"zeros", "noise", "word"} and sum(cost.columns.values()) < cost.bytes
        for name in cost.columns:
            path = tmp_path / f"{name}.parquet"
            pq.write_table(table.select([name]), path, compression=codec)
            footer = int.from_bytes(path.read_bytes()[-8:-4], "little")
            assert cost.columns[name] == path.stat().st_size - footer - 12
    assert costs["zstd"].columns["zeros"] < 500 and costs["zstd"].columns["noise"] > 100_000, "the column of noise does not compress"


def test_lossy_forms_are_within_the_precision_that_their_format_promises() -> None:
    frame = pd.DataFrame({"x": [0.1, -123.456, 1e6, np.nan, 2.5], "n": [1.0, 2.0, 3.0, 4.0, 5.0], "word": list("abcde")})
    forms = {form.name: form for form in lossy_forms(frame)}
    assert set(forms) == {"float32", "float16", "3 digits", "256 levels"}
    for form in forms.values():
        assert set(form.errors) == {"x"}, "integers and texts are exact"
        assert form.frame["n"].equals(frame["n"]) and np.isnan(form.frame["x"].iloc[3])
    single = float(abs(Fraction(float(np.float32(1e6))) - Fraction(1e6)))
    assert single == 0 and forms["float32"].errors["x"] < 123.456 * 2**-24
    assert forms["float16"].lost == {"x": 1}, "a million is too large for float16"
    assert forms["3 digits"].frame["x"].iloc[1] == pytest.approx(-123.0)
    assert forms["256 levels"].errors["x"] <= (1e6 + 123.456) / 255 / 2 + 1e-9
    assert lossy_forms(frame[["n", "word"]]) == []


def test_rounding_and_quantising_give_the_expected_numbers() -> None:
    assert rounded_digits(np.array([0.0, 0.0012345, 98765.0, np.inf])).tolist() == pytest.approx([0.0, 0.00123, 98800.0, np.inf])
    assert quantised(np.array([0.0, 0.4, 1.0]), levels=3).tolist() == [0.0, 0.5, 1.0]
    assert quantised(np.array([7.0, 7.0])).tolist() == [7.0, 7.0] and np.isnan(quantised(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    ("task", "before", "after", "flips"),
    [
        ("binary", [0.4, 0.6, np.nan], [0.6, 0.7, 0.1], 1),
        ("multiclass", [[0.6, 0.4], [0.1, 0.9]], [[0.4, 0.6], [0.2, 0.8]], 1),
        ("regression", [10.0, 20.0], [10.2, 23.0], 1),
    ],
)
def test_a_flip_is_another_decision_or_a_number_that_moved_by_a_twentieth_of_the_spread(
    task: str, before: list, after: list, flips: int
) -> None:
    found = prediction_change(np.array(before), np.array(after), task)
    assert (found.flips, found.rows) == (flips, 2)
    assert found.largest == pytest.approx(3.0 if task == "regression" else 0.2)
    assert found.flip_rate is not None and found.flip_rate.low < 0.5 < found.flip_rate.high
    assert 0 < found.mean <= found.high <= found.largest


def test_flips_are_counted_by_level_of_the_rows_with_a_score_on_both_sides() -> None:
    before, region = np.full(80, 0.4), ["N"] * 40 + ["S"] * 40
    after = np.where(np.arange(80) >= 70, 0.6, before)
    after[79] = np.nan
    found = prediction_change(before, after, "binary", levels={"region": region})
    assert found.slices == [
        {"column": "region", "level": "N", "n": 40, "flips": 0},
        {"column": "region", "level": "S", "n": 39, "flips": 9},
    ]
    assert prediction_change(before, np.full(80, np.nan), "binary").flip_rate is None


def test_small_groups_are_those_that_are_counted_by_hand() -> None:
    rows = [("N", 30, "x")] * 6 + [("N", 40, "x")] * 3 + [("S", None, "y"), ("S", None, "z")] + [("S", 50, "y")]
    frame = pd.DataFrame(rows, columns=["region", "age", "ill"])
    found = small_groups(frame, ["region", "age"], "ill")
    assert (found.rows, found.groups, found.k, found.diversity) == (12, 4, 1, 1)
    assert found.below == {2: (1, 1), 5: (3, 6), 10: (4, 12)}
    assert groups_by_size(found.below) == "1 group (1 row) below 2, 3 groups (6 rows) below 5, 4 groups (12 rows) below 10"
    assert small_groups(frame, ["region"]).k == 3 and small_groups(frame.iloc[:0], ["region"]).k == 0
    assert groups_by_size(small_groups(pd.DataFrame({"a": [1] * 20}), ["a"]).below) == "no group below 10 rows"
