"""A body of records sent over HTTP: lines, an array or one object, plain or gzip, of limited size. Rejected lines never count as
accepted.
"""

import asyncio
import gzip
import json
import zlib

import pytest
from starlette.requests import Request

from observability.cli.load_report import load_outcome
from observability.core.limits import IntakeLimits
from observability.investigation.case import case
from observability.server import api, intake, process_lock, tokens
from tests.support.http_routes import ask_routes
from tests.support.new_store import new_store
from tests.support.record_lines import prediction

BASE = {"at": "2026-11-01T00:00:00Z", "model": "loan", "version": "1", "features": {"age": 41}, "score": 0.5}


@pytest.fixture
def post(tmp_path, monkeypatch):
    """A function that posts to the routes of the owner of a new home."""
    store = new_store(tmp_path / "home", threads=1)
    owner = process_lock.Owner(store.home, process_lock.Lock(-1), store)
    monkeypatch.setattr(process_lock, "_current", owner)
    token = tokens.create_token(store.home, "write")[1]

    def send(body, path="/api/v1/records", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask_routes(api.routes(), "POST", path, token, body, named)

    def load():
        owner.records.publish()
        return store.load_landing()

    send.owner, send.store, send.load = owner, store, load
    yield send
    store.close()


def records(*ids):
    return [{"kind": "prediction", "id": name, **BASE} for name in ids]


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_taken_and_a_wrong_element_named_by_its_place(post, indent):
    body = json.dumps([*records("a", "b"), {"kind": "prediction"}, 7], indent=indent).encode()
    answer = post(b" \n" + body)
    assert answer.status == 202
    assert answer.json()["accepted"] == 2
    assert [line["line"] for line in answer.json()["rejected"]] == [3, 4]
    assert post.load().stored == 2
    assert post(b"[]").json() == {"accepted": 0, "rejected": []}


def test_one_object_over_several_lines_is_a_record(post):
    assert post(json.dumps(records("a")[0], indent=1).encode()).json() == {"accepted": 1, "rejected": []}


@pytest.mark.parametrize("body", [b"[", b"[{}", b"[{},]", b"[{} {}]", b"[] []", b"[,]", b'["\xff"]', b"[" * 100_000])
def test_an_array_that_is_no_json_is_refused_whole(post, body):
    answer = post(body)
    assert answer.status == 400
    assert "array" in answer.json()["error"]


def test_a_gzip_body_is_taken_with_and_without_its_header(post):
    lines = [json.dumps(record).encode() for record in records("a", "b", "c")]
    assert post(gzip.compress(b"\n".join(lines[:2])), content_encoding="gzip").json() == {"accepted": 2, "rejected": []}
    assert post(gzip.compress(lines[2])).json()["accepted"] == 1
    assert post(gzip.compress(lines[0] + b"\n") + gzip.compress(lines[1]), content_encoding="gzip").json()["accepted"] == 2
    report = post.load()
    assert (report.stored, report.duplicates) == (3, 2)


def test_a_gzip_body_that_is_wrong_or_expands_too_far_is_refused(post):
    whole = gzip.compress(json.dumps(records("a")).encode())
    for body, status in (
        (whole[:-12], 400),
        (whole[:12] + b"\xff" * 20, 400),
        (gzip.compress(b" " * (IntakeLimits().expanded_bytes + 1)), 413),
        (b"{}", 400),
    ):
        answer = post(body, content_encoding="gzip")
        assert answer.status == status, answer.body
        assert set(answer.json()) == {"error", "try"}
    assert post(zlib.compress(b"{}"), content_encoding="deflate").status == 415
    assert not list(post.store.landing.glob("*/*"))


def test_where_every_line_is_rejected_the_answer_says_so(post):
    answer = post(b'{"kind": "prediction"}\n\n{')
    body = answer.json()
    assert answer.status == 422
    assert (body["accepted"], [line["line"] for line in body["rejected"]]) == (0, [1, 3])
    assert body["error"] and body["try"]
    assert not list(post.store.landing.glob("*/*"))


def test_labels_need_not_name_their_kind_and_other_kinds_are_refused(post):
    label = {"id": "a", "at": BASE["at"], "model": "loan", "value": 1}
    other = prediction()
    body = json.dumps([label, {"kind": "label", **label, "id": "b"}, other, {}, {**label, "value": None}]).encode()
    answer = post(body, "/api/v1/labels")
    assert answer.status == 202
    assert answer.json()["accepted"] == 2
    reasons = {line["line"]: line["reason"] for line in answer.json()["rejected"]}
    assert sorted(reasons) == [3, 4, 5]
    assert "/api/v1/records" in reasons[3]
    report = post.load()
    assert (report.stored, report.rejected) == (2, 0)


@pytest.fixture
def limit(post):
    """A function that writes the limits.toml of the owner's home."""
    return lambda text: (post.store.home / "limits.toml").write_text(text)


def test_a_body_of_a_thousand_model_names_makes_a_few_models_and_says_why(post):
    lines = [record | {"model": f"m{i}"} for i, record in enumerate(records(*map(str, range(1000))))]
    answer = post(json.dumps(lines).encode())
    body = answer.json()
    assert (answer.status, body["accepted"], len(body["rejected"])) == (202, 20, 980)
    assert "new_models_per_request" in body["rejected"][0]["reason"]
    assert post(json.dumps(lines[:20]).encode()).json()["accepted"] == 20, "columns of records that still wait count as known"
    for start in (20, 40):
        post(json.dumps(lines[start : start + 20]).encode())
    assert "new_models_per_hour" in post(json.dumps(lines[60:]).encode()).json()["rejected"][0]["reason"]
    assert post.load().rejected == 0
    assert len(post.store.catalog().models) == 50


def test_the_limit_of_unregistered_models_holds_for_every_writer(post, limit):
    limit("[limits]\nunregistered_models = 3\n")
    lines = b"".join(json.dumps(record | {"model": f"m{i}"}).encode() + b"\n" for i, record in enumerate(records(*"abcdef")))
    post.owner.records.commit(lines, 6)  # as a local writer does
    report = post.load()
    assert (report.stored, report.rejected, report.reasons) == (3, 3, {"too_many_models": 3})
    answer = post(json.dumps(records("z")).encode())
    assert answer.status == 422
    assert "unregistered_models" in answer.json()["rejected"][0]["reason"]


def test_a_line_with_too_many_features_or_too_long_a_text_is_rejected_alone(post, limit):
    limit("[limits]\nfeatures_per_line = 10\nvalue_characters = 100\n")
    good = records("a")[0]
    wide = good | {"id": "b", "features": {f"feature_{i}": i for i in range(11)}}
    long = good | {"id": "c", "note": {"deep": ["x" * 101]}}
    answer = post(json.dumps([good, wide, long, good | {"id": "d", "note": "x" * 100}]).encode())
    assert answer.json()["accepted"] == 2
    assert [(line["line"], line["reason"].split()[0]) for line in answer.json()["rejected"]] == [(2, "'features'"), (3, "a")]


def test_a_token_over_its_quota_is_told_when_to_retry_and_other_tokens_continue(post, limit):
    other, text = tokens.create_token(post.store.home, "write")
    limit(f"[limits]\nrecords_per_minute = 2\n[tokens.{other.id}]\nrecords_per_minute = 100\n")
    body = json.dumps(records("a", "b", "c")).encode()
    assert post(body).status == 202
    answer = post(body)
    assert answer.status == 429
    assert set(answer.json()) == {"error", "try"}
    assert int(answer.headers["retry-after"]) >= 30
    for _ in range(2):
        assert ask_routes(api.routes(), "POST", "/api/v1/records", text, body).status == 202


def test_new_features_beyond_the_hourly_limit_are_refused_and_nothing_is_stored(post, limit):
    limit("[limits]\nnew_columns_per_hour = 3\n")
    answer = post(json.dumps([record | {"features": dict.fromkeys("abcd", 1)} for record in records("a")]).encode())
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    assert post.load().lines == 0


def test_slow_bodies_are_bounded(post, limit):
    limit("[limits]\nbody_seconds = 1\n")

    async def half_open():
        async def never():
            await asyncio.sleep(60)

        request = Request({"type": "http", "headers": [(b"content-length", b"10")]}, never)
        await intake.read_body(request, IntakeLimits(body_seconds=1))

    with pytest.raises(intake.IntakeRefusedError, match="did not arrive"):
        asyncio.run(half_open())


def test_a_rounded_number_is_reported_in_the_answer_and_kept_exactly(post):
    """Regression: 9007199254740993 was stored as ...992, and neither the answer, nor the load, nor the case reported this."""
    number = 2**53 + 1
    lines = [record | {"features": {"account": number, "age": 41}, "groups": {"desk": number}} for record in records("a", "b")]
    answer = post("\n".join(map(json.dumps, lines)).encode())
    note, of_group = answer.json()["notes"]
    assert answer.json()["accepted"] == 2 and "'feature.account' of loan: 9007199254740993 is counted as 9007199254740992.0" in note
    loaded = post.load()
    assert list(loaded.notes.values()) == [note, of_group] == loaded.to_json()["notes"] and (loaded + loaded).notes == loaded.notes
    assert f"note: {note}" in load_outcome(loaded, False).out
    found = case(post.store, "a").row
    assert found.record()["groups"] == {"desk": number} and "extra" not in found.record()
    assert found.record()["features"] == {"account": number, "age": 41.0} and found.features["account"] == float(2**53)
    assert post(json.dumps(records("c")[0]).encode()).json() == {"accepted": 1, "rejected": []}


def test_two_numbers_that_round_to_the_same_double_are_different_contents(post):
    """Regression: if a record repeated the id of a stored prediction with another number that rounds to the same double, it counted as a
    duplicate.
    """
    told = []
    for number in (2**53 + 1, 2**53 + 1, 2**53):
        post(json.dumps(records("a")[0] | {"features": {"account": number, "age": 41}}).encode())
        done = post.load()
        told.append((done.stored, done.duplicates, done.rejected))
    assert told == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
