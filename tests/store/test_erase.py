"""No byte of the home, of its backups or of restored backups contains a forgotten subject. Data of other subjects are kept."""

import json
import shutil
import time

import duckdb
import pytest

from observability.client.spool import Spool
from observability.core.errors import StoreBrokenError, UsageError
from observability.core.finding import KEPT_FILE
from observability.records.keyed_hash import KEY_FILE, home_key, keyed_hash
from observability.records.kinds import KINDS
from observability.review.sentences import erased_when
from observability.store import removal
from observability.store.db.erasures import FILE, MARK, erasures
from observability.store.db.record_tables import kind_tables
from observability.store.db.schema import model_table
from observability.store.erase import forget_subject
from observability.store.erase_rows import LABELLING
from observability.store.ingest.loader import load_files, load_landing
from observability.store.opener import open_store, restore_home
from observability.store.registry import admin
from observability.store.rollup import rollup
from observability.store.types.erasing import elsewhere_lines
from observability.store.types.loading import LoadDefaults
from tests.store.conftest import query, rollups
from tests.support.bytes_of_home import found_in
from tests.support.landing import land
from tests.support.record_lines import AT, OTHERS, label, prediction

SUBJECT = "jane-77.Q@mail"
IDS = ("request-0a1b", "request-2c3d")


def fill(store):
    """Records about the subject and about others, in every part of the home that keeps records."""
    mine = [prediction(i, id=name, subject=SUBJECT, score=0.9, device="d1") for i, name in enumerate(IDS)]
    others = [prediction(i, id=f"other-{i}", subject=f"sub-{i}", comment=f"asked by {SUBJECT}?", score=0.3) for i in range(6)]
    about = {"model": "loan", "prediction": IDS[0]}
    week = {"models": [{"items": [f"case {IDS[0]} of {SUBJECT}", {"link": f"/case?id={IDS[1]}"}], "n": 3}]}
    land(
        store, *mine, *others, *(label(id=name, annotator="ann") for name in IDS), label(id="other-0"),
        prediction(id="request-9", subject=SUBJECT, score="high"),
        b'{"kind": "prediction", "subject": "' + SUBJECT.encode() + b'"',
        {"kind": "event", **OTHERS["event"], "text": f"called {SUBJECT}"}, {"kind": "event", **OTHERS["event"], "subject": SUBJECT},
        {"kind": "saved_case", **OTHERS["saved_case"], **about},
        {"kind": "saved_case", **OTHERS["saved_case"], "prediction": "other-0", "saved_case": "s2", "note": f"as {SUBJECT} said"},
        {"kind": "verdict", **OTHERS["verdict"], **about}, {"kind": "action", **OTHERS["action"], **about, "text": "ask the person"},
        {"kind": "action", **OTHERS["action"], "at": "2024-03-02T10:00:00Z", "state": "done"},
        {"kind": "review", **OTHERS["review"], "body": week},
        {"kind": "signature", **OTHERS["signature"]},
    )  # fmt: skip
    load_landing(store)
    land(store, prediction(id="waits", subject=SUBJECT), prediction(id="stays"), label(id=IDS[1], value=0))
    failed = store.landing / "failed"
    failed.mkdir()
    (failed / "a.jsonl").write_text(json.dumps(prediction(subject=SUBJECT)) + "\n")
    (failed / "a.jsonl.reason").write_text(f"cannot read {SUBJECT}")
    (store.home / "damaged-20260101T000000-store.duckdb").write_text(SUBJECT)
    (store.home / KEPT_FILE).write_text(json.dumps({"kept": [SUBJECT]}))
    (store.home / "audits").mkdir()
    (store.home / "audits" / f"{'0a' * 12}.json").write_text(json.dumps({"texts": {"cases": {"typo": [[0, f"{SUBJECT} writes"]]}}}))
    (store.home / "audits" / "schedule-state.json").write_text("{}")


