"""Proofs of findings about records: batches of predictions, devices that serve, answers of vendors, audits, labels, datasets and the cost
of a month.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from observability.analyzers.training import runs
from observability.core.finding import Finding
from observability.monitoring import check
from observability.store.engine import Store
from observability.store.types.registration import RegistrationRequest
from tests.support import device_fleet, edge_reports, live_world
from tests.support.device_fleet import device_batches
from tests.support.new_store import new_store
from tests.support.proving import coverage, differing, without_reason

RECORDS = (
    "serving/edge_fleet",
    "serving/vendors",
    "operations/trade_offs",
    "operations/controllers",
    "operations/cost",
    "trust/audits",
    "trust/exports",
    "data/labels",
    "data/labelling",
    "data/datasets",
    "data/storage",
    "training/runs",
    "training/studies",
)
CONTROLLER_FIGURES = ("regret", "tail_ratio", "guardrail_rate", "off_share", "bias", "coverage")
STORAGE_FIGURES = (
    "growth", "used_share", "retention_overdue_days", "duplicate_share", "cold_share", "small_file_share", "error_rate", "read_p99_ms",
    "write_p99_ms", "corrupt_rate", "backup_age_hours", "restore_age_days", "behind_hours", "silence_hours",
)  # fmt: skip
NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def live_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(live_world.build(tmp_path_factory.mktemp("live"))) as store:
        yield store


@pytest.mark.parametrize(
    ("model", "early"), [(None, timedelta()), ("live", timedelta(days=1, hours=7, minutes=3))], ids=["all-models", "earlier-state"]
)
def test_every_proof_over_the_records_of_a_live_model_gives_the_value_of_its_finding(
    live_store: Store, model: str | None, early: timedelta
) -> None:
    end = live_world.END
    asked: dict[str, Any] = {"start": live_world.START, "end": end, "now": end, "as_of": live_world.AS_OF - early, "only": RECORDS}
    found = check.check(live_store, model=model, **asked).findings
    print(coverage(found))
    assert differing(live_store, found) == [] and without_reason(found) == []
    proven = {(each.analyzer, each.metric) for each in found if each.proof}
    assert proven >= {
        ("serving/edge_fleet", "device_crash_share"),
        ("serving/edge_fleet", "device_stale_share"),
        ("serving/vendors", "answer_change_rate"),
        ("serving/vendors", "answer_flip_rate"),
        ("trust/audits", "robust_accuracy"),
        ("operations/trade_offs", "form_flip_rate"),
        ("trust/exports", "export_k"),
        *(("training/studies", f"augmentation_{name}") for name in ("gain", "slice_gain", "label_changes", "affinity", "diversity")),
        *(("operations/controllers", f"controller_{name}") for name in CONTROLLER_FIGURES if model is None),
        ("data/labels", "label_agreement"),
        ("data/labels", "annotator_agreement"),
        ("data/labels", "label_conflicts"),
        ("data/labels", "queue_days"),
        ("data/labels", "label_price"),
        ("data/labelling", "gold_accuracy"),
        ("data/labelling", "suggestion_acceptance"),
        ("data/labelling", "label_seconds"),
        ("data/datasets", "dataset_contents"),
        *(("data/storage", f"stored_{name}") for name in ("flip_rate", "slice_gap", "values_lost", "bytes_saved", "form_undecided")),
        *(("data/storage", f"stored_{name}") for name in ("psnr", "ssim") if model is None),
        *(("data/storage", f"storage_{name}") for name in STORAGE_FIGURES if model is None),
        *([] if early else [("training/runs", "non_finite_steps"), ("training/runs", "failed_runs")]),
    }


def nightly_batches() -> list[dict[str, Any]]:
    """Nights of 120 rows without faults, then one night for each fault: missing keys, a key twice, late, one score for many, a shift in one
    region, fewer rows, and a shift of the rows that are `vip`.
    """
    rng, lines = np.random.default_rng(5), []
    faults = [""] * 7 + ["missing", "twice", "late", "default", "shift", "rows", "vip"]
    for night, fault in enumerate(faults):
        at, name = NIGHT + timedelta(days=night), f"night-{night}"
        came = at + timedelta(hours=5 if fault == "late" else 0)
        keys = [f"c{place}" for place in range(240)]
        expected: dict[str, Any] = {"rows": 300} if fault == "rows" else {"keys": keys}
        due = at + timedelta(hours=2)
        lines.append({"kind": "expected_batch", "batch": name, "model": "churn", "at": at, "received_at": at, "due": due, **expected})
        delivered = keys[:200] if fault == "missing" else [*keys, *keys[:30]] if fault == "twice" else keys
        for place, key in enumerate(delivered):
            score, region, vip = round(float(rng.beta(4, 6)), 3), "NS"[place % 2], place % 4 < 2
            score = (
                0.5
                if fault == "default" and place % 3 == 0
                else min(score + 0.3, 1.0)
                if (fault, True) in (("shift", region == "N"), ("vip", vip))
                else score
            )
            body = {"kind": "prediction", "id": f"{name}-{place}", "model": "churn", "version": "1", "at": at, "received_at": came}
            lines.append({**body, "features": {"region": region, "vip": vip}, "subject": key, "batch": name, "score": score})
    return lines


def test_each_check_of_a_batch_is_proved_from_its_rows(tmp_path: Path) -> None:
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records(nightly_batches())
        settings = store.catalog().model("churn").settings
        store.update_settings("churn", replace(settings, batch_key="subject", slices=("region=N", "vip=true")))
        end = NIGHT + timedelta(days=14)
        asked: dict[str, Any] = {
            "model": "churn",
            "start": end - timedelta(days=9),
            "end": end,
            "now": end,
            "only": ("serving/batch_gate",),
        }
        found = check.check(store, **asked).findings
        assert differing(store, found) == [] and without_reason(found) == []
        proven = {(each.metric, each.evidence["batch"], each.slice) for each in found if each.proof and each.needs_action}
        assert proven >= {
            ("missing_key_rate", "night-7", None),
            ("duplicate_key_rate", "night-8", None),
            ("batch_late_hours", "night-9", None),
            ("batch_default_rate", "night-10", None),
            ("batch_score_drift", "night-11", "region=N"),
            ("missing_key_rate", "night-12", None),
            ("batch_score_drift", "night-13", "vip=true"),
        }


def test_devices_that_deliver_worse_than_others_are_proved_from_their_batches(tmp_path: Path) -> None:
    rng, lines = np.random.default_rng(4), []
    for each in device_batches(rng, fleet=7, before=10):
        record = {"kind": "batch", "received_at": each["at"], **{name: value for name, value in each.items() if name != "stats"}}
        record |= {"rejected_rows": each["rows"] // 3} if each["device"] == "d1" else {}
        late = each["device"] == "d2" and each["at"].weekday() < 3
        record |= {"captured_to": each["at"] - timedelta(hours=5)} if late else {}
        lines.append({name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for name, value in record.items()})
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records(lines)
        start, end = (moment.replace(tzinfo=UTC) for moment in (device_fleet.START, device_fleet.END))
        found = check.check(store, model=None, start=start, end=end, now=end, only=("data/batches",)).findings
        assert differing(store, found) == [] and without_reason(found) == []
        proven = {(each.subject, each.metric) for each in found if each.proof and each.against == "peers"}
        assert proven == {("source:greenhouse/device:d1", "batch_rejected_rate"), ("source:greenhouse/device:d2", "batch_delay_p95_hours")}


def test_a_ring_that_should_stop_is_proved_from_its_reports(tmp_path: Path) -> None:
    rows = edge_reports.rolled_out_reports(edge_reports.device_reports(np.random.default_rng(3), fleet=80, before=3), days=4, crashes=0.5)
    rows[5]["crashes"] = None
    lines = [
        {"kind": "device_report", "received_at": each["synced_at"].replace(tzinfo=UTC)}
        | {name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for name, value in each.items()}
        for each in rows
    ]
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records(lines)
        start, end = (moment.replace(tzinfo=UTC) for moment in (edge_reports.START, edge_reports.END))
        found = check.check(store, model=None, start=start, end=end, now=end, only=("serving/edge_fleet",)).findings
        assert differing(store, found) == [] and without_reason(found) == []
        proven = {each.metric: each.subject for each in found if each.proof}
        assert proven["ring_crash_gap"] == "version=7/ring=ring 2" and "device_latency_ratio" in proven


def test_a_mean_that_moved_and_a_changed_correlation_are_proved_from_the_rows(tmp_path: Path) -> None:
    """`x` shifts by less than the limit of the PSI, and `y` and `z` are no longer correlated. Rows have different weights."""
    rng = np.random.default_rng(8)

    def people(size: int, linked: float, shift: float) -> np.ndarray:
        x, y, noise = rng.normal(shift, 1, size), rng.normal(0, 1, size), rng.normal(0, 1, size)
        return np.column_stack([x, y, (linked * y + noise) / np.hypot(linked, 1)]).round(3)

    reference = tmp_path / "reference.csv"
    rows = [f"{a},{b},{c},{rng.random():.3f},{int(rng.random() < 0.5)}" for a, b, c in people(3000, 1.0, 0.0).tolist()]
    reference.write_text("x,y,z,score,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    features, lines = ("x", "y", "z"), []
    for day in range(28):
        late = day >= 21
        for place, values in enumerate(people(350, 0.3 if late else 1.0, 0.28 if late else 0.0).tolist()):
            at = NIGHT + timedelta(days=day, minutes=2 * place)
            body = {"kind": "prediction", "id": f"{day}-{place}", "model": "m", "version": "1", "at": at, "received_at": at}
            lines.append(
                {**body, "features": dict(zip(features, values, strict=True)), "score": 0.5 + place % 50 / 100, "weight": 1.0 + place % 2}
            )
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.register(
            RegistrationRequest(
                model="m", version="1", reference=reference, task="binary", label="label", score=("score",), features=features
            )
        )
        store.write_records(lines)
        end = (NIGHT + timedelta(days=28)).replace(hour=0)
        only = ("serving/drift", "serving/multivariate_drift")
        found = check.check(store, model="m", start=end - timedelta(days=7), end=end, now=end, only=only).findings
        assert differing(store, found) == [] and without_reason(found) == []
        proven = {each.metric: each for each in found if each.proof}
        assert proven["mean_shift"].subject == "x" and proven["mean_shift"].needs_action
        assert proven["rank_correlation"].evidence["features"] == ["y", "z"]


def proved_of_records(folder: Path, lines: list[dict[str, Any]], *analyzers: str) -> tuple[Finding, ...]:
    """The findings about the week that ends a day after NIGHT, from a new store with these records. It is checked that each proof gives its
    finding's value.
    """
    with closing(new_store(folder / "home", threads=1)) as store:
        store.write_records(lines)
        end = NIGHT + timedelta(days=1)
        found = check.check(store, start=end - timedelta(days=7), end=end, now=end, only=analyzers).findings
        assert differing(store, found) == [] and without_reason(found) == []
    return found


def test_each_figure_of_an_audit_of_data_is_proved_from_its_record(tmp_path: Path) -> None:
    rules = {"exact duplicates": 90, "conflicting labels": 40, "suspect labels": 30}
    held = {"rows": 400, "in_training": 60, "same_label": 55, "low": 0.1, "high": 0.2, "chance": 0.0}
    effect = {"suspect labels": {"metric": "roc_auc", "before": 0.8, "after": 0.83, "low": 0.01, "high": 0.05}}
    audit = {"rows": 1000, "chance": 0.01, "rules": rules, "held_out": held, "effects": effect, "model_rows": 800}
    audit |= {"columns_alone": {"age": [0.2, 0.1, 0.3], "out/come": [0.99, 0.985, 0.995]}}
    line = {"kind": "dataset", "dataset": "people", "version": "3", "at": NIGHT.isoformat(), "rows": 1000, "data_audit": audit}
    found = proved_of_records(tmp_path, [line], "data/cleaning")
    assert {(each.metric, each.severity, each.news) for each in found if each.proof} == {
        ("audited_overlap", "act", "new"),
        ("audited_leak", "act", "new"),
        ("audited_conflicts", "watch", "new"),
        ("audited_duplicates", "watch", "new"),
        ("audited_suspects", "watch", "new"),
    }


def test_the_heat_the_idleness_and_the_power_of_a_device_are_proved_from_the_readings_of_its_run(tmp_path: Path) -> None:
    """Readings of another device, of another host and after the window do not count. Regression: only one of two hot devices was
    reported.
    """
    steps = [NIGHT + timedelta(minutes=place) for place in range(61)]
    run = [{"kind": "run", "run": "fit", "at": steps[0], "event": "start"}]

    def read(device: str, host: str | None, place: int, **figures: float | None) -> dict[str, Any]:
        return {"kind": "resource", "run": "fit", "at": steps[place], "device": device, "host": host, **figures}

    hot = [read("gpu0", "a", place, temperature_c=88 + place % 9, watts=300 - 3 * place, utilisation=0.9) for place in range(60)]
    idle = [read("gpu0", "b", place, temperature_c=40, utilisation=place % 3 / 20) for place in range(50)]
    unread = [read("gpu1", None, place, memory_gb=2.0, temperature_c=None if place % 2 else 91.5 + place / 10) for place in range(60)]
    late = [read("gpu0", "a", 60, temperature_c=300, watts=9000, utilisation=1.0)]
    with new_store(tmp_path / "home") as store:
        store.write_records([*run, *hot, *idle, *unread, *late])
        end = steps[-1]
        found = check.check(store, start=NIGHT, end=end, now=end, only=("training/runs",)).findings
        proven = {(each.evidence["device"], each.metric) for each in found if each.proof and "device" in each.evidence}
        assert proven >= {
            ("gpu0 on host a", "device_temperature"),
            ("gpu0 on host a", "device_power_drop"),
            ("gpu0 on host b", "device_idle_share"),
            ("gpu1", "device_temperature"),
        }
        assert differing(store, found) == [] and without_reason(found) == []


def test_spikes_jumps_of_the_rate_and_personal_columns_that_left_are_counted_from_the_records(tmp_path: Path) -> None:
    """Two ranks, whose median counts; a metric that should be high falls; columns with and without their own transform."""
    rng = np.random.default_rng(4)
    lines: list[dict[str, Any]] = [{"kind": "run", "run": "fit", "at": NIGHT, "event": "start"}]
    for step in range(120):
        hurt = 40 <= step < 44
        for rank in (0, 1):
            metrics = {
                "train_loss": 1.0 / (1 + step / 20) + 0.004 * rng.normal() + 1.5 * hurt,
                "learning_rate": 0.01 * (20 if step >= 90 else 1),
            }
            metrics["val_accuracy"] = 0.9 - 0.4 / (1 + step / 20) + 0.002 * rng.normal() - 0.5 * (60 <= step < 63)
            lines.append(
                {"kind": "step", "run": "fit", "at": NIGHT + timedelta(minutes=step), "step": step, "rank": rank, "metrics": metrics}
            )
    lines.append({"kind": "run", "run": "fit", "at": NIGHT + timedelta(hours=2), "event": "end", "status": "finished"})
    tags = {"name": {"tag": "personal"}, "a/ge": {"tag": "sensitive", "transform": "binned"}, "km": {"tag": "none"}}
    left = {"kind": "event", "what": "export", "text": "extract", "at": NIGHT, "columns": tags}
    lines += [
        left | {"recipient": "bare", "dataset": "people"},
        left | {"recipient": "hashed", "dataset": "people", "transform": "hashed"},
        left | {"recipient": "founded", "legal_basis": "contract"},
    ]
    found = proved_of_records(tmp_path, lines, "training/runs", "trust/exports")
    proven = {(each.metric, each.subject): each for each in found if each.proof}
    assert {metric for metric, _ in proven} >= {"metric_spike", "learning_rate_jump", "export_personal_columns"}
    assert proven["learning_rate_jump", "run:fit"].value == pytest.approx(20)
    values = {subject: each.value for (metric, subject), each in proven.items() if metric == "export_personal_columns"}
    assert values == {"recipient:bare/dataset:people": 1, "recipient:hashed/dataset:people": 2, "recipient:founded": 0}


def test_exports_without_a_recipient_or_with_tags_from_settings_or_product_are_proved(tmp_path: Path) -> None:
    """Regression: the proof read only the tags of the export, no export without a recipient, and also the exports of the product itself."""
    left = {"kind": "event", "what": "export", "text": "extract", "at": NIGHT}
    tagged = {"name": {"tag": "personal"}}
    untagged: dict[str, Any] = {"age": {}, "o'clock": {"tag": None}, "km": {"tag": "none"}, "open": {"tag": "none"}}
    both = {"name": {"tag": "personal"}, "age": {"tag": "sensitive"}}
    lines: list[dict[str, Any]] = [
        {"kind": "prediction", "id": model, "at": NIGHT, "model": model, "version": "1", "features": {"age": 1.0}, "score": 0.5}
        for model in ("churn", "loan")
    ]
    lines += [
        left | {"recipient": "set", "model": "churn", "columns": untagged},
        left | {"recipient": "several", "model": "churn", "columns": untagged},
        left | {"recipient": "several", "model": "loan", "columns": {"km": {}, "age": {}}},
        left | {"columns": tagged, "k": 3},
        left | {"recipient": "partner", "columns": tagged, "k": 4},
        left | {"recipient": "partner", "columns": both, "k": 2, "source": "dashboard"},
    ]
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records(lines)
        for model, tags in (("churn", {"age": "personal", "o'clock": "sensitive", "open": "personal"}), ("loan", {"km": "personal"})):
            store.update_settings(model, replace(store.catalog().model(model).settings, column_tags=tags))
        end = NIGHT + timedelta(days=1)
        found = check.check(store, start=end - timedelta(days=7), end=end, now=end, only=("trust/exports",)).findings
        assert differing(store, found) == [] and without_reason(found) == []
    values = {(each.metric, each.subject): each.value for each in found if each.proof}
    assert values == {
        ("export_personal_columns", "recipient:set"): 2,
        ("export_personal_columns", "recipient:several"): 3,
        ("export_personal_columns", "recipient:not named"): 1,
        ("export_personal_columns", "recipient:partner"): 1,
        ("export_k", "recipient:not named"): 3,
        ("export_k", "recipient:partner"): 4,
    }


@pytest.mark.parametrize("name", ["validation_loss", "val_accuracy"])
def test_pruned_trials_that_led_are_counted_from_the_steps(tmp_path: Path, name: str) -> None:
    """Six of 24 pruned trials lead at the step where they end; which trial leads depends on the direction of the metric."""
    rng, lines = np.random.default_rng(7), list[dict[str, Any]]()
    for trial in range(48):
        pruned, start = trial % 2 == 1, NIGHT + timedelta(minutes=trial)
        level = rng.normal(1.0, 0.05) + (0.4 if pruned else 0.0) - (0.9 if pruned and trial < 12 else 0.0)
        about = {"kind": "run", "run": f"t{trial}", "study": "search"}
        lines.append(about | {"at": start, "event": "start", "params": {"depth": trial}})
        steps = 10 + trial % 5 if pruned else 30
        for step in range(steps):
            cost = level + 2 / (1 + step) + 0.001 * rng.normal()
            value = cost if name == "validation_loss" else 0.99 - cost / 5
            at = start + timedelta(seconds=step)
            lines.append({"kind": "step", "run": f"t{trial}", "at": at, "step": step, "metrics": {name: value}})
        status = "pruned" if pruned else "finished"
        lines.append(about | {"at": start + timedelta(seconds=40), "event": "end", "status": status})
    found = proved_of_records(tmp_path, lines, "training/runs")
    (led,) = [each for each in found if each.metric == "study_pruned_share"]
    assert led.proof and led.value == 6 / 24 and led.n == 24


@pytest.mark.parametrize(("rows", "stride"), [(13_000, 2), (500, 0)], ids=["thinned", "unread"])
def test_pruned_trials_of_a_study_without_all_steps_have_no_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, stride: int
) -> None:
    """Regression: the finding compared the trials at the steps that were read, but the proof at all steps. The first trial is short."""
    monkeypatch.setattr(runs, "MAX_STEPS", rows)
    rng, lines = np.random.default_rng(7), list[dict[str, Any]]()
    scale = 1 if stride else 20
    for trial in range(48):
        pruned, start = trial % 2 == 0, NIGHT + timedelta(minutes=trial)
        about = {"kind": "run", "run": f"t{trial}", "study": "search"}
        lines.append(about | {"at": start, "event": "start", "params": {"depth": trial}})
        steps = (251 + trial if pruned else 520) // scale
        curve = rng.normal(1.0, 0.05) + 2 / (1 + np.arange(steps)) + 0.5 * rng.normal(size=steps)
        lines += [
            {
                "kind": "step",
                "run": f"t{trial}",
                "at": start + timedelta(milliseconds=50 * step),
                "step": step,
                "metrics": {"val_loss": value},
            }
            for step, value in enumerate(curve.tolist())
        ]
        lines.append(about | {"at": start + timedelta(seconds=40), "event": "end", "status": "pruned" if pruned else "finished"})
    found = proved_of_records(tmp_path, lines, "training/runs")
    (led,) = [each for each in found if each.metric == "study_pruned_share"]
    assert led.value is not None and led.proof is None and led.evidence["stride"] == stride
    assert runs.ANALYZER.why_no_proof(led) == "runs of the study are long, and not every step of them was read"
