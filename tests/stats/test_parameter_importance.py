"""Importance of parameters equals Optuna's PED-ANOVA, and the expected best of k trials equals the mean over all subsets."""

import itertools

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from observability.stats.parameter_importance import (
    best_quantile,
    best_trials,
    expected_best,
    importance_p_value,
    number_cells,
    ped_anova_importance,
)

N = 60


def drawn() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Sixty random trials: the values of their four parameters, and their costs."""
    rng = np.random.default_rng(7)
    x, y = rng.uniform(-3, 5, N), np.exp(rng.uniform(np.log(1e-4), np.log(1), N))
    c, z = rng.integers(0, 3, N), rng.uniform(0, 1, N)
    cost = (x - 1) ** 2 + 0.5 * (np.log10(y) + 2) ** 2 + (c == 1) * 2 + 0.01 * z
    return {"x": x, "y": y, "c": c, "z": z}, cost


def search() -> tuple[dict[str, tuple[np.ndarray, int, bool]], np.ndarray]:
    """For each parameter: the cell of each trial, the number of cells, and whether the cells are levels. And the costs."""
    values, cost = drawn()
    cells = {"x": (number_cells(values["x"], -3, 5), 50, False), "y": (number_cells(values["y"], 1e-4, 1, log=True), 50, False)}
    return cells | {"c": (values["c"], 3, True), "z": (number_cells(values["z"], 0, 1), 50, False)}, cost


def importances_of_optuna(quantile: float) -> dict[str, float]:
    """Optuna's own importance for the same trials."""
    values, cost = drawn()
    space: dict[str, BaseDistribution] = {
        "x": FloatDistribution(-3, 5),
        "y": FloatDistribution(1e-4, 1, log=True),
        "z": FloatDistribution(0, 1),
    }
    space["c"] = CategoricalDistribution((0, 1, 2))
    study = optuna.create_study()
    for place, value in enumerate(cost):
        chosen = {name: values[name][place].item() for name in space}
        study.add_trial(optuna.trial.create_trial(params=chosen, distributions=space, value=float(value)))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
    return optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("quantile", (0.1, 0.25))
def test_importances_equal_those_of_optuna(quantile: float) -> None:
    cells, cost = search()
    found = {name: ped_anova_importance(held, size, cost, quantile, levels=levels) for name, (held, size, levels) in cells.items()}
    assert found == pytest.approx(importances_of_optuna(quantile), rel=1e-9)


def test_only_a_parameter_with_an_effect_has_a_small_p_value() -> None:
    cells, cost = search()
    assert importance_p_value(*cells["x"][:2], cost, 0.1) <= 0.02 and importance_p_value(*cells["z"][:2], cost, 0.1) > 0.1


def test_the_expected_best_is_the_mean_over_all_subsets() -> None:
    values = np.random.default_rng(1).normal(size=7)
    by_hand = [np.mean([min(each) for each in itertools.combinations(values, k)]) for k in range(1, 8)]
    found = [expected_best(np.sort(values), k) for k in range(1, 8)]
    assert found == pytest.approx(by_hand)
    assert (np.diff(found) <= 0).all() and (np.diff(found, 2) >= -1e-12).all(), "each further trial brings less"
    many = np.sort(np.random.default_rng(2).normal(size=2000))
    assert expected_best(many, 2000) == pytest.approx(many[0])


def test_the_best_are_a_tenth_or_at_least_ten() -> None:
    assert [best_quantile(n) for n in (6, 20, 50, 200)] == [0.5, 0.5, 0.2, 0.1]
    assert best_trials(np.array([3.0, 1.0, 2.0, 1.0]), 0.25).tolist() == [False, True, False, True], (
        "trials with equal values are all among the best"
    )