def test_a_forgotten_subject_is_in_no_byte_of_the_home_and_its_backups(store, tmp_path):
    fill(store)
    store.backup(tmp_path / "backups")
    store.backup(tmp_path / "more")
    old = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "backups", old)
    store.cursor().execute("CHECKPOINT")
    assert found_in(store.home, SUBJECT) and found_in(tmp_path / "backups", SUBJECT, IDS[0])
    told = []
    body = forget_subject(store, SUBJECT, by="Ada", progress=told.append)
    assert found_in(store.home, SUBJECT, *IDS) == [] and found_in(tmp_path / "backups", SUBJECT, *IDS) == []
    assert found_in(tmp_path / "more", SUBJECT, *IDS) == [] and any("rewriting" in text for text in told)
    assert body["predictions"] == {"loan": 2} and body["reviews"] == 1 and len(body["backups"]["rewritten"]) == 2
    assert body["set_aside"] == ["damaged-20260101T000000-store.duckdb"] and body["left"] == []
    assert SUBJECT not in json.dumps(body) and erasures(store.home)[0].by == "Ada" and erasures(store.home)[0].finished
    assert keyed_hash(home_key(store.home), SUBJECT) == body["hash"] and body["hash"] in (store.home / FILE).read_text()
    assert not list((tmp_path / "backups").rglob(KEY_FILE))
    # the data of others are kept, and rollups equal a count of the raw rows
    assert query(store, "SELECT count(*), count(DISTINCT subject) FROM predictions_1") == [(6, 6)]
    assert query(store, "SELECT id FROM labels_1") == [("other-0",)] and query(store, "SELECT count(*) FROM signatures") == [(1,)]
    assert [text for (text,) in query(store, "SELECT text FROM events")] == [f"called {MARK}"]
    assert query(store, "SELECT prediction FROM saved_cases") == [("other-0",)]
    assert query(store, "SELECT count(*) FROM verdicts") == query(store, "SELECT count(*) FROM actions") == [(0,)]
    ((review,),) = query(store, "SELECT body FROM reviews")
    assert json.loads(review)["models"][0]["items"][0] == f"case {MARK} of {MARK}" and len(json.loads(review)["erased"]) == 1
    assert "Erased on request" in erased_when(json.loads(review)) and erased_when({"models": []}) == ""
    kept = rollups(store)
    with store.write() as writer:
        rollup.rebuild_rollups(writer, "loan")
    assert rollups(store) == kept and kept[0]
    assert [path.name for path in (store.home / "audits").iterdir()] == ["schedule-state.json"]
    # a backup that was kept elsewhere is erased again during the restore
    for folder in (old, tmp_path / "backups"):
        home = tmp_path / f"restored-from-{folder.name}"
        home.mkdir()
        shutil.copy(store.home / KEY_FILE, home / KEY_FILE)
        shutil.copy(store.home / FILE, home / FILE)
        restore_home(home, folder)
        assert found_in(home, SUBJECT, *IDS) == []
        with open_store(home) as restored:
            assert query(restored, "SELECT count(*) FROM predictions_1 WHERE id LIKE 'other-%'") == [(6,)]


def naming(kind, name):
    """Records of a kind that contain the name of a subject in each of their texts, lists and objects, and in unknown fields."""
    base = {"kind": kind, **OTHERS[kind]}
    own = {kind, "model", "version", "subject", "prediction"}  # an id chosen by the user is a name, which later records repeat
    texts = [field.name for field in KINDS[kind].fields.values() if field.type in ("text", "scalar") and not field.values]
    changes = [{field: f"as {name} said"} for field in texts if field not in own]
    changes += [{field.name: [name, {"deep": name}]} for field in KINDS[kind].fields.values() if field.type == "list"]
    changes += [{field.name: {"of": [name]}} for field in KINDS[kind].fields.values() if field.type == "object" and not field.members]
    changes += [{field.name: {name: 1}} for field in KINDS[kind].fields.values() if field.type == "object" and field.members == "number"]
    changes.append({"unknown": {"deep": [{"who": name}]}})
    return [base | change | ({kind: f"{kind}-{place}"} if kind in texts else {}) for place, change in enumerate(changes)]


