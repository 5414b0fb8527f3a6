"""The same fifteen tasks (docs/tasks.md) as a person did them in version 0.6.0, by mouse and from Home."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Locator

from observability.core.formatting import format_day, format_number
from tests.browser.pages import tables, until
from tests.support import tasks
from tests.support.task_player import Player
from tests.support.tasks import Facts, Task

# the words of the pages of 0.6.0; today's are in tests/support/tasks.py
FLEET, ALERTS = "Models, those that need a person first", "Alerts, open ones first"


def menu(player: Player, title: str) -> None:
    """Choose a page in the sidebar."""
    player.click(player.page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True))


def box(player: Player, label: str) -> Locator:
    """A box of the sidebar."""
    return player.page.get_by_test_id("stSidebar").get_by_role("combobox", name=label, exact=True)


def model(player: Player, name: str) -> None:
    """Open a model from the table of Home."""
    player.click(player.page.get_by_role("table", name=FLEET).get_by_role("link", name=name, exact=True), goes="/model")


def main(player: Player) -> Locator:
    """The main area of the page, without the sidebar."""
    return player.page.get_by_test_id("stMain")


def worst_now(player: Player, facts: Facts) -> None:
    """Find the worst model and since when it is so, from Home."""
    row = tables(player.page)[FLEET][0]
    fault = facts.critical(facts.critical_incident(row["Model"]["text"]))
    assert row["Status"]["text"] == "Act" and f"since {format_day(datetime.fromisoformat(fault['onset']))}" in player.text


def open_alert(player: Player) -> None:
    """Open the alert of the fault and give a name."""
    menu(player, "Alerts")
    player.click(player.page.get_by_role("table", name=ALERTS).get_by_role("link").first, goes="incident=")
    tasks.give_name(player, main(player).get_by_role("textbox", name="Your name"))


def acknowledge(player: Player, facts: Facts) -> None:
    """Acknowledge the alert."""
    open_alert(player)
    player.click(main(player).get_by_role("button", name="Acknowledge"))
    until(player.page, ALERTS, lambda rows: rows[0]["State"]["text"] == "Acknowledged")


def worst_part(player: Player, facts: Facts) -> None:
    """Find the carrier with the largest error over the whole log."""
    model(player, "flights-delay")
    player.choose(box(player, "Window"), "Everything")
    menu(player, "Performance")
    player.choose(main(player).get_by_role("combobox", name="Column"), "carrier")
    tasks.read_worst_carrier(player, "Mean absolute error by carrier, worst first")


def wrong_case(player: Player, facts: Facts) -> None:
    """Find out why a prediction was wrong, starting from its id."""
    player.click(player.page.get_by_role("textbox", name="Find a case"))
    player.paste(facts.worst_case)
    player.press("Enter", goes="/case")
    tasks.read_source(player, facts)


def mute(player: Player, facts: Facts) -> None:
    """Stop messages about the alert for a week, with a reason."""
    open_alert(player)
    player.fill(main(player).get_by_role("textbox", name="Note"), tasks.REASON)
    player.click(main(player).get_by_role("button", name="Snooze").first)
    popover = player.page.get_by_test_id("stPopoverBody")
    player.click(popover.get_by_test_id("stDateInputField"))
    player.press("Control+a")
    player.type(f"{datetime.now(UTC).date() + timedelta(days=7):%Y/%m/%d}")
    player.press("Enter")
    player.click(popover.get_by_role("button", name="Snooze"))
    until(player.page, ALERTS, lambda rows: rows[0]["State"]["text"] == "Snoozed")


def worse_than_month(player: Player, facts: Facts) -> None:
    """Compare the last four weeks of each model that has eight weeks with the four weeks before; one page per model."""
    player.choose(box(player, "Window"), "Last 28 days")
    for place, name in enumerate(("flights-delay", "flights-late", "employment")):
        player.choose(box(player, "Model"), name)
        if place == 0:
            menu(player, "Compare")
        player.see(player.page.get_by_text("predictions on side A").first)
        if name == "flights-delay":
            now, before = (each["mae"] for each in tasks.two_months(name))
            player.see(player.page.get_by_role("table", name="Errors"))
            shown = [cell["text"] for row in tables(player.page)["Errors"] for cell in row.values()]
            assert {format_number(now), format_number(before)} <= set(shown), shown


def cost(player: Player, facts: Facts) -> None:
    """Find what a thousand predictions cost, on Home."""
    row = next(row for row in tables(player.page)[FLEET] if row["Model"]["text"] == "flights-late")
    assert float(row["Cost"]["text"].split()[0]) == round(facts.value("flights-late", "cost_per_thousand"), 3)


def fairness(player: Player, facts: Facts) -> None:
    """Find the largest gap between groups of a model."""
    model(player, "employment")
    menu(player, "Fairness")
    tasks.read_gap(player, facts)


def useful(player: Player, facts: Facts) -> None:
    """Find how many alarms were useful."""
    menu(player, "Alerts")
    player.see(player.page.get_by_text("judged alerts were useful"))
    assert "2 of 3 judged alerts were useful" in player.text


def meeting(player: Player, step: str | None = None) -> None:
    """Open the review, at a step."""
    menu(player, "Weekly review")
    if step:
        steps = main(player).get_by_test_id("stButtonGroup")
        player.click(steps.get_by_text(step, exact=True))


def overdue(player: Player, facts: Facts) -> None:
    """Find the action items past their date, in the review's second step."""
    meeting(player, "Promises")
    late = [row["What"]["text"] for row in tables(player.page)["What was promised"] if row["Until"]["sub"] == "overdue"]
    assert late == [tasks.OVERDUE]


