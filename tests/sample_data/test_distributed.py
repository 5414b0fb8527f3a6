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
    assert start["model"] == distributed.MODEL and start["params"]["slowed_on_purpose"] == "rank 2, in data"
    assert start["hardware"]["host"] == "sample fleet"
    assert (FOLDER / distributed.FILE).stat().st_size <= 60_000


def test_only_the_slowed_rank_takes_long_to_fetch_its_rows() -> None:
    spent = {
        rank: [each["phase_ms"]["data"] for each in records() if each.get("rank") == rank and each["kind"] == "step"] for rank in range(4)
    }
    medians = {rank: float(np.median(each)) for rank, each in spent.items()}
    slowest = max(medians, key=medians.__getitem__)
    assert slowest == distributed.SLOWED and medians[slowest] > 4 * sorted(medians.values())[-2]


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
