"""The proof of a finding (an SQL query), run as `observability sql` runs it, gives the finding's value from raw rows."""

import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from observability.core.finding import Finding
from observability.core.window import Slice
from observability.monitoring import check
from observability.monitoring.kept_findings import check_keepers
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.replay import FaultScenario, replay_in_store
from observability.simulation.temporary_store import load_days, register_base, temporary_store
from observability.store.engine import Store
from observability.store.opener import open_store
from tests.support import engine_world
from tests.support.length import LONG, some
from tests.support.new_store import new_store
from tests.support.proving import coverage, differing, without_reason
from tests.support.sample_home import lent_checked
from tests.support.simulation_world import credit

BASE = credit(reference_rows=2000)
LAST_DAY = datetime(2014, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with lent_checked(tmp_path_factory, "proven") as home, open_store(home) as store:
        yield store


@pytest.fixture(scope="module")
def findings(fleet: Store) -> list[Finding]:
    now = datetime.now(UTC)
    with check_keepers(fleet, now) as keep:
        return list(check.check(fleet, now=now, keep=keep).findings)


def test_every_proof_of_the_sample_fleet_gives_the_value_of_its_finding(fleet: Store, findings: list[Finding]) -> None:
    print(coverage(findings))
    proven = [finding for finding in findings if finding.proof]
    assert len(proven) >= 440
    of_records = {
        "overfitting_gap",
        "device_crash_share",
        "answer_change_rate",
        "label_agreement",
        "suggestion_anchoring",
        "form_fallbacks",
        "dead_units",
        "over_reliance",
        "under_reliance",
    }
    assert {finding.metric for finding in proven} >= {"silence_hours", "rank_shift", "straggler_score", "rank_correlation", *of_records}
    assert differing(fleet, in_turn(proven)) == []


def in_turn(found: Iterable[Finding]) -> list[Finding]:
    """The findings that have a proof. In a short run, only the last finding of each metric of an analyzer, so that each kind of proof still
    runs.
    """
    proven = [finding for finding in found if finding.proof]
    return proven if LONG else list({(each.analyzer, each.metric): each for each in proven}.values())


def test_every_finding_without_a_proof_gives_a_reason(findings: list[Finding]) -> None:
    assert without_reason(findings) == []
    assert [finding.metric for finding in findings if finding.proof and (finding.value is None or finding.basis != "measured")] == []


@pytest.mark.parametrize(
    "asked",
    some(
        [
            {
                "model": "flights-late",
                "slice": Slice.parse("carrier=EV&origin=EWR"),
                "only": ("serving/performance", "data/quality", "serving/drift", "serving/latency"),
            },
            {
                "model": "flights-delay",
                "as_of": LAST_DAY - timedelta(days=2, hours=5),
                "only": ("serving/performance", "operations/cost", "serving/slices"),
            },
            {
                "model": "sentiment",
                "start": datetime(2014, 5, 20, 5, 30, tzinfo=UTC),
                "end": datetime(2014, 5, 23, 7, 45, tzinfo=UTC),
                "only": ("serving/performance", "serving/latency", "data/quality"),
            },
            {
                "model": "employment",
                "slice": Slice.parse("AGEP=35 to below 50"),
                "only": ("trust/fairness", "data/quality", "serving/performance"),
            },
        ],
        2,
    ),
    ids=some(["slice", "as-of", "cut-days", "band"], 2),
)
def test_proofs_hold_for_slices_parts_of_days_and_earlier_states(fleet: Store, asked: dict[str, Any]) -> None:
    found = check.check(fleet, with_records=False, **asked).findings
    assert sum(finding.proof is not None for finding in found) >= 5
    assert differing(fleet, in_turn(found)) == []


@pytest.mark.parametrize(("fault", "metric"), some([("threshold_changed", "threshold_shift"), ("late_arrivals", "late_rate")], 1))
def test_findings_about_some_days_are_proved_from_these_days(fault: str, metric: str) -> None:
    stream = CleanStream(BASE, seed=2, past=21, days=4, rows_a_day=250, label_delay=0)
    scenario = FaultScenario(stream, fault_targets(BASE, 2), FAULTS[fault], "middle" if metric == "threshold_shift" else "weak")
    with temporary_store(BASE) as store:
        *_, last = replay_in_store(store, scenario, lambda share, text: None)
        (found,) = (finding for finding in last.alarms if finding.metric == metric)
        assert found.proof and differing(store, [found]) == []


@pytest.fixture(scope="module")
def hard_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with engine_world.copied(tmp_path_factory.mktemp("proofs") / "home") as store:
        yield store


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({}, marks=pytest.mark.long),
        {"as_of": engine_world.START + timedelta(days=4, hours=3, minutes=11)},
        pytest.param({"model": "loan", "slice": Slice.parse("city=EWR")}, marks=pytest.mark.long),
        {"model": "loan", "slice": Slice.parse("sex=null")},
        pytest.param({"model": "loan", "slice": Slice.parse("vip=true")}, marks=pytest.mark.long),
    ],
    ids=["all", "as-of", "level", "null", "boolean"],
)
def test_proofs_hold_with_weights_infinities_and_odd_names(hard_world: Store, asked: dict[str, Any]) -> None:
    start, end = engine_world.START + timedelta(hours=7, minutes=20), engine_world.START + timedelta(days=engine_world.DAYS)
    found = check.check(hard_world, start=start, end=end, now=end, **asked).findings
    assert sum(finding.proof is not None for finding in found) >= 50
    assert differing(hard_world, in_turn(found)) == []
    assert without_reason(found) == []


