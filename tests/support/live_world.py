"""A small store of one live model, for tests of properties that every analyzer must have: five weeks of a binary model with quiet nights,
late and revised labels, and faults.

Faults of its last week: nulls in `age`, an unseen level of `region`, hours without data, lines that come twice, a column nobody registered,
and a second version with another set of features that also answers in shadow of the first. Version 1 logs its attributions; version 2 has
an artifact, for which `explain` is a stand-in. Everything is seeded and loaded through `register` and `load`, like a user's logs.
"""

import json
import random
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import numpy as np

from observability.enrichment.explanations import explain_rows
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from observability.worker.explanation import Explanation
from tests.support.built_once import copied_once

START = datetime(2026, 3, 2, tzinfo=UTC)
"""The Monday on which the window begins; the model has lived for four weeks by then."""
DAYS, PAST = 7, 28
END = START + timedelta(days=DAYS)
AS_OF = START + timedelta(days=5, hours=6)
REGIONS = ("north", "south", "east")


def build(home: Path) -> Database:
    """The store with everything that had arrived by AS_OF."""
    copied_once("live-world", lambda draft: filled(draft).close(), home)
    return open_store(home, threads=2)


def filled(home: Path) -> Database:
    """Fill an empty folder with the same store."""
    store = open_store(home, threads=2)
    for version, features in (("1", ("age", "income", "region")), ("2", ("age", "region", "tenure"))):
        path = home / "reference.csv"
        path.write_text("\n".join(reference(version, features)) + "\n", encoding="utf-8")
        artifact, settings = home / "model.txt", home / "settings.toml"
        settings.write_text('[settings]\nbatch_key = "id"\n', encoding="utf-8")
        artifact.write_text("tree\nversion=v4\n", encoding="utf-8")
        request = RegistrationRequest(
            model="live", version=version, reference=path, task="binary", label="label", score=("score",), features=features,
            sensitive=("region",), artifact=artifact if version == "2" else None, settings=settings,
        )  # fmt: skip
        store.register(request)
        for each in (path, artifact, settings):
            each.unlink()
    load(store, [each for each in records() if arrival(each) <= AS_OF])
    return store


def build_with_later(home: Path) -> Database:
    """The store with everything that ever arrived, including what came after AS_OF."""
    copied_once("live-world-later", later_draft, home)
    return open_store(home, threads=2)


def later_draft(home: Path) -> None:
    """Fill an empty folder with that store, and close it."""
    with closing(build(home)) as store:
        load_later(store)


def load_later(store: Database) -> None:
    """All that arrived after AS_OF: predictions for days before AS_OF, revised labels, a new column, a new version, a new model."""
    load(store, [each for each in records() if arrival(each) > AS_OF])


def load(store: Database, lines: list[dict]) -> None:
    """Loads records through a file."""
    path = store.home / "lines.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in lines) + "\n", encoding="utf-8")
    report = store.load_files([path], LoadDefaults())
    assert report.rejected == 0, report.reasons
    path.unlink()
    explain(store)


def explain(store: Database) -> None:
    """Explain every prediction that is not explained yet. A sum of three terms stands in for the artifact of version 2."""

    def worker(_worker, _artifact, rows, **_options):
        numbers = [rows[name].fillna(0).to_numpy(float) for name in ("age", "tenure")]
        values = np.column_stack([numbers[0] / 40 - 1, 0.3 * (rows["region"] == "north").to_numpy(float), 0.05 * (numbers[1] - 6)])
        output = values.sum(axis=1) - 0.2
        return Explanation(
            values=values, base_value=-0.2, output=output, link="logit", predictions=1 / (1 + np.exp(-output)), residual=output * 0.0,
            features=("age", "region", "tenure"), method="shap tree", background="the model's training data", background_rows=None,
            standard_error=None, seconds=0.1, note="", network_blocked=True,
        )  # fmt: skip

    with mock.patch("observability.worker.requests.explain_scores", worker):
        for model in store.catalog().models:
            while explain_rows(store, None, model, lambda *_: None, threading.Event()):
                pass


