"""Commands print valid JSON for any numbers, and report wrong use."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from observability.cli.execute import execute
from observability.cli.outcome import json_or_lines
from tests.support.new_store import new_store


def strict_json(text: str) -> Any:
    """The value of a JSON text. Fails if the text contains NaN or an infinity as a bare word."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_non_finite_numbers_are_written_as_the_strings_of_the_contract() -> None:
    body = {"evidence": [float("nan"), np.float32("nan"), -np.inf], "rows": np.array([1.5, np.inf]), "at": datetime(2026, 7, 1, tzinfo=UTC)}
    assert strict_json(json_or_lines(body, [], as_json=True).out) == {
        "evidence": ["NaN", "NaN", "-Infinity"],
        "rows": [1.5, "Infinity"],
        "at": "2026-07-01T00:00:00Z",
    }


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_a_profile_of_numbers_near_the_largest_is_json(tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text("x\n1e308\n-1e308\n")
    with new_store(tmp_path / "home") as store:
        outcome = execute(store, ["profile", str(file), "--source", "s", "--dry-run", "--json"], lambda _: None)
    assert outcome.exit_code == 0, outcome.error
    assert strict_json(outcome.out)["stats"]["x"]["std"] == "Infinity"


def test_a_case_id_missing_from_the_only_model_is_reported_with_the_models_name(tmp_path: Path) -> None:
    file = tmp_path / "day.jsonl"
    file.write_text(
        '{"kind":"prediction","id":"a","at":"2026-07-01T00:00:00Z","model":"loan","version":"1","features":{"x":1},"score":1}\n'
    )
    with new_store(tmp_path / "home") as store:
        assert execute(store, ["load", str(file)], lambda _: None).exit_code == 0
        assert execute(store, ["case", "b"], lambda _: None).error.startswith("prediction 'b' is not in loan. ")
