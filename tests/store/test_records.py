"""Answers about records of other kinds equal those of a plain loop over the tables."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.core.questions import CONTROLLER_DECISION, Records
from observability.core.window import Window
from observability.detection.audit_history import flat_numbers, stored_audits
from observability.metrics.own_exports import own_export
from observability.monitoring import check
from observability.simulation.memory_engine import MemoryEngine
from observability.store.db.database import Database
from observability.store.db.record_tables import kind_tables
from observability.store.duck_store import DuckStore
from observability.store.query import records
from observability.store.types.loading import LoadDefaults
from tests.support import live_world, reference_engine
from tests.support.length import LONG, some
from tests.support.new_store import new_store

WEEK = Window("", live_world.START, live_world.END)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store with the live model and its training runs."""
    found = live_world.build_with_later(tmp_path_factory.mktemp("records"))
    yield found
    found.close()


WINDOWS = (WEEK, replace(WEEK, model="live"), replace(WEEK, model="other"), replace(WEEK, as_of=live_world.AS_OF))
ASKED = [
    (kind, window, ever)
    for place, kind in enumerate(kind_tables())
    for number, (window, ever) in enumerate(itertools.product(WINDOWS, (False, True)))
    if LONG or (place + number + number // 2) % 2
]
"""In a short run, each kind is asked about each window either with or without earlier records, alternately."""


@pytest.mark.parametrize(("kind", "window", "ever"), ASKED)
def test_records_equal_those_found_by_a_plain_loop(store: Database, kind: str, window: Window, ever: bool) -> None:
    question = Records(kind, ever=ever)
    pd.testing.assert_frame_equal(records.answer_records(store, question, window), reference_engine.records(store, question, window))


def test_labels_of_a_model_can_be_filtered_by_field(store: Database) -> None:
    window = replace(WEEK, model="live")
    for only in ((), (("source", "human"),)):
        question = Records("label", ("at", "model", "source"), only=only)
        pd.testing.assert_frame_equal(records.answer_records(store, question, window), reference_engine.records(store, question, window))
    assert len(records.answer_records(store, Records("label", ("at", "id")), window)) > 300
    assert len(records.answer_records(store, Records("step", ("run",), only=(("rank", "2"),)), WEEK)) == 60
    several = records.answer_records(store, Records("step", ("rank",), only=(("rank", ("2", "3", "none")),)), WEEK)
    assert several["rank"].value_counts().to_dict() == {"2": 60, "3": 60}
    assert records.answer_records(store, Records("step", ("rank",), only=(("rank", ()),)), WEEK).empty


def test_the_test_data_holds_the_expected_records(store: Database) -> None:
    found = {kind: len(records.answer_records(store, Records(kind, ever=True), WEEK)) for kind in ("run", "step", "resource", "price")}
    assert found == {"run": 8, "step": 60 * (1 + 4 + 1) + 3, "resource": 4 * 60, "price": 3}
    assert len(records.answer_records(store, Records("step"), replace(WEEK, model="live"))) == 363
    assert len(records.answer_records(store, Records("step"), replace(WEEK, model="other"))) == 0
    losses = records.answer_records(store, Records("step", ("run", "metrics")), WEEK)["metrics"].map(lambda each: each["train_loss"])
    assert losses.isna().sum() == 20 and losses.max() < 1


def test_records_are_counted_by_combination_of_fields(store: Database) -> None:
    for window in (WEEK, replace(WEEK, model="live"), replace(WEEK, as_of=live_world.AS_OF)):
        every = records.answer_records(store, Records("step", ("run", "rank")), window)
        found = records.answer_records(store, Records("step", ("run", "rank"), rows=2, counted=True), window)
        assert found["n"].sum() == len(every) > 100 and not found.duplicated(["run", "rank"]).any()
        by_hand = Counter(zip(every["run"], every["rank"].fillna("none"), strict=True))
        assert dict(zip(zip(found["run"], found["rank"].fillna("none"), strict=True), found["n"], strict=True)) == by_hand
        assert found["run"].is_monotonic_increasing
    assert records.answer_records(store, Records("item", ("project",), counted=True), WEEK).columns.tolist() == ["project", "n"]


def test_a_limited_question_gives_the_newest_records(store: Database) -> None:
    found = records.answer_records(store, Records("step", ("at", "step"), rows=7), WEEK)
    assert len(found) == 7 and found["at"].is_monotonic_increasing
    assert found["step"].tolist() == list(range(54, 61))


def test_the_newest_time_of_some_record_kinds_is_found(store: Database) -> None:
    last = live_world.START + timedelta(days=5.2, seconds=30 * 61)
    assert records.newest_record_time(store, ["run", "step"], "live", live_world.END) == last
    assert records.newest_record_time(store, ["run"], "", last) == last - timedelta(seconds=30 * 61)
    assert records.newest_record_time(store, ["run"], "other", live_world.END) is None
    assert records.newest_record_time(store, [], "", live_world.END) is None


@pytest.mark.parametrize("question", [Records("prediction", ("groups",)), Records("banana"), Records("run", ("run", "banana"))])
def test_unknown_fields_of_records_raise_a_not_found_error(store: Database, question: Records) -> None:
    with pytest.raises(NotFoundError, match=r"banana|groups"):
        records.answer_records(store, question, WEEK)


OWN = Window("loan", live_world.START, live_world.START + timedelta(days=2))
NAMELESS = [
    {"kind": "run", "run": "by-start", "event": "start", "model": "loan", "hardware": {"cores": 2}},
    {"kind": "step", "run": "by-start", "step": 1, "metrics": {"loss": 0.5}},
    {"kind": "run", "run": "by-start", "event": "end", "status": "finished"},
    {"kind": "resource", "run": "by-reading", "device": "cpu", "watts": 10.0, "seconds": 60.0, "model": "loan"},
    {"kind": "run", "run": "by-reading", "event": "start"},
    {"kind": "run", "run": "by-reading", "event": "end", "status": "finished"},
    {"kind": "run", "run": "of-nobody", "event": "end", "status": "finished"},
    {"kind": "run", "run": "of-another", "event": "start", "model": "other"},
    {"kind": "run", "run": "of-another", "event": "end"},
    {"kind": "price", "resource": "request", "amount": 0.5, "currency": "EUR"},
    {"kind": "batch", "batch": "b1", "source": "feed", "rows": 10},
]


def nameless_lines(tmp_path: Path) -> Path:
    """A file of records, most of which name no model: one per hour, with equal times of record and arrival."""
    lines = []
    for place, each in enumerate(NAMELESS):
        at = (live_world.START + timedelta(hours=place + 1)).isoformat()
        lines.append(json.dumps({"from" if each["kind"] == "price" else "at": at, "received_at": at} | each))
    path = tmp_path / "nameless.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def nameless(tmp_path: Path) -> Iterator[DuckStore]:
    """A store with runs. Only some of the records of a run name the model."""
    found = new_store(tmp_path / "home")
    found.load_files([nameless_lines(tmp_path)], LoadDefaults())
    yield found
    found.close()


def in_memory(store: DuckStore) -> MemoryEngine:
    """The engine of the simulation, over the records of a store."""
    kinds = ("run", "step", "resource", "price", "batch")
    frames = {kind: store.ask(Records(kind, ever=True), replace(OWN, model="")) for kind in kinds}
    arrived = {kind: frame.assign(arrived=frame["at" if "at" in frame else "from"]) for kind, frame in frames.items()}
    return MemoryEngine(Model(1, "loan", "binary"), {}, {}, arrived)


@pytest.mark.parametrize("kind", some(["run", "step", "resource", "price", "batch"], 4))
@pytest.mark.parametrize("as_of", [None, OWN.start + timedelta(hours=1, minutes=30)])
def test_any_record_of_a_run_tells_its_model(nameless: DuckStore, kind: str, as_of: datetime | None) -> None:
    question, window = Records(kind, ever=True), replace(OWN, as_of=as_of)
    frame = nameless.ask(question, window)
    pd.testing.assert_frame_equal(frame, reference_engine.records(nameless, question, window))
    pd.testing.assert_frame_equal(frame, in_memory(nameless).ask(question, window))
    if kind == "run" and as_of is None:
        assert [*zip(frame["run"], frame["event"])] == [
            ("by-start", "start"), ("by-start", "end"), ("by-reading", "start"), ("by-reading", "end")
        ]  # fmt: skip


def test_a_run_that_ended_is_not_silent_when_one_model_is_checked(nameless: DuckStore) -> None:
    now = OWN.start + timedelta(days=1)
    found = check.record_findings(nameless, "loan", start=OWN.start, end=now, now=now, only=("training/runs",))
    assert {each.subject for each in found} == {"run:by-start", "run:by-reading"}
    assert {each.model for each in found} == {"loan"}
    assert not {each.metric for each in found} & {"run_silence", "failed_runs"}


def test_records_of_the_sample_say_nothing_about_another_model(tmp_path: Path) -> None:
    with closing(new_store(tmp_path / "home")) as store:
        store.load_files([nameless_lines(tmp_path)], LoadDefaults(sample=True))
        for kind in ("price", "batch", "run"):
            question = Records(kind, ever=True)
            assert store.ask(question, OWN).empty
            pd.testing.assert_frame_equal(store.ask(question, OWN), reference_engine.records(store, question, OWN))
            assert not store.ask(question, replace(OWN, model="")).empty
        assert store.newest_record(["price"], "loan", OWN.end) is None
        assert store.remove_sample()["records"] == len(NAMELESS)
        assert store.status()["records"]["batch"] == store.status()["records"]["price"] == 0


def test_answers_to_fixed_questions_are_records_of_their_models(tmp_path: Path) -> None:
    lines = []
    for place in range(12):
        at = (live_world.START + timedelta(hours=place)).isoformat()
        model, environment = ("acme", "globex")[place % 2], "production" if place == 4 else "probe"
        line = {"kind": "prediction", "id": f"q{place}", "at": at, "received_at": at, "model": model, "version": f"v{place // 6}"}
        line |= {"features": {"input_tokens": place, **({"provider": "x"} if place % 2 else {})}, "prediction": f"answer {place}"}
        lines.append(line | {"environment": environment, "item": f"item-{place % 3}", "latency_ms": 10.5 * place})
    path = tmp_path / "probes.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    columns = ("id", "at", "model", "version", "prediction", "status", "latency_ms", "cost", "features", "extra")
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        assert store.load_files([path], LoadDefaults()).reasons == {}
        for window in (WEEK, replace(WEEK, model="acme"), replace(WEEK, as_of=live_world.START + timedelta(hours=7))):
            for question in (Records("prediction", columns), Records("prediction", columns, rows=3)):
                found = records.answer_records(store, question, window)
                pd.testing.assert_frame_equal(found, reference_engine.answer(store, question, window))
        found = records.answer_records(store, Records("prediction", columns), WEEK)
        assert found["id"].tolist() == [f"q{place}" for place in range(12) if place != 4], (
            "predictions that were really served are not probes"
        )
        assert found["extra"].tolist()[0] == {"item": "item-0"} and found["features"].tolist()[0]["input_tokens"] == 0
        assert records.newest_record_time(store, ["prediction"], "acme", WEEK.end) == live_world.START + timedelta(hours=10)
        assert records.newest_record_time(store, ["prediction"], "acme", WEEK.start) is None


def test_decisions_of_controllers_come_with_their_current_label(tmp_path: Path) -> None:
    lines = []
    for place in range(12):
        at = (live_world.START + timedelta(hours=place)).isoformat()
        environment = "probe" if place == 4 else "controller"
        line = {
            "kind": "prediction",
            "id": f"d{place}",
            "at": at,
            "received_at": at,
            "model": ("cache", "index")[place % 2],
            "version": "1",
        }
        line |= {"environment": environment, "features": {"age": place}, "prediction": "admit", "score": 0.5, "baseline": "bypass"}
        lines.append(line)
        for days in range(place % 3):
            came = (live_world.START + timedelta(days=days, hours=place + 1)).isoformat()
            label = {"kind": "label", "id": f"d{place}", "model": line["model"], "at": came, "received_at": came, "value": place + days}
            lines.append(label | {"baseline_outcome": 10 * days + 1.5})
    path = tmp_path / "decisions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    columns = ("id", "at", "model", "version", "prediction", "status", "score", "features", "label", "extra")
    question = Records(CONTROLLER_DECISION, columns)
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        assert store.load_files([path], LoadDefaults()).reasons == {}
        for window in (WEEK, replace(WEEK, model="cache"), replace(WEEK, as_of=live_world.START + timedelta(hours=15))):
            found = records.answer_records(store, question, window)
            pd.testing.assert_frame_equal(found, reference_engine.answer(store, question, window))
        found = records.answer_records(store, question, WEEK).set_index("id")
        assert "d4" not in found.index and found.loc["d3", "label"] is None, "a probe is not a decision"
        assert found.loc["d2", "label"] == {"value": "3", "baseline_outcome": 11.5} and found.loc["d2", "extra"] == {"baseline": "bypass"}
        before = records.answer_records(store, question, replace(WEEK, as_of=live_world.START + timedelta(hours=15))).set_index("id")
        assert before.loc["d2", "label"] == {"value": "2", "baseline_outcome": 1.5}, "the revision had not arrived yet"
        assert records.newest_record_time(store, [CONTROLLER_DECISION], "cache", WEEK.end) == live_world.START + timedelta(hours=10)
        assert records.newest_record_time(store, ["prediction"], "cache", WEEK.end) == live_world.START + timedelta(hours=4)


def test_a_model_that_only_a_file_of_the_sample_names_is_of_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "probes.jsonl"
    line = {"kind": "prediction", "id": "q", "at": live_world.START.isoformat(), "version": "1", "features": {}, "prediction": "x"}
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        for name, sample in (("of-the-sample", True), ("own", False)):
            path.write_text(json.dumps(line | {"model": name}) + "\n", encoding="utf-8")
            store.load_files([path], LoadDefaults(sample=sample))
        assert {model.name: model.sample for model in store.catalog().models} == {"of-the-sample": True, "own": False}


def test_an_export_made_by_the_product_does_not_set_the_date_of_a_window(tmp_path: Path) -> None:
    deploy = {"kind": "event", "what": "deploy", "text": "v2", "model": "loan", "at": live_world.START.isoformat()}
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records([deploy, deploy | {"what": "export", "recipient": "acme", "at": "2020-01-01T00:00:00Z"}])
        now = live_world.END + timedelta(days=4000)
        before = store.newest_record(["event"], "", now)
        store.write_records([own_export("SQL query", "ann", rows=3, model="loan")])
        assert len(store.ask(Records("event", ever=True), Window("", live_world.START, now))) == 3
        assert store.newest_record(["event"], "", now) == store.newest_record(["event"], "loan", now) == before is not None


def with_huge_leaves(value: object) -> object:
    """The value, with every number inside it replaced by 10**400."""
    if isinstance(value, dict):
        return {name: with_huge_leaves(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_huge_leaves(each) for each in value]
    return 10**400 if isinstance(value, int | float) and not isinstance(value, bool) else value


def test_no_number_of_a_record_is_too_large_for_an_analyzer(tmp_path: Path) -> None:
    """Numbers inside the objects of a record have no limits."""
    sample, lines = Path(__file__).parents[2] / "sample_data", []
    for name in ("audits", "data_audits", "trade_offs", "exports", "augmentation", "storage", "events"):
        for line in (sample / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[:12]:
            record = {key: with_huge_leaves(each) if isinstance(each, dict) else each for key, each in json.loads(line).items()}
            lines += [json.dumps(record | {"further": 10**400, "at": record["at"][:19] + ".5Z"})]
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with closing(new_store(tmp_path / "home")) as store:
        assert store.load_files([path], LoadDefaults()).rejected == 0
        failed = [finding.because for finding in check.check(store).findings if "The analysis failed" in finding.because]
        assert not failed
        rows = store.ask(Records("audit", ever=True), replace(WEEK, end=datetime(2100, 1, 1, tzinfo=WEEK.end.tzinfo)))
        huge = [row for row in rows.to_dict("records") if "Infinity" in json.dumps(row["results"])]
        assert huge
        assert all(not flat_numbers(row["results"]) for row in huge)
        assert len(stored_audits(huge)) and all(audit.value is None for audit in stored_audits(huge))