def arrival(record: dict) -> datetime:
    """When a record arrived."""
    return datetime.fromisoformat(record["received_at"])


def reference(version: str, features: tuple[str, ...], rows: int = 500) -> list[str]:
    """Lines of a CSV file of held-out predictions."""
    rng = random.Random(f"reference {version}")
    lines = [",".join((*features, "score", "label"))]
    for _ in range(rows):
        values = person(rng)
        score = rng.random()
        lines.append(
            ",".join(
                [*("" if values[name] is None else str(values[name]) for name in features), f"{score:.4f}", str(int(rng.random() < score))]
            )
        )
    return lines


def person(rng: random.Random) -> dict:
    """One person's features."""
    return {
        "age": round(rng.gauss(40, 10), 2),
        "income": round(rng.lognormvariate(10, 0.5), 1) if rng.random() > 0.05 else None,
        "region": rng.choices(REGIONS, (4, 4, 2))[0],
        "tenure": rng.randint(0, 12),
    }


def records() -> list[dict]:
    """Every record, including those that arrive late. Each call gives the same ones."""
    rng = random.Random(11)
    found = []
    for hour in range(-24 * PAST, 24 * DAYS):
        begin = START + timedelta(hours=hour)
        silent = timedelta(days=1, hours=8) <= begin - START < timedelta(days=2, hours=16)
        for _ in range(0 if begin.hour < 6 or silent else rng.choice((3, 4, 5))):
            found += prediction(rng, f"p{len(found)}", begin + timedelta(seconds=rng.randint(0, 3599)))
    twice = [each for each in found if each["kind"] == "prediction"][-60::3]
    return [
        *found,
        *twice,
        *in_shadow(found),
        *stray(rng),
        *training(rng),
        *prices(),
        *labelling(random.Random(12)),
        *deliveries(random.Random(13)),
        *edge(),
        *elsewhere(),
        *exports(),
        *steering(random.Random(15)),
        *cleanings(random.Random(14)),
        *datasets(),
        *storage_places(),
        *spoken(random.Random(18)),
    ]


def prediction(rng: random.Random, name: str, at: datetime) -> list[dict]:
    """A prediction, and its label with any revisions."""
    values, score, faulty = person(rng), round(rng.random(), 4), at >= START
    version = "2" if faulty and rng.random() < 0.2 else "1"
    features = {each: values[each] for each in (("age", "region", "tenure") if version == "2" else ("age", "income", "region"))}
    if faulty and rng.random() < 0.4:
        features["age"] = rng.choice((None, "NaN", "old"))
    if faulty and rng.random() < 0.15:
        features["region"] = "west"
    if faulty and rng.random() < 0.15:
        features.pop("region")
    if faulty and rng.random() < 0.3:
        features["agee"] = 1.5
    late = timedelta(hours=rng.choice((0, 0, 0, 1, 30)), seconds=rng.randint(0, 3000))
    record = {
        "kind": "prediction", "id": name, "at": stamp(at), "model": "live", "version": version, "features": features, "score": score,
        "latency_ms": round(rng.expovariate(0.02), 3), "received_at": stamp(at + late), "replica": rng.choice(("r1", "r2")),
        "status": "fallback" if rng.random() < 0.05 else "ok",
    }  # fmt: skip
    if rng.random() < 0.3:
        record["weight"] = 2.0
    if version == "1":
        record |= logged_attributions(features, score, breaks=int(name[1:]) % 9 == 0)
    lines = [record]
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2))):
        came = at + timedelta(hours=rng.choice((1, 5, 30)))
        value = int(rng.random() < (score if not faulty else 1 - score))
        lines.append({"kind": "label", "id": name, "at": stamp(came), "model": "live", "value": value, "received_at": stamp(came + late)})
    return lines


def in_shadow(found: list[dict]) -> list[dict]:
    """Answers of the second version, on devices, to requests of the last week that the first one served. The second version answers one
    minus the score of the first, which fits the changed outcome.
    """
    asked = [each for each in found if each["kind"] == "prediction" and each["version"] == "1" and each["at"] >= stamp(START)]
    return [
        {
            **{name: each[name] for name in ("kind", "id", "at", "model", "received_at")},
            "version": "2",
            "environment": "shadow",
            "device": f"d{place % 5}",
            "features": {"age": 40.0, "region": "north", "tenure": 5},
            "score": round(1 - each["score"], 4),
        }
        for place, each in enumerate(asked)
    ]


