"""data/labels: agreement, annotators, queues, contradictions and prices are judged as computed by hand; a clean project raises nothing."""

from collections import Counter
from datetime import UTC, timedelta
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from observability.analyzers.data.labels import LIMITS
from observability.core.finding import Finding, news_of
from observability.detection import annotator_agreement, label_queue
from observability.metrics import annotators, repeat_labels
from observability.metrics.labelling_projects import recent_labels
from observability.simulation.labelling_project import label_price_records
from tests.support.annotation_frames import COLUMNS, END, START, context, frame, labelled, said
from tests.support.length import allowed, repeats
from tests.support.levels import beyond_limit


def test_clean_weeks_raise_no_critical_finding_and_few_warnings() -> None:
    weeks = repeats(4, 300)
    raised = [each for seed in range(weeks) for each in said(labelled(seed=5000 + seed)) if each.needs_action]
    assert [each.because for each in raised if each.severity == "act"] == []
    assert len(raised) <= allowed(0.03, weeks), [each.because for each in raised]


def only(found: list[Finding], metric: str) -> Finding:
    (one,) = [each for each in found if each.metric == metric]
    return one


def alpha_by_hand(items: list[list[object]]) -> float:
    """Krippendorff's formula for nominal labels, pair by pair: 1 − (share of unlike pairs within items) / (share of unlike pairs among all
    labels)."""
    items = [each for each in items if len(each) > 1]
    n = sum(map(len, items))
    within = sum(2 * sum(a != b for a, b in combinations(each, 2)) / (len(each) - 1) for each in items)
    every = Counter(label for each in items for label in each)
    between = sum(every[a] * every[b] for a in every for b in every if a != b) / (n - 1)
    return 1 - within / between


def test_agreement_is_krippendorffs_alpha_and_a_fall_is_dated() -> None:
    rows = labelled(late=0.5)
    found = only(said(rows), "label_agreement")
    by_item = {side: [list(each) for _, each in part.groupby("item")["label"]] for side, part in rows.groupby(rows["at"] >= START)}
    assert found.severity == "act" and found.evidence["look_days"] == 7 and found.n == 84 and "agree less than" in found.because
    assert found.value == pytest.approx(alpha_by_hand(by_item[True])) and found.low < found.value < found.high
    assert found.evidence["baseline"] == pytest.approx(alpha_by_hand(by_item[False]))
    assert abs(found.onset - START.replace(tzinfo=UTC)) <= timedelta(days=1)


def test_unchanged_agreement_is_ok_and_low_agreement_is_a_warning() -> None:
    fine = only(said(labelled()), "label_agreement")
    assert fine.severity == "ok" and "as in the 4 weeks before" in fine.because
    poor = only(said(labelled(wrong=0.6, late=0.6)), "label_agreement")
    assert poor.severity == "watch" and poor.limit == 0.667 and "do not agree" in poor.because


@pytest.mark.parametrize("wrong", [0.1, 0.6])
def test_the_stated_agreement_covers_the_days_in_its_sentence_even_if_a_shorter_look_decides(wrong: float) -> None:
    asked, labels = context(), recent_labels(labelled(a_day=60, wrong=wrong, late=wrong), END, 35)
    shorter = [each for each in annotator_agreement.agreement_changes(labels, asked) if not each.whole]
    blank = asked.undecided("data/labels", "model", "label_agreement", 0, "", against="past")
    found = annotator_agreement.about_agreement(blank, labels, shorter, [1.0] * len(shorter), asked)
    assert shorter and found.severity == ("ok" if wrong == 0.1 else "watch")
    assert f"alpha {found.value:.2f} on {found.n:,} items" in found.because and found.evidence["look_days"] == 7


def test_agreement_below_its_limit_is_never_ok() -> None:
    unsure = []
    for seed in range(30):
        found = only(said(labelled(wrong=0.1, late=0.2, a_day=8, seed=seed)), "label_agreement")
        assert not (found.severity == "ok" and beyond_limit(found)), found.because
        assert found.needs_action or found.limit <= found.evidence["baseline"] - max(found.evidence["varies"], 0.05) + 1e-9
        unsure += [found] if found.severity == "unknown" else []
    assert unsure and all(beyond_limit(each) and "That is below the limit of" in each.because for each in unsure)


