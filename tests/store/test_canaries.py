"""Canaries of exports are found in any field of later predictions, and only there."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from observability.core.window import EPOCH, Window
from observability.monitoring import check
from observability.server.access import Person
from observability.server.guarded_store import guarded_store
from observability.store.db.database import Database
from tests.support.new_store import new_store
from tests.support.reference_engine import ReferenceEngine

OUT = datetime(2026, 3, 2, tzinfo=UTC)
END = OUT + timedelta(days=7)
TEXT = "zq-canary-77f3"
ROW = {"age": 41, "job": "lamplighter", "owns": True}


def prediction(name: str, day: float, model: str = "loan", **fields: object) -> dict[str, object]:
    at = OUT + timedelta(days=day)
    body = {"kind": "prediction", "id": name, "at": at, "received_at": at, "model": model, "version": "1", "score": 0.4}
    return {**body, "features": {"age": 30, "job": "cook", "owns": False}, **fields}


def export_event(canaries: list[dict[str, object]], **fields: object) -> dict[str, object]:
    return {
        "kind": "event",
        "what": "export",
        "at": OUT,
        "received_at": OUT,
        "text": "extract",
        "recipient": "acme",
        "canaries": canaries,
        **fields,
    }


def seen(store: Database, **window: object) -> set[tuple[str, str, str]]:
    rows = store.canary_sightings(Window(**{"model": "", "start": EPOCH, "end": END, **window}))  # type: ignore[arg-type]
    return set(zip(rows["canary"], rows["id"], rows["place"], strict=True))


def test_canaries_are_found_in_features_answers_further_fields_and_planted_rows(tmp_path: Path) -> None:
    canaries = [
        {"name": "text", "text": TEXT},
        {"name": "row", "row": ROW},
        {"name": "short", "text": "cook"},
        {"name": "few", "row": {"age": 30}},
    ]
    lines = [
        export_event(canaries),
        export_event([{"name": "own", "row": ROW, "label": "1"}], source="dashboard"),
        prediction("before", -1, features={"age": 1, "job": TEXT, "owns": False}),
        prediction("feature", 1, features={"age": 1, "job": f"a {TEXT}!", "owns": False}),
        prediction("row", 2, features=ROW),
        prediction("nearly", 2, features={**ROW, "age": 42}),
        prediction("subject", 3, subject=f"{TEXT}-1"),
        prediction("other", 3),
        prediction("case", 3, subject=TEXT.upper()),
        prediction("answer", 4, "chat", prediction=f"It is {TEXT}.", environment="probe", item="q1", question="who?"),
        prediction("asked", 4, "chat", prediction="no", environment="probe", item="q1", question=f"say {TEXT}"),
        prediction("extra", 5, "chat", reply={"text": ["…", TEXT]}),
        prediction("later", 8, subject=TEXT),
    ]
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records(lines)
        found = seen(store)
        assert found == {
            ("text", "feature", "feature job"),
            ("row", "row", "all values of the row"),
            ("text", "subject", "the subject"),
            ("text", "answer", "the answer"),
            ("text", "extra", "a further field"),
        }
        assert {name for _, name, _ in seen(store, model="chat")} == {"answer", "extra"}
        assert {name for _, name, _ in seen(store, as_of=OUT + timedelta(days=3))} == {"feature", "row", "subject"}
        assert seen(store, as_of=OUT - timedelta(hours=1)) == set(), "at that time the export had not arrived"
        texts = {each for each in found if each[0] == "text"}
        by_hand = ReferenceEngine(store).canary_sightings(Window("", EPOCH, END))
        assert set(by_hand[by_hand["canary"] == "text"]["id"]) == {name for _, name, _ in texts}
        only_chat = guarded_store(store, Person("ann", None, (("chat", "viewer"),)))
        assert set(only_chat.canary_sightings(Window("", EPOCH, END))["model"]) == {"chat"}
        told = check.check(store, start=OUT, end=END, now=END, only=("trust/exports",)).findings
        assert {(each.subject, each.model) for each in told if each.severity == "act"} == {
            ("canary:text", "loan"),
            ("canary:text", "chat"),
            ("canary:row", "loan"),
        }
        assert store.events(None, EPOCH, END).empty, "an export does not change a model, so charts have no mark for it"


def test_canaries_are_found_in_labels_and_annotations_but_not_in_shown_content(tmp_path: Path) -> None:
    def annotation(item: str, day: float, **fields: object) -> dict[str, object]:
        at = OUT + timedelta(days=day)
        return {
            "kind": "annotation",
            "project": "notes",
            "item": item,
            "annotator": "a1",
            "at": at,
            "label": "no",
            "received_at": at,
            **fields,
        }

    def label(name: str, day: float, value: object, **fields: object) -> dict[str, object]:
        at = OUT + timedelta(days=day)
        return {"kind": "label", "id": name, "model": "loan", "at": at, "received_at": at, "value": value, **fields}

    lines = [
        export_event([{"name": "text", "text": TEXT}, {"name": "row", "row": ROW}]),
        *(prediction(name, 1) for name in ("p1", "p2", "p3", "p4")),
        label("p1", 2, f"as {TEXT}"),
        label("p2", 2, "no", reason=f"seen in {TEXT}"),
        label("p3", -1, TEXT),
        label("p4", 2, "no", text=TEXT),
        annotation("i1", 3, label=TEXT),
        annotation("i2", 3, suggestion=f"{TEXT}?"),
        annotation("i3", 3, text=TEXT),
        annotation("i4", 8, label=TEXT),
        annotation("i5", -1, label=TEXT),
    ]
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records(lines)
        assert seen(store) == {
            ("text", "p1", "the label"),
            ("text", "p2", "a further field of the label"),
            ("text", "i1", "the annotation"),
            ("text", "i2", "the suggestion"),
        }
        assert {name for _, name, _ in seen(store, model="loan")} == {"p1", "p2"}
        assert {name for _, name, _ in seen(store, as_of=OUT + timedelta(days=2, hours=1))} == {"p1", "p2"}
        told = [
            each for each in check.check(store, start=OUT, end=END, now=END, only=("trust/exports",)).findings if each.severity == "act"
        ]
        assert {(each.subject, each.model, each.value) for each in told} == {("canary:text", "loan", 2.0), ("canary:text", None, 2.0)}
        assert any("is in 2 labels of `loan`" in each.because for each in told) and any(
            "is in 2 annotations, " in each.because for each in told
        )


def test_a_record_of_a_kind_with_a_new_field_is_still_recognised_as_a_duplicate(tmp_path: Path) -> None:
    line = {"kind": "event", "what": "note", "at": OUT, "received_at": OUT, "text": "an old note"}
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records([line])
        with store.write() as writer:
            writer.execute("ALTER TABLE events DROP COLUMN recipient")
            writer.execute("UPDATE events SET content_hash = 12345")
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records([line])
        assert len(store.events(None, EPOCH, END)) == 1


def test_a_sighting_says_with_which_export_its_text_left(tmp_path: Path) -> None:
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        lines = [
            export_event([{"text": TEXT}], recipient="acme"),
            export_event([{"text": f"other-{TEXT[::-1]}"}], recipient="bolt"),
            prediction("came", 1, subject=f"{TEXT}-1"),
        ]
        store.write_records(lines)
        (row,) = store.canary_sightings(Window("", EPOCH, END)).to_dict("records")
    assert (row["canary"], row["recipient"], row["exported"]) == ("canary", "acme", OUT.replace(tzinfo=None))
