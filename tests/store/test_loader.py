"""After any interruption every line has exactly one outcome: stored, a duplicate, or rejected with a reason."""

import json
import os
import random
import time
from datetime import UTC, datetime

import pytest

from observability.core.catalog import NOTED, RECORDED, UNNAMED
from observability.core.errors import StoreBrokenError
from observability.records.kinds import KINDS
from observability.store.db import catalog_store, database
from observability.store.db.record_tables import kind_tables
from observability.store.ingest import block as blocks
from observability.store.ingest import landing, loader
from observability.store.ingest.loader import load_landing
from observability.store.opener import open_store
from observability.store.types.loading import LoadReport
from tests.store.conftest import line_counts, query, rollups
from tests.support.landing import land
from tests.support.length import repeats, some
from tests.support.record_lines import AT, OTHERS, label, prediction


def counted(store):
    """The number of stored lines, by table. An inline label belongs to the line of its prediction."""
    models = store.catalog().models
    predictions, labels = (
        [query(store, f"SELECT count(*) FROM {table}_{model.key}")[0][0] for model in models] for table in ("predictions", "labels")
    )
    others = [query(store, f"SELECT count(*) FROM {table}")[0][0] for table in kind_tables().values()]
    return sum(predictions), sum(labels), sum(others)


def test_a_model_a_version_and_its_columns_are_made_when_first_seen(store, landed):
    assert line_counts(landed(prediction(), prediction(1, version="2", environment="shadow"))) == (2, 2, 0, 0)
    model = store.catalog().model("loan")
    assert model.task is None and [each.name for each in model.versions] == ["1", "2"]
    assert [(each.reference, each.kind) for each in model.columns] == [("feature.age", "number"), ("feature.job", "category")]
    assert catalog_store.stream_numbers(store.cursor(), model.key) == {("1", "production"): 0, ("2", "shadow"): 1}
    assert query(store, 'SELECT id, "at", status, f1, f2 FROM predictions_1 WHERE stream = 0') == [
        ("p0", datetime(2024, 3, 1, 10), "ok", 30, "cook")
    ]


def test_a_feature_that_comes_later_gets_its_column_in_the_same_load(store, landed):
    landed(prediction())
    landed(prediction(1, features={"age": 31, "job": "cook", "Age": 7, "new feature; DROP TABLE x": True}))
    model = store.catalog().model("loan")
    by_name = {each.name: each.column for each in model.columns}
    assert len(by_name) == 4 and len(set(by_name.values())) == 4
    assert query(store, f"SELECT {by_name['Age']}, {by_name['new feature; DROP TABLE x']} FROM predictions_1 ORDER BY id") == [
        (None, None),
        (7, True),
    ]


def test_id_hashes_and_sample_hashes_equal_the_documented_ones(store, landed):
    import hashlib

    landed(prediction())
    ((id_hash, sample),) = query(store, "SELECT id_hash = hash(id), sample_hash FROM predictions_1")
    assert id_hash and sample == int.from_bytes(hashlib.md5(b"p0").digest()[:8], "little")


def test_the_same_content_is_a_duplicate_and_other_content_is_rejected(store, landed):
    assert line_counts(landed(prediction(), prediction(1))) == (2, 2, 0, 0)
    shuffled = json.dumps(dict(reversed(prediction().items()))).encode()
    report = landed(shuffled, prediction(1, received_at="2024-03-09T00:00:00Z"), prediction(1, unheard_of=3), prediction(0, score=0.26))
    assert line_counts(report) == (4, 0, 3, 1)
    assert report.reasons == {"conflicting_duplicate": 1}
    ((line, reason, kind, model, raw),) = query(store, "SELECT line, reason, kind, model, raw FROM rejected")
    assert (line, reason, kind, model) == (4, "conflicting_duplicate", "prediction", "loan") and json.loads(raw)["score"] == 0.26
    assert query(store, "SELECT count(*) FROM predictions_1") == [(2,)]


