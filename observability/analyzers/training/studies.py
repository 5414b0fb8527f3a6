"""Check augmentations of training data: whether they help, which groups they harm, and whether they leave labels unchanged.

Reads audits of kind `augmentation`; for each augmentation of a model version, only the newest audit counts. Only an augmentation that was
used to train the version needs attention, because one that was merely tried affects nobody. Studies of settings are checked by
training/runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isnan

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity, iso
from observability.core.formatting import plural
from observability.core.numerals import percent
from observability.core.owner_level import held_against_level
from observability.core.questions import Records
from observability.core.window import Slice
from observability.detection.augmentation_verdict import GAIN, LABEL_LIMIT, LABELS, SLICE_GAIN, augmentation_verdict
from observability.metrics.augmentation import (
    AUGMENTATION_AUDITS,
    ERROR,
    MIN_ROWS,
    MIN_SEEDS,
    AugmentationAudit,
    AugmentationSlice,
    augmentation_audits,
)
from observability.proofs.augmentation import AUGMENTATION_PROOFS
from observability.stats.multiple_testing import benjamini_hochberg
from observability.stats.repeated_runs import RepeatedDifference

NAME = "training/studies"
AFFINITY, DIVERSITY = "augmentation_affinity", "augmentation_diversity"
EFFECT, SLICE_EFFECT = 0.01, 0.02
"""Smallest changes that matter: the first on all rows, the second on one class or group. They are changes of the accuracy, or relative
changes of the mean absolute error.
"""
NOT_IN_USE = "the augmentation is not in use, so it is not judged."
AUDITS: Records = AUGMENTATION_AUDITS
Tested = tuple[AugmentationSlice, RepeatedDifference]


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the audits of augmentations."""
    return {"audits": Ask(AUDITS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about each augmentation of each model version."""
    audits = augmentation_audits(frames["audits"])
    tested = [tested_parts(audit) for audit in audits]
    p_values = [change.p_not_worse for parts in tested for _, change in parts]
    adjusted = iter(benjamini_hochberg(p_values, context.budget)[0].tolist())
    found: list[Finding] = []
    for audit, parts in zip(audits, tested, strict=True):
        harms = [next(adjusted) for _ in parts]
        if not parts:
            because = f"Whether augmentation `{audit.name}` helps is unknown: {plural(audit.seeds, 'seed')} of at least {MIN_SEEDS} ran."
            found.append(undecided_augmentation(context, audit, GAIN, audit.whole.n, because))
            continue
        own = [gain_finding(context, audit, parts[0][1], harms[0]), *slice_findings(context, audit, parts[1:], harms[1:])]
        own += [*label_findings(context, audit), *measure_findings(context, audit)]
        found += with_verdict(own)
    return found


def with_verdict(found: list[Finding]) -> list[Finding]:
    """The findings about one augmentation with its verdict. The finding about the gain gets the verdict and its reason; the finding that
    led to the verdict gets the next step.
    """
    told = augmentation_verdict(found)
    if told is None:
        return found
    steps = {"keep": "Keep it", "drop": "Drop it", "hold": "Accuracy does not decide whether to keep or drop it"}
    verdict = {"verdict": told.verdict, "why": told.reason}
    next_step = {"next": f"{steps[told.verdict]}: {told.reason}."}
    return [
        replace(each, evidence=each.evidence | (verdict if each.metric == GAIN else {}) | (next_step if each is told.finding else {}))
        for each in found
    ]


def tested_parts(audit: AugmentationAudit) -> list[Tested]:
    """All rows of an audit, then each slice, each with its change of accuracy; empty if there are too few seeds."""
    if audit.seeds < MIN_SEEDS:
        return []
    parts = [(part, part.change) for part in (audit.whole, *audit.slices)]
    return [(part, change) for part, change in parts if change is not None]


def undecided_augmentation(context: Context, audit: AugmentationAudit, metric: str, n: int, because: str) -> Finding:
    """Return the finding of severity `unknown` about an augmentation, on which the other findings are based."""
    blank = context.undecided(NAME, f"augmentation={audit.name}", metric, n, because, against="level")
    evidence: dict[str, object] = {"audited": iso(audit.at), "augmentation": audit.name, "in_use": audit.in_use, "seeds": audit.seeds}
    evidence |= {"of": ERROR} if audit.of == ERROR else {}
    return replace(blank, model=audit.model, version=audit.version, evidence=evidence)


def signed_points(share: float | None) -> str:
    """A change of a share in points with its sign: +0.3, −1.2, 0.0."""
    points = round(100 * (share or 0.0), 1)
    return f"{points:+.1f}".replace("-", "−") if points else "0.0"


@dataclass(frozen=True)
class GainUnit:
    """The words for a gain: the phrase for a gain, the phrase for a loss, the quantity that changes, its unit (plural, singular), and the
    sign of the change.
    """

    raises: str
    lowers: str
    noun: str
    units: str
    unit: str
    sign: int


GAIN_UNITS = {
    "accuracy": GainUnit("raises accuracy", "lowers accuracy", "accuracy", "points", "point", 1),
    ERROR: GainUnit("lowers the error", "raises the error", "the error", "%", "%", -1),
}


def gain_words(change: RepeatedDifference, of: str = "accuracy") -> str:
    """The change of the accuracy in points, or of the error in per cent, with its interval and the number of seeds and rows."""
    unit, (middle, *ends) = GAIN_UNITS[of], change.interval().triple
    value, low, high = (signed_points(None if part is None else unit.sign * part) for part in (middle, *ends[:: unit.sign]))
    return f"{value} {unit.units} ({low} to {high}; {plural(change.seeds, 'seed')}, {change.n:,} rows)"


def effect_word(change: RepeatedDifference, p_harm: float, budget: float, least: float = EFFECT) -> str:
    """The verdict on a change of the accuracy, as one word.

    `helps` and `harms`: a significant change of at least `least`. `small`: a smaller significant change. `none`: no significant change.
    `unknown`: the interval is too wide to decide, or a loss of at least `least` is not significant.
    """
    low, high = change.interval().low, change.interval().high
    if low is None or high is None or isnan(low):
        return "unknown"
    if change.value <= -least:
        return "harms" if p_harm <= budget else "unknown"
    if low > 0 and change.value >= least:
        return "helps"
    return "unknown" if high - low > 4 * least else "none" if low <= 0 <= high else "small"


def gain_finding(context: Context, audit: AugmentationAudit, change: RepeatedDifference, p_harm: float) -> Finding:
    """Return the finding about the accuracy on all validation rows."""
    word, interval = effect_word(change, p_harm, context.budget), change.interval()
    words, unit = gain_words(change, audit.of), GAIN_UNITS[audit.of]
    matters = f"changes of {100 * EFFECT:g} {unit.unit} or more matter"
    sentence = {
        "helps": f"Augmentation `{audit.name}` {unit.raises}: {words}.",
        "harms": f"Augmentation `{audit.name}` {unit.lowers}: {words}.",
        "none": f"Augmentation `{audit.name}` has no significant effect on {unit.noun}: {words}.",
        "small": f"Augmentation `{audit.name}` changes {unit.noun} by less than {100 * EFFECT:g} {unit.unit}: {words}.",
        "unknown": f"Whether augmentation `{audit.name}` helps is unknown: {words}; {matters}. Train with more seeds or rows.",
    }[word]
    blank = undecided_augmentation(context, audit, GAIN, change.n, sentence)
    blank = replace(blank, evidence=blank.evidence | {"effect": word, "p_adjusted": p_harm})
    if word == "unknown":
        return blank
    told = replace(blank, **interval.fields, severity="ok", limit=-EFFECT, rank=3.0)
    return harm_told(told, audit, EFFECT) if word == "harms" else told


def not_in_use(finding: Finding) -> Finding:
    """Return a finding about an augmentation that was merely tried: its value without a verdict."""
    return replace(finding, severity="unknown", because=f"{finding.because.removesuffix('.')}; {NOT_IN_USE}")


def harm_told(finding: Finding, audit: AugmentationAudit, least: float) -> Finding:
    """Return the finding with the severity of a harm: `act` if the whole interval is a loss that matters, else `watch`; `unknown` for an
    augmentation that is not in use.
    """
    if not audit.in_use:
        return not_in_use(finding)
    return replace(finding, severity="act" if finding.high is not None and finding.high < -least else "watch", likely_source="model")


def slice_findings(context: Context, audit: AugmentationAudit, parts: list[Tested], harms: list[float]) -> Iterator[Finding]:
    """Yield the finding about the class or group that an augmentation harms most, or the finding that it harms none."""
    if not parts:
        return
    judged = [(effect_word(change, p, context.budget, SLICE_EFFECT), p, part, change) for (part, change), p in zip(parts, harms)]
    harmed = [each for each in judged if each[0] == "harms"]
    surest, least = min(harmed, key=lambda each: (each[1], each[3].value), default=None), min(judged, key=lambda each: each[3].value)
    word, p, part, change = surest or least
    where, interval = f"{part.column} `{part.level}`", change.interval()
    blank = undecided_augmentation(context, audit, SLICE_GAIN, part.n, "")
    evidence = {"slice_place": audit.slices.index(part), "p_adjusted": p, "compared": len(parts), "effect": word}
    blank = replace(blank, **interval.fields, limit=-SLICE_EFFECT, evidence=blank.evidence | evidence)
    if not harmed:
        size = f"{100 * SLICE_EFFECT:g}"
        lost = {ERROR: f"a significant rise of its error by {size} %"}.get(audit.of, f"a significant loss of {size} points")
        because = f"With augmentation `{audit.name}`, no class or group (of {len(parts)} compared) has {lost} or more"
        severity: Severity = "unknown" if change.value <= -SLICE_EFFECT else "ok"
        yield replace(
            blank,
            severity=severity,
            because=f"{because}. The least gain is in {where}: {'error ' if audit.of == ERROR else ''}{gain_words(change, audit.of)}.",
        )
        return
    more = f" Also in {len(harmed) - 1} more." if len(harmed) > 1 else ""
    because = f"Augmentation `{audit.name}` {GAIN_UNITS[audit.of].lowers} in {where}: {gain_words(change, audit.of)}.{more}"
    yield harm_told(replace(blank, because=because, slice=str(Slice(((part.column, part.level),))), rank=4.0), audit, SLICE_EFFECT)


def label_findings(context: Context, audit: AugmentationAudit) -> Iterator[Finding]:
    """Yield the finding about copies whose label changed, according to the people who checked them; if nobody did, according to the
    agreement of all seeds.
    """
    counted = audit.checked or audit.consensus
    if counted is None:
        return
    people, rate = audit.checked is not None, counted.rate
    key = "checked" if people else "consensus"
    blank = undecided_augmentation(context, audit, LABELS, counted.n, "")
    blank = replace(blank, evidence=blank.evidence | {"by": key}, limit=LABEL_LIMIT)
    if counted.n < MIN_ROWS or rate.value is None or rate.low is None or rate.high is None:
        yield replace(blank, because=f"Whether augmentation `{audit.name}` keeps labels is unknown: {counted.n} copies were checked.")
        return
    figures = f"{percent(rate.value)} ({counted.changed:,} of {counted.n:,}; {percent(rate.low)} to {percent(rate.high)})"
    beyond, surely = rate.value > LABEL_LIMIT, rate.low > LABEL_LIMIT
    severity: Severity = "ok" if not beyond else "act" if people and surely else "watch" if people or surely else "unknown"
    many = f"; the limit is {percent(LABEL_LIMIT)}"
    if people:
        because = f"Augmentation `{audit.name}` changes the label of {figures} of the copies that people checked{many}."
    else:
        because = f"Augmentation `{audit.name}` changes the label of {figures} of copies of rows that all seeds classify correctly{many}."
        because += " It may change labels: let people check copies." if beyond else ""
    told = replace(blank, **rate.fields, severity=severity, because=because, rank=3.5, likely_source="label" if beyond else None)
    yield not_in_use(told) if beyond and not audit.in_use else told


def measure_findings(context: Context, audit: AugmentationAudit) -> Iterator[Finding]:
    """Yield the findings about affinity and diversity. They have a verdict only if the model's owner set a limit."""
    model = (context.counters.get("models") or {}).get(audit.model)
    limits = model.settings.limits if model is not None else {}
    compared = {ERROR: "the error on the original rows is {} times that on augmented copies"}.get(
        audit.of, "accuracy on augmented copies is {} times that on the original rows"
    )
    words = {
        AFFINITY: (audit.affinity, f"For a model trained without augmentation `{{}}`, {compared}"),
        DIVERSITY: (audit.diversity, "With augmentation `{}` the final training loss is {} times that without it"),
    }
    for metric, (interval, sentence) in words.items():
        if interval is None or interval.value is None or interval.low is None or interval.high is None:
            continue
        figures = f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"
        because = f"{sentence.format(audit.name, figures)}, {plural(audit.seeds, 'seed')}."
        measured = replace(undecided_augmentation(context, audit, metric, audit.seeds, because), **interval.fields)
        yield held_against_level(measured, limits) if audit.in_use else not_in_use(measured)


ANALYZER = Analyzer(
    NAME,
    "Do the augmentations that a model is trained with help, harm no class or group, and keep labels?",
    needs,
    analyze,
    about="records",
    limits={AFFINITY: None},
    proofs=AUGMENTATION_PROOFS,
)
