"""The page Annotate: a person labels with the buttons, two equal labels settle an item, requests from cases come first, and nobody sees
another person's label.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from observability.cli.execute import execute
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import load
from observability.dashboard.data import annotate
from observability.investigation import labelling_board
from observability.investigation.project_items import project_settled_labels
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.types.registration import RegistrationRequest
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words
from tests.support.new_store import new_store

END = datetime(2026, 5, 4, tzinfo=UTC)
DATES = {"window": "Chosen dates", "from": "2026-05-01T00:00", "to": "2026-05-04T00:00"}


@pytest.fixture
def owned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A binary model with forty predictions of two features, a text and an image; a case requests a new label of one of them."""
    rng = np.random.default_rng(1)
    store = new_store(tmp_path / "home", threads=1)
    frame = pd.DataFrame({"age": rng.normal(40, 9, 200), "score": rng.random(200), "label": np.where(rng.random(200) < 0.5, "good", "bad")})
    frame.to_parquet(tmp_path / "reference.parquet")
    store.register(
        RegistrationRequest(
            model="moods",
            version="1",
            task="binary",
            reference=tmp_path / "reference.parquet",
            label="label",
            score=("score",),
            positive="good",
        )
    )
    (store.home / "images").mkdir()
    Image.new("RGB", (8, 8), "red").save(store.home / "images" / "face.png")
    base = {"kind": "prediction", "model": "moods", "version": "1"}
    lines = [
        base
        | {
            "id": f"m{i}",
            "at": f"{END - timedelta(hours=60 - i):%Y-%m-%dT%H:%M:%SZ}",
            "features": {"age": 30.0 + i},
            "score": 0.5 + i / 100,
            "text": f"text number {i} of the log",
            "picture": "face.png",
        }
        for i in range(40)
    ]
    land(store, lines, tmp_path)
    store.write_records(
        [{"kind": "action", "action": "a1", "author": "ann", "do": "relabel", "model": "moods", "prediction": "m7", "text": "irony?"}]
    )
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: datetime.now(UTC) + timedelta(minutes=5))
    yield store
    store.close()


def press(app, key: str):
    (found,) = [each for each in app.get("button") if each.key == key]
    found.click().run()
    assert not app.exception, [each.message for each in app.exception]


def named(name: str, **parameters: str):
    app = opened("annotate", project="moods", model="moods", **DATES, **parameters)
    (box,) = [each for each in app.text_input if each.key == "annotate-person-box"]
    box.set_value(name).run()
    return app


def stored(store: Database, kind: str, model: str = "") -> list[dict]:
    found = store.ask(Records(kind, ever=True), Window(model, EPOCH, datetime.now(UTC) + timedelta(hours=1))).to_dict("records")
    return [each for each in found if not str(each.get("id")).startswith("reference/")]


def test_two_equal_blind_labels_settle_an_item_requested_by_a_case(owned: Database) -> None:
    """The page asks for a name and shows text, image and reason. Keys and buttons give a label; the second equal label becomes the item's
    label.
    """
    app = opened("annotate", project="moods", model="moods", **DATES)
    assert "Enter your name to label." in str([each.value for each in app.info]) and "text number" not in words(app)
    app = named("Kim")
    page = words(app)
    assert "text number 7 of the log" in page and "irony?" in page and "Suggested" not in page
    press(app, "annotate-class-1")
    assert "m7: good" in words(app) and "text number 7 of" not in words(app)
    (first,) = stored(owned, "annotation")
    assert (first["item"], first["annotator"], first["label"], first["suggestion"]) == ("m7", "Kim", "good", None) and first["seconds"] >= 0
    (work,) = stored(owned, "assignment")
    assert work["policy"] == "ActiveLab" and "A case asks for it" in work["reason"] and not stored(owned, "label", "moods")
    other = named("Lee")
    assert "text number 7 of the log" in words(other) and "good (1" not in words(other)
    press(other, "annotate-class-1")
    assert "settled as good" in words(other)
    (label,) = stored(owned, "label", "moods")
    assert (label["id"], label["value"], label["annotator"], label["source"]) == ("m7", "good", "Kim, Lee", "human")
    assert "text number 7 of" not in words(named("Max")), "a settled request leaves the queue"


