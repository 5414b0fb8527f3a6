"""Makes the stores of released versions with the code of those versions, for tests/store/test_released.py.

`python tests/support/released_stores.py FOLDER [VERSION …]` checks out each version from the git history, registers a model and loads the
same records by that version's command line, and packs the database and its settings as VERSION.tar.xz. The store of a released version is
made only once.
"""

import csv
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMITS = {
    "0.6.0": "ae6e8bf",
    "0.7.0": "cec0fbe",
    "0.8.0": "c008d86",
    "0.9.0": "82dc781",
    "0.10.0": "c1c8caa",
    "0.11.0": "b7825da",
    "0.12.0": "8eb16b6",
    "0.13.0": "99ed549",
    "0.14.0": "2184335",
    "0.15.0": "f33be17",
    "0.16.0": "cd9864b",
    "0.17.0": "7c43962",
    "0.18.0": "caa4cd0",
    "0.19.0": "d80e57f",
    "0.20.0": "97604db8",
    "0.21.0": "98b31e45",
    "0.22.0": "ab9c9f01",
    "0.23.0": "465407c9",
    "0.24.0": "9e16525a",
    "0.25.0": "431ec5e9",
    "0.26.0": "2b355675",
    "0.27.0": "5b50ee76",
    "0.28.0": "15238937",
    "0.29.0": "4a09be8a",
    "0.30.0": "0f7bcc85",
    "0.31.0": "75a5d33d",
    "0.32.0": "5a1e26af",
    "0.33.0": "1f6f0916",
    "0.34.0": "94c98dda",
    "0.35.0": "31a35ac0",
    "0.36.0": "51b0f94b",
    "0.37.0": "b31ce0e6",
}
"""The last commit that states the version, for each version."""
START, DAYS = datetime(2026, 3, 2, tzinfo=UTC), 14
REFERENCE, PREDICTIONS, FREE, LABELLED = 240, 280, 60, 200
FALLEN_DAYS = 4
"""On this many days at the end the ages have another distribution, so that today's code finds a change."""
KEPT = ("store.duckdb", "settings.toml")


def applicants(seed: int, count: int, shift: float = 0.0) -> list[dict[str, Any]]:
    """Features and labels of applicants."""
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        age = round(dice.gauss(45 + shift, 8), 1)
        features = {
            "age": age,
            "income": round(dice.gauss(50, 10), 2),
            "job": dice.choice(("cook", "clerk", "smith")),
            "sex": dice.choice("FM"),
        }
        found.append({**features, "label": int(dice.random() < min(max(age / 90, 0), 1))})
    return found


def score(row: dict[str, Any]) -> float:
    """The model's score."""
    return round(min(max(row["age"] / 90, 0.01), 0.99), 4)


def moment(share: float) -> str:
    """A time within the two weeks, as text."""
    return (START + timedelta(days=DAYS * share)).isoformat().replace("+00:00", "Z")


def records() -> Iterator[dict[str, Any]]:
    """Records of the kinds that every released version knows."""
    late = 1 - FALLEN_DAYS / DAYS
    usual, moved = applicants(2, PREDICTIONS), applicants(3, PREDICTIONS, shift=20)
    for place in range(PREDICTIONS):
        row = (moved if place / PREDICTIONS >= late else usual)[place]
        named = {"id": f"p{place}", "at": moment(place / PREDICTIONS), "model": "loan", "version": "3"}
        features = {name: row[name] for name in ("age", "income", "job", "sex")}
        yield {
            "kind": "prediction",
            **named,
            "features": features,
            "score": score(row),
            "latency_ms": 5 + place % 7,
            "replica": f"r{place % 2}",
        }
        if place < LABELLED:
            yield {
                "kind": "label",
                "id": f"p{place}",
                "at": moment(min((place + 20) / PREDICTIONS, 1)),
                "model": "loan",
                "value": row["label"],
            }
    for place in range(FREE):  # a model that nobody registered
        yield {"kind": "prediction", "id": f"f{place}", "at": moment(place / FREE), "model": "price", "version": "1", "features": {"size": place}, "score": place + 0.5}  # fmt: skip
    at = moment(0.5)
    for step in range(5):
        yield {"kind": "step", "run": "r1", "at": at, "step": step, "metrics": {"loss": 1 / (step + 1)}}
    yield {"kind": "run", "run": "r1", "at": at, "event": "start", "model": "loan", "params": {"depth": 3}}
    yield {"kind": "resource", "at": at, "device": "gpu0", "watts": 200, "run": "r1"}
    yield {"kind": "annotation", "project": "p", "item": "i", "annotator": "a", "at": at, "label": "cat"}
    yield {"kind": "event", "at": at, "what": "deploy", "text": "version 3", "model": "loan"}
    yield {"kind": "price", "from": at, "resource": "kwh", "amount": 0.3, "currency": "EUR"}
    yield {"kind": "dataset", "dataset": "d", "version": "1", "at": at, "rows": 5}
    yield {
        "kind": "verdict",
        "verdict": "v",
        "at": at,
        "model": "loan",
        "prediction": "p1",
        "author": "Ada",
        "source": "input",
        "wrong": "yes",
    }
    yield {"kind": "decision", "decision": "d", "at": at, "author": "Ada", "statement": "hold", "options": ["roll back"]}


WRONG = (
    '{"kind":"prediction"',
    '{"kind":"prediction","id":"x","at":"soon","model":"loan","version":"3","score":0.5}',
    '{"kind":"nothing"}',
)
"""Lines that every version rejects."""


def write_files(folder: Path) -> tuple[Path, Path]:
    """The reference and the records as files."""
    reference, log = folder / "reference.csv", folder / "records.jsonl"
    with reference.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("age", "income", "job", "sex", "label", "score"))
        writer.writeheader()
        writer.writerows({**row, "score": score(row)} for row in applicants(1, REFERENCE))
    log.write_text("\n".join([*map(json.dumps, records()), *WRONG, ""]), encoding="utf-8")
    return reference, log


def make_store(version: str, target: Path) -> None:
    """Make the store of a version as VERSION.tar.xz in a folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        code, home = folder / "code", folder / "home"
        code.mkdir()
        archive = subprocess.run(["git", "archive", COMMITS[version], "observability"], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "x"], cwd=code, input=archive.stdout, check=True)
        reference, log = write_files(folder)
        environment = {**os.environ, "OBSERVABILITY_HOME": str(home), "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"}
        register = ["register", "--model", "loan", "--version", "3", "--task", "binary", "--reference", str(reference), "--label", "label"]
        for words in ([*register, "--score", "score", "--sensitive", "sex"], ["load", str(log)]):
            done = subprocess.run(
                [sys.executable, "-m", "observability", *words], cwd=code, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, (version, words[0], done.stdout, done.stderr)
        with tarfile.open(target / f"{version}.tar.xz", "w:xz", preset=9) as packed:
            for kept in KEPT:
                if (home / kept).exists():
                    packed.add(home / kept, kept, filter=without_owner)


def without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member of the archive without the name and number of its owner."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    for each in sys.argv[2:] or COMMITS:
        make_store(each, Path(sys.argv[1]))
        print(each, (Path(sys.argv[1]) / f"{each}.tar.xz").stat().st_size, flush=True)