def logged_attributions(features: dict, score: float, *, breaks: bool) -> dict:
    """Attributions that add up to the score. breaks: whether they fail to add up."""
    age = features.get("age")
    by_age = 0.004 * (age - 40) if isinstance(age, float) else 0.0
    by_region = -0.05 if features.get("region") == "west" else 0.02
    rest = score - 0.5 - by_age - by_region
    return {"base_value": 0.5, "attributions": {"age": by_age, "income": rest + 0.3 if breaks else rest, "region": by_region}}


def stray(rng: random.Random) -> list[dict]:
    """Records after AS_OF: a new version, a new column, and an unregistered model."""
    found = []
    for i in range(80):
        at = START + timedelta(hours=rng.randint(8, 30))
        body = {
            "kind": "prediction",
            "id": f"s{i}",
            "at": stamp(at),
            "received_at": stamp(AS_OF + timedelta(hours=i / 10 + 0.5)),
            "score": 0.5,
        }
        found.append(body | {"model": "live", "version": rng.choice(("1", "3")), "features": {"age": 30, "colour": "red"}})
        found.append(body | {"id": f"t{i}", "model": "other", "version": "1", "features": {"x": rng.random()}})
    return found


def training(rng: random.Random) -> list[dict]:
    """Four training runs of the week, with their readings: one that learns, one of four processes of which one is slow, one that fails
    after AS_OF, and one of a few steps.
    """
    found = []
    for number, (name, days) in enumerate({"smooth": 1, "ranks": 3, "breaks": 5.2, "short": 2}.items()):
        begin, ranks = START + timedelta(days=days), (None,) if name != "ranks" else tuple(range(4))
        body = {"kind": "run", "run": name, "model": "live", "version": "1"}
        found.append(
            {**body, "at": stamp(begin), "event": "start", "params": {"learning_rate": 0.1 / (number + 1)}, "hardware": {"cores": 2}}
        )
        for step in range(1, 61 if name != "short" else 4):
            at = begin + timedelta(seconds=30 * step)
            for rank in ranks:
                loss = "NaN" if name == "breaks" and step > 40 else round(0.3 + 0.7 * 0.93**step + rng.gauss(0, 0.004), 5)
                slow = 3.0 if rank == 2 else 1.0
                spent = {"compute": round(rng.gauss(200, 5), 2), "data": round(slow * rng.gauss(60, 3), 2), "communication": 20.0}
                line = {"kind": "step", "run": name, "at": stamp(at), "step": step, "metrics": {"train_loss": loss}, "phase_ms": spent}
                found.append(line if rank is None else line | {"rank": rank, "host": f"h{rank}"})
        for device, source in (("cpu0", "measured"), ("gpu0", "estimated")):
            found += [
                {
                    "kind": "resource", "at": stamp(begin + timedelta(seconds=60 * i)), "device": device, "run": name, "watts": round(rng.gauss(80, 4), 1),
                    "seconds": 60, "source": source,
                }
                for i in range(30)
            ]  # fmt: skip
        ended = begin + timedelta(seconds=30 * 61)
        found.append({**body, "at": stamp(ended), "event": "end", "status": "failed" if name == "breaks" else "finished"})
    return [each | {"received_at": each["at"]} for each in found]


def prices() -> list[dict]:
    """Price records, the first of them before the window."""
    begin = stamp(START - timedelta(days=40))
    body = {"kind": "price", "from": begin, "currency": "EUR", "received_at": begin}
    return [
        {**body, "resource": "kwh", "amount": 0.25, "carbon_g_per_kwh": 300, "pue": 1.2, "region": "north"},
        {**body, "resource": "cpu_hour", "amount": 0.05},
        {**body, "resource": "label", "amount": 0.4, "model": "live"},
    ]