def test_the_most_uncertain_item_comes_next_and_a_skip_needs_a_reason(owned: Database) -> None:
    app = named("Kim", item="m3", suggestions="on")
    assert "text number 3 of the log" in words(app) and "age" in tables(app)["Inputs of the item"]["rows"][0]["cells"]["name"]["t"]
    press(app, "annotate-skip")
    assert "Choose a reason to skip" in words(app) and not stored(owned, "skip")
    next(each for each in app.selectbox if each.label == "Reason to skip").set_value("No class fits").run()
    press(app, "annotate-skip")
    (skip,) = stored(owned, "skip")
    assert (skip["item"], skip["reason"]) == ("m3", "No class fits") and "m3" in str(tables(app)["Skipped items and why"])
    queue = [each["cells"]["item"]["t"] for each in tables(app)["Items that wait for a label"]["rows"]]
    assert queue[:3] == ["m7", "m0", "m1"]
    app.toggle[0].set_value(True).run()
    assert "Suggested" not in words(app), "a labelling request from a case hides the suggestion"
    from observability.investigation.labelling_board import shows_suggestion

    item = next(f"m{i}" for i in range(20, 40) if shows_suggestion(f"m{i}", False))
    app = named("Kim", item=item)
    app.toggle[0].set_value(True).run()
    assert "Suggested: **good**" in words(app)
    press(app, "annotate-class-0")
    (answer,) = stored(owned, "annotation")
    assert (answer["item"], answer["label"], answer["suggestion"]) == (item, "bad", "good") and answer["suggestion_confidence"] > 0.5


def test_assigned_items_store_their_reasons(owned: Database) -> None:
    app = named("Kim")
    next(each for each in app.multiselect if each.label == "Annotators").set_value(["Kim", "Lee"]).run()
    press(app, "annotate-assign")
    given = stored(owned, "assignment")
    assert len(given) == 40 and {each["annotator"] for each in given} == {"Kim", "Lee"}
    assert all("counted as the average" in each["reason"] and each["policy"] == "ActiveLab, by skill" for each in given)
    assert "Kim 20, Lee 20" in words(app)


def test_a_link_to_an_unknown_item_or_project_says_so(owned: Database) -> None:
    assert "The link names the item nothing-9" in words(named("Kim", item="nothing-9"))
    assert "The link names the project nowhere" in words(opened("annotate", project="nowhere"))


