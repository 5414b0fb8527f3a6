"""Labels of several annotators for the same items: consensus, quality of annotators, and which item gains most from another label.

Majority vote, Dawid and Skene's model of annotators' confusions, CROWDLAB (which adds the probabilities of a model) and ActiveLab. Any
number of annotators may label any subset of the items.
"""

from dataclasses import dataclass

import numpy as np

from observability.stats.arrays import Array, Bools, Floats, Integers
from observability.stats.interval import wilson_bounds

MAX_STEPS, TOLERANCE = 50, 1e-5
USUALLY_RIGHT = 0.7
"""Accuracy that smoothing assumes for an annotator before any label is seen."""
SMALLEST = 1e-10
"""Smallest probability of Dawid and Skene's model."""
MIN_WEIGHT = 1e-6
"""Smallest weight of an annotator or a model in CROWDLAB."""
DRAWS = 200
MIN_ITEMS = 10
"""Minimum number of items with two labels or more from which an annotator gets a rank."""


@dataclass(frozen=True)
class Votes:
    """Labels in long form, at most one for each annotator and item.

    item, annotator, label: indices from 0, one entry per label. items, annotators, classes: how many there are of each.
    """

    item: Integers
    annotator: Integers
    label: Integers
    items: int
    annotators: int
    classes: int

    @property
    def counts(self) -> Floats:
        """Items by classes: how often each item got each label."""
        found = np.bincount(self.item * self.classes + self.label, minlength=self.items * self.classes)
        return found.reshape(self.items, self.classes).astype(np.float64)

    @property
    def by_item(self) -> Integers:
        """The number of labels of each item."""
        return np.bincount(self.item, minlength=self.items)


@dataclass(frozen=True)
class DawidSkene:
    """Dawid and Skene's model. posterior: probability of each true class (items × classes). prior: probability of each class. confusion:
    probability of each label (annotators × true class × label); the rows of an annotator who has labelled nothing are uniform.
    """

    posterior: Floats
    prior: Floats
    confusion: Floats

    @property
    def accuracy(self) -> Floats:
        """For each annotator, the probability of a right label for an item from the usual mixture of classes."""
        return np.asarray((self.confusion.diagonal(axis1=1, axis2=2) * self.prior).sum(axis=1), np.float64)


@dataclass(frozen=True)
class CrowdQuality:
    """Results of CROWDLAB. consensus: class of each item. posterior: probability of each class (items × classes). quality: quality of each
    annotator, NaN if none of their items has two labels.

    annotator_weight, model_weight: weights of the annotators' votes and of the model in the posterior.
    """

    consensus: Integers
    posterior: Floats
    quality: Floats
    annotator_weight: Floats
    model_weight: float

    @property
    def item_quality(self) -> Floats:
        """Estimated probability that the consensus of each item is right."""
        return np.asarray(self.posterior[np.arange(len(self.consensus)), self.consensus], np.float64)


def majority_labels(votes: Votes, probabilities: Floats | None = None) -> Integers:
    """Most frequent label of each item; ties go to the class that the model finds likelier, then to the rarer class, then to the first.

    An item without a label gets the model's likeliest class, or without a model the rarest class.

    Parameters
    ----------
    votes : Votes
        Labels.
    probabilities : Floats | None
        Items × classes: the model's; None without a model.

    Returns
    -------
    Integers
        Class of each item.
    """
    counts = votes.counts
    tied = counts == counts.max(axis=1, keepdims=True)
    if probabilities is not None:
        chance = np.where(tied, probabilities, -1.0)
        tied &= chance == chance.max(axis=1, keepdims=True)
    often = np.where(tied, counts.sum(axis=0), np.inf)
    return np.asarray(often.argmin(axis=1), np.int64)


