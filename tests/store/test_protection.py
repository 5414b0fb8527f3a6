"""No file of the home contains a protected feature, whether it comes through the SDK, HTTP, `load`, landing or registration. Equal values
still have equal hashes.
"""

import json
from dataclasses import replace

import pytest

from observability.alerts import alarm_rules
from observability.client.log import Logger
from observability.core.errors import NotFoundError, UsageError
from observability.core.limits import IntakeLimits
from observability.core.settings import ModelSettings, parse_settings
from observability.monitoring.check import check
from observability.records.keyed_hash import KEY_FILE, home_key
from observability.records.protection import FILE, HASHED, hashed_value, protected_record
from observability.server import intake, process_lock
from observability.store.ingest.loader import load_files, load_landing
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.store.conftest import query
from tests.support.bytes_of_home import found_in
from tests.support.landing import land
from tests.support.record_lines import AT

RULES = "[protect]\nemail = 'hash'\nname = 'drop'\nage = 10\nincome = [0, 1000, 5000]\nsubject = 'hash'\n"
SECRETS = ("ada@example.org", "Lovelace", "ada-king")


def prediction(i, **fields):
    features = {"email": SECRETS[0], "name": SECRETS[1], "age": 37, "income": 4200.5, "job": "cook"} | fields.pop("features", {})
    return {"kind": "prediction", "id": f"p{i}", "at": AT, "model": "loan", "version": "1", "score": 0.5, "subject": SECRETS[2],
            "features": features, **fields}  # fmt: skip


@pytest.fixture
def registered(store, tmp_path):
    (tmp_path / "settings.toml").write_text(RULES)
    rows = [f"{SECRETS[0]},{SECRETS[1]},{20 + i},{i * 50},cook,{i % 2},{i / 80}" for i in range(80)]
    (tmp_path / "reference.csv").write_text("\n".join(["email,name,age,income,job,label,score", *rows]))
    request = RegistrationRequest(
        model="loan", version="1", task="binary", reference=tmp_path / "reference.csv", label="label", score=("score",),
        settings=tmp_path / "settings.toml",
    )  # fmt: skip
    store.register(request)
    return store


def test_no_way_of_loading_lets_a_protected_value_in(registered, tmp_path, monkeypatch):
    store = registered
    log = Logger(store.home)
    fields = {name: value for name, value in prediction(0).items() if name != "kind"}
    assert log.prediction(**fields) == "p0" and log.dropped == 0
    log.flush()
    owner = process_lock.Owner(store.home, process_lock.Lock(-1), store)
    monkeypatch.setattr(process_lock, "_current", owner)
    assert intake.take_records([json.dumps(prediction(1)).encode()], "any", "token", IntakeLimits()).accepted == 1
    owner.records.publish()
    assert found_in(store.home / "landing", *SECRETS) == []
    land(store, prediction(2), json.dumps(prediction(3)).encode()[:-1], prediction(4, score="high"))
    report = load_landing(store)
    assert (report.stored, report.rejected) == (3, 2)
    (tmp_path / "more.csv").write_text(f"id,at,score,email,name,age,income,job\nc1,{AT},0.5,{SECRETS[0]},{SECRETS[1]},37,4200.5,cook\n")
    assert load_files(store, [tmp_path / "more.csv"], LoadDefaults(kind="prediction", model="loan", version="1")).stored == 1
    store.cursor().execute("CHECKPOINT")
    # except in a segment that another writer put into landing
    outside = [place for place in found_in(store.home, *SECRETS) if not place.startswith("20240101T")]
    assert outside == []
    columns = {column.name: column.column for column in store.catalog().model("loan").columns}
    assert "name" not in columns
    picked = ", ".join(columns[name] for name in ("email", "age", "income"))
    rows = query(store, f"SELECT DISTINCT {picked} FROM predictions_1 WHERE id IN ('p0', 'p1', 'p2', 'c1')")
    assert rows == [(hashed_value(home_key(store.home), SECRETS[0]), 30.0, 1000.0)]
    assert query(store, f"SELECT count(DISTINCT {columns['email']}) FROM predictions_1") == [(1,)], (
        "values in the reference are hashed in the same way"
    )
    assert HASHED.fullmatch(query(store, "SELECT DISTINCT subject FROM predictions_1 WHERE subject IS NOT NULL")[0][0])
    (erased := store.forget(SECRETS[2]))["hashed"]
    assert erased["hashed"]["predictions"] == {"loan": 3} and query(store, "SELECT count(*) FROM predictions_1 WHERE id = 'p0'") == [(0,)]
    store.backup(tmp_path / "backups")
    assert not list((tmp_path / "backups").rglob(KEY_FILE))


def test_names_that_are_written_with_escapes_are_protected_too(registered):
    record = {**prediction(7), "features": {"age": 37}}
    line = json.dumps({name: value for name, value in record.items() if name != "subject"})
    land(registered, line.replace('"age"', '"\\u0061ge"').replace('"loan"', '"lo\\u0061n"').encode())
    assert load_landing(registered).stored == 1
    columns = {column.name: column.column for column in registered.catalog().model("loan").columns}
    assert query(registered, f"SELECT {columns['age']} FROM predictions_1 WHERE id = 'p7'") == [(30.0,)]


def test_without_its_key_a_protected_record_is_not_written(registered):
    (registered.home / KEY_FILE).write_text("no key")
    log = Logger(registered.home)
    log.prediction(**{name: value for name, value in prediction(0).items() if name != "kind"})
    log.flush()
    assert log.dropped == 1 and "protected" in str(log.last_error)
    assert found_in(registered.home / "landing", *SECRETS) == []


