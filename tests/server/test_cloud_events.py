"""CloudEvents of model servers. Requests and responses are joined in either order, over several HTTP requests and restarts, and no
acknowledged event is lost.
"""

import json
from datetime import datetime

import pytest

from observability.core import telemetry
from observability.core.catalog import Model, Version
from observability.server import api, cloud_events, open_metrics, process_lock, tokens, waiting_halves
from observability.server.inference_payloads import PayloadError, answer_fields, answer_rows, feature_rows
from observability.store.opener import open_store
from tests.support.http_routes import ask_routes

PATH = "/api/v1/cloudevents"
KSERVE = {
    "ce-specversion": "1.0",
    "ce-source": "http://localhost:9081/",
    "ce-inferenceservicename": "income",
    "ce-namespace": "default",
    "ce-component": "predictor",
    "ce-endpoint": "default",
    "content-type": "application/json",
}
V1_REQUEST, V1_RESPONSE = {"instances": [[39, 7.5]]}, {"predictions": [0.25]}
V2_REQUEST = {
    "id": "inner",
    "parameters": {"content_type": "pd"},
    "inputs": [
        {"name": "age", "shape": [2, 1], "datatype": "INT64", "data": [39, 50]},
        {"name": "job", "shape": [2], "datatype": "BYTES", "parameters": {"content_type": "str"}, "data": ["clerk", "cook"]},
    ],
}
V2_RESPONSE = {
    "model_name": "income",
    "model_version": "v7",
    "id": "inner",
    "outputs": [
        {"name": "predict", "shape": [2, 1], "datatype": "INT64", "data": [0, 1]},
        {"name": "predict_proba", "shape": [2, 2], "datatype": "FP64", "data": [0.9, 0.1, 0.2, 0.8]},
    ],
}


class Sink:
    """The HTTP routes of an owner of a new home, without a port."""

    def __init__(self, home, monkeypatch):
        self.home, self.monkeypatch = home, monkeypatch
        self.open()
        self.token = tokens.create_token(home, "write")[1]

    def open(self):
        self.store = open_store(self.home, threads=1)
        self.owner = process_lock.Owner(self.home, process_lock.Lock(-1), self.store)
        self.monkeypatch.setattr(process_lock, "_current", self.owner)

    def restart(self):
        """Restart the owner: everything that is only in memory is lost."""
        self.owner.waiting.close()
        self.store.close()
        self.open()

    def post(self, body, headers, query="", token=None):
        return ask_routes(api.routes(), "POST", PATH + query, token or self.token, body, headers)

    def event(self, part, data, name="e1", query="", token=None, **attributes):
        """Send one event in binary mode, as KServe's logger does."""
        own = {f"ce-{key}": value for key, value in attributes.items()}
        headers = {**KSERVE, "ce-id": name, "ce-type": f"org.kubeflow.serving.inference.{part}", **own}
        return self.post(json.dumps(data).encode(), headers, query, token)

    def load(self):
        self.owner.records.publish()
        return self.store.load_landing()

    def rows(self, columns):
        self.load()
        [model] = self.store.catalog().models
        return self.store.query_views(f'SELECT {columns} FROM "{model.name}.predictions" ORDER BY id').rows


@pytest.fixture
def sink(tmp_path, monkeypatch):
    for name in ("HALVES_DROPPED", "ACCEPTED", "REJECTED"):
        monkeypatch.setattr(telemetry, name, telemetry.EventCounts())
    found = Sink(tmp_path / "home", monkeypatch)
    yield found
    found.owner.waiting.close()
    found.store.close()


def answer(accepted=0, waiting=0, duplicates=0, rejected=()):
    return {"accepted": accepted, "waiting": waiting, "duplicates": duplicates, "rejected": list(rejected)}


