"""serving/slices: a fault is reported with its slice, replica or device; nothing is raised if no slice or every slice changed."""

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import percentileofscore
from sklearn.metrics import mean_absolute_error

from observability.analyzers.serving.slices import ANALYZER
from observability.core.catalog import Column
from observability.core.finding import news_of
from observability.core.settings import ModelSettings, parse_settings
from observability.core.standing_since import StandingSince, standing_since
from observability.core.window import Slice
from observability.detection import slice_sentences, slice_versions
from observability.metrics.slice_columns import SampledRows
from observability.metrics.slice_rows import TargetSpec
from observability.stats.slices import ChangedSlice, SliceSide
from tests.support import analyzer_worlds
from tests.support.analyzer_worlds import START, context_for
from tests.support.length import allowed, repeats
from tests.support.slice_rows import FEATURES, frame_of, rows

SETTINGS = ModelSettings()


def said(
    current: pd.DataFrame,
    reference: pd.DataFrame | None,
    past: pd.DataFrame | None = None,
    *,
    task: str = "regression",
    part: str | None = None,
    **options,
):
    """Findings by (subject, metric, slice)."""
    context = context_for(reference, task=task, features=FEATURES, **options)
    kinds = {"region": "category", "plan": "category"}
    columns = (
        *(replace(each, kind=kinds.get(each.name, "number")) for each in context.model.columns),
        Column(9, "sex", "f9", "category", "group", sensitive=True),
    )
    context = replace(context, model=replace(context.model, columns=columns), window=replace(context.window, slice=Slice.parse(part)))
    past = current.iloc[:0] if past is None else past
    current = current.assign(version="1")
    of = {"current": current, "reference": reference, "past": past}
    frames = {
        name: frame_of(of[ask.span], ask.aggregate.columns)
        if hasattr(ask.aggregate, "columns")
        else analyzer_worlds.answer(ask.aggregate, of[ask.span], context)
        for name, ask in ANALYZER.needs(context).items()
        if name != "versions"
    }
    return {(each.subject, each.metric, each.slice): each for each in ANALYZER.analyze(frames, context)}


def alarms(found) -> dict:
    return {key: each for key, each in found.items() if each.severity in ("act", "watch")}


def clean(**options):
    return rows(6000, 1, **options), rows(6000, 2), rows(6000, 3)


def test_no_slice_is_named_if_nothing_changed() -> None:
    found = said(*clean())
    assert alarms(found) == {}
    summary = found["model", "slices_named", None]
    assert summary.severity == "ok" and summary.value == 0 and "No slice changed significantly" in summary.because
    assert "sample of 6,000 predictions and 6,000 reference rows" in summary.because
    assert summary.evidence["ranked"]["mae"] and summary.evidence["looks"][1] > summary.evidence["looks"][0] > 50


def test_clean_weeks_name_no_slice_as_critical() -> None:
    reference, past, weeks = rows(6000, 2), rows(6000, 3), repeats(2, 300)
    raised = [each for seed in range(weeks) for each in alarms(said(rows(3000, 6000 + seed), reference, past)).values()]
    assert [each.because for each in raised if each.severity == "act"] == []
    assert len(raised) <= allowed(0.03, weeks), [each.because for each in raised]


