"""The same fifteen tasks (docs/tasks.md) done by mouse, from Home; only required text is typed."""

from dataclasses import replace

from tests.browser.pages import until
from tests.support import tasks
from tests.support.task_player import Player
from tests.support.tasks import Facts, Task

FLEET, INCIDENTS = "Models, most severe first", "Incidents, most urgent first"


def cell(player: Player, model: str, column: int, place: int = 0, goes: str = "") -> None:
    """Click a link in the row of a model on Home. place: index of the link in the cell."""
    row = player.page.get_by_role("table", name=FLEET).locator("tbody tr").filter(has_text=model).first
    player.click(row.locator("th, td").nth(column).get_by_role("link").nth(place), goes=goes)


def menu(player: Player, title: str, goes: str) -> None:
    """Choose an entry of the menu."""
    player.click(player.page.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=True), goes=goes)


def time_range(player: Player, words: str) -> None:
    """Choose a relative time range."""
    player.click(player.page.locator("[class*=st-key-time-range] button").first)
    player.click(player.page.get_by_role("button", name=words))


def ask(player: Player, table: str) -> None:
    """Start an action on the first row; afterwards the cursor is in the box for the name."""
    player.click(player.page.get_by_role("table", name=table).locator("button.act").first)
    tasks.await_name_box(player)


def acknowledge(player: Player, facts: Facts) -> None:
    """Acknowledge the first incident."""
    row, _ = tasks.first_incident(player)
    ask(player, INCIDENTS)
    player.type(tasks.NAME)
    player.press("Enter")
    player.click(player.page.get_by_role("dialog").get_by_test_id("stBaseButton-secondary").filter(has_text="Acknowledge"))
    until(player.page, INCIDENTS, lambda rows: rows[0]["Incident"]["title"] != row["Incident"]["title"])


def worst_part(player: Player, facts: Facts) -> None:
    """Find the carrier with the largest error over the whole log."""
    cell(player, "flights-delay", 7, goes="/performance")
    time_range(player, "Everything")
    tasks.read_worst_level(player)


def wrong_case(player: Player, facts: Facts) -> None:
    """Find out why a prediction was wrong, starting from its id."""
    player.click(player.page.get_by_role("button", name="Search").first)
    player.paste(facts.worst_case)
    player.press("Enter", goes="/case")
    tasks.read_source(player, facts)


def mute(player: Player, facts: Facts) -> None:
    """Mute the first incident for a week, with a reason."""
    tasks.first_incident(player)
    ask(player, INCIDENTS)
    player.type(tasks.NAME)
    player.press("Tab")
    player.type(tasks.REASON)
    player.press("Enter")
    dialog = player.page.get_by_role("dialog")
    player.click(dialog.get_by_role("radio", name="Snooze").or_(dialog.get_by_role("button", name="Snooze", exact=True)).first)
    player.click(dialog.get_by_test_id("stBaseButton-secondary").filter(has_text="Snooze"))
    player.page.get_by_text("1 incident snoozed or resolved").wait_for()


def fairness(player: Player, facts: Facts) -> None:
    """Find the largest gap between groups of a model."""
    cell(player, "employment", 8, goes="/fairness")
    tasks.read_gap(player, facts)


def useful(player: Player, facts: Facts) -> None:
    """Find how many alarms were useful, below the incidents of Home."""
    player.see(player.page.get_by_text("rated alerts were useful"))
    assert "2 of 3 rated alerts were useful" in player.text


def overdue(player: Player, facts: Facts) -> None:
    """Find the action items past their date."""
    player.click(player.page.get_by_role("button", name="1 action item overdue"), goes="/actions")
    tasks.read_overdue(player)


def open_meeting(player: Player, facts: Facts) -> None:
    """This week's agenda."""
    menu(player, "Review", "/review")
    tasks.read_agenda(player, facts)


def decide(player: Player, facts: Facts) -> None:
    """Write an action for the first item, with owner and due date."""
    menu(player, "Review", "/review")
    ask(player, "Agenda")
    player.type(tasks.NAME)
    player.press("Enter")
    tasks.write_action(player)


def compare(player: Player, facts: Facts) -> None:
    """Compare the last week of a model with the week before, from its change on Home."""
    cell(player, "flights-delay", 7, 1, goes="/compare")
    tasks.read_comparison(player)


def export(player: Player, facts: Facts) -> None:
    """Export the week as a file for printing."""
    menu(player, "Review", "/review")
    tasks.check_file(player.download(player.page.locator(".st-key-review-html button")).path())


def moved(player: Player, facts: Facts) -> None:
    """Find out whether the metric of last week's finished action moved."""
    menu(player, "Review", "/review")
    steps = player.page.get_by_test_id("stMain").get_by_test_id("stButtonGroup")
    player.click(steps.get_by_text("Action items", exact=True), goes="step=promises")
    tasks.read_effect(player, facts)


STEPS = (
    tasks.worst_now, acknowledge, worst_part, wrong_case, mute, tasks.worse_than_month, tasks.cost, fairness, useful, overdue,
    open_meeting, decide, compare, export, moved,
)  # fmt: skip
TASKS: tuple[Task, ...] = tuple(replace(task, steps=steps) for task, steps in zip(tasks.TASKS, STEPS, strict=True))