def test_readings_of_devices_are_proved_from_the_records(hard_world: Store) -> None:
    end = engine_world.START + timedelta(days=engine_world.DAYS)
    readings = [
        {
            "kind": "resource",
            "at": end - timedelta(minutes=5 * place),
            "device": "cuda:0",
            "utilisation": place % 9 / 10,
            "temperature_c": 60 + place % 31,
        }
        | ({"model": "loan"} if place % 3 else {"run": "fit", "host": "a on b"})
        for place in range(1, 240)
    ]
    hard_world.write_records([*readings, {"kind": "run", "run": "fit", "at": end - timedelta(days=9), "event": "start", "model": "loan"}])
    found = check.check(hard_world, model="loan", start=end - timedelta(days=7), end=end, now=end, only=("operations/energy",)).findings
    proven = [finding for finding in found if finding.metric in ("utilisation", "temperature_c")]
    assert {finding.subject for finding in proven if finding.proof} == {"device=cuda:0", "device=cuda:0 on a on b"}
    assert differing(hard_world, proven) == []


def test_energy_and_carbon_of_readings_and_prices_are_proved_from_the_records(hard_world: Store) -> None:
    """Readings of a run and of the service, with gaps and overlaps; factors of the building, the grid and the hardware that change over
    time.
    """
    start, end = engine_world.START, engine_world.START + timedelta(days=engine_world.DAYS)
    ended = end - timedelta(hours=5)
    readings: list[dict[str, Any]] = []
    for place in range(180):
        at = ended - timedelta(seconds=47 * place)
        readings.append({"at": at, "device": "cuda:1", "host": "h", "run": "train", "watts": 200 + place % 17, "model": "loan"})
        if place % 3 == 0:  # the run also measured the same device, in longer pieces
            readings.append(
                {"at": at, "device": "cuda:1", "host": "h", "run": "train", "utilisation": 0.5, "energy_j": 9000.0, "seconds": 60.0}
            )
        if place % 60 == 0:
            readings.append({"at": at - timedelta(hours=3), "device": "cpu", "run": "train", "watts": 50.0, "seconds": 30.0})
    for place in range(300):
        readings.append(
            {"at": end - timedelta(minutes=11 * place), "device": "cuda:2", "host": "s", "model": "loan", "watts": 90.0 + place % 7}
        )
    prices = [
        {"from": start - timedelta(days=9), "resource": "kwh", "amount": 0.3, "currency": "EUR", "carbon_g_per_kwh": 380.0, "pue": 1.2},
        {"from": end - timedelta(days=2), "resource": "kwh", "amount": 0.3, "currency": "EUR", "carbon_g_per_kwh": 90.0, "pue": 1.1},
        {"from": start, "resource": "request", "amount": 1e-4, "currency": "EUR", "embodied_g": 0.02},
        {"from": start, "resource": "cpu_hour", "amount": 0.05, "currency": "EUR", "embodied_g": 3.0},
    ]
    runs = [
        {"run": "train", "model": "loan", "event": "start", "at": ended - timedelta(hours=4)},
        {"run": "train", "model": "loan", "event": "end", "at": ended, "status": "finished"},
    ]
    hard_world.write_records([{"kind": "price", **each} for each in prices])

    def asked() -> dict[str, Finding]:
        made = check.check(hard_world, model="loan", start=end - timedelta(days=4), end=end, now=end, only=("operations/energy",)).findings
        assert differing(hard_world, made) == []
        return {finding.metric: finding for finding in made if finding.proof}

    carried = asked()
    assert {"energy_per_thousand", "sci"} <= set(carried), "predictions have their own energy, and no device of the service is read"
    hard_world.write_records([{"kind": "run", **each} for each in runs] + [{"kind": "resource", **each} for each in readings])
    assert {"run_energy", "idle_share"} <= set(asked())


