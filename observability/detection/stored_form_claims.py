"""Claims about the form in which a dataset is stored (exactly, or with less precision): changed decisions, the slice with most of them,
lost values, and saved bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from observability.core.finding import Severity
from observability.core.formatting import format_day, plural
from observability.core.numerals import format_figure, percent
from observability.core.window import Slice
from observability.detection.form_slices import FLIP_LIMIT, SliceExcess, flip_severity, missing_rows, slice_excesses, worst_slice
from observability.metrics.form_decisions import FormDecision
from observability.metrics.media_forms import MIN_FILES
from observability.metrics.stored_forms import EXACT, StorageAudit, StoredForm
from observability.stats.interval import Interval

FLIPS, GAP, LOST, SAVED = "stored_flip_rate", "stored_slice_gap", "stored_values_lost", "stored_bytes_saved"
UNDECIDED = "stored_form_undecided"
FIDELITY_METRICS = {"psnr": ("stored_psnr", " dB"), "ssim": ("stored_ssim", "")}
"""For each figure about pictures and sound, its metric and the unit that a sentence uses."""
NOTHING = Interval(None, None, None, 0)


@dataclass(frozen=True)
class StoredFormClaim:
    """One sentence about the stored form of a dataset. The value of `interval` is None if the severity is `unknown`."""

    metric: str
    interval: Interval
    severity: Severity
    because: str
    limit: float | None = None
    slice: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


def form_in_use(audit: StorageAudit) -> StoredForm | None:
    """The lossy form in which a dataset is stored; None if it is stored exactly, or in a form that the audit did not measure."""
    return None if audit.in_use == EXACT else audit.form(audit.in_use)


def stored_slice_excesses(audit: StorageAudit) -> list[SliceExcess]:
    """The slices of the form in use, each compared with the other rows; empty if the form changes no decision."""
    form = form_in_use(audit)
    return slice_excesses(form.answers) if form and form.answers and form.answers.flips else []


def stored_form_claims(
    audit: StorageAudit, slices: Sequence[tuple[SliceExcess, float]], budget: float, decided: FormDecision | None
) -> Iterator[StoredFormClaim]:
    """Yield the claims about a dataset: whether it is stored in the form that was decided, and the effects of the form in use (or of exact
    storage).

    slices: the result of `stored_slice_excesses`, each with its p-value adjusted for all comparisons of the check. decided: the newest
    decision about the form of the dataset. A dataset that is stored exactly gets no such claim if no model was asked about its forms.
    """
    if decided is not None and decided.at < audit.at:
        yield _decision_claim(audit, decided)
    form = form_in_use(audit)
    if audit.in_use == EXACT:
        yield from _exact_claims(audit)
        return
    if form is None:
        because = f"`{audit.dataset}` is stored as `{audit.in_use}`, which its newest audit did not measure; run the audit again."
        yield StoredFormClaim(FLIPS, NOTHING, "unknown", because)
        return
    if form.fidelity:
        yield from _fidelity_claims(audit, form)
        yield _saved_claim(audit, form)
        return
    yield _flip_claim(audit, form)
    yield from _slice_claims(audit, form, slices, budget)
    yield _lost_claim(audit, form)
    yield _saved_claim(audit, form)


def _decision_claim(audit: StorageAudit, decided: FormDecision) -> StoredFormClaim:
    """The claim that states whether the form in use is the one that was decided on before the audit."""
    other = float(audit.in_use != decided.form)
    used, day = "exactly" if audit.in_use == EXACT else f"as `{audit.in_use}`", format_day(decided.at)
    told = f"; the decision of {day} was `{decided.form}`" if other else f", as decided on {day}"
    because = f"`{audit.dataset}` is stored {used}{told}."
    evidence = {"decided": decided.form, "decision": decided.id}
    return StoredFormClaim(UNDECIDED, Interval(other, other, other, 1), "watch" if other else "ok", because, 0.0, evidence=evidence)


def _exact_claims(audit: StorageAudit) -> Iterator[StoredFormClaim]:
    """The claim that no decision changes; it names how many of the compared forms would change at most FLIP_LIMIT of decisions."""
    rates = [form.answers.flip_rate for form in audit.forms if form.answers]
    known = [rate for rate in rates if rate is not None and rate.value is not None]
    if not known:
        return
    within = sum(flip_severity(rate) == "ok" for rate in known)
    because = (
        f"`{audit.dataset}` is stored exactly; {within} of {len(known)} lossy forms change at most {percent(FLIP_LIMIT)} of decisions."
    )
    yield StoredFormClaim(FLIPS, Interval(0.0, 0.0, 0.0, max(rate.n for rate in known)), "ok", because, FLIP_LIMIT)


def _fidelity_claims(audit: StorageAudit, form: StoredForm) -> Iterator[StoredFormClaim]:
    """For each figure with a stated minimum, yield a claim about how close the stored files are to the exact files, in the group with the
    lowest value.
    """
    for figure, (metric, unit) in FIDELITY_METRICS.items():
        least, known = audit.least.get(figure), [each for each in form.fidelity if figure in each.figures]
        if least is None or not known:
            continue
        worst = min(known[1:] or known, key=lambda each: each.figures[figure].value or 0.0)
        interval, begin = worst.figures[figure], f"The {figure.upper()} of `{audit.dataset}` as `{form.name}`"
        if worst.n < MIN_FILES or interval.value is None or interval.low is None or interval.high is None:
            because = f"{begin} is not yet known: it needs about {plural(max(MIN_FILES - worst.n, 1), 'more file')}."
            yield StoredFormClaim(metric, Interval(None, None, None, worst.n), "unknown", because)
            continue
        ends = f"{format_figure(interval.low)} to {format_figure(interval.high)}"
        where = f"{worst.column} `{worst.level}`, the lowest" if worst.column else "all files"
        because = (
            f"{begin} is {format_figure(interval.value)}{unit} in {where} ({plural(worst.n, 'file')}; {ends}); "
            f"the stated minimum is {format_figure(least)}{unit}."
        )
        severity: Severity = "act" if interval.high < least else "watch" if interval.value < least else "ok"
        of = str(Slice(((worst.column, worst.level or ""),))) if worst.column and severity != "ok" else None
        yield StoredFormClaim(metric, interval, severity, because, least, of, {"fidelity_place": worst.place})


def _flip_claim(audit: StorageAudit, form: StoredForm) -> StoredFormClaim:
    """The claim about the share of decisions that the form in use changes."""
    answers = form.answers
    rate = answers.flip_rate if answers else None
    if answers is None or rate is None or rate.value is None or form.model is None:
        because = f"The effect of storing `{audit.dataset}` as `{form.name}` is unknown: no model was asked; run the audit with `--model`."
        return StoredFormClaim(FLIPS, NOTHING, "unknown", because)
    rows, flips = answers.probes or 0, answers.flips or 0
    ends = f"{percent(rate.low or 0.0)} to {percent(rate.high or 0.0)}"
    said = f"Storing `{audit.dataset}` as `{form.name}` changes {percent(rate.value)} of decisions ({flips:,} of {rows:,} rows; {ends})"
    severity = flip_severity(rate)
    if severity == "unknown":
        more = f"about {missing_rows(rows):,} more rows are needed"
        return StoredFormClaim(
            FLIPS,
            Interval(None, None, None, rows),
            severity,
            f"{said}; it is not yet known whether the share is below {percent(FLIP_LIMIT)}: {more}.",
        )
    largest = f" Scores change by at most {format_figure(answers.max_delta)}." if answers.max_delta is not None else ""
    return StoredFormClaim(FLIPS, rate, severity, f"{said}; the limit is {percent(FLIP_LIMIT)}.{largest}", FLIP_LIMIT)


def _slice_claims(
    audit: StorageAudit, form: StoredForm, slices: Sequence[tuple[SliceExcess, float]], budget: float
) -> Iterator[StoredFormClaim]:
    """Yield the claim about the worst slice of the form in use; nothing if no slices were recorded."""
    worst = worst_slice(slices, budget)
    if worst is None or form.answers is None:
        return
    part, interval = worst.excess.part, worst.excess.difference
    evidence = {"slice_place": form.answers.slices.index(part), "p_adjusted": worst.p_adjusted, "compared": worst.compared}
    if worst.severity == "ok":
        because = (
            f"Storing `{audit.dataset}` as `{form.name}` changes no slice significantly more than the others "
            f"({worst.compared} slices tested); smallest p-value: {worst.rates}."
        )
        yield StoredFormClaim(GAP, interval, "ok", because, evidence=evidence)
        return
    because = (
        f"Storing `{audit.dataset}` as `{form.name}` changes decisions mainly in {part.column} `{part.level}`: {worst.rates}.{worst.more}"
    )
    yield StoredFormClaim(GAP, interval, worst.severity, because, slice=str(Slice(((part.column, part.level),))), evidence=evidence)


def _lost_claim(audit: StorageAudit, form: StoredForm) -> StoredFormClaim:
    """The claim about values that cannot be represented in the form in use."""
    n = float(form.lost)
    lost = f"{form.lost:,} {'value' if form.lost == 1 else 'values'}" if form.lost else "no value"
    because = f"Storing `{audit.dataset}` as `{form.name}` loses {lost} in {audit.rows:,} rows (beyond the range of the form)."
    return StoredFormClaim(LOST, Interval(n, n, n, audit.rows), "act" if form.lost else "ok", because, 0.0)


def _saved_claim(audit: StorageAudit, form: StoredForm) -> StoredFormClaim:
    """The claim about the size and the reading time of the form in use, compared with the smallest exact form."""
    saved = audit.saved(form)
    size = f"{percent(abs(saved))} {'fewer' if saved > 0 else 'more'} bytes" if saved else "as many bytes"
    because = f"`{audit.dataset}` as `{form.name}` takes {size} {'than' if saved else 'as'} the smallest exact form ({audit.codec})"
    if form.decode is not None and audit.exact_decode:
        because += f" and {format_figure(form.decode / audit.exact_decode, 2)} times its reading time"
    return StoredFormClaim(SAVED, Interval(saved, saved, saved, audit.rows), "ok" if saved > 0 else "watch", f"{because}.", 0.0)
