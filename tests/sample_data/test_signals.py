"""The training runs with signals are real: the gradient is right, their steps repeat, and the accident is the stated one."""

import json
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from sample_data import signals
from sample_data.distributed import loss_of

FOLDER = Path(__file__).parents[2] / "sample_data"
WELL, ACCIDENT = signals.TRAININGS


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return [json.loads(line) for line in (FOLDER / signals.FILE).read_text(encoding="utf-8").splitlines()]


def steps_of(records: list[dict], training: signals.Training) -> dict[int, dict[str, float]]:
    return {each["step"]: each["metrics"] for each in records if each["kind"] == "step" and each["run"] == training.run}


def test_the_gradient_of_each_layer_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 5)), rng.integers(0, 2, 40).astype(float)
    network = signals.Network(5)
    found, loss = network.gradients(x, y)
    assert loss == pytest.approx(loss_of(network.forward(x)[1], y))
    for layer, gradient in zip(network.layers, found, strict=True):
        for part, own in zip(layer, gradient, strict=True):
            flat, place = part.reshape(-1), int(np.abs(own).argmax())
            near = []
            for sign in (1, -1):
                flat[place] += sign * 1e-6
                near.append(loss_of(network.forward(x)[1], y))
                flat[place] -= sign * 1e-6
            assert own.reshape(-1)[place] == pytest.approx((near[0] - near[1]) / 2e-6, rel=1e-4)


def test_update_ratios_and_dead_shares_equal_their_definitions() -> None:
    network = signals.Network(4)
    before = [layer[0].copy() for layer in network.layers]
    gradients = [[np.ones_like(part) for part in layer] for layer in network.layers]
    ratio = network.update(gradients, 0.5)
    size = sum(each.size for each in before)
    assert ratio == pytest.approx(0.5 * np.sqrt(size / sum((each**2).sum() for each in before)))
    assert np.allclose(network.layers[0][0], before[0] - 0.5)
    network.layers[0][1] = np.where(np.arange(192) < 48, -1e9, 1e9)
    assert network.dead_shares(np.eye(4))["dead_share/hidden1"] == 48 / 192


def test_the_first_steps_of_the_file_repeat(records: list[dict]) -> None:
    logged = steps_of(records, WELL)
    for step, metrics in takewhile(lambda each: each[0] <= 6, signals.logged_steps(WELL, FOLDER)):
        assert logged[step] == pytest.approx(metrics, rel=1e-3)


def test_both_runs_are_equal_until_the_accident_which_is_stated_and_kills_units(records: list[dict]) -> None:
    well, hurt = (steps_of(records, training) for training in signals.TRAININGS)
    assert list(well) == list(hurt) == list(range(2, signals.STEPS + 1, 2))
    for step, metrics in well.items():
        if step < signals.ACCIDENT:
            assert metrics == hurt[step]
        else:
            assert hurt[step]["learning_rate"] == pytest.approx(signals.TOO_MUCH * metrics["learning_rate"], rel=1e-3)
    assert max(hurt[signals.STEPS][f"dead_share/hidden{place}"] for place in (1, 2)) > 0.9
    assert all(each["dead_share/hidden2"] < 0.2 for each in well.values())
    starts = {each["run"]: each for each in records if each["kind"] == "run" and each["event"] == "start"}
    assert "learning rate times 200" in starts[ACCIDENT.run]["params"]["accident_on_purpose"]
    assert "accident_on_purpose" not in starts[WELL.run]["params"]


def test_the_readings_of_the_process_say_that_power_is_assumed_and_fit_their_times(records: list[dict]) -> None:
    for training in signals.TRAININGS:
        read = [each for each in records if each["kind"] == "resource" and each["run"] == training.run]
        assert len(read) >= 30 and {each["source"] for each in read} == {"assumed"} and {each["device"] for each in read} == {"cpu"}
        assert all(0 < each["utilisation"] <= 1 and 0.05 < each["memory_gb"] < 2 and "temperature_c" not in each for each in read)
        assert all(each["energy_j"] == pytest.approx(each["watts"] * each["seconds"], rel=0.02, abs=0.002) for each in read)
    assert (FOLDER / signals.FILE).stat().st_size <= 130_000 and min(each["at"] for each in records) == "2024-11-26T21:35:00.000Z"
