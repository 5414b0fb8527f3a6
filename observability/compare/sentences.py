"""How is a comparison said in plain sentences: what differs, what cannot be told, and what the reader must know about the two sides?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from observability.compare.difference import SECTIONS, Difference
from observability.core.metric_definitions import METRICS
from observability.core.numerals import MINUS, with_prefix
from observability.core.window import Slice

if TYPE_CHECKING:
    from observability.compare.comparison_types import Comparison, Side

NAMED = 4
"""Differences that the sentence names; the rest are counted."""
PROPER = ("ROC", "PR ", "F1", "R²", "Brier")
RIPE = 0.05
"""A difference of the labelled shares from which on it is said."""


def title(metric: str) -> str:
    """A metric's name in words."""
    known = METRICS.get(metric)
    return known.title if known else metric.replace("_", " ")


def name(each: Difference) -> str:
    """What was compared, in a few words."""
    if each.section == "score":
        return "the distribution of the score"
    if each.section == "inputs":
        return f"`{each.subject}`"
    if each.section == "fairness":
        return f"{lower(title(each.metric))} by `{each.subject}`"
    said = lower(title(each.metric)) + (" on the same rows" if each.section == "pairs" else "")
    if each.section == "performance" and each.subject != "model":  # a watched slice
        return f"{said} where {' and '.join(f'{column} = {value}' for column, value in conditions(each.subject))}"
    return said if each.subject == "model" else f"{said} of `{each.subject}`"


def conditions(text: str) -> tuple[tuple[str, str], ...]:
    """The conditions of a slice, decoded."""
    part = Slice.parse(text)
    return part.conditions if part else ()


def lower(words: str) -> str:
    """A title inside a sentence: ROC AUC and p95 stay as they are."""
    return words if words.startswith(PROPER) else words[:1].lower() + words[1:]


def amount(value: float | None, unit: str) -> str:
    """A value as a person reads it."""
    if value is None:
        return "unknown"
    if unit == "share":
        return f"{100 * value:.1f} %".replace("-", MINUS)
    if unit == "Wh":
        return with_prefix(value, unit)
    digits = (f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", MINUS)
    return f"{digits} ms" if unit == "ms" else digits


def change(each: Difference) -> str:
    """How far it moved, in words, from B to A."""
    if each.distance:
        return f"PSI {each.change.value:.2f}"
    value = each.change.value or 0.0
    if each.unit in ("share", "0 to 1", "up to 1") and each.metric != "brier":
        moved = f"{100 * value:+.1f} points"
    elif each.b.value and each.metric != "bias":
        moved = f"{100 * value / abs(each.b.value):+.0f} %"
    else:
        moved = f"{value:+.3g}"
    return f"{amount(each.a.value, each.unit)} against {amount(each.b.value, each.unit)}, {moved.replace('-', MINUS)}"


def spoken(found: Sequence[Difference]) -> list[Difference]:
    """The differences in the order in which they are spoken of. What is known of the same rows is not said again of all rows."""
    paired = {each.metric for each in found if each.section == "pairs" and each.verdict != "unknown"}
    left = [each for each in found if not (each.section in ("performance", "decisions") and each.metric in paired)]
    return sorted(left, key=lambda each: (SECTIONS.index(each.section), -abs(each.relative or 0.0), each.subject, each.metric))


def verdict(found: Sequence[Difference], a: "Side", b: "Side") -> str:
    """The one sentence: what differs beyond chance and beyond what matters, how much is alike, what cannot be told."""
    sizes = f"{a.rows:,} predictions on side A, {b.rows:,} on side B"
    empty = [label for label, side in (("A", a), ("B", b)) if not side.rows]
    if empty:
        return f"Side {' and side '.join(empty)} has no predictions, so nothing can be compared." if len(empty) == 1 else (
            "Neither side has predictions, so nothing can be compared."
        )  # fmt: skip
    rows = spoken(found)
    of = {word: [each for each in rows if each.verdict == word] for word in ("differs", "slight", "alike", "unknown")}
    if len(of["unknown"]) == len(rows):
        return f"Whether the two sides differ cannot be told yet ({sizes})."
    rest = []
    if of["alike"]:
        rest.append(f"{len(of['alike'])} {'is' if len(of['alike']) == 1 else 'are'} alike")
    if of["slight"]:
        rest.append(f"{len(of['slight'])} {'differs' if len(of['slight']) == 1 else 'differ'} by less than matters")
    if of["unknown"]:
        rest.append(f"{len(of['unknown'])} cannot be told")
    tail = (
        f" Of the rest, {', '.join(rest)}."
        if rest and of["differs"]
        else f" Of {len(rows)} comparisons, {', '.join(rest)}."
        if rest
        else ""
    )
    if not of["differs"]:
        return f"Nothing differs beyond chance and by as much as matters ({sizes}).{tail}"
    named = "; ".join(f"{name(each)} ({change(each)})" for each in of["differs"][:NAMED])
    more = len(of["differs"]) - NAMED
    return (
        f"A and B differ in {len(of['differs'])} of {len(rows)} comparisons, beyond chance and by as much as matters: "
        f"{named}{f'; and {more} more' if more > 0 else ''} ({sizes}).{tail}"
    )


def notes(found: "Comparison") -> list[str]:
    """What the reader must know about the two sides, one sentence each."""
    a, b = found.a, found.b
    said = []
    if found.pairs is None or not found.pairs.n:
        said.append(unpaired(a, b))
        if found.pairs is not None:
            said.append("The dates overlap, and no row of one side matches a row of the other (same features, less than an hour apart).")
    ripe_a, ripe_b = a.labelled_share, b.labelled_share
    shadow = found.pairs is not None and found.pairs.labelled > 0 and 0.0 in (ripe_a, ripe_b)
    if ripe_a is not None and ripe_b is not None and abs(ripe_a - ripe_b) >= RIPE and not shadow:
        said.append(
            f"The labels are not equally ripe: {100 * ripe_a:.0f} % of side A's are in, {100 * ripe_b:.0f} % of side B's; what is labelled early may be the easier part."
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
            said.append(f"Side {label} is a reference that holds rows the model was fitted on: it flatters.")
    return said


def unpaired(one: "Side", other: "Side") -> str:
    """That the rows are other rows, and what that means where the dates differ; or that some are on both sides."""
    a, b = one.window, other.window
    if overlapping(one, other):
        return "Some rows may be on both sides; intervals are those of separate rows, so they are wider than they need be."
    if "reference" in (a.environment, b.environment):
        return "The reference holds other rows, so whatever else changed since then is in the differences: not paired."
    if (a.start, a.end) != (b.start, b.end):
        return "The dates differ, so whatever else changed between them (season, traffic, the mix of requests) is in the differences: not paired."
    return "The two sides hold other rows of the same dates: not paired."


def overlapping(a: "Side", b: "Side") -> bool:
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
