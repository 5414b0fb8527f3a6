"""Possible sources of an error, ranked by the weight of their evidence, with a sentence for each.

A score is a weight of evidence between 0 and 1, not a probability. It is 0.9 if hardly any other source remains, and 0.3 (`unknown`) for an
ordinary error of an imperfect model. Sentences state what was measured, not causes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from observability.core.catalog import Version
from observability.core.errors import ObservabilityError
from observability.core.formatting import format_day
from observability.core.numerals import format_figure, percent, score_beside_threshold
from observability.core.time import aware_utc
from observability.investigation import comparison_rows, label_noise, neighbours
from observability.investigation.case_parts import CaseInProgress, computed_once
from observability.investigation.conditions import FIELDS, condition_mask
from observability.investigation.error_rule import search_half
from observability.investigation.evidence_types import ErrorRule, InputRepair, LabelCheck, Source, Triage
from observability.investigation.excess_errors import ExcessErrors, excess_errors
from observability.investigation.expected_error import expected_sentence, similar_scores, unseen_sentence
from observability.investigation.input_faults import RARE, TOGETHER, UNCOMMON, missing_together, moved_with_others, odd_inputs
from observability.investigation.label_support import rater_support
from observability.investigation.label_types import outcome_words
from observability.investigation.slice_cause import share_odd_input, slice_history
from observability.investigation.version_comparison import shared_request_tally
from observability.stats.arrays import Bools
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import rate_interval
from observability.store.types.decision_items import SOURCE_WORDS

if TYPE_CHECKING:
    from pandas import DataFrame

UNKNOWN, EXPECTED, CLOSE = 0.3, 0.4, 0.1
"""Three weights: the minimum for a source to be named; the weight of a rare error that calibrated scores predict; and the difference below
which two sources are both possible, so that the answer is "cannot tell".
"""
UNTESTED: tuple[Source, ...] = ("weak_slice", "far_from_reference", "boundary", "expected")
"""Sources whose evidence is the score or similar rows, not an experiment on the case itself."""
UNTRIED = 0.85
"""Factor for the weight of suspected inputs if their repair could not be tried."""
NOT_RARE = 0.15
"""Weight of a distance that one to five in a hundred rows reach. It is half the weight of an ordinary error. It becomes larger only if rows
that are outside the reference in the same features err more.
"""
ODD = 0.4
"""If an odd input has at least this weight, it alone can explain that a row is far from its reference."""
AT_EDGE, NEAR_EDGE, SMALL = 0.6, 0.15, 0.12
"""AT_EDGE: weight of a score at the boundary. NEAR_EDGE: the part of the range from boundary to certainty within which the weight falls to
0. SMALL: the part below which a margin is small.
"""
OUTCOME_DISCOUNT = {"outcome": 0.3, "correction": 0.3}
"""Factor for labels that were measured or corrected; their weight is then at most that of an ordinary error."""
DOUBT = 0.9
"""Weight of a label if the same number of new raters would give the decided class instead, with a probability of one half."""
NO_BETTER = 0.25
"""Weight of the version as a source if another version is right here, but is not significantly more often right in general, or both scored
too few requests. It is below the weight of an ordinary error, because one request is no evidence about a version.
"""


def rank_sources(case: CaseInProgress) -> tuple[Triage, ...]:
    """The sources with evidence, and `unknown`, best first; sources of equal weight are in the order of SOURCES. `unknown` is first if the
    weight of the best source is below UNKNOWN, or if the next source is less than CLOSE below the best.
    """
    found = [less_by_repair(case, source) for read in SOURCES for source in read(case)]
    found = [source for source in found if source.score > 0 or source.source == "input"]
    ranked = sorted(found, key=lambda source: -source.score)
    if len(ranked) > 1 and ranked[0].score >= UNKNOWN and ranked[0].score - ranked[1].score < CLOSE:
        best = " and ".join(f"{SOURCE_WORDS[source.source]} ({source.score:.2f})" for source in ranked[:2])
        return Triage("unknown", ranked[0].score, f"Cannot tell: the weights of {best} are close."), *ranked
    return tuple(sorted([*ranked, ordinary_error_source(case, ranked)], key=lambda source: -source.score))


def less_by_repair(case: CaseInProgress, source: Triage) -> Triage:
    """A source whose evidence does not include an experiment, with less weight if a repaired input makes the answer right."""
    tried: InputRepair | None = case.part("repair")
    if tried is None or source.source not in UNTESTED:
        return source
    return replace(source, score=round(source.score * (1 - tried.cause), 3))


def input_sources(case: CaseInProgress) -> Iterator[Triage]:
    """Suspected inputs as a source. The weight grows with the share of repairs that make the answer right; it is lower if no repair could
    be tried.
    """
    odd = odd_inputs(case)
    sentences = [f"{each.feature} ({', '.join(each.flags)}): {each.because}" for _, each in odd[:3]]
    weights = [weight for weight, _ in odd]
    if (together := missing_together(case)) is not None:
        weights.append(TOGETHER)
        sentences = [together]
    if not weights:
        return
    score = min(1 - float(np.prod([1 - weight for weight in weights])), 0.95)
    tried: InputRepair | None = case.part("repair")
    if tried is None:
        yield Triage("input", round(UNTRIED * score, 3), f"{' '.join(sentences)} No repair was tried: {case.why.get('repair', '')}")
    else:
        part = UNTRIED if tried.right is None else tried.cause
        if case.row.model.task == "regression" and tried.nearer > 0:
            part = max(part, tried.part)
        yield Triage("input", round(score * part, 3), f"{tried.because} {' '.join(sentences)}")


def far_from_reference(case: CaseInProgress) -> Iterator[Triage]:
    """The distance of the row from the reference as a source. Out-of-range values that other rows share are included."""
    try:
        found = neighbours.reference_distance(case)
    except ObservabilityError:
        return
    share = max(rate_interval(round(part * n), n).high or 1.0 for part, n in found.shares)
    score = 0.0 if share > UNCOMMON else NOT_RARE if share > RARE else 0.7
    if any(weight >= ODD for weight, _ in odd_inputs(case)):
        score *= 0.7  # odd inputs alone can put a row far from the reference
    because = f"{percent(found.share)} of {comparison_rows.reference_sample(case.row, found.n)} are as far from the reference"
    because += f", and {percent(found.now)} of a sample of {found.now_rows:,} current rows" if found.now is not None else ""
    shared = [each.feature for each in case.part("inputs") or () if any(moved_with_others(case, each, flag) for flag in each.flags)]
    if shared:
        because += f". Like other current rows it is outside the reference in {', '.join(shared[:4])}"
        if (excess := excess_error_outside(case, shared)) is not None:
            score = max(score, excess.part)
            because += f". Outside in {'it' if len(shared) == 1 else 'at least one of them'}: {excess.sentence.removesuffix('.')}"
    yield Triage("far_from_reference", round(min(score, 0.9), 3), f"{because}.")


def excess_error_outside(case: CaseInProgress, features: list[str]) -> ExcessErrors | None:
    """Errors of the rows whose value of one of the features is outside the reference, in excess of the errors of other rows with the same
    decision and the same scores.
    """
    try:
        frame = comparison_rows.same_decision_rows(case)
    except ObservabilityError:
        return None
    outside = np.zeros(len(frame), bool)
    for name in features:
        limits, values = case.row.version.edges[f"feature.{name}"].limits, frame[f"feature.{name}"]
        if limits is not None:
            outside |= np.asarray((values < limits[0]) | (values > limits[1]), bool)
    error = comparison_rows.similar_error(case)
    return excess_errors(frame, outside, error.of(frame), error.said)


def label_sources(case: CaseInProgress) -> Iterator[Triage]:
    """A suspect label as a source, with less weight if the label was measured."""
    check: LabelCheck | None = case.part("label_check")
    if check is None or not check.suspect:
        return
    source = case.row.label_source
    wrong = None if check.self_confidence is None else label_noise.wrong_label_probability(case, check.self_confidence)
    because, people = check.because, len(check.votes) > 1 or check.doubt is not None
    raters = rater_support(case)
    if raters is not None:
        score = min(2 * DOUBT * raters.decided, 0.9)
    elif people:
        score = 0.9
    elif check.agree is not None and wrong is not None and source not in label_noise.JUDGED:
        score = max(wrong - label_noise.EVEN, 0.0)
    elif check.agree is not None:
        doubt = 1.0 if check.instead is not None or not check.threshold else 1 - (check.self_confidence or 0.0) / check.threshold
        score = 0.45 + 0.1 * (check.instead is not None) + 0.35 * (1 - check.agree) * doubt
    else:
        score = min(0.9, 0.5 + 0.05 * (check.away or 0.0))
    score *= OUTCOME_DISCOUNT.get(source or "", 1.0)
    rule: ErrorRule | None = case.part("rule")
    if rule is not None and rule.clear and rule.rate and rule.overall and not people:
        score *= rule.overall / rule.rate
        because += " The model has more errors in this slice, so its evidence against the label counts less."
    tried: InputRepair | None = case.part("repair")
    if tried is not None and tried.cause and not people:
        score *= 1 - tried.cause
        because += " With repaired inputs the model agrees with the label."
    yield Triage("label", round(score, 3), because)


def weak_slice(case: CaseInProgress) -> Iterator[Triage]:
    """A weak slice as a source. Its weight is the share of the errors, in the rows held out from the rule's search, that other rows with
    the same scores do not have. The larger the slice, the smaller the weight. A slice of uncertain scores has many errors because its
    scores state them, and a slice of few days may be one bad day. Rows that share an odd input with the case do not count. A slice that
    became more frequent counts less (slice_cause.py).
    """
    found = slice_errors(case)
    if found is None:
        return
    rule, excess, frame, inside, odd = found
    source: Source = "degraded_path" if by_path(case, rule) else "weak_slice"
    share = rule.n / rule.counted if rule.counted and source == "weak_slice" else 0.0
    history = slice_history(case, rule.conditions, frame, inside)
    without = f" ({odd:,} rows with the same odd input left out)" if odd else ""
    because = f"{rule.because} {excess.sentence.removesuffix('.')}{without}. {history.sentence}".strip()
    yield Triage(source, round(min(excess.part * history.part * (1 - share), 0.9), 3), because)


class SliceErrors(NamedTuple):
    """The errors in the rows held out from the rule's search. excess: errors beyond the number expected from other rows with the same
    scores. frame: rows with the same decision as the case; inside: which of them are in the slice; odd: number of rows left out because
    they share an odd input with the case.
    """

    rule: ErrorRule
    excess: ExcessErrors
    frame: "DataFrame"
    inside: Bools
    odd: int


@computed_once
def slice_errors(case: CaseInProgress) -> SliceErrors | None:
    """The errors in the case's slice; None if no rule has a significantly higher error rate, or if too few rows are left."""
    rule: ErrorRule | None = case.part("rule")
    if rule is None or not rule.weak or not rule.conditions:
        return None
    frame = comparison_rows.same_decision_rows(case)
    frame = frame[~search_half(len(frame))]
    odd = share_odd_input(case, frame)
    frame = frame[~odd].reset_index(drop=True)
    if frame.empty:
        return None
    inside = np.logical_and.reduce([condition_mask(each, frame) for each in rule.conditions])
    excess = excess_errors(frame, inside, comparison_rows.similar_error(case).of(frame), "such errors")
    return None if excess is None else SliceErrors(rule, excess, frame, inside, int(odd.sum()))


