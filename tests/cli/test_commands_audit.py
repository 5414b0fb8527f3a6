"""The command `audit` runs the named kinds on the newest registered version, reports progress, and prints lines or JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.cli.execute import execute
from observability.core.settings import AUDITS
from observability.detection.audit_history import stored_audits
from observability.enrichment import audits
from observability.enrichment.audit_steps import AuditRequest
from observability.review.agenda_items import records_until
from observability.store.engine import Store
from observability.store.types.registration import RegistrationRequest
from tests.support.new_store import new_store

ROWS = 220
"""An audit of leakage needs 200 labelled rows."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with two versions of a small model. Version 1 is registered last, so that its name does not make it the newest."""
    folder = tmp_path_factory.mktemp("audit")
    rng = np.random.default_rng(4)
    rows = pd.DataFrame(rng.normal(size=(ROWS, 2)).round(2), columns=["income", "debt"])
    label = (rows.income - rows.debt + rng.normal(0, 0.5, ROWS) > 0).astype(int)
    params = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(params, lightgbm.Dataset(rows, label), num_boost_round=5)
    booster.save_model(folder / "model.txt")
    rows.assign(score=booster.predict(rows), label=label).to_csv(folder / "reference.csv", index=False)
    with new_store(folder / "home", threads=1) as opened:
        for version in ("2", "1"):
            request = RegistrationRequest(
                model="loan", version=version, reference=folder / "reference.csv", task="binary", label="label", score=("score",),
                features=("income", "debt"), artifact=folder / "model.txt",
            )  # fmt: skip
            opened.register(request)
        yield opened


def test_the_named_kinds_are_run_on_the_newest_version_and_stored(store: Store) -> None:
    said: list[str] = []
    command = ["audit", "loan", "--kind", "leakage", "--kind", "robustness", "--rows", str(ROWS), "--in-sample"]
    done = execute(store, [*command, "--json"], said.append)
    assert done.exit_code == 0, done.error
    printed = json.loads(done.out)["audits"]
    assert [(each["audit"], each["version"]) for each in printed] == [("leakage", "1"), ("robustness", "1")]
    stored = {audit.kind: audit for audit in stored_audits(records_until(store, "audit"))}
    assert {each["audit"]: each["results"]["headline"]["value"] for each in printed} == {kind: each.value for kind, each in stored.items()}
    shares = {kind: [float(line.split(": ")[1].split(" %")[0]) for line in said if line.startswith(kind)] for kind in stored}
    assert all(own == sorted(own) and own[-1] == 100 for own in shares.values()) and said[-1] == "", said
    assert [line for line in said if line.endswith(", done")] == ["leakage: 100 %, done", "robustness: 100 %, done"]


def test_a_line_states_the_headline_and_how_long_it_is_valid(store: Store) -> None:
    done = execute(store, ["audit", "loan", "--version", "2", "--kind", "leakage", "--rows", str(ROWS), "--in-sample"], lambda _: None)
    (audit,) = [each for each in stored_audits(records_until(store, "audit")) if each.version == "2"]
    assert done.exit_code == 0 and audit.value is not None and audit.expires is not None, done.error
    assert done.out.startswith(f"loan 2, leakage: label leakage {audit.value:.3f} (")
    assert f", n {audit.rows:,}); valid until {audit.expires:%Y-%m-%d}." in done.out and len(done.out.splitlines()) == 1


def test_without_a_kind_all_audit_kinds_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[AuditRequest] = []

    def record(_store: Any, _worker: Any, request: AuditRequest, progress: Any) -> dict[str, Any]:
        asked.append(request)
        progress(0.5, "half of it")
        why = {"value": None, "why": "nothing was run."}
        return {"model": request.model, "version": request.version, "audit": "leakage", "results": {"headline": why}}

    monkeypatch.setattr(audits, "run_audit", record)
    said: list[str] = []
    done = execute(store, ["audit", "loan", "--rows", "90", "--shadows", "4", "--seed", "7"], said.append)
    assert asked == [AuditRequest("loan", "1", kind, 90, False, 4, 7) for kind in AUDITS]
    assert said == [*(f"{kind}: 50 %, half of it" for kind in AUDITS), ""]
    assert done.out.splitlines() == ["loan 1, leakage: nothing was run."] * len(AUDITS)


@pytest.mark.parametrize(
    ("given", "words"), [(["loan", "--kind", "power"], "power"), (["loan", "--version", "9"], "unknown version"), (["lent"], "lent")]
)
def test_a_wrong_request_is_refused_with_the_code_of_usage(store: Store, given: list[str], words: str) -> None:
    done = execute(store, ["audit", *given], lambda _: None)
    assert done.exit_code == 2 and words in done.error and not done.out


def test_a_model_without_a_registered_version_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "served.jsonl"
    line = {
        "kind": "prediction",
        "id": "x",
        "at": "2026-03-01T00:00:00Z",
        "model": "seen",
        "version": "1",
        "features": {"a": 1},
        "score": 0.5,
    }
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert execute(store, ["load", str(path)], lambda _: None).exit_code == 0
    done = execute(store, ["audit", "seen"], lambda _: None)
    assert done.exit_code == 2 and "no version is registered" in done.error