def labelling(rng: random.Random) -> list[dict]:
    """An annotation project with the model's name: three people label twelve items a day and mostly agree, but one of them answers at
    random in the last week. Half of the items have known labels (gold items), and most people see a label that a machine suggests.
    """
    found, other = [], random.Random(17)
    for day in range(-PAST, DAYS):
        for place in range(12):
            begin, truth = START + timedelta(days=day, hours=9, minutes=40 * place), rng.choice("abc")
            for who in ("ann", "bob", "cy"):
                wrong = (who == "cy" and day >= 0) or rng.random() < 0.06
                done, item = begin + timedelta(hours=rng.uniform(1, 20)), f"i{day}-{place}"
                body = {"project": "live", "item": item, "annotator": who}
                found.append({"kind": "assignment", **body, "at": stamp(begin)})
                label = rng.choice("abc") if wrong else truth
                found.append({"kind": "annotation", **body, "at": stamp(done), "label": label, **helped(other, item, truth)})
    few = {"kind": "annotation", "project": "other", "annotator": "ann", "label": "a", "gold": "a"}
    found += [{**few, "item": f"o{place}", "at": stamp(START + timedelta(hours=place))} for place in range(3)]
    return [each | {"received_at": each["at"]} for each in found]


def helped(rng: random.Random, item: str, truth: str) -> dict:
    """The further fields of an annotation: the known answer of every second item, a suggestion that most people see, and how long the
    annotation took.
    """
    found: dict = {"gold": truth} if int(item.rpartition("-")[2]) % 2 else {}
    if rng.random() < 0.7:
        found |= {
            "suggestion": truth if sum(map(ord, item)) % 4 else "a",
            "suggestion_confidence": round(0.5 + sum(map(ord, item)) % 50 / 100, 2),
        }
    return found | {"seconds": rng.randint(5, 60), "guideline": "v1"}


