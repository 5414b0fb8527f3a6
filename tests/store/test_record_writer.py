"""Written records are complete and readable at once, and merged verdicts equal a count by hand."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from scipy.special import betaincinv

from observability.core.errors import StoreBrokenError, UsageError
from observability.store.ingest import landing, record_writer
from observability.store.query import decision_log
from observability.store.removal import remove_model
from observability.store.types import decision_items
from tests.store.conftest import query

T = datetime(2024, 3, 1, 10, tzinfo=UTC)


def verdict(**changes):
    return {"kind": "verdict", "verdict": "v1", "at": T, "model": "loan", "prediction": "p", "author": "Ada", "source": "input"} | changes


def action(**changes):
    return {"kind": "action", "action": "a1", "at": T, "author": "Ada"} | changes


def test_written_records_are_readable_at_once_durable_and_loaded_only_once(store):
    before = store.generation, store.unhurried
    record_writer.write_records(
        store, [verdict(note="sensor", action="a1"), action(text="fix the feed", due=T + timedelta(days=3), goal=0.5)]
    )
    (found,) = decision_log.logged_verdicts(store)
    (todo,) = decision_log.logged_actions(store)
    assert found.id == "v1" and found.state == "standing" and found.first == found.last
    assert found.fields == {"model": "loan", "prediction": "p", "source": "input", "note": "sensor", "action": "a1"}
    assert todo.fields == {"text": "fix the feed", "due": T + timedelta(days=3), "goal": 0.5} and todo.state == "open"
    assert store.generation > before[0] and store.unhurried == before[1], "a page shows the record at its next rerun"
    folders = {name: len(landing.segment_files(store.landing / name)) for name in ("open", "ready", "loaded")}
    assert folders == {"open": 0, "ready": 0, "loaded": 1}
    assert query(store, "SELECT lines, stored FROM manifest") == [(2, 2)]


def test_entries_of_two_people_about_one_prediction_are_all_kept(store):
    record_writer.write_records(store, [verdict(note="first", severity="low")])
    record_writer.write_records(store, [verdict(author="Grace", at=T + timedelta(minutes=2), note="second", source="label")])
    record_writer.write_records(
        store, [verdict(author="Ada", at=T + timedelta(minutes=1), severity="high", note="between")]
    )  # it arrives last, but has an earlier time
    (found,) = decision_log.logged_verdicts(store)
    assert [(each.author, each.fields["note"]) for each in found.entries] == [("Ada", "first"), ("Ada", "between"), ("Grace", "second")]
    assert found.fields["note"] == "second" and found.fields["severity"] == "high" and found.fields["source"] == "label"
    assert found.said("severity").at == T + timedelta(minutes=1) and found.said("wrong") is None
    assert (
        decision_log.logged_verdicts(store, "loan", "p") == (found,)
        and decision_log.logged_verdicts(store, "loan", "q") == decision_log.logged_verdicts(store, "other") == ()
    )
    assert decision_log.logged_verdicts(store, as_of=datetime.now(UTC) - timedelta(hours=1)) == ()


def test_an_updated_action_keeps_its_fields_and_verdicts_of_other_predictions_are_separate(store):
    record_writer.write_records(store, [action(model="loan", prediction="p", do="relabel"), verdict(), verdict(prediction="q")])
    record_writer.write_records(store, [action(author="Grace", state="done", at=T + timedelta(1))])
    (todo,) = decision_log.logged_actions(store, "loan", "p")
    assert todo.state == "done" and todo.fields["do"] == "relabel" and todo.last.fields == {"state": "done"}
    assert decision_log.logged_actions(store, "other") == () and len(decision_log.logged_verdicts(store)) == 2


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (verdict(source="the moon"), "degraded_path"),
        (verdict(author=""), "author"),
        (action(due="soon"), "due"),
        (action(due=datetime(2024, 1, 1)), "offset"),
        (action(text="x" * 2_000_000), "larger|more than"),
        ({"kind": "banana"}, "banana"),
    ],
)
def test_an_invalid_record_is_refused_with_a_message_and_nothing_is_stored(store, record, says):
    with pytest.raises(UsageError, match=says):
        record_writer.write_records(store, [verdict(), record])
    assert decision_log.logged_verdicts(store) == () and not (store.landing / "open").exists()


def test_if_the_disk_refuses_a_write_nothing_waits_and_the_write_can_be_repeated(store, monkeypatch):
    def full(_fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StoreBrokenError, match="No space left"):
            record_writer.write_records(store, [verdict()])
    assert decision_log.logged_verdicts(store) == ()
    assert [landing.segment_files(store.landing / name) for name in ("open", "ready", "loaded")] == [[], [], []]
    record_writer.write_records(store, [verdict()])
    assert len(decision_log.logged_verdicts(store)) == 1


def test_hostile_text_is_read_back_unchanged(store):
    words = "<script>alert(1)</script> **bold** \u202egnp.exe \"x' ; DROP TABLE verdicts; -- 🐘\n=1+1"
    record_writer.write_records(store, [verdict(note=words, author=words)])
    (found,) = decision_log.logged_verdicts(store)
    assert found.fields["note"] == words == found.first.author


def test_confirmed_errors_add_up_by_source(store):
    sources = ["input"] * 5 + ["label"] * 2 + ["unknown"] * 3
    record_writer.write_records(
        store, [verdict(verdict=f"v{i}", prediction=f"p{i}", source=each, wrong="yes") for i, each in enumerate(sources)]
    )
    others = [
        verdict(verdict="right", prediction="x", wrong="no"),
        verdict(verdict="label", prediction="y", wrong="label_wrong"),
        verdict(verdict="open", prediction="z"),
        verdict(verdict="again", prediction="p0", wrong="yes", at=T + timedelta(days=1)),  # a second verdict about one error does not count
        verdict(verdict="gone", prediction="w", wrong="yes"),
        verdict(verdict="gone", prediction="w", state="withdrawn", at=T + timedelta(days=1)),
    ]
    record_writer.write_records(store, others)
    shares = decision_items.error_sources(decision_log.logged_verdicts(store))
    assert [(each.source, each.errors) for each in shares] == [("input", 5), ("unknown", 3), ("label", 2)]
    # five of ten are few, so the interval is widened to the exact one-sided limits
    low, high = betaincinv(5, 6, 0.05), betaincinv(6, 5, 0.95)
    assert shares[0].share.low == pytest.approx(low) and shares[0].share.high == pytest.approx(high)
    assert decision_items.error_source_sentence(decision_log.logged_verdicts(store)) == (
        f"50 % of 10 confirmed errors came from upstream data (5; 95 % interval {100 * low:.0f} to {100 * high:.0f} %)."
    )


def test_a_few_errors_give_no_share(store):
    assert decision_items.error_source_sentence(()) is None
    record_writer.write_records(store, [verdict(wrong="yes")])
    assert (
        decision_items.error_source_sentence(decision_log.logged_verdicts(store))
        == "1 of 1 confirmed error came from upstream data; share shown after 10 errors, 9 more."
    )


def test_verdicts_and_actions_are_removed_with_their_model(store, landed):
    landed({"kind": "prediction", "id": "p", "at": "2024-03-01T10:00:00Z", "model": "loan", "version": "1", "features": {}, "score": 0.5})
    record_writer.write_records(store, [verdict(), action(model="loan")])
    assert remove_model(store, "loan")["records"] == 2
    assert decision_log.logged_verdicts(store) == decision_log.logged_actions(store) == ()
