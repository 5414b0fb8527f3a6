"""A check raises nothing on clean data, and stated intervals contain the truth. These tests are small and seeded; tests/benchmarks has the
long versions.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.support.clean_streams import alarms, build, checked
from tests.support.coverage_grid import Cell, cells, coverage, verdict
from tests.support.length import some

WEEKS = 8
CELLS = cells()


@pytest.mark.parametrize(
    ("task", "a_day", "varied"),
    some([("binary", 60, False), ("regression", 150, True)], 1),
    ids=some(["60 rows a day", "correlated days"], 1),
)
def test_clean_weeks_raise_no_critical_finding_and_few_warnings(tmp_path: Path, task: str, a_day: int, varied: bool) -> None:
    store = build(tmp_path, task=task, weeks=WEEKS, a_day=a_day, varied=varied, seed=7)
    counts: Counter[tuple[str, str]] = Counter()
    judged = 0
    for _, found in checked(store, WEEKS):
        counts.update(alarms(found))
        judged += sum(each.severity == "ok" for each in found)
    store.close()
    assert judged > WEEKS * 15
    assert not {key: n for key, n in counts.items() if key[0] == "act"}
    assert sum(n for (severity, _), n in counts.items() if severity == "watch") <= WEEKS // 2


@pytest.mark.parametrize("cell", CELLS[::9], ids=[f"{each.family}, {each.where}" for each in CELLS[::9]])
def test_intervals_cover_the_true_value_as_often_as_stated(cell: Cell) -> None:
    share, known = coverage(cell, 250)
    assert known >= 200
    assert verdict(cell, share, 250) == "held", share


def test_the_grid_of_cells_includes_zero_effects_and_every_metric_family() -> None:
    families = {each.family for each in CELLS}
    assert len(families) >= 15 and {"PSI", "ECE", "ROC AUC", "largest difference", "R²", "F1"} <= families
    assert any(abs(each.truth) < 1e-12 for each in CELLS if each.family == "PSI") and any(
        each.truth == 0 for each in CELLS if each.family == "rate"
    )


def test_an_interval_that_is_too_narrow_is_seen() -> None:
    narrow = Cell("mean", "narrow", 0.0, lambda rng: (-1.2 / 10 + (mean := rng.normal(0, 0.1)), mean + 1.2 / 10))
    assert verdict(narrow, coverage(narrow, 250)[0], 250) == "TOO NARROW"
