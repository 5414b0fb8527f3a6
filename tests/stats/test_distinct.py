"""Is the expected number of distinct values that of drawing?"""

import numpy as np
import pytest

from observability.stats.distinct import rarefied


def test_expected_equals_drawing_without_replacement() -> None:
    rng = np.random.default_rng(1)
    others = rng.poisson(20, 600).astype(float)
    drawn = [np.unique(rng.choice(others, 80, replace=False)).size for _ in range(3000)]
    found = rarefied(others[:80], others)
    assert found.expected == pytest.approx(np.mean(drawn), abs=0.15) and found.sd >= np.std(drawn) * 0.95
    assert rarefied(np.array([np.nan]), others).n == 0 and rarefied(others[:5], others[:3]).n == 3
