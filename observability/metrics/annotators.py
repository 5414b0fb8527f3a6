"""Does one annotator answer otherwise than the others do?

Each of an annotator's labels is held against what most of the others said of the same item (where they are of one mind), and the share that agrees
against what the others reach among themselves with this annotator left out: of each item one of them, held against the rest. Fisher's exact test; the
same items on both sides make it cautious. Two who label alone cannot be told apart.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import hypergeom

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.metrics.labelling_projects import PAST_DAYS, Array, Labels, limits, looks, stretch
from observability.stats.interval import rate_interval

METRIC = "annotator_agreement"
WATCH, ACT = 0.1, 0.2
"""So many points below the others matter, and need somebody."""
LEAST_ITEMS = 30
MOST_ANNOTATORS = 50
"""Annotators who are judged: those with most labels."""


@dataclass(frozen=True)
class Compared:
    """One annotator in some last days. agrees, n: labels that agree with the others' consensus; peers_agree, peers: the same of the others without them.
    before: how far below the others they were in the past; None where too few items tell.
    """

    annotator: str
    days: float
    agrees: int
    n: int
    peers_agree: int
    peers: int
    p_value: float
    before: float | None

    @property
    def below(self) -> float:
        """How far below the others, as a share."""
        return self.peers_agree / self.peers - self.agrees / self.n


def agreeing(counts: Array, labels: Labels, rows: Array) -> tuple[Array, Array]:
    """Of some rows (a mask): whether the others of the item are of one mind, and whether the row says the same. counts: items by levels of those that count."""
    others = counts[labels.item[rows]].copy()
    others[np.arange(len(others)), labels.label[rows]] -= 1
    most = others.max(axis=1, initial=0.0)
    clear = (most > 0) & ((others == most[:, None]).sum(axis=1) == 1)
    return clear, clear & (others[np.arange(len(others)), labels.label[rows]] == most)


def held_against(labels: Labels, who: int, inside: Array) -> tuple[int, int, int, int]:
    """(agrees, n, peers_agree, peers) of one annotator among some rows."""
    mine, rest = inside & (labels.annotator == who), inside & (labels.annotator != who)
    clear, same = agreeing(labels.counts(inside), labels, mine)
    without = labels.counts(rest)
    places = np.flatnonzero(rest)
    places = places[without[labels.item[places]].sum(axis=1) > 1]
    begins = np.flatnonzero(np.diff(labels.item[places], prepend=-1))
    sizes = np.diff(np.append(begins, len(places)))
    chosen = np.zeros(len(labels.item), bool)
    if len(places):
        chosen[places[begins + labels.turn[labels.item[places[begins]]] % sizes]] = True
    of_peers, as_peers = agreeing(without, labels, chosen)
    return int(same.sum()), int(clear.sum()), int(as_peers.sum()), int(of_peers.sum())


def looked_at(labels: Labels, days: float) -> list[Compared]:
    """Every annotator with items enough, in each look."""
    most = np.argsort(-np.bincount(labels.annotator, minlength=len(labels.annotators)), kind="stable")[:MOST_ANNOTATORS]
    found = []
    for who in most.tolist():
        before: float | None = None
        then = held_against(labels, who, labels.dated[labels.item] >= days)
        if min(then[1], then[3]) >= LEAST_ITEMS:
            before = then[2] / then[3] - then[0] / then[1]
        for length in looks(days):
            agrees, n, peers_agree, peers = held_against(labels, who, labels.dated[labels.item] < length)
            if min(n, peers) >= LEAST_ITEMS:
                p = float(hypergeom.cdf(agrees, n + peers, agrees + peers_agree, n))
                found.append(Compared(labels.annotators[who], length, agrees, n, peers_agree, peers, p, before))
    return found


def about_annotators(
    blank: Finding, labels: Labels, seen: list[Compared], adjusted: list[float], act: float, context: Context
) -> list[Finding]:
    """A finding for each annotator who is surely below the others, else one about all of them."""
    named: dict[str, Finding] = {}
    for each, p in sorted(zip(seen, adjusted, strict=True), key=lambda one: (one[0].days != context.window.days, -one[0].below)):
        if each.below >= limits(context, METRIC, WATCH, ACT)[0] and p <= context.budget:
            found = below_the_others(blank, each, p, act, context)
            held = named.get(each.annotator)
            if held is None or (held.severity, found.severity) == ("watch", "act"):
                named[each.annotator] = found
    claims = [named[name] for name in sorted(named)] or [all_of_them(blank, labels, seen, context)]
    return [replace(each, evidence=each.evidence | {"people": people(seen, context.window.days)}) for each in claims]


def people(seen: list[Compared], days: float) -> list[list[Any]]:
    """[annotator, agreement, low, high, items, agreement of the others without them, items of those] in the whole window, the lowest against the others first."""
    found = []
    for each in sorted((one for one in seen if one.days == days), key=lambda one: (-one.below, one.annotator)):
        rate = rate_interval(each.agrees, each.n)
        found.append([each.annotator, rate.value, rate.low, rate.high, each.n, each.peers_agree / each.peers, each.peers])
    return found


def below_the_others(blank: Finding, each: Compared, p: float, act: float, context: Context) -> Finding:
    """The finding about one annotator. Below in the past already, and by less than as much again now: no news."""
    least, much = limits(context, METRIC, WATCH, ACT)
    standing = each.before is not None and each.before >= least and each.below - each.before < max(least, each.before)
    severity: Severity = "act" if each.below >= much and p <= act and not standing else "watch"
    rate = rate_interval(each.agrees, each.n)
    others = each.peers_agree / each.peers
    already = f"; as in the {PAST_DAYS // 7} weeks before" if standing else ""
    return replace(
        blank, subject=f"annotator={each.annotator}", value=rate.value, low=rate.low, high=rate.high, n=each.n, severity=severity,
        limit=others - (much if severity == "act" else least), likely_source="label", rank=2.0 + each.below,
        because=f"Annotator {each.annotator} agrees with the others less than they do among themselves: with {100 * (rate.value or 0):.0f} % of {each.n:,} items on which"
        f" the others are of one mind, {stretch(each.days, context.window.days)}; without them it is {100 * others:.0f} % of {each.peers:,}{already}.",
        evidence={"baseline": others, "peers": each.peers, "p_adjusted": p, "look_days": each.days, "before": each.before, "standing": standing},
    )  # fmt: skip


def all_of_them(blank: Finding, labels: Labels, seen: list[Compared], context: Context) -> Finding:
    """The finding that nobody stands out, or that it cannot be told."""
    whole = [each for each in seen if each.days == context.window.days]
    inside = labels.dated[labels.item] < context.window.days
    people = len(np.unique(labels.annotator[inside]))
    if not whole:
        items = int((labels.counts(inside).sum(axis=1) > 2).sum())
        need = f"about {max(LEAST_ITEMS - items, 1):,} more items that three people labelled" if people > 2 else "a third annotator"
        return replace(blank, n=items, because=f"Whether one annotator answers otherwise than the others cannot be told: it needs {need}.")
    lowest = max(whole, key=lambda each: (each.below, each.annotator))
    rate = rate_interval(lowest.agrees, lowest.n)
    return replace(
        blank, value=rate.value, low=rate.low, high=rate.high, n=lowest.n, severity="ok", limit=lowest.peers_agree / lowest.peers - limits(context, METRIC, WATCH, ACT)[0],
        because=f"No annotator stands out: {len(whole)} were compared; the one farthest below the others, {lowest.annotator}, agrees with them on"
        f" {100 * (rate.value or 0):.0f} % of {lowest.n:,} items, and they among themselves on {100 * (lowest.peers_agree / lowest.peers):.0f} %.",
        evidence={"baseline": lowest.peers_agree / lowest.peers, "annotators": len(whole)},
    )  # fmt: skip
