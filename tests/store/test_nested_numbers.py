"""Statistics of batches that the database keeps as numbers equal those in the parsed objects, even if the objects contain other values, in
a store of an earlier version, and after an erasure.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.named_numbers import named_numbers, stacked_numbers
from observability.core.questions import Records
from observability.core.window import Window
from observability.store.db.database import Database
from observability.store.db.erasures import MARK
from observability.store.db.kept_numbers import kept_columns
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults

START = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Window("", START, START + timedelta(days=1))
QUESTION = Records("batch", ("batch", "stats"), numbers=("mean", "std", "null_share", "stuck_share"))
SUBJECT = "jane-77.Q@mail"
STATS = [
    {"b": {"mean": 2.5, "std": 0}, "a": {"mean": -1e3, "null_share": 0.25, "note": None}},
    {"a": {"mean": 3}, "b": {}, "c, d]": {"std": 1.5}},
    {"a": {"mean": "3.5"}, "b": {"mean": True, "std": 2.0}},
    {"a": 4.0, "b": {"mean": 1.0}},
    {"a": None, "b": [1.0], 'é"': {"mean": 7.0}},
    {"a": {"mean": "NaN"}},
    None,
    {},
    {SUBJECT: {"mean": 1.0}, "a": {"std": 2.0}},
]
PLAIN = ["b0", "b7", "b8"]
"""Batches whose statistics are objects that contain only numbers."""


def check_numbers(store: Database, logged: Sequence[Any]) -> pd.DataFrame:
    """Check that the numbers returned by the store equal those in the logged objects; returns the store's numbers."""
    read = store.ask(QUESTION, WINDOW)
    assert read["batch"].tolist() == [f"b{hour}" for hour in range(len(logged))]
    for found, own in zip(read["stats"], logged, strict=True):
        expected = named_numbers(own, QUESTION.numbers)
        assert found.names == expected.names and found.numbers.keys() == expected.numbers.keys()
        for name, values in found.numbers.items():
            np.testing.assert_array_equal(values, expected.numbers[name])
    return read


def kept_batches(store: Database) -> list[str]:
    """The names of the batches whose statistics are kept as numbers."""
    with store.cursor() as cursor:
        return [name for (name,) in cursor.execute('SELECT batch FROM batches WHERE "stats.names" IS NOT NULL ORDER BY "at"').fetchall()]


def test_the_stored_statistics_of_batches_equal_those_in_their_objects(tmp_path: Path) -> None:
    lines = [
        {"kind": "batch", "batch": f"b{hour}", "at": (START + timedelta(hours=hour)).isoformat(), "source": "s", "rows": 10}
        | ({} if own is None else {"stats": own})
        for hour, own in enumerate(STATS)
    ]
    path, home = tmp_path / "batches.jsonl", tmp_path / "home"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with open_store(home) as store:
        assert store.load_files([path], LoadDefaults()).stored == len(STATS)
        read, parsed = check_numbers(store, STATS), store.ask(replace(QUESTION, numbers=()), WINDOW)
        nothing = store.ask(QUESTION, replace(WINDOW, start=START - timedelta(days=1), end=START))
        assert kept_batches(store) == PLAIN
        with store.write() as writer:
            for column in kept_columns("batch"):
                writer.execute(f'ALTER TABLE batches DROP COLUMN "{column}"')
    assert nothing.empty and nothing.columns.tolist() == ["batch", "stats"]
    assert parsed["stats"].tolist() == STATS and [each.names for each in read["stats"][:2]] == [("a", "b"), ("a", "b", "c, d]")]
    stacked = stacked_numbers(list(read["stats"]), ("b", "a"), ("std", "mean"))
    np.testing.assert_array_equal(stacked[:4], [[0.0, -1000.0], [np.nan, 3.0], [2.0, np.nan], [1.0, np.nan]])

    with open_store(home) as store:
        check_numbers(store, STATS)
        assert kept_batches(store) == PLAIN
        store.forget(SUBJECT)
        check_numbers(store, [{MARK if name == SUBJECT else name: own for name, own in (each or {}).items()} for each in STATS])
        assert kept_batches(store) == PLAIN[:-1]
