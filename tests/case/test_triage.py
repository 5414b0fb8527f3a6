"""Does triage put the right source first in real cases whose source something else shows, fixed beforehand (choosing.py)?"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from observability.case import open_case
from observability.store.database import Store
from tests.case import choosing

FILE = Path(__file__).parent / "triage_cases.json"


@pytest.fixture(scope="module")
def fleet(stored_fleet: Path) -> Iterator[Store]:
    """The sample fleet."""
    store = Store.open(stored_fleet, threads=2)
    yield store
    store.close()


def test_the_cases_and_their_evidence_follow_from_the_raw_files() -> None:
    written = json.loads(FILE.read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(choosing.chosen()))
    held = written["held"]
    assert len(held) >= 20
    assert not {each["id"] for each in held} & {each["id"] for each in written["tuning"]}
    assert Counter(each["source"] for each in held) == choosing.HELD
    for each in held:
        assert each["evidence"]
        assert each["source"] != "input" or each["lacking"] >= 10
        assert each["source"] != "label" or abs(abs(each["rating_mean"]) - 0.5) <= 0.15
        assert each["source"] != "weak_slice" or each["low"] > each["overall_high"]


def test_four_in_five_of_the_cases_held_back_have_their_source_first(fleet: Store) -> None:
    held = json.loads(FILE.read_text(encoding="utf-8"))["held"]
    missed = []
    for each in held:
        look = open_case(fleet, each["id"], model=each["model"])
        ranked = look.part("triage")
        assert ranked is not None, look.why
        assert all(0 <= one.score <= 1 and one.because.endswith((".", "!")) for one in ranked)
        if ranked[0].source != each["source"]:
            missed.append((each["id"], each["source"], [(one.source, one.score) for one in ranked]))
    assert len(missed) <= 0.2 * len(held), missed