def expected_error_source(case: CaseInProgress) -> Iterator[Triage]:
    """The source `expected`: a rare error that the scores of similar rows predict. Its weight falls as such errors become more frequent. If
    rows like the case err more than other rows with the same scores, that part of the errors does not count as predicted.
    """
    found, among = similar_scores(case), slice_errors(case)
    if found is not None:
        unstated = 0.0 if among is None else among.excess.part
        because = expected_sentence(case, found)
        if unstated:
            because += " Rows like this err more often than others of the same scores, so this counts less."
        yield Triage("expected", round(EXPECTED * found.stated_part * (1 - unstated) * (1 - found.errors / found.n), 3), because)


def by_path(case: CaseInProgress, rule: ErrorRule) -> bool:
    """Whether the replica or device of the case has more errors: among held-out rows that meet the rule's other conditions, its rows are
    wrong significantly more often than the rest.
    """
    if not any(each.reference in FIELDS for each in rule.conditions):
        return False
    frame = comparison_rows.same_decision_rows(case)
    frame = frame[~search_half(len(frame))]
    wrong = comparison_rows.similar_error(case).of(frame)
    alike, by_it = np.ones(len(frame), bool), np.ones(len(frame), bool)
    for each in rule.conditions:
        mask = condition_mask(each, frame)
        by_it &= mask
        alike &= mask | (each.reference in FIELDS)
    beside = alike & ~by_it
    more = rate_difference_interval(int(wrong[by_it].sum()), int(by_it.sum()), int(wrong[beside].sum()), int(beside.sum()))
    return more.low is not None and more.low > 0


