"""training/selection: a challenger that is better on the same requests is named, a worse or equal one is not; pairs are rows of one id."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.training.selection import analyze, needs
from observability.compare.comparison_types import ComparisonSide, WindowComparison
from observability.compare.difference import with_verdicts
from observability.compare.paired_rows import paired_differences
from observability.compare.selection import recommendation
from observability.core.analyzer import Context
from observability.core.catalog import Column, Model, Version
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.core.window import Slice, Window
from observability.metrics.challengers import row_losses
from observability.monitoring.check_windows import question_window
from tests.support.length import allowed, repeats

NOW = datetime(2026, 6, 1, tzinfo=UTC)
VERSIONS = (Version("1", NOW), Version("2", NOW))
DRAWS, EQUAL, REGIONAL = repeats(10, 50), repeats(20, 300), repeats(8, 300)
MODEL = Model(1, "loan", "binary", ("no", "yes"), versions=VERSIONS)


def context(model: Model = MODEL, slice_: Slice | None = None) -> Context:
    return Context(model, VERSIONS[0], Window("loan", NOW - timedelta(days=7), NOW, "1", slice_), NOW)


def answered(avoided: float, rows: int = 2000, seed: int = 1, wrong: float = 0.25) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Answers of a champion, and of a challenger that avoids a share of the champion's errors and makes a tenth as many new ones."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    errs = rng.random(rows) < wrong
    other = np.where(errs, rng.random(rows) >= avoided + 0.1, rng.random(rows) < 0.1 * wrong / (1 - wrong))
    frames = []
    for missed in (errs, other):
        decision = np.where(missed, 1 - label, label)
        table = {"id": [f"r{k}" for k in range(rows)], "score": decision * 1.0, "decision": decision, "label": label}
        frames.append(pd.DataFrame(table).assign(label_value=label * 1.0))
    return frames[0], frames[1].assign(version="2")


def judged(frames: tuple[pd.DataFrame, pd.DataFrame], model: Model = MODEL) -> list[Finding]:
    return analyze({"champion": frames[0], "others": frames[1]}, context(model))


def test_a_better_challenger_is_named_with_the_share_of_errors_that_it_avoids() -> None:
    champion, other = answered(0.3)
    (found,) = judged((champion, other))
    errors = [int((frame["decision"] != frame["label"]).sum()) for frame in (champion, other)]
    assert found.value == pytest.approx(1 - errors[1] / errors[0]) and found.low is not None and found.low > 0.05
    assert (found.severity, found.subject, found.n, found.likely_source) == ("watch", "challenger=2", 2000, "model")
    assert found.because.startswith("Version 2 in shadow avoids") and "2,000 requests that both answered" in found.because


@pytest.mark.long  # test_a_challenger_that_is_worse_in_one_slice_is_named_…, tests/simulation/test_selection_replay.py
def test_a_better_challenger_is_found_in_nine_of_ten_draws_and_an_equal_one_rarely() -> None:
    planted = [judged(answered(0.2, seed=seed))[0].severity for seed in range(DRAWS)]
    equal = [judged(answered(0.0, seed=seed))[0].severity for seed in range(EQUAL)]
    assert planted.count("watch") >= 0.9 * DRAWS
    assert equal.count("act") == 0 and equal.count("watch") <= allowed(0.02, EQUAL)


def in_regions(worse: float, seed: int = 3, rows: int = 3000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Answers of two versions with equal errors, except that the challenger is also wrong on a further share of the rows of the south."""
    rng = np.random.default_rng([seed, 7])
    champion, other = answered(0.0, rows, seed)
    region = rng.choice(["north", "south", "east"], rows)
    hit = (region == "south") & (rng.random(rows) < worse)
    return champion.assign(**{"feature.region": region}), other.assign(decision=np.where(hit, 1 - other["label"], other["decision"]))


