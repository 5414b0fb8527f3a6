"""Krippendorff's alpha agrees with its author's worked example, and with Fleiss' kappa on complete data."""

import numpy as np
import pytest
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from observability.stats.agreement import krippendorff_alpha

# Krippendorff 2011, section C: four observers, twelve units, nominal, missing values; alpha = 0.743
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def test_krippendorffs_alpha_equals_that_of_the_worked_example() -> None:
    found = krippendorff_alpha([[each for each in unit if each is not None] for unit in zip(*OBSERVERS)])
    assert found.value == pytest.approx(0.743, abs=0.0005)
    assert found.n == 11
    assert found.low < found.value < found.high <= 1.0


def test_alpha_on_complete_data_equals_fleiss_kappa_up_to_the_small_sample_term() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 200)
    labels = np.where(rng.random((200, 4)) < 0.7, truth[:, None], rng.integers(0, 3, (200, 4)))
    kappa = fleiss_kappa(aggregate_raters(labels)[0])
    found = krippendorff_alpha(labels.tolist())
    assert 1 - found.value == pytest.approx((1 - kappa) * (labels.size - 1) / labels.size)
    assert found.low < kappa < found.high


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_alpha_equals_that_of_the_krippendorff_package(missing: float) -> None:
    krippendorff = pytest.importorskip("krippendorff", reason="an oracle of the tests")
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 3, 150)
    labels = np.where(rng.random((150, 5)) < 0.7, truth[:, None], rng.integers(0, 3, (150, 5))).astype(float)
    labels[rng.random(labels.shape) < missing] = np.nan
    found = krippendorff_alpha([unit[~np.isnan(unit)].tolist() for unit in labels])
    assert found.value == pytest.approx(krippendorff.alpha(labels.T, level_of_measurement="nominal"), rel=1e-9)


def test_without_enough_data_alpha_or_its_interval_is_none() -> None:
    assert krippendorff_alpha([["a"], ["b"]]).value is None
    assert krippendorff_alpha([["a", "a"]] * 30).value is None
    few = krippendorff_alpha([["a", "a"], ["b", "b"], ["a", "b"]])
    assert few.value is not None and few.low is None and few.n == 3
