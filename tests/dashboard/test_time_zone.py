"""Times are shown in UTC, or in the viewer's own time zone if the viewer chose it; days and addresses stay in UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import plotly.graph_objects as go
import pytest

from observability.dashboard import clicks, figure_capture, instant_boxes, palette, time_zone

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
SUMMER, WINTER = datetime(2013, 6, 30, 22, 30, tzinfo=UTC), datetime(2013, 1, 1, 3, 0, tzinfo=UTC)


class Browser:
    """The browser of a viewer: its time zone and its cookies, and the state of its session."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.context = SimpleNamespace(timezone=None, cookies={})
        self.state: dict[str, Any] = {}
        monkeypatch.setattr(time_zone, "st", SimpleNamespace(context=self.context, session_state=self.state))
        monkeypatch.setattr(clicks.st, "session_state", self.state)

    def opens(self, zone: str | None, *, own: bool = True) -> None:
        """Start a new session in a time zone; own: whether the viewer chose to see this zone before."""
        self.state.clear()
        self.context.timezone, self.context.cookies = zone, {time_zone.COOKIE: "%22own%22"} if own else {}


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    return Browser(monkeypatch)


@pytest.mark.parametrize(
    ("zone", "own", "summer", "winter", "title"),
    [
        (BERLIN, True, "1 Jul 2013 00:30 CEST", "1 Jan 2013 04:00 CET", "Berlin"),
        (NEW_YORK, True, "30 Jun 2013 18:30 EDT", "31 Dec 2012 22:00 EST", "New York"),
        ("America/Sao_Paulo", True, "30 Jun 2013 19:30 UTC-03", "1 Jan 2013 01:00 UTC-02", "Sao Paulo"),
        (BERLIN, False, "30 Jun 2013 22:30 UTC", "1 Jan 2013 03:00 UTC", "UTC"),
        ("Not/AZone", True, "30 Jun 2013 22:30 UTC", "1 Jan 2013 03:00 UTC", "UTC"),
        ("UTC", True, "30 Jun 2013 22:30 UTC", "1 Jan 2013 03:00 UTC", "UTC"),
        (None, True, "30 Jun 2013 22:30 UTC", "1 Jan 2013 03:00 UTC", "UTC"),
    ],
)
def test_a_time_is_shown_in_the_chosen_zone_with_its_name(
    browser: Browser, zone: str | None, own: bool, summer: str, winter: str, title: str
) -> None:
    browser.opens(zone, own=own)
    assert [time_zone.named_minute(instant) for instant in (SUMMER, WINTER)] == [summer, winter]
    assert time_zone.named_minute(pd.Timestamp(SUMMER).tz_localize(None)) == summer, (
        "a time without a zone, as the store returns it, is UTC"
    )
    assert time_zone.zone_titles([{"key": "at", "label": "When (UTC)"}, {"key": "n", "label": "Rows"}]) == [
        {"key": "at", "label": f"When ({title})"},
        {"key": "n", "label": "Rows"},
    ]


def test_the_table_of_a_chart_names_the_zone_of_the_columns_that_moved(browser: Browser) -> None:
    browser.opens(BERLIN)
    frame = pd.DataFrame(
        {"day": pd.to_datetime(["2013-07-01", "2013-07-02"]), "period": pd.to_datetime(["2013-07-01 01:00", "2013-07-01 02:00"])}
    )
    seen = time_zone.zoned_frame(frame)
    titles = time_zone.table_titles({"day": "Day (UTC)", "period": "When (UTC)", "gone": "Gone (UTC)"}, frame, seen)
    assert titles == {"day": "Day (UTC)", "period": "When (Berlin)"}
    assert seen["day"].equals(frame["day"]) and str(seen["period"].iloc[0]) == "2013-07-01 03:00:00"
    assert time_zone.zoned_second(SUMMER) == "2013-07-01 00:30:00"


@pytest.mark.parametrize("name", ["Europe", "America/Indiana", "x" * 300])
def test_an_unknown_zone_name_leaves_utc(browser: Browser, name: str) -> None:
    browser.opens(name)
    assert time_zone.shown_zone() is UTC


def test_the_zone_choice_is_written_to_the_browser_once_it_changes(browser: Browser) -> None:
    browser.opens(BERLIN)
    assert time_zone.changed_zone() is None
    time_zone.choose_zone(own=False)
    assert time_zone.shown_zone() is UTC and time_zone.changed_zone() == ""
    time_zone.choose_zone(own=True)
    assert palette.time_zone.changed_zone() == time_zone.OWN and str(time_zone.shown_zone()) == BERLIN


