"""Write the sentences of a comparison: the result, and notes about the two sides."""

from collections.abc import Sequence

from observability.compare.comparison_types import ComparisonSide, WindowComparison
from observability.compare.difference import SECTIONS, Difference
from observability.core.metric_definitions import METRICS
from observability.core.numerals import MINUS, change_in_words, with_si_prefix
from observability.core.window import Slice

NAMED_DIFFERENCES = 4
"""Maximum number of differences that the sentence names; the rest are counted."""
PROPER = ("ROC", "PR ", "F1", "R²", "Brier")
LABELLED_SHARE_GAP = 0.05
"""A difference between the labelled shares of the two sides is mentioned from this size on."""


def metric_words(metric: str) -> str:
    """A metric's name in words."""
    known = METRICS.get(metric)
    return known.title if known else metric.replace("_", " ")


def difference_label(each: Difference) -> str:
    """A short name of what is compared."""
    if each.section == "score":
        return "the distribution of the score"
    if each.section == "inputs":
        return f"`{each.subject}`"
    if each.section == "fairness":
        return f"{_lower_title(metric_words(each.metric))} by `{each.subject}`"
    said = _lower_title(metric_words(each.metric)) + (" on the same rows" if each.section == "pairs" else "")
    if each.section == "performance" and each.subject != "model":  # a watched slice
        return f"{said} where {' and '.join(f'{column} = {value}' for column, value in _slice_conditions(each.subject))}"
    return said if each.subject == "model" else f"{said} of `{each.subject}`"


def _slice_conditions(text: str) -> tuple[tuple[str, str], ...]:
    """The conditions of a slice, decoded."""
    part = Slice.parse(text)
    return part.conditions if part else ()


def _lower_title(words: str) -> str:
    """A title in lower case, for use inside a sentence; ROC AUC and p95 keep their case."""
    return words if words.startswith(PROPER) else words[:1].lower() + words[1:]