def dawid_skene(votes: Votes, smoothing: float = 0.0, steps: int = MAX_STEPS, tolerance: float = TOLERANCE) -> DawidSkene:
    """Maximum likelihood estimate of annotators' confusions and items' true classes, by expectation maximisation that starts from the
    majority vote.

    Parameters
    ----------
    votes : Votes
        Labels.
    smoothing : float
        Number of pseudo-labels per class that are added to each annotator, distributed as the average annotator's labels. Ten times as many
        are added to the average annotator, who is right with probability USUALLY_RIGHT; the same number is added to each class of the
        prior. With few labels, 0 overfits.
    steps : int
        Most steps.
    tolerance : float
        Gain of the log likelihood a label below which it stops.

    Returns
    -------
    DawidSkene
        Probability of each true class by item, confusion of each annotator, and prior.

    References
    ----------
    * Dawid and Skene (1979), Maximum likelihood estimation of observer error-rates using the EM algorithm.
    """
    counts = votes.counts
    labels = counts.sum(axis=1, keepdims=True)
    posterior = np.divide(counts, labels, out=np.full_like(counts, 1 / votes.classes), where=labels > 0)
    prior, confusion = _prior(posterior, smoothing), _confusion(votes, posterior, smoothing)
    likelihood = -np.inf
    for _ in range(steps):
        logs = np.log(np.maximum(prior, SMALLEST)) + _sums_by_item(votes, np.log(confusion)[votes.annotator, :, votes.label])
        top = logs.max(axis=1, keepdims=True)
        weights = np.exp(logs - top)
        total = weights.sum(axis=1, keepdims=True)
        posterior = weights / total
        prior, confusion = _prior(posterior, smoothing), _confusion(votes, posterior, smoothing)
        reached = float((top + np.log(total)).sum()) / max(len(votes.item), 1)
        if reached - likelihood < tolerance:
            break
        likelihood = reached
    return DawidSkene(posterior, prior, confusion)


def _sums_by_item(votes: Votes, rows: Floats) -> Floats:
    """For each item, the sum of the rows of its votes (rows: votes × columns)."""
    return np.column_stack([np.bincount(votes.item, column, votes.items) for column in rows.T])


def _prior(posterior: Floats, smoothing: float) -> Floats:
    """Share of each true class."""
    held = posterior.sum(axis=0) + smoothing
    return np.asarray(held / held.sum(), np.float64)


def _confusion(votes: Votes, posterior: Floats, smoothing: float) -> Floats:
    """The share of each label, as annotators × true class × label."""
    size = votes.annotators * votes.classes
    place = votes.annotator * votes.classes + votes.label
    held = np.stack([np.bincount(place, posterior[votes.item, each], size) for each in range(votes.classes)])
    found = held.reshape(votes.classes, votes.annotators, votes.classes).transpose(1, 0, 2)
    if smoothing:
        usual = np.full((votes.classes, votes.classes), (1 - USUALLY_RIGHT) / max(votes.classes - 1, 1))
        np.fill_diagonal(usual, USUALLY_RIGHT)
        pooled = found.sum(axis=0) + 10 * smoothing * usual
        found = found + smoothing * pooled / pooled.sum(axis=1, keepdims=True)
    found = np.maximum(found, SMALLEST)
    return np.asarray(found / found.sum(axis=2, keepdims=True), np.float64)


def crowdlab(votes: Votes, probabilities: Floats) -> CrowdQuality:
    """Consensus, its quality and the annotators' quality from their labels and a model's probabilities.

    Parameters
    ----------
    votes : Votes
        Labels; every item has at least one, and some have two.
    probabilities : Floats
        Items × classes: the model's, of items that it has not learned from.

    Returns
    -------
    CrowdQuality
        Consensus of each item with its quality, quality of each annotator, and the weights of annotators and model.

    Raises
    ------
    ValueError
        Where no item has two labels: nothing tells then how far annotators agree.

    References
    ----------
    * Goh, Tkachenko and Mueller (2022), CROWDLAB: Supervised learning to infer consensus labels and quality scores for data with multiple
      annotators.
    """
    several = votes.by_item > 1
    if not several.any():
        raise ValueError("CROWDLAB needs items with two labels or more")
    first = _crowd_posterior(votes, probabilities, majority_labels(votes, probabilities))[0]
    top = first == first.max(axis=1, keepdims=True)
    consensus = np.where(top.sum(axis=1) == 1, top.argmax(axis=1), majority_labels(votes, probabilities))
    posterior, annotator_weight, model_weight = _crowd_posterior(votes, probabilities, consensus)
    found = CrowdQuality(consensus, posterior, np.empty(0), annotator_weight, model_weight)
    return CrowdQuality(consensus, posterior, _quality(votes, found, several, np.ones((1, votes.items)))[0], annotator_weight, model_weight)


