"""Triage ranks three planted sources first that are not faults of a feed: a score at the boundary, inputs far from the reference, and a
worse version. A version that is right only by chance is not named. The logs are simulated (tests/support/simulation_world.py).
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from observability.investigation.case import open_case
from observability.simulation import temporary_store
from observability.simulation.clean_log import NEXT, VERSION, CleanStream, SimulationBase, inverse_link_score, link_score
from observability.simulation.fault import FaultPlant
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import find_fault
from observability.simulation.log_rows import Array, LogRows
from observability.store.types.loading import LoadDefaults
from tests.support.length import some
from tests.support.simulation_world import credit

CLEAN_DAYS, A_DAY, EACH = 14, 500, 6
SEED = 23
"""The weights were tuned only on seed 11."""
STEP = 0.04
"""Maximum size of a random change of a score."""
ENDS = {"feature.income": 0.995, "feature.debt": 0.02, "feature.age": 0.995, "feature.tenure": 0.995, "feature.hour": 0.005}
"""Quantiles of the reference from which the planted unusual people take their numbers. Each number by itself is usual; together they are
not.
"""


@dataclass
class Log:
    """Clean days, followed by days with the fault: all days, the log lines of the version in shadow, and the ids of planted errors."""

    base: SimulationBase
    stream: CleanStream
    days: list[LogRows]
    beside: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)

    def plant(self, days: int, change: Callable[["Log", LogRows, int], tuple[LogRows, Array]]) -> "Log":
        """The log with `days` more days, changed by `change`, which also returns a mask of the changed rows."""
        for place in range(days):
            after, changed = change(self, self.stream.day(len(self.days)), place)
            self.days.append(after)
            self.touched += [str(each) for each in after["id"][wrong(after) & changed]]
        return self

    def shadow(self, rows: LogRows) -> None:
        """Let the first version answer the same requests in shadow."""
        for line in temporary_store.record_lines(self.base, rows):
            record = json.loads(line)
            if record["kind"] == "prediction":
                own = {"id": f"beside-{record['id']}", "environment": "shadow", "version": VERSION}
                self.beside.append(json.dumps(record | own))

    def first(self) -> list[str]:
        """The first suspected source of each of the planted errors."""
        with temporary_store.temporary_store(self.base) as store:
            assert temporary_store.load_days(store, self.base, self.days).rejected == 0
            if self.beside:
                path = store.home / "beside.jsonl"
                path.write_text("\n".join(self.beside) + "\n")
                assert store.load_files([path], LoadDefaults()).rejected == 0
            return [open_case(store, each).part("triage")[0].source for each in self.touched[:EACH]]


@pytest.fixture
def log() -> Log:
    """Fourteen clean days."""
    base = credit(reference_rows=4_000)
    stream = CleanStream(base, seed=SEED, past=CLEAN_DAYS, days=3, rows_a_day=A_DAY)
    return Log(base, stream, [stream.day(number) for number in range(CLEAN_DAYS)])


def wrong(rows: LogRows) -> Array:
    """A mask of the decisions that differ from the label."""
    return np.asarray((rows["score"] >= 0.5) != (rows["label"] == 1), bool)


def chance(log: Log) -> np.random.Generator:
    """The random generator for the next day."""
    return np.random.default_rng([SEED, len(log.days)])


def at_the_edge(log: Log, clean: LogRows, _: int) -> tuple[LogRows, Array]:
    """Scores change a little, which flips the answers near the boundary."""
    moved = np.clip(clean["score"] + chance(log).uniform(-STEP, STEP, len(clean)), 0, 1)
    return clean.put({"score": moved}), ~wrong(clean)


def newcomers(log: Log, clean: LogRows, _: int) -> tuple[LogRows, Array]:
    """A few people with extreme values of every number, whose true label is random."""
    rng = chance(log)
    own, rows = rng.random(len(clean)) < 0.04, clean
    for name, at in ENDS.items():
        held = log.base.reference[name]
        values = np.quantile(held[np.isfinite(held)], at) * (1 + rng.normal(0, 0.002, int(own.sum())))
        rows = rows.changed(name, own, np.clip(values, np.nanmin(held), np.nanmax(held)))
    turned = own & (rng.random(len(clean)) < 0.5)
    return rows.put({"label": np.where(turned, 1 - clean["label"], clean["label"])}), own


def worse_version(log: Log, clean: LogRows, day: int) -> tuple[LogRows, Array]:
    """A new version makes more errors. The old one answers the same requests in shadow."""
    found = find_fault("worse_version")
    scene = replace(fault_targets(log.base, 3), number="feature.debt", category="feature.channel", slice=("feature.region", "south"))
    after = found.planted(clean, FaultPlant(scene, found.amount("strong"), day, chance(log)))
    new = after["version"] == NEXT
    log.shadow(clean.take(new))
    return after, new & ~wrong(clean)


def equal_versions(log: Log, clean: LogRows, _: int) -> tuple[LogRows, Array]:
    """Two versions are equally good; if only one is right in a case, that is chance."""
    rng = chance(log)
    new = rng.random(len(clean)) < 0.5
    scores = [inverse_link_score("binary", link_score("binary", clean["score"]) + rng.normal(0, 0.8, len(clean))) for _ in range(2)]
    after, other = (clean.put({"score": np.round(each, 6)}) for each in scores)
    log.shadow(other.take(new))
    return after.changed("version", new, NEXT), new & ~wrong(other)


@pytest.mark.parametrize(
    ("days", "change", "source"),
    some([(3, at_the_edge, "boundary"), (1, newcomers, "far_from_reference"), (3, worse_version, "version")], 1),
)
def test_the_planted_source_comes_first_in_four_of_five_cases(log: Log, days: int, change: Callable, source: str) -> None:
    first = log.plant(days, change).first()
    assert len(first) == EACH
    assert first.count(source) >= 0.8 * EACH, first


@pytest.mark.long  # tests/investigation/test_expected_error.py
def test_a_version_that_is_right_here_by_chance_is_no_source(log: Log) -> None:
    first = log.plant(3, equal_versions).first()
    assert len(first) == EACH
    assert "version" not in first, Counter(first)
