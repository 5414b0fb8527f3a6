"""Runs that no other run beats in both result and carbon, checked against all pairs."""

import numpy as np

from observability.detection.result_carbon import results_against_carbon, unbeaten_results
from tests.support.simulated_studies import METRIC, simulated_study


def test_unbeaten_runs_match_a_comparison_of_all_pairs() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        cost, grams = rng.integers(0, 6, 12).astype(float), rng.integers(1, 6, 12).astype(float)
        expected = [
            not any(
                cost[other] <= cost[own] and grams[other] <= grams[own] and (cost[other] < cost[own] or grams[other] < grams[own])
                for other in range(12)
            )
            for own in range(12)
        ]
        assert unbeaten_results(cost, grams).tolist() == expected


def test_the_largest_study_names_the_lowest_carbon_run_near_its_best_result() -> None:
    rng = np.random.default_rng(5)
    runs = [*simulated_study(rng), *simulated_study(rng, trials=12, seeds=0, name="small")]
    grams = {run.name: float(rng.uniform(1, 9)) for run in runs}
    found = results_against_carbon(runs, grams)
    assert found is not None and (found.study, found.metric, found.better) == ("search", METRIC, "low")
    done = {run.name: run.final[METRIC] for run in runs if run.study == "search" and run.status == "finished"}
    assert {each.run for each in found.results} == set(done) and found.top.value == min(done.values())
    near = [name for name, value in done.items() if value <= 1.01 * min(done.values())]
    assert found.near.run == min(near, key=grams.__getitem__)
    assert results_against_carbon(runs, dict.fromkeys(grams)) is None