def test_concept_drift_in_one_slice_is_named_with_its_mean_error() -> None:
    current, reference, past = clean()
    inside = current["region"] == "east"
    current.loc[inside, "label"] += 15
    every = said(current, reference, past)
    found, summary = alarms(every), every["model", "slices_named", None]
    assert set(found) == {("model", "mae", "region=east"), ("model", "bias", "region=east")}
    assert (summary.severity, summary.value) == ("unknown", 1.0), "the slice has findings of its own, so the number of slices is not OK"
    assert "1 slice changed significantly" in summary.because and "It has its own finding." in summary.because
    mae = found["model", "mae", "region=east"]
    assert mae.severity == "act" and mae.likely_source == "model" and mae.n == inside.sum()
    assert mae.value == pytest.approx(mean_absolute_error(current.loc[inside, "label"], current.loc[inside, "score"]))
    assert mae.low <= mae.value <= mae.high and mae.limit < mae.value
    assert mae.evidence["coverage"] > 0.9 and mae.evidence["share"] == pytest.approx(0.2, abs=0.02)
    assert mae.evidence["effect_low"] < 15 * 0.55 < mae.evidence["effect_high"] + 1 and mae.evidence["rest"] == pytest.approx(8, abs=0.4)
    assert "Where `region` is `east`, the mean absolute error is" in mae.because and "in the reference" in mae.because
    in_minutes = said(current, reference, past, settings=replace(SETTINGS, unit="minutes"))
    assert re.search(r"off on average by [+-]\d[.\d]* minutes, ", in_minutes["model", "bias", "region=east"].because)


def test_the_stated_slice_error_and_share_use_all_labelled_rows_unclipped() -> None:
    """Large errors are clipped only during the search. The figures of a slice include rows that it shares with a slice found earlier."""
    current, reference, past = clean()
    east, west, pro = current["region"] == "east", current["region"] == "west", current["plan"] == "pro"
    current.loc[east, "label"] += 60
    current.loc[pro, "label"] += 25
    current.loc[np.flatnonzero(east)[:40], "label"] += 400
    current.loc[west & (np.arange(6000) % 2 == 0), "label"] = np.nan
    found = said(current, reference, past)
    errors = (current["score"] - current["label"]).abs()
    before = (reference["score"] - reference["label"]).abs()
    named = {part: finding for (_, metric, part), finding in alarms(found).items() if metric == "mae"}
    assert len(named) > 1
    for part, finding in named.items():
        (name, level), *more = Slice.parse(part).conditions
        assert not more
        inside = current[name] == level
        assert finding.value == pytest.approx(errors[inside].mean(), rel=1e-9)
        assert finding.evidence["baseline"] == pytest.approx(before[reference[name] == level].mean(), rel=1e-9)
        assert finding.evidence["rest"] == pytest.approx(errors[~inside].mean(), rel=1e-9)
        share = errors[inside].count() / errors.count()
        assert finding.evidence["share"] == pytest.approx(share, abs=1e-4)
        assert f"{errors[inside].count():,} labelled rows ({100 * share:.1f} % of the labelled rows)" in finding.because
    (line,) = (each for each in found["model", "slices_named", None].evidence["ranked"]["mae"] if each["slice"] == "region=east")
    assert line["value"] == pytest.approx(errors[east].mean(), rel=1e-9)
    assert f"the mean absolute error is {errors[east].mean():.3g}" in found["model", "slices_named", None].because


def test_a_slice_whose_change_outliers_hide_is_stated_with_and_without_them() -> None:
    current, reference, past = clean()
    current.loc[current["region"] == "east", "label"] += 15
    reference.loc[np.flatnonzero(reference["region"] == "east")[:3], "label"] += 9000
    claim = alarms(said(current, reference, past))["model", "mae", "region=east"]
    assert claim.limit is None and claim.evidence["baseline"] > claim.value
    assert "With the largest 0.5 % of errors clipped it is" in claim.because


def test_a_baseline_that_is_sampled_is_called_so() -> None:
    assert slice_sentences.baseline_words("reference", 19_999) == "in the reference"
    assert slice_sentences.baseline_words("reference", 20_000) == "in 20,000 sampled rows of the reference"
    assert slice_sentences.baseline_words("past", 20_000) == "in 20,000 sampled rows of the month before"


