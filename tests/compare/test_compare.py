"""compare: figures, differences and pairs of both sides equal those that scikit-learn, statsmodels and scipy compute from the raw rows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep

from observability.compare import outcomes, sentences
from observability.compare.comparison import compare_windows
from observability.compare.comparison_types import WindowComparison
from observability.compare.difference import NO_INTERVAL, Difference, with_verdicts
from observability.compare.service_figures import energy_differences, per_thousand_difference
from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.core.window import Slice, Window
from observability.metrics.energy import ServingEnergy
from observability.stats.interval import Interval
from observability.stats.scores import SCORE_EDGES
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = timedelta(days=7)
N = 2000


@dataclass(frozen=True)
class World:
    """The store, its model, the windows of two weeks and of the shadow, and the raw rows (week 0 or 1; `score2` is the score in shadow, in
    week 1).
    """

    store: Database
    rows: pd.DataFrame

    @property
    def model(self) -> Model:
        return self.store.catalog().model("loan")

    def week(self, number: int, **parts) -> Window:
        """The window of version 1 in a week."""
        return Window("loan", START + number * WEEK, START + (number + 1) * WEEK, **{"version": "1", **parts})

    def compare(self, a: Window, b: Window) -> WindowComparison:
        return compare_windows(self.store.ask, self.model, a, b)


FEATURES = ("income", "age", "sex", "fold", "region")


def rows_of(random: np.random.Generator, n: int, shift: float) -> pd.DataFrame:
    """Features, two scores (the second model knows more) and labels."""
    income = random.normal(50 + shift, 10, n)
    frame = pd.DataFrame(
        {
            "income": np.round(income, 3), "age": random.integers(18, 80, n).astype(float), "sex": random.choice(["F", "M"], n),
            "fold": random.choice(list("abcdefgh"), n), "region": random.choice(["north", "south", "east"], n, p=[0.5, 0.3, 0.2]),
        }
    )  # fmt: skip
    truth = (income - 50) / 10 + 0.5 * (frame["age"] - 49) / 18
    chance = 1 / (1 + np.exp(-2 * truth))
    frame["label"] = (random.random(n) < chance).astype(int)
    frame["score"] = np.round(1 / (1 + np.exp(-((income - 50) / 10 + random.normal(0, 0.7, n)))), 6)
    frame["score2"] = np.round(1 / (1 + np.exp(-2 * truth + random.normal(0, 0.3, n))), 6)
    return frame


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two weeks of version 1, the second shifted, slower and more expensive. In the second week, version 2 answers the same requests in
    shadow.
    """
    random, folder = np.random.default_rng(3), tmp_path_factory.mktemp("compare")
    store = new_store(folder / "home")
    for version, score in (("1", "score"), ("2", "score2")):
        reference = rows_of(random, 1500, 0.0).assign(**({"score": lambda frame: frame["score2"]} if score == "score2" else {}))
        path = folder / f"{version}.parquet"
        reference.drop(columns="score2").to_parquet(path)
        store.register(
            RegistrationRequest(
                model="loan",
                version=version,
                task="binary",
                reference=path,
                label="label",
                score=("score",),
                features=FEATURES,
                sensitive=("sex",),
            ),
        )
    rows = pd.concat([rows_of(random, N, 0.0).assign(week=0), rows_of(random, N, 6.0).assign(week=1)], ignore_index=True)
    rows["latency"] = np.round(random.lognormal(3, 0.5, 2 * N) * np.where(rows["week"] == 1, 1.5, 1.0), 4)
    rows["cost"] = np.round(random.gamma(4, 0.001, 2 * N) * np.where(rows["week"] == 1, 1.3, 1.0), 8)
    rows["status"] = np.where(random.random(2 * N) < np.where(rows["week"] == 1, 0.05, 0.01), "fallback", "ok")
    rows["at"] = [START + WEEK * 2 * i / (2 * N) for i in range(2 * N)]
    records = []
    for i, each in enumerate(rows.to_dict("records")):
        features = {name: each[name] for name in FEATURES}
        at = each["at"].isoformat()
        common = {"kind": "prediction", "at": at, "model": "loan", "features": features, "received_at": at}
        records.append(
            {**common, "id": f"p{i}", "version": "1", "score": each["score"], "label": each["label"], "latency_ms": each["latency"],
             "cost": each["cost"], "status": each["status"]}
        )  # fmt: skip
        if each["week"] == 1:
            own = f"p{i}" if i % 2 else f"shadow-{i}"  # half of the answers have the request's id, the others their own
            records.append({**common, "id": own, "version": "2", "score": each["score2"], "environment": "shadow"})
    log = folder / "log.jsonl"
    log.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    report = store.load_files([log], LoadDefaults())
    assert report.rejected == 0, report.reasons
    yield World(store, rows)
    store.close()


