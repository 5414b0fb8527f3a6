"""Triage ranks the planted fault first. The log is simulated, and clean except for whole days with known faults
(tests/support/simulation_world.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from observability.investigation.case import open_case
from observability.simulation import temporary_store
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault import FaultPlant
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import find_fault
from observability.simulation.log_rows import LogRows
from observability.store.db.database import Database
from tests.support.length import repeats
from tests.support.simulation_world import credit

CLEAN_DAYS, A_DAY, EACH = 14, 500, repeats(2, 3)
SEED = 23
"""The weights were tuned only on seed 11."""
DAYS = {
    "wrong_type": 1,
    "null_surge": 1,
    "unseen_category": 1,
    "outliers": 1,
    "errors_everywhere": 1,
    "label_noise": 1,
    "concept_drift_in_slice": 6,
}
"""Number of days of each fault; the faults are planted one after the other."""
SOURCE = {
    "wrong_type": "input",
    "null_surge": "input",
    "unseen_category": "input",
    "outliers": "input",
    "errors_everywhere": "degraded_path",
    "label_noise": "label",
    "concept_drift_in_slice": "weak_slice",
}


@dataclass(frozen=True)
class Planted:
    """The store, and for each fault the ids of errors in the rows that it changed."""

    store: Database
    touched: dict[str, list[str]]


@pytest.fixture(scope="module")
def planted() -> Iterator[Planted]:
    """The store with fourteen clean days, followed by the faults."""
    base = credit(reference_rows=4_000)
    stream = CleanStream(base, seed=SEED, past=CLEAN_DAYS, days=sum(DAYS.values()), rows_a_day=A_DAY)
    scene = replace(fault_targets(base, 3), number="feature.debt", category="feature.channel", slice=("feature.region", "south"))
    days = [stream.day(number) for number in range(CLEAN_DAYS)]
    touched: dict[str, list[str]] = {}
    number = CLEAN_DAYS
    for name, length in DAYS.items():
        each, found = find_fault(name), []
        for day in range(length):
            clean = stream.day(number)
            after = each.planted(clean, FaultPlant(scene, each.amount("strong"), day, np.random.default_rng([SEED, number])))
            found += errors(clean, after, name, scene.slice)
            days.append(after)
            number += 1
        touched[name] = found[:EACH]
    with temporary_store.temporary_store(base) as store:
        report = temporary_store.load_days(store, base, days)
        assert report.rejected == 0, report.reasons
        yield Planted(store, touched)


def errors(clean: LogRows, after: LogRows, name: str, slice_: object) -> list[str]:
    """Ids of rows that the fault changed and that are now errors, computed from the raw rows. For wrong labels, only rows whose label was
    certain before.
    """
    score, label = after["score"], after["label"]
    wrong = (score >= 0.5) != (label == 1)
    changed = np.zeros(len(after), bool)
    for column, values in after.columns.items():
        old = clean[column] if column in clean else np.zeros(len(after), values.dtype)
        changed |= ~((values == old) | ((values != values) & (old != old))).astype(bool)
    if name == "errors_everywhere":
        wrong, changed = np.ones(len(after), bool), after["status"] != "ok"
    if name == "label_noise":
        wrong &= np.abs(score - 0.5) > 0.4
    if name == "concept_drift_in_slice":
        changed &= after["feature.region"] == "south"
    return [str(each) for each in after["id"][wrong & changed]]


@pytest.mark.long  # tests/investigation/test_planted_sources.py, test_parts.py
def test_planted_sources_mostly_come_first_or_the_triage_answers_unknown(planted: Planted) -> None:
    """Without a model file no repair can be tried, so some planted input faults cannot be distinguished from other sources."""
    missed = []
    n = 0
    for name, ids in planted.touched.items():
        assert len(ids) == EACH, (name, ids)
        for own in ids:
            ranked = open_case(planted.store, own).part("triage")
            n += 1
            if ranked[0].source != SOURCE[name]:
                missed.append((name, own, [(one.source, one.score) for one in ranked]))
    assert n == EACH * len(SOURCE)
    assert len(missed) <= 0.25 * n, missed
    assert sum(ranked[0][0] != "unknown" for _, _, ranked in missed) <= 0.1 * n, missed
