"""The domain classifier separates what differs, as scikit-learn would, and its null distribution includes refitting."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from observability.stats import domain


def side(n: int, seed: int, *, together: float = 0.8, shift: float = 0.0, wide: float = 1.0) -> dict[str, np.ndarray]:
    """Six numeric columns, two of them correlated, and two categories; a numeric column and a category contain nulls."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    x[:, 1] = together * x[:, 0] + np.sqrt(1 - together**2) * x[:, 1]
    x[:, 2], x[:, 3] = x[:, 2] + shift, x[:, 3] * wide
    x[rng.random(n) < 0.1, 4] = np.nan
    columns = {f"number_{place}": x[:, place] for place in range(6)}
    return columns | {f"level_{place}": rng.choice(np.array(["a", "b", "c", None], object), n) for place in range(2)}


def test_without_a_difference_small_p_values_are_as_rare_as_stated() -> None:
    found = [domain.separate_samples(side(500, seed), side(400, 1000 + seed), permutations=39) for seed in range(40)]
    p_values = np.array([each.p_value for each in found])
    assert 0.25 < np.mean(p_values < 0.5) < 0.75
    assert np.mean(p_values < 0.05) <= 0.15 and p_values.min() > 1e-4
    covered = np.mean([each.low <= 0.5 <= each.high for each in found])
    assert covered >= 0.85


def test_a_correlation_that_broke_is_seen_and_named_though_every_distribution_stayed() -> None:
    found = domain.separate_samples(side(2000, 1), side(2000, 2, together=0.0))
    assert found.auc > 0.6 > found.null_95 and found.p_value < 1e-6 and found.low > 0.55
    assert found.additive_auc < 0.54
    assert {name for name, _ in found.importance[:2]} == {"number_0", "number_1"}
    assert found.pair[:2] == ("number_0", "number_1")
    assert found.pair[2] == pytest.approx(0.79, abs=0.03) and found.pair[3] == pytest.approx(0, abs=0.06)


@pytest.mark.parametrize(("rows", "columns"), [(90, 20), (90, 89), (90, 91), (90, 400)])
def test_ridge_scores_of_more_columns_than_rows_equal_those_of_scikit_learn(rows: int, columns: int) -> None:
    rng = np.random.default_rng(8)
    x, labels, fold = rng.normal(size=(rows, columns)), rng.random((rows, 3)) < 0.4, np.arange(rows) % domain.FOLDS
    weights, scores = domain.cross_fitted_scores(x, labels, fold)
    for k in range(domain.FOLDS):
        kept = fold != k
        model = Ridge(alpha=domain.RIDGE * kept.sum(), fit_intercept=False).fit(x[kept], labels[kept] - labels.mean(axis=0))
        assert np.allclose(weights[k], model.coef_[0], atol=1e-9) and np.allclose(scores[~kept], model.predict(x[~kept]), atol=1e-9)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_numbers_that_are_constant_on_one_side_give_no_changed_correlation() -> None:
    reference, current = side(600, 9), side(600, 10)
    for name in ("number_0", "number_1"):
        current[name] = np.full(600, 3.0)
    found = domain.separate_samples(
        {name: reference[name] for name in ("number_0", "number_1")}, {name: current[name] for name in ("number_0", "number_1")}
    )
    assert found.auc > 0.9 and found.pair is None


@pytest.mark.parametrize(("change", "name"), [({"shift": 0.8}, "number_2"), ({"wide": 2.5}, "number_3")])
def test_a_move_of_one_feature_is_named_and_pairs_add_nothing(change: dict[str, float], name: str) -> None:
    found = domain.separate_samples(side(1500, 3), side(1500, 4, **change))
    assert found.importance[0][0] == name and found.importance[0][1] > 5 * found.importance[1][1]
    assert found.auc > 0.6 and found.additive_auc > found.auc - 0.03


def test_missing_values_and_levels_count() -> None:
    reference, current = side(1200, 5), side(1200, 6)
    current["number_5"][:400] = np.nan
    current["level_0"][600:900] = "d"
    found = domain.separate_samples(reference, current)
    assert {name for name, _ in found.importance[:2]} == {"number_5", "level_0"}
    assert found.auc > 0.6


def test_held_out_scores_equal_those_of_scikit_learns_ridge() -> None:
    columns = np.random.default_rng(7).normal(size=(500, 9))
    labels = (np.arange(500) % 2 == 1) & (columns[:, 0] > -1)
    fold = np.arange(500) // 2 % domain.FOLDS
    _, scores = domain.cross_fitted_scores(columns, labels[:, None], fold)
    for k in range(domain.FOLDS):
        left_out = fold == k
        alpha = domain.RIDGE * int((~left_out).sum())
        model = Ridge(alpha=alpha, fit_intercept=False).fit(columns[~left_out], labels[~left_out] - labels.mean())
        assert scores[left_out, 0] == pytest.approx(model.predict(columns[left_out]))
        auc = domain.fold_auc(scores[left_out], labels[left_out][:, None])[0]
        assert auc == pytest.approx(roc_auc_score(labels[left_out], scores[left_out, 0]))


def test_products_shuffled_with_a_feature_are_those_of_its_shuffled_values() -> None:
    """The loss for one shuffled feature, computed from differences, equals scoring the whole rows anew."""
    reference, current = side(300, 8), side(300, 9, together=0.0)
    basis = domain.classifier_basis({name: np.concatenate([reference[name], current[name]]) for name in reference})
    design = domain.classifier_design(basis)
    weights = np.random.default_rng(1).normal(size=(domain.FOLDS, design.columns.shape[1]))
    fold, is_current = np.arange(600) % domain.FOLDS, np.arange(600) >= 300
    scores = np.einsum("nd,nd->n", design.columns, weights[fold])
    found = dict(domain.permutation_importance(design, weights, scores, is_current, fold, np.random.default_rng(2)))
    rng, lost = np.random.default_rng(2), []
    for k in range(domain.FOLDS):
        here = np.flatnonzero(fold == k)
        before = roc_auc_score(is_current[here], scores[here])
        for _ in range(domain.SHUFFLES):
            single = basis.single.copy()
            own = np.flatnonzero(basis.owner == 0)
            single[np.ix_(here, own)] = basis.single[np.ix_(rng.permutation(here), own)]
            products = single[:, design.left] * single[:, design.right] / design.scale
            moved = np.hstack([single, products])[here] @ weights[k]
            lost.append(before - roc_auc_score(is_current[here], moved))
    assert found["number_0"] == pytest.approx(np.mean(lost))


def test_equal_rows_give_equal_answers_and_too_few_or_constant_rows_give_none() -> None:
    one, other = side(200, 10), side(150, 11)
    assert domain.separate_samples(one, other) == domain.separate_samples(one, other)
    assert domain.separate_samples(side(99, 12), one) is None
    assert domain.separate_samples({"x": np.ones(200)}, {"x": np.ones(200)}) is None
    assert domain.separate_samples({"x": np.arange(200.0)}, {"x": np.arange(200.0) + 500}).auc == 1


def test_the_rows_that_are_needed_keep_chance_under_the_gap() -> None:
    needed = domain.rows_for_auc_gap(2000, 0.05)
    assert 100 < needed < 400 and domain.rows_for_auc_gap(40, 0.05) == float("inf")
    rng = np.random.default_rng(3)
    aucs = [roc_auc_score(np.arange(2000 + int(needed)) < needed, rng.normal(size=2000 + int(needed))) for _ in range(400)]
    assert np.quantile(aucs, 0.95) < 0.55
