"""data/labelling: figures about people, suggestions, times and sessions equal independent computations; a clean project raises nothing, and
each planted fault is named.
"""

from collections import Counter
from datetime import UTC, timedelta

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import fisher_exact
from sklearn.metrics import confusion_matrix
from statsmodels.stats.proportion import proportion_confint

from observability.analyzers.data.labelling import ANALYZER
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding, news_of
from observability.core.window import Window
from observability.metrics import annotations, assignments, gold_accuracy, labelling_speed, suggestions
from observability.metrics.annotations import MIN_ANNOTATION_ROWS, answers_needed, first_answers
from observability.stats.agreement import krippendorff_alpha
from tests.support.labelling_world import END, START, project
from tests.support.length import allowed, repeats

BUDGET = 0.1 / 7


def said(annotated: pd.DataFrame, counters: dict | None = None) -> list[Finding]:
    window = Window("", START.replace(tzinfo=UTC), END.replace(tzinfo=UTC))
    now = annotated["at"] >= START
    frames = {"annotated": annotated[now].reset_index(drop=True), "past annotated": annotated[~now].reset_index(drop=True)}
    return ANALYZER.analyze(frames, Context(EVERY_MODEL, NO_VERSION, window, window.end, BUDGET, counters or {}))


def only(found: list[Finding], metric: str, subject: str = "project:moods") -> Finding:
    (one,) = [each for each in found if (each.metric, each.subject) == (metric, subject)]
    return one


