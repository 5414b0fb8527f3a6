"""Labels by several annotators: results equal those of cleanlab, crowd-kit and statsmodels; ranks and gains equal counts by hand."""

import numpy as np
import pandas as pd
import pytest
from cleanlab import multiannotator
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa

from observability.stats.agreement import cohen_kappa, fleiss_kappa_of_counts
from observability.stats.crowd_labels import (
    Votes,
    accuracy_intervals,
    accuracy_ranks,
    active_learning_scores,
    annotator_ranks,
    crowdlab,
    dawid_skene,
    gain_of_another_label,
    majority_labels,
)

SKILLS = (0.9, 0.8, 0.7, 0.85, 0.4)


def crowd(seed: int = 5, n: int = 60, each: int = 3, skills: tuple[float, ...] = SKILLS) -> tuple[Votes, np.ndarray]:
    """Items of three classes, each labelled by some annotators; an annotator who does not know the class guesses."""
    rng = np.random.default_rng(seed)
    truth, rows = rng.integers(0, 3, n), []
    for item in range(n):
        for who in rng.choice(len(skills), each, replace=False):
            rows.append((item, int(who), int(truth[item] if rng.random() < skills[who] else rng.integers(0, 3))))
    item, who, label = np.array(rows).T
    return Votes(item, who, label, n, len(skills), 3), truth


def model_of(truth: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([1, 1, 1], len(truth)) * 0.5 + 0.5 * np.eye(3)[truth]


def wide(votes: Votes) -> np.ndarray:
    found = np.full((votes.items, votes.annotators), np.nan)
    found[votes.item, votes.annotator] = votes.label
    return found


def test_dawid_skene_gives_the_figures_of_crowd_kit() -> None:
    """The expected figures come from crowd-kit 1.4.1, DawidSkene(n_iter=2000, tol=1e-12), on these labels."""
    votes, truth = crowd()
    found = dawid_skene(votes, steps=2000, tolerance=1e-12)
    assert found.prior == pytest.approx([0.35474, 0.31833, 0.32693], abs=2e-5)
    right = [
        [1.00000, 0.86202, 0.88311],
        [0.76789, 0.80053, 1.00000],
        [0.70888, 0.87548, 0.71173],
        [0.84796, 1.00000, 0.85547],
        [0.70359, 0.71532, 0.23446],
    ]
    assert found.confusion.diagonal(axis1=1, axis2=2) == pytest.approx(np.array(right), abs=2e-4)
    assert found.posterior.max(axis=1).sum() == pytest.approx(58.5045, abs=1e-3)
    assert found.confusion.sum(axis=2) == pytest.approx(1.0) and (found.posterior.argmax(axis=1) == truth).mean() >= 0.8
    assert found.accuracy.argmin() == 4


@pytest.mark.filterwarnings("ignore:The copy keyword is deprecated")
@pytest.mark.parametrize("seed", range(5))
def test_dawid_skene_equals_crowd_kit_on_the_same_labels(seed: int) -> None:
    aggregation = pytest.importorskip("crowdkit.aggregation", reason="an oracle of the tests")
    votes, _ = crowd(seed, 80)
    given = pd.DataFrame({"task": votes.item, "worker": votes.annotator, "label": votes.label})
    theirs = aggregation.DawidSkene(n_iter=2000, tol=1e-12).fit(given)
    ours = dawid_skene(votes, steps=2000, tolerance=1e-12)
    assert ours.prior == pytest.approx(theirs.priors_.sort_index().to_numpy(), abs=1e-4)
    assert ours.posterior == pytest.approx(theirs.probas_.sort_index()[[0, 1, 2]].to_numpy(), abs=1e-3)
    for annotator, errors in theirs.errors_.groupby(level="worker"):  # rows: the given label; columns: the true class
        expected = errors.droplevel("worker").reindex(index=range(3), columns=range(3)).fillna(0.0).to_numpy().T
        assert ours.confusion[annotator] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_crowdlab_and_activelab_are_those_of_cleanlab(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    votes, truth = crowd(seed, each=3)
    keep = np.random.default_rng(seed).random(len(votes.item)) < 0.8
    keep |= np.r_[True, np.diff(votes.item) > 0]
    votes = Votes(votes.item[keep], votes.annotator[keep], votes.label[keep], votes.items, votes.annotators, 3)
    chances, rest = model_of(truth, seed), model_of(truth[:9], seed + 9)
    theirs = multiannotator.get_label_quality_multiannotator(wide(votes), chances, return_weights=True, verbose=False)
    ours = crowdlab(votes, chances)
    assert ours.consensus.tolist() == theirs["label_quality"]["consensus_label"].tolist()
    assert ours.item_quality == pytest.approx(theirs["label_quality"]["consensus_quality_score"].to_numpy())
    assert ours.quality == pytest.approx(theirs["annotator_stats"]["annotator_quality"].sort_index().to_numpy())
    assert ours.model_weight == pytest.approx(theirs["model_weight"]) and ours.annotator_weight == pytest.approx(theirs["annotator_weight"])
    monkeypatch.setattr(multiannotator, "find_best_temp_scaler", lambda *_: 1.0)
    labelled, unlabelled = multiannotator.get_active_learning_scores(wide(votes), chances.copy(), rest.copy())
    own = active_learning_scores(votes, ours, rest)
    assert own[0] == pytest.approx(labelled) and own[1] == pytest.approx(unlabelled, abs=1e-6)


def test_ties_go_to_the_model_and_then_to_the_rarer_class() -> None:
    votes = Votes(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0]), np.array([0, 1, 0, 0, 2]), 4, 2, 3)
    assert majority_labels(votes).tolist() == [1, 0, 2, 1]
    assert majority_labels(votes, np.array([[0.6, 0.3, 0.1]] * 4)).tolist() == [0, 0, 2, 0]


