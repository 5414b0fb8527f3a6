"""The Evidently report is genuine, states its sample size and runs no script from logs; if it fails, the error says what to do."""

import json
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from observability.core.catalog import Column, Model, Version
from observability.core.errors import UsageError
from observability.core.window import Window
from observability.export.evidently import (
    DECISION,
    LABEL,
    MAX_LEVELS,
    MIN_ROWS,
    OTHER,
    SCORE,
    evidently_export,
    evidently_file_name,
    inert_name,
    report_columns,
    sample_sentence,
    shown_levels,
    task_of,
    under_report_names,
    usable_columns,
    with_heading,
)
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from observability.worker.limits import WorkerError
from observability.worker.process import Worker
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
EVIL = "</script><script>window.hacked=1</script>"
EVIL_LEVEL = "</script><img src=x onerror=window.hacked=1>"
N, SAMPLED = 900, 400


def rows_of(random: np.random.Generator, n: int, shift: float) -> pd.DataFrame:
    """Features with hostile names and values, a score and a label."""
    frame = pd.DataFrame(
        {"size": random.normal(shift, 1, n), EVIL: random.normal(0, 1, n), "colour": random.choice([EVIL_LEVEL, "red", "blue"], n)}
    )
    frame.loc[random.random(n) < 0.1, "size"] = np.nan
    frame["score"] = np.round(1 / (1 + np.exp(-frame[EVIL])), 6)
    frame["label"] = (random.random(n) < frame["score"]).astype(int)
    return frame


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A model with a reference and one day of logs, two thirds of which are labelled."""
    random, folder = np.random.default_rng(4), tmp_path_factory.mktemp("evidently")
    opened = new_store(folder / "home")
    reference = folder / "reference.parquet"
    rows_of(random, 700, 0.0).to_parquet(reference)
    opened.register(RegistrationRequest(model="loan <b>", version="1", task="binary", reference=reference, label="label", score=("score",)))
    records = []
    for i, each in enumerate(rows_of(random, N, 0.7).to_dict("records")):
        at = (START + timedelta(days=1) * i / N).isoformat()
        features = {name: None if each[name] != each[name] else each[name] for name in ("size", EVIL, "colour")}
        record = {
            "kind": "prediction",
            "id": f"p{i}",
            "model": "loan <b>",
            "version": "1",
            "at": at,
            "features": features,
            "score": each["score"],
        }
        records.append(record | ({"label": each["label"]} if i % 3 else {}))
    log = folder / "log.jsonl"
    log.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    assert opened.load_files([log], LoadDefaults()).rejected == 0
    yield opened
    opened.close()


WINDOW = Window("loan <b>", START, START + timedelta(days=1), version="1")


def test_the_evidently_report_is_made_in_the_worker_and_its_snapshot_loads(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.core.questions import Sample

    worker, steps = Worker(), []
    try:
        made = evidently_export(
            store, worker, WINDOW, WINDOW.reference(), rows=SAMPLED, progress=lambda share, words: steps.append((share, words))
        )
    finally:
        worker.close()
    assert made.rows == (SAMPLED, SAMPLED) and made.of_rows == (N, 700) and made.left_out == ()
    assert [share for share, _ in steps] == sorted(share for share, _ in steps) and steps[-1][0] == 1.0 and len(steps) >= 4
    assert made.name.endswith("-20260302-20260303-400-current-400-reference-rows") and re.fullmatch(r"[A-Za-z0-9._-]+", made.name)

    page = made.html.decode()
    assert "400 of 900 predictions of the current window and 400 of 700 predictions of the reference side" in page
    assert "\\u2039script\\u203awindow.hacked=1" in page and "\\u2039img src=x" in page, "the names are shown, but not as tags"
    assert "<script>window.hacked" not in page and "<img src=x" not in page
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']https?:", page)

    monkeypatch.setenv("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():  # warnings of the library itself, on import and on loading
        warnings.simplefilter("ignore")
        from evidently.core.report import Snapshot

        snapshot = Snapshot.loads(made.snapshot.decode())
    assert snapshot._metadata["rows_current"] == "400" and snapshot._metadata["of_rows_current"] == "900"
    values = {each["metric_name"]: each["value"] for each in snapshot.dict()["metrics"]}
    assert next(value for name, value in values.items() if name.startswith("RowCount")) == SAMPLED
    sample = store.ask(Sample("outcomes", ("score", "label", "feature.size"), SAMPLED), WINDOW)
    known = sample[sample["label"] >= 0]
    accuracy = next(value for name, value in values.items() if name.startswith("Accuracy("))
    assert accuracy == pytest.approx(metrics.accuracy_score(known["label"], known["score"] >= 0.5))
    missing = next(value for name, value in values.items() if name.startswith("MissingValueCount") and "column=size" in name)
    assert missing["count"] == sample["feature.size"].isna().sum() and missing["share"] == pytest.approx(
        sample["feature.size"].isna().mean()
    )


def test_too_few_rows_are_refused_before_the_worker_is_asked(store: Database) -> None:
    short = Window("loan <b>", START, START + timedelta(minutes=20), version="1")
    with pytest.raises(UsageError, match=f"too few rows for a report .in this window.; got 13 predictions; expected at least {MIN_ROWS}"):
        evidently_export(store, Broken(), short, short.reference())


class Broken:
    """A worker that fails."""

    def call(self, *_: object, **__: object) -> None:
        raise WorkerError(
            "the job took too long and was ended", reason="time", expected="at most 180 seconds", attempt="Ask for fewer rows"
        )


def test_a_failed_worker_states_what_to_try(store: Database) -> None:
    with pytest.raises(WorkerError, match=r"took too long.*Ask for fewer rows"):
        evidently_export(store, Broken(), WINDOW, WINDOW.reference())


@pytest.mark.parametrize("text", [EVIL, EVIL_LEVEL, "a\nb\x00", "\"'`\\{}", "&lt;b&gt;", "x" * 500, "", "\u202e"])
def test_report_names_are_stripped_of_markup(text: str) -> None:
    found = inert_name(text)
    assert found and len(found) <= 80 and found.isprintable() and not set(found) & set("<>&\"'`\\{}\n")


def model_of(*names: str, kind: str = "number", task: str = "binary") -> Model:
    """A model with these features."""
    columns = tuple(Column(i + 1, name, f"f{i + 1}", kind) for i, name in enumerate(names))
    return Model(1, "loan", task, () if task == "regression" else ("no", "<yes>"), columns, (Version("1", features=names),))


def test_names_that_become_equal_are_numbered_and_reserved_names_are_kept() -> None:
    found = report_columns(model_of("a<", "a‹", SCORE, LABEL), [])
    assert list(found.references) == ["a‹", "a‹ (2)", f"{SCORE} (2)", f"{LABEL} (2)", SCORE, DECISION, LABEL]
    assert found.references[f"{SCORE} (2)"] == f"feature.{SCORE}" and found.references[SCORE] == "score"
    assert report_columns(model_of("a", task="regression"), []).numbers == ("a", SCORE, LABEL)
    assert next(iter(report_columns(model_of("a", "b"), [Version("1", features=("b",))]).references)) == "b"


def test_samples_are_converted_to_types_that_evidently_accepts() -> None:
    model = model_of("c", kind="boolean")
    columns = report_columns(model, [])
    frame = pd.DataFrame({"feature.c": [True, None, False], "score": [0.5, np.inf, np.nan], "decision": [1, 0, -1], "label": [-1, 1, 0]})
    found = under_report_names(model, frame.astype({"feature.c": object}), columns)
    assert list(found["c"])[::2] == ["true", "false"] and found["c"].isna().tolist() == [False, True, False]
    assert found[SCORE].isna().tolist() == [False, True, True]
    assert found[DECISION].tolist()[:2] == ["‹yes›", "no"] and found[LABEL].isna().tolist() == [True, False, False]


def test_levels_with_few_rows_on_one_side_are_not_shown_in_a_report() -> None:
    counts = pd.DataFrame({"current": [400, 30, 9, 0, 12], "reference": [500, 40, 300, 4, 0]}, index=["a", "b", "c", "d", "e"])
    assert shown_levels(counts) == ["a", "b"], (
        "c and d have few rows on one side; e is merged with them, because together they have only nine"
    )
    assert shown_levels(counts.drop(["c", "d"])) == ["a", "b", "e"], "a new level is shown"
    assert shown_levels(pd.DataFrame({"current": [5, 3], "reference": [0, 0]}, index=["a", "b"])) == []


def test_columns_without_values_are_omitted_and_rare_levels_merged() -> None:
    model = model_of("many", "empty", kind="category")
    columns = report_columns(model, [])
    many = [f"level {i:03}" for i in range(80) for _ in range(20)]
    base = {"many": many, "empty": [None] * 1600, SCORE: np.linspace(0, 1, 1600), DECISION: ["no"] * 1600, LABEL: [None] * 1600}
    sides = {"current": pd.DataFrame(base), "reference": pd.DataFrame({**base, "empty": ["x"] * 1600})}
    frames, left_out = usable_columns(sides, columns)
    assert left_out == ["empty (no value in the window)", f"{LABEL} (no value on either side)"]
    assert frames["current"]["many"].nunique() == MAX_LEVELS + 1 and (frames["current"]["many"] == OTHER).sum() == 600
    assert task_of(model, frames) is None
    with pytest.raises(UsageError, match="no column has values on both sides"):
        usable_columns({side: frame[["empty"]].assign(**dict.fromkeys(base)) for side, frame in sides.items()}, columns)


def test_a_quality_preset_needs_both_classes_and_enough_labels() -> None:
    model = model_of("a")
    good = pd.DataFrame({"a": 1.0, SCORE: 0.5, DECISION: ["no"] * 40, LABEL: ["no", "‹yes›"] * 20})
    assert task_of(model, {"current": good, "reference": good}) == "binary"
    assert task_of(model, {"current": good, "reference": good.head(20)}) is None
    assert task_of(model, {"current": good.assign(**{LABEL: "no"}), "reference": good}) is None


def test_the_sample_size_is_stated_in_the_file_name_and_heading() -> None:
    assert sample_sentence((5000, 300), (9000, 300), []).startswith(
        "Based on 5,000 of 9,000 predictions of the current window and all 300 predictions"
    )
    assert "Left out: a (no value in the window)." in sample_sentence((1, 1), (1, 1), ["a (no value in the window)"])
    assert evidently_file_name(Model(1, "loan"), WINDOW, (50, 60)) == "evidently-loan-20260302-20260303-50-current-60-reference-rows"
    odd = [evidently_file_name(Model(1, name), WINDOW, (1, 1)) for name in ("../../etc", "a/b", "a b", "héllo")]
    assert len(set(odd)) == 4 and all(Path(each).name == each for each in odd)
    page = with_heading("<html><head></head><body><p>x</p></body></html>", "a \\1 & b", "1 < 2")
    assert (
        page == page.replace("<script", "")
        and "a \\1 &amp; b" in page
        and "1 &lt; 2" in page
        and page.index("1 &lt;") < page.index("<p>x</p>")
    )
