"""A scope that is written into an address and read back is unchanged."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from observability.core.questions import Aggregate
from observability.core.time import naive_utc
from observability.core.window import Slice
from observability.dashboard import frame, links, load, load_findings, page_skeleton, scope, scope_bar
from observability.dashboard.instant_boxes import chosen_instant, day_and_time
from observability.dashboard.scope import Scope
from observability.monitoring import check_windows
from observability.monitoring.check import CheckReport
from observability.server import process_lock
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, words
from tests.support.dashboard_world import END, World, build


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2013-07-01", datetime(2013, 7, 1)),
        ("2013-07-01T06:30", datetime(2013, 7, 1, 6, 30)),
        ("2013-07-01T06:30:59Z", datetime(2013, 7, 1, 6, 30)),
        ("2013-07-01T06:00:00+02:00", datetime(2013, 7, 1, 4)),
        ("2013-07-01T06:00:00 02:00", datetime(2013, 7, 1, 4)),
        ("next week", None),
        ("", None),
    ],
)
def test_instants_in_an_address_are_parsed(written, instant) -> None:
    assert scope.parse_instant(written) == instant


def test_scope_parameters_round_trip_through_the_address() -> None:
    dates = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC))
    there = Scope("loan", "1", "dates", *dates, Slice((("a&b", "x=y"),)), "shadow")
    parameters = there.parameters()
    state = {**parameters, "from": scope.parse_instant(parameters["from"]), "to": scope.parse_instant(parameters["to"])}
    assert scope.scope_from_state(state) == there


def test_a_relative_window_stays_relative_and_the_default_is_left_out() -> None:
    assert Scope("loan").parameters() == {"model": "loan"}
    assert scope.scope_from_state({"model": "loan", "window": "Last 28 days", "from": datetime(2026, 1, 1)}) == Scope("loan", span="28d")


def test_version_slice_and_environment_are_dropped_for_another_model() -> None:
    here = Scope("loan", "1", "28d", slice=Slice((("sex", "F"),)), environment="shadow")
    assert here.about("price") == Scope("price", span="28d")
    assert here.about("loan") is here
    assert scope.scope_from_state({"version": "1", "slice": "sex=F", "environment": "shadow"}) == Scope()


def test_only_a_known_nonproduction_environment_is_read_from_the_address() -> None:
    read = [
        scope.scope_from_state({"model": "loan", "environment": each}).environment for each in ("shadow", "production", "reference", "x")
    ]
    assert read == ["shadow", None, None, None]


@pytest.fixture
def shadowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A separate world in which version 2 answers or fails in shadow, until a day before production ends."""
    found = build(tmp_path / "world")
    monkeypatch.setattr(process_lock, "current_store", lambda: found.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    line = {"kind": "prediction", "model": "loan", "version": "2", "environment": "shadow", "score": 0.125, "features": {"size": 2.5}}
    times = [END - timedelta(days=1, minutes=4 * step) for step in range(1, 301)]
    failed = [{"status": "error"} if step % 2 else {} for step in range(300)]
    land(found.store, [line | {"id": f"shadow-{n}", "at": times[n].isoformat()} | failed[n] for n in range(300)], tmp_path)
    yield found
    found.store.close()


def test_the_activity_of_a_model_is_its_part_of_the_activity_of_all_models(shadowed: World) -> None:
    seen = load.stream_activity()
    assert set(seen["model"]) == {model.name for model in load.catalog().models} and len(seen) > len(set(seen["model"]))
    for name in set(seen["model"]):
        assert load.model_activity(name).equals(seen[seen["model"] == name])
    assert load.model_activity("nobody").empty
    assert load.newest_record("loan", "shadow") == check_windows.newest_predictions(seen, "shadow")["loan"] < END
    assert check_windows.newest_predictions(seen, "shadow").keys() == {"loan"}


@pytest.mark.parametrize("span", ["7d", "1h", "live", "all"])
def test_the_windows_of_all_models_are_found_from_one_model_of_each_kind(
    shadowed: World, span: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, plain = [], load.window
    line = {"kind": "prediction", "version": "1", "score": 0.5, "features": {"x": 1.0}, "at": (END - timedelta(days=50)).isoformat()}
    land(shadowed.store, [line | {"model": f"old {place}", "id": f"old-{place}"} for place in range(4)], shadowed.store.home)
    monkeypatch.setattr(load, "window", lambda where, name: asked.append(name) or plain(where, name))
    chosen = Scope(span=span)
    models = load.scope_models(chosen)
    found = load.scope_window_spans(chosen)
    assert found == {(each.start, each.end) for each in (plain(chosen, name) for name in models)}
    assert sum(name.startswith("old ") for name in models) == 4 and sum(name.startswith("old ") for name in asked) == 1
    assert load.scope_window_spans(Scope("loan", span=span)) == {
        (each.start, each.end) for each in [plain(Scope("loan", span=span), "loan")]
    }


def test_pages_show_the_environment_that_is_chosen(shadowed: World) -> None:
    """The page shows the rows and the newest record of the environment, but no alert, because alerts belong to production. If a link names
    an unknown environment, the page says so.
    """
    there = Scope("loan", environment="shadow")
    window = load.window(there, "loan")
    assert window.environment == "shadow" and load.window(Scope("loan"), "loan").environment == "production"
    counted = [load.ask_store(Aggregate("predictions"), each)["n"].sum() for each in (window, load.window(Scope("loan"), "loan"))]
    assert counted[0] == 300 and counted[1] != 300
    assert {finding.version for finding in load_findings.findings_in_window(window)} == {"2", None}
    app = opened("model", model="loan", environment="shadow")
    box = next(each for each in app.selectbox if each.label == "Environment")
    assert (box.options, box.value) == (["shadow"], "shadow") and "Newest record in shadow" in words(app)
    box.set_value(None).run()
    assert app.session_state["environment"] is None and "Newest record in shadow" not in words(app)
    other = next(each for each in app.selectbox if each.label == "Model")
    other.select("price").run()
    assert "Environment" not in [each.label for each in app.selectbox], (
        "the model `price` has only production records, so there is no box for the environment"
    )
    unread = words(opened("model", model="price", environment="shadow"))
    assert "The link names the environment shadow, in which this model has no predictions; production is shown." in unread


def test_an_incident_of_another_environment_offers_no_actions(shadowed: World) -> None:
    """Actions on an alert silence production. An incident of a shadow has no alert, so it offers no action."""
    found = load_findings.scope_report(Scope("loan", environment="shadow")).incidents
    assert found, "half of the shadow's requests fail, so there is an incident"
    page = opened("incident", model="loan", environment="shadow", id=found[0].id)
    assert "Alerts and what people say about them are about production." in words(page)
    assert not [each for each in page.button if each.label in ("Add comment", "Acknowledge")]


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Europe/Berlin", "In your time zone: 9 Mar 2026 01:00 to 16 Mar 2026 01:00. Charts by day count UTC days."),
        ("America/New_York", "In your time zone: 8 Mar 2026 20:00 to 15 Mar 2026 20:00. Charts by day count UTC days."),
        ("Africa/Abidjan", None),
    ],
)
def test_the_dates_are_shown_in_the_viewers_time_zone(zone: str, said: str | None) -> None:
    dates = (datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC))
    assert scope_bar.dates_in_zone(dates, ZoneInfo(zone)) == said


