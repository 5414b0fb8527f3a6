"""The logger writes all records and never disturbs its caller."""

import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import observability as obs
from observability.core.errors import UsageError

Records = Callable[[], list[dict]]
NOW = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

KINDS = {
    "prediction": {"id": "p1", "model": "m", "version": "1", "features": {"a": 1.5, "b": None}, "score": 0.62, "groups": {"sex": "F"}},
    "label": {"id": "p1", "model": "m", "value": 1, "source": "outcome"},
    "resource": {"device": "gpu0", "watts": 80.5, "run": "r"},
    "annotation": {"project": "p", "item": "i", "annotator": "a", "label": "cat", "gold": "dog"},
    "batch": {"batch": "b", "source": "s", "rows": 10, "stats": {"age": {"mean": 3.0}}},
    "event": {"what": "deploy", "text": "version 2"},
    "dataset": {"dataset": "d", "version": "1", "rows": 5, "bytes": 100, "parents": ["c@1"]},
    "cleaning": {"rule": "no age", "rows_in": 9, "rows_changed": 0, "rows_dropped": 2, "groups": {"sex": {"F": {"in": 4, "dropped": 2}}}},
    "assignment": {"project": "p", "item": "i", "annotator": "a", "reason": "uncertain"},
    "expected_batch": {"batch": "b", "model": "m", "rows": 3, "keys": ["a", "b", "c"]},
    "item": {"project": "p", "item": "i", "content": {"text": "a cat"}, "classes": ["cat", "dog"]},
    "skip": {"project": "p", "item": "i", "annotator": "a", "reason": "no class fits"},
    "device_report": {"device": "d1", "model": "m", "version": "1", "answers": 60, "crashes": 0, "battery": 0.8},
    "storage_report": {"place": "lake", "used_bytes": 5, "capacity_bytes": 9, "keep_days": 30.5, "source": "measured"},
    "audit": {"model": "m", "version": "1", "audit": "robustness", "results": {"flips": 0.1}},
    "run": {"run": "r", "event": "start", "params": {"depth": 3}},
    "step": {"run": "r", "step": 3, "metrics": {"loss": 0.5}, "phase_ms": {"compute": 5}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_written_by_its_method_and_by_record(tmp_path: Path, records: Records, kind: str) -> None:
    with obs.Logger(tmp_path) as log:
        assert getattr(log, kind)(**KINDS[kind], mood="good", nothing=None)
        assert log.record(kind, **KINDS[kind], at="2013-07-01T00:00:00Z")
    method, generic = records()
    assert NOW.fullmatch(method.pop("at"))
    assert generic.pop("at") == "2013-07-01T00:00:00Z"
    assert method.pop("mood") == "good"
    assert method == generic == {"kind": kind, **KINDS[kind]}
    assert (log.dropped, log.last_error) == (0, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_call_of_any_kind_never_raises(tmp_path: Path, kind: str) -> None:
    with obs.Logger(tmp_path) as log:
        getattr(log, kind)(at=object())
        assert log.dropped == 1


def test_a_price_has_a_from_time_and_no_at_time(tmp_path: Path, records: Records) -> None:
    with obs.Logger(tmp_path) as log:
        log.price(from_=datetime(2026, 1, 1, tzinfo=UTC), resource="kwh", amount=0.3, currency="EUR")
        log.record("price", **{"from": "2026-01-01T00:00:00.000000Z"}, resource="kwh", amount=0.3, currency="EUR")
    expected = {"kind": "price", "from": "2026-01-01T00:00:00.000000Z", "resource": "kwh", "amount": 0.3, "currency": "EUR"}
    assert records() == [expected, expected]


def test_missing_ids_are_generated_and_given_ids_become_text(tmp_path: Path, records: Records) -> None:
    with obs.Logger(tmp_path) as log:
        made = [log.prediction(model="m", version=3, features={}, score=1) for _ in range(3)]
        assert log.prediction(id=7, model="m", version="3", features={}, score=1) == "7"
        log.label(id=7, model="m", value=0)
    assert len(set(made)) == 3 and all(re.fullmatch("[0-9a-f]{32}", name) for name in made)
    assert [record["id"] for record in records()] == [*made, "7", "7"]
    assert {record.get("version") for record in records()} == {"3", None}


def test_names_are_written_as_text(tmp_path: Path, records: Records) -> None:
    with obs.Logger(tmp_path) as log:
        log.annotation(project=1, item=2, annotator=3, label=4, guideline=5)
    (record,) = records()
    assert {name: record[name] for name in ("project", "item", "annotator", "label", "guideline")} == {
        "project": "1",
        "item": "2",
        "annotator": "3",
        "label": 4,
        "guideline": "5",
    }


def test_times_within_a_record_are_written_in_utc(tmp_path: Path, records: Records) -> None:
    noon = datetime(2013, 7, 1, 12, tzinfo=UTC)
    with obs.Logger(tmp_path) as log:
        log.prediction(model="m", version="1", features={"a": noon}, score=1, at=noon, acted_at=noon, feature_at={"a": noon})
        log.prediction(model="m", version="1", features={}, score=1, at=datetime(2013, 7, 1))
        log.prediction(model="m", version="1", features={}, score=1, feature_at={"a": datetime(2013, 7, 1)})
    (record,) = records()
    text = "2013-07-01T12:00:00.000000Z"
    assert (record["at"], record["acted_at"], record["feature_at"], record["features"]) == (text, text, {"a": text}, {"a": text})
    assert log.dropped == 2 and "feature_at.a: 2013-07-01T00:00:00 has no offset" in str(log.last_error)


class Spiteful:
    def __getattribute__(self, name: str) -> object:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "call",
    [
        lambda log: log.prediction(),
        lambda log: log.prediction("positional"),
        lambda log: log.prediction(model="m", version="1", features={"a": Spiteful()}, score=1),
        lambda log: log.prediction(model=Spiteful(), version="1", features={}, score=1),
        lambda log: log.prediction(model="m", version="1", features={}, score=1, weight="heavy", id="x"),
        lambda log: log.label(id="p"),
        lambda log: log.prediction(id=Spiteful(), model="m", version="1", features={}, score=1),
        lambda log: log.record(),
        lambda log: log.record("label", value="x" * 2_000_000),
        lambda log: log.record("label", value=10**5000),
        lambda log: log.step(run="r", step=1),
    ],
)
def test_misuse_is_counted_and_not_raised(tmp_path: Path, records: Records, call: Callable[[obs.Logger], object]) -> None:
    log = obs.Logger(tmp_path, sample=0.9999999)
    answer = call(log)
    assert answer is False or isinstance(answer, str)
    assert log.dropped == 1 and log.last_error
    assert log.event(what="note", text="still alive")
    log.close()
    assert [record["text"] for record in records()] == ["still alive"]


@pytest.mark.parametrize("options", [{"sample": 0}, {"sample": 1.5}, {"fsync": "often"}, {"segment_bytes": 0}, {"segment_seconds": -1}])
def test_wrong_options_are_refused_by_the_constructor(tmp_path: Path, options: dict) -> None:
    with pytest.raises(UsageError):
        obs.Logger(tmp_path, **options)


def test_a_folder_that_cannot_be_created_drops_records_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("not a folder")
    log = obs.Logger(tmp_path / "file")
    with caplog.at_level(logging.WARNING):
        assert [log.event(what="note", text="x") for _ in range(3)] == [False] * 3
        assert log.prediction(model="m", version="1", features={}, score=1)
    assert log.dropped == 4 and str(log.last_error).count("cannot write to") == 1
    assert len(caplog.records) == 1, "one warning, however many records are dropped"


def test_the_home_is_taken_from_argument_environment_or_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OBSERVABILITY_HOME", raising=False)
    obs_default, given = obs.Logger(), obs.Logger(tmp_path / "given")
    monkeypatch.setenv("OBSERVABILITY_HOME", str(tmp_path / "named"))
    named = obs.Logger()
    monkeypatch.chdir("/")  # a service may change its folder later
    for log in (obs_default, given, named):
        log.event(what="note", text="x")
        log.close()
    assert all(list((tmp_path / home / "landing" / "ready").iterdir()) for home in (".observability", "given", "named"))


def test_sampling_is_by_id_and_weighted(tmp_path: Path, records: Records) -> None:
    names = [f"p{i}" for i in range(4000)]
    with obs.Logger(tmp_path, sample=0.1) as log, obs.Logger(tmp_path, sample=0.1) as labels:
        for name in names:
            assert log.prediction(id=name, model="m", version="1", features={}, score=1) == name
            labels.label(id=name, model="m", value=1)
        for i in range(300):
            log.prediction(id=f"w{i}", model="m", version="1", features={}, score=1, weight=2)
    kept = {record["id"] for record in records() if record["kind"] == "prediction" and record["weight"] == 10}
    weighted = [record for record in records() if record.get("weight") == 20]
    assert 400 - 4 * 19 < len(kept) < 400 + 4 * 19, "binomial: mean 400, standard deviation 19"
    assert kept == {record["id"] for record in records() if record["kind"] == "label"}
    assert 5 < len(weighted) < 60 and len(records()) == 2 * len(kept) + len(weighted)
    assert log.dropped == 0


def test_threads_share_a_logger(tmp_path: Path, records: Records) -> None:
    with obs.Logger(tmp_path, segment_bytes=20_000) as log:
        work = [
            threading.Thread(target=lambda t=t: [log.event(what="note", text=f"{t}-{i}", pad="x" * 200) for i in range(300)])
            for t in range(8)
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
    texts = [record["text"] for record in records()]
    assert sorted(texts) == sorted(f"{t}-{i}" for t in range(8) for i in range(300))
    assert len(list((tmp_path / "landing" / "ready").iterdir())) > 20


def test_the_timer_measures_the_timed_block() -> None:
    log, began = obs.Logger("unused"), time.perf_counter()
    with log.timed() as timer:
        time.sleep(0.02)  # the timed call
        assert timer.ms > 0
    taken, passed = timer.ms, 1000 * (time.perf_counter() - began)
    time.sleep(0.01)  # after the end of the timer, so it must not count
    assert 20 <= taken <= passed and timer.ms == taken


def test_the_default_time_is_the_current_utc_time(tmp_path: Path, records: Records) -> None:
    with obs.Logger(tmp_path) as log:
        log.event(what="note", text="x")
    assert abs(datetime.fromisoformat(records()[0]["at"]) - datetime.now(UTC)) < timedelta(minutes=1)


IMPORTS = """
import sys
before = set(sys.modules)
import observability
tiny = set(sys.modules) - before
import observability.client.log, observability.client.runs, observability.client.asgi, observability.client.wsgi
observability.Logger, observability.track_run, observability.ObservabilityMiddleware, observability.ObservabilityWSGIMiddleware
allowed = sys.stdlib_module_names | {"observability"}
assert tiny == {"observability"}, tiny
foreign = {name for name in set(sys.modules) - before if name.split(".")[0] not in allowed}
assert not foreign, foreign
for heavy in ("asyncio", "multiprocessing", "ssl", "http", "email", "unittest"):
    assert heavy not in sys.modules, heavy
"""


def test_importing_loads_the_standard_library_only() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-S", "-c", IMPORTS]  # -S: no path file of an installed package may import something first
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="Loger"):
        obs.Loger
    assert set(obs.__all__) <= set(dir(obs))