def _unit_value(value: float | None, unit: str) -> str:
    """A value with its unit, as text."""
    if value is None:
        return "unknown"
    if unit == "share":
        return f"{100 * value:.1f} %".replace("-", MINUS)
    if unit == "Wh":
        return with_si_prefix(value, unit)
    digits = (f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", MINUS)
    return f"{digits} ms" if unit == "ms" else digits


def change_words(each: Difference) -> str:
    """The change from B to A in words."""
    if each.distance:
        return f"PSI {each.change.value:.2f}"
    value = each.change.value or 0.0
    if each.unit in ("share", "0 to 1", "up to 1") and each.metric != "brier":
        moved = change_in_words(100 * value, "points", 1)
    elif each.b.value and each.metric != "bias":
        moved = change_in_words(100 * value / abs(each.b.value), "%")
    else:
        moved = f"{value:+.3g}"
    return f"{_unit_value(each.a.value, each.unit)} against {_unit_value(each.b.value, each.unit)}, {moved.replace('-', MINUS)}"


INTERVAL_OF_DIFFERENCE = "95 % interval of the difference"


def change_interval_words(each: Difference) -> str | None:
    """The 95 % interval of the change from B to A, from low to high, with the name of the paired test; None if the interval is unknown."""
    low, high = each.change.low, each.change.high
    if low is None or high is None or each.distance:
        return None
    if each.unit in ("share", "0 to 1", "up to 1") and each.metric != "brier":
        ends = f"{_signed(100 * low, '.1f')} to {_signed(100 * high, '.1f')} points"
    elif each.unit == "Wh":
        ends = " to ".join("0 Wh" if not end else ("+" if end > 0 else MINUS) + with_si_prefix(abs(end), "Wh") for end in (low, high))
    else:
        ends = f"{_signed(low, '.3g')} to {_signed(high, '.3g')}{' ms' if each.unit == 'ms' else ''}"
    test = each.evidence.get("test")
    return f"{INTERVAL_OF_DIFFERENCE} {ends}{f', {test}' if test else ''}"


def _signed(value: float, form: str) -> str:
    """A number with its sign; without a sign if it rounds to zero."""
    text = f"{value:+,{form}}"
    return text.replace("-", MINUS) if text.strip("+-0.") else text.strip("+-")


def basis_words(each: Difference) -> str | None:
    """The basis of a cost or energy figure that is estimated or assumed; None for a measured figure."""
    source = each.evidence.get("source")
    if source not in ("estimated", "assumed"):
        return None
    if each.metric == "energy_per_thousand" and each.evidence.get("method") == "latency":
        return f"estimated from latency × {'an assumed' if source == 'assumed' else 'a calibrated'} power"
    return f"{source}, not measured"


def ordered_differences(found: Sequence[Difference]) -> list[Difference]:
    """The differences in the order of the sentence. If a metric has a verdict on paired rows, its difference over all rows is left out."""
    paired = {each.metric for each in found if each.section == "pairs" and each.verdict != "unknown"}
    left = [each for each in found if not (each.section in ("performance", "decisions") and each.metric in paired)]
    return sorted(left, key=lambda each: (SECTIONS.index(each.section), -abs(each.relative or 0.0), each.subject, each.metric))


def comparison_sentence(found: Sequence[Difference], a: ComparisonSide, b: ComparisonSide) -> str:
    """The result in one sentence: the significant differences, and how many figures are alike, below the minimum effect, or undecided."""
    sizes = f"{a.rows:,} predictions on side A, {b.rows:,} on side B"
    empty = [label for label, side in (("A", a), ("B", b)) if not side.rows]
    if empty:
        return f"Side {' and side '.join(empty)} has no predictions, so nothing can be compared." if len(empty) == 1 else (
            "Neither side has predictions, so nothing can be compared."
        )  # fmt: skip
    rows = ordered_differences(found)
    of = {word: [each for each in rows if each.verdict == word] for word in ("differs", "slight", "alike", "unknown")}
    if len(of["unknown"]) == len(rows):
        return f"Undecided: too few rows to compare the two sides ({sizes})."
    rest = []
    if of["alike"]:
        rest.append(f"{len(of['alike'])} {'is' if len(of['alike']) == 1 else 'are'} alike")
    if of["slight"]:
        rest.append(f"{len(of['slight'])} {'is' if len(of['slight']) == 1 else 'are'} below the minimum effect")
    if of["unknown"]:
        rest.append(f"{len(of['unknown'])} {'is' if len(of['unknown']) == 1 else 'are'} undecided")
    tail = (
        f" Of the rest, {', '.join(rest)}."
        if rest and of["differs"]
        else f" Of {len(rows)} comparisons, {', '.join(rest)}."
        if rest
        else ""
    )
    if not of["differs"]:
        return f"No significant difference that is large enough to matter ({sizes}).{tail}"
    named = "; ".join(f"{difference_label(each)} ({change_words(each)})" for each in of["differs"][:NAMED_DIFFERENCES])
    more = len(of["differs"]) - NAMED_DIFFERENCES
    return (
        f"A and B differ significantly in {len(of['differs'])} of {len(rows)} comparisons: "
        f"{named}{f'; and {more} more' if more > 0 else ''} ({sizes}).{tail}"
    )


def comparison_notes(found: WindowComparison) -> list[str]:
    """Facts that a reader must know about the two sides, one sentence each."""
    a, b = found.a, found.b
    said = []
    if found.pairs is None or not found.pairs.n:
        said.append(_row_overlap_note(a, b))
        if found.pairs is not None:
            said.append("The dates overlap, but no row of one side matches a row of the other (same features, less than an hour apart).")
    ripe_a, ripe_b = a.labelled_share, b.labelled_share
    shadow = found.pairs is not None and found.pairs.labelled > 0 and 0.0 in (ripe_a, ripe_b)
    if ripe_a is not None and ripe_b is not None and abs(ripe_a - ripe_b) >= LABELLED_SHARE_GAP and not shadow:
        said.append(
            f"Label coverage differs: {100 * ripe_a:.0f} % of side A, {100 * ripe_b:.0f} % of side B; early labels may be the easier cases."
        )
    sampled = [each for each in found.histograms.values() if each.basis == "sample"]
    if sampled:
        what = "The versions were registered with other edges" if any(each.registered for each in (*a.versions, *b.versions)) else (
            "No version here is registered"
        )  # fmt: skip
        sizes = f"{max(int(each.a['n'].sum()) for each in sampled):,} and {max(int(each.b['n'].sum()) for each in sampled):,}"
        said.append(f"{what}, so {len(sampled)} distributions are compared on samples of {sizes} rows, on edges of one side.")
    for label, side in (("A", a), ("B", b)):
        if any(version.in_sample for version in side.versions) and side.window.environment == "reference":
            said.append(f"Side {label} is a reference that holds rows the model was fitted on, so its figures are optimistic.")
    return said


def _row_overlap_note(one: ComparisonSide, other: ComparisonSide) -> str:
    """A note that the two sides have different rows, or that they may share some rows."""
    a, b = one.window, other.window
    if _windows_overlap(one, other):
        return "Some rows may be on both sides; the intervals assume independent rows, so they are too wide."
    if "reference" in (a.environment, b.environment):
        return "Not paired: the reference holds other rows, so the differences include every other change since then."
    if (a.start, a.end) != (b.start, b.end):
        return "Not paired: the dates differ, so the differences include season, traffic and the mix of requests."
    return "Not paired: the two sides hold different rows of the same dates."


def _windows_overlap(a: ComparisonSide, b: ComparisonSide) -> bool:
    """Whether rows may be on both sides."""
    one, other = a.window, b.window
    if one.environment != other.environment:
        return False
    shared = {each.name for each in a.versions} & {each.name for each in b.versions}
    if one.slice and other.slice:
        apart = dict(one.slice.conditions).items() ^ dict(other.slice.conditions).items()
        names = [pair[0] for pair in apart]
        if len(names) != len(set(names)):
            return False
    return bool(shared) and (one.environment == "reference" or min(one.end, other.end) > max(one.start, other.start))
