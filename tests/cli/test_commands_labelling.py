"""`items` loads rows to be labelled without a model, reports rejected rows, and writes the settled labels."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from observability.cli.commands_labelling import chosen_columns
from observability.cli.execute import execute
from observability.core.errors import UsageError
from observability.investigation.project_items import stored_items
from observability.store.engine import Store
from tests.support.length import some
from tests.support.new_store import new_store

AT = datetime(2026, 5, 4, tzinfo=UTC)
TEXTS = ["the first text to label", "the second text", "a third one that is longer", None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = new_store(tmp_path / "home", threads=1)
    yield found
    found.close()


def answer(store: Store, *argv: object, code: int = 0) -> dict:
    outcome = execute(store, ["items", *map(str, argv), "--json"], lambda _: None)
    assert outcome.exit_code == code, outcome.error
    return json.loads(outcome.out)


def written(folder: Path, ending: str) -> Path:
    """Four rows, the last without a text, in a file of the given format."""
    frame, path = pd.DataFrame({"id": ["a", "b", "c", "d"], "text": TEXTS, "stars": [1, 5, 3, 2]}), folder / f"rows{ending}"
    if ending == ".csv":
        frame.to_csv(path, index=False)
    elif ending == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("ending", some([".csv", ".jsonl", ".parquet"], 2))
def test_rows_are_stored_once_and_bad_rows_are_reported(store: Store, tmp_path: Path, ending: str) -> None:
    path = written(tmp_path, ending)
    argv = (path, "--project", "moods", "--id", "id", "--columns", "text", "--classes", "sad,glad", "--guideline", "v1")
    tried = answer(store, *argv, "--dry-run", code=1)
    assert tried["new"] == 3 and not stored_items(store, "moods")
    said = answer(store, *argv, code=1)
    assert (said["rows"], said["new"], said["refused"], said["reasons"]) == (4, 3, 1, {"no_content": 1})
    assert said["refused_rows"] == [{"row": 4, "reason": "no_content", "because": "text: empty"}]
    found = stored_items(store, "moods")
    assert {name: each.content for name, each in found.items()} == {name: {"text": text} for name, text in zip("abc", TEXTS[:3])}
    assert {tuple(each.classes or ()) for each in found.values()} == {("sad", "glad")} and found["a"].guideline == "v1"
    again = answer(store, *argv, code=1)
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, 3)
    wider = answer(store, path, "--project", "moods", "--id", "id")
    assert (wider["new"], wider["changed"]) == (1, 3), (
        "with the column of stars the fourth row is no longer empty, and the content of the others changed"
    )
    assert stored_items(store, "moods")["b"].content == {"text": TEXTS[1], "stars": 5}
    assert not stored_items(store, "elsewhere")


def test_warns_of_rows_that_do_not_fit_the_header_and_of_images_that_cannot_be_shown(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [f"p{number}.png,{number}" for number in range(40)]
    path.write_text("\n".join(["image,size", *lines, "odd,1,2"]) + "\n", encoding="utf-8")
    said = answer(store, path, "--project", "pictures", code=1)
    assert said["new"] == 40 and "1 rows have another number of values" in said["warnings"][0]
    assert said["warnings"][1].startswith("40 images are not in a folder whose images may be shown (for example p0.png)")
    outcome = execute(store, ["items", str(path), "--project", "pictures"], lambda _: None)
    assert "40 unchanged" in outcome.out and "Name them with --classes a,b." in outcome.out


def test_wrong_use_is_refused_with_one_sentence(store: Store, tmp_path: Path) -> None:
    path = written(tmp_path, ".csv")
    for argv in (
        ["--project", "p"],
        [str(path), "--project", "p", "--classes", "one"],
        ["--project", "p", "--out", str(tmp_path / "x.csv")],
    ):
        outcome = execute(store, ["items", *argv], lambda _: None)
        assert outcome.exit_code == 2 and outcome.error, argv
    with pytest.raises(UsageError, match="missing"):
        chosen_columns(["a", "b"], "missing", None, "rows.csv")
    with pytest.raises(UsageError, match="no column is left"):
        chosen_columns(["a"], "a", None, "rows.csv")


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_settled_labels_are_exported_to_a_file(store: Store, tmp_path: Path, ending: str) -> None:
    answer(store, written(tmp_path, ".csv"), "--project", "moods", "--id", "id", "--classes", "sad,glad")
    votes = [("a", "kim", "sad"), ("a", "lee", "sad"), ("b", "kim", "sad"), ("b", "lee", "glad"), ("c", "kim", "glad")]
    base = {"kind": "annotation", "project": "moods"}
    store.write_records(
        [
            base | {"item": item, "annotator": who, "label": label, "at": AT + timedelta(minutes=place)}
            for place, (item, who, label) in enumerate(votes)
        ]
    )
    out = tmp_path / f"labels{ending}"
    said = answer(store, "--project", "moods", "--out", out)
    table = pd.read_csv(out) if ending == ".csv" else pd.read_json(out, lines=True) if ending == ".jsonl" else pd.read_parquet(out)
    assert said["rows"] == 1 and table.to_dict("records") == [
        {"item": "a", "label": "sad", "labels": 2, "agree": 2, "text": TEXTS[0], "stars": 1}
    ]
