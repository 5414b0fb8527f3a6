"""The expected number of distinct values equals the mean number in random draws."""

import numpy as np
import pytest

from observability.stats.distinct import rarefaction


def test_the_expected_distinct_values_equal_those_of_drawing_without_replacement() -> None:
    rng = np.random.default_rng(1)
    others = rng.poisson(20, 600).astype(float)
    drawn = [np.unique(rng.choice(others, 80, replace=False)).size for _ in range(3000)]
    found = rarefaction(others[:80], others)
    assert found.expected == pytest.approx(np.mean(drawn), abs=0.15) and found.sd >= np.std(drawn) * 0.95
    assert rarefaction(np.array([np.nan]), others).n == 0 and rarefaction(others[:5], others[:3]).n == 3