def deliveries(rng: random.Random) -> list[dict]:
    """A source that delivers every morning, except that it delivers a third of its rows on one day and nothing on the last three; and a
    source with only six batches in all.
    """
    found = []
    for day in range(-PAST, DAYS - 3):
        at, rows = START + timedelta(days=day, hours=6, minutes=rng.randint(0, 20)), rng.randint(950, 1050)
        body = {"kind": "batch", "batch": f"clinic {day}", "source": "clinic", "at": stamp(at), "rows": rows // 3 if day == 1 else rows}
        until = at - timedelta(minutes=rng.randint(50, 70))
        span = {"captured_from": stamp(until - timedelta(days=1)), "captured_to": stamp(until), "device": "scanner 2"}
        found.append(body | span | {"rejected_rows": rng.randint(5, 15), "stats": {"age": {"mean": 40.0}}})
        if day >= -2:
            found.append({**body, "batch": f"late {day}", "source": "ward", "rows": 12})
    return [each | {"received_at": each["at"]} for each in found]


def cleanings(rng: random.Random) -> list[dict]:
    """Runs of a rule that drops four times as many rows from the second day on, most of them from one group. One run was logged twice."""
    found = []
    for day in range(-PAST, DAYS, 2):
        at, faulty = START + timedelta(days=day, hours=3), day >= 1
        lost = {"F": rng.randint(150, 170) if faulty else rng.randint(14, 26), "M": rng.randint(14, 26)}
        groups = {"sex": {name: {"in": 500, "dropped": n} for name, n in lost.items()}}
        body = {"kind": "cleaning", "rule": "age above 17", "at": stamp(at), "rows_in": 1000, "rows_changed": 0}
        found.append(body | {"rows_dropped": sum(lost.values()), "dataset": "people", "version": str(day), "groups": groups})
        if day > DAYS - 5:
            found.append(body | {"rule": "trim", "rows_changed": 40, "rows_dropped": 0})
    return [each | {"received_at": each["at"]} for each in found]


def edge() -> list[dict]:
    """An audit of two forms of the model, three audits of its robustness, and four days of reports from 24 devices that serve it; two of
    the days are before the window.
    """
    slices = [{"column": "sex", "level": level, "n": 300, "flips": 2} for level in ("F", "M")]
    forms = [{"form": "as served", "probes": 600, "flips": 0}, {"form": "int8", "probes": 600, "flips": 4, "unstable": 0, "slices": slices}]
    about = {"model": "live", "version": "1", "at": stamp(START + timedelta(hours=2))}
    found = [{"kind": "audit", **about, "audit": "precision", "results": {"forms": forms, "in_use": "int8"}}]
    parts = [{"column": "sex", "level": level, "n": 300, "gained": [6, 5, 7], "lost": [4, 5, 4]} for level in ("F", "M")]
    trained = {"augmentation": "jitter", "rows": 600, "gained": [12, 11, 13], "lost": [8, 9, 8], "slices": parts, "right": [500, 505, 498]}
    trained |= {"copies_right": [490, 480, 485], "loss": [0.4, 0.41, 0.39], "loss_with": [0.5, 0.52, 0.49]}
    found.append({"kind": "audit", **about, "audit": "augmentation", "results": {**trained, "consensus": {"n": 450, "changed": 40}}})
    for day, value in ((-12, 0.8), (1, 0.6), (6, 0.7)):
        headline = {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 240, "at": 0.25}
        at, expires = (stamp(START + timedelta(days=day + later, hours=3)) for later in (0, 90))
        found.append({"kind": "audit", **about, "at": at, "audit": "robustness", "results": {"headline": headline}, "expires": expires})
    for place in range(96):
        at = stamp(START + timedelta(days=(-10, -3, 1, 5)[place // 24], hours=1))
        found.append(
            {
                "kind": "device_report",
                **about,
                "device": f"d{place % 24}",
                "at": at,
                "synced_at": at,
                "crashes": int(place % 24 < place // 24),
                "answers": 9,
            }
        )
    return [each | {"received_at": each["at"]} for each in found]


def elsewhere() -> list[dict]:
    """Ten answers a night to fixed questions; three of the answers change from the second day on. Also the expected batch of each night."""
    found = []
    for day in range(-5, DAYS):
        at = START + timedelta(days=day, hours=2)
        for item in range(10):
            about = {
                "kind": "prediction",
                "id": f"probe {day} {item}",
                "model": "live",
                "version": "1",
                "environment": "probe",
                "features": {},
            }
            said = "yes" if day < 1 or item > 2 else "no"
            found.append({**about, "at": stamp(at), "prediction": said, "item": f"q{item}", "set": "ten", "answers": "class"})
        expected = {"kind": "expected_batch", "batch": f"night {day}", "model": "live", "rows": 50, "due": stamp(at + timedelta(hours=4))}
        found.append({**expected, "at": stamp(at)})
    return [each | {"received_at": each["at"]} for each in found]


def spoken(rng: random.Random) -> list[dict]:
    """Calls of a language model that nobody registered: 24 a day in the window and in the three weeks before it, with longer answers in the
    window. Some arrive late.
    """
    found = []
    for place in range(-24 * 21, 24 * DAYS):
        at, late = START + timedelta(hours=place, minutes=rng.randint(0, 59)), timedelta(hours=rng.choice((0, 0, 0, 2, 40)))
        tokens = {"input_tokens": round(rng.lognormvariate(5, 1)), "output_tokens": round(rng.lognormvariate(4 if place < 0 else 6, 1))}
        body = {"kind": "prediction", "id": f"call {place}", "at": stamp(at), "model": "chat", "version": "chat-1", "status": "ok"}
        body |= {"features": {**tokens, "topic": rng.choice(("refund", "delivery"))}, "prediction": rng.choice(("stop", "stop", "length"))}
        found.append(body | {"received_at": stamp(at + late), "refused": rng.random() < 0.1})
    return found


def exports() -> list[dict]:
    """A daily extract for one recipient, whose k falls; noisy counts that exceed a stated budget; and a canary text that the answers of one
    night repeat.
    """
    about, found = {"kind": "event", "what": "export", "text": "an extract", "model": "live"}, []
    for day in range(-5, DAYS):
        at = stamp(START + timedelta(days=day, hours=5))
        columns = {"age": {"tag": "quasi"}, "name": {"tag": "personal"}}
        found.append({**about, "at": at, "recipient": "acme", "dataset": "people", "k": 9 - day, "columns": columns, "rows": 90})
        noise = {"mechanism": {"noise_multiplier": 6.0}, "delta": 1e-5, "transform": "noised"}
        found.append({**about, "at": at, "recipient": "city", "rows": 12, "columns": {"count": {}}, **noise})
    mark = {"canaries": [{"name": "mark", "text": "zq-mark-of-march"}], "dataset": "texts", "recipient": "vendor"}
    found.append({**about, "at": stamp(START - timedelta(days=3)), **mark})
    level = {"kind": "decision", "decision": "of exports", "at": stamp(START - timedelta(days=9)), "author": "ann", "statement": "levels"}
    found += [{**level, "recipient": "city", "epsilon": 1.5}, {**level, "decision": "of k", "recipient": "acme", "k": 5}]
    answer = {"kind": "prediction", "id": "repeats", "model": "live", "version": "1", "environment": "probe", "features": {}, "item": "q1"}
    found.append({**answer, "at": stamp(START + timedelta(days=4)), "prediction": "yes", "set": "one", "reply": "as zq-mark-of-march says"})
    return [each | {"received_at": each["at"]} for each in found]


def steering(rng: random.Random) -> list[dict]:
    """Decisions of a model that controls a cache and costs more than the old rule from the second day on. In every fifth stretch of six
    hours the rule decides, a guardrail steps in, and the model is off for an afternoon. Some outcomes arrive late or are corrected.
    """
    found = []
    for hour in range(-24 * PAST, 24 * DAYS):
        for place in range(4):
            at, name = START + timedelta(hours=hour, minutes=15 * place + rng.randint(0, 9)), f"steer {hour} {place}"
            base, off = rng.expovariate(0.1), 60 <= hour < 66
            rule = off or (hour // 6) % 5 == 0
            value = base * (rng.uniform(0.9, 1.1) if rule else rng.uniform(1.3, 2.2) if hour >= 24 else rng.uniform(0.7, 1.1))
            body = {
                "kind": "prediction", "id": name, "at": stamp(at), "model": "cache", "version": "1", "environment": "controller",
                "features": {"age": rng.randint(0, 50), "kind": rng.choice(("a", "b"))}, "prediction": rng.choice(("admit", "bypass")),
                "score": 8.0, "score_low": 0.5, "score_high": 25, "baseline": "admit", "unit": "ms", "system": "cache",
            }  # fmt: skip
            body |= {"steered_by": "heuristic"} if rule else {"status": "fallback"} if rng.random() < (0.2 if hour >= 0 else 0.05) else {}
            body |= {"kill_switch": True} if off else {}
            found.append(body | {"received_at": body["at"]})
            for _ in range(rng.choice((0, 1, 1, 1, 2))):
                came = stamp(at + timedelta(hours=rng.choice((1, 2, 40))))
                label = {"kind": "label", "id": name, "at": came, "model": "cache", "value": round(value, 3), "received_at": came}
                found.append(label if rule else label | {"baseline_outcome": round(base, 3)})
                value += 1.0
    return found


def datasets() -> list[dict]:
    """A version a day of one dataset, one of which is logged again with different content; one version of another dataset, logged twice and
    without a checksum; and a decision to store the first dataset exactly.
    """
    decided = {"kind": "decision", "decision": "of storage", "author": "ann", "model": "live", "statement": "exactly"}
    found: list[dict] = [decided | {"form": "exact", "dataset": "people", "at": stamp(START - timedelta(days=1))}]
    for day in range(-3, DAYS):
        at = START + timedelta(days=day, hours=2)
        body = {"kind": "dataset", "dataset": "people", "version": str(day), "at": stamp(at), "rows": 900 + day, "parents": ["census@1"]}
        found.append(body | {"checksum": f"sha256:{day + 3:016x}"})
        if day == 1:
            found.append(body | {"at": stamp(at + timedelta(hours=5)), "checksum": "sha256:ffffffffffffffff"})
        if day == 0:
            found[-1]["storage"] = stored_as_float16()
        if day == 1:
            found.append({**body, "dataset": "photos", "storage": pictures_in_use()})
        if day == 2:
            found += [{**body, "dataset": "places", "at": stamp(at + timedelta(hours=hours))} for hours in (0, 5)]
    return [each | {"received_at": each["at"]} for each in found]


def pictures_in_use() -> dict:
    """An audit of pictures that are stored as JPEG. One folder of them loses more quality than is allowed."""
    rows = [(None, None, 60, 36.5, 0.94), ("folder", "day", 30, 40.25, 0.97), ("folder", "so~u/th", 30, 32.75, 0.91)]
    found = []
    for column, level, n, psnr, ssim in rows:
        row = {"column": column, "level": level, "n": n, "psnr": [psnr, psnr - 0.5, psnr + 0.5]}
        found.append(row | {"ssim": [ssim, ssim - 0.01, ssim + 0.01]})
    codecs = {"none": {"bytes": 9000, "columns": {}}, "PNG": {"bytes": 4000, "columns": {}}}
    forms = {"JPEG 75": {"bytes": 900, "fidelity": found}}
    return {"codecs": codecs, "forms": forms, "tags": {}, "in_use": "JPEG 75", "least": {"psnr": 35.0, "ssim": 0.9}}


def stored_as_float16() -> dict:
    """An audit of a dataset that is stored as float16. This flips decisions of `live`, mostly in one region, and loses two values."""
    slices = [{"column": "region", "level": level, "n": n, "flips": flips} for level, n, flips in (("north", 700, 6), ("so~u/th", 200, 30))]
    model = {"name": "live", "version": "1", "rows": 900, "largest": 0.2, "p99": 0.1, "mean": 0.01, "flips": 36, "slices": slices}
    codecs = {"none": {"bytes": 1000, "columns": {}, "encode": 1.0, "decode": 1.0}, "zstd": {"bytes": 700, "columns": {}, "decode": 0.9}}
    form = {"bytes": 650, "encode": 0.8, "decode": 0.7, "errors": {"age": 0.1}, "lost": {"income": 2}, "model": model}
    return {"codecs": codecs, "forms": {"float16/~": form, "float32": {**form, "bytes": 900}}, "tags": {}, "in_use": "float16/~"}


def storage_places() -> list[dict]:
    """Daily reports of a disk, from three weeks before the window on: growth, errors and bad blocks rise, and no backup is tested."""
    found = []
    for day in range(-20, DAYS):
        at, late = START + timedelta(days=day, hours=3), day >= 0
        body = {
            "kind": "storage_report", "place": "disk'1", "at": stamp(at), "capacity_bytes": 10**12, "files": 20_000 + day, "keep_days": 30,
            "used_bytes": 9 * 10**11 + 10**9 * day * (9 if late else 1), "small_files": 12_000, "duplicate_bytes": 3 * 10**11,
            "cold_bytes": 10**11, "oldest_at": stamp(at - timedelta(days=33, hours=7)), "reads": 5000 + day, "read_errors": 40 if late else 1,
            "writes": 700, "write_errors": 3, "read_p99_ms": 12.5 + day % 3 + 60 * late, "write_p99_ms": 9.0 + day % 4, "checked": 900,
            "corrupt": int(late), "backup_at": stamp(START - timedelta(days=3)), "backup_hours": 24,
            "complete_to": stamp(min(at, START + timedelta(hours=5))),
        }  # fmt: skip
        found.append(body)
        if day % 5 == 0:
            found.append({**body, "at": stamp(at + timedelta(hours=9)), "used_bytes": body["used_bytes"] + 5 * 10**8, "read_p99_ms": 20.0})
    tested = {"place": "bucket", "kind": "storage_report", "backup_at": stamp(START), "restored_at": stamp(START - timedelta(days=2))}
    found += [{**tested, "at": stamp(START + timedelta(days=day))} for day in range(DAYS)]
    return [each | {"received_at": each["at"]} for each in found]


def stamp(instant: datetime) -> str:
    """A time in the format of RFC 3339."""
    return instant.isoformat().replace("+00:00", "Z")
