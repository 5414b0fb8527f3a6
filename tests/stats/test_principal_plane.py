"""The plane of largest variance equals that of numpy's singular value decomposition of the same table."""

import numpy as np
import pytest

from observability.stats.principal_plane import principal_plane


@pytest.mark.parametrize(("n", "k"), [(200, 5), (6, 9), (40, 2)])
def test_points_and_shares_are_those_of_the_singular_value_decomposition(n: int, k: int) -> None:
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(n, k)) @ rng.normal(size=(k, k)) + rng.normal(size=k)
    left, sizes, right = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    found = principal_plane(rows)
    for axis in (0, 1):
        sign = np.sign(right[axis][np.abs(right[axis]).argmax()])
        np.testing.assert_allclose(found.points[:, axis], sign * left[:, axis] * sizes[axis], atol=1e-9)
        np.testing.assert_allclose(found.shares[axis], sizes[axis] ** 2 / (sizes**2).sum())
    np.testing.assert_allclose(found.project(rows), found.points, atol=1e-12)
    order = rng.permutation(n)
    np.testing.assert_allclose(principal_plane(rows[order]).points, found.points[order], atol=1e-9)


def test_a_line_has_one_axis_and_equal_rows_have_none() -> None:
    line = principal_plane(np.arange(6.0)[:, None])
    np.testing.assert_allclose(line.shares, [1.0, 0.0])
    np.testing.assert_allclose(line.points[:, 0], np.arange(6.0) - 2.5)
    assert not line.points[:, 1].any()
    same = principal_plane(np.ones((4, 3)))
    assert not same.shares.any() and not same.points.any()
    assert not principal_plane(np.ones((1, 3))).points.any()
