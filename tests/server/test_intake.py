"""A body of records over HTTP: lines, an array or one object, plain or gzip, within bounds; rejected lines never pass for accepted ones."""

import gzip
import json
import zlib

import pytest

from observability.server import api, intake, process_lock, tokens
from observability.store.opener import open_store
from tests.support.http_routes import ask_routes
from tests.support.record_lines import prediction

BASE = {"at": "2026-11-01T00:00:00Z", "model": "loan", "version": "1", "features": {"age": 41}, "score": 0.5}


@pytest.fixture
def post(tmp_path, monkeypatch):
    """Posts to the routes of an owner of a new home."""
    store = open_store(tmp_path / "home", threads=1)
    owner = process_lock.Owner(store.home, process_lock.Lock(-1), store)
    monkeypatch.setattr(process_lock, "_current", owner)
    token = tokens.create(store.home, "write")[1]

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
        (gzip.compress(b" " * (intake.MOST_EXPANDED + 1)), 413),
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
