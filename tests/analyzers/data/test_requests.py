"""data/requests: a burst, a default score, a wrong clock and coarse values are named, each with its subject; an ordinary week raises
nothing.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier

from observability.analyzers.data.requests import ANALYZER
from observability.core.settings import ModelSettings
from tests.support.analyzer_worlds import START, context_for
from tests.support.length import allowed, repeats
from tests.support.levels import beyond_limit

FEATURES = ("age", "income", "region")


def rows(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = START.replace(tzinfo=None) + pd.to_timedelta(rng.random(n) * 7, unit="D")
    return pd.DataFrame({
        "id": [f"p{seed}-{i:06}" for i in range(n)], "at": at, "arrived": at + pd.to_timedelta(rng.exponential(20, n), unit="s"),
        "subject": [f"s{i}" for i in rng.integers(0, 400, n)], "device": rng.choice([f"d{i}" for i in range(8)], n),
        "score": rng.beta(2, 5, n), "label": np.nan, "age": rng.normal(40, 10, n), "income": rng.lognormal(10, 0.6, n),
        "region": rng.choice(["north", "south"], n).astype(object), "extra": None,
    })  # fmt: skip


def said(current: pd.DataFrame, past: pd.DataFrame | None = None, reference: pd.DataFrame | None = None, **limits: float):
    settings = ModelSettings(limits={f"data/{name.replace('__', '/')}": limit for name, limit in limits.items()})
    context = context_for(rows(500, 9), features=FEATURES, settings=settings)
    past = rows(4000, 2) if past is None else past
    given = {"current": current, "past": past, "reference": past if reference is None else reference}
    frames = {
        name: pd.DataFrame({column: given[name][column.partition(".")[2] or column] for column in ask.aggregate.columns})
        for name, ask in ANALYZER.needs(context).items()
    }
    return {(each.subject, each.metric): each for each in ANALYZER.analyze(frames, context)}


def alarms(found) -> set:
    return {key for key, each in found.items() if each.severity in ("act", "watch")}


def test_a_usual_week_raises_no_alarm() -> None:
    for seed in range(20, 20 + repeats(4, 300)):
        found = said(rows(4000, seed))
        assert alarms(found) == set() and found["model", "near_duplicate_share"].severity == "ok"
        assert re.search(r"the largest group that one subject sent has [1-9] of the 4,000", found["model", "near_duplicate_share"].because)


def test_a_burst_of_one_subject_is_named_with_its_size() -> None:
    current = rows(4000, 3)
    burst = slice(1000, 1150)
    current.loc[current.index[burst], ["age", "income", "region"]] = [41.0, 22_000.0, "north"]
    current.loc[current.index[burst], "age"] += np.random.default_rng(1).normal(0, 0.05, 150)
    current.loc[current.index[burst], ["subject", "at"]] = ["ab12", pd.Timestamp("2026-03-04 10:20")]
    found = said(current)
    assert alarms(found) == {("subject=ab12", "near_duplicate_share")}
    claim = found["subject=ab12", "near_duplicate_share"]
    assert claim.severity == "act" and claim.value == pytest.approx(150 / 4000, abs=0.012) and "an hour" in claim.because
    first = said(current, rows(4000, 2).iloc[:0])["subject=ab12", "near_duplicate_share"]
    assert first.severity == "watch" and "there is no month before to compare with" in first.because and "baseline" not in first.evidence
    assert "log `subject`" in said(rows(500, 4).assign(subject=None))["model", "near_duplicate_share"].because


def test_a_default_score_is_named() -> None:
    current = rows(4000, 5)
    current.loc[::8, "score"] = 0.5
    found = said(current)
    assert alarms(found) == {("score", "default_score_rate")} and found["score", "default_score_rate"].severity == "act"
    assert found["score", "default_score_rate"].value == pytest.approx(1 / 8, abs=0.001)
    assert alarms(said(current, current)) == set()


def test_equal_scores_of_a_saturated_ensemble_are_no_default_score() -> None:
    """Most rows are in a few leaves. Equal scores are no default if many different inputs shared them before, or if they are known
    values.
    """
    leaves = np.array([0.02, 0.11, 0.37, 0.93])
    past, current = rows(4000, 2), rows(4000, 5)
    past["score"] = np.random.default_rng(1).choice(leaves, 4000, p=(0.3, 0.3, 0.25, 0.15))
    current["score"] = np.random.default_rng(2).choice(leaves, 4000, p=(0.1, 0.1, 0.1, 0.7))
    assert alarms(said(current, past)) == set(), "the repeated score is a known value"
    current["score"] = current["score"].replace(0.93, 0.95)
    assert alarms(said(current, past)) == set(), "as many inputs shared one score before; now two thirds of them share another score"
    same = rows(4000, 6)
    same.loc[::8, ["age", "income", "region", "score"]] = [40.0, 22_000.0, "north", 0.61]
    assert ("score", "default_score_rate") not in alarms(said(same)), "the same input always has the same score"


def test_a_repeated_score_explained_by_the_inputs_is_not_a_default_score() -> None:
    """Beyond the range of their training data, trees give a constant score, so inputs that moved there share one score."""
    trees = LGBMClassifier(n_estimators=30, num_leaves=15, verbose=-1, n_jobs=1)

    def scored(seed: int, shift: float) -> pd.DataFrame:
        rng, found = np.random.default_rng(seed), rows(4000, seed)
        return found.assign(income=30_000 * np.exp(rng.normal(shift, 0.5, 4000)), age=45 + 15 * rng.normal(shift, 1, 4000))

    def inputs(frame: pd.DataFrame) -> np.ndarray:
        return frame[["income", "age"]].to_numpy()

    fitted, past, moved = scored(1, 0), scored(2, 0), scored(3, 2)
    chance = 1 / (1 + np.exp(-3 * np.log(fitted["income"] / 30_000) - (fitted["age"] - 45) / 15))
    trees.fit(inputs(fitted), np.random.default_rng(0).random(4000) < chance)
    past["score"], moved["score"] = (trees.predict_proba(inputs(each))[:, 1] for each in (past, moved))
    claim = said(moved, past)["score", "default_score_rate"]
    assert claim.severity == "ok" and claim.value is not None and claim.value > 0.5 and claim.limit is None
    assert claim.because.endswith("This is an ordinary score, not a default value: such inputs had scores near it before.")
    moved.loc[::4, "score"] = 0.5
    moved.loc[1::4, "score"] = 0.5
    claim = said(moved, past)["score", "default_score_rate"]
    assert claim.severity == "act" and claim.evidence["score"] == 0.5, "a default score is named although saturated scores are present"


def test_a_clock_that_is_off_is_named_with_its_device_and_side() -> None:
    current = rows(4000, 6)
    current.loc[current["device"] == "d3", "at"] += pd.Timedelta(hours=2)
    claim = said(current)["device=d3", "clock_skew"]
    assert claim.severity == "act" and claim.value == pytest.approx(-7200, abs=10) and "2 hours ahead" in claim.because


def test_a_clock_that_went_wrong_recently_is_found_although_most_days_are_right() -> None:
    current = rows(4000, 6)
    late = current["at"] >= current["at"].max() - pd.Timedelta(days=2.5)
    current.loc[(current["device"] == "d3") & late, "at"] += pd.Timedelta(hours=2)
    claim = said(current)["device=d3", "clock_skew"]
    assert claim.severity == "act" and "rows of the sample of the last 3 days" in claim.because
    assert alarms(said(rows(4000, 6))) == set()


@pytest.mark.parametrize("loads", ["at once", "every night"])
def test_clock_skew_is_unknown_if_arrival_times_come_from_a_bulk_load(loads: str) -> None:
    current = rows(4000, 6)
    current.loc[current["device"] == "d3", "at"] += pd.Timedelta(hours=8)
    night = current["at"].dt.ceil("D") + pd.Timedelta(hours=1)
    later = current.assign(arrived=pd.Timestamp("2026-05-01") if loads == "at once" else night)
    found = said(later)
    assert alarms(found) == set()
    assert found["model", "clock_skew"].severity == "unknown" and "log `received_at`" in found["model", "clock_skew"].because


def test_clock_skew_is_not_blamed_on_devices_reporting_at_different_hours_of_a_bulk_load() -> None:
    """Regression: each device reports during half an hour of the day, and the whole day is loaded at night. The last device seemed to be
    hours ahead.
    """
    current = rows(4000, 6)
    burst = pd.to_timedelta(2.5 * current["device"].str[1:].astype(int) + 2, unit="h")
    current["at"] = current["at"].dt.floor("D") + burst + (current["at"] - current["at"].dt.floor("D")) / 48
    current["arrived"] = current["at"].dt.ceil("D") + pd.Timedelta(hours=1)
    found = said(current, rows(4000, 2).iloc[:0])
    assert alarms(found) == set() and found["model", "clock_skew"].severity == "unknown"


def test_a_device_that_always_delivers_late_has_no_wrong_clock() -> None:
    current, past = rows(4000, 6), rows(4000, 2)
    for frame in (current, past):
        frame.loc[frame["device"] == "d3", "arrived"] += pd.Timedelta(hours=2)
    assert alarms(said(current, past)) == set()
    assert alarms(said(current)) == {("device=d3", "clock_skew")}, "the device's clock has been wrong since this week"
    for frame in (current, past):
        frame.loc[frame["device"] == "d3", "arrived"] -= pd.Timedelta(hours=4)
    assert alarms(said(current, past)) == {("device=d3", "clock_skew")}, "the records arrive before the time that they state"


def test_a_device_that_sends_in_bursts_has_no_wrong_clock() -> None:
    current = rows(4000, 6)
    mine = current["device"] == "d3"
    current.loc[mine, "arrived"] = current.loc[mine, "at"].dt.ceil("6h")
    found = said(current)
    assert alarms(found) == set()


def test_coarse_values_of_a_device_are_named_unless_they_always_were() -> None:
    current, past = rows(4000, 7), rows(4000, 8)
    for frame in (current, past):
        frame.loc[frame["device"] == "d1", "age"] = frame.loc[frame["device"] == "d1", "age"].round(-1)
    found = said(current)
    assert alarms(found) == {("device=d1", "distinct_ratio")} and "coarse values of `age`" in found["device=d1", "distinct_ratio"].because
    assert alarms(said(current, past)) == set(), "the clock was always wrong"


def test_few_rows_are_not_judged() -> None:
    (few,) = said(rows(60, 1)).values()
    assert few.severity == "unknown" and "about 40 more" in few.because


def test_predictions_that_arrive_late_are_named_with_their_share_and_first_day() -> None:
    current = rows(4000, 40)
    chosen = (np.random.default_rng(3).random(4000) < 0.5) & (current["at"] >= pd.Timestamp("2026-03-05")).to_numpy()
    current.loc[chosen, "arrived"] += pd.Timedelta(hours=6)
    found = said(current)
    claim = found["model", "late_rate"]
    assert alarms(found) == {("model", "late_rate")} and claim.severity == "watch" and claim.value == chosen.mean()
    assert claim.onset == pd.Timestamp("2026-03-05", tz="UTC") and "more than 1 hour after" in claim.because and "6 hours" in claim.because
    current["arrived"] += pd.Timedelta(hours=6)
    assert said(current)["model", "late_rate"].severity == "act"


def test_late_answers_of_a_device_state_which_days_they_changed() -> None:
    current = rows(4000, 43)
    assert ("model", "restated_share") not in said(current), "no prediction states when it was sent"
    offline = (current["at"].dt.day == 4).to_numpy() & (np.arange(4000) % 3 == 0)
    sent = (current["at"] + pd.to_timedelta(np.where(offline, 60, 1), unit="h")).dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    current["extra"] = [json.dumps({"synced_at": each}) for each in sent]
    found = said(current)
    claim, late = found["model", "restated_share"], int(offline.sum())
    assert alarms(found) == set() and claim.severity == "ok" and claim.value == pytest.approx(late / 4000)
    assert [day for day in claim.evidence["days"] if day[2]] == [["2026-03-04", int((current["at"].dt.day == 4).sum()), late]]
    assert "changed 1 of 7 days after 24 h, most 4 Mar 2026: 31 % came later" in claim.because


def test_late_predictions_are_not_reported_after_bulk_loads_or_if_they_are_few() -> None:
    past = rows(4000, 41).assign(arrived=pd.Timestamp("2026-03-09"))
    current = rows(4000, 42).assign(arrived=pd.Timestamp("2026-03-10"))
    assert ("model", "late_rate") not in said(current, past), "last month was also loaded in one go"
    few = rows(4000, 43)
    few.loc[::20, "arrived"] += pd.Timedelta(hours=6)
    assert ("model", "late_rate") not in said(few)


def test_a_burst_across_grid_cell_borders_is_counted_whole() -> None:
    """Near copies of one request that lie on both sides of the borders between grid cells."""
    current = rows(4000, 44)
    width = 0.1 * np.subtract(*np.quantile(current["age"], [0.75, 0.25])) / 1.349
    burst, rng = slice(1000, 1100), np.random.default_rng(2)
    current.loc[current.index[burst], ["subject", "region"]] = ["ab12", "north"]
    current.loc[current.index[burst], "age"] = 400.5 * width + rng.normal(0, width / 10, 100)
    current.loc[current.index[burst], "income"] = 22_000.0
    claim = said(current)["subject=ab12", "near_duplicate_share"]
    assert claim.value == pytest.approx(100 / 4000, abs=0.0005) and claim.evidence["near_duplicates"] >= 99


def test_near_copies_that_differ_in_a_mostly_zero_number_are_a_burst() -> None:
    """The number is an amount of rain: more than half of its values are equal, so that its quartiles give no width."""

    def rainy(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        return frame.assign(income=np.where(rng.random(len(frame)) < 0.05, rng.exponential(0.3, len(frame)), 0.0))

    current, rng = rainy(rows(4000, 47), 1), np.random.default_rng(3)
    burst = current.index[1000:1150]
    current.loc[burst, ["subject", "region", "age"]] = ["ab12", "north", 41.0]
    current.loc[burst, "income"] = rng.normal(0, 0.001, 150)
    found = said(current, rainy(rows(4000, 2), 2))
    assert alarms(found) == {("subject=ab12", "near_duplicate_share")}
    assert found["subject=ab12", "near_duplicate_share"].evidence["near_duplicates"] == 150


def test_three_in_a_hundred_requests_with_one_new_score_are_a_watch() -> None:
    current = rows(4000, 45)
    current.loc[::33, "score"] = 0.5
    assert said(current)["score", "default_score_rate"].severity == "watch"


def test_daily_copies_of_different_requests_by_one_subject_are_one_burst() -> None:
    current = rows(4000, 46)
    mine = current.index[:210]
    for day in range(7):
        copies = mine[30 * day : 30 * day + 30]
        current.loc[copies, ["age", "income", "region"]] = [30.0 + 5 * day, 15_000.0 + 4_000 * day, "north"]
    current.loc[mine, "subject"] = "ab12"
    claim = said(current)["subject=ab12", "near_duplicate_share"]
    assert claim.severity == "act" and claim.evidence["near_duplicates"] == 210 and "near copies of 7 requests" in claim.because


def month(seed: int, days: int = 28) -> pd.DataFrame:
    """The rows of the four weeks before, with as many rows per day as the window has."""
    frame = rows(571 * days, seed)
    back = pd.to_timedelta(np.random.default_rng(seed).integers(1, days + 1, len(frame)), unit="D")
    moved = START.replace(tzinfo=None) - back - frame["at"]
    return frame.assign(at=frame["at"] + moved, arrived=frame["arrived"] + moved)


def with_client(frame: pd.DataFrame, busy: float, rng: np.random.Generator) -> pd.DataFrame:
    """A client that has always repeated one request, in a twentieth of the rows on some days; this is no fault."""
    days = frame["at"].dt.normalize()
    chosen = days.isin([day for day in sorted(days.unique()) if rng.random() < busy]).to_numpy() & (rng.random(len(frame)) < 0.05)
    frame.loc[chosen, ["subject", "age", "income", "region"]] = ["client", 41.0, 22_000.0, "north"]
    return frame


def test_an_occasional_client_is_not_a_burst_in_weeks_with_two_visits() -> None:
    weeks, found = repeats(14, 60), []
    for seed in range(weeks):
        rng = np.random.default_rng(900 + seed)
        past, now = with_client(month(700 + seed), 0.1, rng), with_client(rows(4000, 800 + seed), 0.2, rng)
        usual, share = ((each["subject"] == "client").mean() for each in (past, now))
        if usual > 0 and share >= max(0.005, 3 * usual):  # if the client was never there before, it is a burst
            found.append(said(now, past))
    assert len(found) >= 2, "judged only by share and by rows, these would be bursts"
    assert sum(alarms(each) != set() for each in found) <= allowed(0.02, weeks)
    assert not any(beyond_limit(each) for weekly in found for each in weekly.values() if each.severity == "ok")
    unsure = [each for weekly in found for each in weekly.values() if each.severity == "unknown"]
    assert unsure and all("days of the month before differ as much" in each.because and beyond_limit(each) for each in unsure)


def test_an_owner_limit_sets_when_a_burst_or_repeated_score_is_critical() -> None:
    current = rows(4000, 3)
    current.loc[current.index[1000:1150], ["subject", "age", "income", "region"]] = ["ab12", 41.0, 22_000.0, "north"]
    current.loc[::8, "score"] = 0.5
    usual = said(current)
    found = said(current, requests__near_duplicate_share=0.2, requests__default_score_rate=0.3)
    for key, limit, words in (
        (("subject=ab12", "near_duplicate_share"), 0.02, "the owner's limit is 20 %"),
        (("score", "default_score_rate"), 0.1, "the owner's limit is 30 points more"),
    ):
        assert (usual[key].severity, found[key].severity) == ("act", "watch"), key
        assert usual[key].limit == pytest.approx(limit, abs=0.001) and words in found[key].because and "owner" not in usual[key].because
    tight = said(
        rows(4000, 45).assign(score=lambda frame: frame["score"].where(frame.index % 33 > 0, 0.5)), requests__default_score_rate=0.01
    )
    claim = tight["score", "default_score_rate"]
    assert claim.severity == "act" and claim.limit == pytest.approx(0.01, abs=0.001)


def test_owner_limits_set_when_clock_skew_coarse_values_or_delays_are_critical() -> None:
    current, past = rows(4000, 6), rows(4000, 8)
    current.loc[current["device"] == "d3", "at"] += pd.Timedelta(hours=2)
    current.loc[current["device"] == "d1", "age"] = current.loc[current["device"] == "d1", "age"].round(-1)
    usual = said(current, past)
    found = said(current, past, requests__clock_skew=10_000, requests__distinct_ratio=0.01)
    for key, words in ((("device=d3", "clock_skew"), "2.78 hours"), (("device=d1", "distinct_ratio"), "1 %")):
        assert (usual[key].severity, found[key].severity) == ("act", "watch"), key
        assert found[key].because.endswith(f"; the owner's limit is {words}.") and "owner" not in usual[key].because
    late = rows(4000, 40)
    late.loc[::2, "arrived"] += pd.Timedelta(hours=6)
    claim = said(late, quality__late_rate=0.2)["model", "late_rate"]
    assert claim.severity == "act" and claim.limit == 0.2 and "the owner's limit is 20 %" in claim.because


def test_the_late_share_interval_reflects_variation_between_days() -> None:
    """The share of late predictions varies by day, so its interval is computed from seven days, not from four thousand rows."""
    current, rng = rows(4000, 50), np.random.default_rng(5)
    share = current["at"].dt.normalize().map(dict(zip(sorted(current["at"].dt.normalize().unique()), rng.beta(1, 2, 7), strict=True)))
    current.loc[rng.random(4000) < share, "arrived"] += pd.Timedelta(hours=6)
    claim = said(current, month(51))["model", "late_rate"]
    by_day = np.array(
        [each.mean() for _, each in (current["arrived"] - current["at"] > pd.Timedelta(hours=1)).groupby(current["at"].dt.normalize())]
    )
    error = by_day.std(ddof=1) / np.sqrt(7)
    assert claim.severity in ("watch", "act") and (claim.high - claim.low) / 2 / 1.96 == pytest.approx(error, rel=0.25)


def with_burst(frame: pd.DataFrame, n: int) -> pd.DataFrame:
    """n near copies of one request of one subject, spread over the days of the rows."""
    chosen = frame.index[np.linspace(0, len(frame) - 1, n).astype(int)]
    frame.loc[chosen, ["subject", "age", "income", "region"]] = ["ab12", 41.0, 22_000.0, "north"]
    return frame


KEY = ("subject=ab12", "near_duplicate_share")


def test_the_past_does_not_raise_the_limit_of_an_owner() -> None:
    """The stated limit is 1 %. A share of 5 % after 2 % in the month before is critical. A share above the limit is critical too if the
    month before had the same share.
    """
    claim = said(with_burst(rows(4000, 3), 200), with_burst(rows(4000, 2), 80), requests__near_duplicate_share=0.01)[KEY]
    assert (claim.severity, claim.limit) == ("act", 0.01) and "the owner's limit is 1 %" in claim.because
    same = said(with_burst(rows(4000, 3), 200), with_burst(rows(4000, 2), 200), requests__near_duplicate_share=0.01)[KEY]
    assert same.severity == "act" and "in the month before was 5 %" in same.because
    allowed_share = said(with_burst(rows(4000, 3), 400), with_burst(rows(4000, 2), 400), requests__near_duplicate_share=0.2)
    claim = allowed_share["model", "near_duplicate_share"]
    assert (claim.severity, claim.limit) == ("ok", 0.2), "the owner allows the share that was usual"
    few = said(with_burst(rows(1000, 3), 15), requests__near_duplicate_share=0.01)["model", "near_duplicate_share"]
    assert few.severity == "unknown" and beyond_limit(few) and "a decision needs about 334 more predictions" in few.because


def test_a_month_long_burst_does_not_hide_a_larger_one() -> None:
    past = with_burst(rows(4000, 2), 800)
    assert said(with_burst(rows(4000, 3), 2000), past)[KEY].severity == "act", "the share rose from 20 to 50 %"
    stands = said(with_burst(rows(4000, 3), 800), past)["model", "near_duplicate_share"]
    assert stands.severity == "unknown" and stands.limit == pytest.approx(0.06)
    assert "above the limit of 6 %, as in the month before (20 %)" in stands.because
    less = said(with_burst(rows(4000, 3), 400), past)
    assert alarms(less) == set() and less["model", "near_duplicate_share"].severity == "unknown", "a share that fell by half is no burst"


def test_a_burst_in_few_rows_is_unknown_and_states_how_many_more_are_needed() -> None:
    found = said(with_burst(rows(1000, 3), 26), rows(120, 2).assign(subject=[f"s{i}" for i in range(120)]))
    claim = found["model", "near_duplicate_share"]
    assert claim.severity == "unknown" and "days" not in claim.because and "may be chance: a decision needs about" in claim.because


def test_a_late_share_of_few_rows_is_unknown_and_not_attributed_to_days() -> None:
    current, past = rows(1000, 40), rows(100, 41)
    current.loc[current.index[::9], "arrived"] += pd.Timedelta(hours=6)
    past.loc[past.index[:1], "arrived"] += pd.Timedelta(minutes=40)
    claim = said(current, past)["model", "late_rate"]
    assert claim.severity == "unknown" and "but days" not in claim.because and "that may be chance: a decision needs about" in claim.because


def test_one_bad_past_day_does_not_make_a_default_score_usual_if_there_is_a_reference() -> None:
    current, past = rows(4000, 5), rows(4000, 2)
    current.loc[current.index[:2400], "score"] = 0.5
    past.loc[past.index[:24], "score"] = 0.5
    claim = said(current, past, rows(4000, 8))["score", "default_score_rate"]
    assert claim.severity == "act" and "default value given without calling the model" in claim.because
    known = said(current, past, past)["score", "default_score_rate"]
    assert known.severity == "ok" and known.because.endswith(
        "This is an ordinary score, not a default value: different inputs had it before."
    )
