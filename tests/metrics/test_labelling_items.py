"""Every row becomes an item, a duplicate or a rejected row, and the table of settled labels equals a count by hand."""

import datetime as dt

import pandas as pd

from observability.metrics.crowd_quality import crowd_of
from observability.metrics.labelling_items import (
    CONFLICT,
    MAX_CHARACTERS,
    NO_CONTENT,
    NO_NAME,
    TOO_LARGE,
    items_of_rows,
    plain_value,
    settled_labels_table,
)


def test_every_row_is_an_item_a_duplicate_or_refused() -> None:
    rows = [
        {"id": 1, "text": "one"},
        {"id": None, "text": "two"},
        {"id": 3, "text": ""},
        {"id": 1, "text": "another"},
        {"id": 1, "text": "one"},
        {"id": 4, "text": "x" * (MAX_CHARACTERS + 1)},
        {"id": "n" * 201, "text": "five"},
        {"id": 6.0, "text": "six"},
    ]
    found = items_of_rows(rows, "id", ["text"])
    assert found.contents == {"1": {"text": "one"}, "6": {"text": "six"}} and found.duplicates == 1
    assert [(each.row, each.reason) for each in found.refused] == [
        (2, NO_NAME), (3, NO_CONTENT), (4, CONFLICT), (6, TOO_LARGE), (7, TOO_LARGE),
    ]  # fmt: skip
    assert len(rows) == len(found.contents) + found.duplicates + len(found.refused)


def test_a_row_without_a_name_is_the_same_item_in_every_file() -> None:
    first = items_of_rows([{"a": 1, "b": "x"}, {"a": 2, "b": "x"}], None, ["a", "b"])
    again = items_of_rows([{"b": "x", "a": 2.0}, {"b": "x", "a": 1}], None, ["b", "a"])
    assert len(first.contents) == 2 and first.contents.keys() == again.contents.keys() and not first.refused


def test_cells_are_plain_values() -> None:
    day = dt.date(2026, 5, 4)
    given = [3.0, 2.5, float("nan"), True, day, ["a", 1], b"text", None]
    assert [plain_value(value) for value in given] == [3, 2.5, None, True, "2026-05-04", '["a", 1]', "text", None]


def test_a_label_is_settled_if_two_annotators_agree() -> None:
    votes = {"a": "ppq", "b": "pq", "c": "qq", "d": "p", "e": "pp"}
    rows = [(item, f"ann-{place}", label) for item, labels in votes.items() for place, label in enumerate(labels)]
    crowd = crowd_of(pd.DataFrame(rows, columns=["item", "annotator", "label"]), ("p", "q"))
    contents = {"a": {"text": "first", "label": "old"}, "b": {"text": "open"}}
    table = settled_labels_table(crowd, contents, {"e"})
    assert table.columns.tolist() == ["item", "label", "labels", "agree", "text", "content.label"]
    assert table.astype(object).where(table.notna(), None).to_numpy().tolist() == [
        ["a", "p", 3, 2, "first", "old"],
        ["c", "q", 2, 2, None, None],
    ]
    assert settled_labels_table(None, {}).empty
