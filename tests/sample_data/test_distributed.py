"""The runs of several processes are complete and small, and the gradient of their network is right."""

import json
from pathlib import Path

import numpy as np
import pytest

from sample_data import distributed

FOLDER = Path(__file__).parents[2] / "sample_data"


def records() -> list[dict]:
    return [json.loads(line) for line in (FOLDER / distributed.FILE).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("job", distributed.JOBS, ids=lambda job: job.run)
def test_every_rank_logged_every_fourth_step_with_its_phases(job: distributed.Job) -> None:
    found = [each for each in records() if each["run"] == job.run]
    steps = [each for each in found if each["kind"] == "step"]
    for rank in range(job.processes):
        own = sorted(each["step"] for each in steps if each["rank"] == rank)
        assert own == list(range(distributed.LOG_EVERY, job.steps + 1, distributed.LOG_EVERY))
    waiting = ["sync"] if job.phase == "communication" else []
    assert {tuple(each["phase_ms"]) for each in steps} == {("data", "compute", "communication", *waiting)}
    assert [each["event"] for each in found if each["kind"] == "run"] == ["start", "end"]
    start = found[0]
    slowed = None if job.slowed is None else f"rank {job.slowed}, in {job.phase}"
    assert start["model"] == distributed.MODEL and start["params"].get("slowed_on_purpose") == slowed
    assert start["hardware"]["host"] == "sample fleet"
    assert (FOLDER / distributed.FILE).stat().st_size <= 140_000


@pytest.mark.parametrize("job", distributed.SLOWED, ids=lambda job: job.phase)
def test_only_the_slowed_rank_takes_long_in_its_phase(job: distributed.Job) -> None:
    steps = [each for each in records() if each["kind"] == "step" and each["run"] == job.run]
    medians = {rank: float(np.median([each["phase_ms"][job.phase] for each in steps if each["rank"] == rank])) for rank in range(4)}
    slowest = max(medians, key=medians.__getitem__)
    assert slowest == job.slowed and medians[slowest] > 4 * sorted(medians.values())[-2]


@pytest.mark.parametrize("job", distributed.SCALING, ids=lambda job: job.run)
def test_the_processes_of_a_job_share_one_batch(job: distributed.Job) -> None:
    x, y = np.arange(30_000.0).reshape(-1, 2), np.arange(15_000.0)
    parts = distributed.RANKS // job.processes
    shards = [distributed.Shard(x[rank :: job.processes], y[rank :: job.processes], False, parts) for rank in range(job.processes)]
    batches = [shard.batch(np.random.default_rng(rank)) for rank, shard in enumerate(shards)]
    assert sum(len(each) for _, each in batches) == distributed.BATCH * distributed.RANKS
    assert all((own[:, 0] == 2 * labels).all() for own, labels in batches)
    start = next(each for each in records() if each["run"] == job.run)
    assert start["params"]["batch_rows"] == distributed.BATCH * distributed.RANKS and start["params"]["processes"] == job.processes


def test_packed_rows_are_the_same_rows() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(5000, 6)), rng.integers(0, 2, 5000).astype(float)
    plain, packed = distributed.Shard(x, y, packed=False), distributed.Shard(x, y, packed=True)
    for one, other in zip(plain.batch(np.random.default_rng(2)), packed.batch(np.random.default_rng(2))):
        assert np.array_equal(one, other)


def test_a_slowed_process_computes_and_sends_the_same_gradient() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(37, 5)), rng.integers(0, 2, 37).astype(float)
    weights = rng.normal(0, 0.1, sum(int(np.prod(shape)) for shape in distributed.shapes(5)))
    whole, loss = distributed.gradient(weights, x, y)
    sliced, sliced_loss = distributed.sliced_gradient(weights, x, y)
    assert sliced == pytest.approx(whole, abs=1e-12) and sliced_loss == pytest.approx(loss)
    assert np.array_equal(distributed.through_text(whole), whole)


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
