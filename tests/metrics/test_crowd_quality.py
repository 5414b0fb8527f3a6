"""Quality of annotators and labels, the queue, assignment and replays agree with counts by hand, with simulated truth and with cleanlab's
rule.
"""

from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from observability.metrics import labelling_work
from observability.metrics.crowd_quality import (
    agreement_over,
    annotator_confusion,
    annotator_quality,
    class_agreement,
    consensus_labels,
    crowd_of,
    labelling_cost,
    newest_answers,
    pair_kappas,
    project_agreement,
    suggested_probabilities,
    suspect_labels,
)
from observability.metrics.labelling_work import (
    ACTIVELAB,
    LOAD_STEP,
    MARGIN,
    RANDOM,
    QueueItem,
    annotator_skill,
    appoint_annotators,
    label_work_queue,
    next_labels_value,
    replay_assignment,
    replay_policies,
)
from observability.stats.agreement import krippendorff_alpha
from tests.support.labelling_world import CLASSES, project

NAMES = tuple(map(str, CLASSES))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Five weeks with 20 items a day by six people. ann-2 is right 35 points less often throughout."""
    return newest_answers(project(3, items_a_day=20, weak="ann-2", weak_by=0.35, weak_since=datetime(2020, 1, 1)))


@pytest.fixture(scope="module")
def crowd(rows: pd.DataFrame):
    return crowd_of(rows, NAMES, suggested_probabilities(rows, NAMES))


def by_hand(votes: dict[str, list[str]]) -> pd.DataFrame:
    """Labels in the given order, as item: [label by a, by b, …]."""
    at, found = datetime(2026, 5, 1), []
    for item, labels in votes.items():
        for who, label in zip("abcdef", labels):
            at += timedelta(minutes=1)
            found.append({"item": item, "annotator": who, "at": at, "label": label})
    return pd.DataFrame(found)


def test_the_weak_annotator_is_ranked_last_by_every_model_with_a_certain_rank(rows: pd.DataFrame, crowd) -> None:
    table = annotator_quality(crowd).set_index("annotator")
    assert table["accuracy"].idxmin() == table["crowdlab"].idxmin() == "ann-2"
    assert table.loc["ann-2", ["rank", "rank_low", "rank_high"]].tolist() == [6, 6, 6]
    others = table.drop(index="ann-2")
    assert (others["rank_low"] <= others["rank"]).all() and (others["rank"] <= others["rank_high"]).all()
    assert (table["accuracy_low"] < table["accuracy"]).all() and (table["accuracy"] < table["accuracy_high"]).all()
    without = annotator_quality(crowd_of(rows, NAMES)).set_index("annotator")
    assert without["crowdlab"].isna().all() and without.loc["ann-2", ["rank", "rank_low", "rank_high"]].tolist() == [6, 6, 6]
    alone = annotator_quality(crowd_of(by_hand({"x": ["a", "b"], "y": ["a", "a"]})))
    assert alone["crowdlab"].isna().all() and alone["rank"].isna().all() and alone["accuracy"].notna().all()


def test_agreement_needs_no_model_and_is_that_of_the_references(rows: pd.DataFrame, crowd) -> None:
    found = project_agreement(crowd)
    assert found.alpha.value == pytest.approx(krippendorff_alpha(rows.groupby("item")["label"].apply(list).tolist()).value)
    assert found.fleiss_labels == 3 and found.fleiss == pytest.approx(found.alpha.value, abs=0.02)
    a, b, kappa, n = pair_kappas(crowd)[0]
    both = rows[rows["annotator"].isin([a, b])].pivot(index="item", columns="annotator", values="label").dropna()
    assert n == len(both) and kappa == pytest.approx(cohens_kappa(pd.crosstab(both[a], both[b]).to_numpy()).kappa)
    assert found.pairs == 15
    week = agreement_over(rows, "week")
    assert week["n"].sum() <= found.alpha.n and week["week"].is_monotonic_increasing and (week["low"] <= week["value"]).all()
    assert agreement_over(rows, "guideline").empty
    hand = class_agreement(crowd_of(by_hand({"x": ["p", "p", "q"], "y": ["q", "q"]}))).set_index("class")
    assert hand.loc["p", "share"] == pytest.approx((0.5 + 0.5) / 2) and hand.loc["q", "share"] == pytest.approx((0 + 1 + 1) / 3)


def test_consensus_settles_where_two_agree_and_no_other_has_as_many() -> None:
    votes = {"one": ["p"], "two": ["p", "p"], "split": ["p", "q"], "three": ["p", "q", "q"], "tied": ["p", "p", "q", "q"]}
    table = consensus_labels(crowd_of(by_hand(votes))).set_index("item")
    assert table["settled"].to_dict() == {"one": False, "two": True, "split": False, "three": True, "tied": False}
    assert table.loc["two", "consensus"] == "p" and table.loc["three", ["labels", "agree"]].tolist() == [3, 2]


def test_suspect_labels_are_those_that_others_contradict(rows: pd.DataFrame, crowd) -> None:
    truth = consensus_labels(crowd).set_index("item")
    sure = truth[(truth["quality"] > 0.9) & (truth["agree"] == 3)]
    wrong = {item: NAMES[(NAMES.index(name) + 1) % 3] for item, name in sure["consensus"].head(12).items()}
    found = suspect_labels(crowd, {**truth["consensus"].to_dict(), **wrong})
    planted = found[found["item"].isin(wrong.keys())].set_index("item")
    assert set(wrong) == set(planted.index) and found["quality"].is_monotonic_increasing
    assert planted["likely"].to_dict() == {item: truth.loc[item, "consensus"] for item in planted.index}
    assert planted["label"].to_dict() == {item: wrong[item] for item in planted.index} and len(found) < 0.1 * len(truth)


def test_the_cost_of_a_corrected_label_equals_a_count_by_hand() -> None:
    rows = by_hand({"fixed": ["p", "q", "q"], "fine": ["p", "p"], "open": ["p"], "split": ["p", "q"]})
    cost = labelling_cost(crowd_of(rows), rows, 0.5, "EUR")
    assert (cost.labels, cost.settled, cost.extra, cost.corrected) == (8, 2, 3, 1)
    assert cost.total == 4.0 and cost.per_settled == 2.0 and cost.per_corrected == 1.5


def test_a_persons_confusion_adds_up_to_their_labels(rows: pd.DataFrame, crowd) -> None:
    table = annotator_confusion(crowd, "ann-2")
    assert table["n"].sum() == pytest.approx((rows["annotator"] == "ann-2").sum())
    assert table.groupby("true")["share"].sum().tolist() == pytest.approx([1, 1, 1])
    right = {who: annotator_confusion(crowd, who).query("true == label")["n"].sum() for who in ("ann-1", "ann-2")}
    assert right["ann-2"] < right["ann-1"]


def test_the_queue_starts_with_requested_items_and_its_reasons_name_no_class() -> None:
    crowd = crowd_of(by_hand({"split": ["p", "q"], "done": ["p", "p"], "one": ["p"]}), ("p", "q"), {"split": (0.5, 0.5), "one": (0.9, 0.1)})
    queue = label_work_queue(crowd, ("p", "q"), {"new": (0.55, 0.45), "sure": (0.99, 0.01), "blank": ()}, {"asked": "look"})
    assert (
        queue[0].item == "asked"
        and "look" in queue[0].reason
        and {each.item for each in queue} == {"asked", "split", "one", "new", "sure", "blank"}
    )
    place = {each.item: number for number, each in enumerate(queue)}
    assert place["new"] < place["sure"] and place["blank"] < place["sure"]
    assert "Labels differ; most likely class" in queue[place["split"]].reason and not any(
        name in each.reason.split() for each in queue for name in "pq"
    )
    margin = [each.item for each in label_work_queue(None, ("p", "q"), {"far": (0.9, 0.1), "near": (0.6, 0.4)}, {}, MARGIN)]
    assert margin == ["near", "far"]


def test_work_goes_to_skilled_annotators_until_their_load_is_high(crowd) -> None:
    waiting = [QueueItem(f"i{n}", 0.1, "", False, (1 / 3, 1 / 3, 1 / 3), 0) for n in range(40)]
    people = list(crowd.people)
    found = appoint_annotators(waiting, people, crowd, {}, set())
    assert len(found) == 80 and len({(each.item, each.annotator) for each in found}) == 80
    load = Counter(each.annotator for each in found)
    assert max(load.values()) - min(load.values()) <= LOAD_STEP + 1 and load["ann-2"] == min(load.values())
    assert annotator_skill(crowd, "nobody", ())[1].startswith("New here")
    assert found[0].annotator == max(people, key=lambda who: crowd.fitted.accuracy[people.index(who)]) and "Right on" in found[0].reason
    third = QueueItem("split", 0.1, "", False, (0.5, 0.5, 0.0), 2)
    assert len(appoint_annotators([third], people, crowd, {}, {("split", "ann-1"), ("split", "ann-3")})) == 1
    taken = {("split", "ann-1"), ("split", "ann-3"), ("split", "ann-4")}
    assert appoint_annotators([third], people, crowd, {}, taken) == []


def test_labels_in_queue_order_correct_at_least_as_much_as_labels_in_random_order(crowd) -> None:
    found = next_labels_value(crowd)
    assert found.n == 100 and found.scored >= found.random >= 0 and found.scored <= found.wrong


def test_policies_are_replayed_against_random_on_the_known_answers(rows: pd.DataFrame, crowd) -> None:
    gold = rows[rows["gold"].notna()]
    truth = dict(zip(gold["item"], gold["gold"], strict=True))
    replay = replay_policies(crowd, rows, truth)
    curve = replay.curve.set_index(["policy", "share"])["errors"]
    first = rows.sort_values("at", kind="stable").drop_duplicates("item").set_index("item")["label"]
    wrong = sum(first[item] != answer for item, answer in truth.items())
    assert all(curve[(name, 0.0)] == wrong for name in (ACTIVELAB, MARGIN, RANDOM)) and replay.wrong == wrong
    assert len({round(curve[(name, 1.0)], 6) for name in (ACTIVELAB, MARGIN, RANDOM)}) == 1
    assert curve[(RANDOM, 1.0)] < wrong and replay.fixed[ACTIVELAB] > replay.fixed[RANDOM]
    assert replay_policies(crowd, rows, dict(list(truth.items())[:20])) is None


def test_giving_items_by_skill_is_replayed_on_later_items(rows: pd.DataFrame) -> None:
    gold = rows[rows["gold"].notna()]
    truth = dict(zip(gold["item"], gold["gold"], strict=True))
    found = replay_assignment(rows, truth, NAMES)
    assert found.skilled > found.random and found.difference.low > 0 and found.n > 50
    later = rows[rows["item"].isin(truth.keys())].groupby("item")["annotator"].nunique()
    assert sum(found.busiest.values()) > 0 and found.busiest["balanced"] < found.busiest["skill"] < (later > 1).sum()
    assert (
        found.busiest["balanced"] <= found.n / 6 + 2 * LOAD_STEP
        and min(found.skilled, found.random) - 0.1 < found.balanced <= found.skilled + 0.05
    )
    lucky = 0
    for seed in range(8):
        equal = newest_answers(project(seed, items_a_day=12, spread=0.0))
        known = equal[equal["gold"].notna()]
        other = replay_assignment(equal, dict(zip(known["item"], known["gold"], strict=True)), NAMES)
        lucky += not other.difference.low <= 0 <= other.difference.high
    assert lucky <= 2
    assert replay_assignment(rows.head(50), truth, NAMES) is None


def test_the_load_rule_is_replayed_item_by_item() -> None:
    """Two people label 12 items, and the first is always right. By skill, all items go to the first. Under the load rule, one person is at
    most LOAD_STEP + 1 items ahead.
    """
    who = pd.DataFrame({"annotator": ["a", "b"], "skill": [0.9, 0.5], "right": [True, False]})
    later = pd.concat([who.assign(item=f"i{place}") for place in range(12)], ignore_index=True)
    accuracy, busiest = labelling_work._replay_load(later, 0)
    assert busiest["skill"] == 12 and busiest["balanced"] == 9 and accuracy == pytest.approx(9 / 12)
    assert 4 <= busiest["random"] < 12


def test_six_hundred_people_are_judged() -> None:
    """198,000 labels by 600 people; tests/benchmarks/bench_size.py measures the time."""
    rng = np.random.default_rng(0)
    item = np.repeat(np.arange(66_000), 3)
    who = (item * 7 + np.tile([0, 1, 2], 66_000) * 191) % 600
    frame = pd.DataFrame({"item": item.astype(str), "annotator": who.astype(str), "label": rng.integers(0, 3, len(item)).astype(str)})
    frame["at"] = pd.Timestamp("2026-05-01")
    crowd = crowd_of(frame)
    assert crowd.votes.annotators == 600 and annotator_quality(crowd)["accuracy"].between(0, 1).all()