def test_a_change_of_ranks_is_said_with_arrows() -> None:
    """Regression: "mean percentile 61, 74 in 20,000 sampled rows of the reference; elsewhere it went from 46 to 47" was a riddle."""
    side = {
        name: SliceSide(n, mean, 0.01)
        for name, n, mean in (("now", 288, 0.61), ("before", 900, 0.74), ("rest", 1587, 0.47), ("old", 9000, 0.46))
    }
    found = ChangedSlice(
        side["now"], side["before"], side["rest"], side["old"], "t", (("carrier", "EV"),), -0.13, -0.17, -0.1, -9.0, 0.0, 0.0, 1.0, 0.15
    )
    said = slice_sentences.slice_sentence(found, TargetSpec("rank_shift", "x", 0, (0.1, 0.2)), "reference", 288, (1875, 20_000))
    assert said == (
        "Where `carrier` is `EV`, `x` is lower: mean percentile 74 → 61, elsewhere 46 → 47 (from 20,000 sampled rows of the reference to now); "
        "the slice has 288 rows (15 % of the rows) and the whole change."
    )


def test_a_fault_in_two_conditions_names_both_and_its_onset() -> None:
    current, reference, past = clean()
    inside = (current["region"] == "north") & (current["plan"] == "pro")
    late = current["at"] >= pd.Timestamp("2026-03-05")
    current.loc[inside & late, "label"] += 40
    found = alarms(said(current, reference, past))
    claim = found["model", "mae", "plan=pro&region=north"]
    assert claim.severity == "act" and claim.onset is not None and claim.onset.isoformat() == "2026-03-05T00:00:00+00:00"
    assert all(part == "plan=pro&region=north" for _, _, part in found)


def test_a_unit_change_and_a_null_surge_in_one_slice_name_feature_and_slice() -> None:
    current, reference, past = clean()
    current.loc[current["region"] == "west", "income"] *= 100
    current.loc[(current["sex"] == "F") & (np.arange(6000) % 6 == 0), "age"] = np.nan
    found = alarms(said(current, reference, past))
    assert set(found) == {("income", "rank_shift", "region=west"), ("age", "null_rate", "sex=F")}
    assert {each.severity for each in found.values()} == {"act"} and {each.likely_source for each in found.values()} == {"input"}
    nulls = found["age", "null_rate", "sex=F"]
    assert (
        nulls.value == pytest.approx(current.loc[current["sex"] == "F", "age"].isna().mean()) and "`age` is missing in 16" in nulls.because
    )


def test_a_replica_or_device_slice_is_compared_with_its_own_past() -> None:
    current, reference, past = clean()
    current.loc[current["replica"] == "r3", "label"] += 12
    current.loc[current["device"] == "d5", "income"] = np.nan
    found = alarms(said(current, reference, past))
    assert set(found) == {("replica=r3", "mae", None), ("replica=r3", "bias", None), ("income", "null_rate", "device=d5")}
    assert {each.against for each in found.values()} == {"past"} and {each.likely_source for each in found.values()} == {"system"}
    young = alarms(said(current, reference))
    assert {key[0] for key in young} >= {"replica=r3"} and {each.against for each in young.values()} == {"peers"}


def test_a_binary_model_that_became_wrong_in_one_group_is_reported_by_accuracy() -> None:
    sides = []
    for seed in (5, 6, 7):
        frame, rng = rows(8000, seed), np.random.default_rng(seed + 50)
        frame["score"] = rng.beta(1, 1, len(frame))
        frame["label"] = (rng.random(len(frame)) < frame["score"]).astype(float)
        sides.append(frame)
    inside = sides[0]["sex"] == "F"
    sides[0].loc[inside, "label"] = (np.random.default_rng(9).random(inside.sum()) < 0.5).astype(float)
    found = alarms(said(*sides, task="binary"))
    claim = found["sex=F", "accuracy", None]
    assert claim.severity == "act" and claim.value == pytest.approx(0.5, abs=0.02) and claim.limit == pytest.approx(0.70, abs=0.02)


def test_a_change_in_every_slice_names_no_slice() -> None:
    current, reference, past = clean()
    current["label"] += 20
    current["income"] *= 100
    current.loc[::5, "age"] = np.nan
    assert alarms(said(current, reference, past)) == {}