def test_an_annotator_who_answers_at_random_is_named_by_fishers_exact_test() -> None:
    rows, rng = labelled(a_day=16), np.random.default_rng(3)
    mine = (rows["annotator"] == "c") & (rows["at"] >= START)
    rows.loc[mine, "label"] = rng.integers(0, 3, int(mine.sum()))
    found = only(said(rows), "annotator_agreement")
    assert (found.subject, found.severity, found.likely_source) == ("annotator=c", "act", "label")
    agrees = n = 0
    for _, item in rows[rows["at"] >= START].groupby("item"):
        others = Counter(item.loc[item["annotator"] != "c", "label"]).most_common()
        if (item["annotator"] == "c").any() and (len(others) == 1 or others[0][1] > others[1][1]):
            n += 1
            agrees += int(item.loc[item["annotator"] == "c", "label"].iloc[0] == others[0][0])
    labels = recent_labels(rows, END, 35)
    (whole,) = [each for each in annotators.agreement_comparisons(labels, 7.0) if each.annotator == "c" and each.days == 7]
    assert (whole.agrees, whole.n) == (agrees, n)
    table = [[whole.agrees, whole.n - whole.agrees], [whole.peers_agree, whole.peers - whole.peers_agree]]
    assert whole.p_value == pytest.approx(fisher_exact(table, alternative="less").pvalue)
    assert {each.subject for each in said(rows) if each.severity == "act" and each.metric == "annotator_agreement"} == {"annotator=c"}


def test_between_two_annotators_neither_is_named_and_an_older_deviation_is_ongoing() -> None:
    two = only(said(labelled(people="ab", late=0.5)), "annotator_agreement")
    assert two.severity == "unknown" and "a third annotator" in two.because
    rows, rng = labelled(a_day=16), np.random.default_rng(3)
    mine = rows["annotator"] == "c"
    rows.loc[mine, "label"] = rng.integers(0, 3, int(mine.sum()))
    found = only(said(rows), "annotator_agreement")
    assert found.subject == "annotator=c" and found.severity == "act" and "as in the 4 weeks before" in found.because
    assert news_of(found) == "ongoing"


