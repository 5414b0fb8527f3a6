"""Devices of a run: idle, hot, throttled and full devices are named, ordinary ones are not."""

import numpy as np
import pandas as pd
import pytest

from observability.core.settings import ModelSettings
from observability.detection.device_readings import device_claims
from observability.detection.run_devices import claims_about_devices
from observability.metrics.training_curves import TrainingRun, runs_from_records
from tests.support.run_frames import a_run, frame_of, loss

N = 80


def run_on(**hardware: float) -> TrainingRun:
    records = a_run({"loss": loss(30)}, hardware=hardware)
    kinds = {kind: frame_of(kind, [each for each in records if each["kind"] == kind]) for kind in ("run", "step")}
    (run,) = runs_from_records(kinds["run"], kinds["step"])
    return run


def readings(seed: int = 0, **changed: np.ndarray) -> pd.DataFrame:
    """Readings of one busy device, with some columns replaced."""
    rng = np.random.default_rng(seed)
    held = {
        "at": pd.date_range("2026-03-02", periods=N, freq="10s"), "device": "gpu0", "host": "node-1", "watts": rng.normal(300, 15, N),
        "utilisation": rng.uniform(0.7, 1, N), "temperature_c": rng.normal(72, 3, N), "memory_gb": rng.normal(60, 1, N),
    }  # fmt: skip
    return pd.DataFrame(held | changed)


def test_ordinary_devices_raise_nothing_in_200_runs() -> None:
    run = run_on(device_memory_gb=80)
    assert [each.because for seed in range(200) for each in claims_about_devices(run, readings(seed))] == []


@pytest.mark.parametrize(
    ("metric", "changed", "words"),
    [
        ("device_idle_share", {"utilisation": np.tile([0.02, 0.03, 0.9, 0.01], N // 4)}, "below 10 % in 75 % of its 80 readings"),
        ("device_temperature", {"temperature_c": np.full(N, 92.0)}, "at 92 °C or more"),
        ("device_power_drop", {"watts": np.r_[np.full(N // 2, 300.0), np.full(N // 2, 180.0)]}, "draws 180 W in the last quarter"),
        ("device_memory_share", {"memory_gb": np.full(N, 79.5)}, "79.5 of 80 GB"),
    ],
)
def test_a_device_in_trouble_is_named_with_its_host(metric: str, changed: dict, words: str) -> None:
    (found,) = claims_about_devices(run_on(device_memory_gb=80), readings(**changed))
    assert found.metric == metric and found.severity == "watch" and words in found.because and "`gpu0` on host `node-1`" in found.because


def test_memory_use_beyond_the_stated_size_is_ignored_as_another_machine() -> None:
    assert claims_about_devices(run_on(device_memory_gb=40), readings()) == []


def test_a_very_hot_device_is_critical_and_a_stated_limit_applies() -> None:
    hot = readings(temperature_c=np.full(N, 97.0))
    assert claims_about_devices(run_on(), hot)[0].severity == "act"
    assert claims_about_devices(run_on(temperature_limit_c=105), hot) == []


@pytest.mark.parametrize("device", ["gpu0", "cpu"])
@pytest.mark.parametrize("degrees", [80.0, 88.0, 92.0, 97.0, 102.0, 107.0])
def test_a_temperature_has_one_verdict_whether_the_device_serves_or_trains(device: str, degrees: float) -> None:
    rows = readings(temperature_c=np.full(N, degrees), device=np.full(N, device))
    (serving,) = (each for each in device_claims(rows, ModelSettings()) if each.metric == "temperature_c")
    training = [each.severity for each in claims_about_devices(run_on(), rows) if each.metric == "device_temperature"]
    assert training == [serving.severity] or (training, serving.severity) == ([], "ok")


def test_lower_power_at_lower_utilisation_is_no_throttling_and_few_readings_are_not_judged() -> None:
    half = np.r_[np.full(N // 2, 300.0), np.full(N // 2, 150.0)]
    used = np.r_[np.full(N // 2, 0.9), np.full(N // 2, 0.4)]
    assert claims_about_devices(run_on(), readings(watts=half, utilisation=used)) == []
    assert claims_about_devices(run_on(), readings(temperature_c=np.full(N, 99.0)).head(10)) == []
