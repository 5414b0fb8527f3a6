"""Statistics of batches that the database reads as numbers are those of the parsed objects, whatever else the objects hold."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from observability.core.named_numbers import named_numbers, stacked_numbers
from observability.core.questions import Records
from observability.core.window import Window
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults

START = datetime(2026, 3, 2, tzinfo=UTC)
QUESTION = Records("batch", ("batch", "stats"), numbers=("mean", "std", "null_share", "stuck_share"))
STATS = [
    {"b": {"mean": 2.5, "std": 0}, "a": {"mean": -1e3, "null_share": 0.25, "note": None}},
    {"a": {"mean": 3}, "b": {}, "c, d]": {"std": 1.5}},
    {"a": {"mean": "3.5"}, "b": {"mean": True, "std": 2.0}},
    {"a": 4.0, "b": {"mean": 1.0}},
    {"a": None, "b": [1.0], 'é"': {"mean": 7.0}},
    {"a": {"mean": "NaN"}},
    {},
    None,
]


def test_numbers_of_batches_are_those_of_their_objects(tmp_path: Path) -> None:
    lines = [
        {"kind": "batch", "batch": f"b{hour}", "at": (START + timedelta(hours=hour)).isoformat(), "source": "s", "rows": 10}
        | ({} if own is None else {"stats": own})
        for hour, own in enumerate(STATS)
    ]
    path, window = tmp_path / "batches.jsonl", Window("", START, START + timedelta(days=1))
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with open_store(tmp_path / "home") as store:
        assert store.load_files([path], LoadDefaults()).stored == len(STATS)
        read, parsed = store.ask(QUESTION, window), store.ask(replace(QUESTION, numbers=()), window)
        nothing = store.ask(QUESTION, Window("", START - timedelta(days=1), START))
    assert nothing.empty and nothing.columns.tolist() == ["batch", "stats"]
    assert read["batch"].tolist() == [f"b{hour}" for hour in range(len(STATS))] and parsed["stats"].tolist() == STATS
    assert [each.names for each in read["stats"][:4]] == [("a", "b"), ("a", "b", "c, d]"), ("a", "b"), ("b",)]
    for found, logged in zip(read["stats"], STATS, strict=True):
        expected = named_numbers(logged, QUESTION.numbers)
        assert found.names == expected.names and found.numbers.keys() == expected.numbers.keys()
        for name, values in found.numbers.items():
            np.testing.assert_array_equal(values, expected.numbers[name])
    stacked = stacked_numbers(list(read["stats"]), ("b", "a"), ("std", "mean"))
    np.testing.assert_array_equal(stacked[:4], [[0.0, -1000.0], [np.nan, 3.0], [2.0, np.nan], [1.0, np.nan]])
