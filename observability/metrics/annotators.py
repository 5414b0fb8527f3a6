"""Agreement of each annotator with the others.

Each label of an annotator is compared with the consensus of the other annotators on the same item, if they have one. The resulting share of
agreement is compared with the agreement of the others among themselves: on each item, one of them is compared with the rest. The test is
Fisher's exact test, which is conservative here, because both sides have the same items. With only two annotators, it is impossible to tell
which of them deviates.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.metrics.annotations import lower_share_p_values
from observability.metrics.labelling_projects import PAST_DAYS, Array, ProjectLabels, labelling_limits, look_lengths, look_phrase
from observability.stats.interval import rate_interval

METRIC = "annotator_agreement"
WATCH, ACT = 0.1, 0.2
"""An annotator whose agreement is this much below that of the others, in points, gives a warning (`watch`), or is critical (`act`)."""
MIN_ITEMS = 30
MAX_ANNOTATORS = 50
"""Maximum number of annotators who are compared. Those with the most labels are chosen."""


@dataclass(frozen=True)
class AgreementComparison:
    """One annotator over the last days.

    agrees, n: number of labels that agree with the others' consensus, and of compared labels; peers_agree, peers: the same two numbers for
    the other annotators among themselves. before: distance below the others in the past; None if there were too few items.
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
        """Distance below the others, as a share."""
        return self.peers_agree / self.peers - self.agrees / self.n


def _consensus_agreement(counts: Array, label: Array) -> tuple[Array, Array]:
    """For each row: whether the other labels of its item have a consensus, and whether the row agrees with it.

    counts: for each row, how often each level was given to its item, including the row's own label. label: the label of each row.
    """
    others, places = counts.copy(), np.arange(len(counts))
    others[places, label] -= 1
    most = others.max(axis=1, initial=0.0)
    clear = (most > 0) & ((others == most[:, None]).sum(axis=1) == 1)
    return clear, clear & (others[places, label] == most)


def _peer_agreement(counts: Array, labels: ProjectLabels, rows: Array) -> tuple[Array, Array]:
    """For each item of some rows: whether one of its rows can be compared with its other rows, and whether it agrees with them.

    rows: positions, ascending. counts: for each row, how often each level was given to its item among these rows.
    """
    several = counts.sum(axis=1) > 1
    rows, counts = rows[several], counts[several]
    begins = np.flatnonzero(np.diff(labels.item[rows], prepend=-1))
    sizes = np.diff(np.append(begins, len(rows)))
    chosen = begins + labels.turn[labels.item[rows[begins]]] % sizes if len(rows) else begins
    return labels.item[rows[chosen]], np.transpose(_consensus_agreement(counts[chosen], labels.label[rows[chosen]]))


