"""A case is saved under a title on its page; it is listed, renamed and removed where cases are found, and everybody who may see its model
sees it.
"""

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from observability.core.errors import ForbiddenError
from observability.dashboard import load
from observability.dashboard.case.saved_cases import saved_case_record
from observability.server import process_lock
from observability.server.access import Person
from observability.server.guarded_store import guarded_store
from tests.support.dashboard_pages import WHOLE, opened, tables, words
from tests.support.dashboard_world import END, World, build
from tests.support.signed_in import sign


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A separate world that tests may write to."""
    found = build(tmp_path_factory.mktemp("saved"))
    yield found
    found.store.close()


@pytest.fixture
def mine(own: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world of `own` as the store that this process owns; saved cases are removed after each test."""
    monkeypatch.setattr(process_lock, "current_store", lambda: own.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    yield own
    for item in own.store.saved_cases():
        about = {name: item.fields[name] for name in ("model", "prediction")}
        own.store.write_records([saved_case_record(about, "test", item.id, state="withdrawn")])


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click()
    app.run()
    assert not app.exception


def listed(app: AppTest) -> list[dict]:
    return [row["cells"] for row in tables(app).get("Saved cases", {"rows": []})["rows"]]


def save(world: World, prediction: str, title: str, model: str = "loan", author: str = "Ada", **fields: str) -> None:
    world.store.write_records([saved_case_record({"model": model, "prediction": prediction}, author, title=title, **fields)])


def test_a_case_is_saved_listed_renamed_and_removed(mine: World) -> None:
    assert "Saved cases" not in [header.value for header in opened("cases", model="loan").header]
    app = opened("case", id="l41", model="loan")
    press(app, "Save the case")
    assert "A saved case needs a title." in words(app)
    next(box for box in app.text_input if (box.key or "").startswith("saved-case-author")).set_value("Ada").run()
    next(box for box in app.text_input if box.label == "Title").set_value("Late at *night*")
    next(box for box in app.text_area if "note" in (box.key or "") and "saved-case" in box.key).set_value("Check the feed")
    press(app, "Save the case")
    (item,) = mine.store.saved_cases("loan")
    assert item.first.author == "Ada" and (item.fields["title"], item.fields["note"]) == ("Late at *night*", "Check the feed")
    assert "Late at *night*" in words(app), "the page of the case shows the saved title"

    app = opened("cases")
    (row,) = listed(app)
    target = row["title"]["go"]
    assert row["title"]["t"] == "Late at *night*" and row["note"]["t"] == "Check the feed"
    assert target["page"] == "case" and (target["parameters"]["id"], target["parameters"]["model"]) == ("l41", "loan")
    next(box for box in app.text_input if (box.key or "") == "saved-case-person-box").set_value("Bob").run()
    next(box for box in app.text_input if (box.key or "").startswith("saved-title-")).set_value("Night feed")
    next(box for box in app.text_area if (box.key or "").startswith("saved-note-")).set_value("")
    press(app, "Save the changes")
    (row,) = listed(app)
    assert row["title"]["t"] == "Night feed" and row["by"]["t"] == "Ada", "the author is still the person who saved the case first"
    assert row["note"]["t"] == "–", "the note was removed"
    (item,) = mine.store.saved_cases()
    assert [entry.author for entry in item.entries] == ["Ada", "Bob"]
    press(app, "Remove from the list")
    assert listed(app) == [] and mine.store.saved_cases() == ()


def test_cases_of_a_collection_are_folded_under_its_name_and_the_newest_others_are_listed(mine: World) -> None:
    for place, collection in enumerate(("night", "", "night", "", "", "", "", "", "")):
        save(mine, f"l{place + 50}", f"case {place}", collection=collection)
    app = opened("cases", model="loan")
    assert [row["title"]["t"] for row in listed(app)] == ["case 8", "case 7", "case 6", "case 5", "case 4"]
    found = {
        caption: [row["cells"]["title"]["t"] for row in each["rows"]]
        for caption, each in tables(app).items()
        if "aved cases" in caption or "Collection" in caption
    }
    assert found["More saved cases"] == ["case 3", "case 1"] and found["Collection night"] == ["case 2", "case 0"]
    assert {"night: 2 cases", "2 more saved cases"} <= {each.label.replace("\\", "") for each in app.expander}
    columns = [each["key"] for each in tables(app)["Saved cases"]["columns"]]
    assert columns == ["title", "by"], "the table has no column for empty notes or for the selected model"


def test_people_see_saved_cases_only_of_their_models_and_viewers_save_none(mine: World, monkeypatch: pytest.MonkeyPatch) -> None:
    save(mine, "l60", "of loan")
    save(mine, "p60", "of price", model="price")
    one = Person("vic", None, (("loan", "viewer"),))
    seen = guarded_store(mine.store, one)
    assert [item.fields["title"] for item in seen.saved_cases()] == ["of loan"]
    with pytest.raises(ForbiddenError):
        seen.write_records([saved_case_record({"model": "loan", "prediction": "l60"}, "vic", title="mine")])
    sign(monkeypatch, one)
    said = words(opened("cases"))
    assert "of loan" in said and "of price" not in said and "is read-only" in said


def test_a_record_of_another_prediction_cannot_change_a_saved_case(mine: World) -> None:
    save(mine, "l70", "first")
    (item,) = mine.store.saved_cases()
    mine.store.write_records([saved_case_record({"model": "price", "prediction": "p70"}, "eve", item.id, title="taken")])
    assert [each.fields["title"] for each in mine.store.saved_cases("loan")] == ["first"]
    assert {each.fields["title"] for each in mine.store.saved_cases()} == {"first", "taken"}


def test_several_cases_of_a_list_are_saved_in_one_collection(mine: World) -> None:
    save(mine, "l90", "the first", collection="Night shift", author="Bob")
    app = opened("cases", model="loan", q="score > 0.2", **WHOLE)
    boxes = [box for box in app.multiselect if box.label == "Cases to save"]
    ids = boxes[0].options[:3]
    boxes[0].set_value(ids).run()
    next(box for box in app.text_input if "matching-save-" in (box.key or "") and box.label == "Your name").set_value("Ada").run()
    press(app, "Save 3 cases")
    assert "need a collection" in words(app) and len(mine.store.saved_cases()) == 1
    next(box for box in app.selectbox if (box.key or "").endswith("-collection")).set_value("Night shift").run()
    press(app, "Save 3 cases")
    saved = {item.fields["prediction"]: item for item in mine.store.saved_cases("loan")}
    assert set(saved) == {"l90", *ids} and {saved[name].first.author for name in ids} == {"Ada"}
    rows = tables(opened("cases", model="loan"))["Collection Night shift"]["rows"]
    titles = {row["cells"]["title"]["t"]: row["cells"]["title"]["sub"] for row in rows}
    assert titles == {"the first": "l90", **dict.fromkeys(ids)}, "an id that is also the title is not repeated"


def test_a_saved_case_is_compared_with_another(mine: World) -> None:
    assert "Or a saved case" not in [box.label for box in opened("case", id="l41", model="loan").selectbox]
    for name, title in (("l41", "itself"), ("l90", "the first"), ("l91", "the second")):
        save(mine, name, title)
    app = opened("case", id="l41", model="loan")
    box = next(box for box in app.selectbox if box.label == "Or a saved case")
    assert box.options == ["the first", "the second"], "the box does not offer the open case itself"
    box.set_value("the second").run()
    rows = {row["cells"]["what"]["t"]: row["cells"] for row in tables(app)["This case and the other case"]["rows"]}
    assert (rows["Prediction"]["own"]["t"], rows["Prediction"]["other"]["t"]) == ("l41", "l91")
