"""The fifteen tasks of docs/tasks.md: for each, the steps from Home and the check that it is done."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
from playwright.sync_api import Locator

from observability.core.formatting import format_day, format_number, format_share
from observability.review.agenda import Item, arranged_agenda
from tests.browser.pages import tables, until
from tests.support import raw_rows
from tests.support.sample_home import ROOT
from tests.support.task_player import Player

EARLIER, WEEK = "2013-W51", "2013-W52"
"""The two weeks that were frozen before the meeting: the earlier one, and the one under review."""
OVERDUE, DONE = "Widen the planned minutes", "Retrain on the autumn"
"""Action items of the earlier week: one is overdue, the other is done."""
NAME, REASON, ACTION, OWNER = "Ann", "feed repaired on Monday", "Ask the weather service", "Bob"
Command = Callable[..., str]


@dataclass(frozen=True)
class Facts:
    """The facts of the store, by commands and from the raw rows of the sample. command: runs `python -m observability` on the store."""

    command: Command

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """All findings of the default window."""
        return list(json.loads(self.command("check", "--json")))

    @cached_property
    def review(self) -> dict[str, Any]:
        """The week under review, frozen."""
        return dict(json.loads(self.command("review", "--week", WEEK, "--json")))

    @cached_property
    def worst_case(self) -> str:
        """The id of the prediction with the largest error in the last week of the model employment."""
        rows = raw_rows.last_week(raw_rows.predictions("employment"))
        return str(rows.assign(error=(rows["score"] - rows["label"]).abs()).nlargest(1, "error")["id"].iloc[0])

    def critical(self, incident: str) -> dict[str, Any]:
        """The first critical finding with an onset in an incident. It is the incident's lead."""
        return next(each for each in self.findings if (each["incident"], each["severity"]) == (incident, "act") and each["onset"])

    def critical_incident(self, model: str) -> str:
        """The id of the incident with a model's first critical finding that has an onset."""
        return next(
            str(each["incident"]) for each in self.findings if (each["model"], each["severity"]) == (model, "act") and each["onset"]
        )

    def value(self, model: str, metric: str) -> float:
        """The value of a metric for a whole model."""
        about = (model, metric, "model", None)
        return next(
            float(each["value"]) for each in self.findings if (each["model"], each["metric"], each["subject"], each["slice"]) == about
        )


Steps = Callable[[Player, Facts], None]


@dataclass(frozen=True)
class Task:
    """One task. number: its number in docs/tasks.md. steps: what a person does; at the end, what they read is checked against the facts.
    record: a query that counts what the task wrote into the store; None if the task only reads.
    """

    number: int
    role: str
    words: str
    steps: Steps
    record: str | None = None


def planted(facts: Facts) -> list[dict[str, Any]]:
    """Records from before: an open alert about the worst fault, three rated alerts, and the two action items of the earlier week."""
    fault = facts.critical(facts.critical_incident("flights-delay"))
    about = {"kind": "alert", "author": "the dashboard", "model": "flights-delay", "severity": "act", "at": "2014-01-01T04:00:00Z"}
    found: list[dict[str, Any]] = [about | {"incident": fault["incident"], "says": "opened", "title": fault["because"], "source": "input"}]
    for place, says in enumerate(("useful", "useful", "not_useful")):
        own = about | {"incident": f"earlier-{place}", "rule": "serving/drift/psi", "title": f"Drift {place}", "source": "input"}
        found += [own | {"at": f"2013-12-0{place + 1}T00:00:00Z", "says": "opened"}]
        found += [own | {"at": f"2013-12-0{place + 1}T0{hour}:00:00Z", "says": each} for hour, each in ((1, says), (2, "resolved"))]
    action = {"kind": "action", "author": NAME, "model": "flights-delay", "review": EARLIER, "metric": "mae", "owner": "arrivals desk"}
    opened = {"at": "2013-12-20T10:00:00Z", "due": "2013-12-27T00:00:00Z", "state": "open"}
    found += [action | opened | {"action": f"action-{place}", "text": text} for place, text in enumerate((OVERDUE, DONE))]
    return [*found, {"kind": "action", "author": NAME, "action": "action-1", "at": "2013-12-22T10:00:00Z", "state": "done"}]


def plant(facts: Facts, folder: Path) -> None:
    """Load these records, and freeze both weeks."""
    lines = folder / "planted.jsonl"
    lines.write_text("\n".join(json.dumps(record) for record in planted(facts)) + "\n", encoding="utf-8")
    facts.command("load", lines)
    for week in (EARLIER, WEEK):
        facts.command("review", "--week", week, "--author", NAME)


