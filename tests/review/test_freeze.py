"""Freeze three consecutive weeks of a small model, from the fault to its end. Frozen figures do not change, changes are reported, and later
labels are shown separately.
"""

import csv
import io
import json
import random
import sys
from argparse import Namespace
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec

import numpy as np
import pytest

from observability.cli import commands
from observability.core.errors import NotFoundError, UsageError
from observability.core.finding import iso
from observability.core.formatting import format_day, format_minute
from observability.dashboard.overview import changes
from observability.export import review as export_review
from observability.export import review_deck
from observability.review import freeze
from observability.review.agenda_figures import item_figure
from observability.review.case_verdicts import week_verdicts
from observability.review.change_log import change_entries
from observability.review.decision_evidence import Evidence
from observability.review.meeting import MEETING, closed_by
from observability.review.metric_movement import Target, metric_movement, movement_of_action
from observability.review.snapshot import week_snapshot
from tests.support import review_world
from tests.support.html_rules import invalid
from tests.support.review_world import BETTER, BROKEN, MENDED, WEEKS

NOW = WEEKS[-1].end + timedelta(days=7)
MAE = Target("eta", "serving/performance", "mae")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with review_world.build(tmp_path_factory.mktemp("review")) as opened:
        yield opened


@pytest.fixture(scope="module")
def broken(store):
    """The frozen week with the fault, and the entries of its review."""
    body = freeze.freeze(store, BROKEN, author="ann", now=NOW)
    item = body["agenda"][0]["item"]
    action = {
        "kind": "action",
        "action": "a1",
        "at": NOW,
        "author": "ann",
        "text": "Log kilometres again",
        "owner": "bob",
        "model": "eta",
        "metric": "mae",
        "goal": 6.0,
        "review": str(BROKEN),
        "finding": body["agenda"][0]["about"]["finding"],
        "due": BROKEN.end + timedelta(days=3),
    }
    said = {
        "kind": "agenda",
        "review": str(BROKEN),
        "item": item,
        "at": NOW,
        "author": "ann",
        "does": "act",
        "text": "=SUM(A1) <b>metres</b>",
        "action": "a1",
    }
    decision = {
        "kind": "decision",
        "decision": "d1",
        "at": NOW,
        "author": "ann",
        "statement": "Hold the rollout",
        "decider": "carla",
        "review": str(BROKEN),
        "evidence": [f"{BROKEN}: {item}"],
        "options": ["roll back"],
        "model": "eta",
        "choice": "hold",
    }
    store.write_records([action, said, decision])
    return body


@pytest.fixture(scope="module")
def mended(store, broken):
    return freeze.freeze(store, MENDED, author="ann", now=NOW)


def errors(week, version="1"):
    """Absolute errors of a week's predictions, by the labels that had arrived by its end, computed by hand from the records."""
    lines = review_world.records()
    label = {each["id"]: each["value"] for each in lines if each["kind"] == "label" and each["received_at"] <= review_world.stamp(week.end)}
    rows = [each for each in lines if each["kind"] == "prediction" and each["id"].startswith(f"{week}-") and each["version"] == version]
    rows = [each for each in rows if each.get("environment") is None]
    return np.array([abs(each["score"] - label[each["id"]]) for each in rows if each["id"] in label])


def test_the_week_of_the_planted_fault_leads_with_one_item_and_has_the_figures_of_its_records(broken):
    (part,) = broken["models"]
    by_hand = errors(BROKEN)
    assert part["served"] == 7 * review_world.A_DAY
    assert part["strip"]["performance"]["value"] == pytest.approx(by_hand.mean())
    assert part["strip"]["performance"]["n"] == by_hand.size
    assert part["severity"] == "act"
    assert broken["agenda"][0]["severity"] == "act"
    assert part["strip"]["performance"]["differs"] == "yes"
    assert 0.85 < part["strip"]["labels"]["value"] < 0.95


def test_a_frozen_week_is_not_frozen_again_and_can_be_made_anew(store, broken):
    assert freeze.freeze(store, BROKEN, author="zoe", now=NOW + timedelta(days=1)) == broken
    anew = week_snapshot(store, BROKEN, frozen_at=NOW, earlier=freeze.earlier_weeks(store, BROKEN, NOW))
    assert freeze.canonical_week(anew) == freeze.canonical_week(broken)


