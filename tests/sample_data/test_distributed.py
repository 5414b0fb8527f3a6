"""Is the run of four processes whole and small, and is its network's gradient right?"""

import json
from pathlib import Path

import numpy as np
import pytest

from sample_data import distributed

FOLDER = Path(__file__).parents[2] / "sample_data"


def records() -> list[dict]:
    return [json.loads(line) for line in (FOLDER / distributed.FILE).read_text(encoding="utf-8").splitlines()]


def test_every_rank_logged_every_fourth_step_with_its_phases() -> None:
    found = records()
    steps = [each for each in found if each["kind"] == "step"]
    for rank in range(distributed.RANKS):
        own = sorted(each["step"] for each in steps if each["rank"] == rank)
        assert own == list(range(distributed.LOG_EVERY, distributed.STEPS + 1, distributed.LOG_EVERY))
    assert {tuple(sorted(each["phase_ms"])) for each in steps} == {("communication", "compute", "data")}
    assert [each["event"] for each in found if each["kind"] == "run"] == ["start", "end"]
    start = found[0]
    assert (
        start["model"] == distributed.MODEL
        and start["params"]["slowed_on_purpose"] == "rank 2 in data, rank 1 in compute, rank 3 in communication"
    )
    assert start["hardware"]["host"] == "sample fleet"
    assert (FOLDER / distributed.FILE).stat().st_size <= 60_000


@pytest.mark.parametrize(("phase", "slowed"), distributed.SLOWED.items())
def test_only_the_slowed_rank_takes_long_in_its_phase(phase: str, slowed: int) -> None:
    """Communication without the wait for the rank whose data and compute take longest."""
    steps = [each for each in records() if each["kind"] == "step"]
    work = {(each["step"], each["rank"]): each["phase_ms"]["data"] + each["phase_ms"]["compute"] for each in steps}
    last = {step: max(work[step, rank] for rank in range(distributed.RANKS)) for step, _ in work}
    spent: dict[int, list[float]] = {rank: [] for rank in range(distributed.RANKS)}
    for each in steps:
        waited = last[each["step"]] - work[each["step"], each["rank"]] if phase == "communication" else 0.0
        spent[each["rank"]].append(max(each["phase_ms"][phase] - waited, 0.0))
    medians = {rank: float(np.median(times)) for rank, times in spent.items()}
    slowest = max(medians, key=medians.__getitem__)
    assert slowest == slowed and medians[slowest] > 1.5 * sorted(medians.values())[-2]


def test_slow_ways_change_neither_the_gradient_nor_the_average() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(1024, 5)), rng.integers(0, 2, 1024).astype(float)
    weights = rng.normal(0, 0.1, sum(int(np.prod(shape)) for shape in distributed.shapes(5)))
    whole, parts = distributed.gradient(weights, x, y), distributed.gradient_in_pieces(weights, x, y)
    assert np.allclose(whole[0], parts[0], atol=1e-12) and parts[1] == pytest.approx(whole[1])
    assert np.array_equal(distributed.received_as_text(whole[0]), whole[0])


def test_packed_rows_are_the_same_rows() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(5000, 6)), rng.integers(0, 2, 5000).astype(float)
    plain, packed = distributed.Shard(x, y, packed=False), distributed.Shard(x, y, packed=True)
    for one, other in zip(plain.batch(np.random.default_rng(2)), packed.batch(np.random.default_rng(2))):
        assert np.array_equal(one, other)


def test_the_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 5)), rng.integers(0, 2, 40).astype(float)
    weights = rng.normal(0, 0.1, sum(int(np.prod(shape)) for shape in distributed.shapes(5)))
    found, loss = distributed.gradient(weights, x, y)
    assert loss == pytest.approx(distributed.loss_of(distributed.forward(weights, x)[1], y))
    for place in rng.integers(0, len(weights), 12):
        step = np.zeros_like(weights)
        step[place] = 1e-6
        up, down = (distributed.loss_of(distributed.forward(weights + sign * step, x)[1], y) for sign in (1, -1))
        assert found[place] == pytest.approx((up - down) / 2e-6, abs=1e-7)