def waiting(hours: float, late_hours: float, who: str = "b") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Twenty items a day for each of three people, labelled some hours later. In the window, one of them takes a different number of hours."""
    rng, given, done = np.random.default_rng(1), [], []
    for day in range(45):
        for place in range(60):
            at, name = END - timedelta(days=45 - day, hours=-9), "abc"[place % 3]
            took = (late_hours if name == who and at >= START else hours) * float(np.exp(rng.normal(0, 0.3)))
            given.append(("loan", f"{day}-{place}", name, at))
            if at + timedelta(hours=took) < END:
                done.append(("loan", f"{day}-{place}", name, at + timedelta(hours=took), "x"))
    return frame(done), pd.DataFrame(given, columns=COLUMNS[:4]).astype({"at": "datetime64[us]"})


def test_a_slow_annotators_queue_is_named_with_its_mean_age() -> None:
    done, given = waiting(12.0, 200.0)
    found = {each.subject: each for each in said(done, given) if each.metric == "queue_days"}
    left = given.merge(done[COLUMNS[:3]], how="left", indicator=True).query("_merge == 'left_only' and annotator == 'b'")
    assert found["annotator=b"].severity == "act" and found["annotator=b"].n == len(left)
    assert found["annotator=b"].value == pytest.approx(((END - left["at"]).dt.total_seconds() / 86_400).mean())
    assert set(found) == {"annotator=b", "model"}
    done, given = waiting(12.0, 12.0)
    assert only(said(done, given), "queue_days").severity == "ok"
    short = given[given["at"] >= END - timedelta(days=10)]
    young = only(said(done, short), "queue_days")
    assert young.severity == "unknown" and "more days of assignments" in young.because


def test_a_queue_is_not_ok_beyond_its_limit_where_few_labels_wait() -> None:
    done, given = waiting(12.0, 12.0)
    unsure = []
    for seed in range(20):
        rows = given.sample(frac=0.03, random_state=seed)
        kept = done[done["item"].isin(rows["item"])]
        late = rows["item"][rows["at"] >= END - timedelta(days=2)]
        found = only(said(kept[~kept["item"].isin(late)], rows), "queue_days")
        assert not (found.severity == "ok" and beyond_limit(found)), found.because
        unsure += [found] if found.severity == "unknown" else []
    assert unsure and all(beyond_limit(each) and "That is beyond the limit of" in each.because for each in unsure)


def test_an_item_assigned_again_waits_from_its_new_assignment() -> None:
    given = frame([("loan", "i", "a", END - timedelta(days=9), None), ("loan", "i", "a", END - timedelta(days=2), None)])
    done = frame([("loan", "i", "a", END - timedelta(days=8), "x")])
    work = label_queue.assignments_of(given[COLUMNS[:4]], done, END)
    assert work.waiting(0.0, np.array([True])).tolist() == pytest.approx([2.0])


def test_labels_that_contradict_earlier_ones_are_counted() -> None:
    rows = labelled(a_day=16)
    late = rows[rows["at"] >= START]
    again = late.sample(30, random_state=1).assign(at=lambda each: each["at"] + pd.Timedelta(hours=1))
    again["label"] = (again["label"] + 1) % 3
    found = only(said(pd.concat([rows, again])), "label_conflicts")
    assert found.severity == "act" and found.evidence["look_days"] == 7
    assert found.value == pytest.approx(30 / (len(late) + 30)) and "30 of" in found.because
    assert only(said(rows), "label_conflicts").severity == "ok"
    same = again.assign(label=(again["label"] - 1) % 3)
    assert repeat_labels.contradicting_labels(pd.concat([rows, same]), END)[1].sum() == 0


def test_a_label_price_rise_is_dated_and_counts_the_labels_paid_at_it() -> None:
    rows, since = labelled(), END - timedelta(days=3)
    dear = label_price_records([(END - timedelta(days=90), 0.4), (since, 0.8)], "EUR", "loan")
    found = only(said(rows, prices=dear), "label_price")
    assert (found.severity, found.value, found.onset) == ("act", 0.8, since.replace(tzinfo=UTC))
    assert f"{int((rows['at'] >= since).sum()):,} labels of the window" in found.because and "2 times" in found.because
    assert only(said(rows, prices=label_price_records([(END - timedelta(days=90), 0.4)], "EUR", "loan")), "label_price").severity == "ok"


def test_only_projects_named_in_the_settings_are_judged() -> None:
    rows = labelled().assign(project="moods")
    assert said(rows) == [] and only(said(rows, projects=("moods",)), "label_agreement").severity == "ok"


def test_owner_limits_set_when_labelling_changes_need_action() -> None:
    """For each limit of `LIMITS`: a looser owner's limit turns an `act` into a `watch`, a stricter one a `watch` into an `act`. The watch
    limit is never above the act limit.
    """
    rows, rng = labelled(a_day=16), np.random.default_rng(3)
    mine = (rows["annotator"] == "c") & (rows["at"] >= START)
    rows.loc[mine, "label"] = rng.integers(0, 3, int(mine.sum()))
    late = rows[rows["at"] >= START]
    again = late.sample(30, random_state=1).assign(at=lambda each: each["at"] + pd.Timedelta(hours=1))
    again["label"] = (again["label"] + 1) % 3
    odd, (done, given) = pd.concat([rows, again]), waiting(12.0, 200.0)
    dear = label_price_records([(END - timedelta(days=90), 0.4), (END - timedelta(days=3), 0.8)], "EUR", "loan")
    high = {"label_agreement": 0.9, "annotator_agreement": 0.9, "label_conflicts": 0.9, "queue_days": 90.0, "label_price": 3.0}
    assert set(high) == set(LIMITS)
    for metric, limit in high.items():
        queue = metric == "queue_days"
        usual = said(done, given) if queue else said(odd, prices=dear)
        assert "act" in {each.severity for each in usual if each.metric == metric}
        limits = {f"data/labels/{metric}": limit}
        other = said(done, given, limits=limits) if queue else said(odd, prices=dear, limits=limits)
        assert {each.severity for each in other if each.metric == metric} <= {"watch", "ok"} and "watch" in {
            each.severity for each in other if each.metric == metric
        }
        rest = [(each.metric, each.subject, each.severity) for each in usual if each.metric != metric]
        assert rest == [(each.metric, each.subject, each.severity) for each in other if each.metric != metric]
    small = label_price_records([(END - timedelta(days=90), 0.4), (END - timedelta(days=3), 0.46)], "EUR", "loan")
    assert only(said(rows, prices=small), "label_price").severity == "ok"
    strict = only(said(rows, prices=small, limits={"data/labels/label_price": 1.1}), "label_price")
    assert strict.severity == "act" and strict.limit == pytest.approx(0.44)
