"""Is a prediction found by its id, and is its record what was logged?"""

import json
from datetime import timedelta

import pytest

from observability.core.errors import NotFoundError
from observability.investigation.case import case, open_case
from tests.support.case_world import HOSTILE, World, moment

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


def test_the_json_is_the_contracts_object_and_says_why_a_part_is_null(case_world: World) -> None:
    body = case(case_world.store, "loan-7").to_json()
    assert tuple(body) == PARTS
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert all(isinstance(sentence, str) and sentence.strip() for sentence in body["why"].values())


def test_the_record_is_what_was_logged(case_world: World) -> None:
    body = case(case_world.store, "loan-100").to_json()["prediction"]
    row = case_world.loan.iloc[100]
    assert body["id"] == "loan-100"
    assert body["model"] == "loan"
    assert body["status"] == "fallback"
    assert body["score"] == row["score"]
    assert body["groups"] == {"sex": row["sex"]}
    assert body["features"] == {"age": "old", "income": None, "debt": 900.0, "city": HOSTILE, "area": row["area"]}
    assert body["extra"] == {"note": HOSTILE}


def test_an_id_that_several_models_hold_is_said(case_world: World) -> None:
    found = case(case_world.store, "both-1")
    assert found.row.model.name == "price"  # a second younger
    assert found.also_in == ("loan",)
    assert "loan" in found.to_json()["why"]["prediction"]
    assert case(case_world.store, "both-1", model="loan").also_in == ()


def test_an_id_that_is_not_there_is_an_error_that_helps(case_world: World) -> None:
    for model in (None, "loan"):
        with pytest.raises(NotFoundError, match="not in"):
            case(case_world.store, "loan-99999", model=model)
    with pytest.raises(NotFoundError):
        open_case(case_world.store, "loan-1000", as_of=moment(10, 1600))


def test_a_revised_label_is_the_one_that_had_arrived(case_world: World) -> None:
    at = moment(300, 1600)
    before, after = (open_case(case_world.store, "loan-300", as_of=at + timedelta(days=days)).row for days in (1, 4))
    first = int(case_world.loan["label"].iloc[300])
    assert before.label is not None
    assert after.label is not None
    assert (before.label.value, len(before.revisions)) == (str(first), 1)
    assert (after.label.value, [each.current for each in after.revisions]) == (str(1 - first), [False, True])
    assert open_case(case_world.store, "loan-200").row.label is None
