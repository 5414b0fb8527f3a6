"""The labels page: shares and projections are right for labels with a known arrival."""

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from observability.dashboard.charts import labels as charts_labels
from observability.dashboard.data import labels
from observability.metrics import label_maturity
from tests.support.analyzer_worlds import context_for
from tests.support.annotation_frames import START, labelled, said

DAY, SERVED = timedelta(days=1), 200
ARRIVES = {1: 0.1, 2: 0.5, 3: 0.8}
"""Share of a day's predictions that have a label, by the number of days since the day began. In the end 80 % have one."""


def counts(first: datetime, last: datetime, known: datetime) -> pd.DataFrame:
    """Served and labelled rows of each day in [first, last), as known at an instant."""
    rows = []
    for day in pd.date_range(first, last - DAY, freq="D"):
        labelled = round(SERVED * ARRIVES.get(min(int((known - day.to_pydatetime()) / DAY), 3), 0.0))
        period = day.to_pydatetime().replace(tzinfo=None)
        rows += [{"period": period, "label": 1, "n": labelled}, {"period": period, "label": -1, "n": SERVED - labelled}]
    return pd.DataFrame(rows)


def world() -> tuple[label_maturity.LabelCompletion, SimpleNamespace]:
    context = context_for(None)
    start, end = context.window.start, context.window.end
    frames = {"current_counts": counts(start, end, end), "past_counts": counts(start - 28 * DAY, start, end)}
    for days in label_maturity.BEFORE:
        back = days * DAY
        frames[f"labels_{days}"] = counts(start - back, end - back, end - back)
        frames[f"past_labels_{days}"] = counts(start - 28 * DAY - back, start - back, end - back)
    return label_maturity.label_completion(frames, context), SimpleNamespace(window=context.window)


def test_label_shares_by_day_and_expected_labels_match_hand_counts() -> None:
    of, here = world()
    days = labels.label_maturity_by_day(of, here)
    assert len(days) == 35 and days["share"].tail(4).tolist() == pytest.approx([0.8, 0.8, 0.5, 0.1])
    assert days["usual"].tolist() == pytest.approx(days["share"].tolist()) and set(days["final"].round(9)) == {0.8}
    last = here.window.end.date()
    assert days["complete_by"].iloc[-1] == (last - DAY + 3 * DAY).isoformat()
    said = labels.label_completion_sentence(days, here)
    coming = round(SERVED * (0.3 + 0.7))
    assert f"About {coming} more labels are expected" in said
    assert f"by {(last + 2 * DAY):%-d %b %Y}" in said and "estimated" in said
    few = labels.label_completion_sentence(days.drop(index=days.index[-7]), here)
    assert "for the 6 days that can be compared" in few and "for this window" in said, "days without a usual share are not counted"


def test_labels_that_are_not_outcomes_have_no_expected_number() -> None:
    """Regression: for a call log whose texts people rate, the page said that no more labels are expected, but every fourth call got one."""
    of, here = world()
    days = labels.label_maturity_by_day(of, here).assign(labelled=0.0, share=0.0, usual=0.0, final=0.0)
    assert labels.label_completion_sentence(days, here) == "No prediction of these days has a label that counts as its outcome."


def test_label_delay_and_the_charts_use_the_same_figures() -> None:
    of, here = world()
    ages, days = labels.label_share_by_age(of), labels.label_maturity_by_day(of, here)
    assert ages["age"].tolist() == list(range(1, 36)) and ages["usual"].head(3).tolist() == pytest.approx([0.1, 0.5, 0.8])
    assert of.days_until_complete() == 3
    bars = charts_labels.label_maturity_bars(days, here.window).data
    assert list(bars[0].y) == days["share"].tolist() and [a + b for a, b in zip(bars[0].y, bars[1].y)] == pytest.approx([0.8] * 35)
    assert list(charts_labels.label_arrival_curve(ages).data[1].y) == ages["usual"].tolist()


