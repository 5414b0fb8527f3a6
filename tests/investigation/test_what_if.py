"""A link restores the values of a what-if. A saved what-if is part of the case and can be withdrawn. Tested on the page, with a real model."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from observability.core.formatting import format_number
from observability.dashboard import clicks, links
from observability.dashboard.case import load_case
from observability.investigation.find_prediction import prediction_row as find
from observability.investigation.sampled_rows import stored_input
from observability.server import process_lock
from observability.store.db.database import Database
from observability.worker import process
from observability.worker.process import Worker
from tests.support.case_model_world import ModelWorld, copied_store, inputs
from tests.support.dashboard_pages import opened, tables, unfolded_words, words


@pytest.fixture
def store(model_world: ModelWorld, model_worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A copy of the world with its model files, owned by this process."""
    own = copied_store(model_world, tmp_path / "home")
    shutil.copytree(model_world.home / "artifacts", tmp_path / "home" / "artifacts")
    monkeypatch.setattr(process_lock, "current_store", lambda: own)
    monkeypatch.setattr(process, "warm_worker", lambda: model_worker)
    yield own
    own.close()


def press(app: AppTest, label: str, kind: str) -> None:
    """Press a button of a form, after entering a name in the box next to it."""
    own = [each for each in app.button if "what-if" in (each.key or "") or "withdraw" in (each.key or "")]
    button = next(each for each in own if each.label == label)
    box = next(each for each in app.text_input if each.key == f"{button.key.replace(kind, '-author')}-box")
    box.input("Ada").run()
    button = next(each for each in app.button if each.key == button.key)
    button.click().run()
    assert not app.exception


def test_a_what_if_link_restores_the_values_and_a_saved_what_if_stays_until_withdrawn(store: Database, model_world: ModelWorld) -> None:
    row = find(store, "c-31", model="credit")
    town = next(each for each in row.version.edges["feature.town"].levels if each != row.features["town"])
    changes = {"rooms": 6.0 if row.features["rooms"] != 6 else 5.0, "income": None}
    app = opened("case", id="c-31", model="credit", what_if=json.dumps({**changes, "nobody": 1, "member": "yes", "town": town}))
    assert not app.exception
    text = words(app)
    assert "does not take this feature" in text and "takes another kind of value" in text and "town is immutable" in text
    table = stored_input(row).assign(rooms=changes["rooms"], income=float("nan"))
    theirs = model_world.models["credit 1"].predict(inputs(table))[0]
    held = load_case.what_if_answer(load_case.opened_case("c-31", "credit"), changes)
    assert "simulated" in text and f"{format_number(theirs)}); score of " in text and f" was {format_number(row.score)}, " in text

    press(app, "Save", "-save")
    (held,) = store.what_ifs("credit", "c-31")
    assert held.fields["changes"] == changes and held.fields["score"] == pytest.approx(theirs) and held.first.author == "Ada"
    (line,) = tables(app)["Saved what-if inputs"]["rows"]
    target = line["cells"]["what"]["go"]
    assert target["page"] == "case" and json.loads(target["parameters"]["what_if"]) == changes and "what_if" in links.OWN_KEYS
    press(app, "Withdraw", "-send")
    assert store.what_ifs("credit", "c-31") == () and "Saved what-if inputs" not in tables(app)


def test_parts_computed_on_request_are_also_in_the_whole_case(store: Database) -> None:
    held = load_case.opened_case("c-210", "credit")
    first = held.whole()
    assert first.versions is None and "not computed yet" in first.why["versions"]
    assert first.counterfactuals is None
    found = {each.version: each for each in load_case.version_answers(held, lambda share, note: None)}
    load_case.case_counterfactuals(held, lambda share, note: None)
    whole = held.whole()
    assert whole.versions is not None and "versions" not in whole.why
    assert {each.version: each.score for each in whole.versions}["2"] == found["2"].score
    assert whole.counterfactuals and "counterfactuals" not in whole.why


def test_whole_numbers_move_in_whole_steps(store: Database) -> None:
    app = opened("case", id="c-31", model="credit", section="edge")
    rooms = next(each for each in app.slider if each.label.startswith("rooms"))
    assert rooms.step == 1 and rooms.proto.format == "%.0f" and rooms.value == int(rooms.value)
    income = next(each for each in app.slider if each.label.startswith("income"))
    assert income.step < 1 or income.proto.format == "%.2f"


def test_a_bar_leads_to_the_feature_with_this_case_marked(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.dashboard.case import explanation as case_why
    from observability.dashboard.case.case import CasePage
    from observability.dashboard.scope import Scope
    from observability.investigation import known_attributions

    here = CasePage(load_case.opened_case("l-3", "logged"), Scope(model="logged"))
    found = known_attributions.logged_or_stored_contrast(store, here.row)
    assert found is not None
    rows = case_why.waterfall_rows(found)
    went: list[dict] = []
    monkeypatch.setattr(links, "follow_link", went.append)
    for place in range(len(rows)):
        state = {"waterfall-average": {"selection": {"points": [{"y": len(rows) - 1 - place}]}}}
        monkeypatch.setattr(case_why.st, "session_state", state)
        monkeypatch.setattr(clicks.st, "session_state", state)
        case_why.open_clicked_feature(here, "waterfall-average", rows)
    shown = rows.loc[rows["kind"] == "feature", "label"].str.partition(" = ")[0].tolist()
    assert [each["parameters"]["feature"] for each in went] == shown, (
        "only the features have links, not the bars for base, others and this case"
    )
    assert {each["parameters"]["id"] for each in went} == {"l-3"} and went[0]["page"] == "explanations"


def test_few_words_stand_above_the_waterfall(store: Database) -> None:
    app = opened("case", id="l-3", model="logged")
    above = unfolded_words(app, before="plotly_chart")
    assert 10 < above <= 60 and above < unfolded_words(app) <= 250