def decision_boundary_source(case: CaseInProgress) -> Iterator[Triage]:
    """A source: the score is close to another decision."""
    row = case.row
    if row.score is None or row.decision < 0 or not np.isfinite(row.score):
        return
    if row.model.task == "binary":
        room = row.threshold if row.score < row.threshold else 1 - row.threshold
        margin = abs(row.score - row.threshold) / room if room > 0 else 1.0
        score = score_beside_threshold(row.score, row.threshold, f"{row.score:.3f}")
        text = f"The score {score} is {format_figure(abs(row.score - row.threshold), 2)} from the threshold {format_figure(row.threshold)}"
    else:
        first, second = sorted([float(each) for each in (row.probabilities or {}).values()] + [0.0, 0.0])[-1:-3:-1]
        margin = first - second
        text = f"The margin between the two most probable classes is {margin:.3f}"
    if row.wrong is not False:
        near = "a small change gives another decision" if margin < SMALL else "near another decision, but no small change reaches it"
        yield Triage("boundary", round(AT_EDGE * max(0.0, 1 - margin / NEAR_EDGE), 3), f"{text}: {near}.")


def other_version_source(case: CaseInProgress) -> Iterator[Triage]:
    """A source: another version gives a better score to the same input."""
    row = case.row
    if row.label is None:
        return
    for answer in case.part("versions") or ():
        if answer.version == row.version.name:
            continue
        right = answer.prediction == row.label.value if row.model.classes else False
        said = ""
        if row.wrong and right:
            predicted = outcome_words(row.model, str(answer.prediction))
            said = f"Version {answer.version} predicts {predicted} for the same input, which is the real outcome."
        elif row.error is not None and row.label_number is not None and isinstance(answer.score, int | float):
            other = abs(float(answer.score) - row.label_number)
            if other < abs(row.error) / 2:
                said = f"Version {answer.version} has an error of {other:.4g} on the same input, this one {abs(row.error):.4g}."
        known = row.model.version(answer.version)
        if said and known is not None:
            both = shared_request_tally(case, known)
            score = min(1 - both.worse / both.better, 0.9) if both.really else NO_BETTER
            yield Triage("version", round(score, 3), f"{said}{_may_have_learned(case, known)} {both.sentence}")
            return