def _crowd_posterior(votes: Votes, probabilities: Floats, consensus: Integers) -> tuple[Floats, Floats, float]:
    """Posterior, weight of each annotator, and weight of the model, given the consensus."""
    n, counts = votes.by_item, votes.counts
    several = n > 1
    agreeing = counts[np.arange(votes.items), consensus] / np.maximum(n, 1)
    hit = float(agreeing[several].mean())
    miss = (1 - hit) / max(votes.classes - 1, 1)
    usual = np.bincount(consensus[several], minlength=votes.classes).argmax()
    worst = max(float((consensus[several] != usual).mean()), MIN_WEIGHT)
    same = np.bincount(votes.annotator, counts[votes.item, votes.label] - 1, votes.annotators)
    met = np.bincount(votes.annotator, n[votes.item] - 1, votes.annotators)
    agreement = np.divide(same, met, out=np.full(votes.annotators, np.nan), where=met > 0)
    agreement = np.where(met > 0, agreement, np.nanmean(agreement))
    weight = np.maximum(1 - (1 - agreement) / worst, MIN_WEIGHT)
    error = float((probabilities[several].argmax(axis=1) != consensus[several]).mean())
    model_weight = max(1 - error / worst, MIN_WEIGHT) * float(np.sqrt(n.mean()))
    rows = np.full((len(votes.item), votes.classes), miss)
    rows[np.arange(len(rows)), votes.label] = hit
    mine = weight[votes.annotator]
    total = np.bincount(votes.item, mine, votes.items) + model_weight
    return (probabilities * model_weight + _sums_by_item(votes, rows * mine[:, None])) / total[:, None], weight, model_weight


def _quality(votes: Votes, found: CrowdQuality, several: Bools, weights: Floats) -> Floats:
    """Quality of annotators, one row for each weighting of the items (weights: weightings × items); NaN if an annotator has no item with
    two labels.
    """
    own = found.posterior[votes.item, votes.label]
    agrees = (found.consensus[votes.item] == votes.label) & several[votes.item]
    share = votes.by_item.mean() / votes.annotators
    model = found.model_weight / (found.model_weight + found.annotator_weight.sum() * share)
    rows = []
    for each in weights:
        mine = each[votes.item]
        both = mine * several[votes.item]
        with np.errstate(invalid="ignore", divide="ignore"):
            confident = np.bincount(votes.annotator, mine * own, votes.annotators) / np.bincount(votes.annotator, mine, votes.annotators)
            agreeing = np.bincount(votes.annotator, mine * agrees, votes.annotators) / np.bincount(votes.annotator, both, votes.annotators)
        rows.append(model * confident + (1 - model) * agreeing)
    return np.array(rows)


def annotator_ranks(votes: Votes, found: CrowdQuality, seed: int = 0, confidence: float = 0.95) -> Array:
    """Rank of each annotator by CROWDLAB quality (1 is best), with a percentile bootstrap interval over items; the consensus is held fixed.

    Ranks are given because the scale of the quality is biased, and ranks are less so. Rows: annotators; columns: rank, low, high; NaN below
    MIN_ITEMS items with two labels or more.

    Parameters
    ----------
    votes : Votes
        Labels.
    found : CrowdQuality
        `crowdlab` of these labels.
    seed : int
        Of the bootstrap.
    confidence : float
        Of the interval.

    Returns
    -------
    Array
        Annotators × 3: rank, low, high.
    """
    several = votes.by_item > 1
    enough = np.bincount(votes.annotator, several[votes.item], votes.annotators) >= MIN_ITEMS
    result = np.full((votes.annotators, 3), np.nan)
    if not enough.any():
        return result
    draws = np.random.default_rng(seed).multinomial(votes.items, np.full(votes.items, 1 / votes.items), size=DRAWS).astype(np.float64)
    values = np.vstack([found.quality, _quality(votes, found, several, draws)])[:, enough]
    result[enough] = _rank_intervals(values, confidence)
    return result


