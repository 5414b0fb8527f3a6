"""The part of serving/performance about labels finds labels that stopped, and predicts when the missing labels will arrive, for any usual
delay.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.finding import Finding
from observability.metrics import label_maturity
from tests.support.analyzer_worlds import context_for

DAY = timedelta(days=1)
SERVED = 200


def counted(
    first: datetime, last: datetime, known: datetime, late: float, stop: datetime | None, *, spread: float = 0.3, lost=lambda day: 0.0
) -> pd.DataFrame:
    """Served and labelled rows by day in [first, last), as known at an instant. Labels arrive about `late` days after a prediction; none
    arrive after `stop`, nor for the share `lost` of a day's predictions.
    """
    rows = []
    for day in pd.date_range(first, last - DAY, freq="D", tz=None if first.tzinfo else "UTC"):
        moment = day.to_pydatetime()
        rng = np.random.default_rng(int(moment.timestamp()))
        served = moment + rng.random(SERVED) * DAY
        arrives = served + np.maximum(rng.normal(late, spread * late + 1e-9, SERVED), 0.05) * DAY
        limit = min(known, stop) if stop else known
        labelled = int(((arrives <= limit) & (rng.random(SERVED) >= lost(moment))).sum())
        rows += [
            {"period": moment.replace(tzinfo=None), "label": 1, "n": labelled},
            {"period": moment.replace(tzinfo=None), "label": -1, "n": SERVED - labelled},
        ]
    return pd.DataFrame([row for row in rows if row["n"]])


def said(late: float, *, stopped_for: float | None = None, weeks: int = 8, lost=lambda back: 0.0) -> tuple[Finding, datetime]:
    """The finding about the labels of a window of seven days that ends now. lost: a function of the days before the end that returns the
    share of that day's labels that never arrive.
    """
    context = context_for(None)
    end, start = context.window.end, context.window.start

    def frame(*args) -> pd.DataFrame:
        return counted(*args, lost=lambda day: lost(int((end - day) / DAY)))

    stop = None if stopped_for is None else end - stopped_for * DAY
    begin = end - weeks * 7 * DAY
    frames = {
        "current_counts": frame(start, end, end, late, stop),
        "past_counts": frame(max(start - 28 * DAY, begin), start, end, late, stop),
    }
    for days in label_maturity.BEFORE:
        back = days * DAY
        frames[f"labels_{days}"] = frame(max(start - back, begin), end - back, end - back, late, stop)
        frames[f"past_labels_{days}"] = frame(max(start - 28 * DAY - back, begin), start - back, end - back, late, stop)
    base = context.undecided("serving/performance", "model", "label_maturity", 1400, "Some are labelled.", against="level")
    return label_maturity.label_arrival_finding(base, label_maturity.label_completion(frames, context), context), end


@pytest.mark.parametrize("late", [0.0, 2.0, 7.0, 20.0])
def test_labels_with_their_usual_delay_have_not_stopped(late: float) -> None:
    assert said(late)[0].severity == "unknown"


@pytest.mark.parametrize(("late", "days"), [(0.0, 4), (2.0, 4), (7.0, 4), (20.0, 9)])
def test_labels_that_stopped_are_an_act_dated_to_the_first_day_without(late: float, days: float) -> None:
    """If the delays of labels vary by weeks, certainty takes longer."""
    found, end = said(late, stopped_for=days)
    assert found.severity == "act" and found.subject == "model" and found.metric == "label_maturity" and found.likely_source == "label"
    assert found.onset is not None and abs(found.onset - (end - (days + late) * DAY)) <= (2 + 0.4 * late) * DAY
    assert "stopped" in found.because and "usually" in found.because


def test_two_days_without_labels_are_critical_if_labels_usually_arrive_at_once() -> None:
    assert said(0.0, stopped_for=2)[0].severity == "act"
    assert said(0.0, stopped_for=0.2)[0].severity == "unknown"


def test_the_expected_completion_date_is_based_on_past_label_delays() -> None:
    found, end = said(7.0)
    by = datetime.fromisoformat(found.evidence["complete_by"]).replace(tzinfo=UTC)
    assert 6 * DAY <= by - end <= 13 * DAY and "95 % of the usual labels are expected by" in found.because


def test_without_a_past_no_completion_date_is_stated() -> None:
    found, _ = said(2.0, weeks=1, stopped_for=4)
    assert found.severity == "unknown" and "complete_by" not in found.evidence


@pytest.mark.parametrize("late", [0.0, 2.0])
def test_fewer_labels_than_on_any_days_of_the_past_month_are_a_warning(late: float) -> None:
    found, end = said(late, lost=lambda back: 0.4 if back <= 6 else 0.02)
    assert found.severity == "watch" and found.likely_source == "label" and "Fewer labels than usual" in found.because
    assert found.onset is not None and abs(found.onset - (end - 6 * DAY)) <= DAY
    assert said(late, lost=lambda back: 0.1)[0].severity == "unknown"


def test_days_that_often_lack_labels_raise_no_alarm() -> None:
    """A third of the labels is missing on the newest two days, but also on two days of each earlier week."""
    assert said(0.0, lost=lambda back: 0.35 if back <= 2 else 0.0)[0].severity == "watch"
    assert said(0.0, lost=lambda back: 0.35 if back % 9 <= 2 else 0.0)[0].severity == "unknown"


@pytest.mark.parametrize(("late", "since"), [(0.0, 5), (0.0, 10), (7.0, 5), (7.0, 10), (20.0, 5)])
def test_a_lasting_lack_of_labels_is_not_its_own_baseline(late: float, since: int) -> None:
    """Two in five labels are lost on the latest days. These days do not count as usual, even if all of them are before the window."""
    age = round(late * 1.3)
    found, end = said(late, lost=lambda back: 0.4 if back <= since + age else 0.0)
    assert found.severity == "watch" and "Fewer labels than usual" in found.because, found.because
    assert found.onset is not None and abs(found.onset - (end - (since + age) * DAY)) <= (2 + 0.4 * late) * DAY