def test_a_metric_that_moved_before_the_action_was_done_is_no_effect_of_it(mended):
    (promise,) = mended["promises"]
    assert promise["owner"] == "bob"
    assert promise["overdue"]
    assert (promise["stage"], promise["moved"]["answer"]) == ("assigned", "moved before the action")
    assert promise["moved"]["goal_reached"] is True
    low, high = promise["moved"]["improvement"][1:]
    assert low < errors(BROKEN).mean() - errors(MENDED).mean() < high
    assert "does not prove causation" in promise["moved"]["sentence"]
    assert any(each["item"] == "action:a1" for each in mended["agenda"])


def test_the_effect_is_judged_after_the_action_was_done(store, mended):
    goal = replace(MAE, goal=6.0)
    told = [movement_of_action(store, goal, BROKEN, done, MENDED).answer for done in (None, BROKEN, MENDED)]
    assert told == ["moved before the action", "yes", "too early"]


def test_a_better_version_is_compared_on_the_same_rows(store, mended):
    found = metric_movement(store, replace(MAE, goal=2.0), MENDED, BETTER)
    assert (found.how, found.answer) == ("same rows", "yes")
    lines = review_world.records()
    label = {
        each["id"]: each["value"] for each in lines if each["kind"] == "label" and each["received_at"] <= review_world.stamp(BETTER.end)
    }
    score = {each["id"]: each["score"] for each in lines if each["kind"] == "prediction"}
    pairs = [
        (abs(score[name] - value), abs(score[f"{name}-old"] - value)) for name, value in label.items() if name.startswith(f"{BETTER}-")
    ]
    new, old = np.array(pairs).T
    assert found.now[0] == pytest.approx(new.mean())
    assert found.before[0] == pytest.approx(old.mean())
    assert found.improvement[0] == pytest.approx((old - new).mean())
    assert "version 2" in found.sentence


def test_a_slice_is_compared_on_its_own_rows(store, mended):
    found = metric_movement(store, replace(MAE, analyzer="serving/slices", slice="replica=r1"), MENDED, BETTER)
    lines = review_world.records()
    label = {
        each["id"]: each["value"] for each in lines if each["kind"] == "label" and each["received_at"] <= review_world.stamp(BETTER.end)
    }
    score = {each["id"]: each["score"] for each in lines if each["kind"] == "prediction"}
    odd = [name for name in label if name.startswith(f"{BETTER}-") and int(name.rpartition("-")[2]) % 2]
    assert (found.how, found.answer) == ("same rows", "yes")
    assert found.now[0] == pytest.approx(np.mean([abs(score[name] - label[name]) for name in odd]))
    assert found.before[0] == pytest.approx(np.mean([abs(score[f"{name}-old"] - label[name]) for name in odd]))
    assert f"On the same {len(odd):,} labelled predictions of {BETTER} in `replica=r1`" in found.sentence