def test_no_kind_of_record_names_a_forgotten_subject_or_its_prediction(store, tmp_path):
    named = [record for name in (SUBJECT, IDS[0]) for kind in OTHERS for record in naming(kind, name)]
    land(store, prediction(id=IDS[0], subject=SUBJECT), prediction(1, about=f"see {IDS[0]}"), label(1, see=IDS[0]), *named)
    report = load_landing(store)
    assert report.rejected == 0, report.examples
    store.backup(tmp_path / "backups")
    shutil.copytree(tmp_path / "backups", tmp_path / "old")
    forget_subject(store, SUBJECT)
    assert found_in(tmp_path / "home", SUBJECT, *IDS) == [] and found_in(tmp_path / "backups", SUBJECT, *IDS) == []
    again = {table: query(store, f"SELECT count(*) FROM {table}")[0][0] for table in kind_tables().values()}
    assert sum(again.values()) == report.stored - 3 and all(again.values()), "other records lose a word, but no record is lost"
    (tmp_path / "restored").mkdir()
    for file in (KEY_FILE, FILE):
        shutil.copy(store.home / file, tmp_path / "restored" / file)
    restore_home(tmp_path / "restored", tmp_path / "old")
    assert found_in(tmp_path / "restored", SUBJECT, *IDS) == []


def test_annotations_of_a_forgotten_prediction_are_erased_and_other_items_stay(store, landed):
    items = (IDS[0], "other-1", "p1")
    given = [
        {"kind": kind, **OTHERS[kind], "project": project, "item": item}
        for kind in LABELLING
        for item in items
        for project in ("loan", "q")
    ]
    landed(prediction(id=IDS[0], subject=SUBJECT), prediction(id="p1", subject=SUBJECT), prediction(2), *given)
    forget_subject(store, SUBJECT)
    for table in (kind_tables()[kind] for kind in LABELLING):
        rows = set(query(store, f"SELECT project, item FROM {table}"))
        assert rows == {("loan", "other-1"), ("q", "other-1"), ("q", "p1"), ("q", MARK)}, (
            "the id p1 in another project belongs to someone else"
        )


def test_images_of_a_forgotten_subject_are_deleted_and_images_that_others_name_stay(store, tmp_path):
    (store.home / "images" / "faces").mkdir(parents=True)
    for name in ("faces/jane.png", "shared.png", "other.png", "job.png"):
        (store.home / "images" / name).write_bytes(name.encode())
    (store.home / "images.toml").write_text("")
    land(
        store,
        prediction(
            0, subject=SUBJECT, photo="faces/jane.png", logo="shared.png", up="../images.toml", features={"age": 3, "job": "job.png"}
        ),
        prediction(1, photo="other.png", logo="shared.png"),
    )
    load_landing(store)
    store.backup(tmp_path / "backups")
    assert forget_subject(store, SUBJECT)["rows"]["images"] == 2
    for folder in (store.home, next((tmp_path / "backups").glob("backup-*"))):
        left = {str(path.relative_to(folder / "images")) for path in (folder / "images").rglob("*.png")}
        assert left == {"shared.png", "other.png"} and (folder / "images.toml").exists()


def test_an_erasure_that_goes_on_looks_for_ids_whose_rows_are_gone(store, landed, monkeypatch):
    landed(prediction(id=IDS[0], subject=SUBJECT), prediction(1, about=f"see {IDS[0]}"))
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "rewrite", lambda *_: (_ for _ in ()).throw(StoreBrokenError("the disk is full")))
        patch.setattr("observability.store.erase._clean_landing", lambda *_: 0)
        with pytest.raises(StoreBrokenError):
            forget_subject(store, SUBJECT)
    assert found_in(store.landing, IDS[0])
    forget_subject(store, SUBJECT)
    assert found_in(store.home, SUBJECT, IDS[0]) == []


def test_later_records_of_a_forgotten_subject_are_refused(store, landed, tmp_path):
    landed(prediction(id=IDS[0], subject=SUBJECT), prediction(1))
    forget_subject(store, SUBJECT)
    report = landed(
        prediction(2, subject=SUBJECT), label(id=IDS[0]), label(1),
        prediction(3, features={"age": 1}, note="x"), b'{"subject": "jane\\u002d77.Q@mail", "kind": ',
    )  # fmt: skip
    assert (report.lines, report.stored, report.reasons) == (5, 2, {"erased": 3})
    file = tmp_path / "later.csv"
    file.write_text(f"id,at,score,subject,age\nl1,{AT},0.5,{SUBJECT},3\nl2,{AT},0.5,else,3\n")
    report = load_files(store, [file], LoadDefaults(kind="prediction", model="loan", version="1"))
    assert (report.lines, report.stored, report.rejected) == (2, 1, 1)
    store.cursor().execute("CHECKPOINT")
    assert found_in(store.home, SUBJECT, IDS[0], "u002d77") == []
    assert admin.storage_status(store)["erasures"]["subjects"] == 1


