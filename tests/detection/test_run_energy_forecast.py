"""Nineteen of twenty intervals of the forecast energy of an active run contain its final energy, and few ordinary runs are said to exceed
other runs of their kind.
"""

import numpy as np

from observability.core.settings import ModelSettings
from observability.detection.run_energy import run_energy_change
from observability.detection.run_energy_forecast import RunProgress, run_energy_forecast, stated_steps

START = np.datetime64("2026-03-02", "us")


def course(rng: np.random.Generator, steps: int = 100) -> RunProgress:
    """A run whose power differs from other runs, between steps and over its course."""
    joules = 6000 * rng.lognormal(0, 0.05) * rng.lognormal(0, 0.1, steps) * np.linspace(1, rng.uniform(1.2, 1.6), steps)
    at = START + np.arange(1, steps + 1) * np.timedelta64(60, "s")
    return RunProgress(np.arange(1, steps + 1), at, at, joules)


def until(run: RunProgress, step: int) -> RunProgress:
    return RunProgress(run.steps[:step], run.at[:step], run.read[:step], run.joules[:step])


def test_energy_forecast_intervals_cover_and_normal_runs_rarely_exceed_them() -> None:
    covered, beyond = 0, 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        earlier, whole = [course(rng) for _ in range(6)], course(rng)
        found = run_energy_forecast(until(whole, 30), earlier, None)
        drawn = float(whole.joules.sum())
        covered += found.low <= drawn <= found.high
        beyond += run_energy_change(found.low, [float(each.joules.sum()) for each in earlier], ModelSettings()).severity != "ok"
        assert found.low <= found.joules <= found.high and (found.total, found.done, found.n) == (100, 30, 6)
    assert 0.92 * 300 <= covered <= 0.98 * 300 and beyond <= 3


def test_a_stated_total_has_priority_and_a_run_beyond_it_has_no_forecast() -> None:
    rng = np.random.default_rng(1)
    earlier, whole = [course(rng) for _ in range(4)], course(rng, 60)
    assert run_energy_forecast(until(whole, 30), earlier, 60).total == 60
    passed = run_energy_forecast(whole, earlier, 50)
    assert np.isnan(passed.joules) and "more steps than its parameters state" in passed.lacks
    assert stated_steps({"max_steps": 60.0, "steps": 5}) == 60
    assert stated_steps({"max_steps": float("inf"), "steps": 5}) == stated_steps({"max_steps": 10**400, "steps": 5}) == 5
    assert stated_steps({"steps": True}) is stated_steps({"total_steps": "many"}) is stated_steps(None) is None