def search(player: Player, *words: str, goes: str = "") -> None:
    """For each text: open the search, type the text, and open the first result. goes: a pattern of the last result's address."""
    for each in words:
        player.press("Control+k")
        player.type(each)
        player.press("Enter", goes=goes if each == words[-1] else "")


def await_name_box(player: Player) -> None:
    """Wait until the cursor is in the name field."""
    player.page.wait_for_function("document.activeElement?.getAttribute('aria-label') === 'Your name'")
    player.look()


def type_name(player: Player) -> None:
    """Type the author's name where the cursor is."""
    await_name_box(player)
    player.type(NAME)
    player.press("Enter")


def give_name(player: Player, box: Locator) -> None:
    """Type the author's name into the field."""
    player.fill(box, NAME, enter=True)


def first_incident(player: Player) -> tuple[dict[str, Any], str]:
    """The row of Home's first incident as it is shown, and the incident's id."""
    table = player.page.get_by_role("table", name="Incidents, most urgent first")
    player.see(table.get_by_role("link").first)
    address = str(table.get_by_role("link").first.get_attribute("href"))
    return tables(player.page)["Incidents, most urgent first"][0], parse_qs(urlsplit(address).query)["id"][0]


def worst_now(player: Player, facts: Facts) -> None:
    """On-call: find on Home which model is worst, and since when it has been so."""
    row, incident = first_incident(player)
    fault = facts.critical(incident)
    assert row["Status"]["text"] == "Critical" and row["Model"]["text"] == fault["model"]
    assert row["Since"]["text"] == format_day(datetime.fromisoformat(fault["onset"]))


def acknowledge(player: Player, facts: Facts) -> None:
    """On-call: acknowledge the first incident by keyboard. Another incident is first afterwards."""
    row, _ = first_incident(player)
    player.press("j", "a")
    type_name(player)
    player.click(player.page.get_by_role("dialog").get_by_test_id("stBaseButton-secondary").filter(has_text="Acknowledge"))
    until(player.page, "Incidents, most urgent first", lambda rows: rows[0]["Incident"]["title"] != row["Incident"]["title"])


def worst_part(player: Player, facts: Facts) -> None:
    """On-call: find the carrier with the largest error over all days."""
    search(player, "delay", goes="/model")
    search(player, "every", goes="window=Everything")
    search(player, "perf", goes="/performance")
    read_worst_level(player)


def read_worst_level(player: Player) -> None:
    """Read the worst carrier in the first column. No group is significantly worse."""
    read_worst_carrier(player, "Mean absolute error by carrier, worst first")


def read_worst_carrier(player: Player, caption: str) -> None:
    """Read the first row, and compare it with the raw rows."""
    player.see(player.page.get_by_role("table", name=caption).get_by_role("link").first)
    rows = raw_rows.predictions("flights-delay").dropna(subset=["label"])
    errors = (rows["score"] - rows["label"]).abs().groupby(rows["carrier"]).agg(["mean", "size"])
    enough = errors[errors["size"] >= 100]["mean"]
    first = tables(player.page)[caption][0]
    assert next(iter(first.values()))["text"].startswith(str(enough.idxmax()))
    assert any(format_number(float(enough.max())) in cell["text"] for cell in first.values())


def wrong_case(player: Player, facts: Facts) -> None:
    """On-call: find out why a prediction was wrong, starting from its id."""
    player.press("Control+k")
    player.paste(facts.worst_case)
    player.press("Enter", goes="/case")
    read_source(player, facts)


def read_source(player: Player, facts: Facts) -> None:
    """Read the suspected source of the error and its weight."""
    best = json.loads(facts.command("case", facts.worst_case, "--model", "employment", "--json"))["triage"][0]
    player.see(player.page.get_by_text("uspected, not proven").first)
    assert f"{format_number(best['score'], 2)} of 1" in player.text


def mute(player: Player, facts: Facts) -> None:
    """On-call: mute messages about the first incident for a week, and state the reason."""
    first_incident(player)
    player.press("j", "s")
    dialog = player.page.get_by_role("dialog")
    await_name_box(player)
    player.type(NAME)
    player.press("Tab")
    player.type(REASON)
    player.press("Enter")
    player.click(dialog.get_by_test_id("stBaseButton-secondary").filter(has_text="Snooze"))
    player.page.get_by_text("1 incident snoozed or resolved").wait_for()


