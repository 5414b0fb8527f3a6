"""Where may this bad prediction come from? Possible sources, best first, each with how much speaks for it and the sentence that says what.

A score is a weight of evidence between 0 and 1, not a probability: 0.9 where hardly anything else is left, 0.3 (`unknown`) where an ordinary error
of an imperfect model is as good an answer. Every sentence is about what was measured; none says what caused what.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from observability.core.errors import ObservabilityError
from observability.investigation import comparison_rows, label_noise, neighbours
from observability.investigation.case_parts import Look
from observability.investigation.conditions import FIELDS, holds
from observability.investigation.error_rule import searched
from observability.investigation.evidence_types import Input, LabelCheck, Rule, Source, Triage
from observability.investigation.version_comparison import versus
from observability.stats.interval import rate_difference_interval

if TYPE_CHECKING:
    from pandas import DataFrame

UNKNOWN = 0.3
"""What speaks for an ordinary error, whatever the case."""
FLAG_WEIGHT = {"absent": 0.8, "wrong_type": 0.9, "stale": 0.75, "unseen": 0.55, "out_of_range": 0.7}
TOGETHER = 0.85
"""What speaks for a feed that fell silent: more values missing at once than in nearly all of the reference."""
RARE, UNCOMMON = 0.01, 0.05
"""Below these shares of the reference a missing value is rare, or uncommon."""
COMMON_NOW = 0.02
"""Where more of the model's own rows about this time are as odd, the world has moved: that is no fault of one input."""
ODD = 0.4
"""From this weight on, odd inputs are taken to make a row far from its reference by themselves."""
AT_EDGE, NEAR_EDGE = 0.6, 0.15
"""What speaks for an answer right at the edge, and the share of the way from there to certainty within which it is near."""
OUTCOME_DISCOUNT = {"outcome": 0.3, "correction": 0.3}
"""How much less a label is doubted that was measured, or corrected already, than one that a person gave: never more than an ordinary error is as good."""
JUDGED = ("human", "outcome", "correction")
"""Sources of labels of which it is known how they came; of the others a label is doubted only as far as wrong ones are commoner than unlikely ones."""
EVEN = 0.2
"""What is taken off the probability that a label is wrong: where it is as likely as a right one that the model finds as unlikely, it is no better than an
ordinary error."""
ONLY_HERE, NO_BETTER = 0.5, 0.25
"""What speaks for the version where another one is right here and nothing says which is right more often; and where it is not right more often."""


def triage(look: Look) -> tuple[Triage, ...]:
    """The sources that something speaks for, and `unknown`, best first; ties in the order of SOURCES."""
    found = [each for source in SOURCES for each in source(look) if each.score > 0]
    return tuple(sorted([*found, unknown(look)], key=lambda each: -each.score))


def inputs(look: Look) -> Iterator[Triage]:
    """Values that are missing, of another type, old, unseen or impossible, weighted by how much the model listens to the feature."""
    given: tuple[Input, ...] = look.part("inputs") or ()
    odd = sorted(((weight, each) for each in given if (weight := oddness(look, each)) > 0), key=lambda part: -part[0])
    sentences = [f"{each.feature} ({', '.join(each.flags)}): {each.because}" for _, each in odd[:3]]
    weights = [weight for weight, _ in odd]
    if (together := missing_together(look)) is not None:
        weights.append(TOGETHER)
        sentences.insert(0, together)
    if weights:
        score = 1 - float(np.prod([1 - weight for weight in weights]))
        yield Triage("input", round(min(score, 0.95), 3), " ".join(sentences))


def oddness(look: Look, given: Input) -> float:
    """How much one input looks like a fault, 0 to 1."""
    weights = [FLAG_WEIGHT[flag] for flag in given.flags if flag in FLAG_WEIGHT and not moved(look, given, flag)]
    if "null" in given.flags and given.share is not None:
        weights.append(0.7 if given.share < RARE else 0.3 if given.share < UNCOMMON else 0.0)
    return max(weights, default=0.0) * heard(look, given.feature)


def moved(look: Look, given: Input, flag: str) -> bool:
    """Whether a number is outside of the reference on the side where many other rows about this time are too. (A level that the reference never holds stays
    odd however many rows have it: the model cannot know it.)
    """
    edges = look.row.version.edges.get(f"feature.{given.feature}")
    frame = comparison_rows.labelled_rows_of(look)
    if flag != "out_of_range" or edges is None or not edges.edges or not isinstance(given.value, int | float) or frame.empty:
        return False
    values = frame[f"feature.{given.feature}"]
    outside = values > edges.edges[-1] if given.value > edges.edges[-1] else values < edges.edges[0]
    return float(outside.mean()) > COMMON_NOW