def answers(annotated: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    found = first_answers(annotated)
    inside = found["at"] >= START
    return found[inside], found[~inside]


def alarms(found: list[Finding]) -> set[tuple[str, str, str]]:
    return {(each.severity, each.metric, each.subject) for each in found if each.severity in ("act", "watch")}


def test_an_annotator_often_wrong_on_gold_items_is_named_by_fishers_exact_test() -> None:
    rows = project(3, weak="ann-2", weak_by=0.35)
    found = said(rows)
    assert alarms(found) >= {("act", "gold_accuracy", "project:moods/annotator:ann-2")}
    assert {each[2] for each in alarms(found) if "annotator" in each[2]} == {"project:moods/annotator:ann-2"}
    one = only(found, "gold_accuracy", "project:moods/annotator:ann-2")
    gold = rows[(rows["at"] >= START) & rows["gold"].notna()]
    mine = gold[gold["annotator"] == "ann-2"]
    right = int((mine["label"] == mine["gold"]).sum())
    assert (one.n, one.value) == (len(mine), pytest.approx(right / len(mine))) and one.against == "peers" and one.likely_source == "label"
    low, high = proportion_confint(right, len(mine), method="wilson")
    assert one.low <= low + 1e-9 and one.high >= high - 1e-9 and one.high - one.low < 1.15 * (high - low)
    assert "Go through their wrong answers" in one.because and f"{len(mine)} gold items" in one.because
    now, past = answers(rows)
    (look,) = [each for each in gold_accuracy.gold_accuracy_comparisons(now, past, "project:moods") if each.name == "ann-2"]
    others, size = annotations.effective_hits(now[now["known"] & (now["annotator"] != "ann-2")], "right")
    table = [[right, len(mine) - right], [round(others), round(size) - round(others)]]
    assert look.p_value == pytest.approx(fisher_exact(table, alternative="less").pvalue) and size <= len(gold) - len(mine)


def test_an_already_weak_annotator_is_ongoing_and_few_gold_items_raise_no_alarm() -> None:
    always = project(3, weak="ann-2", weak_by=0.35, weak_since=START - timedelta(days=40))
    one = only(said(always), "gold_accuracy", "project:moods/annotator:ann-2")
    assert one.severity == "act" and news_of(one) == "ongoing" and "as in the 4 weeks before" in one.because
    few = project(3, weak="ann-2", weak_by=0.9, gold=0.05)
    now, _ = answers(few)
    people = gold_accuracy.gold_accuracy_by_annotator(now, BUDGET).set_index("annotator")
    assert people.loc["ann-2", "n"] < MIN_ANNOTATION_ROWS and people.loc["ann-2", "more"] > 0
    told = said(few, {"model_projects": frozenset({"moods"})})
    assert not [each for each in told if "annotator" in each.subject], (
        "the other annotators are not called followers because one person accepts few suggestions"
    )
    tiny = said(project(3, gold=0.02))
    assert only(tiny, "gold_accuracy").severity == "unknown" and "it needs about" in only(tiny, "gold_accuracy").because


def test_the_stated_number_of_gold_items_detects_a_20_point_gap_with_80_percent_power() -> None:
    """By simulation: one person with accuracy 0.72 among others with 0.92, tested with the error budget that six people share."""
    n, rng = answers_needed(0.92, 300, 6, BUDGET), np.random.default_rng(4)
    found = []
    for _ in range(2000):
        mine, rest = rng.binomial(n, 0.72), rng.binomial(5 * 60, 0.92)
        found.append(annotations.lower_share_p_value(mine, n, rest, 300) <= BUDGET / 6)
    assert 0.74 <= np.mean(found) <= 0.86 and 20 <= n <= 70
    assert answers_needed(0.6, 300, 6, BUDGET) > n and answers_needed(0.92, 300, 40, BUDGET) > n and answers_needed(0.92, 80, 6, BUDGET) > n


def test_class_by_class_is_the_confusion_matrix() -> None:
    rows = project(5)
    now, _ = answers(rows)
    mine = now[now["known"] & (now["annotator"] == "ann-3")]
    names = ["negative", "neutral", "positive"]
    matrix = confusion_matrix(mine["gold"].astype(str), mine["label"].astype(str), labels=names)
    found = gold_accuracy.gold_accuracy_by_class(now, "ann-3").set_index("class")
    for place, name in enumerate(names):
        wrong = [n for other, n in enumerate(matrix[place]) if other != place]
        assert (found.loc[name, "n"], found.loc[name, "right"]) == (matrix[place].sum(), matrix[place, place])
        assert found.loc[name, "instead_n"] == max(wrong)
    every = gold_accuracy.gold_accuracy_by_class(now, None)
    assert every["n"].sum() == now["known"].sum() and every["others_n"].sum() == 0


def test_only_the_first_answer_to_a_gold_item_counts() -> None:
    rows = project(5)
    late = rows[(rows["at"] >= START) & rows["gold"].notna()]
    better = late.assign(label=late["gold"], at=late["at"] + timedelta(minutes=1))
    once, twice = (only(said(each), "gold_accuracy") for each in (rows, pd.concat([rows, better], ignore_index=True)))
    assert (once.value, once.n) == (twice.value, twice.n)


def test_a_guideline_that_costs_accuracy_is_named_with_both_figures() -> None:
    rows = project(6, items_a_day=60, guideline_at=START - timedelta(days=3), guideline_costs=0.15)
    one = only(said(rows), "gold_accuracy", "project:moods/guideline:v2")
    first = rows.drop_duplicates(["item", "annotator"])
    first = first[first["gold"].notna()]
    shares = {name: (part["label"] == part["gold"]).mean() for name, part in first.groupby("guideline")}
    assert one.severity in ("watch", "act") and one.value == pytest.approx(shares["v2"])
    assert one.evidence["baseline"] == pytest.approx(shares["v1"]) and "Under guideline v2" in one.because
    same = said(project(6, items_a_day=60, guideline_at=START - timedelta(days=3)))
    assert not [each for each in same if "guideline" in each.subject]


def anchored_by_hand(rows: pd.DataFrame) -> tuple[int, float]:
    """Number of items seen both with a wrong suggestion and without any; and the difference of the shares within items, weighted over
    items, computed in a loop.
    """
    first = rows.sort_values("at", kind="stable").drop_duplicates(["item", "annotator"])
    top, bottom, items = 0.0, 0.0, 0
    for _, item in first[first["gold"].notna()].groupby("item"):
        seen = item[item["suggestion"].notna() & (item["suggestion"] != item["gold"])]
        free = item[item["suggestion"].isna()]
        if seen.empty or free.empty:
            continue
        ((lure, _),) = Counter(seen["suggestion"]).most_common(1)
        a, n, c, m = (seen["label"] == lure).sum(), len(seen), (free["label"] == lure).sum(), len(free)
        items, top, bottom = items + 1, top + (a * m - c * n) / (n + m), bottom + n * m / (n + m)
    return items, top / bottom


def test_anchoring_is_measured_within_items_and_matches_a_hand_computation() -> None:
    rows = project(8, items_a_day=80, anchored=0.6)
    one = only(said(rows), "suggestion_anchoring")
    items, value = anchored_by_hand(rows[rows["at"] >= START])
    if items < suggestions.ENOUGH:
        items, value = anchored_by_hand(rows)
    assert one.severity == "act" and one.n == items and one.value == pytest.approx(value)
    assert one.low < one.value < one.high and "because they see them" in one.because and "Hide suggestions" in one.because
    known = rows[(rows["at"] >= START) & rows["gold"].notna() & rows["suggestion"].notna()]
    assert one.evidence["harm"] == pytest.approx((known["gold"] != known["suggestion"]).mean() * value)


def test_wrong_suggestions_on_hard_items_are_no_anchoring() -> None:
    """People without a suggestion make the same mistakes on these items; only a comparison within items shows this."""
    found = said(project(8, items_a_day=80, right=0.8))
    now, _ = answers(project(8, items_a_day=80, right=0.8))
    free = now[~now["shown"] & now["known"]]
    taken, any_wrong = only(found, "wrong_suggestions_taken").value, 1 - free["right"].mean()
    assert only(found, "suggestion_anchoring").severity == "ok" and taken > any_wrong / 2 + 0.05, (
        "compared with all blind items, on which errors are divided between two wrong classes, the suggestions would be blamed"
    )


def test_anchoring_is_unknown_without_items_labelled_blind() -> None:
    one = only(said(project(8, shown=1.0)), "suggestion_anchoring")
    assert one.severity == "unknown" and one.value is None and "others without" in one.because


def test_people_who_begin_to_accept_whatever_is_suggested_are_named() -> None:
    found = said(project(9, anchored=0.7, anchored_since=START))
    one = only(found, "wrong_suggestions_taken")
    assert one.severity == "act" and one.against == "past" and "Hide suggestions" in one.because
    rows = project(9, anchored=0.7, anchored_since=START)
    now, past = answers(rows)
    wrong = now[now["wrong"]]
    assert one.n == len(wrong) and one.value == pytest.approx((wrong["label"] == wrong["suggestion"]).mean())
    assert one.evidence["baseline"] == pytest.approx(past[past["wrong"]]["taken"].mean())


def test_one_person_who_accepts_whatever_is_suggested_is_named() -> None:
    rows = project(10, items_a_day=150)
    mine = (rows["annotator"] == "ann-5") & (rows["at"] >= START) & rows["suggestion"].notna()
    rows.loc[mine, "label"] = rows.loc[mine, "suggestion"]
    one = only(said(rows), "wrong_suggestions_taken", "project:moods/annotator:ann-5")
    assert (
        one.severity == "act"
        and one.value == 1.0
        and one.n == int((mine & rows["gold"].notna() & (rows["gold"] != rows["suggestion"])).sum())
    )


def test_an_annotator_who_follows_suggestions_is_named_without_gold_items() -> None:
    """60 items a day without gold: in the window one person accepts the suggestions. The share and its test are computed by hand."""
    rows = project(21, items_a_day=60, gold=0.0)
    mine = (rows["annotator"] == "ann-5") & (rows["at"] >= START) & rows["suggestion"].notna()
    rows.loc[mine, "label"] = rows.loc[mine, "suggestion"]
    one = only(said(rows), "suggestion_acceptance", "project:moods/annotator:ann-5")
    assert (one.severity, one.value, one.n, one.against) == ("watch", 1.0, int(mine.sum()), "peers") and news_of(one) is None
    assert one.limit > 0.7 and "without a suggestion for a while" in one.because
    few = rows[(rows["annotator"] != "ann-5") | ~mine | (rows.groupby("annotator").cumcount(ascending=False) < 19)]
    assert not [each for each in said(few) if each.metric == "suggestion_acceptance" and "annotator" in each.subject]


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9, 0.97])
def test_the_outcome_of_an_acceptance_threshold_matches_a_hand_count(threshold: float) -> None:
    rows = project(12)
    now, _ = answers(rows)
    told = suggestions.acceptance_outcome(now, threshold)
    seen = now[now["suggestion"].notna()]
    items = seen.drop_duplicates(["item", "suggestion"])
    over = items[items["suggestion_confidence"] >= threshold]
    gold = over[over["gold"].notna()]
    wrong = int((gold["gold"] != gold["suggestion"]).sum())
    assert (told.suggestions, told.accepted) == (len(items), len(over)) and told.error.n == len(gold)
    assert told.error.value == pytest.approx(wrong / len(gold))
    low, high = proportion_confint(wrong, len(gold), method="wilson")
    assert told.error.low <= low + 1e-9 and told.error.high >= high - 1e-9
    spared = seen[seen["suggestion_confidence"] >= threshold]
    assert told.labels == len(spared) and told.seconds == pytest.approx(spared["seconds"].sum()) and told.time_basis == "measured"
    left = seen[(seen["suggestion_confidence"] < threshold) & seen["gold"].notna()]
    people, share = (left["label"] != left["gold"]).mean() if len(left) else 0.0, len(over) / len(items)
    assert told.overall.value == pytest.approx(share * wrong / len(gold) + (1 - share) * people)
    line = suggestions.acceptance_curve(now, most=10_000).set_index("confidence")
    nearest = min(each for each in line.index if each >= threshold)
    assert line.loc[nearest, "value"] == pytest.approx(1 - told.error.value) and line.loc[nearest, "coverage"] == pytest.approx(
        told.coverage
    )


