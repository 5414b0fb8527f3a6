"""Triage ranks the right source first in real cases, whose source was determined beforehand from other evidence
(tests/support/triage_key.py).
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.core.window import Window
from observability.investigation import queues
from observability.investigation.case import open_case
from observability.investigation.source_triage import UNKNOWN
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.worker.process import Worker
from tests.support import case_choices, triage_key
from tests.support.length import LONG, allowed, repeats

FILE = Path(__file__).parent / "triage_key.json"


@pytest.fixture(scope="module")
def fleet(stored_fleet: Path) -> Iterator[Database]:
    """The sample fleet."""
    store = open_store(stored_fleet, threads=2)
    yield store
    store.close()


@pytest.mark.long
def test_the_key_follows_from_the_raw_files() -> None:
    written = json.loads(FILE.read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(triage_key.key()))
    assert Counter(each["group"] for each in written) == triage_key.GROUPS
    assert len({each["id"] for each in written}) == len(written) == 40
    assert not {each["id"] for each in written} & triage_key.SEEN
    assert all(each["evidence"] for each in written)


def test_nine_in_ten_first_sources_are_right_or_an_honest_cannot_tell(fleet: Database, model_worker: Worker) -> None:
    """Decision 0044 has the figures of the first run, made before anything was changed because of them."""
    found: dict[str, list[str]] = {"right": [], "cannot tell": [], "wrong": []}
    cases = json.loads(FILE.read_text(encoding="utf-8"))[:: 1 if LONG else 5]
    for each in cases:
        case = open_case(fleet, each["id"], model=each["model"], worker=model_worker)
        ranked = case.part("triage")
        assert ranked is not None, case.why
        assert all(0 <= one.score <= 1 and one.because.endswith((".", "!")) for one in ranked)
        first = ranked[0].source
        said = "cannot tell" if first == "unknown" else "right" if first in each["right"] else "wrong"
        found[said].append(f"{each['group']} {each['id']}: {first}")
    print({name: len(held) for name, held in found.items()})
    assert len(found["wrong"]) <= allowed(0.1, len(cases)), found["wrong"]
    assert len(found["right"]) >= len(cases) // 2, found["cannot tell"]


@pytest.mark.long  # test_a_measured_outcome_is_unlikely_rather_than_suspect
def test_ordinary_errors_are_hardly_ever_blamed_on_their_labels(fleet: Database) -> None:
    """A calibrated model gives some confident wrong answers. Nobody reviewed these labels, so confidence alone does not make a label
    suspect.
    """
    fixed = {each["id"] for each in json.loads(FILE.read_text(encoding="utf-8"))}
    frame = case_choices.outcomes("employment")
    some = case_choices.in_order(frame[frame["wrong"] & ~frame["id"].isin(fixed)])["id"].head(repeats(5, 12))
    first = Counter(open_case(fleet, own, model="employment").part("triage")[0].source for own in some)
    assert first["label"] <= 1, first


def test_suspect_labels_of_the_last_week_equal_those_of_cleanlab_and_are_called_measured(fleet: Database) -> None:
    from cleanlab.filter import find_label_issues

    frame = case_choices.outcomes("flights-late")
    end = datetime(2014, 1, 1, 5, tzinfo=UTC)
    at = pd.to_datetime(frame["at"], utc=True)
    frame = frame[(at >= end - timedelta(days=7)) & (at < end) & frame["score"].notna()]
    chances, given = np.stack([1 - frame["score"], frame["score"]], axis=1), frame["label"].astype(int).to_numpy()
    issues = frame["id"].to_numpy()[find_label_issues(given, chances, filter_by="confident_learning", n_jobs=1)]
    found = queues.suspect_labels(fleet, Window("flights-late", end - timedelta(days=7), end), 10_000)
    assert len(issues) > 50
    assert set(found.frame["id"]) == set(issues)
    assert found.because.startswith(f"{len(issues)} of {len(frame):,} labels")
    assert "Those listed were measured" in found.because
    assert all(each.endswith("it was measured") for each in found.frame["because"])
    check = open_case(fleet, "20131231-EWR-EV4495", model="flights-late").part("label_check")
    assert check.instead is None
    assert not check.suspect


def test_a_measured_outcome_is_unlikely_rather_than_suspect(fleet: Database) -> None:
    frame = case_choices.outcomes("flights-late")
    frame = frame[frame["wrong"] & (frame["label"].astype(float) == 0)].nlargest(3, "score")
    assert len(frame) == 3
    for own in frame["id"]:
        case = open_case(fleet, own, model="flights-late")
        check = case.part("label_check")
        assert check.instead == "1"
        assert check.measured
        assert "so the label is suspect" not in check.because
        assert all(each.score <= UNKNOWN for each in case.part("triage") if each.source == "label")
