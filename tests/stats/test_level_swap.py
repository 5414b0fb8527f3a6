"""The signed likelihood roots of levels and the p-value of a swap equal independent computations."""

import numpy as np
import pytest
from scipy import stats

from observability.stats.level_swap import LevelShares, LevelSwap, find_level_swap, level_shares, past_day_excesses, signed_likelihood_roots
from tests.support.length import some

ENDLESS = 1e6


def compared(before: list[float], now: list[float], **changed) -> LevelShares:
    a, b = np.array(before, float), np.array(now, float)
    own = {"from_days": np.zeros(a.size), "freedom": ENDLESS, "judged": np.ones(a.size, bool), "wild": 1.0} | changed
    days, sizes = own["from_days"][None], ([a.sum()], [b.sum()])
    return level_shares(a[None], b[None], sizes, days, [own["freedom"]], own["judged"], [own["wild"]])[0]


def test_the_root_of_a_level_is_the_likelihood_ratio_that_scipy_gives() -> None:
    before, now = np.array([400, 300, 200, 100]), np.array([50, 20, 25, 5])
    found = signed_likelihood_roots(before / before.sum(), now / now.sum(), before.sum(), now.sum())
    for place in range(4):
        table = [[before[place], before.sum() - before[place]], [now[place], now.sum() - now[place]]]
        expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
        assert found[place] ** 2 == pytest.approx(expected, rel=1e-9)
        assert np.sign(found[place]) == np.sign(now[place] / now.sum() - before[place] / before.sum())


def test_a_level_that_vanished_has_a_root_and_empty_sides_have_no_trade() -> None:
    assert np.isfinite(signed_likelihood_roots(np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.6, 0.4]), 100, 100)).all()
    assert find_level_swap(compared([0, 0, 0], [1, 2, 3])) is None
    assert find_level_swap(compared([5, 5], [9, 1])) is None, "of two levels, one always gains what the other loses"


def test_two_levels_that_changed_places_are_found_with_their_shares() -> None:
    found = find_level_swap(compared([50, 30, 20, 900], [30, 50, 20, 900]))
    assert isinstance(found, LevelSwap) and (found.fell, found.rose) == (0, 1)
    assert found.before == (0.05, 0.03) and found.now == (0.03, 0.05) and found.changes == pytest.approx((0.02, 0.02)) and found.rest == 0


def test_added_rows_dilute_the_other_levels_in_proportion_to_their_shares() -> None:
    """By hand: a tenth of the rows is added, all in the smallest of three levels, or all rows in the largest less a tenth."""
    more = find_level_swap(compared([550, 300, 150], [495, 270, 235]))
    assert more is not None and (more.fell, more.rose) == (0, 2)
    assert more.changes[0] / more.changes[1] == pytest.approx(more.diluted) == pytest.approx(0.55 / 0.85)
    less = find_level_swap(compared([550, 300, 150], [450 / 0.9, 300 / 0.9, 150 / 0.9]))
    assert less is not None and less.changes[0] / less.changes[1] == pytest.approx(less.diluted) == pytest.approx(0.3 / 0.45)
    small = find_level_swap(compared([50, 30, 20, 900], [30, 50, 20, 900]))
    assert small is not None and small.diluted == pytest.approx(0.05 / 0.97)


@pytest.mark.parametrize(("levels", "n", "m"), some([(40, 500, 20_000), (3, 500, 5000), (15, 100, 3000), (100, 1000, 20_000)], 2))
def test_small_p_values_of_clean_windows_are_as_rare_as_stated(levels: int, n: int, m: int) -> None:
    """Of 4,000 clean windows, at most the stated share has a smaller p-value, within four standard errors. This holds even with five rows
    per level.
    """
    rng = np.random.default_rng(levels)
    shares = rng.dirichlet(np.full(levels, 1.5))
    sides = zip(rng.multinomial(m, shares, 4000), rng.multinomial(n, shares, 4000), strict=True)
    found = [find_level_swap(compared(a, b, judged=a >= 0.01 * m)) for a, b in sides]
    p_values = np.array([1.0 if each is None else each.p_value for each in found])
    for p in (0.1, 0.01):
        assert (p_values <= p).mean() <= p + 4 * np.sqrt(p / 4000)
    assert (p_values <= 0.1).mean() >= 0.03, "the p-values are not too conservative either"


def test_variance_between_days_and_wild_days_raise_the_p_value_of_a_swap() -> None:
    before, now = [500, 300, 200, 9000], [25, 55, 20, 900]
    sure = find_level_swap(compared(before, now)).p_value
    unsure = find_level_swap(compared(before, now, from_days=np.full(4, 1e-4), freedom=20)).p_value
    wild = find_level_swap(compared(before, now, wild=2.0)).p_value
    assert sure < 1e-3 < min(unsure, wild)


def test_wild_days_are_measured_on_the_past() -> None:
    rng = np.random.default_rng(5)
    shares, judged, nothing = np.full(20, 0.05), np.ones(20, bool), np.zeros(20)
    past = rng.multinomial(500, shares, (50, 28)) / 500
    calm = past_day_excesses(past, np.full((50, 28), 500.0), np.tile(nothing, (50, 1)), judged)
    assert np.mean(np.array(calm) > 1) <= 0.6 and max(calm) < 1.4
    days = rng.multinomial(500, shares, 28) / 500
    days[3, 0], days[3, 1] = 0.2, 0.0
    (excess,) = past_day_excesses(days[None], np.full((1, 28), 500.0), nothing[None], judged)
    assert excess > 1.5
    some = np.full((2, 28), 500.0)
    some[1, 3] = 0.0  # one column has no rows on the unusual day
    assert past_day_excesses(np.stack([days, days]), some, np.zeros((2, 20)), judged) == [excess, pytest.approx(1.0, abs=0.2)]
