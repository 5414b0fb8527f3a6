"""A probe set is asked over HTTP, within limits and with retries, only at its own address, and no stored data contain its token."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.cli.execute import execute
from observability.core.errors import UsageError
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.probing import http_adapter
from observability.probing.ask import ask_set, is_well_formed, normal_answer, probe_record
from observability.probing.http_adapter import ProbeAnswer
from observability.probing.probe_file import parse_probe_set, read_probe_set
from observability.probing.sentence_encoder import find_encoder
from observability.server import probe_schedule
from observability.store.engine import Store
from tests.support.fake_vendor import Reply, completion, probe_toml, serving_vendor
from tests.support.new_store import new_store
from tests.support.tiny_encoder import write_encoder

SECRET = "sk-secret-98431"
RIGHT = {"Topic of: My invoice is wrong.": "Billing.", "Topic of: Where is my parcel?": "delivery", "Topic of: Charged twice": "billing"}


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TOKEN", SECRET)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(new_store(tmp_path / "home", threads=1)) as opened:
        yield opened


def written(folder: Path, url: str, **own: str) -> Path:
    """The path of a probe file that names this address."""
    path = folder / "tickets.toml"
    path.write_text(probe_toml(url, **own), encoding="utf-8")
    return path


def right(question: str) -> Reply:
    return completion(RIGHT[question])


def test_answers_land_as_predictions_of_environment_probe_and_changes_are_listed(store: Store, tmp_path: Path) -> None:
    answers = dict(RIGHT)
    with serving_vendor(lambda question: completion(answers[question])) as vendor:
        path = written(tmp_path, vendor.url, currency='"USD"')
        first = execute(store, ["probe", str(path), "--json"], lambda _: None)
        assert first.exit_code == 0, first.error
        answers["Topic of: Charged twice"] = "I'm sorry, I cannot help."
        second = execute(store, ["probe", str(path)], lambda _: None)
    body = json.loads(first.out)
    assert (body["answered"], body["questions"], body["compared"], body["refused"], body["not_well_formed"]) == (3, 3, 0, 0, 0)
    assert body["cost"] == pytest.approx(3 * (20 * 0.5 + 3 * 1.5) / 1000)
    assert "1 of 3 answers differ from the previous round; 1 refusal; 1 not in the requested form" in second.out
    assert "t3: billing -> I'm sorry, I cannot help." in second.out
    columns = ("model", "version", "prediction", "status", "features", "latency_ms", "extra")
    rows = store.ask(Records("prediction", columns, ever=True), Window("", EPOCH, datetime.now(UTC) + timedelta(days=1)))
    assert len(rows) == 6 and set(rows["version"]) == {"chat-small-2026-01"} and set(rows["model"]) == {"acme/chat-small"}
    assert rows["features"].iloc[0] == {"input_tokens": 20, "output_tokens": 3} and (rows["latency_ms"] > 0).all()
    assert {extra["currency"] for extra in rows["extra"]} == {"USD"}
    last = rows["extra"].iloc[-1]
    assert (last["item"], last["refused"], last["well_formed"]) == ("t3", True, False) and rows["extra"].iloc[0]["expected"] == "billing"
    assert vendor.seen[0][1]["Authorization"] == f"Bearer {SECRET}" and vendor.seen[0][2]["temperature"] == 0
    kept = b"".join(path.read_bytes() for path in store.home.rglob("*") if path.is_file())
    assert SECRET.encode() not in kept and SECRET not in first.out + second.out


def test_errors_are_retried_and_kept_without_the_token(tmp_path: Path) -> None:
    failures, waits = [429, 503], []

    def reply(question: str) -> Reply:
        if "invoice" in question and failures:
            return failures.pop(0), {"Retry-After": "7"}, b""
        if "parcel" in question:
            return 401, {}, b""
        return completion(f"billing {SECRET}")

    with serving_vendor(reply) as vendor:
        found = ask_set(read_probe_set(written(tmp_path, vendor.url)), os.environ, sleep=waits.append)
    by_item = {each["item"]: each for each in found.records}
    assert by_item["t1"]["status"] == "ok" and by_item["t1"]["tries"] == 3 and waits == [7.0, 7.0]
    assert (by_item["t2"]["status"], by_item["t2"]["error"]) == ("rejected", "HTTP 401") and "tries" not in by_item["t2"]
    assert by_item["t1"]["prediction"] == "billing ***" and SECRET not in json.dumps(found.records)
    assert len(vendor.seen) == 5


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with serving_vendor(right) as other, serving_vendor(lambda _: (302, {"Location": other.url}, b"")) as vendor:
        found = ask_set(read_probe_set(written(tmp_path, vendor.url)), os.environ)
        assert other.seen == [] and [each["error"] for each in found.records] == ["HTTP 302"] * 3


def test_a_proxy_from_the_environment_is_not_contacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_vendor(right) as proxy, serving_vendor(right) as vendor:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert ask_set(read_probe_set(written(tmp_path, vendor.url)), os.environ).answered == 3 and proxy.seen == []


def test_time_and_size_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_adapter, "MAX_RESPONSE", 2_000)
    done = threading.Event()

    def reply(question: str) -> Reply:
        if "invoice" in question:
            done.wait(60)
        return completion("x" * 5_000) if "parcel" in question else (200, {}, b"<html>")

    with serving_vendor(reply) as vendor:
        late = ask_set(read_probe_set(written(tmp_path, vendor.url, timeout_s="0.2", retries="0")), os.environ).records[0]
        done.set()
        found = ask_set(read_probe_set(written(tmp_path, vendor.url, retries="0")), os.environ).records
    assert (late["status"], late["error"]) == ("timeout", "no response within 0.2 s")
    assert [(each["status"], each["error"]) for each in found[1:]] == [
        ("rejected", "the response is larger than 2,000 bytes"),
        ("error", "the response is not JSON"),
    ]
    assert ask_set(read_probe_set(written(tmp_path, vendor.url)), os.environ, stopped=lambda: True).left_out == 3


def test_a_missing_token_raises_an_error_that_names_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_TOKEN")
    with pytest.raises(UsageError, match="ACME_TOKEN is not set"):
        ask_set(read_probe_set(written(tmp_path, "http://127.0.0.1:9/")), os.environ)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("url", "file:///etc/passwd", "no address"),
        ("url", "https://me:secret@example.com/{question}", "holds a password"),
        ("timeout_s", 1e9, "0.1 to 600"),
        ("read", {"answer": "choices"}, "JSON pointer"),
        ("headers", {"X": "a\nb"}, "one line"),
        ("pattern", "(", "regular expression"),
        ("color", "red", "unknown key"),
        ("body", {"q": "nothing"}, "sent nowhere"),
    ],
)
def test_a_wrong_probe_file_raises_an_error_that_names_the_mistake(key: str, value: object, message: str) -> None:
    probe = {"model": "m", "url": "https://example.com/x", "body": {"q": "{question}"}, "read": {"answer": "/a"}, key: value}
    with pytest.raises(UsageError, match=message):
        parse_probe_set({"probe": probe, "item": [{"item": "a", "question": "b"}]}, "f.toml")


def test_well_formed_answers_match_the_answer_list_or_the_pattern() -> None:
    common = {"model": "m", "url": "https://example.com/{question}", "read": {"answer": "/a"}}
    items = [{"item": "a", "question": "b"}]
    classes = parse_probe_set({"probe": {**common, "answers": ["Yes", "No"]}, "item": items}, "f.toml")
    assert is_well_formed(classes, ' "yes".') and not is_well_formed(classes, "Yes, certainly")
    numbers = parse_probe_set({"probe": {**common, "pattern": r"\d+"}, "item": items}, "f.toml")
    assert is_well_formed(numbers, " 42\n") and not is_well_formed(numbers, "42 euros")
    assert is_well_formed(parse_probe_set({"probe": common, "item": items}, "f.toml"), "anything") is None
    assert normal_answer(" **Yes**.\n") == "yes"


def test_answers_of_a_pattern_are_compared_exactly() -> None:
    """Regression: twelve of 60 seven-digit numbers changed in the last digit, but the set reported "0 of 60 answers differ", because
    numbers were compared as free text.
    """
    common = {"model": "m", "url": "https://example.com/{question}", "read": {"answer": "/a"}}
    said = {}
    for name, form in (("classes", {"answers": ["1", "2"]}), ("numbers", {"pattern": r"\d+"}), ("text", {})):
        probe = parse_probe_set({"probe": {**common, **form}, "item": [{"item": "a", "question": "b"}]}, "f.toml")
        said[name] = probe_record(probe, probe.items[0], ProbeAnswer("ok", 1.0, "1025000"), datetime(2026, 3, 2, tzinfo=UTC), "r")[
            "answers"
        ]
    assert said == {"classes": "class", "numbers": "class", "text": "text"}


def test_the_owner_asks_due_probe_sets_and_waits_after_a_failure(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, stopping = datetime(2026, 3, 2, 3, tzinfo=UTC), threading.Event()
    with serving_vendor(right) as vendor:
        outcome = execute(store, ["probe", str(written(tmp_path, vendor.url)), "--schedule", "--dry-run"], lambda _: None)
        assert outcome.exit_code == 0 and "every 24 hours" in outcome.out and "(not kept)" in outcome.out
        name = "acme_chat-small-tickets.toml"
        assert probe_schedule.ask_due_sets(store, now, stopping) == [name]
        assert probe_schedule.ask_due_sets(store, now + timedelta(hours=23), stopping) == [] and len(vendor.seen) == 6
        monkeypatch.delenv("ACME_TOKEN")
        later = now + timedelta(hours=25)
        assert probe_schedule.ask_due_sets(store, later, stopping) == []
        assert "ACME_TOKEN is not set" in probe_schedule.schedule_state(store.home)[name]["error"]
        monkeypatch.setenv("ACME_TOKEN", SECRET)
        assert probe_schedule.ask_due_sets(store, later + timedelta(minutes=30), stopping) == []
        assert probe_schedule.ask_due_sets(store, later + timedelta(minutes=61), stopping) == [name]
    assert execute(store, ["probe", "acme/chat-small", "--unschedule"], lambda _: None).exit_code == 0
    assert probe_schedule.scheduled_files(store.home) == []
    refused = execute(store, ["probe", "acme/chat-small"], lambda _: None)
    assert refused.exit_code == 2 and "no probe set of 'acme/chat-small' is scheduled" in refused.error


def test_answers_of_free_text_are_encoded_by_the_encoder_of_the_owner(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    encoder = write_encoder(tmp_path / "tiny")
    with serving_vendor(lambda question: completion("the parcel arrives tomorrow" if "parcel" in question else "sorry")) as vendor:
        path = written(tmp_path, vendor.url)
        path.write_text(path.read_text(encoding="utf-8").replace("answers = ", "# answers = "), encoding="utf-8")
        told = execute(store, ["probe", str(path), "--encoder", str(encoder)], lambda _: None)
        assert told.exit_code == 0 and f"encoded by {find_encoder(encoder).name}" in told.out, told.error
        asked = len(vendor.seen)
        refused = execute(store, ["probe", str(path), "--encoder", str(tmp_path / "nowhere")], lambda _: None)
        assert refused.exit_code == 2 and "the encoder does not exist" in refused.error and len(vendor.seen) == asked, (
            "it refuses before it asks the vendor"
        )
        refused = execute(store, ["probe", str(path), "--encoder", str(encoder), "--schedule"], lambda _: None)
        assert refused.exit_code == 2 and "--encoder applies to a single round" in refused.error
        path.write_text(path.read_text(encoding="utf-8").replace("[probe]", f'[probe]\nencoder = "{encoder}"'), encoding="utf-8")
        assert execute(store, ["probe", str(path), "--schedule", "--dry-run"], lambda _: None).exit_code == 0
        assert len(probe_schedule.ask_due_sets(store, datetime(2026, 3, 2, 3, tzinfo=UTC), threading.Event())) == 1
    store.load_landing()
    kept = store.ask(Records("prediction", ("extra",), ever=True), Window("", EPOCH, datetime.now(UTC) + timedelta(days=1)))["extra"]
    assert len(kept) == 6 and {each["encoder"] for each in kept} == {find_encoder(encoder).name} and all(each["embedding"] for each in kept)
    with pytest.raises(UsageError, match=r"probe\.encoder is a path"):
        common = {"model": "m", "url": "https://example.com/{question}", "read": {"answer": "/a"}, "encoder": "tiny"}
        parse_probe_set({"probe": common, "item": [{"item": "a", "question": "b"}]}, "f.toml")


def test_waits_between_retries_double_if_the_vendor_states_none(tmp_path: Path) -> None:
    waits = []
    with serving_vendor(lambda _: (500, {}, b"")) as vendor:
        probe = read_probe_set(written(tmp_path, vendor.url, retries="3"))
        began = time.monotonic()
        answer = http_adapter.ask_item(probe, probe.items[0], os.environ, http_adapter.probe_opener(probe), waits.append)
    assert waits == [1.0, 2.0, 4.0] and answer.tries == 4 and answer.latency_ms < (time.monotonic() - began) * 1000