@pytest.mark.parametrize(
    "change",
    some(
        [
            {"features": {"age": 31, "job": "cook"}},
            {"features": {"age": 30}},
            {"features": {"age": 30, "job": "cook", "more": 1}},
            {"at": "2024-03-01T10:00:00.000001Z"},
            {"status": "fallback"},
            {"latency_ms": 3},
            {"prediction": "1"},
            {"base_value": {"a": 0.1}},
            {"subject": "s"},
            {"weight": 2},
            {"groups": {"sex": "F"}},
            {"attributions": {"age": 0.5}},
            {"feature_at": {"age": AT}},
            {"threshold": 0.4},
        ],
        6,
    ),
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("together", [True, False], ids=["in one segment", "in two loads"])
def test_a_prediction_with_any_other_content_is_rejected(landed, change, together):
    if together:
        assert line_counts(landed(prediction(), prediction(**change))) == (2, 1, 0, 1)
    else:
        landed(prediction())
        assert line_counts(landed(prediction(**change))) == (1, 0, 0, 1)


@pytest.mark.parametrize("other", [{"version": "2"}, {"environment": "shadow"}, {"version": "2", "environment": "shadow"}], ids=str)
@pytest.mark.parametrize("together", [True, False], ids=["in one segment", "in two loads"])
def test_an_id_is_unique_within_a_version_and_an_environment(store, landed, other, together):
    mine, theirs = prediction(), prediction(score=0.75, **other)
    if together:
        assert line_counts(landed(mine, theirs)) == (2, 2, 0, 0)
    else:
        landed(mine)
        assert line_counts(landed(theirs)) == (1, 1, 0, 0)
    assert query(store, "SELECT score FROM predictions_1 WHERE id = 'p0' ORDER BY stream") == [(0.25,), (0.75,)]
    report = landed(theirs, theirs | {"score": 0.5}, mine, mine | {"score": 0.5})
    assert line_counts(report) == (4, 0, 2, 2)
    assert report.reasons == {"conflicting_duplicate": 2}


def test_objects_are_compared_whatever_the_order_of_their_keys(landed):
    one = prediction(attributions={"age": 0.5, "job": -1}, feature_at={"age": AT, "job": AT}, base_value=0.1)
    other = prediction(attributions={"job": -1, "age": 0.5}, feature_at={"job": AT, "age": AT}, base_value=0.1)
    assert line_counts(landed(one, other)) == (2, 1, 1, 0)
    assert line_counts(landed(other)) == (1, 0, 1, 0)


def test_not_a_number_and_null_are_different_contents(store, landed):
    report = landed(prediction(features={"age": "NaN"}), prediction(features={"age": "NaN"}), prediction(1, features={"age": None}))
    assert line_counts(report) == (3, 2, 1, 0)
    assert line_counts(landed(prediction(1, features={"age": "NaN"}))) == (1, 0, 0, 1)


def test_the_same_id_may_occur_in_two_models(landed):
    assert line_counts(landed(prediction(), prediction(model="other"))) == (2, 2, 0, 0)


def test_a_label_is_stored_once_and_a_changed_one_is_a_revision(store, landed):
    assert line_counts(landed(label(), prediction(), label(), label(received_at="2024-04-01T00:00:00Z"))) == (4, 2, 2, 0)
    assert line_counts(landed(label(), label(value=0), label(value=1, source="human"), label(at="2024-03-03T00:00:00Z"))) == (4, 3, 1, 0)
    assert query(store, "SELECT count(*) FROM labels_1") == [(4,)]
    assert query(store, "SELECT value, number FROM labels_1 WHERE value = '0'") == [("0", 0.0)]


def test_labels_of_equal_meaning_have_one_spelling(store, landed):
    assert line_counts(landed(label(value=1), label(value=1.0), label(value=True), label(value="yes"))) == (4, 3, 1, 0)
    assert query(store, "SELECT value, number FROM labels_1 ORDER BY value") == [("1", 1.0), ("true", None), ("yes", None)]


def test_an_inline_label_belongs_to_its_line(store, landed):
    assert line_counts(landed(prediction(label=1), prediction(1))) == (2, 2, 0, 0)
    assert query(store, 'SELECT id, value, "at" FROM labels_1') == [("p0", "1", datetime(2024, 3, 1, 10))]
    assert line_counts(landed(prediction(label=1))) == (1, 0, 1, 0)
    assert line_counts(landed(prediction(1, label=0))) == (1, 1, 0, 0)  # only the label of the line is new
    assert line_counts(landed(prediction(score=0.9, label=0))) == (1, 0, 0, 1)  # the label of a rejected line is not stored either
    assert query(store, "SELECT id, value FROM labels_1 ORDER BY id") == [("p0", "1"), ("p1", "0")]


def test_every_other_kind_has_an_example():
    assert {*OTHERS, "prediction", "label"} == set(KINDS), "add an example of each new kind to OTHERS in tests/support/record_lines.py"


@pytest.mark.parametrize("kind", some(OTHERS, 9))
def test_records_of_other_kinds_are_known_by_their_content(store, landed, kind):
    record = {"kind": kind, **OTHERS[kind]}
    turned = {key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in reversed(record.items())}
    assert line_counts(landed(record, turned)) == (2, 1, 1, 0)
    assert line_counts(landed(record | {"received_at": AT}, record | {"note to self": 1})) == (2, 0, 2, 0)
    time_field = "from" if kind == "price" else "at"
    assert line_counts(landed(record | {time_field: "2024-03-01T10:00:01Z"})) == (1, 1, 0, 0)
    assert query(store, f"SELECT count(*) FROM {kind_tables()[kind]}") == [(2,)]


def test_a_name_that_ends_in_a_nul_is_counted_like_any_other(store, landed):
    event = {"kind": "event", **OTHERS["event"]}
    assert line_counts(landed(event, event | {"model": "loan\0"}, event | {"model": "\0"})) == (3, 3, 0, 0)
    assert query(store, "SELECT sum(stored), count(*) FROM arrivals") == [(3, 3)]


def test_unknown_fields_are_kept(store, landed):
    landed(prediction(colour="red"), {"kind": "event", **OTHERS["event"], "colour": "blue"})
    assert json.loads(query(store, "SELECT extra FROM predictions_1")[0][0]) == {"colour": "red"}
    assert json.loads(query(store, "SELECT extra FROM events")[0][0]) == {"colour": "blue"}


def test_the_arrival_time_is_received_at_or_otherwise_the_time_of_loading(store, landed):
    before = datetime.now(UTC).replace(tzinfo=None)
    landed(prediction(received_at="2024-03-01T10:59:59Z"), prediction(1), label(received_at="2024-03-05T01:00:00Z"))
    arrived = dict(query(store, "SELECT id, arrived FROM predictions_1"))
    assert arrived["p0"] == datetime(2024, 3, 1, 10, 59, 59) and before <= arrived["p1"] <= datetime.now(UTC).replace(tzinfo=None)
    rows = query(store, "SELECT kind, hour, stored FROM arrivals WHERE hour < '2025-01-01' ORDER BY hour")
    assert rows == [("prediction", datetime(2024, 3, 1, 10), 1), ("label", datetime(2024, 3, 5, 1), 1)]


def test_segments_are_loaded_together_and_counted_separately(store):
    one = land(store, prediction(0), prediction(1), b"not json", name="20240101T000000-1-a.jsonl")
    two = land(store, prediction(1), label(0), prediction(0, score=0.5), name="20240101T000001-1-b.jsonl")
    with one.open("ab") as file:
        file.write(json.dumps(prediction(2)).encode()[:-5])  # as from a writer that died in the middle of a line
    report = load_landing(store)
    assert line_counts(report) == (7, 3, 1, 3) and report.files == 2
    assert query(store, "SELECT segment, lines, stored, duplicates, rejected FROM manifest ORDER BY segment") == [
        (one.name, 4, 2, 0, 2),
        (two.name, 3, 1, 1, 1),
    ]
    assert query(store, "SELECT segment, line FROM rejected ORDER BY segment, line") == [(one.name, 3), (one.name, 4), (two.name, 3)]
    assert landing.published_segments(store.landing) == [] and len(landing.segment_files(store.landing / "loaded")) == 2


def test_a_segment_is_loaded_once_even_where_it_could_not_be_moved(store, monkeypatch):
    path = land(store, prediction(), {"kind": "event", **OTHERS["event"]})
    monkeypatch.setattr(landing, "move_segments", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))  # dies between commit and move
    with pytest.raises(KeyboardInterrupt):
        load_landing(store)
    monkeypatch.undo()
    assert path.exists()
    assert line_counts(load_landing(store)) == (0, 0, 0, 0)
    assert not path.exists() and counted(store) == (1, 0, 1)


