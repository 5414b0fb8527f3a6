"""Random records of one model, and a simple loop over them that counts what its rollups must contain."""

import math
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np

from observability.core.catalog import Edges, Version
from observability.core.settings import ModelSettings
from observability.stats.scores import SCORE_EDGES
from observability.store.db import catalog_store
from observability.store.db.schema import STATUS_CODES, SUM_MEASURES
from observability.store.ingest.loader import load_landing
from tests.support.landing import land

START = datetime(2024, 3, 1, 20, tzinfo=UTC)
CLASSES = {"binary": ("0", "1"), "multiclass": ("cat", "dog", "owl"), "regression": ()}
X, LEVELS = (0.0, 1.0, 2.5), ("a", "b")
SCORES, ERRORS = (0.5, 1.5, 2.5), (-1.0, 0.0, 1.0)
THRESHOLD = 0.3


def register(store, task, version="1"):
    """Register a model with one version, its edges, and a sensitive group."""
    edges = {
        "feature.x": Edges(edges=X),
        "feature.c": Edges(levels=LEVELS),
        "feature.f": Edges(levels=("false", "true")),
        "group.g": Edges(levels=LEVELS),
    }
    if task == "regression":
        edges |= {"score": Edges(edges=SCORES), "error": Edges(edges=ERRORS)}
    with store.write() as writer:
        key = catalog_store.add_model(writer, "m", task=task, classes=CLASSES[task], settings=ModelSettings(threshold=THRESHOLD))
        wanted = [("feature", "x", "number"), ("feature", "c", "category"), ("feature", "f", "boolean"), ("group", "g", "category")]
        catalog_store.add_columns(writer, key, wanted, ["group.g"])
        catalog_store.save_version(writer, key, Version(version, START, ("x", "c", "f"), edges))
        catalog_store.ensure_stream(writer, key, version, "production")
    return key


def instant(moment):
    return moment.isoformat().replace("+00:00", "Z")


def history(task, seed, predictions=40):
    """Random records of one model: predictions, and late, early, repeated and revised labels, in random order."""
    pick = random.Random(seed)
    some = lambda most: timedelta(seconds=pick.randrange(int(most * 3600)))
    records = []
    for i in range(predictions):
        at = START + some(30)
        record = {
            "kind": "prediction",
            "id": f"p{i}",
            "model": "m",
            "version": "1",
            "at": instant(at),
            "received_at": instant(at + some(5)),
            "features": {
                "x": pick.choice([0, 0.5, 1, 2.4999, 7.25, -3, None, "NaN", "Infinity"]),
                "c": pick.choice(["a", "b", "new", None]),
                "f": pick.choice([True, False, None]),
            },
            "groups": {"g": pick.choice(["a", "b", None])},
            "replica": pick.choice(["r1", "r2"]),
        }
        for name in list(record["features"]):
            if pick.random() < 0.1:
                del record["features"][name]
        if pick.random() < 0.1:
            record["features"]["x"] = "abc"
        if pick.random() < 0.3:
            record["weight"] = pick.choice([1, 2.5, 10])
        if pick.random() < 0.7:
            record["latency_ms"] = pick.choice([0.001, 3.25, 40, 1e6])
        record["status"] = pick.choice(["ok", "ok", "fallback", "error", "timeout"])
        if record["status"] in ("ok", "fallback") or pick.random() < 0.3:
            score = pick.choice([0, 0.005, 0.2, 0.3, 0.5, 0.731, 1])
            if task == "multiclass":
                record["score"] = {"cat": score, "dog": round((1 - score) / 2, 6), "owl": round((1 - score) / 2, 6)}
            else:
                record["score"] = score * (4 if task == "regression" else 1)
        if task != "regression" and pick.random() < 0.3:
            record["prediction"] = pick.choice(CLASSES[task])
        if task == "binary" and pick.random() < 0.2:
            record["threshold"] = 0.7
        values = {"binary": [0, 1, True, "0"], "multiclass": ["cat", "dog", "owl", "cow"], "regression": [0, 1.5, 3, -2.25]}[task]
        if pick.random() < 0.2:
            record["label"] = pick.choice(values)
        records.append(record)
        for revision in range(pick.choice([0, 0, 1, 1, 2, 4])):
            labelled = at + some(3)
            label = {
                "kind": "label",
                "id": f"p{i}",
                "model": "m",
                "value": pick.choice(values),
                "at": instant(labelled),
                "annotator": f"a{revision}",
                "received_at": instant(at - some(2) if pick.random() < 0.2 else at + some(40)),
            }
            records.append(label)
            if pick.random() < 0.2:
                records.append(dict(label))
    records.append({"kind": "label", "id": "nobody", "model": "m", "value": values[0], "at": instant(START)})
    pick.shuffle(records)
    return records


