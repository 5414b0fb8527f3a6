"""The independent keys of error sources (tests/benchmarks/triage_key*.json): their sources follow from their evidence by their own
rules.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


FILES = ("triage_key.json", "triage_key_2.json", "triage_key_3.json")


def cases_of(name: str) -> list[dict[str, Any]]:
    """The cases of a key."""
    found: list[dict[str, Any]] = json.loads((FOLDER / name).read_text(encoding="utf-8"))["cases"]
    return found


@pytest.fixture(params=FILES)
def cases(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """The cases of each key in turn."""
    return cases_of(request.param)


@pytest.mark.parametrize("number", [1, 2])
def test_a_later_key_has_no_case_of_an_earlier_one(number: int) -> None:
    """Nor does it contain a case with which the triage was built."""
    built = {case["id"] for case in json.loads((Path(__file__).parent / "triage_key.json").read_text(encoding="utf-8"))}
    own, *earlier = ({case["id"] for case in cases_of(name)} for name in FILES[number::-1])
    assert len(own) == 80 and not own & built.union(*earlier)


def test_the_eighty_cases_of_the_key_are_split_evenly_into_two_halves(cases: list[dict[str, Any]]) -> None:
    assert Counter(case["model"] for case in cases if not case["planted"]) == Counter(
        dict.fromkeys(("flights-delay", "flights-late", "employment", "sentiment"), 15)
    )
    assert Counter(case["planted"]["kind"] for case in cases if case["planted"]) == {"A": 10, "B": 10}
    assert Counter(case["half"] for case in cases) == {"development": 40, "held": 40}
    assert len({(case["model"], case["id"]) for case in cases}) == 80


def test_the_sources_of_the_key_follow_from_its_evidence(cases: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from triage_evidence import key_of

    for case in cases:
        accept, honest = key_of(case["evidence"])
        if not case["planted"]:
            assert (case["accept"], case["honest"]) == (accept, honest), case["id"]
        elif case["planted"]["kind"] == "A":
            assert len(case["accept"]) == 1, case["id"]
        else:
            assert set(accept) <= set(case["accept"]), case["id"]


def test_an_answer_is_right_honest_silent_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from bench_triage import outcome

    clear, open_ended = {"accept": ["input"], "honest": False}, {"accept": ["expected"], "honest": True}
    assert [outcome(clear, source) for source in ("input", "unknown", "expected")] == ["right", "silent", "wrong"]
    assert [outcome(open_ended, source) for source in ("expected", "unknown", "input")] == ["right", "honest", "wrong"]