def test_figures_and_texts_made_for_others_use_utc(browser: Browser) -> None:
    browser.opens(BERLIN)
    token = figure_capture.COLLECTOR.set(figure_capture.FigureCollector(("traffic",)))
    shown = time_zone.named_minute(SUMMER)
    figure_capture.COLLECTOR.reset(token)
    assert (shown, time_zone.named_minute(SUMMER)) == ("30 Jun 2013 22:30 UTC", "1 Jul 2013 00:30 CEST")


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2013-06-24T00:00+00:00", "2013-07-01T00:00+00:00", "24 to 30 Jun 2013 UTC"),
        ("2013-06-23T22:00+00:00", "2013-06-30T22:00+00:00", "24 to 30 Jun 2013 CEST"),
        ("2013-06-24T10:00+00:00", "2013-06-24T11:00+00:00", "24 Jun 2013 12:00 to 13:00 CEST"),
    ],
)
def test_whole_utc_days_stay_utc_days(browser: Browser, start: str, end: str, words: str) -> None:
    browser.opens(BERLIN)
    assert time_zone.named_span(datetime.fromisoformat(start), datetime.fromisoformat(end)) == words


@pytest.mark.parametrize("zone", [ZoneInfo(BERLIN), ZoneInfo(NEW_YORK), UTC])
def test_date_boxes_show_the_local_day_and_return_the_same_instant(zone: Any) -> None:
    for instant in (SUMMER, datetime(2013, 3, 31, 22, tzinfo=UTC), datetime(2013, 6, 24, 4, tzinfo=UTC)):
        for ends in (True, False):
            day, at = instant_boxes.day_and_time(instant, ends=ends, zone=zone)
            assert instant_boxes.chosen_instant(day, at, ends=ends, zone=zone) == instant
    day, at = instant_boxes.day_and_time(datetime(2013, 6, 30, 22, tzinfo=UTC), ends=True, zone=ZoneInfo(BERLIN))
    assert (day.isoformat(), at) == ("2013-06-30", None), "midnight of Berlin ends its 30 June"
    assert instant_boxes.day_and_time(SUMMER) == (SUMMER.date(), time(22, 30))


def lined(times: Any, shape: str) -> go.Figure:
    """A line over the given times, with an event mark at one time."""
    figure = go.Figure()
    figure.add_scatter(x=times, y=list(range(len(times))))
    figure.add_vline(x=shape)
    return figure


def test_an_hourly_chart_uses_the_local_zone_and_a_selection_returns_utc(browser: Browser) -> None:
    browser.opens(BERLIN)
    hours = pd.Series(pd.date_range("2013-03-30T22:00", periods=6, freq="h"))
    figure = lined(hours, "2013-03-31T02:00")
    drawn = time_zone.zoned_figure(figure, "traffic")
    local = [f"{pd.Timestamp(at):%H:%M}" for at in drawn.data[0].x]
    assert local == ["23:00", "00:00", "01:00", "03:00", "04:00", "05:00"], "the clock goes forward at 01:00 UTC"
    assert pd.Timestamp(drawn.layout.shapes[0].x0) == pd.Timestamp("2013-03-31T04:00")
    assert drawn.layout.xaxis.title.text == "Berlin time" and figure.layout.xaxis.title.text is None, "the figure of the page is unchanged"
    picked: Mapping[str, Any] = {
        "points": [{"x": str(drawn.data[0].x[3]), "y": 3}],
        "box": [{"x": [str(drawn.data[0].x[1]), "2013-03-31 05:00"], "y": [0, 5]}],
    }
    browser.state["traffic"] = {"selection": picked}
    found = clicks.chart_selection("traffic")
    assert pd.Timestamp(found["points"][0]["x"]) == hours[3]
    assert clicks.box_select.dragged_dates(found, hours) == (
        datetime(2013, 3, 30, 23, tzinfo=UTC),
        datetime(2013, 3, 31, 3, tzinfo=UTC) + timedelta(hours=1),
    )


def test_a_chart_by_day_stays_in_utc_days_and_says_so(browser: Browser) -> None:
    browser.opens(NEW_YORK)
    days = pd.date_range("2013-06-24", periods=4)
    drawn = time_zone.zoned_figure(lined(days, "2013-06-25"), "days")
    assert list(pd.to_datetime(drawn.data[0].x)) == list(days) and drawn.layout.xaxis.title.text == "days in UTC"
    bars = go.Figure(go.Bar(x=["a", "b"], y=[1, 2]))
    assert time_zone.zoned_figure(bars, "bars") is bars
    browser.opens(NEW_YORK, own=False)
    figure = lined(days, "2013-06-25")
    assert time_zone.zoned_figure(figure, "days") is figure


def test_a_charts_table_shows_times_in_the_zone_and_days_in_utc(browser: Browser) -> None:
    frame = pd.DataFrame(
        {"period": pd.to_datetime(pd.Series(["2013-06-30T22:30", None])), "day": pd.to_datetime(["2013-06-30", "2013-07-01"]), "n": [1, 2]}
    )
    browser.opens(BERLIN)
    seen = time_zone.zoned_frame(frame)
    assert seen["period"][0] == pd.Timestamp("2013-07-01T00:30") and pd.isna(seen["period"][1])
    assert seen["day"].equals(frame["day"]) and frame["period"][0] == pd.Timestamp("2013-06-30T22:30"), "the CSV stays in UTC"