@dataclass(frozen=True)
class _DatedLabels:
    """The labels of items from some days: the counts of each level by item, and the agreement of peers by item if nobody is left out."""

    labels: ProjectLabels
    inside: Array
    counts: Array
    peers: Array
    whole: Array

    def of_annotator(self, own: Array) -> tuple[int, int, int, int]:
        """(agrees, n, peers_agree, peers) of the annotator with these rows. The agreement of the peers is recomputed only on the
        annotator's own items, because it does not change elsewhere.
        """
        labels = self.labels
        mine = own[self.inside[own]]
        items, said = labels.item[mine], labels.label[mine]
        clear, same = _consensus_agreement(self.counts[items], said)
        begins, ends = (np.searchsorted(labels.item, items, side) for side in ("left", "right"))
        sizes = ends - begins
        rows = np.repeat(begins - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        left_out = np.repeat(said, sizes)
        kept = ~np.isin(rows, mine, assume_unique=True)
        rest, left_out = rows[kept], left_out[kept]
        without = self.counts[labels.item[rest]].copy()
        without[np.arange(len(rest)), left_out] -= 1
        n, agree = self.whole - self.peers[items].sum(axis=0) + _peer_agreement(without, labels, rest)[1].sum(axis=0)
        return int(same.sum()), int(clear.sum()), int(agree), int(n)


def _dated_labels(labels: ProjectLabels, items: Array) -> _DatedLabels:
    """The labels of some items (a mask)."""
    inside = items[labels.item]
    counts, rows = labels.counts(inside), np.flatnonzero(inside)
    peers = np.zeros((len(labels.dated), 2), bool)
    judged, agreement = _peer_agreement(counts[labels.item[rows]], labels, rows)
    peers[judged] = agreement
    return _DatedLabels(labels, inside, counts, peers, peers.sum(axis=0))


def agreement_comparisons(labels: ProjectLabels, days: float) -> list[AgreementComparison]:
    """Comparison of every annotator with enough items, over each length of days.

    Parameters
    ----------
    labels : ProjectLabels
        Labels of the window and the past.
    days : float
        Days of the window.

    Returns
    -------
    list[AgreementComparison]
    """
    most = np.argsort(-np.bincount(labels.annotator, minlength=len(labels.annotators)), kind="stable")[:MAX_ANNOTATORS]
    past = _dated_labels(labels, labels.dated >= days)
    looks = {length: _dated_labels(labels, labels.dated < length) for length in look_lengths(days)}
    found: list[tuple[int, float, int, int, int, int, float | None]] = []
    for who in most.tolist():
        before: float | None = None
        own = np.flatnonzero(labels.annotator == who)
        then = past.of_annotator(own)
        if min(then[1], then[3]) >= MIN_ITEMS:
            before = then[2] / then[3] - then[0] / then[1]
        for length, look in looks.items():
            agrees, n, peers_agree, peers = look.of_annotator(own)
            if min(n, peers) >= MIN_ITEMS:
                found.append((who, length, agrees, n, peers_agree, peers, before))
    counts = np.array([each[2:6] for each in found], np.int64).reshape(-1, 4).T
    return [
        AgreementComparison(labels.annotators[who], length, agrees, n, peers_agree, peers, p, before)
        for (who, length, agrees, n, peers_agree, peers, before), p in zip(found, lower_share_p_values(*counts).tolist(), strict=True)
    ]


def annotator_findings(
    blank: Finding, labels: ProjectLabels, seen: list[AgreementComparison], adjusted: list[float], act: float, context: Context
) -> list[Finding]:
    """A finding for each annotator whose agreement is significantly below that of the others; if there is none, one finding about all
    annotators.

    Parameters
    ----------
    blank : Finding
        Finding to fill.
    labels : ProjectLabels
        Labels of the window.
    seen : list[AgreementComparison]
        Comparisons.
    adjusted : list[float]
        Adjusted p-value of each comparison.
    act : float
        Level of a critical finding.
    context : Context
        Context of the check.

    Returns
    -------
    list[Finding]
    """
    named: dict[str, Finding] = {}
    for each, p in sorted(zip(seen, adjusted, strict=True), key=lambda one: (one[0].days != context.window.days, -one[0].below)):
        if each.below >= labelling_limits(context, METRIC, WATCH, ACT)[0] and p <= context.budget:
            found = _low_agreement_finding(blank, each, p, act, context)
            held = named.get(each.annotator)
            if held is None or (held.severity, found.severity) == ("watch", "act"):
                named[each.annotator] = found
    claims = [named[name] for name in sorted(named)] or [_no_outlier_finding(blank, labels, seen, context)]
    return [replace(claim, evidence=claim.evidence | {"people": annotator_agreement_rows(seen, context.window.days)}) for claim in claims]


def annotator_agreement_rows(seen: list[AgreementComparison], days: float) -> list[list[Any]]:
    """Table of annotators over the whole window. Those furthest below the others come first.

    Parameters
    ----------
    seen : list[AgreementComparison]
        Comparisons.
    days : float
        Days of the window.

    Returns
    -------
    list[list[Any]]
        [annotator, agreement, low, high, items, agreement of the others without them, items of those].
    """
    found = []
    for each in sorted((one for one in seen if one.days == days), key=lambda one: (-one.below, one.annotator)):
        rate = rate_interval(each.agrees, each.n)
        found.append([each.annotator, *rate.triple, each.n, each.peers_agree / each.peers, each.peers])
    return found


def _low_agreement_finding(blank: Finding, each: AgreementComparison, p: float, act: float, context: Context) -> Finding:
    """The finding about one annotator. A gap that existed before and has not doubled keeps its severity, but is not new."""
    least, much = labelling_limits(context, METRIC, WATCH, ACT)
    standing = each.before is not None and each.before >= least and each.below - each.before < max(least, each.before)
    severity: Severity = "act" if each.below >= much and p <= act else "watch"
    rate = rate_interval(each.agrees, each.n)
    others = each.peers_agree / each.peers
    already = f"; as in the {PAST_DAYS // 7} weeks before" if standing else ""
    return replace(
        blank,
        subject=f"annotator={each.annotator}",
        **rate.fields,
        n=each.n,
        severity=severity,
        limit=others - (much if severity == "act" else least),
        likely_source="label",
        rank=2.0 + each.below,
        because=f"Annotator {each.annotator} agrees less with the others than they do: {100 * (rate.value or 0):.0f} % of {each.n:,} items"
        f" with a consensus {look_phrase(each.days, context.window.days)}; the others {100 * others:.0f} % of {each.peers:,}{already}.",
        evidence={
            "baseline": others,
            "peers": each.peers,
            "p_adjusted": p,
            "look_days": each.days,
            "before": each.before,
            "standing": standing,
        },
    )


def _no_outlier_finding(blank: Finding, labels: ProjectLabels, seen: list[AgreementComparison], context: Context) -> Finding:
    """The finding that no annotator deviates, or that this is unknown."""
    whole = [each for each in seen if each.days == context.window.days]
    inside = labels.dated[labels.item] < context.window.days
    people = len(np.unique(labels.annotator[inside]))
    if not whole:
        items = int((labels.counts(inside).sum(axis=1) > 2).sum())
        need = (
            f"about {max(MIN_ITEMS - items, 1):,} more items with three labels are needed" if people > 2 else "a third annotator is needed"
        )
        return replace(blank, n=items, because=f"Agreement of single annotators unknown: {need}.")
    lowest = max(whole, key=lambda each: (each.below, each.annotator))
    rate = rate_interval(lowest.agrees, lowest.n)
    return replace(
        blank,
        **rate.fields,
        n=lowest.n,
        severity="ok",
        limit=lowest.peers_agree / lowest.peers - labelling_limits(context, METRIC, WATCH, ACT)[0],
        because=f"No annotator stands out of {len(whole)}: the lowest, {lowest.annotator}, agrees with the others on"
        f" {100 * (rate.value or 0):.0f} % of {lowest.n:,} items, the others on {100 * (lowest.peers_agree / lowest.peers):.0f} %.",
        evidence={"baseline": lowest.peers_agree / lowest.peers, "annotators": len(whole), "annotator": lowest.annotator},
    )
