"""Compare forms of one model (such as the same model in another precision or runtime, or a smaller one) on the same probes: agreement,
differences of scores, changed decisions by slice, and what each form costs.

An audit of kind `precision` holds the comparison in its `results` (docs/trade-offs.md).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.formatting import join_words, plural, slice_in_words
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Slice
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

PRECISION_AUDITS = Records("audit", ("model", "version", "at", "audit", "results", "expires"), ever=True, only=(("audit", "precision"),))
SERVED_FORM = "as served"
TOLERANCE = 0.05
"""An answer of a regression counts as changed if it differs by more than this many standard deviations of the served answers."""
IN_SLICE = "in it"
"""The level that stands for rows inside a watched slice."""
MIN_PROBES = 30
"""A slice is compared only if it has at least this many probes."""
MAX_LEVELS = 30
LEAST_PROBABILITY = 1e-9
"""Smaller class probabilities are raised to this value in a Kullback-Leibler divergence."""
ROUNDING = 1e-3
"""Probabilities may lie beyond 0 and 1 by this much: half precision rounds a sum of 1 by up to 0.0005."""
NETWORK_ROWS = 200
"""Number of reference rows on which a small network is trained to imitate a model."""
COST_BASES = ((1.0, "thousand"), (1e3, "million"), (1e6, "billion"))
"""The numbers of answers for which a cost can be stated, in thousands, and the word for each number."""
MIN_COST = 0.01


@dataclass(frozen=True)
class FormSlice:
    """Changed decisions among the probes of one slice: a level of a column, or a watched slice (column: the text of the slice; level:
    IN_SLICE).
    """

    column: str
    level: str
    n: int
    flips: int

    @property
    def is_watched(self) -> bool:
        """Whether this is a slice that the owner watches."""
        return self.level == IN_SLICE and "=" in self.column

    @property
    def slice_text(self) -> str:
        """The slice in the form that links and findings use."""
        return self.column if self.is_watched else str(Slice(((self.column, self.level),)))

    @property
    def name(self) -> str:
        """Column and level for charts, or the watched slice in words."""
        return slice_in_words(self.column) if self.is_watched else f"{self.column} {self.level}"


@dataclass(frozen=True)
class FormResult:
    """One form of a model, as an audit measured it; a value that the audit did not measure is None.

    probes: number of answers that were compared with the answers of the served form. flips: number of these whose decision differs.
    unstable: probes whose decision differs between passes of the same form. operations, cpu_operations: operations of one request, and how
    many of them ran on the processor; cpu_operation_types: their types, most frequent first. max_delta, p99_delta: change of the score
    (multiclass: of any class). kl_divergence: of its class probabilities from those of the served form (`mean_kl_divergence`);
    None also if scores are not probabilities.
    memory_peak_mb: the most memory that it used (measured here: beyond what its process held before). bytes: size of the model
    file. energy_j: per thousand answers. place: its position in the audit's list.
    """

    name: str
    place: int
    parent: str | None = None
    runtime: str | None = None
    precision: str | None = None
    hardware: str | None = None
    threads: int | None = None
    provider: str | None = None
    used_provider: str | None = None
    operations: int | None = None
    cpu_operations: int | None = None
    cpu_operation_types: tuple[str, ...] = ()
    probes: int | None = None
    flips: int | None = None
    parent_flips: int | None = None
    unstable: int | None = None
    max_spread: float | None = None
    max_delta: float | None = None
    p99_delta: float | None = None
    kl_divergence: float | None = None
    latency_p50_ms: float | None = None
    latency_p90_ms: float | None = None
    latency_p99_ms: float | None = None
    ms_per_thousand: float | None = None
    cpu_seconds_per_thousand: float | None = None
    energy_j: float | None = None
    energy_source: str | None = None
    bytes: float | None = None
    memory_peak_mb: float | None = None
    cost_per_thousand: float | None = None
    slices: tuple[FormSlice, ...] = ()

    @property
    def flip_rate(self) -> Interval | None:
        """The share of changed decisions with its interval; None if no answer was compared."""
        return rate_interval(self.flips, self.probes) if self.probes and self.flips is not None else None

    @property
    def fell_back(self) -> bool:
        """Whether the form ran on another device than was requested."""
        return self.provider is not None and self.used_provider is not None and self.provider != self.used_provider

    @property
    def partial_fallback(self) -> str | None:
        """In words, the number of operations that ran on the processor although the form ran on another device; None if no such operation
        is known.
        """
        if not self.cpu_operations or not self.operations or self.used_provider == "cpu":
            return None
        types = f" ({join_words(self.cpu_operation_types, 3)})" if self.cpu_operation_types else ""
        return f"{self.cpu_operations:,} of {plural(self.operations, 'operation')} ran on the CPU{types}"


@dataclass(frozen=True)
class TradeOffAudit:
    """One audit of kind `precision`: its forms, and its results about the model as a whole."""

    model: str
    version: str
    at: datetime
    expires: datetime | None
    forms: tuple[FormResult, ...]
    results: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_use(self) -> str:
        """The form that is served."""
        return str(self.results.get("in_use") or SERVED_FORM)

    @property
    def imported(self) -> bool:
        """Whether the results of the audit were measured elsewhere."""
        return bool(self.results.get("imported_from"))

    def form(self, name: str) -> FormResult | None:
        """The form with this name; None if the audit does not have it."""
        return next((form for form in self.forms if form.name == name), None)


def changed_answers(base: Any, other: Any, task: str, threshold: float | None) -> tuple[Any, float | None]:
    """Return a mask of the rows that another form decides differently, and for a regression the tolerance.

    Parameters
    ----------
    base : array_like
        Scores of the served form, (n,) or (n, classes).
    other : array_like
        Scores of the other form.
    task : str
        binary, multiclass or regression.
    threshold : float or None
        Score from which a binary decision is positive; None is 0.5.

    Returns
    -------
    tuple of (ndarray of bool, float or None)
        The mask, and for a regression the difference from which an answer counts as changed.
    """
    base, other = np.asarray(base, float), np.asarray(other, float)
    if task == "multiclass":
        return base.argmax(axis=1) != other.argmax(axis=1), None
    if task == "binary":
        level = 0.5 if threshold is None else threshold
        return (base >= level) != (other >= level), None
    tolerance = TOLERANCE * float(base.std())
    return np.abs(other - base) > tolerance, tolerance


def score_differences(base: Any, other: Any) -> tuple[float, float]:
    """Return the largest and the 99th percentile of the absolute difference of scores.

    Parameters
    ----------
    base : array_like
        Scores, (n,) or (n, classes), of which the class with the largest difference counts.
    other : array_like
        Scores of the other form.

    Returns
    -------
    tuple of (float, float)
        Both in the unit of the score.
    """
    gap = np.abs(np.asarray(other, float) - np.asarray(base, float))
    gap = gap.max(axis=1) if gap.ndim == 2 else gap
    return float(gap.max()), float(np.quantile(gap, 0.99))


def mean_kl_divergence(base: Any, other: Any) -> float | None:
    """Return the mean over rows of the Kullback-Leibler divergence of the class probabilities of a form from those of the served form.

    For each row, Σ p log(p / q), with p of the served form: the nats that are lost if its answers are described by those of the other form.

    Parameters
    ----------
    base : array_like
        Probabilities of the served form: of the positive class, (n,), or of all classes, (n, classes), scaled to add up to 1.
    other : array_like
        The same of the other form. A probability below LEAST_PROBABILITY counts as this, so that the mean is finite.

    Returns
    -------
    float or None
        Nats, at least 0. None if any score of either form is not a probability: not finite, negative, above 1 with one score per row, or 0
        for all classes. Such rows are not left out, because the scores of a model of margins lie between 0 and 1 by chance only. Beyond 0
        and 1, rounding of ROUNDING is allowed.

    References
    ----------
    S. Kullback, R. A. Leibler, "On information and sufficiency", 1951.
    """
    from scipy.special import rel_entr

    p, q = (_class_shares(scores) for scores in (base, other))
    if p is None or q is None or not len(p):
        return None
    return max(float(rel_entr(p, q).sum(axis=1).mean()), 0.0)


def _class_shares(scores: Any) -> Any:
    """The probabilities of all classes, one row per answer; each row sums to 1. None if any score is not a probability."""
    given = np.asarray(scores, float)
    given = np.column_stack([given, 1 - given]) if given.ndim == 1 else given
    if not np.isfinite(given).all() or (given < -ROUNDING).any() or (given.max(axis=1, initial=0.0) <= 0).any():
        return None
    given = np.maximum(given, LEAST_PROBABILITY)
    return given / given.sum(axis=1, keepdims=True)


def slice_counts(changed: Any, columns: Mapping[str, Sequence[str | None]]) -> list[dict[str, Any]]:
    """Return the number of probes and of changed decisions for each level of each column.

    Parameters
    ----------
    changed : array_like of bool
        Which probes are decided differently.
    columns : mapping of str to sequence of str or None
        The level of each probe, None if it has none; columns with more than MAX_LEVELS levels are left out, and levels of fewer
        than MIN_PROBES probes.

    Returns
    -------
    list of dict
        `column`, `level`, `n`, `flips`.
    """
    found, changed = [], np.asarray(changed, bool)
    for column, texts in columns.items():
        known = np.array([text is not None for text in texts], bool)
        levels, places = np.unique(np.asarray(texts, object)[known].astype(str), return_inverse=True)
        if levels.size > MAX_LEVELS:
            continue
        counts, flips = np.bincount(places, minlength=levels.size), np.bincount(places[changed[known]], minlength=levels.size)
        found += [
            {"column": column, "level": str(level), "n": int(n), "flips": int(hits)}
            for level, n, hits in zip(levels, counts, flips, strict=True)
            if n >= MIN_PROBES
        ]
    return found


def compared_forms(
    measured: Sequence[Mapping[str, Any]],
    scores: Mapping[str, Any],
    task: str,
    threshold: float | None,
    columns: Mapping[str, Sequence[str | None]],
) -> list[dict[str, Any]]:
    """Return each measured form, with its scores compared with those of the first form and of its parent.

    Parameters
    ----------
    measured : sequence of mapping
        What the worker says of each form, the served one first.
    scores : mapping of str to ndarray
        The scores of each form by name.
    task : str
        As in `changed_answers`.
    threshold : float or None
        As in `changed_answers`.
    columns : mapping of str to sequence of str or None
        As in `slice_counts`.

    Returns
    -------
    list of dict
        The forms as an audit's results hold them. Differences of scores are left out if a score is not finite, and divergences as in
        `mean_kl_divergence`.
    """
    found = []
    base = scores[str(measured[0]["form"])]
    for each in measured:
        own, parent = scores[str(each["form"])], scores.get(str(each["parent"]))
        changed, _ = changed_answers(base, own, task, threshold)
        row = {**each, "probes": len(own), "flips": int(changed.sum())}
        if np.isfinite(base).all() and np.isfinite(own).all():
            row["max_delta"], row["p99_delta"] = score_differences(base, own)
        if task != "regression" and (divergence := mean_kl_divergence(base, own)) is not None:
            row["kl_divergence"] = divergence
        if parent is not None:
            row["parent_flips"] = int(changed_answers(parent, own, task, threshold)[0].sum())
        found.append(row | {"slices": slice_counts(changed, columns)})
    return found


def trade_off_audits(frame: "DataFrame") -> list[TradeOffAudit]:
    """Return the audits of kind `precision` that list forms, oldest first.

    Parameters
    ----------
    frame : DataFrame
        The answer to PRECISION_AUDITS.

    Returns
    -------
    list of TradeOffAudit
        Audits whose results list no form with a name are left out.
    """
    found = []
    for row in frame.sort_values("at", kind="stable").to_dict("records"):
        results = row["results"] if isinstance(row["results"], Mapping) else {}
        forms = tuple(form_results(results.get("forms")))
        if forms:
            expires = row.get("expires")
            until = aware_utc(expires) if isinstance(expires, datetime) and expires == expires else None
            found.append(TradeOffAudit(str(row["model"]), str(row["version"]), aware_utc(row["at"]), until, forms, results))
    return found


def latest_audits(audits: Sequence[TradeOffAudit]) -> list[TradeOffAudit]:
    """Return the newest audit of each model version, by model and version.

    Parameters
    ----------
    audits : sequence of TradeOffAudit
        Oldest first.

    Returns
    -------
    list of TradeOffAudit
        One of each model version.
    """
    newest = {(audit.model, audit.version): audit for audit in audits}
    return [newest[key] for key in sorted(newest)]


def form_results(listed: Any) -> Iterator[FormResult]:
    """Yield the forms in an audit's results that have a name. Only values of the right type are kept."""
    for place, row in enumerate(listed if isinstance(listed, list) else []):
        if not isinstance(row, Mapping) or not isinstance(row.get("form"), str):
            continue
        known: dict[str, Any] = {name: row[name] for name in TEXTS if isinstance(row.get(name), str)}
        known |= {name: value for name in NUMBERS if (value := _finite(row.get(name))) is not None}
        known |= {name: int(value) for name in COUNTS if (value := _finite(row.get(name))) is not None}
        types = row.get("cpu_operation_types")
        named = [kind for kind in types if isinstance(kind, str) and OPERATION.fullmatch(kind)] if isinstance(types, list) else []
        known["cpu_operation_types"] = tuple(dict.fromkeys(named))
        yield FormResult(row["form"], place, **known, slices=tuple(_form_slices(row.get("slices"))))


