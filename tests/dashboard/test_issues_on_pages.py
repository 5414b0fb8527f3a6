"""Issue trackers are listed with the channels, and an action links to its issue."""

from tests.support.dashboard_pages import opened, tables
from tests.support.dashboard_world import END, World


def test_a_tracker_is_listed_among_the_channels_with_its_failures(current: World) -> None:
    settings = current.store.home / "alerts.toml"
    settings.write_text('[trackers.issues]\nkind = "linear"\nproject = "t"\ntoken_variable = "NO_TOKEN"\n', encoding="utf-8")
    message = {"kind": "message", "message": "issue-action-x", "at": END}
    try:
        current.store.write_records([{**message, "state": "queued", "channel": "issues", "title": "t", "text": "x"}])
        current.store.write_records([{**message, "state": "failed", "error": "the tracker answered HTTP 401"}])
        row = tables(opened("alerts"))["Channels"]["rows"][0]["cells"]
    finally:
        settings.unlink()
    assert (row["channel"]["t"], row["channel"]["sub"], row["for"]["t"]) == ("issues", "linear", "actions")
    assert (row["failed"]["t"], row["failed"]["sub"]) == ("1", "the tracker answered HTTP 401")


def test_an_action_links_to_its_issue_only_if_the_issue_is_a_web_address(current: World) -> None:
    action = {"kind": "action", "at": END, "author": "ann", "text": "Fix it"}
    issue = {"issue": "team/models#12", "issue_url": "https://github.com/team/models/issues/12", "tracker": "issues"}
    current.store.write_records(
        [
            {**action, "action": "i1", **issue},
            {**action, "action": "i2"},
            {**action, "action": "i3", **issue, "issue_url": "javascript:alert(1)"},
        ]
    )
    listed = next(data for caption, data in tables(opened("actions")).items() if caption.startswith("Action items"))
    cells = [row["cells"]["issue"] for row in listed["rows"] if row["cells"]["what"]["t"] == "Fix it"]
    assert [(cell["t"], cell.get("href")) for cell in cells] == [
        ("team/models#12", issue["issue_url"]), ("–", None), ("team/models#12", None),
    ]  # fmt: skip