def test_a_slice_that_stayed_while_the_rest_moved_is_not_named() -> None:
    """`region=east` keeps its income while the income of every other region falls: the change is in the rest."""
    current, reference, past = clean()
    current.loc[current["region"] != "east", "income"] *= 0.3
    found = said(current, reference, past)
    moved = {part for subject, metric, part in alarms(found) if (subject, metric) == ("income", "rank_shift")}
    assert "region=east" not in moved
    current, _, _ = clean()
    current.loc[current["region"] != "east", "label"] -= 900
    found = said(current, reference, past)
    assert not any("east" in (part or "") for _, _, part in alarms(found))
    assert not any(line["slice"] == "region=east" for line in found["model", "slices_named", None].evidence["ranked"]["bias"])


def test_a_slice_with_a_small_change_is_not_named_for_the_change_of_the_rest() -> None:
    current, reference, past = clean()
    east = current["region"] == "east"
    current.loc[~east, "income"] *= 0.9
    current.loc[east, "income"] *= 1.12
    assert not any(metric == "rank_shift" for _, metric, _ in alarms(said(current, reference, past)))


def test_a_slice_is_a_warning_and_not_critical_if_its_column_moved_everywhere() -> None:
    current, reference, past = clean()
    current["income"] *= 1.4
    alone = alarms(said(current.assign(income=current["income"] * np.where(current["region"] == "west", 30, 1)), reference, past))
    assert alone["income", "rank_shift", "region=west"].severity == "watch"


def test_a_slice_that_changed_as_in_the_month_before_is_ongoing() -> None:
    sides = clean()
    for side in (sides[0], sides[2]):
        side.loc[side["region"] == "west", "income"] *= 100
        side.loc[side["region"] == "east", "label"] += 15
    found = alarms(said(*sides))
    moved, mae = found["income", "rank_shift", "region=west"], found["model", "mae", "region=east"]
    assert (moved.severity, moved.evidence["standing"], moved.onset) == ("act", True, None) and news_of(moved) == "ongoing"
    assert (mae.severity, mae.evidence["standing"]) == ("act", True) and mae.because.endswith("as in the month before.")
    new = alarms(said(sides[0], sides[1], rows(6000, 3)))
    assert new["income", "rank_shift", "region=west"].severity == "act"
    assert not any(finding.evidence["standing"] for finding in new.values())


def month_before(since: int, n: int = 12_000) -> pd.DataFrame:
    """The four weeks before the window. From `since` days before the window on, one column of a slice is changed and the errors of another
    slice are larger.
    """
    past = rows(n, 3)
    past["at"] = START.replace(tzinfo=None) - (past["at"] - START.replace(tzinfo=None)) * 4
    late = past["at"] >= START.replace(tzinfo=None) - timedelta(days=since)
    past.loc[late & (past["region"] == "west"), "income"] *= 100
    past.loc[late & (past["region"] == "east"), "label"] += 15
    return past


@pytest.mark.parametrize(("since", "earlier"), [(6, False), (11, False), (28, True)])
def test_a_slice_changed_before_the_window_is_ongoing_since_its_first_day(since: int, earlier: bool) -> None:
    """Regression: a change that began six or eleven days ago covers less than most of the month before, and was called new in each of its
    first three weeks.
    """
    current, reference, _ = clean()
    current.loc[current["region"] == "west", "income"] *= 100
    current.loc[current["region"] == "east", "label"] += 15
    found = alarms(said(current, reference, month_before(since)))
    for key in (("income", "rank_shift", "region=west"), ("model", "mae", "region=east")):
        stands = found[key]
        assert (stands.severity, news_of(stands), stands.onset) == ("act", "ongoing", None)
        assert standing_since(stands) == StandingSince((START - timedelta(days=since)).date(), earlier)
        assert "as in the month before" not in stands.because, "the sentence gives the day on which the change began"
    new = alarms(said(current, reference, month_before(0)))
    for key in (("income", "rank_shift", "region=west"), ("model", "mae", "region=east")):
        assert not new[key].evidence["standing"] and new[key].onset == START and standing_since(new[key]) is None


