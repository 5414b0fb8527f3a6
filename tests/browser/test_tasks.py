"""Tasks of each role need no more clicks and words than docs/tasks.md allows."""

import json

import pytest

from observability.cli import main
from observability.server import process_lock
from tests.browser.conftest import Visit
from tests.house_report import ROOT
from tests.support import tasks
from tests.support.review_world import BROKEN
from tests.support.running import Dashboard
from tests.support.task_player import LAPTOP, Player

pytestmark = pytest.mark.browser
READ = (1, 4, 8, 13)
"""Tasks that only read: two of on-call, one of each other role."""


def command(running: Dashboard) -> tasks.Command:
    """Runs command lines in the process of a dashboard."""

    def run(*argv: object) -> str:
        address = process_lock.read_address(running.home)
        assert address is not None
        outcome = main.at_owner(address, [str(word) for word in argv])
        assert outcome is not None and outcome.exit_code == 0, outcome
        return outcome.out

    return run


def test_tasks_of_each_role_stay_within_their_click_budget(fleet: Dashboard, visit: Visit) -> None:
    facts, budgets = tasks.Facts(command(fleet)), tasks.budgets()
    assert sorted(budgets) == [task.number for task in tasks.TASKS]
    visit(fleet.url, **LAPTOP).get_by_text("still being analyzed").wait_for(state="hidden")  # the dashboard may have just started
    for task in (task for task in tasks.TASKS if task.number in READ):
        player = Player(visit(fleet.url, **LAPTOP))
        player.look()
        task.steps(player, facts)
        clicks, words = budgets[task.number]
        assert player.effort.clicks <= clicks and player.effort.words <= words, (task, player.effort)


def test_the_task_page_lists_the_tasks_that_every_test_run_plays() -> None:
    played = f"{', '.join(map(str, READ[:-1]))} and {READ[-1]} by clicks and words, 12 by its clicks"
    assert played in (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")


def test_an_item_of_the_agenda_is_decided_by_keys(meeting: Dashboard, visit: Visit) -> None:
    facts = tasks.Facts(command(meeting))
    player = Player(visit(meeting.url, **LAPTOP))
    player.look()
    tasks.decide(player, facts)
    assert player.effort.clicks <= tasks.budgets()[12][0]
    (agreed,) = json.loads(facts.command("sql", f"{tasks.AGREED_BY} AND review = '{BROKEN}'", "--json"))
    assert agreed["n"] == 1
