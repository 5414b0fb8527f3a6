"""Audits of a registered model are records with intervals. An interrupted audit continues where it stopped, unknown figures are stated, and
planted canaries expose a model that remembers them.
"""

import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.cli.commands_audit import audit_lines
from observability.cli.execute import execute
from observability.core.catalog import Column, Kind, Model, Version
from observability.core.errors import UsageError
from observability.core.settings import ModelSettings
from observability.detection.audit_history import KINDS, StoredAudit, stored_audits
from observability.enrichment import precision_audit as audit_of_forms
from observability.enrichment import robustness_audit
from observability.enrichment.audit_rows import attackable_features, audit_reference_rows, audit_served_rows
from observability.enrichment.audit_steps import FOLDER, AuditRequest, AuditSteps
from observability.enrichment.audits import run_audit
from observability.enrichment.precision_audit import AuditOptions, precision_audit
from observability.monitoring.check import check
from observability.review.agenda_items import records_until
from observability.review.fairness_status import newest_audits
from observability.server.audit_schedule import AuditInterruptedError, run_due_audit, scheduled_audits, store_audits
from observability.store.engine import Store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from observability.worker.process import Worker
from tests.support.new_store import new_store
from tests.support.proving import differing

ROWS = 300
START = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = (
    '[settings]\nimmutable = ["age"]\nattack_costs = { income = 2.0 }\nattack_directions = { debt = "up", age = "down" }\naudit_days = 30\n'
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a model fitted on the rows of its reference, and labelled rows that it served afterwards."""
    folder = tmp_path_factory.mktemp("audits")
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(rng.normal(size=(2 * ROWS, 3)).round(2), columns=["age", "income", "debt"])
    label = (rows.income - rows.debt + rng.normal(0, 1, 2 * ROWS) > 0).astype(int)
    sex = rng.choice(["F", "M"], 2 * ROWS)
    params = {"objective": "binary", "num_leaves": 15, "min_data_in_leaf": 2, "verbosity": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(params, lightgbm.Dataset(rows[:ROWS], label[:ROWS]), num_boost_round=20)
    booster.save_model(folder / "model.txt")
    score = booster.predict(rows)
    table = rows.assign(id=[f"r{k}" for k in range(2 * ROWS)], sex=sex, score=score, label=label)
    table[:ROWS].to_csv(folder / "reference.csv", index=False)
    (folder / "settings.toml").write_text(SETTINGS, encoding="utf-8")
    with new_store(folder / "home", threads=1) as opened:
        request = RegistrationRequest(
            model="loan", version="1", reference=folder / "reference.csv", task="binary", label="label", score=("score",),
            features=("age", "income", "debt"), sensitive=("sex",), artifact=folder / "model.txt", settings=folder / "settings.toml",
        )  # fmt: skip
        opened.register(request)
        lines = [
            {
                "kind": "prediction", "id": each["id"], "at": (START + timedelta(minutes=k)).isoformat(), "model": "loan", "version": "1",
                "features": {name: each[name] for name in ("age", "income", "debt")}, "groups": {"sex": each["sex"]}, "score": each["score"],
                "label": each["label"],
            }
            for k, each in enumerate(table[ROWS:].to_dict("records"))
        ]  # fmt: skip
        path = folder / "served.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        assert opened.load_files([path], LoadDefaults()).rejected == 0
        yield opened


@pytest.fixture(scope="module")
def known(store: Store, worker: Worker) -> dict[str, StoredAudit]:
    """One stored audit of each kind."""
    for kind in KINDS:
        rows = None if kind in ("fairness", "leakage") else 150
        run_audit(store, worker, AuditRequest("loan", "1", kind, rows=rows, in_sample=True, shadows=4), lambda *_: None)
    return {audit.kind: audit for audit in stored_audits(records_until(store, "audit"))}


def test_every_kind_is_stored_with_an_interval_and_a_date(known: dict[str, StoredAudit], store: Store) -> None:
    assert set(known) == set(KINDS)
    for audit in known.values():
        assert audit.value is not None and audit.low is not None and audit.high is not None and audit.low <= audit.value <= audit.high
        assert audit.expires == audit.at + timedelta(days=30)
    assert not list((store.home / FOLDER).glob("*.json"))
    brief = {each["audit"]: each["results"] for each in newest_audits(records_until(store, "audit"))}
    assert set(brief["robustness"]) == {"robust_accuracy", "accuracy"} and set(brief["membership"]) == {"membership_exposure", "attack_auc"}


def test_explanations_state_how_far_another_method_agrees(known: dict[str, StoredAudit]) -> None:
    agreement = known["explanations"].results["agreement"]
    ranks, first = agreement["rank_correlation"], agreement["same_first"]
    assert -1 <= ranks["low"] <= ranks["value"] <= ranks["high"] <= 1 and 0 <= first["low"] <= first["value"] <= first["high"] <= 1
    assert ranks["value"] > 0.3, "two methods of the same model are not unrelated"


def test_robustness_keeps_its_settings_and_falls_with_a_larger_budget(known: dict[str, StoredAudit]) -> None:
    results = known["robustness"].results
    values = [point["value"] for point in results["epsilon"]]
    assert values == sorted(values, reverse=True) and results["locked"] == ["age"] and results["exact_single"]
    assert all(point["value"] <= point["single"]["value"] for point in results["epsilon"])
    assert {name for flip in results["flips"] for name in flip["changes"]} <= {"income", "debt"}
    assert all(flip["changes"]["debt"][1] > flip["changes"]["debt"][0] for flip in results["flips"] if "debt" in flip["changes"])
    assert results["directions"] == {"debt": "up"}, "a locked feature has no direction in the results"
    assert set(results["groups"]["sex"]) == {"F", "M"} and results["rows"]["from"] == "production"


def test_only_numbers_and_booleans_have_a_direction_in_an_attack() -> None:
    kinds: dict[str, Kind] = {"age": "number", "member": "boolean", "town": "category", "income": "number"}
    columns = tuple(Column(place, name, name, kind) for place, (name, kind) in enumerate(kinds.items(), start=1))
    settings = ModelSettings(attack_directions={"age": "up", "member": "down", "town": "up"})
    inputs = pd.DataFrame({"age": [1.0, 2.0], "member": [True, False], "town": ["a", "b"], "income": [3.0, 4.0]})
    free, locked = attackable_features(Model(1, "m", columns=columns, settings=settings), Version("1"), inputs)
    assert {each["name"]: each.get("direction") for each in free} == {"age": "up", "member": "down", "town": None, "income": None}
    assert not locked


def test_the_membership_attack_identifies_reference_rows_and_names_exposed_records(known: dict[str, StoredAudit]) -> None:
    results = known["membership"].results
    assert results["attack"] == "LiRA, 4 shadow models" and results["best"]["auc"]["low"] > 0.5
    assert results["without_model"]["auc"]["low"] < 0.55
    assert all(each["id"].startswith("reference/1/") for each in results["exposed"])
    assert set(results["groups"]) == {"sex", "class"} and "canaries" not in results


def test_the_loss_gap_matches_the_logged_scores(known: dict[str, StoredAudit], store: Store) -> None:
    """The booster file reproduces the logged scores, so the loss can be computed from the stored rows alone."""
    gap = known["membership"].results["gap"]
    model, version = store.catalog().model("loan"), store.catalog().model("loan").version("1")
    assert version is not None
    sides = [read(store, model, version, 150) for read in (audit_reference_rows, audit_served_rows)]
    chances = [np.where(side.labels == 1, side.scores, 1 - side.scores) for side in sides]
    inside, outside = (float(-np.log(chance).mean()) for chance in chances)
    assert (gap["members"]["value"], gap["others"]["value"]) == pytest.approx((inside, outside), abs=1e-4)
    assert gap["difference"]["value"] == pytest.approx(outside - inside, abs=1e-4) and gap["difference"]["low"] > 0
    assert gap["advantage"]["value"] == pytest.approx((chances[0] > 0.5).mean() - (chances[1] > 0.5).mean(), abs=1e-6)


def test_fairness_under_shift_uses_the_decisions_of_the_model_file(known: dict[str, StoredAudit], store: Store) -> None:
    audit = known["fairness"]
    plain, worst = audit.results["shifts"][0], audit.results["worst"]
    model, version = store.catalog().model("loan"), store.catalog().model("loan").version("1")
    assert version is not None and plain["shift"] == "as in the reference"
    rows = audit_reference_rows(store, model, version, ROWS)
    decided, right = rows.scores >= 0.5, rows.labels == 1
    of_group = {sex: decided[right & (rows.groups["sex"] == sex)].mean() for sex in ("F", "M")}
    gap = plain["gaps"]["sex"]["true_positive_rate"]
    assert gap["value"] == pytest.approx(abs(of_group["F"] - of_group["M"]), abs=1e-4)
    named = {shift["shift"]: shift for shift in audit.results["shifts"]}
    assert {"all inputs as served", "more sex F", "more positive"} <= set(named) and worst["shift"] in named
    assert all(shift["divergence"] <= 0.1 + 1e-4 for shift in named.values() if shift["kind"] != "served")
    assert worst["divergence"] <= 0.1 + 1e-6 and audit.value == worst["gap"]["value"] and audit.results["criterion"] == "equalized_odds"
    assert audit.results["rows"] == {"reference": ROWS, "served": ROWS, "served_days": 28}
    assert set(audit.results["groups"]["sex"]) == {"F", "M"}


def test_leakage_compares_features_with_the_model_and_served_rows_with_training_rows(known: dict[str, StoredAudit], store: Store) -> None:
    audit = known["leakage"]
    features = {each["name"]: each for each in audit.results["features"]}
    assert list(features)[2] == "age" and audit.headline["feature"] == next(iter(features)) and audit.headline["at"] == "roc_auc"
    assert features["age"]["high"] < features["debt"]["low"] and audit.results["knowing"] == []
    model, version = store.catalog().model("loan"), store.catalog().model("loan").version("1")
    assert version is not None
    inside, outside = (read(store, model, version, 1000) for read in (audit_reference_rows, audit_served_rows))
    ranks = pd.Series(inside.scores).rank().to_numpy()
    positive = inside.labels == 1
    auc = (ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / (positive.sum() * (~positive).sum())
    assert audit.results["model"]["value"] == pytest.approx(2 * auc - 1, abs=1e-5), "computed from the logged scores of the same rows"
    assert set(features["debt"]["served"]) == {"value", "low", "high", "n"} and features["debt"]["lost"]["low"] < 0
    (overlap,) = audit.results["overlaps"]
    twins = outside.inputs.merge(inside.inputs.drop_duplicates(), how="inner")
    assert overlap["exact"]["value"] == pytest.approx(len(twins) / ROWS, abs=1e-6)
    assert (overlap["of"], overlap["held"]["n"], overlap["training"]["n"]) == ("served", ROWS, ROWS)
    (further,) = audit.further
    assert (further.metric, further.value) == ("training_overlap", overlap["either"]["value"])


def test_each_figure_of_an_audit_is_proved_from_its_record(known: dict[str, StoredAudit], store: Store) -> None:
    now = max(audit.at for audit in known.values()) + timedelta(hours=1)
    asked: dict[str, Any] = {"model": "loan", "version": "1", "start": now - timedelta(days=1), "end": now, "now": now}
    found = check(store, **asked, only=("trust/audits",)).findings
    proven = {each.metric for each in found if each.proof}
    assert proven >= {"label_leakage", "training_overlap", "robust_accuracy"} and differing(store, found) == []


def test_leakage_with_too_few_known_training_rows_says_so(store: Store, worker: Worker) -> None:
    found = run_audit(store, worker, AuditRequest("loan", "1", "leakage", rows=100), lambda *_: None)["results"]
    assert found["headline"]["value"] is None and "100 labelled rows were read; 200 are needed" in found["headline"]["why"]
    assert found["overlaps"] == [] and "--in-sample" in found["further"]["training_overlap"]["why"]


def test_training_rows_of_an_earlier_version_are_found_in_the_reference_and_the_audit_resumes(
    store: Store, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, first = store.catalog().model("loan"), store.catalog().model("loan").version("1")
    assert first is not None
    artifact = store.artifact(first)
    inside, outside = (read(store, model, first, ROWS) for read in (audit_reference_rows, audit_served_rows))
    tables = [each.inputs.assign(label=each.labels.astype(int), score=each.scores) for each in (inside, outside)]
    leaked = pd.concat([tables[1].iloc[30:], tables[0].iloc[:24], tables[0].iloc[24:30].assign(age=tables[0]["age"].iloc[24:30] + 1e-6)])
    for name, table, in_sample in (("trained", tables[0], True), ("held", leaked, False)):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        store.register(
            RegistrationRequest(
                model="lent", version=name, reference=tmp_path / f"{name}.csv", task="binary", label="label", score=("score",),
                features=("age", "income", "debt"), artifact=artifact, in_sample=in_sample,
            )
        )  # fmt: skip
    asked: list[str] = []
    call = AuditSteps.call

    def counted(steps: AuditSteps, job: str, frames: Any, **arguments: Any) -> Any:
        asked.append(job.partition(":")[2])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return call(steps, job, frames, **arguments)

    monkeypatch.setattr(AuditSteps, "call", counted)
    with pytest.raises(KeyboardInterrupt):
        run_audit(store, worker, AuditRequest("lent", "held", "leakage"), lambda *_: None)
    record = run_audit(store, worker, AuditRequest("lent", "held", "leakage"), lambda *_: None)
    assert asked == ["label_known_alone", "label_known_by_model", "label_known_by_model", "training_rows_held_out"]
    results = record["results"]
    (overlap,) = results["overlaps"]
    assert (overlap["of"], overlap["training"]["are"]) == ("reference", "rows of the reference of version trained")
    by_chance = len(tables[1].iloc[30:][["age", "income", "debt"]].merge(inside.inputs.drop_duplicates(), how="inner"))
    assert overlap["exact"]["value"] == pytest.approx((24 + by_chance) / ROWS, abs=1e-6)
    assert 6 / ROWS <= overlap["near"]["value"] < 12 / ROWS and overlap["same_label"] >= 24
    assert results["further"]["training_overlap"]["at"] == "reference" and results["rows"]["served"] == 0
    assert audit_lines(record)[0].startswith("lent held, leakage: label leakage 0.")


def test_membership_is_unknown_without_known_training_rows(store: Store, worker: Worker) -> None:
    found = run_audit(store, worker, AuditRequest("loan", "1", "membership"), lambda *_: None)["results"]["headline"]
    assert found["value"] is None and found["why"].startswith("Cannot tell")


def test_an_interrupted_audit_continues_where_it_stopped(store: Store, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    request = AuditRequest("loan", "1", "robustness", rows=60, seed=5)
    monkeypatch.setattr(robustness_audit, "CHUNK", 30)
    asked: list[str] = []
    call = AuditSteps.call

    def counted(steps: AuditSteps, job: str, frames: Any, **arguments: Any) -> Any:
        asked.append(job)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return call(steps, job, frames, **arguments)

    monkeypatch.setattr(AuditSteps, "call", counted)
    with pytest.raises(KeyboardInterrupt):
        run_audit(store, worker, request, lambda *_: None)
    assert len(list((store.home / FOLDER).glob("*.json"))) == 1
    shares: list[float] = []
    run_audit(store, worker, request, lambda share, _: shares.append(share))
    assert asked == ["audit_robustness_job:attack_rows"] * 3 + ["audit_robustness_job:disturb_rows"]
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_due_form_audits_run_one_step_at_a_time_and_resume_after_an_interruption(
    store: Store, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name)
    options = partial(AuditOptions, seconds=0.01)
    monkeypatch.setattr(audit_of_forms, "AuditOptions", options)
    settings = store.catalog().model("loan").settings
    store.update_settings("loan", replace(settings, audit_schedule={"precision": "new version"}))
    asked: list[int] = []
    answered, stored = audit_of_forms.answered_forms, list[dict[str, Any]]()

    def counted(worker: Any, question: Any, progress: Any, place: int | None = None) -> dict[str, Any]:
        if place is None:  # the command asks for all forms in one call
            return answered(worker, question, progress)
        asked.append(place)
        if len(asked) == 3:
            raise AuditInterruptedError
        return answered(worker, question, progress, place)

    def run(store: Store, model: str, version: str, kind: str, progress: Any) -> None:
        stored.append(run_audit(store, worker, AuditRequest(model, version, kind, rows=150), progress))

    def look() -> str | None:
        return run_due_audit(store, datetime.now(UTC), threading.Event(), run, lambda _: True)

    monkeypatch.setattr(audit_of_forms, "answered_forms", counted)
    assert [look(), look(), look()] == ["interrupted", "done", None]
    assert asked == [0, 1, 2, *range(2, asked[-1] + 1)], "forms that were already measured are not measured again"
    (record,), model = stored, store.catalog().model("loan")
    version = model.version("1")
    assert version is not None and not list((store.home / FOLDER).glob("????????????????????????.json"))
    command = precision_audit(store, worker, model, version, options(probes=150, network=False), lambda *_: None)
    assert set(record["results"]) == {*command["results"], "seconds"} and set(record) == set(command)
    compared = [
        [(form["form"], form["parent"], form["flips"], form["probes"], form["slices"], set(form)) for form in each["results"]["forms"]]
        for each in (record, command)
    ]
    assert compared[0][: len(compared[1])] == compared[1] and {"as served", "network int8"} <= {form[0] for form in compared[0]}
    assert (record["results"]["missing"], record["results"]["in_use"]) == ([], "as served")
    assert audit_lines(record)[0] == f"loan version 1: {len(compared[0])} forms on 150 rows of its predictions."
    catalog, known = store.catalog(), store_audits(store, datetime.now(UTC))
    (planned,) = scheduled_audits(catalog, known)
    assert planned.last is not None and planned.last.kind == "precision" and planned.last.expires == planned.last.at + timedelta(days=30)
    (other,) = scheduled_audits(catalog, [replace(known[-1], results={"artifact": "artifacts/another"})])
    assert other.next == version.registered_at, "an audit of another model file says nothing about this file"
    store.update_settings("loan", settings)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "power"}, "unknown kind"),
        ({"version": "9"}, "unknown version"),
        ({"rows": 3}, "more rows"),
        ({"shadows": 5}, "pairs"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(store: Store, worker: Worker, given: dict[str, Any], words: str) -> None:
    body = {"model": "loan", "version": "1", "kind": "robustness", **given}
    with pytest.raises(UsageError, match=words):
        run_audit(store, worker, AuditRequest(**body), lambda *_: None)


def test_a_version_without_a_model_file_is_refused(store: Store, worker: Worker, tmp_path: Path) -> None:
    path = tmp_path / "served.jsonl"
    line = {
        "kind": "prediction",
        "id": "x",
        "at": START.isoformat(),
        "model": "loan",
        "version": "2",
        "features": {"age": 1.0},
        "score": 0.5,
    }
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    store.load_files([path], LoadDefaults())
    with pytest.raises(UsageError, match="no model file"):
        run_audit(store, worker, AuditRequest("loan", "2", "robustness"), lambda *_: None)


def test_planted_canaries_expose_a_model_that_remembers_them_and_not_a_regularised_one(
    store: Store, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda _: 3)
    done = execute(store, ["exports", "canaries", str(tmp_path / "canaries.jsonl"), "--model", "loan", "--count", "30"], lambda _: None)
    assert done.exit_code == 0, done.error
    features = ["age", "income", "debt"]
    model, first = store.catalog().model("loan"), store.catalog().model("loan").version("1")
    assert first is not None
    plain = audit_reference_rows(store, model, first, ROWS)
    planted = pd.read_json(tmp_path / "canaries.jsonl", lines=True, precise_float=True)
    assert list(planted) == [*features, "label"] and all(set(planted[name]) <= set(plain.inputs[name]) for name in features)
    rows, labels = pd.concat([plain.inputs, planted[features]], ignore_index=True), np.concatenate([plain.labels, planted["label"]])
    found = {}
    loose = {"num_leaves": 63, "min_data_in_leaf": 1, "learning_rate": 0.3}
    for name, params in (("overfitted", loose), ("strict", {"num_leaves": 3, "min_data_in_leaf": 60, "lambda_l2": 50.0})):
        data = lightgbm.Dataset(rows, labels, params={"min_data_in_bin": 1})
        given = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1, **params}
        lightgbm.train(given, data, num_boost_round=60).save_model(tmp_path / "m.txt")
        plain.inputs.assign(label=plain.labels, score=plain.scores).to_csv(tmp_path / "reference.csv", index=False)
        store.register(
            RegistrationRequest(
                model="loan", version=name, reference=tmp_path / "reference.csv", task="binary", label="label", score=("score",),
                features=tuple(features), artifact=tmp_path / "m.txt",
            )
        )  # fmt: skip
        results = run_audit(store, worker, AuditRequest("loan", name, "membership"), lambda *_: None)["results"]
        assert results["headline"]["value"] is None, "canaries need no known training rows"
        found[name] = results["canaries"]
        assert len(found[name]["by_canary"]) == 30 and found[name]["most_bits"] == pytest.approx(np.log2(2001), abs=1e-3)
    assert found["overfitted"]["mean_bits"] > found["strict"]["mean_bits"] + 0.7 and found["overfitted"]["p_value"] < 0.005
    assert found["strict"]["p_value"] > 0.1, found
    older = run_audit(store, worker, AuditRequest("loan", "1", "membership"), lambda *_: None)["results"]
    assert "canaries" not in older, "version 1 was registered before the canaries were drawn"
