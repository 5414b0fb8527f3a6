"""What do the fifteen tasks of docs/tasks.md cost a person: clicks, keystrokes, seconds, words on the screen?

    python tests/benchmarks/bench_tasks.py [--before] [--tasks 1,4] [--home HOME] [--home-before HOME]

Plays the tasks by keyboard (tests/support/tasks.py) and by mouse (tasks_by_mouse.py) in headless Chromium with the screen of a laptop (1440
× 900), on the sample fleet, each in a new tab from Home. --before: also plays them in version 0.6.0, from a checkout in a temporary folder,
with the sample of that version and the libraries of this environment. A task counts only if the figure that was read equals that of the
store's commands and the raw rows, or if its record is in the store. A task that only reads is tried twice, because on a busy machine a page
may miss a change. --home, --home-before: homes with the sample of each version, which are copied, not changed.
"""

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import duckdb
import tasks_by_mouse
import tasks_of_0_6
from playwright.sync_api import Browser, Error, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.pages import PATIENCE, opened
from tests.support.running import dashboard
from tests.support.sample_home import environment
from tests.support.task_player import LAPTOP, Effort, Player
from tests.support.tasks import TASKS, Facts, Task, plant

OLD = "ae6e8bf"
"""The commit of version 0.6.0."""


def command(root: Path, home: Path, *argv: object) -> str:
    """The output of a command that the code of a checkout runs on a home."""
    words = [sys.executable, "-m", "observability", *map(str, argv)]
    done = subprocess.run(words, cwd=root, env=environment(home), capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(done.stderr + done.stdout)
    return done.stdout


def play(chromium: Browser, url: str, task: Task, facts: Facts) -> Effort:
    """Do one task in a new tab, from Home. Raises AssertionError if the task fails or the page reports an error."""
    watch = opened(chromium, url, **LAPTOP)
    try:
        player = Player(watch.page)
        player.look()
        task.steps(player, facts)
        assert not watch.problems, watch.problems
        return player.effort
    finally:
        watch.close()


def play_all(chromium: Browser, root: Path, folder: Path, tasks: Sequence[Task], sample: Path | None) -> dict[int, Effort]:
    """Do tasks on a new home with the sample of a checkout. Returns the effort of each task by number, without tasks that failed. sample: a
    home to copy.
    """
    home, efforts = folder / "home", {}
    facts = Facts(functools.partial(command, root, home))
    if sample:
        shutil.copytree(sample, home)
    else:
        facts.command("demo")
    with dashboard(home, root=root) as running:
        plant(facts, folder)
        for task in [each for task in tasks for each in ((task,) if task.record else (task, task))]:
            if task.number in efforts:
                continue
            try:
                efforts[task.number] = play(chromium, running.url, task, facts)
                print(task.number, efforts[task.number], file=sys.stderr)
            except (AssertionError, Error) as error:
                print(f"{task.number}. {task.words} NOT DONE: {str(error)[:2000]}", file=sys.stderr)
    with duckdb.connect(home / "store.duckdb", read_only=True) as store:
        for task in tasks:
            if task.record and task.number in efforts:
                (count,) = store.execute(task.record).fetchone() or (0,)
                assert count == 1, f"{task.number}. {task.words}: {count} records"
    return efforts


def cells(effort: Effort | None) -> str:
    """Clicks, keystrokes, seconds and words as columns."""
    return f"{effort.clicks} | {effort.keys} | {effort.seconds:.1f} | {effort.words:,}" if effort else "– | – | – | –"


def print_table(tasks: Sequence[Task], *played: Mapping[int, Effort]) -> None:
    """Print a row for each task, and the totals of the tasks that were done on all sides. played: efforts now by keyboard, now by mouse,
    and in 0.6.0 if it was played.
    """
    sides = [*played[2:], *played[:2]]
    first = "0.6.0, " if len(played) > 2 else ""
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores. Clicks | keystrokes | seconds | words, {first}now by keyboard, now by mouse"
    )
    for task in tasks:
        print(f"| {task.number} | {task.role} | {task.words} | {' | '.join(cells(side.get(task.number)) for side in sides)} |")
    shared = set.intersection(*(set(side) for side in sides))
    totals = [[side[number] for number in shared] for side in sides]
    sums = [
        Effort(*(sum(values) for values in zip(*((e.clicks, e.keys, e.seconds, e.words) for e in side), strict=True))) for side in totals
    ]
    print(f"| | | Total | {' | '.join(map(cells, sums))} |")
    for before in played[2:]:
        for way, after in zip(("by keyboard", "by mouse"), played, strict=False):
            for number in sorted(shared):
                if 2 * after[number].clicks > before[number].clicks and 2 * after[number].words > before[number].words:
                    print(f"{number}. takes {way} more than half of the clicks and of the words of 0.6.0")


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", action="store_true", help="also in version 0.6.0")
    parser.add_argument("--tasks", default="", help="numbers of tasks, default all")
    parser.add_argument("--home", type=Path, help="a home with the sample")
    parser.add_argument("--home-before", type=Path, help="a home with the sample of 0.6.0")
    args = parser.parse_args()
    if not Path(CHROMIUM).exists():
        print("needs Debian's chromium")
        return
    wanted = {int(number) for number in args.tasks.split(",") if number} or {task.number for task in TASKS}
    chosen = [[task for task in tasks if task.number in wanted] for tasks in (TASKS, tasks_by_mouse.TASKS, tasks_of_0_6.TASKS)]
    before: list[dict[int, Effort]] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        options = {"executable_path": CHROMIUM, "args": FLAGS, "accept_downloads": True}
        profile = playwright.chromium.launch_persistent_context("", **options)
        profile.set_default_timeout(PATIENCE)
        assert profile.browser
        if args.before:
            old = Path(folder) / "0.6.0"
            git = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*git, "add", "--detach", str(old), OLD], check=True, capture_output=True)
            try:
                before = [play_all(profile.browser, old, Path(tempfile.mkdtemp(dir=folder)), chosen[2], args.home_before)]
            finally:
                subprocess.run([*git, "remove", "--force", str(old)], check=True)
        now = [play_all(profile.browser, ROOT, Path(tempfile.mkdtemp(dir=folder)), tasks, args.home) for tasks in chosen[:2]]
        profile.close()
    print_table(chosen[0], *now, *before)


if __name__ == "__main__":
    main()
