"""Measure how close a stored picture or sound is to the exact one: signal-to-noise ratios and structural similarity."""

import numpy as np

from observability.stats.arrays import Floats

SIGMA, RADIUS = 1.5, 5
"""Standard deviation and radius, in pixels, of the weights of a window of structural similarity: 11 x 11 pixels."""
K1, K2 = 0.01, 0.03
"""Constants of structural similarity, as shares of the peak."""
HIGHEST = 100.0
"""Decibels assigned to files that are stored without any difference, so that means over files stay finite."""


def peak_signal_to_noise(exact: Floats, stored: Floats, peak: float) -> float:
    """Return the peak signal-to-noise ratio: 10 log10(peak² / mean squared error).

    Parameters
    ----------
    exact : ndarray of float
        Values as they are.
    stored : ndarray of float
        The same values after they were stored and read.
    peak : float
        The largest value that can be: 255 for pictures of 8 bits, 1 for sound between -1 and 1.

    Returns
    -------
    float
        Decibels, at most HIGHEST, which equal values have.
    """
    return _decibels(peak**2, float(np.mean((stored - exact) ** 2)))


def signal_to_noise(exact: Floats, stored: Floats) -> float:
    """Return the signal-to-noise ratio: 10 log10(mean square of the signal / mean squared error).

    Parameters
    ----------
    exact : ndarray of float
        Values as they are.
    stored : ndarray of float
        The same values after they were stored and read.

    Returns
    -------
    float
        Decibels, at most HIGHEST. Silence that is not stored as silence has -HIGHEST.
    """
    return _decibels(float(np.mean(exact**2)), float(np.mean((stored - exact) ** 2)))


def _decibels(signal: float, noise: float) -> float:
    """Ten times the logarithm of a ratio, within HIGHEST on either side."""
    if noise <= 0:
        return HIGHEST
    return float(np.clip(10 * np.log10(signal / noise), -HIGHEST, HIGHEST)) if signal > 0 else -HIGHEST


def structural_similarity(exact: Floats, stored: Floats, peak: float = 255.0) -> float | None:
    """Return the mean structural similarity (SSIM) of two pictures.

    Weighted means, variances and covariance of each window of 11 x 11 pixels with Gaussian weights; windows that reach beyond the edge are
    left out.

    Parameters
    ----------
    exact : ndarray of float, (height, width)
        Luminance of the picture as it is.
    stored : ndarray of float, (height, width)
        That of the stored picture.
    peak : float
        The largest value that can be.

    Returns
    -------
    float or None
        At most 1, the value of equal pictures; None for a picture with fewer than 11 pixels in a direction.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to structural similarity", 2004.
    """
    from scipy.ndimage import gaussian_filter

    if min(exact.shape) < 2 * RADIUS + 1:
        return None

    def mean(values: Floats) -> Floats:
        found: Floats = gaussian_filter(values, SIGMA, radius=RADIUS)[RADIUS:-RADIUS, RADIUS:-RADIUS]
        return found

    one, other = mean(exact), mean(stored)
    spread, other_spread = mean(exact**2) - one**2, mean(stored**2) - other**2
    shared = mean(exact * stored) - one * other
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    alike = (2 * one * other + c1) * (2 * shared + c2)
    return float(np.mean(alike / ((one**2 + other**2 + c1) * (spread + other_spread + c2))))