def _may_have_learned(case: CaseInProgress, version: Version) -> str:
    """A sentence if a version first answered after the request, so that the request may have been in its training data; else empty."""
    known = case.store.activity(case.row.as_of, case.row.model.name)
    first = known.loc[(known["version"] == version.name) & (known["environment"] != "reference"), "first"].min()
    if first != first or aware_utc(first.to_pydatetime()) <= aware_utc(case.row.at):
        return ""
    return f" It first answered on {format_day(first)}, after this request, from which it may have learned."


def degraded_path(case: CaseInProgress) -> Iterator[Triage]:
    """A source: the request did not end normally."""
    if case.row.status != "ok":
        yield Triage("degraded_path", 0.95, f"The request ended with status {case.row.status}.")


def ordinary_error_source(case: CaseInProgress, ranked: Sequence[Triage] = ()) -> Triage:
    """The source `unknown`, with a sentence that says how frequent errors are. ranked: the sources with evidence."""
    frame = comparison_rows.labelled_rows_of(case)
    because = "Nothing measured distinguishes it from an ordinary error."
    try:
        error = comparison_rows.error_definition(case)
    except ObservabilityError:
        return Triage("unknown", UNKNOWN, because)
    if error.of_row(case.row) is False:
        because = f"This prediction is not an error: an error is {error.text}."
    elif len(frame):
        rows = comparison_rows.labelled_sample(case)
        because = f"{percent(float(error.of(frame).mean()))} of {rows} are {error.said}"
        unseen = unseen_sentence(case)
        because = f"{unseen} {because}." if unseen else f"{because}; this may be an ordinary error."
    check: LabelCheck | None = case.part("label_check")
    weight = max((source.score for source in ranked if source.source == "label"), default=0.0)
    if check is not None and check.suspect and check.doubt is not None and case.row.wrong and weight < UNKNOWN:
        because += " The label is suspect, but other raters would hardly choose the predicted class either."
    return Triage("unknown", UNKNOWN, because)


SOURCES: tuple[Callable[[CaseInProgress], Iterator[Triage]], ...] = (
    degraded_path,
    input_sources,
    label_sources,
    other_version_source,
    weak_slice,
    far_from_reference,
    decision_boundary_source,
    expected_error_source,
)
"""All sources. Sources of equal weight are ranked in this order."""