@pytest.mark.parametrize(("since", "ended"), [(20, 8), (28, 8), (28, 7)])
def test_a_slice_change_that_ended_before_the_window_and_returned_is_new(since: int, ended: int) -> None:
    """Three of the four weeks before show the change, but the last one shows that it had ended."""
    current, reference, _ = clean()
    current.loc[current["region"] == "west", "income"] *= 100
    current.loc[current["region"] == "east", "label"] += 15
    past = month_before(since)
    whole = past["at"] >= START.replace(tzinfo=None) - timedelta(days=ended)
    past.loc[whole & (past["region"] == "west"), "income"] /= 100
    past.loc[whole & (past["region"] == "east"), "label"] -= 15
    found = alarms(said(current, reference, past))
    for key in (("income", "rank_shift", "region=west"), ("model", "mae", "region=east")):
        new = found[key]
        assert (new.severity, new.evidence["standing"], new.onset) == ("act", False, START), new.because
        assert "as in the month before" not in new.because


def test_a_change_that_ended_within_the_window_is_not_attributed_to_the_month() -> None:
    current, reference = rows(20_000, 1), rows(20_000, 2)
    bad = current["at"] < START.replace(tzinfo=None) + timedelta(days=2)
    current.loc[bad & (current["region"] == "west"), "income"] *= 100
    found = alarms(said(current, reference, month_before(6)))["income", "rank_shift", "region=west"]
    assert found.evidence["standing"] and standing_since(found) is None
    assert "as in the month before" not in found.because, found.because


def test_a_new_slice_that_overlaps_a_standing_one_is_new() -> None:
    """Rows in both slices are counted for the stronger slice, also in the month before."""
    sides = clean()[:2] + (month_before(0),)
    for seed, side in enumerate(sides):
        rng = np.random.default_rng(seed)
        east = rng.random(len(side)) < np.where(side["plan"] == "pro", 0.47, 0.11)
        side["region"] = np.where(east, "east", side["region"].replace("east", "north"))
    current, reference, past = sides
    current["label"] += 60 * (current["region"] == "east") + 25 * (current["plan"] == "pro")
    past["label"] += 60 * ((past["region"] == "east") & (past["at"] >= START.replace(tzinfo=None) - timedelta(days=8)))
    found = alarms(said(current, reference, past))
    stands, new = found["model", "mae", "region=east"], found["model", "mae", "plan=pro"]
    assert standing_since(stands) == StandingSince((START - timedelta(days=8)).date(), False)
    assert (new.severity, new.evidence["standing"], new.onset, standing_since(new)) == ("act", False, START, None), new.because


def test_the_slice_significantly_worse_than_the_rest_is_stated_even_if_unchanged() -> None:
    sides = clean()
    for side in sides:
        side.loc[side["region"] == "east", "label"] += 20
    found = said(*sides, settings=replace(SETTINGS, unit="minutes"))
    assert alarms(found) == {}
    summary = found["model", "slices_named", None]
    assert "Weakest slice: where `region` is `east`, the mean absolute error is 19.9 minutes (20.4" in summary.because
    assert "in the reference), 7.98 elsewhere" in summary.because
    (weak,) = summary.evidence["weak"]
    assert weak["slice"] == "region=east" and weak["p_adjusted"] < 0.05 and weak["before"] == pytest.approx(20, abs=1)
    assert "Weakest" not in said(*clean())["model", "slices_named", None].because


def test_a_slice_significantly_worse_than_the_rest_without_a_baseline_is_not_ok() -> None:
    current, reference, past = clean()
    island = np.random.default_rng(4).random(len(current)) < 0.15
    current["region"] = current["region"].astype(object).where(~island, "island")
    assert said(current, reference, past)["model", "slices_named", None].severity == "ok", "the new level is as good as the others"
    current.loc[island, "label"] += 60
    found = said(current, reference, past)
    summary = found["model", "slices_named", None]
    assert alarms(found) == {} and summary.severity == "unknown" and summary.value == 0
    assert summary.because.endswith(
        "Where `region` is `island`, errors are certainly worse than elsewhere. "
        "There are too few such rows in the reference to say whether that is new."
    )
    current.loc[island, "plan"] = "holiday"
    two = said(current, reference, past)["model", "slices_named", None]
    assert two.severity == "unknown" and "2 slices, `plan` is `holiday` first, are certainly worse than the other rows." in two.because


