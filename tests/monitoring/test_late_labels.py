"""The newest days whose labels are complete."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd

from observability.core.window import Window
from observability.monitoring.late_labels import newest_labelled_window, with_analyzed_dates
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.replay import FaultScenario, ReplayLab
from tests.support.simulation_world import credit

END = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window("m", END - 7 * DAY, END, as_of=END)


def world(share_by_age, days=40, served=100):
    """A store of answers; share_by_age gives the labelled share of a day by the number of days before the end (1: the last day)."""

    def ask(question, window):
        lines = []
        for age in range(days, 0, -1):
            known = round(served * share_by_age(age))
            period = (END - age * DAY).replace(tzinfo=None)
            lines += [{"period": period, "label": -1, "n": served - known}, {"period": period, "label": 1, "n": known}]
        frame = pd.DataFrame(lines, columns=["period", "label", "n"])
        inside = (frame["period"] >= window.start.replace(tzinfo=None)) & (frame["period"] < window.end.replace(tzinfo=None))
        return frame[inside & (frame["n"] > 0)]

    return ask


def test_a_window_with_all_its_labels_is_not_moved() -> None:
    assert newest_labelled_window(world(lambda age: 1.0), WINDOW) is None
    assert newest_labelled_window(world(lambda age: 0.3), WINDOW) is None


def test_late_labels_move_the_window_back() -> None:
    found = newest_labelled_window(world(lambda age: float(age > 10)), WINDOW)
    assert found == replace(WINDOW, start=END - 17 * DAY, end=END - 10 * DAY)
    partly = newest_labelled_window(world(lambda age: 0.9 if age > 12 else 0.5), WINDOW)
    assert partly is not None and partly.end == END - 12 * DAY


def test_a_window_with_most_of_its_labels_is_used_unchanged() -> None:
    assert newest_labelled_window(world(lambda age: float(age > 2)), WINDOW) is None  # only 5 of the 7 days are complete
    found = newest_labelled_window(world(lambda age: float(age > 3)), WINDOW)
    assert found is not None and found.end == END - 3 * DAY


def test_without_labels_no_earlier_window_is_found() -> None:
    assert newest_labelled_window(world(lambda age: 0.0), WINDOW) is None
    assert newest_labelled_window(world(lambda age: float(age > 10), served=2), WINDOW) is None
    assert newest_labelled_window(world(lambda age: 1.0, days=0), WINDOW) is None


def test_a_fall_that_only_late_labels_show_is_reported_with_its_days() -> None:
    stream = CleanStream(credit(reference_rows=2000), seed=1, past=21, days=11, rows_a_day=600, label_delay=7)
    scenario = FaultScenario(stream, fault_targets(stream.base, 1), FAULTS["concept_drift"], "strong")
    (day,) = ReplayLab.of(stream).judge(scenario, "counts", first=11)
    found = [each for each in day.findings if each.analyzer == "serving/calibration"]
    late = [each for each in found if each.end == day.end - 7 * DAY]
    assert "act" in {each.severity for each in late}
    assert all(each.because.endswith("the newest days with complete labels.") for each in late)
    assert {each.severity for each in found if each.end == day.end} == {"unknown"}
    assert {each.end for each in day.findings if each.analyzer == "serving/performance"} == {day.end}


def test_the_sentence_names_the_analyzed_dates() -> None:
    stream = CleanStream(credit(reference_rows=500), seed=1, past=15, days=1, rows_a_day=100)
    (day,) = ReplayLab.of(stream).judge(FaultScenario(stream, fault_targets(stream.base, 1)), "counts")
    one = replace(day.findings[0], because="So.", start=END - 7 * DAY, end=END)
    assert with_analyzed_dates(one).because == "So. Analyzed dates: 24 Apr to 30 Apr, the newest days with complete labels."
    assert with_analyzed_dates(replace(one, start=END - DAY)).because == "So. Analyzed dates: 30 Apr, the newest days with complete labels."
