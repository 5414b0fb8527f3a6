"""Energy and carbon of training that can be avoided: by starting runs at hours of low carbon intensity, and by power caps that cost little
time.
"""

from dataclasses import dataclass

from observability.core.finding import Severity
from observability.core.formatting import plural
from observability.core.numerals import percent, with_si_prefix
from observability.core.settings import ModelSettings
from observability.detection.run_claims import RunClaim
from observability.metrics.power_caps import MIN_REPEATS, SLOWER, CapSweep, PowerCap
from observability.metrics.start_hours import MIN_DAYS, StartHours
from observability.stats.interval import Interval

NAME = "operations/energy"
SHIFT, CAP = "carbon_shift", "power_cap_saving"
SAVING_LIMITS = {SHIFT: 0.2, CAP: 0.05}
"""Avoidable shares above which there is a warning (`operations/energy/carbon_shift`, `…/power_cap_saving`)."""


@dataclass(frozen=True)
class SavingWords:
    """The sentences about a saving. stated: used if the saving is beyond the limit; fine: used if it is not; next_step: what to do about
    it.
    """

    subject: str
    stated: str
    fine: str
    next_step: str


def start_hour_claim(found: StartHours, settings: ModelSettings) -> RunClaim:
    """Return the claim about the hour of the day at which runs start."""
    runs, hour = plural(found.runs, "run"), f"{found.best:02d}:00 UTC"
    if found.saved.value is None:
        because = f"Which hour emits least is unknown: {plural(found.days, 'day')} of at least {MIN_DAYS} have an hourly carbon intensity."
        return RunClaim(SHIFT, found.days, "unknown", because, subject="model")
    best = float(found.grams[found.best])
    amounts = f"{with_si_prefix(best, 'gCO₂e')} instead of {with_si_prefix(found.usual, 'gCO₂e')}"
    ends = "a typical day as set" if found.typical else f"{_ends(found.saved)}, {found.days} days"
    figures = f"{percent(found.saved.value)} less carbon ({ends}; {amounts} for {runs})"
    fine = f"Runs start at hours of little carbon: at {hour}, {figures}"
    words = SavingWords("model", f"Runs started at {hour} would emit {figures}", fine, f"Start training at {hour}.")
    return _saving_claim(SHIFT, found.saved, words, settings, 1.8)


def power_cap_claim(sweep: CapSweep, settings: ModelSettings) -> RunClaim:
    """Return the claim about the power cap that a sweep found."""
    subject, first, knee = f"study:{sweep.study}", sweep.caps[0], sweep.knee
    if not sweep.enough:
        least = min(cap.runs for cap in sweep.caps)
        because = f"What a power cap saves in study `{sweep.study}` is unknown: {plural(least, 'run')} of at least {MIN_REPEATS} at a cap."
        return RunClaim(CAP, sum(cap.runs for cap in sweep.caps), "unknown", because, subject=subject)
    if knee is None:
        saved = Interval(0.0, 0.0, 0.0, first.runs)
        fine = f"No cap of study `{sweep.study}` saves energy within {percent(SLOWER)} more time than {first.watts:g} W"
        return _saving_claim(CAP, saved, SavingWords(subject, fine, fine, ""), settings, 1.7)
    figures = cap_words(knee, first)
    if sweep.used is not None and sweep.used <= 1.02 * knee.watts:
        saved = Interval(0.0, 0.0, 0.0, knee.runs)
        fine = f"Later runs are capped at {sweep.used:g} W; study `{sweep.study}` found that {figures}"
        return _saving_claim(CAP, saved, SavingWords(subject, fine, fine, ""), settings, 1.7)
    said = f"In study `{sweep.study}` {figures}"
    return _saving_claim(CAP, knee.saved, SavingWords(subject, said, said, f"Cap training at {knee.watts:g} W."), settings, 1.7)


def cap_words(cap: PowerCap, first: PowerCap) -> str:
    """A clause that states what a power cap saves and costs, compared with the highest cap."""
    slower = cap.slower.value or 0.0
    time = f"{percent(abs(slower))} {'more' if slower >= 0 else 'less'} time"
    less = f"{percent(cap.saved.value or 0.0)} less energy ({_ends(cap.saved)})"
    return f"a cap of {cap.watts:g} W takes {less} and {time} than {first.watts:g} W"


def _ends(interval: Interval) -> str:
    """Words for the ends of the interval of a share."""
    return f"{100 * float(interval.low or 0.0):.0f} to {100 * float(interval.high or 0.0):.0f} %"


def _saving_claim(metric: str, saved: Interval, words: SavingWords, settings: ModelSettings, rank: float) -> RunClaim:
    """The claim about a saving. It is a warning if the whole interval is beyond the limit. It is at most a warning, because nothing is
    broken.
    """
    limit = settings.limits.get(f"{NAME}/{metric}", SAVING_LIMITS[metric])
    severity: Severity = "watch" if saved.low is not None and saved.low > limit else "ok"
    because = f"{words.stated if severity == 'watch' else words.fine}; the limit is {percent(limit)}."
    evidence = {"next": words.next_step} if severity == "watch" else {}
    value, low, high = saved.triple
    return RunClaim(
        metric,
        int(saved.n),
        severity,
        because,
        value,
        low,
        high,
        limit,
        source="system",
        rank=rank,
        subject=words.subject,
        evidence=evidence,
    )
