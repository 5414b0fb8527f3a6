"""A small seeded store with everything that makes counting difficult, for the tests of the engine. It has four models:

* loan: binary, with two registered versions that differ in features and edges (one feature is called "score", one name is hostile), and a
  version that nobody registered. It has shadow and validation rows, some of them under the id of the request that another version
  answered, weights, sensitive columns, and labels that come late, early, revised, twice, as true and false, or with an unknown id.
* eta: regression with edges of score and error, infinities, a failed prediction.
* kind: multiclass whose class names need quoting.
* stray: never registered.
"""

import json
import math
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from observability.core.catalog import Edges, Version
from observability.store.db.catalog_store import add_columns, add_model, ensure_stream, find_model, save_version, set_sensitive
from observability.store.ingest.stage import insert_predictions
from observability.store.opener import open_store
from observability.store.rollup.rollup import rebuild_rollups
from observability.store.types.loading import LoadDefaults
from tests.support.built_once import copied_once

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 5
HOSTILE = "a\"b'; DROP TABLE models; --"
KINDS = ('re"d/~', "green", "it's")
STATUSES = ("ok", "ok", "ok", "ok", "fallback", "error", "timeout", "rejected")
PERSON = {"sex": ("F", "M", None), "race": ("A", "B", "C", "null", None)}


def numbers(*edges):
    return Edges(
        edges=tuple(float(each) for each in edges),
        deciles=tuple(range(len(edges) + 1)),
        positions=tuple(float(i) for i in range(len(edges) + 1)),
    )


EDGES = {
    "loan": {
        "1": {
            "feature.income": numbers(-1, 0, 0.5, 2),
            "feature.city": Edges(levels=("EWR", "JFK", "a&b=c")),
            "feature.sex": Edges(levels=("F", "M")),
            "feature.vip": Edges(levels=("false", "true")),
            f"feature.{HOSTILE}": numbers(0, 1),
            "group.race": Edges(levels=("A", "B")),
            "band.income": numbers(-0.5, 0, 1),
        },
        "2": {
            "feature.income": numbers(-2, 0.25, 1),
            "feature.score": numbers(0.1, 0.7),
            "feature.sex": Edges(levels=("M",)),
            "feature.vip": Edges(levels=("true",)),
            f"feature.{HOSTILE}": numbers(0.5),
            "group.race": Edges(levels=("B", "C", "A")),
            "band.income": numbers(0.5),
        },
    },
    "eta": {
        "1": {
            "feature.miles": numbers(10, 20, 30),
            "feature.wind": numbers(0),
            "feature.carrier": Edges(levels=("UA", "AA")),
            "score": numbers(5, 10, 15),
            "error": numbers(-1, 0, 1),
        }
    },
    "kind": {"1": {"feature.x": numbers(0, 1), "feature.y": numbers(-0.5, 0.5)}},
}
TASKS = {"loan": ("binary", ("0", "1")), "eta": ("regression", ()), "kind": ("multiclass", KINDS)}


def build(home, records_at_once=600):
    """A store in `home` with the four models, loaded from files in several loads."""
    store = open_store(home, threads=2)
    register(store)
    random_ = random.Random(7)
    records = [each for maker in (loan, eta, kind, stray) for each in maker(random_)]
    records += [
        {"kind": "event", "at": iso(START + timedelta(hours=30)), "what": "deploy", "text": "version 2", "model": "loan", "version": "2"},
        {"kind": "event", "at": iso(START + timedelta(hours=5)), "what": "note", "text": "storm"},
        {"kind": "event", "at": iso(START + timedelta(hours=6)), "what": "incident", "text": "down", "model": "eta"},
    ]
    random_.shuffle(records)
    for part, begin in enumerate(range(0, len(records), records_at_once)):
        path = home / f"part{part}.jsonl"
        path.write_text("\n".join(json.dumps(each) for each in records[begin : begin + records_at_once]) + "\n")
        report = store.load_files([path], LoadDefaults())
        assert report.rejected == 0, report.reasons
        path.unlink()
    return store


def copied(home):
    """A separate store with the same content, in `home`."""
    copied_once("engine-world", lambda draft: build(draft).close(), home)
    return open_store(home, threads=2)


