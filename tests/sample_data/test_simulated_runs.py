"""The simulated runs are declared as such, repeat exactly, and contain the straggler with its victims and the hot device."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sample_data import simulated_runs

FOLDER = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def steps() -> pd.DataFrame:
    return pd.read_parquet(FOLDER / simulated_runs.STEPS)


@pytest.fixture(scope="module")
def readings() -> pd.DataFrame:
    return pd.read_parquet(FOLDER / simulated_runs.READINGS)


def test_every_record_says_that_it_is_simulated(steps: pd.DataFrame, readings: pd.DataFrame) -> None:
    records = [json.loads(line) for line in (FOLDER / simulated_runs.RUNS).read_text(encoding="utf-8").splitlines()]
    names = {simulated_runs.OF_RANKS, simulated_runs.OF_DEVICES}
    assert {each["run"] for each in records} == names and all(each.startswith("simulated-") for each in names)
    assert all(each["simulated"] for each in records) and steps["simulated"].all() and readings["simulated"].all()
    assert all("simulated" in each["params"] for each in records if each["event"] == "start")
    assert [each["event"] for each in records] == ["start", "end"] * 2
    assert sum((FOLDER / name).stat().st_size for name in (simulated_runs.RUNS, simulated_runs.STEPS, simulated_runs.READINGS)) < 40_000


def test_the_files_are_drawn_again_from_their_seed(steps: pd.DataFrame, readings: pd.DataFrame) -> None:
    again = simulated_runs.steps_of_ranks()
    logged = steps[steps["run"] == simulated_runs.OF_RANKS]
    assert again["phase_ms"].tolist() == logged["phase_ms"].tolist() and again["rank"].tolist() == logged["rank"].tolist()
    assert simulated_runs.readings_of_devices()["watts"].tolist() == readings["watts"].tolist()


def test_one_of_64_ranks_is_slow_to_send_and_every_other_waits_for_it(steps: pd.DataFrame) -> None:
    own = steps[steps["run"] == simulated_runs.OF_RANKS]
    assert len(own) == 64 * 60 and own.groupby("rank")["step"].nunique().eq(60).all() and own["host"].nunique() == 8
    phases = pd.DataFrame(own["phase_ms"].tolist()).assign(rank=own["rank"].astype(int).to_numpy())
    medians = phases.groupby("rank").median()
    assert medians["communication"].nlargest(2).index[0] == simulated_runs.STRAGGLER
    assert medians["communication"].max() - medians["communication"].median() == pytest.approx(simulated_runs.EXTRA_MS, abs=1)
    assert medians["sync"].idxmin() == simulated_runs.STRAGGLER and medians["sync"].drop(simulated_runs.STRAGGLER).min() > 15
    lasted = pd.DataFrame(own["phase_ms"].tolist()).sum(axis=1).groupby(own["step"].to_numpy())
    assert (lasted.max() - lasted.min()).max() < 1, "all ranks leave a step at the same time, except for sending the result"


def test_one_of_four_accelerators_is_hot_and_throttled(readings: pd.DataFrame) -> None:
    late = readings[readings["at"] > readings["at"].quantile(0.75)].groupby("device")[["temperature_c", "watts", "utilisation"]].median()
    hot = f"gpu{simulated_runs.HOT}"
    assert late["temperature_c"].idxmax() == hot and 90 <= late.loc[hot, "temperature_c"] < 95
    assert late.drop(hot)["temperature_c"].max() < 75 and late.loc[hot, "watts"] < 0.75 * late.drop(hot)["watts"].min()
    assert np.ptp(late["utilisation"]) < 0.03 and set(readings["source"]) == {"estimated"}
    assert readings["energy_j"].to_numpy() == pytest.approx((readings["watts"] * readings["seconds"]).to_numpy(), abs=0.2)