def test_a_version_that_is_gone_is_replayed_on_the_stored_inputs(tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    rng = random.Random(1)
    rows = [review_world.row(rng, 4.0) for _ in range(400)]
    inputs = np.array([[each["km"], each["load"]] for each in rows])
    old = lightgbm.train(
        {"verbosity": -1, "num_leaves": 4, "num_threads": 1},
        lightgbm.Dataset(inputs, [each["label"] for each in rows], feature_name=["km", "load"]),
        10,
    )
    old.save_model(tmp_path / "old.txt")
    with review_world.build(tmp_path / "home", shadow=False, artifact=tmp_path / "old.txt") as store:
        found = metric_movement(store, MAE, MENDED, BETTER)
    lines = review_world.records()
    label = {
        each["id"]: each["value"] for each in lines if each["kind"] == "label" and each["received_at"] <= review_world.stamp(BETTER.end)
    }
    served = [
        each for each in lines if each["kind"] == "prediction" and each.get("environment") is None and each["id"].startswith(f"{BETTER}-")
    ]
    served = [each for each in served if each["id"] in label]
    said = old.predict(np.array([[each["features"]["km"], each["features"]["load"]] for each in served]))
    truth = np.array([label[each["id"]] for each in served])
    assert found.how == "same rows"
    assert "replayed on" in found.sentence
    assert "simulated" in found.sentence
    assert found.before[0] == pytest.approx(np.abs(said - truth).mean())
    assert found.now[0] == pytest.approx(np.abs(np.array([each["score"] for each in served]) - truth).mean())
    assert found.answer == "yes"


def test_late_labels_change_nothing_that_is_frozen(store, broken, mended):
    before = {
        review: (freeze.canonical_week(freeze.stored_week(store, review)), page(store, review)) for review in (str(BROKEN), str(MENDED))
    }
    review_world.load_late(store)
    for review, (body, html) in before.items():
        assert freeze.canonical_week(freeze.stored_week(store, review)) == body
        frozen, since = html.split('<h2 id="restated">')[0], page(store, review)
        assert since.split('<h2 id="restated">')[0] == frozen
    assert 'id="restated"' in page(store, str(BROKEN))


def page(store, review):
    return export_review.review_html(store, review, NOW)


def test_an_unfinished_or_unfrozen_week_raises_an_error(store, broken):
    with pytest.raises(UsageError, match="is not over"):
        freeze.freeze(store, WEEKS[-1].back(-2), author="ann", now=NOW)
    with pytest.raises(NotFoundError, match="is not frozen"):
        freeze.stored_week(store, "2001-W01")


def test_exported_files_hold_what_people_wrote_as_inert_text(store, broken):
    html = page(store, str(BROKEN))
    assert invalid(html) == []
    assert "<script" not in html
    assert "<b>metres</b>" not in html
    assert "&lt;b&gt;metres" in html
    assert "Hold the rollout" in html
    rows = list(csv.reader(io.StringIO(export_review.minutes(store, str(BROKEN), NOW))))
    assert [each[1] for each in rows if each[1] in ("decision", "action")] == ["decision", "action"]
    assert any(each[4] == "Acted on" for each in rows)
    assert "acted on" in export_review.review_markdown(store, str(BROKEN), NOW)
    day = BROKEN.end + timedelta(days=3)
    due, told = f"{day:%Y-%m-%d}", f"bob, due {format_day(day)} (overdue), assigned"
    assert told in html, "owner, due date and stage are shown at the agenda item, in addition to who wrote it"
    assert all(f"<td>{cell}</td>" in html for cell in ("bob", "assigned"))
    assert f"Log kilometres again ({told})" in export_review.review_markdown(store, str(BROKEN), NOW)
    (action,) = export_review.review_json(store, broken, NOW)["meeting"]["actions"]
    assert (action["owner"], action["due"][:10], action["stage"], action["author"]) == ("bob", due, "assigned", "ann")
    assert [(each[4], each[7], each[8][:10]) for each in rows if each[1] == "action"] == [("assigned", "bob", due)]
    assert export_review.inert_cells(["=1+1", "@x", "fine", None]) == ["'=1+1", "'@x", "fine", ""]
    assert export_review.chat_text("<!here> @all `km` https://x") == "\\<!here\\> @\u2060all `km` https:\u2060//x"


def test_every_file_marks_an_agreed_action_from_the_day_after_its_due_date(store, broken):
    due, review = BROKEN.end + timedelta(days=3), str(BROKEN)
    for now, late in ((due + timedelta(hours=23), False), (due + timedelta(days=1), True)):
        words = f"bob, due {format_day(due)}{' (overdue)' if late else ''}, assigned"
        html = export_review.review_html(store, review, now)
        assert (words in html, f"<td>{format_day(due)}<br>" in html, f"As of {format_day(now)}." in html) == (True, late, True)
        deck = review_deck.review_deck(store, review, now)
        assert f"<td>Log kilometres again</td><td>{words}</td>" in deck and f"state on {format_day(now)}" in deck
        assert f"Actions, as of {format_day(now)}:\n- Log kilometres again ({words})" in export_review.review_markdown(store, review, now)
        held = export_review.review_json(store, broken, now)["meeting"]
        assert ([each["overdue"] for each in held["actions"]], held["as_of"], held["closed"]) == ([late], f"{now:%Y-%m-%d}", None)
        rows = csv.DictReader(io.StringIO(export_review.minutes(store, review, now)))
        states = [(each["overdue"], each["as_of"]) for each in rows if each["what"] == "action"]
        assert states == [("yes" if late else "no", f"{now:%Y-%m-%d}")]


def test_exported_files_leave_out_groups_below_ten_rows_and_state_that_they_do(store, broken, monkeypatch):
    few = broken["models"][0]["findings"][0] | {"id": "f3w", "slice": "job=cook", "n": 3, "because": "cooks get worse answers"}
    led = broken["models"][0]["incidents"][0] | {"incident": "1nc", "lead": "f3w", "sentence": few["because"], "findings": ["f3w"]}
    item = export_review.items_of(broken)[0].to_json() | {"item": "i", "title": few["because"], "about": {"incident": "1nc"}, "also": []}
    part = {**broken["models"][0], "findings": [few, *broken["models"][0]["findings"]], "incidents": [led]}
    week = {**broken, "models": [part, *broken["models"][1:]], "agenda": [item, *broken["agenda"]]}
    for module in (export_review, review_deck):
        monkeypatch.setattr(module, "stored_week", lambda store, review: week)
    files = [page(store, str(BROKEN)), review_deck.review_deck(store, str(BROKEN), NOW), export_review.minutes(store, str(BROKEN), NOW)]
    files += [export_review.review_markdown(store, str(BROKEN), NOW), json.dumps(export_review.review_json(store, week, NOW))]
    assert not [place for place, text in enumerate(files) if few["because"] in text or "1nc" in text]
    said = "Left out: 1 finding about groups of fewer than 10 rows."
    assert all(said in text for text in files[:4]) and export_review.review_json(store, week, NOW)["suppressed"] == 1


def test_an_agenda_item_has_a_chart_a_comparison_with_the_reference_and_the_worst_slice(store, broken):
    item = export_review.items_of(broken)[0]
    figure = item_figure(broken, item)
    assert figure is not None and figure.model == "eta" and len(figure.days) >= 7
    assert figure.title in figure.comparison and "this week" in figure.comparison and "n = " in figure.comparison
    html = page(store, str(BROKEN))
    first = html.partition('<li id="item-1">')[2].partition("</li>")[0]
    assert "<svg" in first and figure.comparison in first
    found = {"analyzer": "serving/slices", "slice": "replica=r1", "severity": "act", "id": "s1", "metric": "mae", "unit": ""}
    part = {
        **broken["models"][0],
        "findings": [*broken["models"][0]["findings"], found | {"value": 9.0, "low": 8.0, "high": 10.0, "n": 40}],
    }
    assert (
        item_figure({**broken, "models": [part]}, item).worst_words
        == "Worst slice: replica = r1, Mean absolute error 9.00 (8.00 to 10.0), n = 40."
    )
    costly = [each | {"analyzer": "operations/energy"} if each["id"] == figure.finding["id"] else each for each in part["findings"]]
    assert item_figure({**broken, "models": [{**part, "findings": costly}]}, item).worst is None, "a slice has no energy figure"
    assert item_figure(broken, replace(item, about={}, also=())) is None, "an item about no finding has no chart"


def test_a_meeting_is_closed_and_opened_again(store, broken):
    about = {"kind": "agenda", "review": str(BROKEN), "item": MEETING, "author": "zoe"}
    store.write_records([about | {"does": "close", "at": NOW + timedelta(days=3)}])
    assert closed_by(freeze.said_about(store, str(BROKEN)))["author"] == "zoe"
    html = page(store, str(BROKEN))
    told = f"The meeting was closed by zoe, {format_minute(NOW + timedelta(days=3))}."
    assert told in html and invalid(html) == []
    deck = review_deck.review_deck(store, str(BROKEN), NOW)
    assert told in deck and "then close the meeting" not in deck
    assert told in export_review.review_markdown(store, str(BROKEN), NOW)
    held = export_review.review_json(store, broken, NOW)["meeting"]
    assert held["agenda"][-1]["does"] == "close" and held["closed"] == {"author": "zoe", "at": iso(NOW + timedelta(days=3))}
    note = about | {"item": broken["agenda"][0]["item"], "does": "note", "text": "=1+1 the depot says so", "at": NOW + timedelta(days=1)}
    store.write_records([note])
    assert "   - zoe: =1+1 the depot says so" in export_review.review_markdown(store, str(BROKEN), NOW), "Regression: notes were missing"
    table = list(csv.reader(io.StringIO(export_review.minutes(store, str(BROKEN), NOW))))
    assert table[0][:10] == ["review", "what", "model", "text", "outcome", "author", "at", "owner", "due", "metric"], (
        "people read the columns by position"
    )
    rows = [dict(zip(table[0], row, strict=True)) for row in table[1:]]
    (noted,) = [row for row in rows if row["what"] == "note"]
    assert (noted["text"], noted["author"], noted["model"]) == ("'=1+1 the depot says so", "zoe", "eta")
    assert noted["at"] == iso(note["at"]) and noted["item"] == broken["agenda"][0]["title"]
    assert [row["reason"] for row in rows if row["outcome"] == "Acted on"] == ["'=SUM(A1) <b>metres</b>"]
    assert [(row["author"], row["at"]) for row in rows if row["what"] == "closing"] == [("zoe", iso(NOW + timedelta(days=3)))]
    store.write_records([about | {"does": "reopen", "at": NOW + timedelta(days=4)}])
    assert ",closing," not in export_review.minutes(store, str(BROKEN), NOW)
    assert closed_by(freeze.said_about(store, str(BROKEN))) is None


def test_the_answer_about_an_action_appears_once_beside_the_action(broken):
    promise = {
        "action": "a1",
        "text": "Mend it",
        "owner": "bob",
        "due": None,
        "overdue": False,
        "state": "open",
        "why": None,
        "since": "2026-W01",
    }
    promise |= {
        "moved": {"answer": "not done yet", "sentence": "Not done yet. The error was not measured."},
        "weeks": 1,
        "escalated": False,
    }
    promise |= {"model": "eta", "reason": None, "stage": "assigned"}
    html = export_review.rendered_week(broken | {"promises": [promise]}, export_review.arranged_agenda([], []), (), (), ())
    assert "<strong>Not done yet</strong>. The error was not measured." in html


def test_the_ledger_lists_deploys_and_decisions_newest_first(store, broken):
    found = change_entries(store, BETTER.start - timedelta(days=1), NOW + timedelta(days=1))
    assert {"deploy", "decision"} <= {each.sort for each in found}
    assert [each.at for each in found] == sorted((each.at for each in found), reverse=True)
    known = change_entries(store, BETTER.start - timedelta(days=1), NOW + timedelta(days=1), as_of=BETTER.start - timedelta(hours=1))
    assert "deploy" not in {each.sort for each in known}


def test_the_ledger_holds_entries_of_people_the_frozen_week_and_opened_alerts(store, broken):
    store.write_records(
        [
            {"kind": "action", "action": "a1", "at": NOW + timedelta(minutes=5), "author": "bob", "state": "done", "reason": "Mended"},
            {
                "kind": "verdict",
                "verdict": "v0",
                "at": NOW,
                "model": "eta",
                "prediction": "p",
                "author": "bob",
                "source": "input",
                "state": "withdrawn",
            },
            {
                "kind": "alert",
                "incident": "i1",
                "at": NOW,
                "author": "the dashboard",
                "says": "opened",
                "title": "km is odd.",
                "model": "eta",
            },
            {"kind": "alert", "incident": "i1", "at": NOW + timedelta(minutes=1), "author": "bob", "says": "acknowledged"},
            {"kind": "alert", "incident": "i1", "at": NOW + timedelta(minutes=2), "author": "bob", "says": "useful"},
        ]
    )
    found = {(each.sort, each.title, each.author) for each in change_entries(store, NOW, NOW + timedelta(days=1))}
    assert {
        ("action", "Action open: Log kilometres again.", "ann"),
        ("action", "Action done: Log kilometres again.", "bob"),
        ("verdict", "A verdict on prediction p was withdrawn.", "bob"),
        ("alert", "Alert opened: km is odd.", "the dashboard"),
        ("alert", "Alert acknowledged: km is odd.", "bob"),
        ("review", f"Week {BROKEN} was frozen.", "ann"),
    } <= found
    assert not any(title.startswith("Alert useful") for _, title, _ in found)
    lately = changes.recent_entries(change_entries(store, BROKEN.start, NOW + timedelta(days=1)), NOW)
    assert {each.author for each in lately} == {"ann", "bob"}


def test_the_files_name_the_model_and_lead_from_a_decision_to_its_item(store, broken):
    item = broken["agenda"][0]
    store.write_records(
        [
            {
                "kind": "decision",
                "decision": "d7",
                "at": NOW + timedelta(days=2),
                "author": "ann",
                "statement": "Read metres",
                "decider": "ann",
                "review": str(BROKEN),
                "evidence": [str(Evidence(item["title"].replace("`", ""), str(BROKEN), item["item"]))],
            }
        ]
    )
    html = page(store, str(BROKEN))
    place = next(
        number
        for number, each in enumerate(export_review.arranged_agenda(export_review.items_of(broken), []).items, 1)
        if each.item == item["item"]
    )
    assert f'<a href="#item-{place}">' in html
    assert f'<li id="item-{place}">' in html
    assert f"[{item['item']}]" not in html, "nobody needs to read ids"
    assert invalid(html) == []
    assert "1. eta: " in export_review.review_markdown(store, str(BROKEN), NOW)


def test_the_review_command_names_the_model_and_the_file_that_it_cannot_write(store, broken, tmp_path):
    def ask(to):
        return commands.review(
            store, Namespace(week=str(BROKEN), author="ann", out=str(to), json=False, pre_read=False, to=[]), lambda words: None
        )

    assert "Critical eta: " in ask(tmp_path / "week.md").out
    with pytest.raises(UsageError, match="cannot be written"):
        ask(tmp_path / "no such folder" / "week.md")


def test_a_verdict_belongs_to_the_week_of_its_prediction(store, broken):
    body = {"kind": "verdict", "at": NOW, "model": "eta", "author": "bob", "source": "input", "wrong": "yes"}
    store.write_records(
        [
            {**body, "verdict": "v1", "prediction": f"{BROKEN}-3", "note": "metres"},
            {**body, "verdict": "v2", "prediction": f"{BROKEN}-4", "state": "withdrawn"},
            {**body, "verdict": "v3", "prediction": f"{MENDED}-3"},
            {**body, "verdict": "v4", "prediction": "nowhere"},
        ]
    )
    found, sentence = week_verdicts(store, BROKEN)
    assert [(each.prediction, each.note, each.recurring) for each in found] == [(f"{BROKEN}-3", "metres", False)]
    assert sentence.startswith("1 of 1 confirmed error came from upstream data")
    (later,), _ = week_verdicts(store, MENDED)
    assert later.recurring


def test_without_weasyprint_writing_a_pdf_fails_and_the_error_suggests_alternatives(store, broken, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(UsageError, match="writing a PDF needs weasyprint") as said:
        commands.review(
            store,
            Namespace(week=str(BROKEN), author="ann", out=str(tmp_path / "week.pdf"), json=False, pre_read=False, to=[]),
            lambda words: None,
        )
    assert "pip install weasyprint" in str(said.value) and "print the HTML" in str(said.value)
    assert not (tmp_path / "week.pdf").exists()


def test_the_printed_week_splits_no_chart_and_cuts_no_table(store, broken):
    """Rendered to A4 pages: every chart is on one page, and nothing extends beyond the edge of the paper."""
    weasyprint = pytest.importorskip("weasyprint", exc_type=OSError if find_spec("weasyprint") else ImportError)
    document = weasyprint.HTML(string=page(store, str(BROKEN)), url_fetcher=export_review.refuse_fetch).render()
    assert export_review.pdf(store, str(BROKEN), NOW).startswith(b"%PDF")
    charts = 0
    for sheet in document.pages:
        for box in sheet._page_box.descendants():
            tag = (box.element_tag or "").rpartition("}")[2]
            if tag in ("svg", "table"):
                assert box.position_x + box.width <= sheet.width
            if tag == "svg":
                charts += 1
                assert box.height < 200
                assert box.position_y + box.height <= sheet.height
    assert charts == page(store, str(BROKEN)).count("<svg")
