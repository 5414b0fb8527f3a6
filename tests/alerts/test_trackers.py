"""Actions and decisions become issues of a tracker, once, in the fields that each vendor documents."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from observability.alerts import alert_log
from observability.alerts.config import FILE, AlertConfig, read_alert_config
from observability.alerts.delivery import deliver_messages
from observability.alerts.trackers import queue_issues
from observability.core.errors import UsageError
from observability.store.db.database import Database
from tests.support.fake_tracker import TOKEN, FakeTracker, serving_tracker
from tests.support.new_store import new_store

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROJECTS = {"github": 'project = "team/models"', "jira": 'project = "ML"\nuser = "ann@example.org"', "linear": 'project = "team-id"'}
IDS = {"github": "team/models#12", "jira": "ML-1", "linear": "ML-7"}
ACTION = {
    "kind": "action", "action": "a1", "at": NOW - timedelta(hours=2), "author": "ann", "text": "Fix the `km` feed\nIt is in miles.", "model": "eta",
    "owner": "bob", "due": NOW + timedelta(days=7), "metric": "mae", "goal": 20.5, "review": "2026-W09",
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    with new_store(tmp_path / "home") as opened:
        yield opened


@pytest.fixture(params=["github", "jira", "linear"])
def tracker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTracker]:
    monkeypatch.setenv("TRACKER_TOKEN", TOKEN)
    with serving_tracker(request.param) as serving:
        yield serving


def configured(store: Database, tracker: FakeTracker, more: str = "") -> AlertConfig:
    (store.home / FILE).write_text(
        f'[alerts]\ndashboard = "https://m.example"\n[trackers.issues]\nkind = "{tracker.kind}"\n{PROJECTS[tracker.kind]}\naddress = "{tracker.url}"\n'
        f'token_variable = "TRACKER_TOKEN"\nlabels = ["ml review"]\n{more}',
        encoding="utf-8",
    )
    return read_alert_config(store.home)


def queue(store: Database, config: AlertConfig, now: datetime = NOW) -> list[str]:
    return queue_issues(store, config.trackers, alert_log.messages_by_key(store).keys(), config.dashboard, now)


def test_an_action_becomes_one_issue_whose_id_is_kept(store: Database, tracker: FakeTracker) -> None:
    config = configured(store, tracker)
    old = {"kind": "action", "action": "a0", "at": NOW - timedelta(days=8), "author": "ann", "text": "long ago"}
    decision = {"kind": "decision", "decision": "d1", "at": NOW, "author": "ann", "statement": "Hold version 2"}
    store.write_records([ACTION, old, {**old, "action": "a2", "at": NOW, "state": "done"}, decision])
    assert queue(store, config) == ["issue-action-a1"]
    assert queue(store, config) == [], "once"
    assert deliver_messages(store, config, NOW) == 1
    assert deliver_messages(store, config, NOW + timedelta(days=1)) == 0
    assert len(tracker.issues) == 1
    issue = tracker.issues[0]
    title = issue.get("title") or issue.get("summary")
    said = str(issue.get("body") or issue.get("description"))
    assert title == "Fix the `km` feed"
    for part in (
        "It is in miles.",
        "Model: eta",
        "Owner: bob",
        "Due: 2026-03-09",
        "Target metric: mae, goal 20.5",
        "https://m.example/review?review=2026-W09",
    ):
        assert part in said, part
    assert (issue.get("duedate") or issue.get("dueDate")) == (None if tracker.kind == "github" else "2026-03-09")
    fields = next(item for item in store.actions() if item.id == "a1").fields
    assert (fields["issue"], fields["tracker"], fields["text"]) == (IDS[tracker.kind], "issues", ACTION["text"])
    assert fields["issue_url"].startswith("http") and fields["issue_url"].endswith(IDS[tracker.kind].rpartition("#")[2])
    assert queue(store, config) == []


def test_a_failed_tracker_request_is_retried_and_its_error_contains_no_token(store: Database, tracker: FakeTracker) -> None:
    config = configured(store, tracker)
    store.write_records([ACTION])
    queue(store, config)
    tracker.fail = [503]
    assert deliver_messages(store, config, NOW) == 0
    message = alert_log.messages_by_key(store)["issue-action-a1"]
    assert (message.state, message.error) == ("failed", "the tracker answered HTTP 503")
    assert deliver_messages(store, config, NOW + timedelta(minutes=2)) == 1 and len(tracker.issues) == 1


def test_an_issue_whose_answer_was_lost_is_found_and_not_made_again(store: Database, tracker: FakeTracker) -> None:
    config = configured(store, tracker)
    store.write_records([ACTION])
    queue(store, config)
    tracker.lose = 1
    assert deliver_messages(store, config, NOW) == 0 and len(tracker.issues) == 1
    assert deliver_messages(store, config, NOW + timedelta(minutes=2)) == 1 and len(tracker.issues) == 1
    assert next(iter(store.actions())).fields["issue"] == IDS[tracker.kind]


def test_decisions_are_sent_to_trackers_that_request_them_for_their_models_only(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_TOKEN", TOKEN)
    with serving_tracker("github") as tracker:
        config = configured(store, tracker, 'send = ["decisions"]\nmodels = ["eta"]\n')
        decision = {"kind": "decision", "at": NOW, "author": "ann", "statement": "Hold version 2", "decider": "bob"}
        store.write_records([ACTION, {**decision, "decision": "d1", "model": "eta"}, {**decision, "decision": "d2", "model": "loan"}])
        assert queue(store, config) == ["issue-decision-d1"]
        assert deliver_messages(store, config, NOW) == 1
        assert "Decided by: bob" in tracker.issues[0]["body"]
        assert {item.id: item.fields.get("issue") for item in store.decisions()} == {"d1": "team/models#12", "d2": None}


def test_nothing_is_sent_to_the_tracker_if_the_token_variable_is_unset(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKER_TOKEN", raising=False)
    with serving_tracker("github") as tracker:
        config = configured(store, tracker)
        store.write_records([ACTION])
        queue(store, config)
        assert deliver_messages(store, config, NOW) == 0 and tracker.seen == []
        assert "TRACKER_TOKEN holds no token" in str(alert_log.messages_by_key(store)["issue-action-a1"].error)


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ('kind = "gitlab"\nproject = "a/b"\ntoken = "x"', "github, jira or linear"),
        ('kind = "github"\nproject = "models"\ntoken = "x"', "owner/name"),
        ('kind = "jira"\nproject = "ML"\ntoken = "x"\nuser = "a"', "the address is not HTTPS"),
        ('kind = "jira"\nproject = "ML"\ntoken = "x"\nuser = "a"\naddress = "file://localhost/etc"', "the address is not HTTPS"),
        ('kind = "jira"\nproject = "ML"\ntoken = "x"\naddress = "https://a.example"', "account of the token"),
        ('kind = "linear"\nproject = "t"', "one token is needed"),
        ('kind = "linear"\nproject = "t"\ntoken = "x"\nsend = ["alerts"]', "actions, decisions"),
        ('kind = "linear"\nproject = "t"\ntoken = "x"\ncolour = "red"', "unknown setting"),
    ],
)
def test_wrong_tracker_settings_are_refused_with_the_expected_value(tmp_path: Path, lines: str, wrong: str) -> None:
    (tmp_path / FILE).write_text(f"[trackers.issues]\n{lines}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=wrong):
        read_alert_config(tmp_path)


def test_the_token_may_be_in_the_file_and_a_tracker_cannot_reuse_a_channel_name(tmp_path: Path) -> None:
    tracker: Any = '[trackers.issues]\nkind = "linear"\nproject = "t"\ntoken = "x"\n'
    (tmp_path / FILE).write_text(tracker, encoding="utf-8")
    assert read_alert_config(tmp_path).trackers["issues"].token == "x"
    (tmp_path / FILE).write_text(f'[channels]\nissues = "json://x"\n{tracker}', encoding="utf-8")
    with pytest.raises(UsageError, match="has the name of a channel"):
        read_alert_config(tmp_path)
