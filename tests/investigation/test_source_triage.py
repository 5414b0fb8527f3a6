"""Does triage put the right source first in real cases whose source something else shows, fixed beforehand (choosing.py)?"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.core.window import Window
from observability.investigation import comparison_rows, queues
from observability.investigation.case import open_case
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.conditions import condition_mask
from observability.investigation.source_triage import UNKNOWN
from observability.store.db.database import Database
from observability.store.opener import open_store
from tests.support import case_choices

FILE = Path(__file__).parent / "triage_cases.json"


@pytest.fixture(scope="module")
def fleet(stored_fleet: Path) -> Iterator[Database]:
    """The sample fleet."""
    store = open_store(stored_fleet, threads=2)
    yield store
    store.close()


def test_the_cases_and_their_evidence_follow_from_the_raw_files() -> None:
    written = json.loads(FILE.read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(case_choices.chosen()))
    held = written["held"]
    assert len(held) >= 20
    assert not {each["id"] for each in held} & {each["id"] for each in written["tuning"]}
    assert Counter(each["source"] for each in held) == case_choices.HELD
    for each in held:
        assert each["evidence"]
        assert each["source"] != "input" or each["lacking"] >= 10
        assert each["source"] != "label" or abs(abs(each["rating_mean"]) - 0.5) <= 0.15
        assert each["source"] != "weak_slice" or each["low"] > each["overall_high"]


def test_four_in_five_of_the_cases_held_back_have_their_source_first(fleet: Database) -> None:
    held = json.loads(FILE.read_text(encoding="utf-8"))["held"]
    missed: dict[str, list[object]] = {each["source"]: [] for each in held}
    beside = []
    for each in held:
        case = open_case(fleet, each["id"], model=each["model"])
        ranked = case.part("triage")
        assert ranked is not None, case.why
        assert all(0 <= one.score <= 1 and one.because.endswith((".", "!")) for one in ranked)
        if ranked[0].source != each["source"]:
            missed[each["source"]].append((each["id"], [(one.source, one.score) for one in ranked]))
        elif each["source"] == "weak_slice":
            inside, at_large = overlap(case, each["evidence"])
            beside += [] if inside > at_large else [(each["id"], case.part("rule").text, each["evidence"], inside, at_large)]
    counts = Counter(each["source"] for each in held)
    print({source: f"{counts[source] - len(each)} of {counts[source]}" for source, each in missed.items()})
    assert sum(map(len, missed.values())) <= 0.2 * len(held), missed
    assert all(len(each) <= counts[source] / 2 for source, each in missed.items()), missed
    assert len(beside) <= 0.25 * counts["weak_slice"], beside


def overlap(case: CaseInProgress, evidence: str) -> tuple[float, float]:
    """Which part of the rows that the rule covers lies in the slice of the evidence, and which part of all labelled rows does."""
    frame, rule = comparison_rows.labelled_rows_about(case), case.part("rule")
    _, column, level, low, high = next(each for each in case_choices.SLICES if evidence.startswith(named(each)))
    values = frame[f"feature.{column}"]
    inside = np.asarray(values == level if level is not None else (values >= low) & (values < high), bool)
    mask = np.logical_and.reduce([condition_mask(each, frame) for each in rule.conditions])
    return float(inside[mask].mean()), float(inside.mean())


def named(slice_: tuple) -> str:
    """The words of a slice, as choosing.slice_cases begins the evidence."""
    _, column, level, low, high = slice_
    return f"{column} is {level}" if level is not None else f"{column} from {low:g} to below {high:g}"


def test_an_ordinary_error_is_not_laid_to_its_label(fleet: Database) -> None:
    """Of a model that is right in what it expects, some confident answers are wrong; nobody judged these labels, so that alone doubts none."""
    fixed = {each["id"] for part in json.loads(FILE.read_text(encoding="utf-8")).values() for each in part}
    frame = case_choices.outcomes("employment")
    some = case_choices.in_order(frame[frame["wrong"] & ~frame["id"].isin(fixed)])["id"].head(12)
    first = Counter(open_case(fleet, own, model="employment").part("triage")[0].source for own in some)
    assert first["label"] <= 1, first


def test_last_weeks_suspect_labels_are_cleanlabs_and_said_to_be_measured(fleet: Database) -> None:
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