def heard(look: Look, feature: str) -> float:
    """How much the model listens to a feature: 0.6 (hardly) to 1, from the importance in the settings; 0.9 where nobody said."""
    importance = look.row.model.settings.importance
    if not importance:
        return 0.9
    return float(min(1.0, 0.6 + 0.4 * importance.get(feature, 0.0) * len(importance)))


def missing_together(look: Look) -> str | None:
    """A sentence where more values are missing at once than in nearly all of the reference: a feed that fell silent is more than single nulls."""
    columns = neighbours.compared(look.row)
    own = comparison_rows.values(look.row)
    mine = sum(own[each.reference] is None for each in columns)
    frame: DataFrame = comparison_rows.reference(look)
    if mine < 2 or frame.empty:
        return None
    theirs = frame[[each.reference for each in columns]].isna().sum(axis=1)
    share = float((theirs >= mine).mean())
    if share >= RARE:
        return None
    return f"{mine} of {len(columns)} inputs are missing at once, which {100 * share:.2g} % of the reference's rows are ({len(frame):,} looked at)."


def far_from_reference(look: Look) -> Iterator[Triage]:
    """How far the row lies from the reference, and values outside of it that other rows have as well."""
    try:
        found = neighbours.far(look)
    except ObservabilityError:
        return
    share = max(found.share, found.now or 0.0)
    score = 0.0 if share > UNCOMMON else 0.45 if share > RARE else 0.7
    if any(each.score >= ODD for each in inputs(look)):
        score *= 0.7  # what is missing or impossible makes a row far by itself
    because = f"{100 * found.share:.3g} % of {found.n} rows of the reference lie as far from the others"
    because += f", and {100 * found.now:.3g} % of the rows about this time" if found.now is not None else ""
    shared = [each.feature for each in look.part("inputs") or () if any(moved(look, each, flag) for flag in each.flags)]
    if shared:
        added, rate, rest = beyond(look, shared)
        score = max(score, added)
        because += f"; like other rows about this time it is outside of the reference in {', '.join(shared[:4])}: "
        because += f"{100 * rate:.3g} % of those are errors, {100 * rest:.3g} % of the others"
    yield Triage("far_from_reference", round(min(score, 0.9), 3), f"{because}.")


def beyond(look: Look, features: list[str]) -> tuple[float, float, float]:
    """What leaving the reference adds to errors: the part of the errors of rows that are outside in one of these features which is more than the others
    have (0 where that is within chance), and both error rates.
    """
    frame = comparison_rows.labelled_rows_of(look)
    wrong = comparison_rows.bad(look).of(frame)
    outside = np.zeros(len(frame), bool)
    for name in features:
        limits = look.row.version.edges[f"feature.{name}"].edges
        values = frame[f"feature.{name}"]
        outside |= np.asarray((values > limits[-1]) | (values < limits[0]), bool)
    inside = ~outside
    if not outside.any() or not inside.any():
        return 0.0, float(wrong.mean()), float("nan")
    rate, rest = float(wrong[outside].mean()), float(wrong[inside].mean())
    more = rate_difference_interval(int(wrong[outside].sum()), int(outside.sum()), int(wrong[inside].sum()), int(inside.sum()))
    return (1 - rest / rate if rate and (more.low or 0.0) > 0 else 0.0), rate, rest


def label(look: Look) -> Iterator[Triage]:
    """Whether the label is suspect, discounted where it was measured rather than judged."""
    check: LabelCheck | None = look.part("label_check")
    if check is None or not check.suspect:
        return
    source = next((each.source for each in look.row.revisions if each.current), None)
    if len(check.votes) > 1:
        score = 0.9
    elif check.agree is not None and check.self_confidence is not None and source not in JUDGED:
        score = max(label_noise.doubt(look, check.self_confidence) - EVEN, 0.0)
    elif check.agree is not None:
        doubt = 1.0 if check.instead is not None or not check.threshold else 1 - (check.self_confidence or 0.0) / check.threshold
        score = 0.45 + 0.1 * (check.instead is not None) + 0.35 * (1 - check.agree) * doubt
    else:
        score = min(0.9, 0.5 + 0.05 * (check.away or 0.0))
    score *= OUTCOME_DISCOUNT.get(source or "", 1.0)
    because = check.because
    rule: Rule | None = look.part("rule")
    if rule is not None and rule.weak and rule.rate and rule.overall and len(check.votes) < 2:
        score *= rule.overall / rule.rate
        because += " It lies where the model errs more often, so its word against a label counts less."
    yield Triage("label", round(score, 3), because)


