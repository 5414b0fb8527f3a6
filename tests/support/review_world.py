"""Six weeks of a small regression: in one week a unit is wrong, in the next it is fixed, and in the last a better version serves and the
old one answers in shadow.

Every label comes two hours after its prediction, except for a tenth of each week's labels, which come three weeks late.
"""

import json
import random
from datetime import datetime, timedelta
from pathlib import Path

from observability.core.weeks import Week
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.built_once import copied_once

FIRST = Week.parse("2026-W06")
WEEKS = tuple(FIRST.back(-n) for n in range(6))
BROKEN, MENDED, BETTER = WEEKS[3], WEEKS[4], WEEKS[5]
A_DAY = 60
LATE = timedelta(days=21)
DATES = f"window=Chosen+dates&from={BROKEN.start:%Y-%m-%dT%H:%M}&to={BROKEN.end:%Y-%m-%dT%H:%M}"
OPENED = {
    f"/requests?model=eta&{DATES}": "Bursts cannot be detected without",
    "/lab?model=eta&fault=unit_change": "simulated",
    f"/slices?model=eta&{DATES}": f"{7 * A_DAY:,}",
    f"/cleaning?{DATES}": "963",
    f"/devices?{DATES}": "0 devices and 1 source without one, 7 batches",
    f"/labelling?{DATES}": "7 labels by 1 annotator in moods",
    f"/cases?model=eta&q={BROKEN}-3": f"{BROKEN}-3",
    f"/why_changed?model=eta&{DATES}": "covariate shift and concept drift cannot be separated",
    f"/batches?{DATES}": "7 batches of 1 source",
    f"/datasets?{DATES}": "963",
    "/lab?model=eta&of=labelling&fault=slow_annotator": "One annotator takes many times as long",
    "/lab?model=eta&of=training": "No training run of this model has been logged yet",
}
"""Addresses of pages about these records and `deliveries`, with what each page states."""


def build(home: Path, *, shadow: bool = True, artifact: Path | None = None) -> Database:
    """The store with every record except the late labels. `load_late` loads those.

    shadow: whether the old version answers in the shadow of the better one. artifact: that of the old version.
    """
    if artifact is not None:
        return filled(home, shadow, artifact)
    copied_once(f"review-world-{'with' if shadow else 'without'}-shadow", lambda draft: filled(draft, shadow, None).close(), home)
    return open_store(home, threads=2)


def filled(home: Path, shadow: bool, artifact: Path | None) -> Database:
    """Fill an empty folder with the same store."""
    store = open_store(home, threads=2)
    rng = random.Random(3)
    for version, noise in (("1", 4.0), ("2", 2.0)):
        path = home / "reference.csv"
        rows = [row(rng, noise) for _ in range(600)]
        lines = ["km,load,score,label", *(",".join(str(each[name]) for name in ("km", "load", "score", "label")) for each in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        own = artifact if version == "1" else None
        store.register(
            RegistrationRequest(
                model="eta", version=version, task="regression", reference=path, label="label", score=("score",), artifact=own
            )
        )
        path.unlink()
    known = [each for each in records() if each["received_at"] < stamp(WEEKS[-1].end + timedelta(days=7))]
    load(store, [each for each in known if shadow or each.get("environment") is None])
    return store


def load_late(store: Database) -> None:
    """The labels that arrived after the weeks were frozen."""
    load(store, [each for each in records() if each["received_at"] >= stamp(WEEKS[-1].end + timedelta(days=7))])


def row(rng: random.Random, noise: float) -> dict:
    """The features of a journey, its duration, and a prediction with an error of the given standard deviation."""
    km, weight = rng.uniform(5, 60), rng.gauss(10, 2)
    label = 2.0 * km + weight + rng.gauss(0, 1.0)
    return {"km": round(km, 3), "load": round(weight, 3), "score": round(label + rng.gauss(0, noise), 3), "label": round(label, 3)}


def records() -> list[dict]:
    """All records, including those that arrive late. Each call gives the same ones."""
    rng = random.Random(5)
    found = []
    for week in WEEKS:
        version, noise = ("2", 2.0) if week == BETTER else ("1", 4.0)
        for number in range(7 * A_DAY):
            at = week.start + timedelta(days=7) * number / (7 * A_DAY)
            each = row(rng, noise)
            features = {"km": each["km"], "load": each["load"]}
            score = each["score"]
            if week == BROKEN:  # metres instead of kilometres: the model gets journeys that are a thousand times as long
                features["km"] = round(1000 * each["km"], 1)
                score = round(score + 200.0, 3)
            name = f"{week}-{number}"
            body = {
                "kind": "prediction",
                "at": stamp(at),
                "model": "eta",
                "features": features,
                "received_at": stamp(at),
                "replica": f"r{number % 2}",
            }
            found.append(body | {"id": name, "version": version, "score": score})
            if week == BETTER:
                found.append(
                    body
                    | {"id": f"{name}-old", "version": "1", "environment": "shadow", "score": round(each["label"] + rng.gauss(0, 4.0), 3)}
                )
            came = at + (LATE if rng.random() < 0.1 else timedelta(hours=2))
            found.append(
                {"kind": "label", "id": name, "at": stamp(came), "model": "eta", "value": each["label"], "received_at": stamp(came)}
            )
    found.append(
        {
            "kind": "event",
            "at": stamp(BETTER.start),
            "what": "deploy",
            "text": "version 2",
            "model": "eta",
            "version": "2",
            "received_at": stamp(BETTER.start),
        }
    )
    return found


def load(store: Database, lines: list[dict]) -> None:
    """Loads records through a file."""
    path = store.home / "lines.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in lines) + "\n", encoding="utf-8")
    assert store.load_files([path], LoadDefaults()).rejected == 0
    path.unlink()


def stamp(instant: datetime) -> str:
    """A time in the format of RFC 3339."""
    return instant.isoformat().replace("+00:00", "Z")


def deliveries() -> list[dict]:
    """A batch and a cleaning on every morning of one week. Each batch has 1,000 rows, of which 37 are dropped; the remaining rows of the
    last one are a version of the dataset.
    """
    found = []
    for day in range(7):
        at = stamp(BROKEN.start + timedelta(days=day, hours=6))
        found.append({"kind": "batch", "batch": f"b{day}", "source": "clinic", "at": at, "rows": 1000, "rejected_rows": 0})
        found.append(
            {
                "kind": "cleaning",
                "rule": "adults",
                "dataset": "people",
                "version": f"v{day}",
                "at": at,
                "rows_in": 1000,
                "rows_changed": 0,
                "rows_dropped": 37,
            }
        )
        body = {
            "project": "moods",
            "item": f"i{day}",
            "annotator": "ann",
            "at": at,
            "seconds": 40,
            "suggestion": "b",
            "suggestion_confidence": 0.95,
        }
        found.append({"kind": "annotation", **body, "label": "a", "gold": "a" if day else "b"})
    found.append({"kind": "dataset", "dataset": "people", "version": "v6", "at": found[-1]["at"], "rows": 963})
    return [each | {"received_at": each["at"]} for each in found]