def test_missing_labelling_times_are_estimated_from_logged_times() -> None:
    rows = project(12)
    some = rows["item"].str.endswith("1")
    now, _ = answers(rows.assign(seconds=rows["seconds"].where(~some)))
    told = suggestions.acceptance_outcome(now, 0.9)
    spared = now[now["suggestion_confidence"] >= 0.9]
    usual = now.loc[now["shown"], "seconds"].median()
    assert told.time_basis == "estimated" and told.timed == spared["seconds"].notna().sum()
    assert told.seconds == pytest.approx(spared["seconds"].sum() + usual * spared["seconds"].isna().sum())
    none, _ = answers(rows.assign(seconds=np.nan))
    assert suggestions.acceptance_outcome(none, 0.9).seconds is None
    assert suggestions.acceptance_outcome(none.assign(suggestion_confidence=np.nan), 0.9) is None


def test_labelling_time_quantiles_match_pandas_and_lie_in_their_interval() -> None:
    rows = project(13)
    now, _ = answers(rows)
    found = labelling_speed.labelling_speed_by_annotator(now).set_index("annotator")
    took = now.groupby("annotator")["seconds"]
    assert found["median"].to_dict() == pytest.approx(took.median().to_dict()) and found["p90"].to_dict() == pytest.approx(
        took.quantile(0.9).to_dict()
    )
    assert found["an_hour"].to_dict() == pytest.approx((3600 / took.mean()).to_dict())
    one = only(said(rows), "label_seconds")
    assert one.value == pytest.approx(now["seconds"].median()) and one.low <= one.value <= one.high
    rng, held = np.random.default_rng(2), 0
    for _ in range(2000):
        each = labelling_speed.median_label_seconds(rng.lognormal(3, 0.8, 41))
        held += each.low <= np.exp(3) <= each.high
    assert 0.94 <= held / 2000 <= 0.985 and labelling_speed.median_label_seconds(np.array([1.0, 2.0, 3.0])).low is None


