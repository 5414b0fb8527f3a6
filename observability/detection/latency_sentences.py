"""How are rates, latencies and replicas told in plain sentences?"""

from collections.abc import Mapping

from observability.detection.latency_changes import Change
from observability.metrics.traffic import QUANTILES
from observability.stats.interval import Interval

PAST = "the four weeks before"
OF_HUNDRED = {"latency_p50": "half of the answers", "latency_p95": "95 of 100 answers", "latency_p99": "99 of 100 answers"}
STATUSES = {"error": "error", "timeout": "timeout", "fallback": "fallback", "rejected": "rejection"}


def answers(n: int) -> str:
    """`1 answer`, `3 answers`."""
    return f"{n:,} {'answer' if n == 1 else 'answers'}"


def predictions(n: int) -> str:
    """`1 prediction`, `3 predictions`."""
    return f"{n:,} {'prediction' if n == 1 else 'predictions'}"


def because_rate(rate: float, before: float | None, n: int, hours: float) -> str:
    """How many requests came."""
    then = "" if before is None else f"; {PAST} had {number(before)} an hour"
    return f"{predictions(n)} came in {hours:,.3g} hours, {number(rate)} an hour{then}."


def because_errors(value: Interval, statuses: Mapping[str, int], n: int, side: Change | None, model: bool) -> str:
    """How many requests failed, and how many did before."""
    parts = [
        f"{count:,} {STATUSES.get(name, name)}{'s' if count != 1 else ''}" for name, count in statuses.items() if name != "ok" and count
    ]
    told = f" ({', '.join(parts)})" if parts else ""
    if not told and not value.value:
        return f"All {predictions(n)} were answered as they should be{held(side, model)}"
    return f"{share(value.value)} of {predictions(n)} were not answered as they should be{told}{held(side, model)}"


def because_latency(metric: str, value: Interval, n: int, side: Change | None, model: bool) -> str:
    """How long answers took, and how long they did before."""
    low, high = ms(value.low, bare=True), ms(value.high)
    said = f"{OF_HUNDRED[metric].capitalize()} took at most {ms(value.value)} ({low} to {high}), on {answers(n)}"
    return f"{said}{held(side, model)}"


def held(side: Change | None, model: bool) -> str:
    """What the past was, after what is."""
    if side is None:
        return ""
    who = f"{PAST} had" if not model else f"the model's other versions in {PAST} had"
    what = "" if side.metric in QUANTILES else " of failures"
    return f"; {who} {amount(side.metric, side.before.value)}{what}{times(side)}"


def because_level(value: Interval, n: int, limit: float) -> str:
    """Whether latency keeps its stated level."""
    kept = "within" if value.value is not None and value.value <= limit else "beyond"
    return f"99 of 100 answers took at most {ms(value.value)} ({ms(value.low, bare=True)} to {ms(value.high)}), {kept} the {ms(limit)} of the service level, on {answers(n)}."


def because_replica(field: str, name: str, side: Change, others: int, *, past: bool) -> str:
    """Which replica is slower or fails more, than whom, by how much."""
    subject = f"`{field}={name}`"
    if past:
        usual = f"than it {'was' if side.metric in QUANTILES else 'did'} in {PAST}, more so than another {field}"
        against = f"against {amount(side.metric, side.before.value)} before"
    else:
        usual = f"than the other {others} {field}s" if others != 1 else f"than the other {field}"
        against = f"against {amount(side.metric, side.before.value)}" + (
            ", what stood between them before counted in" if side.stood else ""
        )
    if side.metric in QUANTILES:
        return (
            f"{subject} is slower {usual}: {OF_HUNDRED[side.metric]} took at most {amount(side.metric, side.now.value)}, {against}{times(side)}, "
            f"on {answers(side.n)}."
        )
    return f"{subject} fails more often {usual}: {amount(side.metric, side.now.value)} of {side.n:,} predictions, {against}{times(side)}."


def because_small(field: str, small: Mapping[str, int], judged: int) -> str:
    """Which replicas have too few requests."""
    first = sorted(small.items(), key=lambda each: (each[1], each[0]))[:3]
    names = ", ".join(f"`{name}` about {more:,} more" for name, more in first) + (" …" if len(small) > 3 else "")
    total = len(small) + judged
    return f"{len(small)} of {total} {field}s answered too few predictions for their p99 to be compared with the others: they need {names}."


def times(side: Change) -> str:
    """How many times higher, in brackets, where that is known."""
    ratio = side.ratio.value
    if ratio is None:
        return ""
    ends = f", {side.ratio.low:.2f} to {side.ratio.high:.2f}" if side.ratio.low is not None and side.ratio.high is not None else ""
    return f" (× {ratio:.2f}{ends})"


def amount(metric: str, value: float | None) -> str:
    """A value of a latency or a share in words."""
    return ms(value) if metric in QUANTILES else share(value)


def ms(value: float | None, *, bare: bool = False) -> str:
    """Milliseconds with three digits."""
    return f"{number(value)}{'' if bare else ' ms'}"


def number(value: float | None) -> str:
    """Three significant digits."""
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share(value: float | None) -> str:
    """A share in per cent, with digits enough for the nines of a service level."""
    if value is None:
        return "unknown"
    return f"{100 * value:.3g} %" if value < 0.995 else f"{100 * value:.6g} %"