def test_no_spelling_of_the_json_lets_a_forgotten_subject_in_again(store, landed):
    landed(prediction(id=IDS[0], subject=SUBJECT), prediction(1))
    forget_subject(store, SUBJECT)
    lines = [json.dumps(record) for record in (prediction(2, subject=SUBJECT), label(id=IDS[0]), prediction(3, subject="else"))]
    escaped = [line.replace('"subject"', '"subj\\u0065ct"').replace('"id"', '"\\u0069d"').encode() for line in lines]
    nested = json.dumps(prediction(4, subject=SUBJECT, about={"kind": "signature"})).encode()
    signature = {"kind": "signature", **OTHERS["signature"], "subject": SUBJECT}
    report = landed(*escaped, nested, signature)
    assert (report.lines, report.stored, report.reasons) == (5, 2, {"erased": 3})


def test_labels_of_a_forgotten_prediction_that_is_being_written_are_refused_too(store):
    load_landing(store)
    spool = Spool(store.landing, fsync="always", segment_seconds=1000)
    for record in (prediction(id=IDS[0], subject=SUBJECT), label(id=IDS[0]), prediction(1), label(1)):
        assert spool.append(json.dumps(record).encode() + b"\n")
    assert [left.partition(" ")[2] for left in forget_subject(store, SUBJECT)["left"]] == [
        "is being written; its lines are erased as they are loaded"
    ]
    spool.flush()
    report = load_landing(store)
    assert (report.stored, report.reasons) == (2, {"erased": 2})
    store.cursor().execute("CHECKPOINT")
    assert found_in(store.home, SUBJECT, IDS[0]) == []


def test_an_interrupted_erasure_is_reported_and_continues(store, landed, monkeypatch):
    landed(prediction(id=IDS[0], subject=SUBJECT), label(id=IDS[0]), prediction(1))
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "rewrite", lambda *_: (_ for _ in ()).throw(StoreBrokenError("the disk is full")))
        with pytest.raises(StoreBrokenError):
            forget_subject(store, SUBJECT)
    assert any("did not finish" in sentence for sentence in admin.storage_problems(store))
    assert landed(label(id=IDS[0], value=0)).reasons == {"erased": 1}
    forget_subject(store, SUBJECT)
    assert admin.storage_problems(store) == [] and found_in(store.home, SUBJECT, IDS[0]) == []
    assert landed(label(id=IDS[0], value=0)).reasons == {"erased": 1}


def test_nothing_is_loaded_without_the_key_of_an_erasure(store, landed):
    landed(prediction(subject=SUBJECT))
    forget_subject(store, SUBJECT)
    (store.home / KEY_FILE).rename(store.home / "away")
    (store.home / FILE).write_text((store.home / FILE).read_text())
    with pytest.raises(StoreBrokenError, match="key"):
        landed(prediction(5))
    assert any("is missing" in sentence for sentence in admin.storage_problems(store))
    (store.home / "away").rename(store.home / KEY_FILE)
    assert load_landing(store).stored == 1


def test_a_short_subject_is_erased_where_it_is_the_subject_and_not_inside_of_texts(store, landed):
    landed(prediction(0, subject="42", features={"job": "42"}), prediction(1, subject="7", features={"job": "42"}))
    body = forget_subject(store, "42")
    assert body["predictions"] == {"loan": 1} and body["texts"] == 0
    assert query(store, "SELECT id FROM predictions_1") == [("p1",)]
    with pytest.raises(UsageError, match="no subject"):
        forget_subject(store, "  ")