def test_the_fatigue_slope_matches_a_regression_with_session_effects() -> None:
    rows = first_answers(project(14, tired=0.04))
    told = labelling_speed.fatigue_slope(rows)
    gold = labelling_speed.labelling_sessions(rows)
    gold = gold[gold["known"]].assign(y=lambda each: each["right"].astype(float))
    spread = gold.groupby("session")["hours"].transform(lambda each: each.max() - each.min())
    gold = gold[spread > 0]
    fitted = smf.ols("y ~ hours + C(session)", gold).fit()
    assert told.slope.value == pytest.approx(fitted.params["hours"]) and told.sessions == gold["session"].nunique()


@pytest.mark.long  # tests/simulation/test_labelling_replay.py plants fatigue
def test_fatigue_is_detected_where_it_exists_and_rarely_elsewhere() -> None:
    """In clean projects the false-alarm rate equals the stated one. Nearly all projects in which accuracy falls by 8 points an hour are
    named.
    """
    tested, runs = repeats(20, 60), repeats(4, 10)
    clean = [labelling_speed.fatigue_slope(first_answers(project(seed, items_a_day=30))).p_value for seed in range(200, 200 + tested)]
    assert np.mean(np.array(clean) <= 0.05) <= 0.12 and 0.3 <= np.mean(clean) <= 0.7
    tired = [only(said(project(seed, items_a_day=60, tired=0.08)), "fatigue_slope") for seed in range(300, 300 + runs)]
    assert sum(each.severity == "watch" for each in tired) >= runs - allowed(0.2, runs) and all(
        each.severity in ("watch", "ok") for each in tired
    )
    named = next(each for each in tired if each.severity == "watch")
    assert named.value < -0.02 and named.high < 0 and "falls during sessions" in named.because


