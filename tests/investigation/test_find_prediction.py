"""A prediction is found by its id, and its record equals the logged one."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.cli.commands_case import case_lines
from observability.core.errors import NotFoundError
from observability.investigation.case import case, open_case
from tests.support.case_world import HOSTILE, World, moment
from tests.support.new_store import new_store

PARTS = (
    "prediction",
    "label",
    "inputs",
    "attributions",
    "base_value",
    "attributions_link",
    "residual",
    "neighbours",
    "counterfactuals",
    "rule",
    "versions",
    "triage",
    "findings",
    "verdicts",
    "why",
)


def test_the_json_has_the_parts_of_the_contract_and_a_reason_for_each_null_part(case_world: World) -> None:
    body = case(case_world.store, "loan-7").to_json()
    assert tuple(body) == PARTS
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert all(isinstance(sentence, str) and sentence.strip() for sentence in body["why"].values())


def test_the_prediction_in_the_json_equals_the_logged_record(case_world: World) -> None:
    body = case(case_world.store, "loan-100").to_json()["prediction"]
    row = case_world.loan.iloc[100]
    assert body["id"] == "loan-100"
    assert body["model"] == "loan"
    assert body["status"] == "fallback"
    assert body["score"] == row["score"]
    assert body["groups"] == {"sex": row["sex"]}
    assert body["features"] == {"age": "old", "income": None, "debt": 900.0, "city": HOSTILE, "area": row["area"]}
    assert body["extra"] == {"note": HOSTILE}


def test_a_case_whose_id_is_held_by_several_models_lists_the_other_models(case_world: World) -> None:
    found = case(case_world.store, "both-1")
    assert found.row.model.name == "price"  # a second younger
    assert found.also_in == ("loan",)
    assert "loan" in found.to_json()["why"]["prediction"]
    assert case(case_world.store, "both-1", model="loan").also_in == ()


def test_an_unknown_id_raises_a_not_found_error(case_world: World) -> None:
    for model in (None, "loan"):
        with pytest.raises(NotFoundError, match="not in"):
            case(case_world.store, "loan-99999", model=model)
    with pytest.raises(NotFoundError):
        open_case(case_world.store, "loan-1000", as_of=moment(10, 1600))


def test_a_revised_label_counts_only_after_it_has_arrived(case_world: World) -> None:
    at = moment(300, 1600)
    before, after = (open_case(case_world.store, "loan-300", as_of=at + timedelta(days=days)).row for days in (1, 4))
    first = int(case_world.loan["label"].iloc[300])
    assert before.label is not None
    assert after.label is not None
    assert (before.label.value, len(before.revisions)) == (str(first), 1)
    assert (after.label.value, [each.current for each in after.revisions]) == (str(1 - first), [False, True])
    assert open_case(case_world.store, "loan-200").row.label is None


def test_an_id_with_several_predictions_gives_the_production_one_and_lists_the_others(tmp_path: Path) -> None:
    own = {
        "kind": "prediction",
        "id": "a",
        "model": "m",
        "version": "1",
        "score": 0.25,
        "at": "2024-03-01T10:00:00Z",
        "received_at": "2024-03-01T12:00:00Z",
        "features": {"age": 3},
    }
    shadow = own | {"version": "2", "environment": "shadow", "score": 0.875, "received_at": "2024-03-01T11:00:00Z"}
    label = {"kind": "label", "id": "a", "model": "m", "value": 1, "at": "2024-03-02T00:00:00Z", "received_at": "2024-03-02T00:00:00Z"}
    with new_store(tmp_path / "home") as store:
        store.write_records([shadow, own, label])
        found, other = case(store, "a"), case(store, "a", version="2", environment="shadow")
        early = open_case(store, "a", as_of=datetime(2024, 3, 1, 11, 30, tzinfo=UTC)).row
        with pytest.raises(NotFoundError):
            case(store, "a", version="3")
    assert (found.row.environment, found.row.score, found.row.selector) == ("production", 0.25, "production/1")
    assert [(answer.words, answer.score) for answer in found.row.other_answers] == [("version 2 in shadow", 0.875)]
    assert "The id was also answered by version 2 in shadow" in found.to_json()["why"]["prediction"]
    assert "The same id was also answered by version 2 in shadow. Choose one with --version and --environment." in list(case_lines(found))
    assert [(answer["version"], answer["score"]) for answer in found.to_json()["versions"]] == [("1", 0.25), ("2", 0.875)]
    assert (other.row.score, [answer.words for answer in other.row.other_answers]) == (0.875, ["version 1 in production"])
    assert found.row.label is not None
    assert found.row.label == other.row.label
    assert (early.environment, early.other_answers) == ("shadow", ())
