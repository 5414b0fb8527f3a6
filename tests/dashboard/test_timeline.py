"""The time line of each model has a mark for each change, placed at its time in the window."""

from dataclasses import replace
from datetime import timedelta

import pandas as pd

from observability.core.time import naive_utc
from observability.dashboard import load
from observability.dashboard.overview import model_status, timeline
from observability.dashboard.scope import Scope
from tests.support.dashboard_pages import opened, tables, words
from tests.support.dashboard_world import World
from tests.support.one_finding_incident import of_one


def test_timeline_marks_are_placed_by_time_and_events_outside_the_window_are_omitted(current: World) -> None:
    status = model_status.load_model_status(Scope(), load.catalog().model("loan"))
    window, week = status.window, timedelta(days=7)
    assert window.end - window.start == week
    deploy = pd.DataFrame(
        {"at": [pd.Timestamp(naive_utc(window.start + week / 2))], "what": ["deploy"], "text": ["Version 2 <b>goes</b> live"]}
    )
    inside, outside = (replace(of_one("loan", "`wind` is null."), onset=window.start + week * share) for share in (0.25, -0.1))
    versions = (
        replace(status.model.versions[0], registered_at=window.start),
        replace(status.model.versions[0], name="9", registered_at=window.end),
    )
    status = replace(status, events=deploy, incidents=(inside, outside), model=replace(status.model, versions=versions))
    (row,) = timeline.timeline_rows([status], Scope())
    marks = row["cells"]["marks"]["marks"]
    assert [(mark["x"], mark["shape"], mark["s"]) for mark in marks["of"]] == [
        (0.0, "square", None), (0.25, "circle", "watch"), (0.5, "triangle", None)
    ]  # fmt: skip
    assert marks["label"].count(" UTC: ") == 3 and "wind is null" in marks["label"]
    assert row["cells"]["counts"]["t"] == "1 version registered, 1 incident, 1 deploy"
    assert row["cells"]["model"]["go"]["page"] == "changes"
    status = replace(status, events=deploy.head(0), model=replace(status.model, versions=()))
    (row,) = timeline.timeline_rows([status], Scope())
    assert row["cells"]["counts"]["t"] == "1 incident" and row["cells"]["model"]["go"]["page"] == "incident", (
        "the link opens the incident, because Changes would be empty"
    )


def test_a_model_without_changes_has_no_timeline_and_an_empty_window_says_so(current: World) -> None:
    status = model_status.load_model_status(Scope(), load.catalog().model("loan"))
    quiet = replace(status, events=status.events.head(0), incidents=(), model=replace(status.model, versions=()))
    assert timeline.timeline_rows([quiet], Scope()) == []
    home = opened("health", window="Last hour")
    assert ("No deploy, registration" in words(home)) == ("Changes by model, on a time line" not in tables(home))
