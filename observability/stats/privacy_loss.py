"""Compute the privacy loss of releases with noise. Rényi losses of Gaussian and Laplace mechanisms are added up and turned into ε at a δ.

Neighbouring datasets differ by one record that is added or removed. Losses at the same order add up over releases of one dataset to one
recipient. A curve over orders is therefore kept, and not an ε.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, logsumexp

from observability.stats.arrays import Floats

ORDERS: Floats = np.array(
    [1 + x / 10 for x in range(1, 100)] + list(range(11, 64)) + [64, 80, 96, 128, 192, 256, 384, 512, 768, 1024], dtype=float
)
"""Orders α of the curves: close together below 11, where the best order of most releases lies."""
TAIL, MAX_POINTS = 12.0, 200_000
"""Number of standard deviations of the noise beyond which a moment of a fractional order is not integrated, and maximum number of points of
the integration rule.
"""


def gaussian_rdp(noise_multiplier: float, sampling_rate: float = 1.0, steps: int = 1, orders: ArrayLike = ORDERS) -> Floats:
    """Rényi privacy loss of the Gaussian mechanism on a Poisson sample of the records, over several steps.

    Parameters
    ----------
    noise_multiplier : float
        Standard deviation of the noise over the sensitivity in the L2 norm (over the clipping norm in DP-SGD); above 0.
    sampling_rate : float
        Probability with which each record is in a step; from 0 to 1, where 1 is the mechanism without sampling.
    steps : int
        Number of steps.
    orders : ArrayLike
        Orders α above 1.

    Returns
    -------
    Floats
        The loss at each order; infinite without noise.

    Notes
    -----
    Integer orders are the paper's binomial sum. Fractional orders are integrated numerically, where the paper's series converges slowly;
    dp-accounting adds the absolute values of that series and is therefore up to 25 % above these at orders near 1.

    References
    ----------
    I. Mironov, K. Talwar and L. Zhang, "Rényi differential privacy of the sampled Gaussian mechanism", arXiv:1908.10530, 2019, section 3.3.
    """
    at = np.asarray(orders, float)
    if sampling_rate == 0 or steps == 0:
        return np.zeros(at.shape)
    if noise_multiplier <= 0:
        return np.full(at.shape, np.inf)
    if sampling_rate >= 1:
        return steps * at / (2 * noise_multiplier**2)
    whole = at == np.floor(at)
    log_moments = np.empty(at.shape)
    log_moments[whole] = [_integer_log_moment(int(order), sampling_rate, noise_multiplier) for order in at[whole]]
    log_moments[~whole] = _fractional_log_moments(at[~whole], sampling_rate, noise_multiplier)
    return steps * np.maximum(log_moments, 0.0) / (at - 1)


def laplace_rdp(scale: float, steps: int = 1, orders: ArrayLike = ORDERS) -> Floats:
    """Rényi privacy loss of the Laplace mechanism over several steps.

    Parameters
    ----------
    scale : float
        Scale of the noise over the sensitivity in the L1 norm; above 0.
    steps : int
        Number of steps.
    orders : ArrayLike
        Orders α above 1.

    Returns
    -------
    Floats
        The loss at each order.

    References
    ----------
    I. Mironov, "Rényi differential privacy", IEEE CSF 2017, proposition 6.
    """
    at = np.asarray(orders, float)
    if scale <= 0:
        return np.full(at.shape, np.inf)
    likelier = np.log(at / (2 * at - 1)) + (at - 1) / scale
    rarer = np.log((at - 1) / (2 * at - 1)) - at / scale
    return steps * np.logaddexp(likelier, rarer) / (at - 1)


def rdp_epsilon(rdp: ArrayLike, delta: float, orders: ArrayLike = ORDERS) -> float:
    """The smallest ε at a δ that a curve of Rényi privacy losses implies.

    Parameters
    ----------
    rdp : ArrayLike
        Loss at each order, added up over all releases.
    delta : float
        δ; above 0 and below 1.
    orders : ArrayLike
        Orders of the curve.

    Returns
    -------
    float
        ε, at least 0; infinite where no order gives a finite one.

    References
    ----------
    B. Balle, G. Barthe, M. Gaboardi, J. Hsu and T. Sato, "Hypothesis testing interpretations and Rényi differential privacy", AISTATS 2020,
    theorem 21; C. Canonne, G. Kamath and T. Steinke, "The discrete Gaussian for differential privacy", NeurIPS 2020, proposition 12.
    """
    at, loss = np.asarray(orders, float), np.asarray(rdp, float)
    if not loss.any():
        return 0.0
    if not 0 < delta < 1:
        return float("inf")
    found = loss + np.log1p(-1 / at) - (np.log(delta) + np.log(at)) / (at - 1)
    finite = found[np.isfinite(found)]
    return max(float(finite.min()), 0.0) if finite.size else float("inf")


def dpsgd_epsilon(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """ε at a δ of the subsampled Gaussian mechanism over several steps, as DP-SGD takes them.

    Parameters
    ----------
    noise_multiplier : float
        Standard deviation of the noise over the sensitivity; above 0.
    sampling_rate : float
        Probability with which each record is in a step.
    steps : int
        Number of steps.
    delta : float
        δ; above 0 and below 1.

    Returns
    -------
    float
        ε.

    References
    ----------
    M. Abadi and others, "Deep learning with differential privacy", CCS 2016; Mironov and others (2019), as in `gaussian_rdp`.

    Examples
    --------
    >>> round(dpsgd_epsilon(1.1, 0.01, 1000, 1e-5), 2)
    1.71
    """
    return rdp_epsilon(gaussian_rdp(noise_multiplier, sampling_rate, steps), delta)


def _integer_log_moment(order: int, rate: float, noise: float) -> float:
    """Logarithm of the moment A of an integer order: a sum of binomial terms."""
    k = np.arange(order + 1)
    binomial = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    terms = binomial + k * np.log(rate) + (order - k) * np.log1p(-rate) + (k * k - k) / (2 * noise**2)
    return float(logsumexp(terms))


def _fractional_log_moments(orders: Floats, rate: float, noise: float) -> Floats:
    """Logarithms of the moments A of fractional orders: their definition, integrated by the trapezoidal rule.

    A is the mean of ((1 - q) + q exp((2z - 1) / 2σ²))^α over z ~ N(0, σ²). The integrand is smooth and vanishes at both ends, where the
    rule converges exponentially.
    """
    low, high = -TAIL * noise, float(orders.max(initial=1.0)) + TAIL * noise
    points = int(min(max((high - low) / (min(noise, noise**2) / 16), 500), MAX_POINTS))
    z, width = np.linspace(low, high, points, retstep=True)
    log_ratio = np.logaddexp(np.log1p(-rate), np.log(rate) + (2 * z - 1) / (2 * noise**2))
    log_density = -(z**2) / (2 * noise**2) - np.log(noise * np.sqrt(2 * np.pi)) + np.log(width)
    return np.array([logsumexp(order * log_ratio + log_density) for order in orders])


def added_losses(curves: Sequence[Floats]) -> Floats:
    """The losses of several releases at the same orders, added up; zeros without a release.

    Parameters
    ----------
    curves : sequence of Floats
        Loss of each release at ORDERS.

    Returns
    -------
    Floats
        Their sum.
    """
    return np.sum(curves, axis=0) if len(curves) else np.zeros(ORDERS.shape)