def _form_slices(listed: Any) -> Iterator[FormSlice]:
    """Yield the slices of a form that name a column and a level and have both counts."""
    for each in listed if isinstance(listed, list) else []:
        n, flips = (_finite(each.get(name)) for name in ("n", "flips")) if isinstance(each, Mapping) else (None, None)
        if n is not None and flips is not None and {"column", "level"} <= set(each):
            yield FormSlice(str(each["column"]), str(each["level"]), int(n), int(flips))


OPERATION = re.compile(r"[\w.]{1,60}", re.ASCII)
"""Pattern of the names that runtimes give to types of operations."""
TEXTS = ("parent", "runtime", "precision", "hardware", "provider", "used_provider", "energy_source")
COUNTS = ("threads", "operations", "cpu_operations", "probes", "flips", "parent_flips", "unstable")
NUMBERS = (
    "max_spread",
    "max_delta",
    "p99_delta",
    "kl_divergence",
    "latency_p50_ms",
    "latency_p90_ms",
    "latency_p99_ms",
    "ms_per_thousand",
    "cpu_seconds_per_thousand",
    "energy_j",
    "bytes",
    "memory_peak_mb",
    "cost_per_thousand",
)


def _finite(value: Any) -> float | None:
    """The value, if it is a finite number of at least 0; else None."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value) and value >= 0
    return float(value) if known else None


@dataclass(frozen=True)
class Axis:
    """One quantity in a trade-off between forms; lower is better."""

    name: str
    title: str
    unit: str
    value: Callable[[FormResult], float | None]


AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("flips", "Changed decisions", "share", lambda form: form.flip_rate.value if form.flip_rate else None),
        Axis("p50_ms", "Latency p50", "ms", lambda form: form.latency_p50_ms),
        Axis("p99_ms", "Latency p99", "ms", lambda form: form.latency_p99_ms),
        Axis("energy", "Energy per thousand", "J", lambda form: form.energy_j),
        Axis("size", "Model file", "MB", lambda form: None if form.bytes is None else form.bytes / 1e6),
        Axis("memory", "Peak memory", "MB", lambda form: form.memory_peak_mb),
        Axis("cost", "Cost per thousand", "money", lambda form: form.cost_per_thousand),
    )
}


def pareto_front(forms: Sequence[FormResult], axes: Sequence[Axis]) -> list[FormResult]:
    """Return the forms that no other form beats. A form is beaten if another one is at most as high on every axis, and lower on at least
    one.

    Parameters
    ----------
    forms : sequence of FormResult
        The candidates. A form without a value on an axis is left out, as is one that ran on another device than requested.
    axes : sequence of Axis
        Quantities of which less is better.

    Returns
    -------
    list of FormResult
        In the order given. Forms with equal values are all kept.
    """
    points = [(form, [axis.value(form) for axis in axes]) for form in forms if not form.fell_back]
    known = [(form, np.array(values, float)) for form, values in points if all(value is not None for value in values)]
    return [form for form, own in known if not any((other <= own).all() and (other < own).any() for _, other in known)]


def over_budget(form: FormResult, budgets: Mapping[str, float]) -> list[str]:
    """Return the names of the axes on which a form exceeds its budget or has no value.

    Parameters
    ----------
    form : FormResult
        The form.
    budgets : mapping of str to float
        The most, by the name of an axis.

    Returns
    -------
    list of str
        Empty if it is within every budget.
    """
    values = {name: AXES[name].value(form) for name in budgets}
    return [name for name, most in budgets.items() if (value := values[name]) is None or value > most]


def form_cost_basis(forms: Sequence[FormResult]) -> tuple[float, str]:
    """Return the number of answers for which the cost of forms is stated. It is chosen so that the largest cost is at least a hundredth of
    the currency unit.

    Parameters
    ----------
    forms : sequence of FormResult
        The forms that are shown together.

    Returns
    -------
    tuple of (float, str)
        1,000, a million or a billion, as a multiple of a thousand, and its word.
    """
    largest = max((form.cost_per_thousand or 0.0 for form in forms), default=0.0)
    return next((basis for basis in COST_BASES if largest * basis[0] >= MIN_COST or not largest), COST_BASES[-1])
