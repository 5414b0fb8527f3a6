"""data/quality: volume, silence and freshness of a stream are judged correctly, even at night, at weekends and in the first weeks."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.settings import ModelSettings
from observability.core.window import Window
from tests.support.analyzer_worlds import START, context_for
from tests.support.quality_world import (
    arrival_quality,
    live_stream,
    quality_findings,
)


def test_a_steady_stream_is_ok_and_its_nights_are_not_silences() -> None:
    said = arrival_quality(live_stream(7, 40), live_stream(28, 41, START - timedelta(days=28)))
    assert {metric: each.severity for metric, each in said.items() if metric != "judged"} == {
        "volume": "ok", "silence_hours": "ok", "freshness_hours": "ok",
    }  # fmt: skip
    volume = said["volume"]
    assert volume.version is None and volume.value == len(live_stream(7, 40)) and volume.low <= volume.value <= volume.high
    history = live_stream(28, 41, START - timedelta(days=28))["at"]
    assert volume.evidence["expected"] == pytest.approx(len(history) / 4), (
        "the expectation is the mean of the four weeks before, by hour of the week"
    )
    hour = next(each for each in volume.evidence["by_hour"] if each[0] == "2026-03-04T14:00:00Z")
    same = [pd.Timestamp("2026-03-04T14:00Z") - pd.Timedelta(weeks=k) for k in (1, 2, 3, 4)]
    assert hour[2] == pytest.approx(np.mean([(history.dt.floor("h") == each).sum() for each in same]), abs=0.01)
    assert hour[3] <= hour[2] <= hour[4]


def test_half_the_volume_is_named_with_its_first_day() -> None:
    current = live_stream(7, 42)
    half = current[(current["at"] < START + timedelta(days=2)) | (np.arange(len(current)) % 2 == 0)]
    said = arrival_quality(half, live_stream(28, 43, START - timedelta(days=28)))["volume"]
    assert said.severity in ("watch", "act") and said.likely_source == "system" and "fewer than" in said.because
    assert said.onset == START + timedelta(days=2)
    whole = arrival_quality(current[::2], live_stream(28, 43, START - timedelta(days=28)))["volume"]
    assert whole.severity == "act" and whole.rank > 5


def test_a_fall_on_the_last_day_alone_is_named() -> None:
    current = live_stream(7, 44)
    kept = current[(current["at"] < START + timedelta(days=6)) | (np.arange(len(current)) % 3 == 0)]
    said = arrival_quality(kept, live_stream(28, 45, START - timedelta(days=28)))["volume"]
    assert said.severity == "act" and "in the last 24 hours" in said.because


def test_a_day_at_half_volume_is_a_warning_and_a_single_hour_is_unknown() -> None:
    history = live_stream(28, 45, START - timedelta(days=28))
    kept = live_stream(7, 44)
    kept = kept[(kept["at"] < START + timedelta(days=6)) | (np.arange(len(kept)) % 2 == 0)]
    said = arrival_quality(kept, history)["volume"]
    assert said.severity == "watch" and "in the last 24 hours" in said.because
    short = arrival_quality(kept.iloc[:3], history, now=START + timedelta(minutes=40))
    assert short["volume"].severity == "unknown" and "no completed hour" in short["volume"].because


def test_a_doubled_volume_is_a_warning() -> None:
    twice = pd.concat([live_stream(7, 46), live_stream(7, 47)])
    said = arrival_quality(twice, live_stream(28, 48, START - timedelta(days=28)))["volume"]
    assert said.severity == "watch" and "more than" in said.because


def test_a_silence_of_thirty_hours_is_named() -> None:
    current, history = live_stream(7, 50), live_stream(28, 51, START - timedelta(days=28))
    begin = START + timedelta(days=2, hours=9)
    kept = current[(current["at"] < begin) | (current["at"] >= begin + timedelta(hours=30))]
    said = arrival_quality(kept, history)["silence_hours"]
    assert said.severity == "act" and said.value == pytest.approx(30, abs=1) and said.rank == 8
    assert said.onset == begin and said.likely_source == "system"
    gone = len(current) - len(kept)
    assert said.evidence["expected"] == pytest.approx(gone, rel=0.2)


def test_a_model_that_stopped_receiving_predictions_is_critical() -> None:
    current, history = live_stream(7, 52), live_stream(28, 53, START - timedelta(days=28))
    end = START + timedelta(days=3, hours=12)
    said = arrival_quality(current[current["at"] < end], history, now=end + timedelta(hours=9))
    assert said["silence_hours"].severity == said["freshness_hours"].severity == "act"
    assert "up to now" in said["silence_hours"].because
    assert said["freshness_hours"].value == 9.0
    soon = arrival_quality(current[current["at"] < end], history, now=end + timedelta(hours=2))
    assert soon["silence_hours"].severity == soon["freshness_hours"].severity == "ok"
    gone = arrival_quality(current.iloc[:0], history)
    assert gone["silence_hours"].severity == gone["volume"].severity == "act"
    assert gone["freshness_hours"].value >= 7 * 24


def test_hours_after_now_are_not_missing() -> None:
    current, history = live_stream(7, 54), live_stream(28, 55, START - timedelta(days=28))
    now = START + timedelta(days=3, hours=14, minutes=25)
    said = arrival_quality(current[current["at"] < now], history, now=now)
    assert {said[each].severity for each in ("volume", "silence_hours", "freshness_hours")} == {"ok"}
    assert "86 whole hours" in said["volume"].because


def test_windows_need_not_begin_on_an_hour() -> None:
    both = live_stream(36, 56, START - timedelta(days=28))
    start = START + timedelta(hours=7, minutes=40)
    context = context_for(None, task="regression")
    window = Window("loan", start, start + timedelta(days=7), version="1")
    context = replace(context, window=window, now=window.end)
    current, past = (both[(both["at"] >= a) & (both["at"] < b)] for a, b in ((start, window.end), (start - timedelta(days=28), start)))
    said = {each.metric: each for each in quality_findings(context, current, None, history=past)}
    assert {said[each].severity for each in ("volume", "silence_hours", "freshness_hours")} == {"ok"}
    assert said["volume"].value == ((both["at"] >= START + timedelta(hours=8)) & (both["at"] < START + timedelta(days=7, hours=7))).sum()


def test_the_first_weeks_of_a_model_never_alarm() -> None:
    first = live_stream(7, 57)
    late = first[first["at"] >= START + timedelta(days=5)]
    said = arrival_quality(late, late.iloc[:0])
    assert {each.severity for each in said.values()} == {"unknown"}
    assert "about 14 more days" in said["volume"].because
    young = arrival_quality(first.iloc[:0], live_stream(9, 58, START - timedelta(days=9)))
    assert {each.severity for each in young.values()} == {"unknown"}
    assert "about 5 more days" in young["volume"].because


def test_a_slow_or_bursty_stream_is_not_called_silent() -> None:
    slow = pd.DataFrame({"at": pd.to_datetime([START - timedelta(days=27) + timedelta(hours=37 * i) for i in range(18)], utc=True)})
    said = arrival_quality(slow.iloc[:0], slow)
    assert {said[each].severity for each in ("volume", "silence_hours")} == {"unknown"} and said["freshness_hours"].severity != "act"
    rng = np.random.default_rng(59)
    loads = [START + timedelta(days=day, hours=int(rng.integers(0, 20))) for day in range(-28, 7)]
    batch = pd.DataFrame({"at": pd.to_datetime([at for at in loads for _ in range(500)], utc=True)})
    inside = batch["at"] >= START
    said = arrival_quality(batch[inside], batch[~inside])
    assert "act" not in {each.severity for each in said.values()}


def test_the_owner_may_state_how_fresh_predictions_must_be() -> None:
    current = live_stream(3, 60)
    now = START + timedelta(days=4)
    settings = ModelSettings(limits={"data/quality/freshness_hours": 6.0})
    said = arrival_quality(current, current.iloc[:0], now=now, settings=settings)["freshness_hours"]
    assert said.severity == "act" and said.against == "level" and said.limit == 6.0
    fresh = arrival_quality(current, current.iloc[:0], now=START + timedelta(days=3), settings=settings)["freshness_hours"]
    assert fresh.severity == "ok"
