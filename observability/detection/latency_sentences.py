"""Sentences about request rates, latencies and replicas."""

from collections.abc import Mapping

from observability.core.formatting import plural
from observability.detection.latency_changes import ODDS_WATCH, ServiceChange
from observability.metrics.traffic import QUANTILES
from observability.stats.interval import Interval
from observability.stats.quantile import RELATIVE_ERROR

PAST = "the four weeks before"
PERCENTILES = {"latency_p50": "p50", "latency_p95": "p95", "latency_p99": "p99"}
STATUSES = {"error": "error", "timeout": "timeout", "fallback": "fallback", "rejected": "rejection"}


def n_answers(n: int) -> str:
    """Return `1 answer`, `3 answers` and so on."""
    return f"{n:,} {'answer' if n == 1 else 'answers'}"


def n_predictions(n: int) -> str:
    """Return `1 prediction`, `3 predictions` and so on."""
    return f"{n:,} {'prediction' if n == 1 else 'predictions'}"


def because_rate(rate: float, before: float | None, n: int, hours: float, missing: int) -> str:
    """Return a sentence with the number of requests now and before. missing: number of days of past that a comparison still needs."""
    then = (
        f"; no comparison yet: it needs {plural(missing, 'more day')} of past"
        if before is None
        else f"; {PAST} had {latency_figure(before)} an hour"
    )
    return f"{n_predictions(n)} came in {hours:,.3g} hours, {latency_figure(rate)} an hour{then}."


def because_errors(value: Interval, statuses: Mapping[str, int], n: int, side: ServiceChange | None, model: bool) -> str:
    """Return a sentence with the number of failed requests now and before."""
    parts = [
        f"{count:,} {STATUSES.get(name, name)}{'s' if count != 1 else ''}" for name, count in statuses.items() if name != "ok" and count
    ]
    told = f" ({', '.join(parts)})" if parts else ""
    if not told and not value.value:
        return f"All {n_predictions(n)} succeeded{past_value_words(side, model)}"
    return f"{share_words(value.value)} of {n_predictions(n)} failed{told}{past_value_words(side, model)}"


def because_latency(metric: str, value: Interval, n: int, side: ServiceChange | None, model: bool) -> str:
    """Return a sentence with a latency percentile now and before. Percentiles come from bins, so they are within RELATIVE_ERROR of the true
    value.
    """
    low, high = in_ms(value.low, bare=True), in_ms(value.high)
    bounds = f"(within {100 * RELATIVE_ERROR:.0f} %; {low} to {high})"
    said = f"Latency {PERCENTILES[metric]} {percentile_words(value.value)} {bounds}, on {n_answers(n)}"
    return f"{said}{past_value_words(side, model)}"


def small_increase_sentence(side: ServiceChange, least_ms: float) -> str:
    """Return a sentence that a rise is too small to matter. least_ms: the smallest rise that matters, in milliseconds."""
    return f"The rise of {in_ms(side.grown)} is below the {in_ms(least_ms)} that matter."


def not_significant_sentence(side: ServiceChange, limit: float) -> str:
    """Return a sentence that a value is beyond its limit but not significantly, and why."""
    beyond = f"That is beyond the limit of {service_value(side.metric, limit)}, but"
    if side.metric in QUANTILES and side.odds < ODDS_WATCH:
        return f"{beyond} there are too few slow requests to decide: choose a longer window."
    return f"{beyond} not significant and may be chance: choose a longer window."


def past_value_words(side: ServiceChange | None, model: bool) -> str:
    """Return the end of a sentence, with the past value."""
    if side is None:
        return ""
    if side.metric not in QUANTILES and side.before.value == 0:
        return f"; {'no other version' if model else 'none'} failed in {PAST}"
    who = f"{PAST} had" if not model else f"the model's other versions in {PAST} had"
    what = "" if side.metric in QUANTILES else " of failures"
    return f"; {who} {service_value(side.metric, side.before.value)}{what}{ratio_words(side)}"


def service_level_sentence(value: Interval, n: int, limit: float) -> str:
    """Return a sentence that states whether the latency is within its service level."""
    kept = "within" if value.value is not None and value.value <= limit else "beyond"
    return (
        f"Latency p99 {percentile_words(value.value)} ({in_ms(value.low, bare=True)} to {in_ms(value.high)}), {kept} the "
        f"{in_ms(limit)} of the service level, on {n_answers(n)}."
    )


def because_replica(field: str, name: str, side: ServiceChange, others: int, *, past: bool) -> str:
    """Return a sentence that states which replica is slower or fails more, compared with what, and by how much."""
    subject = f"`{field}={name}`"
    if past:
        verb, rate = ("was", "latency") if side.metric in QUANTILES else ("did", "error rate")
        usual = f"than it {verb} in {PAST}, and its {rate} rose more than that of another {field}"
        against = f"against {service_value(side.metric, side.before.value)} before"
    else:
        usual = f"than the other {others} {field}s" if others != 1 else f"than the other {field}"
        against = f"against {service_value(side.metric, side.before.value)}" + (
            ", corrected for the difference in the past" if side.stood else ""
        )
    if side.metric in QUANTILES:
        return (
            f"{subject} is slower {usual}: latency {PERCENTILES[side.metric]} {service_value(side.metric, side.now.value)}, "
            f"{against}{ratio_words(side)}, "
            f"on {n_answers(side.n)}."
        )
    return (
        f"{subject} fails more often {usual}: {service_value(side.metric, side.now.value)} of {side.n:,} predictions, "
        f"{against}{ratio_words(side)}."
    )


def small_replicas_sentence(field: str, small: Mapping[str, int], judged: int) -> str:
    """Return a sentence that names the replicas with too few requests."""
    (name, more), *others = sorted(small.items(), key=lambda each: (each[1], each[0]))[:3]
    needed = ", ".join([f"`{name}` needs about {more:,} more predictions", *(f"`{name}` about {more:,}" for name, more in others)])
    dots = ", …" if len(small) > 3 else ""
    return f"The p99 of {len(small)} of {len(small) + judged} {field}s cannot be compared yet: {needed}{dots}."


def ratio_words(side: ServiceChange) -> str:
    """Return the ratio now / before in brackets; empty if it is not known."""
    ratio = side.ratio.value
    if ratio is None:
        return ""
    ends = f", {side.ratio.low:.2f} to {side.ratio.high:.2f}" if side.ratio.low is not None and side.ratio.high is not None else ""
    return f" (× {ratio:.2f}{ends})"


def service_value(metric: str, value: float | None) -> str:
    """Return a latency or a share as text."""
    return percentile_words(value) if metric in QUANTILES else share_words(value)


def percentile_words(value: float | None) -> str:
    """Return words for a percentile in milliseconds that was computed from bins."""
    return "unknown" if value is None else f"about {in_ms(value)}"


def in_ms(value: float | None, *, bare: bool = False) -> str:
    """Return a latency in milliseconds, with about three digits."""
    return f"{latency_figure(value)}{'' if bare else ' ms'}"


def latency_figure(value: float | None) -> str:
    """Return a latency as text: without decimals from 100 on, else with three significant digits."""
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share_words(value: float | None) -> str:
    """Return a share in per cent, with enough digits to distinguish service levels such as 99.9 and 99.99 %."""
    if value is None:
        return "unknown"
    return f"{100 * value:.3g} %" if value < 0.995 else f"{100 * value:.6g} %"