def test_a_removed_model_is_in_no_byte_of_the_home(store, landed):
    landed(*(prediction(i, subject=f"person-{i}", comment="said so") for i in range(300)), prediction(model="other", subject="kept-one"))
    store.cursor().execute("CHECKPOINT")
    size = store.path.stat().st_size
    told = []
    wait = json.dumps(prediction(900, subject="person-900")) + "\n" + json.dumps(prediction(901, model="other", subject="kept-two")) + "\n"
    for name in ("ready/1-a.jsonl", "failed/1-b.jsonl"):
        (store.landing / name).parent.mkdir(exist_ok=True)
        (store.landing / name).write_text(wait)
    (store.home / "replaced-20260101T000000-store.duckdb").write_bytes(b"person-3")
    removal.remove_model(store, "loan", progress=lambda done, total: told.append((done, total)))
    assert found_in(store.home, "person-", "said so") == [] and store.path.stat().st_size <= size
    assert found_in(store.home, "kept-one") and len(found_in(store.home, "kept-two")) == 2 and told[-1][0] == told[-1][1] > 0
    assert landed(prediction(9)).stored == 2, "the store still works, and the waiting record of the other model is loaded"


@pytest.mark.parametrize("kind", ["folder", "address"])
def test_a_removed_model_is_in_no_backup(tmp_path, kind):
    place = tmp_path / "backups" if kind == "folder" else f"file://{tmp_path}/backups"
    with open_store(tmp_path / "home") as store:
        land(store, *(prediction(i, model="other", subject=f"kept-{i}") for i in range(5)))
        store.load_landing()
        store.backup(place)  # a backup from before the model has records
        time.sleep(1.1)  # at an address, two backups within the same second would share a name
        land(store, *(prediction(i, subject=f"person-{i}") for i in range(5)))
        store.load_landing()
        store.backup(place)
        body = store.remove_model("loan")
        assert len(body["backups"]["rewritten"]) == 1 and body["backups"]["unreachable"] == [], (
            "only one backup is rewritten; the first does not contain the subject"
        )
        assert found_in(tmp_path, "person-") == []
    restore_home(tmp_path / "other", place)
    with open_store(tmp_path / "other") as restored:
        assert [model.name for model in restored.catalog().models] == ["other"]
        assert query(restored, "SELECT count(*) FROM predictions_1") == [(5,)]


def test_an_unreachable_backup_is_reported_when_a_model_is_removed(store, landed, tmp_path):
    landed(prediction())
    store.backup(tmp_path / "backups")
    shutil.rmtree(tmp_path / "backups")
    body = store.remove_model("loan")
    assert body["backups"]["unreachable"] == [str(tmp_path / "backups")]
    assert elsewhere_lines(body) == [f"Backups in {tmp_path / 'backups'} keep it: they could not be reached."]


def test_a_rewrite_that_fails_or_is_interrupted_leaves_the_old_file(store, landed, monkeypatch):
    landed(*(prediction(i, subject=f"s{i}") for i in range(5)))
    with monkeypatch.context() as patch:
        patch.setattr("observability.store.db.database.os.replace", lambda *_: (_ for _ in ()).throw(OSError("the disk refused")))
        with pytest.raises(StoreBrokenError, match="could not be rewritten"):
            store.rewrite()
    assert landed(prediction(7)).stored == 1 and not list(store.home.glob("*.rewritten*"))
    store.close()
    (store.home / "store.duckdb.rewritten").write_bytes(b"half a copy")
    with open_store(store.home) as again:
        assert query(again, "SELECT count(*) FROM predictions_1") == [(6,)] and not list(store.home.glob("*.rewritten*"))


def test_a_rewritten_store_answers_as_before_while_it_is_read(store, landed):
    import threading

    landed(*(prediction(i, subject=f"s{i}", label=i % 2) for i in range(50)))
    before, seen, stop = rollups(store), [], threading.Event()

    def read():
        while not stop.is_set():
            with store.cursor() as cursor:
                seen.append(cursor.execute(f"SELECT count(*) FROM {model_table('predictions', 1)}").fetchall())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(3):
            store.rewrite()
    finally:
        stop.set()
        thread.join()
    assert rollups(store) == before and set(map(tuple, seen)) == {((50,),)}
    with pytest.raises(duckdb.ConstraintException):
        query(store, "INSERT INTO models SELECT * FROM models")