def test_a_higher_label_share_long_ago_does_not_raise_the_expected_labels() -> None:
    """Labels come within three days; 90 % of predictions got one in the first 50 days, 80 % since then. Regression: 16,000 more labels were
    expected.
    """
    _, here = world()
    end = here.window.end
    usual = {age: {1: 0.1, 2: 0.5}.get(age, 0.8 if age <= 150 else 0.9) for age in range(1, 201)}
    rows = tuple((end - age * DAY, 1000.0, 1000 * usual[age], 1000 * usual[age]) for age in range(200, 0, -1))
    of, whole = label_maturity.LabelCompletion(usual, usual, rows), SimpleNamespace(window=replace(here.window, start=end - 200 * DAY))
    days = labels.label_maturity_by_day(of, whole)
    assert (days["final"] * days["served"]).sum() - days["labelled"].sum() == pytest.approx(700 + 300)
    assert of.days_until_complete() == 3 and max(of.final_ages()) == 35
    assert of.complete(end) == end + 2 * DAY, "labels are complete at the date of the finding, not 150 days later"


@pytest.mark.parametrize("later", [0, 400])
def test_the_label_delay_of_a_past_window_uses_its_own_days(later: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: a year later, when all labels were there, the page said that labels arrive within one day; they take three."""
    context = context_for(None)
    clock, here = context.window.end + later * DAY, SimpleNamespace(window=context.window, model=context.model)
    monkeypatch.setattr(labels.load, "ask_store", lambda _, window: counts(window.start, window.end, window.as_of or clock))
    arrived = labels.page_label_completion(here, min(clock, context.window.end))
    assert labels.label_delay_sentence(arrived).startswith("95 % of the labels of a day arrive within 3 days; ")
    days = labels.label_maturity_by_day(labels.page_label_completion(here, clock), here, arrived)
    coming = (days["final"] * days["served"]).sum() - days["labelled"].sum()
    assert coming == pytest.approx(0 if later else SERVED * (0.7 + 0.3))
    assert days["complete_by"].iloc[-1] == (context.window.end + 2 * DAY).date().isoformat()


def test_without_a_past_nothing_is_projected() -> None:
    context = context_for(None)
    now = counts(context.window.start, context.window.end, context.window.end)
    of = label_maturity.label_completion({"current_counts": now}, context)
    assert labels.label_maturity_by_day(of, SimpleNamespace(window=context.window)).empty and of.days_until_complete() is None


def test_annotators_are_drawn_beside_the_others_with_the_values_of_the_findings() -> None:
    rng = np.random.default_rng(3)
    rows = labelled(a_day=16)
    mine = (rows["annotator"] == "c") & (rows["at"] >= START)
    rows.loc[mine, "label"] = rng.integers(0, 3, int(mine.sum()))
    found = said(rows)
    people = labels.annotator_agreement_frame(found)
    (odd,) = [each for each in found if each.subject == "annotator=c"]
    first = people.iloc[0]
    assert set(people["annotator"]) == {"a", "b", "c", "d"} and (first["annotator"], first["severity"]) == ("c", "act")
    assert (first["value"], first["low"], first["high"], first["n"], first["others"]) == (
        odd.value,
        odd.low,
        odd.high,
        odd.n,
        odd.evidence["baseline"],
    )
    assert people["severity"].isna().sum() == 3 and (people["value"] - people["others"]).is_monotonic_increasing
    others, fine, act = charts_labels.annotator_dots(people).data
    assert sorted(others.x) == sorted(people["others"]) and list(act.x) == [first["value"]] and len(fine.x) == 3
    assert list(act.y) == [3], "the largest shortfall is at the top"
    calm = labels.annotator_agreement_frame(said(labelled(a_day=16)))
    assert len(calm) == 4 and calm["severity"].isna().all() and len(charts_labels.annotator_dots(calm).data) == 2
    assert labels.annotator_agreement_frame(said(labelled(people="ab"))).empty