def test_an_answer_draws_the_page_once_and_counts_what_others_answered_meanwhile(owned: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    app, drawn, summary = named("Lee"), [], annotate.board_summary
    monkeypatch.setattr(annotate, "board_summary", lambda board: (drawn.append(board.project), summary(board)))
    now = datetime.now(UTC).isoformat()  # not rounded to the second, which may have begun before the case made its request
    owned.write_records([{"kind": "annotation", "project": "moods", "item": "m7", "annotator": "Kim", "at": now, "label": "good"}])
    press(app, "annotate-class-1")
    assert drawn == ["moods"] and "settled as good" in words(app)


@pytest.fixture
def landed(owned: Database, tmp_path: Path) -> Database:
    """Texts with a table row and an image, loaded by the command `items`, in a project without a model."""
    rows = [{"id": f"t{i}", "text": f"a letter with the number {i}", "photo": "face.png", "pages": 10 + i} for i in range(6)]
    (tmp_path / "letters.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    argv = ["items", str(tmp_path / "letters.jsonl"), "--project", "letters", "--id", "id", "--classes", "keep,drop", "--guideline", "v7"]
    outcome = execute(owned, argv, lambda _: None)
    assert outcome.exit_code == 0 and "6 new items" in outcome.out, outcome.error
    return owned


def letters(name: str, **parameters: str):
    app = opened("annotate", project="letters", **parameters)
    (box,) = [each for each in app.text_input if each.key == "annotate-person-box"]
    box.set_value(name).run()
    return app


def test_an_unscored_text_is_settled_by_two_equal_blind_labels(landed: Database) -> None:
    app = letters("Kim")
    page = words(app)
    assert "**6 items** wait; 0 items settled." in page and "No label yet; items with the fewest labels come first." in page
    queue = [each["cells"]["item"]["t"] for each in tables(app)["Items that wait for a label"]["rows"]]
    assert sorted(queue) == [f"t{i}" for i in range(6)] and queue != sorted(queue), (
        "items are drawn at random, not in the order of their names"
    )
    first = queue[0]
    assert f"a letter with the number {first[1:]}" in page and len(app.get("image")) == 1
    assert [each["cells"]["name"]["t"] for each in tables(app)["Inputs of the item"]["rows"]] == ["pages"]
    assert [each.value for each in app.text_input if each.key == "annotate-guideline"] == ["v7"]
    press(app, "annotate-class-0")
    assert f"{first}: keep" in words(app) and f"number {first[1:]}" not in words(app)
    (answer,) = stored(landed, "annotation")
    assert (answer["project"], answer["item"], answer["label"], answer["guideline"]) == ("letters", first, "keep", "v7")
    other = letters("Lee", item=first)
    assert "Kim" not in words(other) and "Labels differ" not in words(other), "an annotator does not see another annotator's label"
    press(other, "annotate-class-0")
    assert f"{first}: keep; settled as keep" in words(other) and "**5 items** wait; 1 item settled." in words(other)
    assert not stored(landed, "label", "moods")


def test_the_settled_labels_of_landed_items_are_a_file(landed: Database) -> None:
    base = {"kind": "annotation", "project": "letters", "at": END}
    votes = [("t0", "Kim", "keep"), ("t0", "Lee", "keep"), ("t1", "Kim", "keep"), ("t1", "Lee", "drop")]
    landed.write_records([base | {"item": item, "annotator": who, "label": label} for item, who, label in votes])
    app = letters("Max")
    assert "**5 items** wait; 1 item settled." in words(app) and "Labels differ" in words(app)
    assert any("Settled labels (CSV)" in str(each.proto) for each in app.get("download_button"))
    table = project_settled_labels(landed, "letters")
    assert table.to_dict("records") == [
        {"item": "t0", "label": "keep", "labels": 2, "agree": 2, "text": "a letter with the number 0", "photo": "face.png", "pages": 10}
    ]


def test_a_project_without_a_model_shows_its_agreement_on_labelling(landed: Database) -> None:
    base = {"kind": "annotation", "project": "letters", "at": END}
    votes = [(f"t{i}", who, "keep" if i % 2 or (who == "Max" and i == 0) else "drop") for i in range(6) for who in ("Kim", "Lee", "Max")]
    landed.write_records([base | {"item": item, "annotator": who, "label": label} for item, who, label in votes])
    page = words(opened("labelling", project="letters"))
    # 18 labels, 10 of them `keep`: in t0 2 of the 6 pairs agree, so 4 / 2 of 18 differ; by chance 2 · 10 · 8 / 17 would differ
    assert f"alpha {1 - 2 / (160 / 17):.3f}"[:10] in page and "on 6 items with several labels" in page


def test_a_long_queue_shows_its_first_items_and_counts_all(owned: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling_board, "MAX_FRESH", 5)
    base = {"kind": "item", "project": "many", "at": END, "classes": ["a", "b"]}
    owned.write_records([base | {"item": f"i{i}", "content": {"text": f"the text number {i}"}} for i in range(40)])
    app = opened("annotate", project="many", item="i7")
    assert "**40 items** wait" in words(app) and len(tables(app)["Items that wait for a label"]["rows"]) == 5
    (box,) = [each for each in app.text_input if each.key == "annotate-person-box"]
    box.set_value("Kim").run()
    assert "the text number 7" in words(app), "the id opens an item that is not in the queue yet"


def test_a_landed_item_has_neighbours_by_its_own_content(owned: Database, tmp_path: Path) -> None:
    rows = [{"id": f"t{i}", "text": f"the {'parcel' if i % 2 else 'invoice'} came {i} days late", "pages": i} for i in range(40)]
    (tmp_path / "letters.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert execute(owned, ["items", str(tmp_path / "letters.jsonl"), "--project", "letters", "--id", "id", "--classes", "keep,drop"], print).exit_code == 0  # fmt: skip
    votes = [(f"t{i}", who, "keep" if i % 2 else "drop") for i in range(40) for who in ("Kim", "Lee")]
    owned.write_records([{"kind": "annotation", "project": "letters", "at": END, "item": i, "annotator": who, "label": label} for i, who, label in votes])  # fmt: skip
    app = opened("label_quality", project="letters", item="t7")
    lines = [each["cells"] for each in tables(app)["t7 and the items that are most like it"]["rows"]]
    assert [each["item"]["t"] for each in lines[:3]] == ["t7", "t5", "t9"] and len(lines) == 6
    labels = [each["label"]["t"] for each in lines]
    assert labels == ["keep" if int(each["item"]["t"][1:]) % 2 else "drop" for each in lines]
    assert f"t7 is labelled keep; so are {labels[1:].count('keep')} of its 5 nearest labelled items." in words(app)
    assert "text: the parcel came 7 days late; pages: 7" in lines[0]["content"]["t"]