def test_addresses_are_relative_and_encoded() -> None:
    assert links.page_address("health") == "./?home=1"
    assert links.page_address("drift", Scope("a b&c"), feature="<x>") == "./drift?model=a%20b%26c&feature=%3Cx%3E"


def test_every_page_has_a_name_of_its_own() -> None:
    assert {"health", "model", "findings", "quality", "drift", "performance", "store", "add_model"} <= set(links.page_files())


def test_a_link_of_the_browser_leads_to_known_pages_only(monkeypatch) -> None:
    went = []
    monkeypatch.setattr(links.st, "switch_page", lambda page, **_: went.append(page))
    links.follow_link({"page": "../../etc/passwd", "parameters": {"model": "x"}})
    links.follow_link({"parameters": None})
    assert went == []
    links.follow_link({"page": "drift", "parameters": {"model": "x"}})
    assert went == [str(links.page_files()["drift"])]


def test_a_relative_window_has_whole_days_and_includes_the_current_day(current, monkeypatch) -> None:
    instant = END - timedelta(days=1, hours=9, minutes=25)
    monkeypatch.setattr(load, "page_clock", lambda: instant)
    for span, days in (("7d", 7), ("28d", 28)):
        found = load.window(Scope("loan", span=span), "loan")
        assert (found.start, found.end) == (END - timedelta(days=1 + days), END - timedelta(days=1))
    monkeypatch.setattr(load, "page_clock", lambda: END)
    assert load.window(Scope("loan"), "loan").end == END