@pytest.mark.parametrize("order", [("request", "response"), ("response", "request")])
def test_request_and_response_are_joined_in_either_order_and_across_a_restart(sink, order):
    bodies = {"request": V1_REQUEST, "response": V1_RESPONSE}
    times = {"request": "2026-11-01T10:00:00Z", "response": "2026-11-01T10:00:00.040Z"}
    first = sink.event(order[0], bodies[order[0]], time=times[order[0]])
    assert (first.status, first.json()) == (202, answer(waiting=1))
    assert sink.load().lines == 0
    sink.restart()
    second = sink.event(order[1], bodies[order[1]], time=times[order[1]])
    assert (second.status, second.json()) == (202, answer(accepted=1))
    assert sink.rows("id, score, latency_ms, version") == [("e1", 0.25, 40.0, "default")]
    model = sink.store.catalog().model("income")
    assert {column.name for column in model.features()} == {"f0", "f1"}


def test_a_half_that_is_delivered_again_is_known_and_another_content_is_refused(sink):
    assert sink.event("request", V1_REQUEST).json() == answer(waiting=1)
    assert sink.event("request", V1_REQUEST).json() == answer(duplicates=1)
    assert sink.event("response", V1_RESPONSE).json() == answer(accepted=1)
    for part, body in (("request", V1_REQUEST), ("response", V1_RESPONSE)):
        assert sink.event(part, body).json() == answer(duplicates=1)
    other = sink.event("response", {"predictions": [0.75]})
    assert other.status == 422
    assert "other content" in other.json()["rejected"][0]["reason"]
    assert sink.owner.waiting.count() == {"request": 0, "response": 0}
    assert sink.load().stored == 1


def test_v2_tensors_become_one_record_an_instance(sink):
    sink.event("request", V2_REQUEST)
    assert sink.event("response", V2_RESPONSE).json() == answer(accepted=2)
    assert sink.rows("id, score, prediction, version") == [("e1-0", 0.1, "0", "v7"), ("e1-1", 0.8, "1", "v7")]
    assert {(column.name, column.kind) for column in sink.store.catalog().model("income").features()} == {
        ("age", "number"),
        ("job", "category"),
    }


def structured(part, data, name, **attributes):
    return {
        "specversion": "1.0",
        "id": name,
        "type": f"io.seldon.serving.inference.{part}",
        "source": "http://localhost:8000/",
        "modelid": "classifier",
        "inferenceservicename": "flowers",
        "datacontenttype": "application/json",
        "data": data,
        **attributes,
    }


def test_seldons_events_are_joined_by_their_request_id_in_one_batch(sink):
    seldon = {"data": {"names": ["a", "b"], "ndarray": [[1.5, "x"]]}}
    events = [
        structured("request", seldon, "1", requestid="r", time="2026-11-01T10:00:00Z"),
        structured(
            "response",
            {"data": {"names": ["t:0", "t:1", "t:2"], "tensor": {"shape": [1, 3], "values": [0.1, 0.2, 0.7]}}},
            "2",
            requestid="r",
        ),
        structured("feedback", {}, "3"),
        {"id": "4"},
    ]
    reply = sink.post(json.dumps(events).encode(), {"content-type": "application/cloudevents-batch+json; charset=utf-8"})
    assert reply.status == 202
    assert reply.json()["accepted"] == 1
    assert [line["line"] for line in reply.json()["rejected"]] == [3, 4]
    assert sink.rows("id") == [("r",)]
    one = sink.post(json.dumps(structured("request", seldon, "5")).encode(), {"content-type": "application/cloudevents+json"})
    assert one.json() == answer(waiting=1)


def test_model_and_version_come_from_the_address_or_from_the_attributes_it_names(sink):
    query = "?model=loan&version_from=endpoint&environment=shadow"
    sink.event("request", V1_REQUEST, query=query, endpoint="canary")
    assert sink.event("response", V1_RESPONSE, query=query, endpoint="canary").json() == answer(accepted=1)
    assert sink.rows("version, environment") == [("canary", "shadow")]
    assert [model.name for model in sink.store.catalog().models] == ["loan"]
    missing = sink.event("request", V1_REQUEST, "e2", query="?model_from=revision")
    assert missing.status == 422
    assert "'revision'" in missing.json()["rejected"][0]["reason"]
    assert sink.event("request", V1_REQUEST, query="?modle=x").status == 400


