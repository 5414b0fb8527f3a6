"""Do the judgements about curves find what was planted, by known answers, and leave clean curves alone, at which rate?"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.stats import curve

SEEDS = 200


def learning(n: int, seed: int, sd: float, *, kind: str = "power", noise: str = "normal") -> np.ndarray:
    """A loss that goes on improving, with noise."""
    rng, t = np.random.default_rng(seed), np.arange(1, n + 1)
    trend = {"power": 0.3 + 2 * t**-0.35, "exponential": 0.3 + 0.7 * np.exp(-t / (n / 2.5)), "line": 1 - 0.7 * t / n}[kind]
    drawn = rng.normal(0, sd, n) if noise == "normal" else rng.laplace(0, sd / np.sqrt(2), n)
    return trend + drawn


@pytest.mark.parametrize("kind", ["power", "exponential", "line"])
@pytest.mark.parametrize(("n", "sd"), [(30, 0.02), (200, 0.02)])
def test_nothing_is_found_on_clean_curves(kind: str, n: int, sd: float) -> None:
    """0 of 200 seeds for each shape, length and noise of up to a twentieth of the progress."""
    steps, alarms = np.arange(n), 0
    for seed in range(SEEDS):
        training, held_out = learning(n, seed, sd, kind=kind), 0.05 + learning(n, 10_000 + seed, sd, kind=kind)
        alarms += bool(curve.spikes(training)) + (curve.divergence(training) is not None) + (curve.plateau(held_out) is not None)
        alarms += curve.overfitting(steps, held_out, steps, training) is not None
    assert alarms == 0


def test_heavy_tails_seldom_make_a_spike() -> None:
    """Laplace noise, a thousand steps: at most 4 % of curves; normal noise: none."""
    rate = {
        noise: np.mean([bool(curve.spikes(learning(1000, seed, 0.05, noise=noise))) for seed in range(SEEDS)])
        for noise in ("normal", "laplace")
    }
    assert rate["normal"] == 0 and rate["laplace"] <= 0.04


def test_a_spike_is_found_where_it_was_planted_and_its_recovery_too() -> None:
    found = 0
    for seed in range(40):
        loss = learning(200, seed, 0.01)
        loss[120:126] += np.array([0.8, 0.7, 0.6, 0.5, 0.35, 0.3])
        (spike, *others) = curve.spikes(loss) or [None]
        found += spike is not None and spike.at == 120 and not others and spike.recovered in (125, 126) and not spike.early
        assert spike is not None and spike.before == pytest.approx(np.median(loss[115:120]))
    assert found == 40


def test_a_spike_that_stays_and_one_at_the_very_end() -> None:
    loss = learning(200, 1, 0.01)
    stays, late = loss.copy(), loss.copy()
    stays[150:] += 0.5
    late[198:] += 0.5
    assert [(each.at, each.recovered, each.early) for each in curve.spikes(stays)] == [(150, None, False)]
    assert [(each.at, each.recovered, each.early) for each in curve.spikes(late)] == [(198, None, True)]


def test_a_jump_for_the_better_or_a_tiny_one_is_no_spike() -> None:
    loss = 1 - 0.004 * np.arange(200) + np.random.default_rng(2).normal(0, 1e-4, 200)
    better, tiny = loss.copy(), loss.copy()
    better[100:] -= 0.3
    tiny[100] += 0.02
    assert curve.spikes(better) == [] and curve.spikes(tiny) == []


def test_losses_over_decades_are_judged_by_their_logarithm() -> None:
    rng = np.random.default_rng(3)
    loss = np.exp(np.linspace(3, -6, 300) + rng.normal(0, 0.02, 300))
    loss[250] *= 20
    assert [each.at for each in curve.spikes(loss)] == [250]


def test_divergence_says_how_much_was_given_up() -> None:
    loss = np.concatenate([np.linspace(1.0, 0.2, 100), np.linspace(0.2, 0.9, 60)]) + np.random.default_rng(4).normal(0, 0.01, 160)
    found = curve.divergence(loss)
    assert found is not None and abs(found.at - 100) <= 8
    assert found.low <= found.value <= found.high and found.value == pytest.approx(loss[-8:].mean() - loss[95:105].mean(), abs=0.03)
    assert curve.divergence(loss[:110]) is None


def test_overfitting_names_the_best_stretch_and_needs_training_to_improve() -> None:
    t, rng = np.arange(100), np.random.default_rng(5)
    training = 0.2 + np.exp(-t / 40) + rng.normal(0, 0.005, 100)
    held_out = 0.4 + np.exp(-t / 20) + 0.004 * np.clip(t - 60, 0, None) + rng.normal(0, 0.005, 100)
    smooth_best = int((0.4 + np.exp(-t / 20) + 0.004 * np.clip(t - 60, 0, None)).argmin())
    found = curve.overfitting(t, held_out, t, training)
    assert found is not None and abs(found.at - smooth_best) <= 8 and found.low > 0
    flat = np.where(t < found.at, training, training[found.at]) + rng.normal(0, 0.005, 100)
    assert curve.overfitting(t, held_out, t, flat) is None
    assert curve.overfitting(t[:60], held_out[:60], t[:60], training[:60]) is None


def test_overfitting_of_metrics_that_are_logged_at_other_steps() -> None:
    t = np.arange(400)
    training = 0.2 + np.exp(-t / 150)
    every = t[::20]
    held_out = 0.4 + np.exp(-every / 60) + 0.002 * np.clip(every - 200, 0, None)
    found = curve.overfitting(every, held_out, t, training)
    assert found is not None and abs(every[found.at] - 200) <= 60


def test_a_plateau_begins_where_the_curve_stops() -> None:
    for seed in range(20):
        t, rng = np.arange(300), np.random.default_rng(seed)
        loss = 0.2 + np.clip(1 - t / 120, 0, None) + rng.normal(0, 0.01, 300)
        found = curve.plateau(loss)
        assert found is not None and 105 <= found.at <= 150
        assert found.low <= found.value <= found.high <= 0.02 * 1.1


def test_a_curve_that_still_improves_or_is_too_noisy_or_too_short_has_no_plateau() -> None:
    t, rng = np.arange(300), np.random.default_rng(6)
    assert curve.plateau(1 - t / 300 + rng.normal(0, 0.01, 300)) is None
    assert curve.plateau(0.2 + np.clip(1 - t[:60] / 20, 0, None) + rng.normal(0, 0.4, 60)) is None
    assert curve.plateau(np.ones(15)) is None and curve.plateau(np.ones(100)) is None


def test_a_curve_that_falls_and_rises_is_not_flat_from_before_its_fall() -> None:
    t = np.arange(90)
    loss = np.where(t < 30, 1 - t / 30, 0) + 0.06 * np.abs(t - 55) / 30 + np.random.default_rng(7).normal(0, 0.002, 90)
    found = curve.plateau(loss)
    assert found is not None and found.at >= 40  # from 40 on less than 2 % of the progress is still to come


def test_noise_is_that_which_was_put_in_whatever_the_trend() -> None:
    for kind in ("power", "line"):
        sds = [curve.noise(learning(300, seed, 0.03, kind=kind)[60:]).sd for seed in range(30)]
        assert np.median(sds) == pytest.approx(0.03, rel=0.12)
    rng, values = np.random.default_rng(8), np.zeros(600)
    for i in range(1, 600):
        values[i] = 0.6 * values[i - 1] + rng.normal(0, 0.8)
    assert curve.noise(values).inflation == pytest.approx(4.0, rel=0.4)
    assert np.isnan(curve.noise(np.ones(5)).sd)


def test_smoothing_is_pandas_exponential_mean() -> None:
    values = np.random.default_rng(9).normal(size=200)
    assert curve.smooth(values, 0.8) == pytest.approx(pd.Series(values).ewm(alpha=0.2, adjust=True).mean().to_numpy())
    gaps = values.copy()
    gaps[[0, 5, 6]] = np.nan
    smoothed = curve.smooth(gaps, 0.5)
    assert np.isnan(smoothed[0]) and np.isfinite(smoothed[1:]).all()
    assert smoothed == pytest.approx(pd.Series(gaps).ewm(alpha=0.5, adjust=True, ignore_na=False).mean().to_numpy(), nan_ok=True)
    assert curve.smooth(values, 0.0) == pytest.approx(values)
    with pytest.raises(ValueError, match="below 1"):
        curve.smooth(values, 1.0)


def test_thinning_keeps_ends_and_extremes() -> None:
    values = np.random.default_rng(10).normal(size=100_000)
    values[[777, 55_555]] = (50.0, -50.0)
    values[20_000:21_000] = np.nan
    kept = curve.thin(values, 1000)
    assert len(kept) <= 1100 and {0, 777, 55_555, 99_999} <= set(kept.tolist()) and (np.diff(kept) > 0).all()
    assert curve.thin(values[:50], 100).tolist() == list(range(50))


def test_the_interval_of_a_median_covers_it() -> None:
    rng, covered = np.random.default_rng(11), 0
    for _ in range(400):
        _, low, high = curve.median_interval(rng.exponential(size=25))
        covered += low <= np.log(2) <= high
    assert covered >= 0.93 * 400
    middle, low, high = curve.median_interval(np.arange(25.0))
    assert (middle, low, high) == (12.0, 7.0, 17.0)  # order statistics 8 and 18 of 25 (Conover, table A3)
    assert stats.binom.cdf(7, 25, 0.5) < 0.025