def test_a_model_page_defaults_to_the_model_that_needs_action_most_and_then_to_the_last_chosen(current: World) -> None:
    """If nobody chose a model, the page says which model it shows, why, and how to change it. If one was chosen, it says nothing."""
    app = opened("drift", window="Everything")
    assert app.session_state["model"] == "price" and "price is the model that needs action most" in words(app)
    box = next(each for each in app.selectbox if each.label == "Model")
    box.select("loan").run()
    assert "This page is about one model" not in words(app) and app.session_state["model"] == "loan"
    next(each for each in app.selectbox if each.label == "Model").set_value(None).run()
    assert app.session_state["model"] == "loan" and "loan is the model you looked at last" in words(app)
    fleet = opened("findings", window="Everything")
    assert fleet.session_state["model"] is None, "a page about the fleet selects no model"


def test_a_page_shows_its_skeleton_before_all_findings_are_computed(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: without a chosen model the scope bar computes all findings, and the page stayed blank until then."""
    computed, waiting = load_findings.scope_report, list[bool]()

    def report(scope: Scope) -> CheckReport:
        waiting.append(page_skeleton.PAGE_BLOCK.get() is not None)
        return computed(scope)

    monkeypatch.setattr(load_findings, "scope_report", report)
    app = opened("drift", window="Everything")
    assert waiting[0], "the skeleton is drawn first"
    assert "Records are being analyzed" not in words(app) and not app.get("skeleton"), (
        "the skeleton and the note disappear when the page is complete"
    )
    waiting.clear()
    next(each for each in app.selectbox if each.label == "Model").set_value(None).run()
    assert not any(waiting), "a rerun of the page draws no skeleton"


def test_windows_of_hours_end_with_the_hour_of_the_newest_record(current, monkeypatch) -> None:
    newest = load.newest_record("loan")
    assert newest is not None
    for clock, last in ((END, END), (END + timedelta(days=400), newest.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))):
        monkeypatch.setattr(load, "page_clock", lambda clock=clock: clock)
        for span, hours in (("1h", 1), ("24h", 24)):
            found = load.window(Scope("loan", span=span), "loan")
            assert (found.start, found.end) == (last - timedelta(hours=hours), last), (clock, span)
    assert load.previous_window(found) == found.past(1)


def test_the_preset_windows_have_the_lengths_of_their_names(current) -> None:
    lengths = {span: load.window(Scope("loan", span=span), "loan").days for span in scope.DAYS}
    assert lengths == {"live": pytest.approx(1 / 24), "1h": pytest.approx(1 / 24), "24h": 1, "7d": 7, "28d": 28, "90d": 90, "1y": 365}


def test_the_time_range_says_its_dates_and_moves_by_its_own_length(current: World) -> None:
    """The time range comes from a link, from the arrows, or from chosen dates. The date boxes start with the dates that were shown."""
    app = opened("drift", model="loan", window="28d")
    label = app.get("popover")[0].proto.popover.label
    assert label.startswith("Last 28 days"), label
    start = load.window(Scope("loan", span="28d"), "loan").start
    app.button(key="earlier").click().run()
    assert app.session_state["window"] == "Chosen dates" and app.session_state["to"] == naive_utc(start)
    assert app.session_state["from"] == naive_utc(start - timedelta(days=28))
    app.button(key="later").click().run()
    app.button(key="zoom-out").click().run()
    assert app.session_state["to"] - app.session_state["from"] == timedelta(days=56)
    app.button(key="preset-7d").click().run()
    assert app.session_state["window"] is None and app.get("popover")[0].proto.popover.label.startswith("Last 7 days")
    shown = {each.label: each.value for each in app.date_input}
    assert shown["To (UTC)"] == (END - timedelta(days=1)).date(), "the box shows the last day of the window, which is included"
    next(each for each in app.date_input if each.label == "From (UTC)").set_value((END - timedelta(days=3)).date()).run()
    assert (app.session_state["from"], app.session_state["to"]) == (naive_utc(END - timedelta(days=3)), naive_utc(END))


@pytest.mark.parametrize("window", ["7d", "28d"])
def test_two_dates_changed_before_a_rerun_are_both_applied(window: str, current: World) -> None:
    """Regression: the new second date was combined with the old first date, so valid dates gave a window that ends before it starts."""
    app = opened("drift", model="loan", window=window)
    for label, days in (("From (UTC)", 60), ("To (UTC)", 40)):
        next(each for each in app.date_input if each.label == label).set_value((END - timedelta(days=days)).date())
    app.run()
    assert app.session_state["from"] == naive_utc(END - timedelta(days=60))
    assert app.session_state["to"] == naive_utc(END - timedelta(days=39)), "the last day is included"


@pytest.mark.parametrize("key", ["from", "to"])
def test_a_single_chosen_date_makes_a_window_of_the_chosen_length(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the models have different windows, no date is shown. Choosing the first date gives a window of the chosen length, not everything
    before or after that date.
    """
    made: list[object] = []
    monkeypatch.setattr(scope_bar, "set_dates", lambda *dates: made.append(dates))
    day, week = datetime(2013, 6, 24, tzinfo=UTC), timedelta(days=7)
    for length in (week, None):
        scope_bar.change_date(key, None, None, length, day)
    window, open_range = ((day, day + week), (day, None)) if key == "from" else ((day - week, day), (None, day))
    assert made == [window, open_range]
    scope_bar.change_date(key, day + 8 * week, day + 9 * week, week, day)
    scope_bar.change_date(key, day - 9 * week, day - 8 * week, week, day)
    far, near = made[-2:] if key == "from" else made[:-3:-1]
    assert far == window, "the window moves with its length and does not span the months between"
    assert near == ((day, day - 8 * week) if key == "from" else (day + 8 * week, day)), (
        "a range that ends before it starts is kept, so that the page can report it"
    )
    scope_bar.change_date(key, day, day, week, None)
    assert made[-1] == ((None, day) if key == "from" else (day, None)), "a removed date stays empty"


def test_a_day_that_is_picked_as_the_end_is_included() -> None:
    """Regression: 30 June as `To` meant 00:00 of that day, so 30 June was left out."""
    june, hour = date(2013, 6, 30), time(14)
    assert chosen_instant(june, None, ends=True) == datetime(2013, 7, 1, tzinfo=UTC)
    assert chosen_instant(june, None) == datetime(2013, 6, 30, tzinfo=UTC)
    assert chosen_instant(june, hour, ends=True) == chosen_instant(june, hour) == datetime(2013, 6, 30, 14, tzinfo=UTC)
    assert chosen_instant(None, hour, ends=True) is None
    for ends in (True, False):
        for day, at in ((june, None), (june, hour)):
            instant = chosen_instant(day, at, ends=ends)
            assert instant is not None and day_and_time(instant, ends=ends) == (day, at), "the boxes show what was picked"


def test_the_calendar_opens_where_the_records_end(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: if the windows of the models differed, the calendar opened in the current month, although the newest record was years
    old.
    """
    monkeypatch.setattr(load, "page_clock", lambda: END + timedelta(days=4000))
    app = opened("health", window="Last 24 hours")
    boxes = [each for each in app.date_input if each.label in ("From (UTC)", "To (UTC)")]
    end = max(load.window(Scope(span="24h"), model.name).end for model in load.catalog().models)
    assert [each.value for each in boxes] == [None, None]
    assert {each.max for each in boxes} == {day_and_time(end, ends=True)[0]}


def test_another_page_keeps_the_time_range(current: World) -> None:
    app = opened("drift", model="loan", window="28d")
    app.switch_page(str(links.page_files()["fairness"])).run()
    assert app.session_state["window"] == "Last 28 days"


@pytest.mark.parametrize(("start", "end"), [("1960-01-01", "2026-03-02"), ("0001-01-01", "9999-12-31"), ("2026-03-02", "2026-03-01")])
def test_dates_out_of_range_show_a_message_and_break_no_page(start: str, end: str, current: World) -> None:
    app = opened("store", model="loan", **{"from": start, "to": end})
    assert app.title[0].value == "Store"
    assert app.button(key="earlier").disabled and not any(each.key == "zoom-out" for each in app.button)


def test_a_link_that_moves_with_its_records_says_so() -> None:
    """A link with `Last 7 days` shows other days when it is opened later."""
    assert "counted from when the link is opened" in frame.link_words(Scope(span="7d"), None)
    assert frame.link_words(Scope(span="dates", start=END, end=END), None) == "Opens this view."
