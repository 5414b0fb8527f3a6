"""The proof of a finding, run as `observability sql` runs it, gives the finding's value from raw rows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from observability.core.finding import Finding
from observability.core.window import Slice
from observability.monitoring import check
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.replay import FaultScenario, replay_in_store
from observability.simulation.temporary_store import temporary_store
from observability.store.engine import Store
from observability.store.opener import open_store
from tests.support import engine_world
from tests.support.proving import coverage, differing, without_reason
from tests.support.simulation_world import credit

BASE = credit(reference_rows=2000)
LAST_DAY = datetime(2014, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def fleet(stored_fleet: Path) -> Iterator[Store]:
    with open_store(stored_fleet) as store:
        yield store


@pytest.fixture(scope="module")
def findings(fleet: Store) -> list[Finding]:
    return list(check.check(fleet).findings)


def test_every_proof_of_the_sample_fleet_gives_the_finding_s_value(fleet: Store, findings: list[Finding]) -> None:
    print(coverage(findings))
    proven = [finding for finding in findings if finding.proof]
    assert len(proven) >= 300
    assert differing(fleet, proven) == []


def test_what_has_no_proof_says_why(findings: list[Finding]) -> None:
    assert without_reason(findings) == []
    assert [finding.metric for finding in findings if finding.proof and (finding.value is None or finding.basis != "measured")] == []


@pytest.mark.parametrize(
    "asked",
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
    ids=["slice", "as-of", "cut-days", "band"],
)
def test_proofs_hold_for_slices_parts_of_days_and_earlier_states(fleet: Store, asked: dict[str, Any]) -> None:
    found = check.check(fleet, with_records=False, **asked).findings
    assert sum(finding.proof is not None for finding in found) >= 5
    assert differing(fleet, found) == []


@pytest.mark.parametrize(("fault", "metric"), [("threshold_changed", "threshold_shift"), ("late_arrivals", "late_rate")])
def test_what_some_days_show_is_proved_from_them(fault: str, metric: str) -> None:
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
        {},
        {"as_of": engine_world.START + timedelta(days=4, hours=3, minutes=11)},
        {"model": "loan", "slice": Slice.parse("city=EWR")},
        {"model": "loan", "slice": Slice.parse("sex=null")},
        {"model": "loan", "slice": Slice.parse("vip=true")},
    ],
    ids=["all", "as-of", "level", "null", "boolean"],
)
def test_proofs_hold_with_weights_infinities_and_odd_names(hard_world: Store, asked: dict[str, Any]) -> None:
    start, end = engine_world.START + timedelta(hours=7, minutes=20), engine_world.START + timedelta(days=engine_world.DAYS)
    found = check.check(hard_world, start=start, end=end, now=end, **asked).findings
    assert sum(finding.proof is not None for finding in found) >= 50
    assert differing(hard_world, found) == []
    assert without_reason(found) == []


@pytest.mark.parametrize(
    ("fault", "delay"),
    [
        ("null_surge", 0),
        ("wrong_type", 0),
        ("unseen_category", 0),
        ("worse_version", 7),
        ("slow_replica", 0),
        ("selection_gap", 0),
        ("cost_change", 0),
    ],
)
def test_every_proof_of_a_planted_fault_gives_the_finding_s_value(fault: str, delay: int) -> None:
    stream = CleanStream(BASE, seed=1, past=21, days=1, rows_a_day=250, label_delay=delay)
    scenario = FaultScenario(stream, fault_targets(BASE, 1), FAULTS[fault], "strong")
    with temporary_store(BASE) as store:
        (last,) = replay_in_store(store, scenario, lambda share, text: None)
        print(coverage(last.findings))
        assert sum(finding.proof is not None for finding in last.alarms) > 0
        assert differing(store, last.findings) == []
        assert without_reason(last.findings) == []
