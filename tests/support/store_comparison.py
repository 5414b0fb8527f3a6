"""Compares the answers of two engines."""

import numpy as np

FIGURES = ("n", "w", "w2", "total", "squares", "low", "high")


def assert_same(got, wanted, *, extremes=True, about=None):
    """Assert that two answers have equal columns, types, keys and counts. Floats may differ by 1e-9 of the sum of absolute values.
    extremes: whether low and high must be equal too; otherwise their range may be wider.
    """
    assert list(got.columns) == list(wanted.columns), about
    keys = [name for name in wanted.columns if name not in FIGURES]
    assert got[[*keys, "n"]].to_dict("list") == wanted[[*keys, "n"]].to_dict("list"), about
    assert got.dtypes.astype(str).to_dict() == wanted.dtypes.astype(str).to_dict(), about
    for name in set(FIGURES) & set(wanted.columns):
        a, b = got[name].to_numpy(np.float64), wanted[name].to_numpy(np.float64)
        if name in ("low", "high"):
            slack = 1e-9 * np.maximum(np.abs(b), 1e-3)
            within = np.abs(a - b) <= slack if extremes else (a <= b + slack) if name == "low" else (a >= b - slack)
            assert within.all(), (about, name, a, b)
            continue
        scale = np.sqrt((wanted["w"] * wanted["squares"]).clip(lower=0)).to_numpy() if name == "total" else np.abs(b)
        assert (np.abs(a - b) <= 1e-9 * np.maximum(scale, np.abs(b)) + 1e-12).all(), (about, name, a, b)


def assert_same_rollups(got, wanted):
    """Assert equal counts, and sums that differ by at most 1e-9. Each argument consists of the rows of the counts table and of the sums
    table.
    """
    (counts, sums), (wanted_counts, wanted_sums) = got, wanted
    assert counts == wanted_counts
    assert [row[:6] for row in sums] == [row[:6] for row in wanted_sums]
    figures, expected = (np.array([row[6:] for row in rows], float) for rows in (sums, wanted_sums))
    np.testing.assert_allclose(figures, expected, rtol=1e-9, atol=2e-6)  # the values are rounded to 1e-6