def test_a_rank_slow_in_communication_and_a_plateau_are_proved_from_the_steps(tmp_path: Path) -> None:
    rng, start = np.random.default_rng(3), datetime(2026, 3, 2, tzinfo=UTC)
    steps = []
    for step in range(1, 61):
        work = rng.normal(60, 2, 4)
        for rank in range(4):
            wait = float(work.max() - work[rank])
            phases = {"compute": float(work[rank]), "communication": wait + (90.0 if rank == 2 else 30.0) + rng.random()}
            loss = 1.0 - min(step, 20) / 25 + rng.normal(0, 0.001)
            at = start + timedelta(seconds=10 * step)
            steps.append({"run": "a/b~c", "at": at, "step": step, "rank": rank, "metrics": {"val_loss": loss}, "phase_ms": phases})
    runs = [
        {"run": "a/b~c", "model": "m", "event": "start", "at": start},
        {"run": "a/b~c", "model": "m", "event": "end", "at": start + timedelta(seconds=620), "status": "finished"},
    ]
    end = start + timedelta(days=1)
    with new_store(tmp_path / "home") as store:
        store.write_records([{"kind": "run", **each} for each in runs] + [{"kind": "step", **each} for each in steps])
        found = check.check(store, start=start, end=end, now=end, only=("training/runs",)).findings
        proven = {finding.metric: finding for finding in found if finding.proof}
        assert {"straggler_score", "plateau_share"} <= set(proven)
        assert proven["straggler_score"].evidence["phase"] == "communication" and proven["straggler_score"].value < 0.75
        assert differing(store, found) == [] and without_reason(found) == []


LAB = CleanStream(BASE, seed=1, past=21, days=1, rows_a_day=250, label_delay=0)


@pytest.fixture(scope="module")
def clean_past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed home with the model of the scenario lab and its three clean weeks."""
    home = tmp_path_factory.mktemp("lab") / "home"
    with open_store(home) as store:
        register_base(store, BASE)
        assert load_days(store, BASE, [LAB.day(number) for number in range(LAB.past)]).rejected == 0
    return home


PLANTED = ["null_surge", "outage", "slow_replica"]
if LONG:
    PLANTED += [
        "unseen_category",
        "worse_scores",
        "wrong_type",
        "unit_change",
        "resends",
        "volume_drop",
        "miscalibration",
        "selection_gap",
        "errors_everywhere",
        "energy_change",
        "cost_change",
    ]


@pytest.mark.parametrize("fault", some(PLANTED, 1))
def test_every_proof_of_a_planted_fault_gives_the_value_of_its_finding(clean_past: Path, tmp_path: Path, fault: str) -> None:
    scenario = FaultScenario(LAB, fault_targets(BASE, 1), FAULTS[fault], "middle" if fault == "outage" else "strong")
    shutil.copytree(clean_past, tmp_path / "home")
    with new_store(tmp_path / "home") as store:
        assert load_days(store, BASE, [scenario.planted(LAB.past, LAB.day(LAB.past))]).rejected == 0
        end = LAB.onset + timedelta(days=1)
        found = check.check(store, start=end - timedelta(days=7), end=end, as_of=end, now=end, with_records=False).findings
        print(coverage(found))
        assert any(finding.proof and finding.needs_action for finding in found)
        assert differing(store, in_turn(found)) == []
        assert without_reason(found) == []