def test_a_half_without_its_partner_becomes_a_rejected_line_and_is_counted(sink, monkeypatch):
    sink.event("request", V1_REQUEST, "alone")
    sink.event("response", V2_RESPONSE, "orphan")
    text = open_metrics.open_metrics_text()
    assert 'observability_ingest_waiting_halves{part="request"} 1' in text
    monkeypatch.setattr(waiting_halves, "WAIT_SECONDS", 0.0)
    waiting_halves.settle_overdue_halves(sink.owner.waiting, sink.owner.records)
    report = sink.load()
    assert (report.lines, report.stored, report.rejected) == (3, 0, 3)
    assert telemetry.HALVES_DROPPED.totals() == {"request_expired": 1, "response_expired": 2}
    text = open_metrics.open_metrics_text()
    assert 'observability_ingest_dropped_halves_total{why="request_expired"} 1' in text
    assert 'observability_ingest_waiting_halves{part="request"} 0' in text


def test_beyond_the_limit_of_waiting_halves_the_oldest_are_dropped(sink, monkeypatch):
    monkeypatch.setattr(waiting_halves, "MAX_HALVES", 2)
    for name in "abc":
        sink.event("request", V1_REQUEST, name)
    waiting_halves.settle_overdue_halves(sink.owner.waiting, sink.owner.records)
    assert sink.owner.waiting.count()["request"] == 2
    assert telemetry.HALVES_DROPPED.totals() == {"request_full": 1}
    assert sink.event("response", V1_RESPONSE, "c").json() == answer(accepted=1)


def test_a_mismatched_pair_is_reported_and_its_acknowledged_half_is_kept(sink):
    sink.event("request", {"instances": [[1], [2]]})
    reply = sink.event("response", V1_RESPONSE)
    assert reply.status == 422
    assert "2 instances" in reply.json()["rejected"][0]["reason"]
    report = sink.load()
    assert (report.lines, report.rejected) == (2, 2)
    assert sink.owner.waiting.count() == {"request": 0, "response": 0}


def test_protected_features_are_never_written_to_disk_in_plain_text(sink):
    (sink.home / "protect.json").write_text(json.dumps({"income": {"name": "hash", "age": 10}}))
    secret = "Ada Lovelace of Marylebone"
    sink.event("request", {"instances": [{"name": secret, "age": 36}]})
    held = b"".join(file.read_bytes() for file in sink.home.rglob("*") if file.is_file())
    assert b"hmac:" in held
    assert secret.encode() not in held
    assert sink.event("response", V1_RESPONSE).json() == answer(accepted=1)
    assert sink.load().stored == 1


def test_a_token_without_write_access_is_refused_and_a_model_token_writes_only_its_model(sink):
    reading = tokens.create_token(sink.home, "read")[1]
    assert sink.event("request", V1_REQUEST, token=reading).status == 403
    assert sink.event("request", V1_REQUEST, token="none").status == 401
    assert ask_routes(api.routes(), "GET", PATH, sink.token).status == 405
    limited = tokens.create_token(sink.home, "write", "one", models=("loan",))[1]
    refused = sink.event("request", V1_REQUEST, token=limited)
    assert refused.status == 422
    assert "not for the model" in refused.json()["rejected"][0]["reason"]
    assert sink.event("request", V1_REQUEST, query="?model=loan", token=limited).json() == answer(waiting=1)
    assert sink.event("response", V1_RESPONSE, query="?model=loan").json() == answer(waiting=1), (
        "the half sent with another token is not joined"
    )


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"content-type": "application/json"}, 415),
        (b"[", {"content-type": "application/cloudevents-batch+json"}, 400),
        (b"{}", {"content-type": "application/cloudevents-batch+json"}, 400),
        (b"7", {"content-type": "application/cloudevents+json"}, 422),
        (b"\xff", {**KSERVE, "ce-id": "a", "ce-type": "org.kubeflow.serving.inference.request"}, 422),
        (b"{}", {**KSERVE, "ce-id": "a", "ce-type": "org.kubeflow.serving.inference.request", "ce-time": "soon"}, 422),
    ],
)
def test_a_body_that_is_no_event_is_refused_with_advice(sink, body, headers, status):
    reply = sink.post(body, headers)
    assert reply.status == status
    assert {"error", "try"} <= set(reply.json())