def worse_than_month(player: Player, facts: Facts) -> None:
    """Head of ML: read each model's main metric over four weeks on Home, and its change from the four weeks before."""
    player.click(player.page.locator("[class*=st-key-time-range] button").first)
    player.click(player.page.get_by_role("button", name="Last 28 days"))
    rows = {row["Model"]["text"]: row["Outcome"] for row in tables(player.page)["Models, most severe first"]}
    now, before = two_months("flights-delay")
    assert rows["flights-delay"]["text"].startswith(format_number(now["mae"]))
    change = 100 * (now["mae"] / before["mae"] - 1)
    told = f"{'+' if change > 0 else '−'}{abs(change):.0f} %"
    assert told in rows["flights-delay"]["sub"] and f"{told} from {format_number(before['mae'])}" in rows["flights-delay"]["title"]
    now, before = two_months("flights-late")
    points = 100 * (now["accuracy"] - before["accuracy"])
    told = f"{'+' if points > 0 else '−'}{abs(points):.1f} points"
    assert told in rows["flights-late"]["sub"] and f"{told} from {format_share(before['accuracy'])}" in rows["flights-late"]["title"]


def two_months(model: str) -> Sequence[dict[str, float]]:
    """The metrics of a model in its last 28 days and in the 28 days before, from the raw rows."""
    rows = raw_rows.predictions(model)
    end = rows["at"].max().floor("D") + timedelta(days=1)
    spans = [(end - timedelta(days=28 * (place + 1)), end - timedelta(days=28 * place)) for place in (0, 1)]
    parts = [raw_rows.between(rows, pd.Timestamp(start), pd.Timestamp(stop)) for start, stop in spans]
    if model == "flights-delay":
        return [raw_rows.regression(part) for part in parts]
    return [raw_rows.classification(part, raw_rows.threshold(model)) for part in parts]


def cost(player: Player, facts: Facts) -> None:
    """Head of ML: read on Home what a thousand predictions cost."""
    row = next(row for row in tables(player.page)["Models, most severe first"] if row["Model"]["text"] == "flights-late")
    assert row["Cost per 1,000"]["text"] == f"USD {facts.value('flights-late', 'cost_per_thousand'):.2f}"


def fairness(player: Player, facts: Facts) -> None:
    """Head of ML: find the largest gap between groups of a model."""
    search(player, "empl", goes="/model")
    search(player, "fair", goes="/fairness")
    read_gap(player, facts)


def read_gap(player: Player, facts: Facts) -> None:
    """Read the gap that the page shows first."""
    told = re.search(r"by (\w+) is ([\d.]+) points", player.text)
    assert told, player.text
    gaps = [each for each in facts.findings if each["analyzer"] == "trust/fairness" and each["model"] == "employment" and each["value"]]
    assert (told[1], float(told[2])) in [(each["subject"].partition("=")[0], round(100 * each["value"], 1)) for each in gaps]


def useful(player: Player, facts: Facts) -> None:
    """Head of ML: find how many alarms were useful."""
    player.press("g", "a", goes="/alerts")
    player.see(player.page.get_by_text("rated alerts were useful"))
    assert "2 of 3 rated alerts were useful" in player.text


def overdue(player: Player, facts: Facts) -> None:
    """Head of ML: find the overdue action items."""
    search(player, "actio", goes="/actions")
    read_overdue(player)


def read_overdue(player: Player) -> None:
    """Read which action items are overdue."""
    late = [row["Action"]["text"] for rows in tables(player.page).values() for row in rows if row["Due"]["sub"] == "overdue"]
    assert late == [OVERDUE]


def open_meeting(player: Player, facts: Facts) -> None:
    """Reviewer: open this week's agenda."""
    player.press("g", "r", goes="/review")
    read_agenda(player, facts)


def read_agenda(player: Player, facts: Facts) -> None:
    """Read the items on the agenda."""
    rows = tables(player.page)["Agenda"]
    assert [row["What"]["title"] for row in rows] == [
        item.title.replace("`", "") for item in arranged_agenda([Item.from_json(item) for item in facts.review["agenda"]], []).items
    ]


def decide(player: Player, facts: Facts) -> None:
    """Reviewer: enter an action with owner and due date for the first item, by keyboard."""
    player.press("g", "r", goes="/review")
    player.press("j", "a", goes="item=")
    type_name(player)
    write_action(player)