def iso(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def register(store):
    """Models with columns, versions and edges, and a reference of 60 rows for each version."""
    kinds = {"vip": "boolean", "sex": "category", "city": "category", "carrier": "category", "race": "category"}
    random_ = random.Random(3)
    for name, versions in EDGES.items():
        task, classes = TASKS[name]
        with store.write() as writer:
            key = add_model(writer, name, task=task, classes=classes)
            references = list(
                dict.fromkeys(
                    reference for edges in versions.values() for reference in edges if reference.startswith(("feature.", "group."))
                )
            )
            wanted = [(role, own, kinds.get(own, "number")) for role, _, own in (each.partition(".") for each in references)]
            add_columns(writer, key, wanted, [])
            set_sensitive(
                writer, key, [each for each in references if each in ("feature.sex", "feature.vip", "feature.income", "group.race")]
            )
            for version, edges in versions.items():
                features = tuple(each.partition(".")[2] for each in edges if each.startswith("feature."))
                save_version(writer, key, Version(version, START, features, edges, reference_rows=60))
                ensure_stream(writer, key, version, "reference")
            model = find_model(writer, name)
            for version in versions:
                insert_predictions(writer, model, *reference_tables(model, version, random_), now=START.replace(tzinfo=None))
            rebuild_rollups(writer, name)


def reference_tables(model, version, random_, rows=60):
    """Predictions and labels of a reference, as parsed tables."""
    maker = {"loan": loan_record, "eta": eta_record, "kind": kind_record}[model.name]
    records = [maker(random_, f"reference/{version}/{i}", START, version) for i in range(rows)]
    columns = {
        "id": [each["id"] for each in records],
        "version": [version] * rows,
        "environment": ["reference"] * rows,
        "at": [START.replace(tzinfo=None)] * rows,
    }
    scores = [each.get("score") for each in records]
    multiclass = model.task == "multiclass"
    columns["score"] = pa.array([max(each.values()) if isinstance(each, dict) else plain(each) for each in scores], pa.float64())
    columns["probabilities"] = pa.array([json.dumps(each) if multiclass and each else None for each in scores], pa.string())
    types = {"number": pa.float64(), "category": pa.string(), "boolean": pa.bool_()}
    for each in model.columns:
        values = [plain(record["features" if each.role == "feature" else "groups"].get(each.name)) for record in records]
        columns[each.reference] = pa.array([value if fits(value, each.kind) else None for value in values], types[each.kind])
    for name in ("received_at", "status", "prediction", "threshold", "weight", "latency_ms", "energy_j", "cost"):
        columns[name] = pa.array(
            [None] * rows, {"received_at": pa.timestamp("us"), "status": pa.string(), "prediction": pa.string()}.get(name, pa.float64())
        )
    columns["absent"] = columns["wrong"] = pa.array([None] * rows, pa.list_(pa.string()))
    labels = [(each["id"], each["truth"]) for each in records if random_.random() < 0.9]
    found = {
        "id": [each[0] for each in labels],
        "at": [START.replace(tzinfo=None)] * len(labels),
        "received_at": pa.array([None] * len(labels), pa.timestamp("us")),
        "value": [str(each[1]) for each in labels],
        "number": pa.array([None if multiclass else float(each[1]) for each in labels], pa.float64()),
    }
    for name in ("source", "annotator", "guideline", "extra"):
        found[name] = pa.array([None] * len(labels), pa.string())
    return pa.table(columns), pa.table(found)


def plain(value):
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value, value) if isinstance(value, str) else value


def fits(value, kind):
    return isinstance(value, {"number": float, "category": str, "boolean": bool}[kind]) if value is not None else False


def envelope(random_, id_, at, model, version, features):
    """The fields that every prediction has."""
    record = {"kind": "prediction", "id": id_, "at": iso(at), "model": model, "version": version, "features": features}
    record["received_at"] = iso(
        at
        + random_.choice(
            [timedelta(0), timedelta(seconds=1), timedelta(hours=random_.randint(0, 30)), timedelta(minutes=random_.randint(1, 900))]
        )
    )
    if random_.random() < 0.4:
        record["weight"] = random_.choice([0.5, 2.0, 3.25])
    if random_.random() < 0.7:
        record["latency_ms"] = random_.choice([0.001, random_.expovariate(0.02), 3e7])
    if random_.random() < 0.5:
        record |= {"energy_j": random_.random(), "cost": random_.random() / 7}
    if random_.random() < 0.6:
        record["replica"] = random_.choice(["r1", "r2", "r3"])
    record["device"] = random_.choice(["d1", "d2"])
    record["subject"] = f"s{random_.randint(0, 9)}"
    record["batch"] = f"b{random_.randint(0, 3)}"
    record["status"] = random_.choice(STATUSES)
    if record["batch"] != "b0":
        record["currency"] = {"b1": "USD", "b2": "EUR", "b3": 3}[record["batch"]]
    return record


def value(random_, make):
    """A feature's value, sometimes null, NaN, infinite or of a wrong type."""
    chance = random_.random()
    return None if chance < 0.06 else "NaN" if chance < 0.1 else "Infinity" if chance < 0.12 else "abc" if chance < 0.15 else make()


def scored(random_, record, make):
    """The record with a score. A failed request may have no score and then has an error status."""
    if record["status"] in ("error", "timeout", "rejected") and random_.random() < 0.7:
        return record
    return record | {"score": make()}