def text(value):
    """The canonical text of a scalar, made without the product's code."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def up(moment):
    """Whole hours since 1970, rounded up."""
    return math.ceil(datetime.fromisoformat(moment).timestamp() / 3600)


def walk(task, records, hour):
    """What had arrived by an hour, found by a simple loop over the records: pairs of a prediction and its current label or None."""
    labels = defaultdict(list)
    for record in records:
        if record["kind"] == "label" and "received_at" in record:
            labels[record["id"]].append((record["at"], record["received_at"], text(record["value"]), record["value"]))
        elif record["kind"] == "prediction" and "label" in record:
            labels[record["id"]].append((record["at"], record["received_at"], text(record["label"]), record["label"]))
    for record in records:
        if record["kind"] == "prediction" and up(record["received_at"]) <= hour:
            known = [each for each in labels[record["id"]] if up(each[1]) <= hour]
            yield record, (max(known)[3] if known else None)


def cell(task, record, label):
    """Score, score bin, decision and label code of a row, by which it is counted."""
    score, classes = record.get("score"), CLASSES[task]
    by_class = [score[name] for name in classes] if isinstance(score, dict) else None
    if by_class:
        score = max(by_class)
    bin_ = -1 if score is None or task == "regression" else int(np.searchsorted(SCORE_EDGES, score, side="right"))
    decision = -1
    if "prediction" in record:
        decision = classes.index(record["prediction"])
    elif score is not None and task == "binary":
        decision = int(score >= record.get("threshold", THRESHOLD))
    elif score is not None and task == "multiclass":
        decision = by_class.index(score)
    if label is None:
        code = -1
    elif task == "regression":
        code = 0
    elif task == "binary":
        code = int(label)
    else:
        code = classes.index(label) if label in classes else -1
    return score, by_class, bin_, decision, code


def period(record, hours=1):
    return int(datetime.fromisoformat(record["at"]).timestamp() // (3600 * hours)) * hours


def expected(task, records, hour):
    """Outcome counts {(period, bin, decision, label, status): [n, w, w2]}, and sums {(period, measure): [n, total, squares]}."""
    counts, sums = defaultdict(lambda: np.zeros(3)), defaultdict(lambda: np.zeros(3))
    for record, label in walk(task, records, hour):
        score, by_class, bin_, decision, code = cell(task, record, label)
        w = record.get("weight", 1)
        counts[period(record), bin_, decision, code, STATUS_CODES[record["status"]]] += [1, w, w * w]
        figures = {"latency_ms": record.get("latency_ms"), "score": score}
        if isinstance(label, int | float) and not isinstance(label, bool):
            figures["label_value"] = label
        if task == "regression" and score is not None and code == 0:
            error = score - label
            figures |= {"error": error, "absolute_error": abs(error), "squared_error": error**2}
        if task != "regression" and code >= 0:
            if decision >= 0:
                figures["correct"] = float(decision == code)
            if score is not None:
                shares = by_class or [1 - score, score]
                figures["log_loss"] = -math.log(min(max(shares[code], 2.220446049250313e-16), 1 - 2.220446049250313e-16))
                squares = [(share - (k == code)) ** 2 for k, share in enumerate(shares)]
                figures["brier"] = sum(squares) if task == "multiclass" else squares[1]
        for name, value in figures.items():
            if value is not None:
                sums[period(record), SUM_MEASURES[name]] += [1, w * value, w * value * value]
    return counts, sums


def assert_equal(found, wanted):
    wanted = {key: value for key, value in wanted.items() if np.abs(value).max() > 1e-9}
    found = {key: np.array(value, float) for key, value in found.items() if np.abs(np.array(value, float)).max() > 1e-9}
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-9, err_msg=str(key))


def load_in_pieces(store, records, pick):
    """Write the records to the landing folder in random pieces, and load after some of the pieces and at the end."""
    rest = list(records)
    while rest:
        size = pick.randrange(1, 40)
        land(store, *rest[:size])
        rest = rest[size:]
        if pick.random() < 0.6:
            load_landing(store)
    return load_landing(store)