DEEP = "[" * 3000 + "]" * 3000


@pytest.mark.parametrize(
    "data",
    [
        '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1' + "0" * 400 + "]}]}",
        '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": ' + DEEP + "}]}",
        '{"instances": [' + DEEP + "]}",
        '{"instances": 7, "inputs": {}, "data": []}',
        '{"inputs": [7]}',
        '{"inputs": [{"name": "x", "shape": ["a"], "datatype": 7, "data": {}}]}',
    ],
)
def test_a_hostile_request_is_rejected_and_nothing_waits(sink, data):
    headers = {**KSERVE, "ce-id": "e1", "ce-type": "org.kubeflow.serving.inference.request"}
    assert sink.post(data.encode(), headers).status == 422
    assert sink.owner.waiting.count() == {"request": 0, "response": 0}


def test_a_feature_with_an_invalid_value_does_not_reject_the_record(sink):
    sink.event("request", {"instances": [{"a": 1, "b": {"c": json.loads("[" * 50 + "]" * 50)}}]})
    assert sink.event("response", V1_RESPONSE).json() == answer(accepted=1)
    assert sink.rows("id, score") == [("e1", 0.25)]


@pytest.mark.parametrize("data", ['{"predictions": [{"a": 1' + "0" * 400 + ', "b": 2}]}', '{"predictions": [' + DEEP + "]}"])
def test_a_hostile_response_is_rejected(sink, data):
    sink.event("request", {"instances": [[1]]})
    headers = {**KSERVE, "ce-id": "e1", "ce-type": "org.kubeflow.serving.inference.response"}
    assert sink.post(data.encode(), headers).status == 422


NUMBERS = Model(1, "m", "regression")
BINARY = Model(1, "m", "binary", ("no", "yes"))
CLASSES = Model(1, "m", "multiclass", ("a", "b", "c"))


@pytest.mark.parametrize(
    ("value", "model", "fields"),
    [
        (0.25, None, {"score": 0.25}),
        (1, None, {"prediction": 1}),
        (1, NUMBERS, {"score": 1}),
        ("spam", None, {"prediction": "spam"}),
        (True, BINARY, {"prediction": True}),
        ([0.25], None, {"score": 0.25}),
        ([0.25, 0.75], None, {"score": 0.75}),
        ([0.4, 0.8], BINARY, {"score": 0.8}),
        ([0.1, 0.2, 0.7], CLASSES, {"score": {"a": 0.1, "b": 0.2, "c": 0.7}}),
        ([0.1, 0.2, 0.7], None, {"score": {"0": 0.1, "1": 0.2, "2": 0.7}}),
        ({"no": 0.4, "yes": 0.6}, BINARY, {"score": 0.6}),
        ({"label": "yes", "probabilities": [0.4, 0.6]}, BINARY, {"score": 0.6, "prediction": "yes"}),
        ({"predict": 3, "queue": 5}, None, {"prediction": 3, "outputs": {"queue": 5}}),
        ({"output-0": 2.5}, None, {"score": 2.5}),
    ],
)
def test_an_answer_is_a_score_or_a_prediction(value, model, fields):
    assert answer_fields(value, model) == fields


@pytest.mark.parametrize(
    ("value", "model"), [(None, None), ({}, None), ([], None), ([0.1, 0.2], NUMBERS), ({"a": 1.5, "b": "x"}, None), (["a", "b"], None)]
)
def test_an_answer_that_is_neither_a_score_nor_a_prediction_is_refused(value, model):
    with pytest.raises(PayloadError):
        answer_fields(value, model)


