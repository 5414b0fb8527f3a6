"""Signal-to-noise ratios and structural similarity agree with an independent computation of their definitions, and with scikit-image if it
is installed.
"""

import numpy as np
import pytest

from observability.stats.fidelity import HIGHEST, peak_signal_to_noise, signal_to_noise, structural_similarity

RNG = np.random.default_rng


def pictures(seed: int, height: int = 24, width: int = 31) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture with some noise, and the same picture with more noise, in integers from 0 to 255."""
    rng = RNG(seed)
    y, x = np.mgrid[:height, :width]
    exact = np.clip(127 + 90 * np.sin(x / 5 + seed) * np.cos(y / 7) + rng.normal(0, 6, (height, width)), 0, 255).round()
    return exact, np.clip(exact + rng.normal(0, 12, exact.shape), 0, 255).round()


def ssim_window_by_window(exact: np.ndarray, stored: np.ndarray) -> float:
    """The formula of the paper, computed for each window of 11 x 11 pixels, one window at a time."""
    at = np.arange(-5, 6)
    weights = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2, found = (0.01 * 255) ** 2, (0.03 * 255) ** 2, []
    for row in range(exact.shape[0] - 10):
        for column in range(exact.shape[1] - 10):
            one, other = (each[row : row + 11, column : column + 11] for each in (exact, stored))
            means = [float((weights * each).sum()) for each in (one, other)]
            spreads = [float((weights * (each - mean) ** 2).sum()) for each, mean in zip((one, other), means, strict=True)]
            shared = float((weights * (one - means[0]) * (other - means[1])).sum())
            alike = (2 * means[0] * means[1] + c1) * (2 * shared + c2)
            found.append(alike / ((means[0] ** 2 + means[1] ** 2 + c1) * (spreads[0] + spreads[1] + c2)))
    return float(np.mean(found))


@pytest.mark.parametrize("seed", range(3))
def test_structural_similarity_is_the_mean_of_the_paper_s_formula_over_all_windows(seed: int) -> None:
    exact, stored = pictures(seed)
    found = structural_similarity(exact, stored)
    assert found == pytest.approx(ssim_window_by_window(exact, stored), abs=1e-10) and 0.3 < found < 0.999
    assert structural_similarity(exact, exact) == pytest.approx(1.0, abs=1e-12)


def test_a_picture_without_a_whole_window_has_no_structural_similarity() -> None:
    exact, stored = pictures(1, 10, 40)
    assert structural_similarity(exact, stored) is None


def test_ratios_are_decibels_of_powers_and_equal_values_have_the_highest() -> None:
    exact = np.array([3.0, -4.0, 0.0, 0.0])
    stored = exact + np.array([0.1, -0.1, 0.1, -0.1])
    assert signal_to_noise(exact, stored) == pytest.approx(10 * np.log10((25 / 4) / 0.01))
    assert peak_signal_to_noise(exact, stored, 10.0) == pytest.approx(40.0)
    assert (signal_to_noise(exact, exact), peak_signal_to_noise(exact, exact, 1.0)) == (HIGHEST, HIGHEST)
    assert signal_to_noise(np.zeros(4), stored) == -HIGHEST


@pytest.mark.parametrize("seed", range(3))
def test_figures_agree_with_scikit_image(seed: int) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    exact, stored = pictures(seed, 90, 120)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255.0}
    assert structural_similarity(exact, stored) == pytest.approx(metrics.structural_similarity(exact, stored, **options), abs=1e-10)
    assert peak_signal_to_noise(exact, stored, 255.0) == pytest.approx(metrics.peak_signal_noise_ratio(exact, stored, data_range=255.0))
