"""A feed that two models read falls silent. This is one item, and both models show it on the page, in the files, in messages and in the
next week.
"""

import base64
import csv
import hashlib
import io
import json
from dataclasses import replace
from datetime import timedelta
from html import escape

import numpy as np
import pytest

from observability.alerts.config import AlertConfig
from observability.core.settings import ModelSettings
from observability.core.weeks import Week
from observability.dashboard import load
from observability.export import review as export_review
from observability.export import review_deck
from observability.review import freeze
from observability.review.agenda import Item
from observability.review.agenda_items import weeks_waited
from observability.review.escalation import escalation_messages
from observability.server import process_lock
from observability.store.db import catalog_store
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.dashboard_pages import opened, tables, words
from tests.support.html_rules import invalid

WEEK = Week.parse("2020-W11")
NOW = WEEK.end + timedelta(hours=7)
MODELS = {"delay": "ann", "late": "bob"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two models, each with its own owner, and three weeks of answers. In the last week the input `dew` is missing from both from Monday
    on.
    """
    home = tmp_path_factory.mktemp("shared")
    rng = np.random.default_rng(7)
    with open_store(home / "home", threads=2) as made:
        lines = []
        for name, who in MODELS.items():
            dew, heat = rng.normal(10, 3, 800), rng.normal(20, 5, 800)
            rows = [f"{a},{b},{a + b},{a + b + c}" for a, b, c in zip(dew, heat, rng.normal(0, 1, 800))]
            (home / "reference.csv").write_text("\n".join(["dew,heat,score,label", *rows]) + "\n", encoding="utf-8")
            request = RegistrationRequest(
                model=name, version="1", task="regression", reference=home / "reference.csv", label="label", score=("score",)
            )
            made.register(request, now=WEEK.start - timedelta(days=90))
            with made.write() as writer:
                key = made.catalog().model(name).key
                catalog_store.update_model(writer, key, settings=ModelSettings(owner=who), now=WEEK.start - timedelta(days=80))
            for number in range(3 * 420):
                at = (WEEK.back(2).start + timedelta(minutes=24 * number)).isoformat().replace("+00:00", "Z")
                silent = number >= 2 * 420
                a, b = rng.normal(10, 3), rng.normal(20, 5)
                body = {
                    "kind": "prediction",
                    "id": f"{name}{number}",
                    "model": name,
                    "version": "1",
                    "at": at,
                    "received_at": at,
                    "score": a + b,
                }
                lines.append(body | {"features": {"dew": None if silent else a, "heat": b}})
                lines.append(
                    {"kind": "label", "id": f"{name}{number}", "model": name, "value": a + b + rng.normal(), "at": at, "received_at": at}
                )
        (home / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
        assert made.load_files([home / "lines.jsonl"], LoadDefaults()).rejected == 0
        freeze.freeze(made, WEEK, author="ann", now=NOW)
        yield made


@pytest.fixture
def item(store):
    (found,) = [each for each in export_review.items_of(freeze.stored_week(store, str(WEEK))) if each.about.get("subject") == "dew"]
    return found


def test_the_fault_is_one_item_of_both_models_with_the_incident_of_each(store, item):
    assert item.models == ("delay", "late")
    body = freeze.stored_week(store, str(WEEK))
    incidents = {each["incident"]: part["model"] for part in body["models"] for each in part["incidents"]}
    findings = {each["id"]: part["model"] for part in body["models"] for each in part["findings"]}
    assert sorted(incidents[each] for each in item.incidents) == ["delay", "late"]
    assert [findings[item.of(name)["finding"]] for name in MODELS] == ["delay", "late"]
    assert Item.from_json(json.loads(json.dumps(item.to_json()))) == item
    older = {name: value for name, value in item.to_json().items() if name != "also"}
    assert Item.from_json({**older, "about": {**older["about"], "also": "late"}}).models == ("delay", "late")


def test_page_files_and_messages_name_a_shared_item_at_each_of_its_two_models(store, item, monkeypatch):
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: NOW)
    place = [each.item for each in export_review.items_of(freeze.stored_week(store, str(WEEK)))].index(item.item) + 1
    fleet = tables(opened("review", review=str(WEEK), step="fleet"))["The fleet in this week"]["rows"]
    assert all(f"agenda {place}" in each["cells"]["status"]["sub"] for each in fleet)
    hurt = tables(opened("review", review=str(WEEK), step="incidents"))["Incidents of the week"]["rows"]
    of_dew = [each["cells"] for each in hurt if "dew" in each["cells"]["what"]["t"]]
    assert [each["model"]["t"] for each in of_dew] == ["delay", "late"]
    assert len({each["what"]["sub"].partition(";")[0] for each in of_dew}) == 1, "both rows state the same change since last week"
    app = opened("review", review=str(WEEK), item=item.item)
    agenda = tables(app)["Agenda"]["rows"]
    assert agenda[place - 1]["cells"]["model"]["t"] == "delay, late"
    assert {"Open the page (delay)", "Open the page (late)"} <= {each.label.replace("\\", "") for each in app.button}
    app.text_input(key="person-box").input("Ann").run()
    form = f"finish-{WEEK}-{item.item}"
    app.button_group(key=f"does-{form}-0").set_value("act").run()
    app.selectbox(key=f"model-{form}-0").set_value("late").run()
    app.text_area(key=f"text-{form}-0").input("Mend the feed").run()
    next(each for each in app.button if each.label == "Save").click().run()
    assert not app.exception
    assert "Acted on" in words(app)
    (action,) = store.actions()
    assert (action.fields["model"], action.fields["finding"]) == ("late", item.of("late")["finding"])
    html = export_review.review_html(store, str(WEEK), NOW)
    assert html.count(f'<a href="#item-{place}">item {place} of the agenda</a>') == 2
    assert invalid(html) == []
    rows = list(csv.DictReader(io.StringIO(export_review.minutes(store, str(WEEK), NOW))))
    assert [each["model"] for each in rows if each["outcome"] == "Acted on"] == ["delay, late"]
    assert f"{place}. delay, late: " in export_review.review_markdown(store, str(WEEK), NOW)


def test_the_slides_hold_each_item_once_with_who_decides_and_what_was_agreed(store, item):
    deck = review_deck.review_deck(store, str(WEEK), NOW)
    assert invalid(deck) == ["<script> is not for a report"], "the only script is the one that moves the slides"
    script = deck.partition("<script>")[2].partition("</script>")[0]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in deck, "the policy allows this script and no other"
    items = export_review.items_of(freeze.stored_week(store, str(WEEK)))
    slides = deck.split('<section class="slide"')[1:]
    assert [f'aria-label="Item {place}"' in slide for place, slide in enumerate(slides[1 : len(items) + 1], 1)] == [True] * len(items)
    for one, slide in zip(items, slides[1:]):
        assert all(name in slide for name in one.models)
        assert export_review.sentence_html(review_deck.slide_headline(one)) in slide
        assert all(escape(reason, quote=False) in slide for reason in one.reasons)
    place = [one.item for one in items].index(item.item) + 1
    assert "Decides: ann, bob." in slides[place] or "Acted on" in slides[place]
    body = freeze.stored_week(store, str(WEEK))
    owned = {**body, "models": [{**part, "owner": f"desk of {part['model']}"} for part in body["models"]]}
    assert review_deck.item_deciders(owned, item) == "desk of delay, desk of late"


def test_a_headline_of_a_slide_is_the_first_clause_of_its_sentence():
    one = Item("x", "incident", "`a` moved to 3; `b` too; new.", "act", "new", 0.5, "late")
    assert review_deck.slide_headline(one) == "`a` moved to 3."
    assert review_deck.slide_headline(replace(one, title="It moved.")) == "It moved."
    assumed = replace(one, title="It emits 155 g (assumed; excl. embodied carbon): 2.4 times as much.")
    assert review_deck.slide_headline(assumed) == "It emits 155 g: 2.4 times as much."
    assert review_deck.slide_headline(replace(one, title="2.5 % are far. Most is in `a`.")) == "2.5 % are far."


def test_owners_of_both_models_are_told_and_the_item_keeps_waiting_if_only_one_model_shows_it(store, item):
    body = freeze.stored_week(store, str(WEEK))
    config = AlertConfig(channels={name: f"json://127.0.0.1:9/{name}" for name in ("a", "b")}, routes={"ann": ("a",), "bob": ("b",)})
    waits = {**body, "agenda": [{**item.to_json(), "weeks": 3}]}
    assert [each["channel"] for each in escalation_messages(waits, config, NOW)] == ["a", "b"]
    alone = Item(item.also[0]["item"], "incident", "late alone", "act", "new", 0.5, "late")
    assert weeks_waited(alone, [{**body, "outcomes": {}}]) == 2
    assert weeks_waited(alone, [{**body, "outcomes": {item.item: {"does": "accept"}}}]) == 1