def test_a_slice_that_became_worse_is_a_warning_although_seasonal_change_varies_by_slice() -> None:
    """The error of every level of `region` and `plan` differs from the reference, so no slice is significant by itself."""
    current, reference, past = clean()
    for level, size in {"north": 14, "south": 3, "east": 32, "west": 11}.items():
        inside = current["region"] == level
        current.loc[inside, "label"] = current.loc[inside, "score"] + np.random.default_rng(3).normal(0, size, inside.sum())
    for name in ("age", "income"):
        band = pd.qcut(current[name], 5, labels=False)
        current["label"] = current["score"] + (current["label"] - current["score"]) * (0.55 + 0.25 * band)
    found = said(current, reference, past)
    claim = alarms(found)["model", "mae", "region=east"]
    assert claim.severity in ("act", "watch") and claim.value > 20 and claim.limit < claim.low


def test_labels_of_whole_days_are_judged_while_the_last_two_days_wait() -> None:
    current, reference, past = clean()
    current.loc[current["region"] == "east", "label"] += 25
    current.loc[current["at"] >= current["at"].min().normalize() + pd.Timedelta(days=5), "label"] = np.nan
    assert 0.6 < current["label"].notna().mean() < 0.8
    assert ("model", "mae", "region=east") in alarms(said(current, reference, past))


def test_slices_with_young_labels_or_few_rows_are_unknown() -> None:
    current, reference, past = clean()
    current.loc[current["region"] == "east", "label"] += 25
    current.loc[np.random.default_rng(4).random(6000) < 0.5, "label"] = np.nan
    found = said(current, reference, past)
    assert alarms(found) == {} and found["model", "mae", "region=east"].severity == "unknown"
    assert "too few labels have arrived" in found["model", "mae", "region=east"].because
    (few,) = said(current.head(150), reference, past).values()
    assert few.severity == "unknown" and "about 50 more" in few.because
    (alone,) = said(current, None).values()
    assert alone.severity == "unknown" and "register" in alone.because
    assert set(alarms(said(current.assign(label=current["label"].fillna(current["score"])), None, past))) >= {
        ("model", "mae", "region=east")
    }


def test_a_watched_slice_is_always_reported() -> None:
    settings = parse_settings({"settings": {"slices": ["region=east&sex=F", "age=30 to below 50", "planet=mars", "region=south"]}})
    assert settings.slices[1] == "age=30%20to%20below%2050"
    current, reference, past = clean()
    current.loc[(current["region"] == "east") & (current["sex"] == "F"), "label"] += 9
    found = said(current, reference, past, settings=settings)
    assert found["model", "mae", "region=east&sex=F"].severity == "act"
    banded = found["model", "mae", "age=30%20to%20below%2050"]
    inside = (current["age"] >= 30) & (current["age"] < 50)
    assert banded.severity == "ok" and banded.n == inside.sum() and banded.evidence["watched"]
    assert "column 'planet' is not in loan" in found["planet=mars", "slices_named", None].because
    assert found["model", "mae", "region=south"].severity == "ok"


def test_a_watched_slice_beyond_its_limit_that_may_be_chance_is_unknown() -> None:
    settings = parse_settings({"settings": {"slices": ["region=east&sex=F"]}})
    current, reference, past = rows(1300, 1), rows(6000, 2), rows(6000, 3)
    inside = (current["region"] == "east") & (current["sex"] == "F")
    current.loc[inside, "label"] = current.loc[inside, "score"] + 1.1 * (current.loc[inside, "label"] - current.loc[inside, "score"])
    claim = said(current, reference, past, settings=settings)["model", "mae", "region=east&sex=F"]
    assert claim.value > claim.limit and claim.severity == "unknown"
    assert "beyond its limit, but not beyond chance" in claim.because and "more labelled rows are needed" in claim.because


