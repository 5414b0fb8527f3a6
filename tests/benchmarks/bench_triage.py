"""How often is the first suspected source of a case right, wrong, or an honest "cannot tell", judged by a key whose author did not write
the triage?

    python tests/benchmarks/bench_triage.py [--key 2|3] [--home FOLDER] [--half development|held] [--only ID,ID] [--part K/N] [--to FILE]

The keys and their rules: triage_evidence.py, triage_key.json, triage_key_2.json and triage_key_3.json. `--part 1/3`: every third case from
the first one. `--home`: a home with the sample fleet, which is only read; by default one is made with `demo`. The planted logs of
triage_rows.py are registered and loaded into separate homes. The product's triage is asked about each case in the same way as by `case
--json`.

* right: the first source is one that the key accepts.
* honest: the first source is "cannot tell" (`unknown` without detail), and the key says that this is honest.
* silent: "cannot tell" where the evidence is clear.
* wrong: any other source.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from triage_evidence import KEYS
from triage_rows import CLASSES, DATA, PlantedLog, features_of_model

from observability.investigation.case import open_case
from observability.investigation.evidence_types import triage_json
from observability.stats.interval import rate_interval
from observability.store.engine import Store
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from observability.worker.process import Worker

OUTCOMES = ("right", "honest", "silent", "wrong")
CARRIED = ("replica", "batch", "text", "status", "version")
RATED = ("rating_mean", "rating_spread", "raters")


def outcome(case: dict[str, Any], source: str) -> str:
    """The outcome of the first suspected source, judged by the key. source: `expected` stands for `unknown` with this detail."""
    if source in case["accept"]:
        return "right"
    if source == "unknown":
        return "honest" if case["honest"] else "silent"
    return "wrong"


def asked(store: Store, case: dict[str, Any], worker: Worker) -> dict[str, Any]:
    """The product's answer about a case: its first suspected sources, each with its sentence."""
    part = open_case(store, case["id"], model=case["model"], worker=worker)
    ranked = part.part("triage")
    if not ranked:
        return {"source": "unknown", "because": part.why.get("triage", ""), "ranked": []}
    said = [triage_json(each) for each in ranked]
    names = ["expected" if each["detail"] == "expected" else each["source"] for each in said]
    return {
        "source": names[0],
        "because": said[0]["because"],
        "ranked": [[n, round(s["score"], 3), s["because"]] for n, s in zip(names, said, strict=True)],
    }


def planted_store(plant: PlantedLog, home: Path) -> Store:
    """A store with a planted log: the version with its file and reference, and every prediction and label."""
    store = open_store(home, threads=2)
    model = plant.model
    several = model == "sentiment"
    for version in sorted({"1", *plant.rows["version"].astype(str)}):
        artifact = DATA / ("sentiment.skops" if several else f"{model}.lightgbm.txt")
        store.register(
            RegistrationRequest(
                model=model, version=version, reference=DATA / f"{model}.reference.parquet", label="label", at="at",
                task="multiclass" if several else "regression" if model == "flights-delay" else "binary",
                score=tuple(f"{name}=score_{name}" for name in CLASSES[model]) if several else ("score",),
                features=tuple(features_of_model(model)), artifact=artifact if version == "1" else None, settings=DATA / f"{model}.toml",
            )
        )  # fmt: skip
    path = home / "planted.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for rows in (plant.rows, plant.shadow):
            for row in rows.to_dict("records"):
                file.writelines(json.dumps(each) + "\n" for each in _records(model, row))
    report = store.load_files([path], LoadDefaults())
    assert report.rejected == 0, report.examples
    return store


def _records(model: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The prediction and the label of a row."""
    features = {name: _plain(row[name]) for name in features_of_model(model)}
    score = {name: row[f"score_{name}"] for name in CLASSES[model]} if model == "sentiment" else row["score"]
    at = row["at"].isoformat()
    record = {"kind": "prediction", "id": row["id"], "at": at, "received_at": at, "model": model, "features": features, "score": score}
    record |= {name: _plain(row[name]) for name in (*CARRIED, "environment") if name in row and not pd.isna(row[name])}
    if row.get("environment") == "shadow":
        return [record]
    then = row["label_at"].isoformat()
    value = row["label"] if model == "sentiment" else int(row["label"])
    label = {"kind": "label", "id": row["id"], "at": then, "received_at": then, "model": model, "value": value}
    label |= {"source": "human" if model == "sentiment" else "outcome"} | {name: _plain(row[name]) for name in RATED if name in row}
    return [record, label]


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def answers(cases: list[dict[str, Any]], fleet: Path) -> list[dict[str, Any]]:
    """Each case with the product's answer."""
    worker, found = Worker(), []
    with tempfile.TemporaryDirectory() as folder:
        for log in dict.fromkeys(case["log"] for case in cases):
            make = next((plan.plants[log] for plan in KEYS.values() if log in plan.plants), None)
            plant = make() if make else None
            with closing(open_store(fleet, threads=2) if plant is None else planted_store(plant, Path(folder) / log)) as store:
                for case in (each for each in cases if each["log"] == log):
                    said = asked(store, case, worker)
                    found.append(case | {"said": said, "outcome": outcome(case, said["source"])})
                    print(
                        f"{found[-1]['outcome']:7} {case['model']:13} {log:16} {case['id']:22} {said['source']:18} {case['accept']}",
                        flush=True,
                    )
    worker.close()
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Outcomes of all cases, and by half, model, plant and first source. Right or honest ones, and wrong ones, have 95 % intervals."""
    groups: dict[str, list[dict[str, Any]]] = {"all": found}
    for case in found:
        names = (f"half {case['half']}", "planted" if case["planted"] else f"fleet {case['model']}", f"said {case['said']['source']}")
        for name in names:
            groups.setdefault(name, []).append(case)
    lines = [f"{'':28}{'cases':>6}{''.join(f'{name:>8}' for name in OUTCOMES)}   right or honest        wrong"]
    for name, cases in groups.items():
        counts = Counter(case["outcome"] for case in cases)
        good, bad = (rate_interval(k, len(cases)) for k in (counts["right"] + counts["honest"], counts["wrong"]))
        shares = "  ".join(
            "{:4.0f} % ({:3.0f} to {:3.0f})".format(*(100 * (end or 0.0) for end in (x.value, x.low, x.high))) for x in (good, bad)
        )
        lines.append(f"{name:28}{len(cases):6}{''.join(f'{counts[each]:8}' for each in OUTCOMES)}   {shares}")
    return "\n".join(lines)


def main() -> None:
    """Ask about the cases of the key and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", type=int, choices=tuple(KEYS), default=1)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--half", choices=("development", "held"))
    parser.add_argument("--only", default="")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--to", type=Path)
    args = parser.parse_args()
    cases = [each for each in json.loads(KEYS[args.key].file.read_text(encoding="utf-8"))["cases"] if args.half in (None, each["half"])]
    cases = [each for each in cases if not args.only or each["id"] in args.only.split(",")]
    part, parts = (int(each) for each in args.part.split("/"))
    cases = cases[part - 1 :: parts]
    with tempfile.TemporaryDirectory() as folder:
        home = args.home or Path(folder) / "home"
        if args.home is None:
            environment = {**os.environ, "OBSERVABILITY_HOME": str(home)}
            subprocess.run([sys.executable, "-m", "observability", "demo"], cwd=ROOT, env=environment, check=True, capture_output=True)
        found = answers(cases, home)
    print(table(found))
    if args.to:
        args.to.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