def moment(random_):
    """An instant within the five days, often at the edge of an hour or a day."""
    hour = timedelta(hours=random_.randint(0, 24 * DAYS - 1))
    return (
        START
        + hour
        + random_.choice(
            [timedelta(0), timedelta(seconds=random_.randint(0, 3599)), timedelta(minutes=59, seconds=59, microseconds=999999)]
        )
    )


def loan_record(random_, id_, at, version):
    features = {
        "income": value(random_, lambda: random_.choice([random_.gauss(0, 1), 0.0, 0.5, -1.0])),
        HOSTILE: value(random_, random_.random),
    }
    features["sex"] = random_.choice(["F", "M", "M", "X", None])
    features["vip"] = random_.choice([True, False, None, "maybe"])
    if version != "2":
        features["city"] = random_.choice(["EWR", "JFK", "a&b=c", "new", None, 3.5])
    if version != "1":
        features["score"] = value(random_, random_.random)
    features = {name: each for name, each in features.items() if random_.random() < 0.95}
    record = envelope(random_, id_, at, "loan", version, features) | {"groups": {"race": random_.choice(PERSON["race"])}}
    record["truth"] = random_.randint(0, 1)
    if random_.random() < 0.2:
        record["prediction"] = random_.choice(["0", 1, True, "other"])
    if random_.random() < 0.1:
        record["threshold"] = 0.3
    return scored(random_, record, lambda: random_.choice([0.0, 1.0, 0.5, random_.random()]))


def eta_record(random_, id_, at, version):
    features = {
        "miles": value(random_, lambda: random_.uniform(0, 40)),
        "wind": value(random_, lambda: random_.gauss(0, 1)),
        "carrier": random_.choice(["UA", "AA", "DL", None]),
    }
    record = envelope(random_, id_, at, "eta", version, features) | {"truth": round(random_.uniform(0, 20), 3)}
    return scored(random_, record, lambda: random_.choice([5.0, 10.0, random_.uniform(0, 20)]))


def kind_record(random_, id_, at, version):
    features = {"x": value(random_, lambda: random_.gauss(0, 1)), "y": value(random_, lambda: random_.gauss(0, 1))}
    record = envelope(random_, id_, at, "kind", version, features) | {"truth": random_.choice(KINDS)}
    parts = np.array([random_.random() for _ in KINDS])
    return scored(random_, record, lambda: {name: float(part) for name, part in zip(KINDS, parts / parts.sum())})


def labels_of(random_, record, values):
    """No label, one label or several revisions, before and after the prediction; sometimes two at the same instant."""
    at = datetime.fromisoformat(record["at"])
    for _ in range(random_.choice([0, 1, 1, 1, 2, 3])):
        late = at + timedelta(hours=random_.choice([-3, 1, 2, 26, 50]), minutes=random_.choice([0, 0, 17]))
        arrived = late + timedelta(hours=random_.choice([0, 1, 40]), seconds=random_.choice([0, 0, 5]))
        yield {
            "kind": "label",
            "id": record["id"],
            "at": iso(random_.choice([late, at])),
            "model": record["model"],
            "value": random_.choice(values),
            "received_at": iso(arrived),
        }


def without(record, *names):
    return {name: each for name, each in record.items() if name not in names}


def loan(random_, rows=420):
    for i in range(rows):
        version = random_.choice(["1", "1", "2", "3"])
        record = loan_record(random_, f"loan-{i}", moment(random_), version)
        record["environment"] = random_.choice(["production"] * 4 + ["shadow", "validation"])
        yield without(record, "truth")
        yield from other_answers(i, without(record, "truth"))
        yield from labels_of(random_, record, [0, 1, "1", True, False, "maybe"])


def other_answers(i, record):
    """Answers of other versions to some of the requests, under the request's own id and time. This draws no random numbers."""
    if i % 5 or record["environment"] != "production":
        return
    others = [("2", "shadow"), ("3", "shadow"), ("3", "production")][: 1 + i % 3]
    for place, (version, environment) in enumerate(others):
        if version != record["version"] or environment == "shadow":
            score = {} if record.get("score") is None else {"score": (record["score"] + 0.25 * (place + 1)) % 1}
            yield record | {"version": version, "environment": environment} | score


def eta(random_, rows=220):
    for i in range(rows):
        record = eta_record(random_, f"eta-{i}", moment(random_), "1")
        yield without(record, "truth")
        yield from labels_of(random_, record, [record["truth"], record["truth"] + 1.5, 7])


def kind(random_, rows=180):
    for i in range(rows):
        record = kind_record(random_, f"kind-{i}", moment(random_), "1")
        yield without(record, "truth")
        yield from labels_of(random_, record, [*KINDS, "nothing"])


def stray(random_, rows=40):
    for i in range(rows):
        record = envelope(
            random_, f"stray-{i}", moment(random_), "stray", "9", {"x": random_.random(), "colour": random_.choice(["red", None])}
        )
        yield record | {"status": "ok", "score": random_.random()}
        yield from labels_of(random_, record, [0, 1])