def test_a_challenger_that_is_worse_in_one_slice_is_named_with_the_slice_and_its_interval() -> None:
    regional = replace(MODEL, columns=(Column(1, "region", "f1", "category"),))
    assert "feature.region" in needs(context(regional))["champion"].aggregate.columns
    champion, other = in_regions(0.2)
    found = judged((champion, other), regional)[1]
    south = (champion["feature.region"] == "south").to_numpy()
    rates = [float((frame["decision"] != frame["label"]).to_numpy()[south].mean()) for frame in (other, champion)]
    assert found.value == pytest.approx(rates[0] - rates[1]) and found.low > 0 and found.n == south.sum()
    assert (found.severity, found.subject, found.slice, found.against) == ("watch", "challenger=2", "region=south", "peers")
    assert "worse where region = south" in found.because and "3 slices were tested" in found.because
    named = [judged(in_regions(0.2, seed), regional)[1].slice for seed in range(10)]
    assert named.count("region=south") >= 9
    owners = replace(regional, settings=ModelSettings(limits={"training/selection/challenger_slice_loss": 2.0}))
    assert judged((champion, other), owners)[1].severity == "ok", "the owner's limit accepts a larger loss"


def test_equal_challengers_are_rarely_reported_worse_in_a_region() -> None:
    regional = replace(MODEL, columns=(Column(1, "region", "f1", "category"),))
    equal = [judged(in_regions(0.0, seed), regional)[1].severity for seed in range(REGIONAL)]
    assert "act" not in equal and equal.count("watch") <= allowed(0.03, REGIONAL), equal.count("watch")


def test_a_worse_challenger_is_ok_and_states_the_added_errors() -> None:
    (found,) = judged(answered(-0.4))
    assert found.severity == "ok" and "adds" in found.because and found.value is not None and found.value < 0


def test_the_finding_and_the_selection_page_recommend_the_same_challenger() -> None:
    champion, other = answered(0.3)
    side = ComparisonSide(context().window, (), 2000, 2000)
    differences = paired_differences(MODEL, other, champion, champion["label"].to_numpy(float))
    told = recommendation(MODEL, WindowComparison(side, side, tuple(with_verdicts(differences))))
    assert told.choice == "promote" and judged((champion, other))[0].severity == "watch"


def test_rows_are_paired_by_id_and_few_labelled_pairs_are_unknown() -> None:
    champion, other = answered(0.3)
    other["id"] = [f"x{k}" if k >= 150 else name for k, name in enumerate(other["id"])]
    (found,) = judged((champion, other.iloc[::-1]))
    assert (found.severity, found.n, found.value) == ("unknown", 150, None) and "150 of 200" in found.because
    champion, other = answered(0.3)
    for none in (other.assign(version="1"), other.iloc[:0]):
        (found,) = judged((champion, none))
        assert (found.severity, found.subject) == ("unknown", "model") and "compared with none" in found.because
    assert analyze({}, context()) == []


def test_errors_are_weighted_by_owner_costs_and_regression_errors_by_distance() -> None:
    rows = pd.DataFrame(
        {"decision": [1, 0, 1, 1], "label": [0, 1, 1, -1], "score": [2.0, 5.0, 1.0, 1.0], "label_value": [1.0, 9.0, 1.0, np.nan]}
    )
    paid = replace(MODEL, settings=ModelSettings(cost_false_positive=7.0, cost_false_negative=13.0))
    assert row_losses(paid, rows)[:3].tolist() == [7.0, 13.0, 0.0] and np.isnan(row_losses(paid, rows)[3])
    assert row_losses(replace(MODEL, task="regression"), rows)[:3].tolist() == [1.0, 4.0, 0.0]


def test_shadow_versions_are_requested_only_if_the_model_has_another_version() -> None:
    asked = needs(context())
    window = question_window(asked["others"], context())
    assert (window.environment, window.version) == ("shadow", None)
    assert question_window(asked["champion"], context()) == context().window
    assert needs(context(replace(MODEL, versions=VERSIONS[:1]))) == {} and needs(context(slice_=Slice((("a", "b"),)))) == {}