def test_clean_projects_raise_no_critical_finding_and_few_warnings() -> None:
    runs = repeats(3, 300)
    raised = [each for seed in range(runs) for each in alarms(said(project(4000 + seed, gold=0.4 if seed % 2 else 0.1)))]
    assert not [each for each in raised if each[0] == "act"] and len(raised) <= max(2, allowed(0.03, runs)), raised


def test_labelling_metrics_without_a_comparison_are_unknown_with_the_reason() -> None:
    rows = project(8, shown=1.0)
    found = {each.metric: each for each in said(rows[rows["at"] >= START]) if each.subject == "project:moods"}
    assert {found[name].severity for name in ("gold_accuracy", "wrong_suggestions_taken", "suggestion_acceptance", "label_seconds")} == {
        "unknown"
    }
    assert all(
        found[name].value is not None and "too few to compare with" in found[name].because
        for name in ("gold_accuracy", "wrong_suggestions_taken")
    )
    assert "Not judged by itself" in found["suggestion_acceptance"].because and "not judged" in found["label_seconds"].because


def test_a_project_without_gold_suggestions_or_times_gives_only_agreement_findings() -> None:
    rows = project(3).assign(gold=None, suggestion=None, suggestion_confidence=np.nan, seconds=np.nan)
    assert {each.metric for each in said(rows)} == {"label_agreement", "annotator_agreement"} and said(rows.iloc[:0]) == []
    assert said(rows, {"model_projects": frozenset({"moods"})}) == [], "agreement in a project that has a model is reported by data/labels"


