"""Cells in which the coverage of a nominal 95 % interval is checked: how to draw a sample, and the true value of its distribution.

The true value is computed from the distribution itself (by hand, or with numpy from the probabilities of its cells), never with the
function under test. capped: means, rates with n p ≥ 10 and ROC AUC must not be conservative either. bounded: a distance whose true value is
zero; its interval may always contain zero.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from observability.detection import histogram_distance
from observability.metrics.histograms import ColumnAxis, ColumnHistogram, grouped_counts
from observability.stats import calibration, confusion, difference_intervals, distance, group, interval, quantile, ratio, score_intervals
from observability.stats.interval import Interval, Moments
from observability.stats.quantile import LOG_EDGES

MINIMUM, MAXIMUM = 0.93, 0.98
Draw = Callable[[np.random.Generator], Interval | tuple[float | None, float | None]]


@dataclass(frozen=True)
class Cell:
    """One cell. family: the kind of interval; where: n, rate and other settings in words. draw: a function that simulates one interval."""

    family: str
    where: str
    truth: float
    draw: Draw
    capped: bool = False
    bounded: bool = False


def coverage(cell: Cell, runs: int, seed: int = 1) -> tuple[float, int]:
    """The share of simulations whose interval contains the truth, and the number of simulations that gave an interval."""
    rng = np.random.default_rng([seed, len(cell.where), *cell.where.encode()])
    held = known = 0
    for _ in range(runs):
        found = cell.draw(rng)
        low, high = (found.low, found.high) if isinstance(found, Interval) else found
        if low is None and high is None:
            continue
        known += 1
        held += (low is None or low <= cell.truth + 1e-12) and (high is None or high >= cell.truth - 1e-12)
    return held / max(known, 1), known


def verdict(cell: Cell, share: float, runs: int) -> str:
    """Whether the cell meets its goal. At the small sizes of a test, there is a tolerance of at most three simulation errors at 0.95."""
    slack = 0.0 if runs >= 2000 else 3 * float(np.sqrt(0.95 * 0.05 / runs)) - 0.02
    if share < MINIMUM - max(slack, 0.0):
        return "TOO NARROW"
    return "TOO WIDE" if cell.capped and share > MAXIMUM + max(slack, 0.0) / 2 else "held"


def moments(values: np.ndarray) -> Moments:
    """The moments of a sample."""
    return Moments(float(values.size), float(values.sum()), float(values @ values))


def rates() -> Iterator[Cell]:
    """Cells for the intervals of one proportion, of two proportions, of their ratio, and of F1."""
    for n in (30, 100, 500, 5000):
        for p in (0.0, 0.01, 0.05, 0.2, 0.5, 0.9):
            yield Cell(
                "rate",
                f"n {n}, p {p}",
                p,
                lambda rng, n=n, p=p: interval.rate_interval(rng.binomial(n, p), n),
                capped=n * min(p, 1 - p) >= 10,
            )
    for n, m in ((100, 100), (100, 5000), (1000, 1000)):
        for p, effect in ((0.02, 0.0), (0.02, 0.05), (0.2, 0.0), (0.2, 0.1), (0.8, 0.1)):

            def two(rng, n=n, m=m, p=p, effect=effect):
                return rng.binomial(n, p + effect), n, rng.binomial(m, p), m

            where = f"n {n} and {m}, p {p}, effect {effect}"
            capped = min(n, m) * min(p, 1 - p, 1 - p - effect) >= 10
            yield Cell(
                "difference of rates",
                where,
                effect,
                lambda rng, two=two: difference_intervals.rate_difference_interval(*two(rng)),
                capped=capped,
            )
            yield Cell("ratio of rates", where, (p + effect) / p, lambda rng, two=two: difference_intervals.rate_ratio_interval(*two(rng)))
    for n in (100, 1000):
        for chances in ((0.3, 0.1, 0.1), (0.04, 0.03, 0.03), (0.02, 0.2, 0.05)):
            truth = 2 * chances[0] / (2 * chances[0] + chances[1] + chances[2])

            def f1(rng, n=n, chances=chances):
                tp, fp, fn, _ = rng.multinomial(n, [*chances, 1 - sum(chances)])
                return score_intervals.f1_interval(tp, fp, fn)

            yield Cell("F1", f"n {n}, TP FP FN {chances}", truth, f1)


def means() -> Iterator[Cell]:
    """Cells for the intervals of one mean, of two means, of RMSE, of R², and of a ratio of totals by day."""
    shapes = {"normal": (lambda rng, n: rng.normal(3, 2, n), 3.0), "exponential": (lambda rng, n: rng.exponential(1, n), 1.0),
              "t with 5": (lambda rng, n: rng.standard_t(5, n), 0.0)}  # fmt: skip
    for n in (30, 100, 500, 5000):
        for name, (draw, truth) in shapes.items():
            if n >= 100 or name != "exponential":
                yield Cell(
                    "mean", f"n {n}, {name}", truth, lambda rng, n=n, draw=draw: interval.mean_interval(moments(draw(rng, n))), capped=True
                )
    for n in (100, 1000):
        for name, draw, deviation in (("normal", lambda rng, n: rng.normal(0, 2, n), 2.0),
                                      ("t with 8", lambda rng, n: rng.standard_t(8, n), np.sqrt(8 / 6))):  # fmt: skip
            yield Cell(
                "RMSE",
                f"n {n}, {name}",
                float(deviation),
                lambda rng, n=n, draw=draw: score_intervals.rmse_interval(moments(draw(rng, n) ** 2)),
            )
            for spread in (2.0, 6.0):

                def r2(rng, n=n, draw=draw, spread=spread):
                    error, score = draw(rng, n), rng.normal(10, spread, n)
                    return score_intervals.r2_interval(moments(error**2), moments(score + error))

                truth = 1 - deviation**2 / (spread**2 + deviation**2)
                yield Cell("R²", f"n {n}, {name}, spread {spread}", float(truth), r2)
    for days in (7, 28):

        def per(rng, days=days):
            size = rng.poisson(500, days)
            return ratio.ratio_of_totals_interval(size * 0.3 + rng.normal(0, 20, days), size)

        yield Cell("ratio of totals", f"{days} days", 0.3, per)


def rankings() -> Iterator[Cell]:
    """Cells for ROC AUC and PR AUC of scores in 200 bins."""
    edges = np.linspace(-4, 6, 199)

    def chances(shift: float) -> np.ndarray:
        return np.diff(np.concatenate([[0.0], stats.norm.cdf(edges - shift), [1.0]]))

    negative = chances(0.0)
    for shift in (0.0, 0.8, 2.0):
        positive = chances(shift)
        auc = float(positive @ (np.cumsum(negative) - negative / 2))
        for wanted, others in ((20, 200), (50, 50), (100, 900), (1000, 9000)):

            def roc(rng, positive=positive, wanted=wanted, others=others):
                return score_intervals.auc_interval(rng.multinomial(wanted, positive), rng.multinomial(others, negative))

            def pr(rng, positive=positive, wanted=wanted, others=others):
                hits, rest = rng.multinomial(wanted, positive).astype(float), rng.multinomial(others, negative).astype(float)
                return score_intervals.average_precision_interval(confusion.average_precision(hits, rest), wanted)

            found, seen = np.cumsum(positive[::-1] * wanted), np.cumsum(positive[::-1] * wanted + negative[::-1] * others)
            precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
            yield Cell("ROC AUC", f"{wanted} and {others}, shift {shift}", auc, roc, capped=True)
            if wanted >= 100:
                yield Cell("PR AUC", f"{wanted} and {others}, shift {shift}", float(positive[::-1] @ precision), pr)


def distances() -> Iterator[Cell]:
    """Cells for PSI and ECE, some with a true value of zero (bounded), others with one above zero."""
    cuts = stats.norm.ppf(np.arange(1, 10) / 10)
    axis = ColumnAxis(10, np.arange(12), cuts, np.arange(10.0), 1.0, None)
    for n, m in ((500, 5000), (3500, 5000), (3500, 50_000)):
        for shift in (0.0, 0.2, 0.5, 1.0):
            p = np.full(10, 0.1)
            q = np.diff(np.concatenate([[0.0], stats.norm.cdf(cuts - shift), [1.0]]))

            def psi(rng, n=n, m=m, p=p, q=q):
                sides = [
                    ColumnHistogram(np.concatenate([rng.multinomial(size, chance), [0, 0]]).astype(float), float(size), size)
                    for size, chance in ((m, p), (n, q))
                ]
                base, now = (grouped_counts(each, axis.group) for each in sides)
                groups = distance.occupied_bins(base, now)
                return histogram_distance.interval_around(distance.psi(base, now), groups, (base, now), (sides[0].n, sides[1].n))

            yield Cell("PSI", f"n {n} and {m}, shift {shift}", float(np.sum((q - p) * np.log(q / p))), psi, bounded=shift == 0)
    scores = (np.arange(100) + 0.5) / 100
    for n in (500, 3500):
        for off in (0.0, 0.03, 0.08):
            truth = float(np.mean(np.abs(np.clip(scores + off, 0, 1) - scores)))

            def ece(rng, n=n, off=off):
                total = rng.multinomial(n, np.full(100, 0.01)).astype(float)
                positive = rng.binomial(total.astype(int), np.clip(scores + off, 0, 1)).astype(float)
                found = calibration.reliability_curve(positive, total, scores=scores)
                error = calibration.expected_calibration_error(found)
                return error.low, error.high

            yield Cell("ECE", f"n {n}, off by {off}", truth, ece, bounded=off == 0)


def extremes() -> Iterator[Cell]:
    """Cells for the largest difference and the smallest ratio between groups, and for quantiles of latency."""
    for groups in (2, 5):
        for n in (100, 1000):
            for p, effect in ((0.2, 0.0), (0.2, 0.1), (0.5, 0.05)):

                def spread(rng, groups=groups, n=n, p=p, effect=effect):
                    chance = np.full(groups, p)
                    chance[0] += effect
                    found = group.rate_spread(rng.binomial(n, chance), np.full(groups, n), draws=50)
                    return found.low, found.high

                yield Cell("largest difference", f"{groups} groups of {n}, p {p}, effect {effect}", effect, spread, bounded=True)

                def means_apart(rng, groups=groups, n=n, effect=effect):
                    values = rng.normal(0, 1, (groups, n))
                    values[0] += effect
                    found = group.mean_spread(values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(n), np.full(groups, n), draws=50)
                    return found.low, found.high

                yield Cell(
                    "largest difference of means", f"{groups} groups of {n}, p {p}, effect {effect}", effect, means_apart, bounded=True
                )

                def smallest(rng, groups=groups, n=n, p=p, effect=effect):
                    chance = np.full(groups, p)
                    chance[0] += effect
                    return group.smallest_rate_ratio(rng.binomial(n, chance), np.full(groups, n))[0]

                yield Cell("smallest ratio", f"{groups} groups of {n}, p {p}, effect {effect}", p / (p + effect), smallest, bounded=True)
    for n in (200, 2000):
        for q in (0.5, 0.95):

            def latency(rng, n=n, q=q):
                counts = np.bincount(
                    np.searchsorted(LOG_EDGES, np.exp(3 + 0.5 * rng.normal(0, 1, n)), side="right"), minlength=LOG_EDGES.size + 1
                )
                return quantile.quantile_interval(counts.astype(float), LOG_EDGES, q, effective_n=float(n))

            yield Cell("latency quantile", f"n {n}, q {q}", float(np.exp(3 + 0.5 * stats.norm.ppf(q))), latency)


def cells() -> list[Cell]:
    """Every cell of the grid."""
    return [*rates(), *means(), *rankings(), *distances(), *extremes()]