def test_features_are_named_by_the_request_by_the_model_or_by_their_position():
    names = ("age", "job")
    assert feature_rows({"instances": [[1, "x"]]}, names) == [{"age": 1, "job": "x"}]
    assert feature_rows({"instances": [[1, "x", None]]}, names) == [{"f0": 1, "f1": "x", "f2": None}]
    assert feature_rows({"instances": [{"a": [2]}, 7]}, ()) == [{"a": 2}, {"f0": 7}]
    nested = {"name": "input-0", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}
    assert feature_rows({"inputs": [nested]}, names) == [{"age": 1.0, "job": 2.0}, {"age": 3.0, "job": 4.0}]
    assert feature_rows({"inputs": [nested]}, ()) == [{"f0": 1.0, "f1": 2.0}, {"f0": 3.0, "f1": 4.0}]
    other = {"name": "z", "shape": [2], "datatype": "FP32", "data": ["NaN", 1]}
    assert feature_rows({"inputs": [nested, other]}, ())[0] == {"input-0_0": 1.0, "input-0_1": 2.0, "z": "NaN"}
    assert feature_rows({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [float("inf")]}]}, ()) == [{"x": "Infinity"}]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"instances": []},
        {"instances": [[[1, 2], [3, 4]]]},
        {"inputs": []},
        {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1]}]},
        {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}]},
        {"inputs": [{"name": "x", "shape": [1, 2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]},
        {"inputs": [{"name": "x", "shape": [0], "datatype": "FP32", "data": []}]},
        {"inputs": [{"name": "x", "shape": [10**12, 0], "datatype": "FP32", "data": []}]},
        {"inputs": [{"name": n, "shape": [k], "datatype": "INT8", "data": [1] * k} for n, k in (("x", 1), ("y", 2))]},
        {"data": {"names": ["a"]}},
    ],
)
def test_a_request_without_readable_instances_is_refused(body):
    with pytest.raises(PayloadError):
        feature_rows(body, ())


def test_a_response_without_answers_is_refused():
    for body in ({}, {"predictions": []}, {"outputs": []}, {"error": "model is not ready"}):
        with pytest.raises(PayloadError):
            answer_rows(body)


def test_the_version_of_events_without_one_is_the_only_registered_one():
    versions = (Version("3", registered_at=datetime(2026, 11, 1)), Version("seen"))
    assert cloud_events._version_of(Model(1, "income", "binary", versions=versions), "default") == "3"
    assert cloud_events._version_of(None, "canary") == "canary"
    assert cloud_events._version_of(None, None) == "unknown"


def test_a_forgotten_subject_is_erased_from_waiting_halves(sink):
    subject = "jane-77.Q@mail"
    named = {"inputs": [{"name": "asked_by", "shape": [1], "datatype": "BYTES", "parameters": {"content_type": "str"}, "data": [subject]}]}
    about = {"inputs": [{**named["inputs"][0], "name": "subject"}]}
    sink.event("request", V1_REQUEST, f"{subject}-1")
    sink.event("request", about, "by-subject")
    sink.event("request", named, "mentions")
    sink.event("request", V1_REQUEST, "other")
    for part, body in (("request", V1_REQUEST), ("response", V1_RESPONSE)):
        sink.event(part, body, f"{subject}-2")
    body = sink.store.forget(subject)
    assert body["waiting"] == 5 and not any("waiting" in left for left in body["left"])
    assert not [path for path in (sink.home / "waiting").iterdir() if subject.encode() in path.read_bytes()]
    assert sink.owner.waiting.count() == {"request": 2, "response": 0}
    late = [
        sink.event("response", V1_RESPONSE, f"{subject}-1"),
        sink.event("request", about, "again"),
        sink.event("response", V1_RESPONSE, "by-subject"),
    ]
    assert [reply.status for reply in late] == [422] * 3
    assert all("erased" in reply.json()["rejected"][0]["reason"] for reply in late)
    assert sink.event("response", V1_RESPONSE, "mentions").json() == answer(accepted=1)
    assert sink.rows('id, "feature.asked_by"') == [("mentions", "[erased]")]


def test_a_forgotten_subject_is_erased_from_waiting_halves_without_a_running_dashboard(sink):
    subject = "jane-77.Q@mail"
    sink.event("request", V1_REQUEST, f"{subject}-1")
    sink.owner.waiting.close()
    sink.store.close()
    with process_lock.opened_store(sink.home) as store:
        assert store.forget(subject)["waiting"] == 1
    assert not [path for path in (sink.home / "waiting").iterdir() if subject.encode() in path.read_bytes()]
