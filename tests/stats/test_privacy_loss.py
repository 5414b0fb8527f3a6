"""Privacy losses agree with their definition, integrated with 30 digits, and with dp-accounting and opacus for the same mechanism."""

import importlib.util
import logging
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from observability.stats.privacy_loss import ORDERS, added_losses, dpsgd_epsilon, gaussian_rdp, laplace_rdp, rdp_epsilon

INTEGERS = np.array([2.0, 3, 5, 16, 63])
SETTINGS = [(noise, rate) for noise in (0.6, 1.1, 2.0, 5.0) for rate in (0.0005, 0.01, 0.2, 0.9)]
OF_DP_ACCOUNTING = [
    (1.1, 0.01, 1000, 1e-5, 1.7117701662429012),
    (0.8, 0.05, 100, 1e-5, 6.6582571722378345),
    (2.0, 0.01, 10_000, 1e-6, 2.629141898585195),
    (4.0, 1.0, 1, 1e-5, 1.0125506277526433),
]
"""Noise multiplier, sampling rate, steps, δ, and ε by dp-accounting 0.6.0 (RdpAccountant, with its own orders). The accountant of opacus
1.6.0 agrees within 0.03 %: 1.711770, 6.656268, 2.629142, 1.012551.
"""


@pytest.mark.parametrize(("noise", "rate"), [(1.1, 0.01), (0.6, 0.2), (5.0, 0.01), (1.1, 0.3), (0.3, 0.5)])
def test_losses_at_fractional_and_whole_orders_are_those_of_the_definition(noise: float, rate: float) -> None:
    mpmath = pytest.importorskip("mpmath", reason="comes with sympy, torch and dp-accounting")
    orders = np.array([1.1, 1.5, 2.0, 2.5, 7.3, 10.9])

    def exact(order: float) -> float:
        scale = mpmath.mpf(noise)

        def shape(z: object) -> object:
            return mpmath.npdf(z, 0, scale) * ((1 - rate) + rate * mpmath.e ** ((2 * z - 1) / (2 * scale**2))) ** order

        ends = [-20 * noise, -5 * noise, 0, 0.5, 1, 2, 5, order + 5 * noise, order + 20 * noise]
        return float(mpmath.log(mpmath.quad(shape, sorted(ends))) / (order - 1))

    with mpmath.workdps(30):
        wanted = [exact(order) for order in orders]
    assert gaussian_rdp(noise, rate, 1, orders) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("noise", "rate"), SETTINGS)
def test_losses_agree_with_dp_accounting(noise: float, rate: float) -> None:
    dp = pytest.importorskip("dp_accounting", reason="an oracle of the tests")
    logging.getLogger("absl").setLevel(logging.ERROR)
    event = dp.PoissonSampledDpEvent(rate, dp.GaussianDpEvent(noise))
    accountant = dp.rdp.RdpAccountant(orders=list(INTEGERS))
    accountant.compose(event)
    assert gaussian_rdp(noise, rate, 1, INTEGERS) == pytest.approx(accountant._rdp, rel=1e-9)
    for steps, delta in ((1, 1e-5), (1000, 1e-8)):
        accountant = dp.rdp.RdpAccountant()
        accountant.compose(event, steps)
        theirs, ours = accountant.get_epsilon(delta), dpsgd_epsilon(noise, rate, steps, delta)
        assert ours <= theirs * (1 + 1e-9), "our value must not be above another upper bound of the same loss"
        if steps > 1 and theirs < 20:
            assert ours == pytest.approx(theirs, rel=0.05)


@pytest.mark.parametrize(("noise", "rate", "steps", "delta", "theirs"), OF_DP_ACCOUNTING)
def test_epsilon_is_that_of_dp_accounting_as_it_was_computed_once(
    noise: float, rate: float, steps: int, delta: float, theirs: float
) -> None:
    assert dpsgd_epsilon(noise, rate, steps, delta) == pytest.approx(theirs, rel=0.001)


def opacus_accountant() -> ModuleType:
    """The accountant of opacus, which needs only numpy and scipy; opacus itself imports torch."""
    found = importlib.util.find_spec("opacus")
    if found is None or found.origin is None:
        pytest.skip("an oracle of the tests")
    path = Path(found.origin).parent / "accountants" / "analysis" / "rdp.py"
    spec = importlib.util.spec_from_file_location("opacus_rdp", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:Optimal order is")
@pytest.mark.parametrize(("noise", "rate"), SETTINGS)
def test_losses_and_epsilon_agree_with_opacus(noise: float, rate: float) -> None:
    """Losses at integer orders, and the ε computed from them."""
    opacus = opacus_accountant()
    theirs = opacus.compute_rdp(q=rate, noise_multiplier=noise, steps=10, orders=list(INTEGERS))
    assert gaussian_rdp(noise, rate, 10, INTEGERS) == pytest.approx(theirs, rel=1e-9)
    losses = gaussian_rdp(noise, rate, 1000)
    epsilon, _ = opacus.get_privacy_spent(orders=list(ORDERS), rdp=list(losses), delta=1e-5)
    assert rdp_epsilon(losses, 1e-5) == pytest.approx(max(epsilon, 0.0), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0, 20.0])
def test_the_laplace_mechanism_agrees_with_dp_accounting_and_with_pure_privacy(scale: float) -> None:
    found = rdp_epsilon(laplace_rdp(scale), 1e-9)
    assert found <= 1 / scale + 0.02 * max(1.0, 1 / scale), "the mechanism is 1/scale private even without δ"
    dp = pytest.importorskip("dp_accounting", reason="an oracle of the tests")
    accountant = dp.rdp.RdpAccountant()
    accountant.compose(dp.LaplaceDpEvent(scale), 20)
    assert rdp_epsilon(laplace_rdp(scale, 20), 1e-6) == pytest.approx(accountant.get_epsilon(1e-6), rel=1e-6)


def test_privacy_losses_add_up_and_extreme_settings_have_the_expected_epsilon() -> None:
    one = gaussian_rdp(1.3, 0.02, 40)
    assert rdp_epsilon(added_losses([one, one, one]), 1e-5) == pytest.approx(dpsgd_epsilon(1.3, 0.02, 120, 1e-5))
    assert rdp_epsilon(added_losses([]), 1e-5) == 0.0
    assert dpsgd_epsilon(0.0, 0.1, 1, 1e-5) == dpsgd_epsilon(1.0, 0.1, 1, 0.0) == float("inf")
    assert dpsgd_epsilon(1.0, 0.1, 0, 1e-5) == dpsgd_epsilon(1.0, 0.0, 10, 1e-5) == 0.0
    wider = [dpsgd_epsilon(noise, 0.05, 100, 1e-5) for noise in (0.7, 1.0, 2.0, 8.0)]
    assert wider == sorted(wider, reverse=True), "more noise gives less loss"
    assert (np.diff(gaussian_rdp(1.0, 0.05)) >= -1e-12).all() and (ORDERS > 1).all()