def write_action(player: Player) -> None:
    """Type the action and its owner for the first item, beginning where the cursor is, and save it."""
    player.page.wait_for_function("document.activeElement?.getAttribute('aria-label') === 'Action'")
    player.look()
    main = player.page.get_by_test_id("stMain")
    player.type(ACTION)
    player.press("Tab")
    player.press("Control+a")
    player.type(OWNER)
    player.press("Tab")
    player.click(main.get_by_role("button", name="Save"))
    until(player.page, "Agenda", lambda rows: rows[0]["Outcome"]["text"] == "Acted on")


def compare(player: Player, facts: Facts) -> None:
    """Reviewer: compare a model's last week with the week before."""
    search(player, "delay", goes="/model")
    search(player, "compa", goes="/compare")
    read_comparison(player)


def read_comparison(player: Player) -> None:
    """Read the number of rows on both sides, and the verdict."""
    rows = raw_rows.predictions("flights-delay")
    end = rows["at"].max().floor("D") + timedelta(days=1)
    sizes = [len(raw_rows.between(rows, end - timedelta(days=days), end - timedelta(days=days - 7))) for days in (7, 14)]
    shown = [row["Predictions"]["text"] for row in tables(player.page)["The two sides"]]
    assert shown == [f"{size:,}" for size in sizes] and "A and B differ" in player.text


def export(player: Player, facts: Facts) -> None:
    """Reviewer: export the week as a file that can be printed."""
    player.press("g", "r", goes="/review")
    check_file(player.download(player.page.locator(".st-key-review-html button")).path())


def check_file(path: Path) -> None:
    """Check that the file is the week's report."""
    text = path.read_text(encoding="utf-8")
    assert text.lstrip().startswith("<!") and WEEK in text and "flights-delay" in text


def moved(player: Player, facts: Facts) -> None:
    """Reviewer: find out whether the metric of the earlier week's finished action changed."""
    player.press("g", "r", goes="/review")
    player.press("ArrowRight", goes="step=promises")
    read_effect(player, facts)


def read_effect(player: Player, facts: Facts) -> None:
    """Read whether the metric of the finished action changed."""
    row = next(row for row in tables(player.page)["Action items"] if row["Action item"]["text"] == DONE)
    said = next(each for each in facts.review["promises"] if each["text"] == DONE)
    answer = said["moved"]["sentence"] if said["moved"] else said["why"]
    player.see(player.page.get_by_text(DONE).first)
    assert answer in row["Metric moved?"]["sub"], (row, said)


def alert_record(says: str, more: str = "") -> str:
    """The query that counts the author's entries about an alert."""
    return f"SELECT count(*) AS n FROM alerts WHERE author = '{NAME}' AND says = '{says}'{more}"


IN_A_WEEK = f"{datetime.now(UTC).date() + timedelta(days=7)}"
MUTED = alert_record("snoozed", f" AND \"text\" = '{REASON}' AND CAST(until AS DATE) = DATE '{IN_A_WEEK}'")
AGREED_BY = f"SELECT count(*) AS n FROM actions WHERE \"text\" = '{ACTION}' AND owner = '{OWNER}' AND due IS NOT NULL"
TASKS = (
    Task(1, "on-call", "Which model is worst now, and since when?", worst_now),
    Task(2, "on-call", "Acknowledge the worst incident", acknowledge, alert_record("acknowledged")),
    Task(3, "on-call", "Which carrier has the largest error in the whole log?", worst_part),
    Task(4, "on-call", "Why was this prediction wrong? (by its id)", wrong_case),
    Task(5, "on-call", "Mute the alarm for a week, with the reason", mute, MUTED),
    Task(6, "head of ML", "Is any model worse than in the month before?", worse_than_month),
    Task(7, "head of ML", "What does a thousand predictions cost?", cost),
    Task(8, "head of ML", "Are groups treated alike? Which gap is largest?", fairness),
    Task(9, "head of ML", "How many alarms were useful?", useful),
    Task(10, "head of ML", "Which action items are overdue?", overdue),
    Task(11, "reviewer", "Open this week's meeting", open_meeting),
    Task(12, "reviewer", "Decide an item, with owner and due date", decide, f"{AGREED_BY} AND review = '{WEEK}'"),
    Task(13, "reviewer", "Compare this week with the week before", compare),
    Task(14, "reviewer", "Export the review", export),
    Task(15, "reviewer", "Did last week's action move its metric?", moved),
)


def budgets() -> dict[int, tuple[int, int]]:
    """The largest number of clicks and words that each task may need, by its number, from docs/tasks.md."""
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\d+) \|.*\| (\d+) clicks?, ([\d,]+) words \|$", text, flags=re.MULTILINE)
    return {int(number): (int(clicks), int(words.replace(",", ""))) for number, clicks, words in found}