def test_annotator_ranks_cover_the_true_order_and_too_few_items_give_none() -> None:
    votes, truth = crowd(11, 400, skills=(0.95, 0.9, 0.9, 0.88, 0.3))
    ranks = annotator_ranks(votes, crowdlab(votes, model_of(truth)))
    assert ranks[4].tolist() == [5, 5, 5] and ranks[0, 1] == 1
    assert (ranks[:, 1] <= ranks[:, 0]).all() and (ranks[:, 0] <= ranks[:, 2]).all() and ranks[1, 2] > ranks[1, 1]
    few, truth = crowd(2, 9)
    assert np.isnan(annotator_ranks(few, crowdlab(few, model_of(truth)))).all()


def test_intervals_of_accuracies_hold_the_truth_and_ranks_follow_from_them() -> None:
    true, held, wilson = np.array(SKILLS) + (1 - np.array(SKILLS)) / 3, [], []
    for seed in range(60):
        votes, _ = crowd(seed, 200)
        low, high, n = accuracy_intervals(votes, dawid_skene(votes, 1.0)).T
        held.append((low <= true) & (true <= high))
        wilson.append(n / np.bincount(votes.annotator))
    assert 0.88 <= np.mean(held) <= 0.99 and 0.5 < np.mean(wilson) < 1.0, (np.mean(held), np.mean(wilson))
    votes, _ = crowd(11, 400, skills=(0.95, 0.9, 0.9, 0.88, 0.3))
    ranks = accuracy_ranks(votes, dawid_skene(votes, 1.0))
    assert ranks[4].tolist() == [5, 5, 5] and ranks[0, 1] == 1 and ranks[1, 2] > ranks[1, 1]
    assert (ranks[:, 1] <= ranks[:, 0]).all() and (ranks[:, 0] <= ranks[:, 2]).all()
    few = crowd(2, 9)[0]
    assert np.isnan(accuracy_ranks(few, dawid_skene(few, 1.0))).all()
    absent = Votes(votes.item, votes.annotator, votes.label, votes.items, votes.annotators + 1, 3)
    assert np.isnan(accuracy_intervals(absent, dawid_skene(absent, 1.0))[5, :2]).all()


def test_the_gain_of_another_label_is_bayes_rule_by_hand() -> None:
    confusion = np.array([[0.8, 0.2], [0.2, 0.8]])
    found = gain_of_another_label(np.array([[0.5, 0.5], [0.6, 0.4], [0.9, 0.1]]), confusion)
    assert found == pytest.approx([0.3, 0.2, 0.0])


def test_crowdlab_without_an_item_of_two_labels_raises_an_error() -> None:
    votes = Votes(np.arange(3), np.zeros(3, int), np.zeros(3, int), 3, 1, 2)
    with pytest.raises(ValueError, match="two labels"):
        crowdlab(votes, np.full((3, 2), 0.5))


def test_the_kappas_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 200)
    labels = np.where(rng.random((200, 3)) < 0.7, truth[:, None], rng.integers(0, 3, (200, 3)))
    counts = aggregate_raters(labels)[0].astype(float)
    assert fleiss_kappa_of_counts(counts) == pytest.approx(fleiss_kappa(counts))
    table = np.zeros((3, 3))
    np.add.at(table, (labels[:, 0], labels[:, 1]), 1)
    assert cohen_kappa(table) == pytest.approx(cohens_kappa(table).kappa)
    assert np.isnan(cohen_kappa(np.zeros((2, 2)))) and np.isnan(fleiss_kappa_of_counts(np.array([[2.0, 0.0]] * 3)))
    with pytest.raises(ValueError, match="equally many"):
        fleiss_kappa_of_counts(np.array([[2.0, 0.0], [1.0, 0.0]]))


def test_smoothing_leaves_doubt_about_a_single_label() -> None:
    one = Votes(np.array([0]), np.array([0]), np.array([1]), 1, 1, 2)
    assert dawid_skene(one).posterior[0, 1] > 0.999
    assert 0.6 < dawid_skene(one, smoothing=1.0).posterior[0, 1] < 0.95