def open_meeting(player: Player, facts: Facts) -> None:
    """This week's agenda."""
    meeting(player)
    rows = tables(player.page)["Agenda"]
    assert [row["What"]["text"] for row in rows] == [item["title"].replace("`", "") for item in facts.review["agenda"][: len(rows)]]


def decide(player: Player, facts: Facts) -> None:
    """Write an action for the first item, with owner and due date."""
    meeting(player)
    player.click(player.page.get_by_role("table", name="Agenda").get_by_role("link").first, goes="item=")
    tasks.give_name(player, main(player).get_by_role("textbox", name="Your name"))
    player.click(main(player).get_by_role("radio", name="Act").or_(main(player).get_by_role("button", name="Act", exact=True)).first)
    player.fill(main(player).get_by_role("textbox", name="What has to be done"), tasks.ACTION)
    player.press("Tab")
    player.press("Control+a")
    player.type(tasks.OWNER)
    player.press("Tab")
    player.click(main(player).get_by_role("button", name="Keep"))
    until(player.page, "Agenda", lambda rows: rows[0]["Outcome"]["text"] == "Acted on")


def compare(player: Player, facts: Facts) -> None:
    """Compare the last week of a model with the week before."""
    model(player, "flights-delay")
    menu(player, "Compare")
    tasks.read_comparison(player)


def export(player: Player, facts: Facts) -> None:
    """Export the week as a file for printing."""
    meeting(player)
    tasks.check_file(player.download(player.page.locator(".st-key-review-html button")).path())


def moved(player: Player, facts: Facts) -> None:
    """Find out whether the metric of last week's finished action moved."""
    meeting(player)
    player.press("ArrowRight", goes="step=promises")
    row = next(row for row in tables(player.page)["What was promised"] if row["What"]["text"] == tasks.DONE)
    said = next(each for each in facts.review["promises"] if each["text"] == tasks.DONE)
    player.see(player.page.get_by_text(tasks.DONE).first)
    assert (said["moved"]["sentence"] if said["moved"] else said["why"]) in row["Did it move?"]["sub"]


STEPS = (
    worst_now, acknowledge, worst_part, wrong_case, mute, worse_than_month, cost, fairness, useful, overdue,
    open_meeting, decide, compare, export, moved,
)  # fmt: skip
TASKS: tuple[Task, ...] = tuple(replace(task, steps=steps) for task, steps in zip(tasks.TASKS, STEPS, strict=True))