def test_within_a_sliced_window_a_finding_names_both_conditions() -> None:
    current, reference, past = (each[each["plan"] == "pro"] for each in (rows(12_000, 1), rows(12_000, 2), rows(12_000, 3)))
    current = current.assign(label=current["label"] + np.where(current["region"] == "east", 25, 0))
    assert ("model", "mae", "plan=pro&region=east") in alarms(said(current, reference, past, part="plan=pro"))


def test_a_setting_moves_the_limit() -> None:
    current, reference, past = clean()
    current.loc[current["region"] == "east", "label"] += 15
    found = alarms(said(current, reference, past, settings=ModelSettings(limits={"serving/slices/mae": 2.0, "serving/slices/bias": 9.0})))
    assert {each.severity for each in found.values()} == {"watch"}


def by_version(worse: float, days: int = 7):
    """Sums of absolute errors by day and version; Friday is bad for both versions."""
    rng, lines = np.random.default_rng(3), []
    for day in range(days):
        for version, n in (("1", 40), ("2", 400)):
            loss = rng.exponential(8 + 4 * (day == 4) + (worse if version == "1" else 0), n)
            lines.append(
                [
                    pd.Timestamp(START.replace(tzinfo=None)) + pd.Timedelta(days=day),
                    version,
                    n,
                    float(n),
                    float(n),
                    loss.sum(),
                    (loss**2).sum(),
                ]
            )
    return pd.DataFrame(lines, columns=["period", "version", "n", "w", "w2", "total", "squares"])


def test_a_version_that_is_worse_than_its_peers_on_the_same_days_is_named() -> None:
    context = context_for(rows(300, 1), task="regression", features=FEATURES[:2])
    (claim,) = slice_versions.version_slice_claim(by_version(6.0), context)
    assert (claim.subject, claim.metric, claim.against, claim.severity) == ("version=1", "mae", "peers", "act")
    assert claim.n == 280 and claim.low <= claim.value <= claim.high and claim.evidence["effect"] == pytest.approx(6, abs=2)
    assert "Version `1` is worse than the other live versions" in claim.because
    assert (
        slice_versions.version_slice_claim(by_version(0.0), context) == []
        and slice_versions.version_slice_claim(by_version(-5.0), context) == []
    )
    (early,) = slice_versions.version_slice_claim(by_version(15.0, days=3), context)
    assert early.severity == "watch"
    assert slice_versions.version_slice_claim(by_version(9.0).query("version == '1'"), context) == []


def test_the_rank_of_values_matches_scipy_with_ties_and_missing_values() -> None:
    rng = np.random.default_rng(8)
    base, values = np.round(rng.normal(size=300), 1), np.round(rng.normal(0.5, 2, 200), 1)
    base[:7], values[::9], values[1] = np.nan, np.nan, np.inf
    of_base, of_values = (SampledRows(pd.DataFrame({"x": each})).numbers("x") for each in (base, values))
    expected = [np.nan if np.isnan(each) else percentileofscore(base[7:], each, kind="mean") / 100 for each in values]
    assert of_values.ranks_in(of_base) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(of_values.ranks_in(SampledRows(pd.DataFrame({"x": [np.nan]})).numbers("x"))).all()


def test_level_names_match_slice_names_and_are_sorted_by_frequency() -> None:
    side = SampledRows(pd.DataFrame({"x": pd.Series([True, None, False, True, None, True], dtype=object)})).levels("x")
    assert side.coded(["true", "null"]).tolist() == [0, 1, -1, 0, 1, 0] and side.rows_of == {"true": 3, "false": 1, "null": 2}
    other = SampledRows(pd.DataFrame({"x": pd.Series(["a", "b", "b", "c", None], dtype=object)})).levels("x")
    assert other.commonest == ("b", "a", "c")
    place = other.ranked(("b", "a"))
    assert np.array_equal(place.distinct[place.place], [1, 0, 0, 2, np.nan], equal_nan=True)