@pytest.fixture(scope="module")
def weeks(world: World) -> WindowComparison:
    """The comparison of the second week with the first."""
    return world.compare(world.week(1), world.week(0))


def one(found: WindowComparison, section: str, metric: str, subject: str = "model") -> Difference:
    """One difference."""
    return next(each for each in found.of(section) if (each.metric, each.subject) == (metric, subject))


def sides(world: World) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The raw rows of sides A and B."""
    return world.rows[world.rows["week"] == 1], world.rows[world.rows["week"] == 0]


def test_metrics_of_both_sides_match_scikit_learn(world: World, weeks: WindowComparison) -> None:
    a, b = sides(world)
    for metric, figure in (
        ("accuracy", lambda rows: metrics.accuracy_score(rows["label"], rows["score"] >= 0.5)),
        ("precision", lambda rows: metrics.precision_score(rows["label"], rows["score"] >= 0.5)),
        ("f1", lambda rows: metrics.f1_score(rows["label"], rows["score"] >= 0.5)),
        ("log_loss", lambda rows: metrics.log_loss(rows["label"], rows["score"])),
        ("brier", lambda rows: metrics.brier_score_loss(rows["label"], rows["score"])),
    ):
        found = one(weeks, "performance", metric)
        assert (found.a.value, found.b.value) == pytest.approx((figure(a), figure(b)), rel=1e-9), metric
        assert found.change.value == pytest.approx(figure(a) - figure(b), abs=1e-12)
    auc = one(weeks, "performance", "roc_auc")
    assert auc.a.value == pytest.approx(metrics.roc_auc_score(a["label"], a["score"]), abs=1e-3)


def test_the_calibration_error_of_both_sides_is_that_of_the_rows_by_hand(world: World, weeks: WindowComparison) -> None:
    found = one(weeks, "performance", "ece")
    for side, rows in zip((found.a, found.b), sides(world), strict=True):
        place = np.searchsorted(SCORE_EDGES, rows["score"].to_numpy(), side="right")
        counts = pd.DataFrame({"place": place, "label": rows["label"].to_numpy(), "score": rows["score"].to_numpy()})
        by_bin = counts.groupby("place")["label"].agg(["sum", "count"])
        middle = by_bin["count"].cumsum() - by_bin["count"] / 2
        group = np.minimum((middle / len(rows) * 10).astype(int), 9)
        parts = counts.groupby(counts["place"].map(group))
        by_hand = sum(len(part) / len(rows) * abs(part["label"].mean() - part["score"].mean()) for _, part in parts)
        assert side.value == pytest.approx(by_hand, abs=0.003) and side.n == len(rows)
    assert found.a.value is not None and found.b.value is not None
    assert found.change.value == pytest.approx(found.a.value - found.b.value) and found.least == 0.02


def test_a_watched_slice_is_compared_on_its_own(world: World) -> None:
    name = "region=north&age=30.0 to below 50.0"
    text = str(Slice.parse(name))
    model = replace(world.model, settings=replace(world.model.settings, slices=(text, "colour=red")))
    found = compare_windows(world.store.ask, model, world.week(1), world.week(0))
    held = one(found, "performance", "accuracy", text)
    for side, rows in zip((held.a, held.b), sides(world), strict=True):
        part = rows[(rows["region"] == "north") & (rows["age"] >= 30) & (rows["age"] < 50)]
        assert side.value == pytest.approx(((part["score"] >= 0.5) == part["label"]).mean())
    gone = one(found, "performance", "accuracy", "colour=red")
    assert gone.verdict == "unknown" and "colour" in gone.why, "a slice of an unknown column fails only its own comparison"
    assert "accuracy where age = 30.0 to below 50.0 and region = north" in sentences.difference_label(held).lower()


def test_the_interval_of_a_rate_difference_matches_newcombe(world: World, weeks: WindowComparison) -> None:
    a, b = ((rows["score"] >= 0.5).to_numpy() for rows in sides(world))
    low, high = confint_proportions_2indep(a.sum(), a.size, b.sum(), b.size, method="newcomb")
    found = one(weeks, "decisions", "selection_rate")
    assert (found.change.low, found.change.high) == pytest.approx((low, high), abs=1e-9)
    assert found.verdict == "differs" and (found.a.n, found.b.n) == (N, N)


def test_drift_distances_match_the_raw_values(world: World, weeks: WindowComparison) -> None:
    a, b = sides(world)
    found = one(weeks, "inputs", "psi", "income")
    assert found.verdict == "differs" and found.evidence["basis"] == "counts"
    assert found.evidence["kolmogorov_smirnov"] == pytest.approx(stats.ks_2samp(a["income"], b["income"]).statistic, abs=0.01)
    region = one(weeks, "inputs", "psi", "region")
    p, q = (rows["region"].value_counts(normalize=True).sort_index() for rows in (b, a))
    assert region.change.value == pytest.approx(float(((q - p) * np.log(q / p)).sum()), rel=1e-9)
    assert region.evidence["l_infinity"] == pytest.approx(float((q - p).abs().max())) and region.verdict != "differs"
    null = stats.chi2.ppf(0.95, 2) * (2 / N)
    assert region.evidence["null_95"] == pytest.approx(null)


def test_latency_failures_and_cost_match_the_raw_rows(world: World, weeks: WindowComparison) -> None:
    a, b = sides(world)
    for metric, q in (("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99)):
        found = one(weeks, "latency", metric)
        assert found.a.value == pytest.approx(a["latency"].quantile(q), rel=0.03)
        assert found.b.value == pytest.approx(b["latency"].quantile(q), rel=0.03)
    assert one(weeks, "latency", "latency_p50").verdict == "differs"
    failed = one(weeks, "latency", "error_rate")
    assert (failed.a.value, failed.b.value) == pytest.approx(((a["status"] != "ok").mean(), (b["status"] != "ok").mean()))
    cost = one(weeks, "cost", "cost_per_thousand")
    assert (cost.a.value, cost.b.value) == pytest.approx((1000 * a["cost"].mean(), 1000 * b["cost"].mean()))
    assert cost.verdict == "differs"
    energy = one(weeks, "cost", "energy_per_thousand")
    assert sentences.basis_words(energy) == "estimated from latency × an assumed power"
    assert energy.evidence["source"] == "assumed" and energy.a.value == pytest.approx(1000 * a["latency"].mean() / 3.6e6 * 4.0)


def test_the_source_of_a_compared_energy_is_the_worse_of_both_sides() -> None:
    """Side A has measured energy, side B assumed energy."""
    hours = np.array([START.replace(tzinfo=None) + timedelta(hours=hour) for hour in range(96)], "datetime64[us]")
    figures = {name: np.random.default_rng(1).uniform(1, 2, hours.size) for name in ("served", "wh", "grams", "embodied")}
    sides = [ServingEnergy("predictions", source, {"period": hours, **figures}, 96, 96.0, 1.0) for source in ("measured", "assumed")]
    for pair in (sides, sides[::-1]):
        (found,) = energy_differences((pair[0], pair[1]))
        assert found.evidence["source"] == "assumed" and sentences.basis_words(found) == "assumed, not measured"
    (found,) = energy_differences((sides[0], sides[0]))
    assert sentences.basis_words(found) is None


def test_each_class_of_several_is_compared_by_recall_and_precision() -> None:
    from sklearn.metrics import precision_score, recall_score

    rng, model = np.random.default_rng(9), Model(1, "m", "multiclass", ("a", "b", "c"))
    sides, frames = [], []
    for found in (0.9, 0.5):
        label = rng.integers(0, 3, 3000)
        decision = np.where((label == 1) & (rng.random(3000) > found), 2, label)
        rows = pd.DataFrame({"label": label, "decision": decision})
        counts = rows.groupby(["label", "decision"]).size().rename("n").reset_index()
        frames.append(counts.assign(w=counts["n"].astype(float), w2=counts["n"].astype(float)))
        sides.append(rows)
    found = {(each.subject, each.metric): each for each in with_verdicts(outcomes.class_rate_differences(model, frames[0], frames[1]))}
    for place, name in enumerate(model.classes):
        for metric, score in (("recall", recall_score), ("precision", precision_score)):
            each = found[f"class={name}", metric]
            values = [score(rows["label"], rows["decision"], labels=[place], average=None)[0] for rows in sides]
            assert [each.a.value, each.b.value] == pytest.approx(values) and each.section == "decisions"
    assert found["class=b", "recall"].verdict == "differs" and found["class=c", "precision"].verdict == "differs"
    assert found["class=a", "recall"].verdict == "alike" and sentences.difference_label(found["class=b", "recall"]) == "recall of `class=b`"


def test_one_price_on_both_sides_is_alike_despite_rounded_sums() -> None:
    random = np.random.default_rng(7)
    sides = []
    for _ in range(2):
        served = random.integers(20, 400, 7).astype(float)
        sides.append(pd.DataFrame({"served": served, "amount": [sum([0.0002] * int(n)) for n in served]}))
    assert sides[0]["amount"].sum() / sides[0]["served"].sum() != sides[1]["amount"].sum() / sides[1]["served"].sum()
    (found,) = with_verdicts([per_thousand_difference("cost_per_thousand", "USD", (sides[0], sides[1]), "amount", "measured")])
    assert (found.verdict, found.change.value, found.change.high) == ("alike", 0.0, 0.0) and found.a.value == pytest.approx(0.2)


def test_the_sentence_counts_the_differences_and_says_the_comparison_is_not_paired(weeks: WindowComparison) -> None:
    differs = [each for each in weeks.differences if each.verdict == "differs"]
    assert f"A and B differ significantly in {len(differs)} of {len(weeks.differences)} comparisons" in weeks.sentence
    assert f"{N:,} predictions on side A" in weeks.sentence
    assert weeks.pairs is None and any("Not paired" in each for each in weeks.notes)
    assert len(weeks.of("fairness")) == 4


def test_sides_that_change_places_change_the_signs(world: World, weeks: WindowComparison) -> None:
    back = world.compare(world.week(0), world.week(1))
    for each, other in zip(weeks.differences, back.differences, strict=True):
        assert (each.metric, each.subject) == (other.metric, other.subject)
        if each.change.value is not None and not each.distance:
            assert each.change.value == pytest.approx(-other.change.value)
            assert (each.a.value, each.b.value) == (other.b.value, other.a.value)


def test_a_side_against_itself_never_differs(world: World) -> None:
    found = world.compare(world.week(1), world.week(1))
    assert {each.verdict for each in found.differences} <= {"alike", "unknown"}
    assert all(abs(each.change.value or 0.0) < 1e-12 for each in found.differences)
    assert "No significant difference" in found.sentence and any("both sides" in each for each in found.notes)


def test_random_splits_rarely_differ(world: World) -> None:
    raised = 0
    for first, second in zip("abcdefg", "bcdefgh", strict=True):
        found = world.compare(*(world.week(1, slice=Slice((("fold", each),))) for each in (first, second)))
        others = [each for each in found.differences if each.subject != "fold"]
        raised += any(each.verdict == "differs" for each in others)
    assert raised <= 1


def test_the_shadow_is_compared_on_the_same_rows(world: World) -> None:
    a, _ = sides(world)
    found = world.compare(world.week(1), world.week(1, version="2", environment="shadow"))
    assert found.pairs is not None and (found.pairs.n, found.pairs.labelled, found.pairs.contradicting) == (N, N, 0)
    one_, two = (a["score"] >= 0.5).to_numpy(), (a["score2"] >= 0.5).to_numpy()
    label = a["label"].to_numpy() == 1
    assert found.pairs.flips is not None and found.pairs.flips.value == pytest.approx((one_ != two).mean())
    right_one, right_two = one_ == label, two == label
    table = pd.crosstab(right_one, right_two).to_numpy()
    assert (found.pairs.only_a, found.pairs.only_b) == (table[1, 0], table[0, 1])
    accuracy = one(found, "pairs", "accuracy")
    assert accuracy.p_value == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert accuracy.change.value == pytest.approx(right_one.mean() - right_two.mean()) and accuracy.verdict == "differs"
    auc = one(found, "pairs", "roc_auc")
    assert (auc.a.value, auc.b.value) == pytest.approx([metrics.roc_auc_score(label, a[name]) for name in ("score", "score2")])
    loss = one(found, "pairs", "log_loss")
    assert loss.b.value == pytest.approx(metrics.log_loss(label, a["score2"]), rel=1e-9)
    test = stats.ttest_rel(*(-np.log(np.where(label, a[name], 1 - a[name])) for name in ("score", "score2")))
    assert loss.p_value == pytest.approx(test.pvalue, rel=1e-6)
    assert "accuracy on the same rows" in found.sentence and not any("Not paired" in each for each in found.notes)


def test_versions_with_different_bin_edges_are_compared_on_a_sample_and_say_so(world: World) -> None:
    found = world.compare(world.week(0), world.week(1, version="2", environment="shadow"))
    a, b = sides(world)
    income = one(found, "inputs", "psi", "income")
    assert income.evidence["basis"] == "sample" and (income.a.n, income.b.n) == (N, N)
    assert income.evidence["kolmogorov_smirnov"] == pytest.approx(stats.ks_2samp(a["income"], b["income"]).statistic, abs=0.01)
    assert one(found, "score", "psi", "score").evidence["basis"] == "counts"
    assert any("other edges" in each for each in found.notes)


def test_young_labels_stop_the_judgement_of_errors(world: World) -> None:
    early = world.week(1, version="2", environment="shadow")
    none = world.compare(world.week(1), early)
    assert {each.verdict for each in none.of("performance")} == {"unknown"}
    found = replace(world.compare(world.week(1), world.week(0)))
    assert all(each.why is None or "young" not in each.why for each in found.of("performance"))
    from observability.compare.outcomes import label_maturity_note

    assert label_maturity_note((1000, 300), (1000, 900)) == "labels of side A are still missing: 30 % have arrived, 90 % on side B"
    assert label_maturity_note((1000, 880), (1000, 900)) is None and label_maturity_note((1000, 0), (1000, 900)) is None


def test_few_rows_are_unknown_and_state_how_many_more_are_needed(world: World) -> None:
    a = Window("loan", START, START + timedelta(hours=2), version="1")
    found = world.compare(a, replace(a, start=a.end, end=a.end + timedelta(hours=2)))
    assert {each.verdict for each in found.differences} == {"unknown"} and "too few rows to compare" in found.sentence
    accuracy = one(found, "performance", "accuracy")
    assert accuracy.more == 100 - min(accuracy.a.n, accuracy.b.n) and "at least 100 are needed" in (accuracy.why or "")
    empty = world.compare(a, replace(a, start=START - WEEK, end=START))
    assert empty.differences == () and "Side B has no predictions" in empty.sentence


def test_a_slice_on_an_unknown_column_is_refused(world: World) -> None:
    with pytest.raises(NotFoundError, match="not in loan"):
        world.compare(world.week(1), world.week(1, slice=Slice((("incme", "3"),))))


def difference(value: float, reach: float, p_value: float) -> Difference:
    """A change of a share with a minimum effect of 0.02."""
    return Difference(
        "decisions", "model", "x", "share", NO_INTERVAL, NO_INTERVAL, Interval(value, value - reach, value + reach, 400), 0.02, p_value
    )


def test_comparison_verdicts_match_hand_computed_examples() -> None:
    given = [difference(0.05, 0.01, 1e-6), difference(0.01, 0.004, 1e-5), difference(0.001, 0.01, 0.8), difference(0.01, 0.04, 0.6)]
    found = with_verdicts(given)
    assert [each.verdict for each in found] == ["differs", "slight", "alike", "unknown"]
    assert found[3].more == 400 * ((0.04 / 0.01) ** 2 - 1)
    assert [each.adjusted for each in found] == pytest.approx([4e-6, 2e-5, 0.8, 0.8])
    many = with_verdicts([difference(0.05, 0.03, 0.03)] + [difference(0.0, 0.03, 0.9)] * 9)
    assert many[0].verdict == "unknown", "by chance, one in ten has a p-value of 0.03"
    blocked = with_verdicts([replace(difference(0.05, 0.01, 1e-6), why="young"), difference(0.05, 0.01, 0.04)])
    assert [each.verdict for each in blocked] == ["unknown", "differs"]