def test_rules_applied_twice_change_nothing_more():
    rules, key = {"loan": parse_settings({"protect": {"email": "hash", "name": "drop", "age": 10, "income": [0, 1000]}}).protect}, b"k" * 32
    once = protected_record(prediction(0, features={"age": -3, "income": 9e9, "email": 12.0}), rules, key)
    assert protected_record(once, rules, key) == once
    assert once["features"] == {"email": hashed_value(key, 12), "age": -10.0, "income": 1000.0, "job": "cook"}
    assert protected_record(prediction(0, features={"age": "old", "income": None}), rules, key)["features"]["age"] is None
    assert protected_record({"kind": "label", "model": "other"}, rules, key) == {"kind": "label", "model": "other"}


@pytest.mark.parametrize("rule", ["mask", 0, -1, [3], [3, 1], True, {"a": 1}])
def test_an_invalid_protection_rule_is_named(rule):
    with pytest.raises(UsageError, match=r"protect.age"):
        parse_settings({"protect": {"age": rule}})


def test_rules_are_published_and_taken_back(registered):
    assert json.loads((registered.home / FILE).read_text())["loan"]["age"] == 10
    model = registered.catalog().model("loan")
    registered.update_settings("loan", replace(model.settings, protect={}))
    assert json.loads((registered.home / FILE).read_text()) == {}


def test_rejected_lines_and_extra_fields_hold_no_protected_value(registered, tmp_path):
    store, text = registered, json.dumps
    lines = [
        text(prediction(20)).replace('"features": {', '"features": {"email": 1}, "features": {'),
        text(prediction(21)).replace('"email": ', '"\\u0065mail": ').replace('"name": ', '"n\\u0061me": ').replace('"subject"', '"subj\\u0065ct"')[:-2],
        text(prediction(22)).replace('"score"', '"' + "[" * 3 + '": ' + "[" * 50_000 + "]" * 50_000 + ', "score"'),
        text(prediction(23, email=SECRETS[0], weight=2)),
        text({"kind": "label", "id": "p23", "at": AT, "model": "loan", "value": 1, "email": SECRETS[0]}),
        text(prediction(24)).replace("4200.5", "1e999"),
        text({**prediction(25), "model": None}),
    ]  # fmt: skip
    (tmp_path / "lines.jsonl").write_text("\n".join(lines))
    report = load_files(store, [tmp_path / "lines.jsonl"], LoadDefaults(model="loan"))
    assert report.rejected == 3, report.examples
    renamed = {**prediction(26), "mdl": "loan", "features": {"mail": SECRETS[0], "called": SECRETS[1]}, "person": SECRETS[2]}
    del renamed["model"], renamed["subject"]
    (tmp_path / "renamed.jsonl").write_text(text(renamed))
    names = {"mail": "email", "called": "name", "mdl": "model", "person": "subject"}
    assert load_files(store, [tmp_path / "renamed.jsonl"], LoadDefaults(renames=names)).stored == 1
    ragged = f"id,at,score,model,version,email,name\nc1,{AT},0.5,loan,1,{SECRETS[0]},{SECRETS[1]},more\nc2,{AT},{SECRETS[0]}\n"
    (tmp_path / "ragged.csv").write_text(ragged)
    assert load_files(store, [tmp_path / "ragged.csv"], LoadDefaults(kind="prediction")).rejected == 2
    store.cursor().execute("CHECKPOINT")
    assert found_in(store.home, *SECRETS) == []
    hashed = hashed_value(home_key(store.home), SECRETS[0])
    extras = query(store, "SELECT id, extra FROM predictions_1 WHERE extra IS NOT NULL ORDER BY id")
    assert [(name, json.loads(extra)) for name, extra in extras] == [("p23", {"email": hashed})]
    assert query(store, "SELECT weight FROM predictions_1 WHERE id = 'p23'") == [(2.0,)], "a field of the record kind is not a feature"


def test_a_rule_given_before_the_first_record_applies_to_it(store, tmp_path, monkeypatch):
    """This concerns models that are never registered, such as language models whose calls arrive as spans."""
    with pytest.raises(NotFoundError):
        alarm_rules.save_settings(store, "chat", ModelSettings(owner="ann"), author="ann")
    wanted = parse_settings({"protect": {"input_text": "drop", "name": "hash"}})
    assert "No record of chat has arrived" in alarm_rules.save_settings(store, "chat", wanted, author="ann")[0]
    assert store.catalog().unregistered == ("chat",)
    assert not [each.because for each in check(store).findings if "failed" in each.because]
    texts = {"input_text": SECRETS[0], "name": SECRETS[1]}
    log = Logger(store.home)
    assert log.prediction(id="p0", at=AT, model="chat", version="1", prediction="stop", features=texts) == "p0"
    log.flush()
    owner = process_lock.Owner(store.home, process_lock.Lock(-1), store)
    monkeypatch.setattr(process_lock, "_current", owner)
    call = {"kind": "prediction", "at": AT, "model": "chat", "version": "1", "prediction": "stop", "features": texts}
    line = json.dumps(call | {"id": "p1"}).encode()
    assert intake.take_records([line], "any", "token", IntakeLimits()).accepted == 1
    owner.records.publish()
    land(store, call | {"id": "p2"})
    assert load_landing(store).rejected == 0
    # except in a segment that another writer put into landing
    outside = [place for place in found_in(store.home, *SECRETS[:2]) if not place.startswith("20240101T")]
    assert outside == []
    columns = {column.name: column.column for column in store.catalog().model("chat").columns}
    assert "input_text" not in columns
    assert query(store, f"SELECT DISTINCT {columns['name']} FROM predictions_1") == [(hashed_value(home_key(store.home), SECRETS[1]),)]