def weak_slice(look: Look) -> Iterator[Triage]:
    """The part of the errors of the rule's rows that would not be there if they erred like the rest: what the slice itself adds. The more of all rows the
    rule covers, the less it says of this one.
    """
    rule: Rule | None = look.part("rule")
    if rule is None or not rule.weak or not rule.rate or rule.overall is None:
        return
    rest = rest_rate(rule)
    source: Source = "degraded_path" if by_path(look, rule) else "weak_slice"
    share = rule.n / rule.counted if rule.counted and source == "weak_slice" else 0.0
    added = max(1 - rest / rule.rate, 0.0)
    because = f"{rule.because} If they erred like the others, {100 * added:.2g} % of these errors would not be there."
    yield Triage(source, round(min(added * (1 - share), 0.9), 3), because)


def by_path(look: Look, rule: Rule) -> bool:
    """Whether it is the replica or device that errs more: of the rows that meet the rule's other conditions those that came by it, beyond chance, on rows
    that the search did not see.
    """
    if not any(each.reference in FIELDS for each in rule.conditions):
        return False
    frame = comparison_rows.labelled_rows_of(look)
    frame = frame[~searched(len(frame))]
    wrong = comparison_rows.bad(look).of(frame)
    alike, by_it = np.ones(len(frame), bool), np.ones(len(frame), bool)
    for each in rule.conditions:
        mask = holds(each, frame)
        by_it &= mask
        alike &= mask | (each.reference in FIELDS)
    beside = alike & ~by_it
    more = rate_difference_interval(int(wrong[by_it].sum()), int(by_it.sum()), int(wrong[beside].sum()), int(beside.sum()))
    return more.low is not None and more.low > 0


def rest_rate(rule: Rule) -> float:
    """The error rate of the rows that a rule does not cover."""
    if not rule.coverage or rule.overall is None or not rule.overall:
        return rule.overall or 0.0
    all_errors = rule.errors / rule.coverage
    others = all_errors / rule.overall - rule.n
    return (all_errors - rule.errors) / others if others > 0 else 0.0


def boundary(look: Look) -> Iterator[Triage]:
    """How near the answer was to another one."""
    row = look.row
    if row.score is None or row.decision < 0 or not np.isfinite(row.score):
        return
    if row.model.task == "binary":
        room = row.threshold if row.score < row.threshold else 1 - row.threshold
        margin = abs(row.score - row.threshold) / room if room > 0 else 1.0
        text = f"The score {row.score:.3f} is {abs(row.score - row.threshold):.3f} from the cut-off {row.threshold:.3f}"
    else:
        first, second = sorted([float(each) for each in (row.probabilities or {}).values()] + [0.0, 0.0])[-1:-3:-1]
        margin = first - second
        text = f"The most probable class leads the next by {margin:.3f}"
    if row.wrong is not False:
        yield Triage("boundary", round(AT_EDGE * max(0.0, 1 - margin / NEAR_EDGE), 3), f"{text}: a small change gives another answer.")


def version(look: Look) -> Iterator[Triage]:
    """Whether another version answers the same input better."""
    row = look.row
    if row.label is None:
        return
    for each in look.part("versions") or ():
        if each.version == row.version.name:
            continue
        right = each.prediction == row.label.value if row.model.classes else False
        said = ""
        if row.wrong and right:
            said = f"Version {each.version} answers {each.prediction} to the same input, which is the real outcome."
        elif row.error is not None and row.label_number is not None and isinstance(each.score, int | float):
            other = abs(float(each.score) - row.label_number)
            if other < abs(row.error) / 2:
                said = f"Version {each.version} is {other:.4g} off on the same input, where this one is {abs(row.error):.4g} off."
        known = row.model.version(each.version)
        if said and known is not None:
            both = versus(look, known)
            score = ONLY_HERE if not both.known else min(1 - both.worse / both.better, 0.9) if both.really else NO_BETTER
            yield Triage("version", round(score, 3), f"{said} {both.sentence}")
            return


def degraded_path(look: Look) -> Iterator[Triage]:
    """Whether the answer came by another way than usual."""
    if look.row.status != "ok":
        yield Triage("degraded_path", 0.95, f"The request ended as {look.row.status}, so the answer is not the model's usual one.")


def unknown(look: Look) -> Triage:
    """What is always possible: an ordinary error."""
    frame = comparison_rows.labelled_rows_of(look)
    because = "Nothing measured here tells it from an ordinary error."
    try:
        rate = comparison_rows.bad(look).of(frame).mean() if len(frame) else None
    except ObservabilityError:
        rate = None
    if rate is not None:
        because = f"{100 * rate:.3g} % of {len(frame):,} labelled predictions about this time are errors; this one may be an ordinary one."
    return Triage("unknown", UNKNOWN, because)


SOURCES: tuple[Callable[[Look], Iterator[Triage]], ...] = (
    degraded_path,
    inputs,
    label,
    version,
    weak_slice,
    far_from_reference,
    boundary,
)
"""What is asked, in the order that breaks ties."""
