"""How good the annotators of one labelling project and their consensus are, with or without the probabilities of a model.

Without probabilities, annotators are judged by Dawid and Skene's model alone. If suggestions with a confidence were logged, they serve as
the probabilities of a model, and CROWDLAB is computed as well. Only the newest label of each annotator for an item counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from observability.metrics.annotations import places_in_order
from observability.stats.agreement import cohen_kappa, fleiss_kappa_of_counts, krippendorff_alpha_of_counts
from observability.stats.arrays import Bools, Floats, Integers
from observability.stats.crowd_labels import (
    CrowdQuality,
    DawidSkene,
    Votes,
    accuracy_intervals,
    accuracy_ranks,
    annotator_ranks,
    crowdlab,
    dawid_skene,
)
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

SETTLED_BY = 2
"""Number of annotators who have to agree before a label is settled."""
SETTLING_RULE = "settled when two annotators give the same label and no other label has as many"
SMOOTHING = 1.0
"""Number of pseudo-labels that pull an annotator with few labels towards the average annotator."""
MIN_SHARED = 10
"""The kappa of a pair of annotators is shown if they have at least this number of items in common."""
MIN_SUSPECT = 2
"""An item must have at least this number of labels for its label to be called suspect."""
SUSPECT_BELOW = 0.5
MAX_PAIRS = 2_000
"""Maximum number of pairs of annotators whose kappas are computed."""


@dataclass(frozen=True)
class Crowd:
    """The labels of a project, with the annotator models fitted to them (Dawid and Skene, CROWDLAB). items, people, classes: names, in the
    order of their numbers in `votes`.

    probabilities: a model's probabilities, items × classes, None if no item has any. fitted: Dawid and Skene's model. ranked: CROWDLAB;
    None if there are no probabilities, or if no item has two labels.
    """

    votes: Votes
    items: tuple[str, ...]
    people: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: Floats | None
    fitted: DawidSkene
    ranked: CrowdQuality | None

    @cached_property
    def place(self) -> dict[str, int]:
        """The number of each item by its name."""
        return {name: number for number, name in enumerate(self.items)}

    @property
    def posterior(self) -> Floats:
        """Items × classes: the probability that each class is the true one, by CROWDLAB if it was computed, else by Dawid and Skene."""
        return self.fitted.posterior if self.ranked is None else self.ranked.posterior

    @property
    def settled(self) -> Bools:
        """A mask of the items whose label is settled (SETTLING_RULE)."""
        return settled_items(self.votes.counts)


def settled_items(counts: Floats) -> Bools:
    """Whether the label of each item is settled. counts: items × classes."""
    if counts.shape[1] < 2:
        return np.asarray(counts[:, 0] >= SETTLED_BY, bool)
    ordered = np.sort(counts, axis=1)
    return np.asarray((ordered[:, -1] >= SETTLED_BY) & (ordered[:, -1] > ordered[:, -2]), bool)


def newest_answers(annotated: "DataFrame") -> "DataFrame":
    """The newest label of each annotator for each item of one project, in order of time; labels are texts."""
    rows = annotated.assign(label=[*map(str, annotated["label"].tolist())])
    rows = rows.iloc[places_in_order(rows, (rows["at"].to_numpy(),), ("item", "annotator", "label"))]
    return rows.drop_duplicates(["item", "annotator"], keep="last").reset_index(drop=True)


def crowd_of(answers: "DataFrame", classes: Sequence[str] = (), probabilities: Mapping[str, Sequence[float]] | None = None) -> Crowd | None:
    """The labels of a project, with the annotator models fitted to them; None unless there are labels of at least two classes.

    Parameters
    ----------
    answers : DataFrame
        Answers of `newest_answers` or `first_answers`: item, annotator, label.
    classes : Sequence[str]
        Classes in the order of the probabilities; labels that are not among them are added behind.
    probabilities : Mapping[str, Sequence[float]] | None
        By item, a probability of each of `classes`.

    Returns
    -------
    Crowd | None
        Labels, consensus by Dawid and Skene and by CROWDLAB, with the names of items, annotators and classes.
    """
    if answers.empty:
        return None
    names = tuple(dict.fromkeys((*classes, *sorted(answers["label"].unique()))))
    if len(names) < 2:
        return None
    number = {name: place for place, name in enumerate(names)}
    item, items = answers["item"].astype(str).factorize(sort=True)
    who, people = answers["annotator"].astype(str).factorize(sort=True)
    label = np.array([number[each] for each in answers["label"].tolist()], np.int64)
    votes = Votes(item, who, label, len(items), len(people), len(names))
    held = _known_probabilities(tuple(items), votes, probabilities or {}, len(classes))
    ranked = crowdlab(votes, held) if held is not None and (votes.by_item > 1).any() else None
    return Crowd(votes, tuple(items), tuple(people), names, held, dawid_skene(votes, SMOOTHING), ranked)


def _known_probabilities(items: tuple[str, ...], votes: Votes, known: Mapping[str, Sequence[float]], given: int) -> Floats | None:
    """Items × classes. Items without probabilities get the overall frequencies of the labels. None if no item has probabilities."""
    usual = (np.bincount(votes.label, minlength=votes.classes) + 1) / (len(votes.label) + votes.classes)
    rows = np.tile(usual, (votes.items, 1))
    stated = [(place, own) for place, name in enumerate(items) if (own := known.get(name)) is not None and len(own) == given]
    places = np.array([place for place, _ in stated], np.int64)
    chances = np.array([own for _, own in stated], float).reshape(len(stated), given)
    finite = np.isfinite(chances).all(axis=1)
    rows[places[finite]] = 0.0
    rows[places[finite], :given] = chances[finite]
    return rows if finite.any() else None


def suggested_probabilities(answers: "DataFrame", classes: Sequence[str]) -> dict[str, list[float]]:
    """By item, probabilities of the classes: the suggested class gets the confidence of the suggestion; all other classes share the rest
    equally.

    A suggestion that is not one of the classes, or has no confidence, is left out.
    """
    shown = answers[answers["suggestion"].notna() & answers["suggestion_confidence"].notna()].drop_duplicates("item", keep="last")
    found, place = {}, {name: number for number, name in enumerate(classes)}
    named = zip(shown["item"].tolist(), map(str, shown["suggestion"].tolist()), shown["suggestion_confidence"].tolist(), strict=True)
    for item, name, sure in named:
        if name in place and len(classes) > 1 and 0 <= sure <= 1:
            row = [(1 - sure) / (len(classes) - 1)] * len(classes)
            row[place[name]] = sure
            found[str(item)] = row
    return found


@dataclass(frozen=True)
class Agreement:
    """Agreement of the annotators in a project. alpha: Krippendorff's alpha. fleiss: Fleiss' kappa of the items that have the most frequent
    number of labels; fleiss_labels is that number, fleiss_items the number of such items. cohen: mean Cohen's kappa of the pairs with
    enough common items; pairs: number of such pairs.
    """

    alpha: Interval
    fleiss: float | None
    fleiss_items: int
    fleiss_labels: int
    cohen: float | None
    pairs: int


def project_agreement(crowd: Crowd) -> Agreement:
    """Agreement of the annotators of a project, with or without a model."""
    counts, labels = crowd.votes.counts, crowd.votes.by_item
    several = labels[labels > 1]
    usual = int(np.bincount(several).argmax()) if len(several) else 0
    same = counts[labels == usual] if usual else counts[:0]
    fleiss = fleiss_kappa_of_counts(same)
    pairs = [kappa for _, _, kappa, _ in pair_kappas(crowd) if np.isfinite(kappa)]
    known = None if np.isnan(fleiss) else fleiss
    return Agreement(krippendorff_alpha_of_counts(counts), known, len(same), usual, float(np.mean(pairs)) if pairs else None, len(pairs))


def pair_kappas(crowd: Crowd) -> list[tuple[str, str, float, int]]:
    """For pairs of the most active annotators with at least MIN_SHARED common items: both names, Cohen's kappa and the number of common
    items.
    """
    votes, k = crowd.votes, crowd.votes.classes
    most = np.argsort(-np.bincount(votes.annotator, minlength=votes.annotators), kind="stable")
    most = np.sort(most[: int(np.sqrt(2 * MAX_PAIRS))])
    wide = np.full((votes.items, len(most)), -1, np.int16)
    column = np.full(votes.annotators, -1)
    column[most] = np.arange(len(most))
    kept = column[votes.annotator] >= 0
    wide[votes.item[kept], column[votes.annotator[kept]]] = votes.label[kept]
    found = []
    for a, b in combinations(range(len(most)), 2):
        both = (wide[:, a] >= 0) & (wide[:, b] >= 0)
        n = int(both.sum())
        if n >= MIN_SHARED:
            table = np.bincount(wide[both, a].astype(np.int64) * k + wide[both, b], minlength=k * k).reshape(k, k).astype(np.float64)
            found.append((crowd.people[most[a]], crowd.people[most[b]], cohen_kappa(table), n))
    return found


def agreement_over(answers: "DataFrame", key: str) -> "DataFrame":
    """Krippendorff's alpha by "week" (from Monday) or by "guideline", in order: key, value, low, high, n (number of items with two or more
    labels).

    Weeks or guidelines are left out if they have no such item, or if all their labels are equal.
    """
    import pandas as pd

    rows = answers.assign(week=answers["at"].dt.to_period("W-SUN").dt.start_time) if key == "week" else answers
    found = []
    for name, part in rows[rows[key].notna()].groupby(key, sort=True):
        value = krippendorff_alpha_of_counts(pd.crosstab(part["item"], part["label"]).to_numpy(float))
        if value.value is not None:
            found.append([name, *value.triple, int(value.n)])
    return pd.DataFrame(found, columns=[key, "value", "low", "high", "n"])


def class_agreement(crowd: Crowd) -> "DataFrame":
    """A row for each class: class, share (for an item with a label of this class, the mean share of its other labels that agree), n (number
    of labels of the class).
    """
    import pandas as pd

    counts, labels = crowd.votes.counts, crowd.votes.by_item
    paired, others = counts[labels > 1], np.maximum(labels[labels > 1] - 1, 1)
    n = paired.sum(axis=0)
    same = (paired * (paired - 1) / others[:, None]).sum(axis=0)
    share = np.divide(same, n, out=np.full(len(n), np.nan), where=n > 0)
    return pd.DataFrame({"class": crowd.classes, "share": share, "n": n.astype(int)})


def annotator_quality(crowd: Crowd) -> "DataFrame":
    """A row for each annotator: annotator, labels, accuracy (Dawid and Skene), accuracy_low, accuracy_high, crowdlab (quality), rank,
    rank_low, rank_high. Ranks are by CROWDLAB, or by accuracy if there are no probabilities of a model.

    Unknown values are NaN. The rank interval of CROWDLAB comes from a bootstrap over items. The scale of CROWDLAB's quality is biased.
    """
    import pandas as pd

    votes = crowd.votes
    ranks = annotator_ranks(votes, crowd.ranked) if crowd.ranked is not None else accuracy_ranks(votes, crowd.fitted)
    ends = accuracy_intervals(votes, crowd.fitted)
    return pd.DataFrame(
        {
            "annotator": crowd.people,
            "labels": np.bincount(votes.annotator, minlength=votes.annotators),
            "accuracy": crowd.fitted.accuracy,
            "accuracy_low": ends[:, 0],
            "accuracy_high": ends[:, 1],
            "crowdlab": crowd.ranked.quality if crowd.ranked is not None else np.nan,
            "rank": ranks[:, 0],
            "rank_low": ranks[:, 1],
            "rank_high": ranks[:, 2],
        }
    )


def annotator_confusion(crowd: Crowd, who: str | None = None) -> "DataFrame":
    """Confusion matrix of one annotator or of all: true, label, n (expected number of items), share (among items of that true class).

    The true class is known only as the posterior of Dawid and Skene's model, so n is a sum of probabilities.
    """
    import pandas as pd

    votes, k = crowd.votes, crowd.votes.classes
    mine = votes.annotator == crowd.people.index(who) if who is not None else np.ones(len(votes.item), bool)
    held = np.zeros((k, k))
    np.add.at(held.T, votes.label[mine], crowd.fitted.posterior[votes.item[mine]])
    share = held / np.maximum(held.sum(axis=1, keepdims=True), 1e-12)
    rows = [[crowd.classes[a], crowd.classes[b], held[a, b], share[a, b]] for a in range(k) for b in range(k)]
    return pd.DataFrame(rows, columns=["true", "label", "n", "share"])


def consensus_labels(crowd: Crowd) -> "DataFrame":
    """A row for each item: item, labels (their number), agree (number of labels equal to the consensus), consensus, quality (probability
    that the consensus is right), settled.

    The consensus of a settled item is the label that settled it. For any other item, it is the class with the largest posterior
    probability.
    """
    import pandas as pd

    settled, counts = crowd.settled, crowd.votes.counts
    best: Integers = np.where(settled, counts.argmax(axis=1), crowd.posterior.argmax(axis=1))
    rows = np.arange(crowd.votes.items)
    return pd.DataFrame(
        {
            "item": crowd.items,
            "labels": crowd.votes.by_item,
            "agree": counts[rows, best].astype(int),
            "consensus": [crowd.classes[place] for place in best],
            "quality": crowd.posterior[rows, best],
            "settled": settled,
        }
    )


def suspect_labels(crowd: Crowd, current: Mapping[str, str]) -> "DataFrame":
    """Items whose current label is unlikely given the annotators' labels, most unlikely first: item, label, likely (the likely class),
    quality (of the current label), likely_quality, labels.

    Parameters
    ----------
    crowd : Crowd
        Labels of the project.
    current : Mapping[str, str]
        By item, the label in use; without one the item's majority counts.

    Returns
    -------
    DataFrame
        One row per item; empty if every current label is the likeliest.
    """
    import pandas as pd

    counts = crowd.votes.counts
    number = {name: place for place, name in enumerate(crowd.classes)}
    own = np.array([number.get(current.get(item, ""), -1) for item in crowd.items])
    own = np.where(own < 0, counts.argmax(axis=1), own)
    rows = np.arange(crowd.votes.items)
    best = crowd.posterior.argmax(axis=1)
    quality = crowd.posterior[rows, own]
    chosen = (crowd.votes.by_item >= MIN_SUSPECT) & (own != best) & (quality < SUSPECT_BELOW)
    order = rows[chosen][np.argsort(quality[chosen], kind="stable")]
    table = [
        [crowd.items[each], crowd.classes[own[each]], crowd.classes[best[each]], quality[each], crowd.posterior[each, best[each]]]
        for each in order
    ]
    found = pd.DataFrame(table, columns=["item", "label", "likely", "quality", "likely_quality"])
    return found.assign(labels=crowd.votes.by_item[order])


@dataclass(frozen=True)
class LabellingCost:
    """The cost of labels. price: mean price of a label; labels: number of labels; corrected: number of settled items whose first label
    differed from the settled one.

    settled, items: number of settled items, and of all items. wrong_first: share of settled items whose first label differed from the
    settled one.
    """

    price: float
    currency: str
    labels: int
    items: int
    settled: int
    extra: int
    corrected: int
    wrong_first: Interval

    @property
    def total(self) -> float:
        """The cost of all labels: price times number of labels."""
        return self.price * self.labels

    @property
    def per_settled(self) -> float | None:
        """Cost of all labels, divided by the number of settled items; None if no item is settled."""
        return self.total / self.settled if self.settled else None

    @property
    def per_corrected(self) -> float | None:
        """Total cost of all labels after the first (settled items only), divided by the number of first labels that were corrected; None if
        none was.
        """
        return self.price * self.extra / self.corrected if self.corrected else None


def labelling_cost(crowd: Crowd, answers: "DataFrame", price: float, currency: str) -> LabellingCost:
    """The cost of a project's labels, and the cost of each corrected first label.

    Parameters
    ----------
    crowd : Crowd
        `crowd_of` these answers.
    answers : DataFrame
        Answers with `at`.
    price : float
        Of one label.
    currency : str
        Of the price.

    Returns
    -------
    LabellingCost
        Price of a label, numbers of labels and items, and how many first labels were corrected.
    """
    counts, done = crowd.votes.counts, crowd.settled
    first = answers.sort_values("at", kind="stable").drop_duplicates("item").set_index("item")["label"]
    number = {name: place for place, name in enumerate(crowd.classes)}
    begun = np.array([number[first[item]] for item in crowd.items])
    corrected = int((done & (counts.argmax(axis=1) != begun)).sum())
    extra, settled = int((crowd.votes.by_item[done] - 1).sum()), int(done.sum())
    wrong = rate_interval(float(corrected), float(settled)) if settled else Interval(None, None, None, 0)
    return LabellingCost(price, currency, len(answers), crowd.votes.items, settled, extra, corrected, wrong)