def test_agreement_is_reported_without_a_model_and_a_random_annotator_is_named() -> None:
    rows = project(3).assign(gold=None, suggestion=None, suggestion_confidence=np.nan, seconds=np.nan)
    alpha = only(said(rows), "label_agreement")
    now = rows[rows["at"] >= START].groupby("item")["label"].apply(list).tolist()
    assert alpha.value == pytest.approx(krippendorff_alpha(now).value) and alpha.model is None and alpha.severity in ("ok", "watch")
    guess = (rows["annotator"] == "ann-4") & (rows["at"] >= START)
    rows.loc[guess, "label"] = np.random.default_rng(1).choice(["negative", "neutral", "positive"], int(guess.sum()))
    one = only(said(rows), "annotator_agreement", "project:moods/annotator:ann-4")
    assert one.severity == "act" and one.value < 0.5
    few = rows[rows["at"] >= START - timedelta(days=1)].groupby("item").head(2).head(24)
    assert not [each for each in said(few) if each.severity in ("act", "watch")]


def test_projects_are_judged_separately() -> None:
    rows = pd.concat([project(3, weak="ann-2", weak_by=0.4), project(4, name="gestures", items_a_day=20)], ignore_index=True)
    found = said(rows)
    assert {each.subject.partition("/")[0] for each in found} == {"project:moods", "project:gestures"}
    assert alarms(found) and {each[2] for each in alarms(found)} <= {"project:moods", "project:moods/annotator:ann-2"}


def given(rows: pd.DataFrame) -> pd.DataFrame:
    """An assignment for each label, and ten more assignments that nobody took up."""
    rng = np.random.default_rng(1)
    found = rows[["project", "item", "annotator", "at"]].assign(at=rows["at"] - timedelta(hours=1))
    found["policy"] = np.where(rng.random(len(found)) < 0.3, "random", "uncertain first")
    found["reason"] = np.where(found["policy"] == "random", "audit", "the model is unsure")
    more = found.head(10).assign(item=[f"waits-{place}" for place in range(10)])
    return pd.concat([found, more], ignore_index=True).assign(score=rng.random(len(found) + 10).round(3))


def test_workload_reasons_and_policies_match_hand_counts() -> None:
    rows = project(15)
    rows = rows[rows["at"] >= START]
    assigned, (now, _) = given(rows), answers(rows)
    work = assignments.workload(assigned, now).set_index("annotator")
    assert work["given"].to_dict() == Counter(assigned["annotator"]) and work["given"].sum() - work["labelled"].sum() == 10
    assert work["share"].sum() == pytest.approx(1) and 0 <= assignments.workload_gini(work) < 0.2
    found = assignments.policy_outcomes(assigned, now).set_index(["policy", "against"])
    done = assigned.merge(rows[["item", "annotator", "label", "gold", "suggestion"]], on=["item", "annotator"])
    by_item = rows.groupby("item")
    for policy, part in done.groupby("policy"):
        gold = part[part["gold"].notna()]
        assert (found.loc[(policy, "gold"), "n"], found.loc[(policy, "gold"), "differs"]) == (
            len(gold),
            int((gold["gold"] != gold["label"]).sum()),
        )
        seen = part[part["suggestion"].notna()]
        assert found.loc[(policy, "suggestion"), "differs"] == int((seen["suggestion"] != seen["label"]).sum())
        n = differs = 0
        for each in part.itertuples():
            others = by_item.get_group(each.item)
            votes = Counter(others.loc[others["annotator"] != each.annotator, "label"]).most_common()
            if votes and (len(votes) == 1 or votes[0][1] > votes[1][1]):
                n, differs = n + 1, differs + (votes[0][0] != each.label)
        assert (found.loc[(policy, "others"), "n"], found.loc[(policy, "others"), "differs"]) == (n, differs)
        assert found.loc[(policy, "gold"), "given"] == (assigned["policy"] == policy).sum()
    reasons = assignments.assignment_reasons(assigned)
    assert dict(zip(reasons["reason"], reasons["n"], strict=True)) == Counter(assigned["reason"]) and reasons["n"].is_monotonic_decreasing