def test_nothing_of_a_segment_stays_where_its_load_fails(store, monkeypatch):
    land(store, prediction())
    monkeypatch.setattr(loader, "_write_manifest", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        load_landing(store)
    assert store.catalog().models == () and query(store, "SELECT count(*) FROM arrivals") == [(0,)]
    monkeypatch.undo()
    assert line_counts(load_landing(store)) == (1, 1, 0, 0)


def test_rows_that_the_store_lost_are_restored_from_loaded_segments(tmp_path):
    with open_store(tmp_path) as store:
        kept, lost = land(store, prediction()), land(store, prediction(1))
        load_landing(store)
        with store.write() as writer:  # as if a damaged log had lost the last commit
            writer.execute("DELETE FROM manifest WHERE segment = ?", [lost.name])
            writer.execute("DELETE FROM predictions_shared WHERE id = 'p1'")
    with open_store(tmp_path) as store:
        assert line_counts(load_landing(store)) == (1, 1, 0, 0)
        assert query(store, "SELECT id FROM predictions_1 ORDER BY id") == [("p0",), ("p1",)]
        assert (store.landing / "loaded" / kept.name).exists() and (store.landing / "loaded" / lost.name).exists()


def test_loaded_segments_are_deleted_after_a_week(tmp_path):
    with open_store(tmp_path) as store:
        path = land(store, prediction())
        load_landing(store)
    loaded = tmp_path / "landing" / "loaded" / path.name
    with open_store(tmp_path) as store:
        load_landing(store)
        assert loaded.exists()
    os.utime(loaded, (time.time() - 8 * 86400,) * 2)
    with open_store(tmp_path) as store:
        assert line_counts(load_landing(store)) == (0, 0, 0, 0)
        assert not loaded.exists() and query(store, "SELECT count(*) FROM predictions_1") == [(1,)]


def test_a_store_that_stays_open_deletes_old_segments_too(store, monkeypatch):
    path = store.landing / "loaded" / land(store, prediction()).name
    load_landing(store)
    os.utime(path, (time.time() - 8 * 86400,) * 2)
    load_landing(store)
    assert path.exists(), "the folder is cleaned at most once an hour"
    store.purge_at = time.monotonic()
    load_landing(store)
    assert not path.exists()


def test_loaded_segments_take_no_more_room_than_is_free(tmp_path):
    loaded, now = tmp_path / "loaded", time.time()
    loaded.mkdir()
    for hours, size in enumerate((100, 100, 100, 100, 50)):
        path = loaded / f"{hours}.jsonl"
        path.write_bytes(b"x" * size)
        os.utime(path, (now - 86400 + hours * 3600,) * 2)
    assert landing.purge_loaded_segments(tmp_path, now, free_bytes=450) == 0
    assert landing.complete_since(tmp_path, now) == now - landing.KEPT_SECONDS
    assert landing.purge_loaded_segments(tmp_path, now, free_bytes=100) == 2
    assert sorted(path.name for path in loaded.iterdir()) == ["2.jsonl", "3.jsonl", "4.jsonl"], (
        "250 bytes of loaded segments are kept, 300 are free"
    )
    assert abs(landing.complete_since(tmp_path, now) - (now - 86400 + 3600)) < 1
    assert landing.purge_loaded_segments(tmp_path, now + 7 * 86400, free_bytes=0) == 3
    assert landing.complete_since(tmp_path, now + 7 * 86400) == now, "the removed files were a week old"


def test_a_large_segment_is_loaded_block_by_block_in_one_transaction(store, monkeypatch):
    monkeypatch.setattr(landing, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(landing.segment_blocks, "__defaults__", (2000,))
    records = [prediction(i, features={"age": i, f"f{i // 20}": i}) for i in range(100)]
    path = land(store, *records[:50], b"{", *records[50:], records[0], prediction(3, score=0.9))
    parsed, generation, seen = [], store.generation, []
    monkeypatch.setattr(loader, "parse_block", lambda *args, real=loader.parse_block: parsed.append(args[1]) or real(*args))
    report = load_landing(store, progress=lambda done, total, lines: seen.append((done, total, lines)))
    assert line_counts(report) == (103, 100, 1, 2) and len(parsed) > 5 and store.generation == generation + 1
    assert query(store, "SELECT line FROM rejected ORDER BY line") == [(51,), (103,)]
    size = (store.landing / "loaded" / path.name).stat().st_size
    assert query(store, "SELECT bytes, lines FROM manifest") == [(size, 103)]
    assert seen == sorted(seen) and seen[-1] == (size, size, 103)
    before = rollups(store)
    with store.write() as writer:
        from observability.store.rollup.rollup import rebuild_rollups

        rebuild_rollups(writer, "loan")
    assert rollups(store) == before


def test_a_line_without_end_is_refused_and_the_next_one_read(store, monkeypatch):
    monkeypatch.setattr(landing, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(landing, "LINE_BYTES", 3000)
    monkeypatch.setattr(landing.segment_blocks, "__defaults__", (2000,))
    land(store, prediction(), prediction(1, note="x" * 20_000), prediction(2))
    report = load_landing(store)
    assert line_counts(report) == (3, 2, 0, 1) and report.reasons == {"line_too_long": 1}
    assert query(store, "SELECT line FROM rejected") == [(2,)]


def test_a_segment_that_cannot_be_loaded_holds_up_no_other(store, monkeypatch):
    land(store, prediction())
    poison = land(store, prediction(13))
    land(store, prediction(2))
    real = loader.store_parsed_block

    def store_parsed(writer, parsed, block, *rest, **more):
        if b"p13" in block.raw:
            raise ZeroDivisionError("a bug")
        return real(writer, parsed, block, *rest, **more)

    monkeypatch.setattr(loader, "store_parsed_block", store_parsed)
    assert line_counts(load_landing(store)) == (2, 2, 0, 0)
    assert [each.name for each in landing.segment_files(store.landing / "failed")] == [poison.name]
    assert landing.landing_backlog(store.landing) == {"segments": 0, "bytes": 0, "open": 0, "failed": 1}
    assert [(each["segment"], each["reason"]) for each in landing.segments_set_aside(store.landing)] == [
        (poison.name, "ZeroDivisionError: a bug")
    ]


def test_with_too_little_free_space_nothing_is_loaded_and_nothing_is_lost(store, monkeypatch):
    land(store, prediction())
    monkeypatch.setattr(database, "FLOOR_BYTES", 2**62)
    with pytest.raises(StoreBrokenError, match="nearly full"):
        load_landing(store)
    monkeypatch.undo()
    assert line_counts(load_landing(store)) == (1, 1, 0, 0)


def test_links_in_landing_are_left_alone(store, tmp_path):
    secret = tmp_path / "secret.jsonl"
    secret.write_text(json.dumps(prediction()))
    land(store, prediction(1))
    (store.landing / "ready" / "20230101T000000-1-link.jsonl").symlink_to(secret)
    assert line_counts(load_landing(store)) == (1, 1, 0, 0)


def test_the_segment_of_a_living_writer_stays_and_that_of_a_dead_one_is_taken(store):
    import fcntl

    opened = store.landing / "open"
    opened.mkdir(parents=True)
    (store.landing / "ready").mkdir()
    for name, i in (("alive.jsonl", 0), ("dead.jsonl", 1)):
        (opened / name).write_text(json.dumps(prediction(i)) + "\n")
    with (opened / "alive.jsonl").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert line_counts(load_landing(store)) == (1, 1, 0, 0)
    assert line_counts(load_landing(store)) == (1, 1, 0, 0)


def mutated(pick, lines):
    """A random line, damaged in one of several ways: bytes changed, cut off or doubled; fields dropped, swapped or of another type."""
    line = pick.choice(lines)
    way = pick.randrange(8)
    if way == 0:
        place = pick.randrange(len(line))
        line = line[:place] + bytes([pick.randrange(256)]) + line[place + 1 :]
    elif way == 1:
        line = line[: pick.randrange(len(line))]
    elif way == 2:
        cut = pick.randrange(len(line))
        line = line[:cut] + line[cut + pick.randrange(12) :]
    elif way == 3:
        line = line + pick.choice([b"}", b" ", b",", b'{"kind":"label"}', b"\r"])
    elif way in (4, 5, 6):
        record = json.loads(line)
        name = pick.choice(list(record))
        value = pick.choice(
            [
                None,
                0,
                -1,
                1e400,
                "NaN",
                "",
                "x" * 50,
                [],
                {},
                {"a": {"b": []}},
                True,
                "2024-02-30T00:00:00Z",
                "2024-03-01",
                2**70,
                "é\u0000",
            ]
        )
        if way == 4:
            del record[name]
        elif way == 5:
            record[name] = value
        elif isinstance(record.get("features"), dict):
            record["features"][pick.choice(["age", "job", "Age", "new", ""])] = value
        line = json.dumps(record).encode()
    elif way == 7:
        record = json.loads(line)
        if "id" in record:
            record["id"] += str(pick.randrange(3000))
        line = json.dumps(record, ensure_ascii=pick.random() < 0.5).encode()
    line = line.replace(b"\n", b" ")
    return line if line.strip() else b"{}"


def test_every_line_of_a_fuzzed_load_is_accounted_for(store):
    pick = random.Random(0)
    samples = [
        prediction(i, label=1) if i % 3 == 0 else prediction(i, version=str(i % 2), score={"a": 0.25, "b": 0.75}, model="many")
        for i in range(12)
    ]
    samples += [label(i) for i in range(4)] + [{"kind": kind, **record} for kind, record in OTHERS.items()]
    lines = [json.dumps(each).encode() for each in samples]
    total, rounds = LoadReport(), repeats(4, 12)
    for _ in range(rounds):
        batch = [mutated(pick, lines) for _ in range(900)]
        for start in range(0, 900, 300):
            land(store, *batch[start : start + 300])
        total += load_landing(store)
    assert total.lines == rounds * 900
    assert total.lines == total.stored + total.duplicates + total.rejected
    assert total.stored > 300 and total.duplicates > 300 and total.rejected > 1000 and sum(total.reasons.values()) == total.rejected
    assert query(store, "SELECT sum(lines), sum(stored), sum(duplicates), sum(rejected), count(*) FROM manifest") == [
        (*line_counts(total), 3 * rounds)
    ]
    assert query(store, "SELECT count(*) FROM manifest WHERE lines <> stored + duplicates + rejected OR lines <> 300") == [(0,)]
    assert query(store, "SELECT sum(stored), sum(duplicates), sum(rejected) FROM arrivals") == [line_counts(total)[1:]]
    assert query(store, "SELECT count(*), count(DISTINCT (segment, line)), count(*) FILTER (length(message) = 0) FROM rejected") == [
        (total.rejected,) * 2 + (0,)
    ]
    predictions, labels, others = counted(store)
    keys = [model.key for model in store.catalog().models]
    own = sum(query(store, f"SELECT count(*) FROM labels_{key} WHERE id NOT IN (SELECT id FROM predictions_{key})")[0][0] for key in keys)
    assert predictions + others + own <= total.stored <= predictions + labels + others
    for model in store.catalog().models:
        assert query(store, f"SELECT count(*) - count(DISTINCT (id, stream)) FROM predictions_{model.key}") == [(0,)]
        before = rollups(store, model.key)
        with store.write() as writer:
            from observability.store.rollup.rollup import rebuild_rollups

            rebuild_rollups(writer, model.name)
        assert rollups(store, model.key) == before
    assert landing.landing_backlog(store.landing)["failed"] == 0
    assert blocks.CONFLICT in total.reasons


def test_rows_of_a_model_change_the_generation_of_that_model_only(store, landed):
    landed(prediction(), prediction(model="price"))
    before = dict(store.generations)
    landed(prediction(1), label(1))
    changed = {name for name, generation in store.generations.items() if generation != before.get(name)}
    assert changed == {"loan"}


def test_notes_change_only_the_generation_of_notes(store, landed):
    landed(prediction())
    before = dict(store.generations)
    landed({"kind": "verdict", **OTHERS["verdict"]}, {"kind": "pin", **OTHERS["pin"]})
    changed = {name for name, generation in store.generations.items() if generation != before.get(name)}
    assert changed == {NOTED}


@pytest.mark.parametrize(
    "line", [{"kind": "annotation", **OTHERS["annotation"]}, {"kind": "event", "at": AT, "what": "incident", "text": "t"}]
)
def test_a_line_that_may_concern_others_changes_the_generation_of_all(store, landed, line):
    before = store.generations[""]
    landed(prediction(1), line)
    assert store.generations[""] > before


@pytest.mark.parametrize("line", [{"kind": "batch", **OTHERS["batch"]}, b"no line"])
def test_a_line_without_a_model_changes_the_generation_of_no_model(store, landed, line):
    landed(prediction(1), prediction(1, model="price"))
    before = dict(store.generations)
    landed(prediction(2), line)
    assert {name for name, number in store.generations.items() if number != before.get(name)} - {RECORDED} == {"loan", UNNAMED}