def accuracy_ranks(votes: Votes, fitted: DawidSkene, seed: int = 0, confidence: float = 0.95) -> Array:
    """Rank of each annotator by Dawid and Skene's accuracy (1 is best), with the range of ranks that fits the uncertainty of the
    accuracies.

    Accuracies are drawn from Beta distributions with the effective labels of `accuracy_intervals`. Rows: annotators; columns: rank, low,
    high; NaN below MIN_ITEMS items of two labels or more.

    Parameters
    ----------
    votes : Votes
        Labels.
    fitted : DawidSkene
        `dawid_skene` of these labels.
    seed : int
        Of the draws.
    confidence : float
        Of the range.

    Returns
    -------
    Array
        Annotators × 3: rank, low, high.
    """
    enough = np.bincount(votes.annotator, (votes.by_item > 1)[votes.item], votes.annotators) >= MIN_ITEMS
    result = np.full((votes.annotators, 3), np.nan)
    if not enough.any():
        return result
    accuracy, n = fitted.accuracy[enough], accuracy_intervals(votes, fitted)[enough, 2]
    draws = np.random.default_rng(seed).beta(accuracy * n + 0.5, (1 - accuracy) * n + 0.5, (DRAWS, len(n)))
    result[enough] = _rank_intervals(np.vstack([accuracy, draws]), confidence)
    return result


def accuracy_intervals(votes: Votes, fitted: DawidSkene, confidence: float = 0.95) -> Floats:
    """Interval of each annotator's accuracy by Dawid and Skene's model, and the number of labels of known class with the same information
    (effective labels).

    A label counts for a class as the square of the item's probability of it, so items of doubtful class contribute less. The interval is
    Wilson's at the effective labels. The uncertainty of the other annotators' confusions is left out.

    Parameters
    ----------
    votes : Votes
        Labels.
    fitted : DawidSkene
        `dawid_skene` of these labels.
    confidence : float
        Of the interval.

    Returns
    -------
    Floats
        Annotators × 3: low, high, effective labels; NaN, NaN, 0 for an annotator without a label.
    """
    told = np.stack([np.bincount(votes.annotator, each[votes.item] ** 2, votes.annotators) for each in fitted.posterior.T], axis=1)
    right = fitted.confusion.diagonal(axis1=1, axis2=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (fitted.prior**2 * right * (1 - right) / np.maximum(told, SMALLEST)).sum(axis=1)
        accuracy = fitted.accuracy
        n = np.minimum(np.nan_to_num(accuracy * (1 - accuracy) / variance, nan=np.inf), told.sum(axis=1))
    low, high = wilson_bounds(accuracy, np.maximum(n, SMALLEST), confidence)
    return np.column_stack([np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan), n])


def _rank_intervals(values: Floats, confidence: float) -> Floats:
    """Rank, low and high of each column: its rank in the first row, and the range of its ranks in the other rows. Rank 1: largest value."""
    order = np.where(np.isfinite(values), -values, np.inf).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable") + 1
    low, high = np.quantile(order[1:], [(1 - confidence) / 2, (1 + confidence) / 2], axis=0, method="nearest")
    return np.column_stack([order[0], np.minimum(low, order[0]), np.maximum(high, order[0])]).astype(np.float64)


def active_learning_scores(votes: Votes, found: CrowdQuality, unlabelled: Floats) -> tuple[Floats, Floats]:
    """ActiveLab's scores of labelled and of unlabelled items: the lower the score, the more informative another label is expected to be.

    Parameters
    ----------
    votes : Votes
        Labels.
    found : CrowdQuality
        `crowdlab` of these labels.
    unlabelled : Floats
        The model's probabilities of items without a label.

    Returns
    -------
    tuple[Floats, Floats]
        Scores of the labelled items and of the unlabelled ones.

    References
    ----------
    * Goh and Mueller (2023), ActiveLab: Active learning with re-labeling by multiple annotators.
    """
    usual, chance = float(found.annotator_weight.mean()), 1 / votes.classes
    weight = np.bincount(votes.item, found.annotator_weight[votes.annotator], votes.items) + found.model_weight
    labelled = (found.item_quality * weight + chance * usual) / (weight + usual)
    model = found.model_weight
    rest = (unlabelled.max(axis=1, initial=0.0) * model + chance * usual) / (model + usual)
    return np.asarray(labelled, np.float64), np.asarray(rest, np.float64)


def gain_of_another_label(posterior: Floats, confusion: Floats) -> Floats:
    """Expected fall of each item's probability of a wrong consensus when one more annotator labels it; never below 0.

    Parameters
    ----------
    posterior : Floats
        Items × classes: probability of each true class.
    confusion : Floats
        True class × label of that annotator.

    Returns
    -------
    Floats
        For each item, a difference of probabilities.
    """
    after = (posterior[:, :, None] * confusion[None]).max(axis=1).sum(axis=1)
    return np.asarray(np.maximum(after - posterior.max(axis=1), 0.0), np.float64)
