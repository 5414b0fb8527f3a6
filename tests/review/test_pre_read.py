"""The pre-read of a review: the agenda as text, queued once, on the evening before the meeting."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from observability.alerts import alert_log
from observability.alerts.config import FILE, AlertConfig, read_alert_config
from observability.core.errors import UsageError
from observability.review import pre_read
from observability.review.agenda import Item
from observability.store.opener import open_store
from tests.support.commanding import Command
from tests.support.new_store import new_store

WEEK = "2026-W09"
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
"""The day after the week."""
DRIFT = Item(
    "i1", "incident", "`km` moved; 3 columns with it", "act", "new", 0.5, "eta", ("New this week.", "Half of all predictions.", "A third.")
)
OTHER = Item("i2", "incident", "Latency rose", "watch", "worse", 0.1, "loan", also=({"model": "price"},))


def body(*items: Item, promises: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """The figures of a frozen week without findings."""
    start = (MONDAY - timedelta(days=7)).isoformat()
    agenda = [asdict(item) for item in items]
    return {
        "review": WEEK,
        "week": WEEK,
        "start": start,
        "end": MONDAY.isoformat(),
        "models": [],
        "agenda": agenda,
        "promises": list(promises),
    }


def frozen(home: Path, *items: Item) -> Any:
    """A store with a frozen week, written as a record."""
    store = open_store(home)
    store.write_records(
        [
            {
                "kind": "review",
                "review": WEEK,
                "week": WEEK,
                "at": MONDAY + timedelta(hours=7),
                "author": "the dashboard",
                "body": body(*items),
            }
        ]
    )
    return store


def test_the_text_names_state_models_reasons_links_and_open_actions() -> None:
    promise = {
        "action": "a1",
        "text": "Fix the `km` feed",
        "owner": "bob",
        "due": "2026-03-09T00:00:00+00:00",
        "overdue": True,
        "state": "open",
        "moved": None,
    }
    text = pre_read.agenda_text(body(promises=(promise,)), pre_read.Arranged((DRIFT, OTHER), (OTHER,)), {}, "https://m.example")[0]
    assert text.splitlines() == [
        "Model review, week 2026-W09 (23 Feb to 1 Mar 2026, UTC): 2 items on the agenda.",
        "",
        "1. Critical: eta: km moved; 3 columns with it",
        "   New this week.",
        "   Half of all predictions.",
        "   https://m.example/review?review=2026-W09&step=agenda&item=i1",
        "",
        "2. Warning: loan, price: Latency rose",
        "   https://m.example/review?review=2026-W09&step=agenda&item=i2",
        "",
        "1 item below the agenda.",
        "",
        "Actions of earlier weeks:",
        "- Fix the km feed (bob, due 9 Mar 2026 (overdue), assigned)",
        "",
        "https://m.example/review?review=2026-W09",
    ]
    later = {"a1": {**promise, "state": "done", "overdue": False}}
    assert "(bob, due 9 Mar 2026, done)" in pre_read.agenda_text(body(promises=(promise,)), pre_read.Arranged((), ()), later)[0]
    assert "Nothing needs action this week." in pre_read.agenda_text(body(), pre_read.Arranged((), ()), {})[0]


@pytest.mark.parametrize(
    ("meeting", "at", "due"),
    [
        ("tuesday", MONDAY + timedelta(hours=16, minutes=59), False),
        ("tuesday", MONDAY + timedelta(hours=17), True),
        ("tuesday", MONDAY + timedelta(hours=22, minutes=59), True),
        ("tuesday", MONDAY + timedelta(hours=23), False),
        ("sunday", MONDAY + timedelta(days=5, hours=18), True),
        ("monday", MONDAY + timedelta(hours=7), True),
        ("monday", MONDAY - timedelta(hours=5), False),
    ],
)
def test_the_pre_read_is_due_on_the_evening_before_the_meeting_in_the_configured_zone(meeting: str, at: datetime, due: bool) -> None:
    config = AlertConfig(zone=ZoneInfo("Europe/Paris"), pre_read=("team",), meeting=meeting)
    assert pre_read.pre_read_is_due(config, at) is due


def test_the_pre_read_is_queued_once_for_each_channel_and_only_after_the_week_is_frozen(tmp_path: Path) -> None:
    config = AlertConfig(channels={"team": "json://x", "head": "json://y"}, pre_read=("team", "head"), meeting="tuesday")
    evening = MONDAY + timedelta(hours=18)
    with new_store(tmp_path / "empty") as store:
        assert pre_read.queue_pre_read(store, config, (), evening) == []
    with frozen(tmp_path / "home", DRIFT) as store:
        assert pre_read.queue_pre_read(store, config, (), MONDAY + timedelta(hours=9)) == []
        keys = pre_read.queue_pre_read(store, config, (), evening)
        assert keys == ["pre-read-2026-W09-team", "pre-read-2026-W09-head"]
        messages = alert_log.messages_by_key(store)
        assert pre_read.queue_pre_read(store, config, messages, evening + timedelta(minutes=1)) == []
        assert messages[keys[0]].title == "Pre-read: model review 2026-W09" and "1. Critical: eta: km moved" in messages[keys[0]].text


def test_the_command_prints_the_pre_read_and_sends_it_to_channels(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    frozen(home, DRIFT).close()
    (home / FILE).write_text('[channels]\nteam = "json://127.0.0.1:9/x"\n', encoding="utf-8")
    done = command(home, "review", "--week", WEEK, "--pre-read", "--to", "team")
    assert done.code == 0 and "1. Critical: eta: km moved" in done.out and "The pre-read is queued for team" in done.out
    assert "was sent to team before" in command(home, "review", "--week", WEEK, "--pre-read", "--to", "team").out
    with open_store(home) as store:
        assert set(alert_log.messages_by_key(store)) == {"pre-read-2026-W09-team"}
    assert "unknown channel" in command(home, "review", "--week", WEEK, "--pre-read", "--to", "nobody").error
    assert "Add --pre-read" in command(home, "review", "--week", WEEK, "--to", "team").error


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ('meeting = "someday"', "unknown day"),
        ("hour = 24", "0 to 23"),
        ('pre_read = ["nobody"]', "unknown channel"),
        ('day = "monday"', "unknown setting"),
    ],
)
def test_wrong_tracker_settings_are_refused_with_the_expected_value(tmp_path: Path, lines: str, wrong: str) -> None:
    (tmp_path / FILE).write_text(f"[review]\n{lines}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=wrong):
        read_alert_config(tmp_path)
