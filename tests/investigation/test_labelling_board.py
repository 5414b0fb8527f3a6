"""The work of a labelling project: who is assigned an item, the record of an answer, and when a label is settled."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from observability.core.catalog import Model
from observability.investigation.labelling_board import (
    ANNOTATION_FIELDS,
    LabellingBoard,
    answer_records,
    labelling_board,
    next_task,
    shows_suggestion,
    skip_records,
    suggestion_of,
)
from observability.investigation.relabel_queue import Wanted
from observability.metrics.labelling_work import MARGIN

AT = datetime(2026, 5, 1, 12)
NOW = AT.replace(tzinfo=UTC)
MODEL = Model(1, "mood", "binary", ("bad", "good"))
SAMPLE = pd.DataFrame({"id": ["near", "far", "sure"], "score": [0.52, 0.04, 0.99]})


def frame(rows: list[dict], columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame([dict.fromkeys(columns) | each for each in rows], columns=list(columns)).astype({"at": "datetime64[us]"})


def board(answers: list[tuple[str, str, str]] = (), given: list[tuple[str, str]] = (), skipped=(), requests=(), **own) -> LabellingBoard:
    """A board with these answers (item, annotator, label), a minute apart, and these assignments (item, annotator)."""
    annotated = [
        {"item": item, "annotator": who, "label": label, "at": AT - timedelta(minutes=60 - place)} | own
        for place, (item, who, label) in enumerate(answers)
    ]
    columns = ("item", "annotator", "at", "reason", "score", "policy")
    assigned = [{"item": item, "annotator": who, "at": AT, "reason": "because", "policy": "p"} for item, who in given]
    passed = [{"item": item, "annotator": who, "at": AT, "reason": "unclear"} for item, who in skipped]
    return labelling_board(
        "mood",
        MODEL,
        frame(annotated, ANNOTATION_FIELDS),
        frame(assigned, columns),
        frame(passed, ("item", "annotator", "at", "reason")),
        SAMPLE,
        requests,
        MARGIN,
    )


def answered(held: LabellingBoard, who: str, label: str, **own) -> list[dict]:
    return answer_records(
        held,
        next_task(held, who),
        who,
        label,
        began=NOW,
        at=NOW + timedelta(seconds=8),
        suggestion=None,
        guideline="v2",
        labels_model=True,
        **own,
    )


def request(item: str, since: datetime) -> Wanted:
    return Wanted("mood", item, "open", "ann", since.replace(tzinfo=UTC), "look at the irony", None, None, 0, None, "a1")


def test_the_item_with_the_closest_scores_comes_first_and_nobody_gets_an_item_twice() -> None:
    held = board([("near", "kim", "good")])
    assert next_task(held, "kim").item == "far" and next_task(held, "lee").item == "near"
    held = board([("near", "kim", "good"), ("far", "kim", "bad"), ("sure", "kim", "good")])
    assert next_task(held, "kim") is None
    assert next_task(board(skipped=[("near", "kim")]), "kim").item == "far"


def test_an_answer_writes_an_assignment_and_an_annotation_and_two_equal_answers_write_a_label() -> None:
    first = answered(board(), "kim", "good")
    assert [each["kind"] for each in first] == ["assignment", "annotation"]
    assert first[1]["seconds"] == 8.0 and first[1]["guideline"] == "v2" and "suggestion" not in first[1]
    assert first[0]["policy"] == MARGIN and "No label yet" in first[0]["reason"]
    second = answered(board([("near", "kim", "good")]), "lee", "good")
    assert second[-1] | {"at": None} == {
        "kind": "label", "id": "near", "at": None, "model": "mood", "value": "good", "source": "human", "annotator": "kim, lee", "guideline": "v2",
    }  # fmt: skip
    assert "label" not in [each["kind"] for each in answered(board([("near", "kim", "bad")]), "lee", "good")]
    third = answered(board([("near", "kim", "bad"), ("near", "lee", "good")]), "max", "good")
    assert third[-1]["kind"] == "label" and third[-1]["annotator"] == "lee, max"


def test_an_item_without_a_prediction_gets_no_label() -> None:
    held = board([("near", "kim", "good")])
    found = answer_records(
        held, next_task(held, "lee"), "lee", "good", began=NOW, at=NOW, suggestion=("good", 0.52), guideline=None, labels_model=False
    )
    assert [each["kind"] for each in found] == ["assignment", "annotation"]
    assert found[1]["suggestion"] == "good" and found[1]["suggestion_confidence"] == 0.52


def test_an_assigned_item_comes_before_the_queue_with_its_reason() -> None:
    held = board(given=[("sure", "kim")])
    task = next_task(held, "kim")
    assert (task.item, task.why_person, task.assigned) == ("sure", "because", True) and held.load == {"kim": 1}
    assert [each["kind"] for each in skip_records(held, task, "kim", "No class fits", began=NOW, at=NOW)] == ["skip"]
    assert next_task(board([("sure", "lee", "good"), ("sure", "max", "good")], given=[("sure", "kim")]), "kim").item != "sure"


def test_a_requested_relabelling_needs_two_new_labels_whatever_was_labelled_before() -> None:
    """Labels from before the request do not count, and their annotators may answer again; no suggestion is shown."""
    old = [("done", "kim", "good"), ("done", "lee", "good")]
    held = board(old, requests=[request("done", AT)])
    task = next_task(held, "kim")
    assert task.item == "done" and task.asked and "irony" in task.why_item and not shows_suggestion("done", task.asked)
    assert "label" not in [each["kind"] for each in answered(held, "kim", "bad")]
    later = [("done", "kim", "bad")]
    again = board(later, requests=[request("done", AT - timedelta(hours=2))])
    assert answered(again, "lee", "bad")[-1]["value"] == "bad"


def test_suggestions_come_from_the_model_and_some_items_show_none() -> None:
    assert suggestion_of(board(), "near") == ("good", pytest.approx(0.52)) and suggestion_of(board(), "far") == ("bad", pytest.approx(0.96))
    assert suggestion_of(board([("else", "kim", "good")]), "else") is None
    shown = [shows_suggestion(f"item-{n}", False) for n in range(1000)]
    assert 0.74 < sum(shown) / 1000 < 0.86


def test_the_known_answer_of_an_item_is_logged_and_not_shown_to_the_annotator() -> None:
    held = board([("near", "kim", "good")], gold="good")
    found = answered(held, "lee", "bad")
    assert found[1]["gold"] == "good" and "good" not in next_task(held, "lee").why_item
