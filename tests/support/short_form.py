"""Which tests the short form leaves to `make test-long`, because cheaper tests run nearly all of their lines.

The file left_to_the_long_form.txt lists them. To choose them again: `LINES_RUN=FOLDER python -m pytest -p tests.support.lines_run -n 3
--ignore tests/browser`, then `python -m tests.support.short_form FOLDER`. The rule is in docs/decisions/0210-a-short-form-by-lines.md.
"""

import os
import pickle
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from pathlib import Path
from typing import Any

import numpy as np

MEASURED, KEPT_ALONE = "LINES_RUN", "LINES_OF_SHORT_FORM"
"""Variables of the environment. The first names the folder of notes while the lines of tests are measured: nothing is left out then, unless
the second is set too. Then only the short form is measured, and the choice is made among its tests.
"""
LIST = Path(__file__).parents[1] / "left_to_the_long_form.txt"
SHARE = 0.995
"""Of all lines that any test runs, the share that the short form runs."""
CHEAP = 0.1
"""Tests that take fewer processor seconds always stay."""
ELSEWHERE = 0.3
"""A test stays if its child processes take more than this share of its time, because the lines that they run are not noted."""
SHARED_SETUP = 0.5
"""Further seconds of a setup are for fixtures that other tests share, so they do not count."""
STAY = (
    "tests/test_",  # laws of analyzers, layers, names, sizes and links, containers
    "tests/client/test_contract.py",
    "tests/lake/test_killed_load.py",
    "tests/monitoring/test_killed_run.py",
    "tests/alerts/test_killed.py",
    "tests/records/test_personal_data.py",
    "tests/proofs/test_proofs.py::test_every_proof_of_the_sample_fleet",
    "tests/server/test_access.py",
    "tests/server/test_api.py",
    "tests/server/test_collector.py",
    "tests/server/test_replica_writes.py",
    "tests/server/test_roles.py",
    "tests/dashboard/test_signed_in.py",
    "tests/dashboard/test_small_groups_on_pages.py",
    "tests/dashboard/test_one_count.py",
    "tests/store/test_crash.py",
    "tests/store/test_erase.py",
    "tests/store/test_late_labels.py",
    "tests/store/test_loader.py",
    "tests/store/test_power_loss.py",
    "tests/store/test_protection.py",
    "tests/store/test_recovery.py",
    "tests/store/test_released.py",
    "tests/store/test_spark_cluster.py",
)
"""Tests of acknowledged data, erased subjects, permissions, the client's contract and the laws of analyzers. They stay, whatever they cost.
"""
STAY_FOR = (
    "backup", "duplicate", "erase", "forgotten", "killed", "loses_nothing", "lost", "password", "protected", "removed", "secret", "token",
    "signed_in",
)  # fmt: skip
"""Tests in other files with such a word in their name also stay."""


@dataclass(frozen=True)
class Ran:
    """A test's name, its processor seconds without shared fixtures, the share of its child processes in its time, and the numbers of the
    lines that it ran.
    """

    name: str
    seconds: float
    children: float
    lines: Any

    @property
    def stays(self) -> bool:
        """Whether the test is in the short form for reasons other than its lines."""
        return (
            self.seconds < CHEAP
            or self.children > ELSEWHERE
            or self.name.startswith(STAY)
            or any(part in self.name.partition("::")[2] for part in STAY_FOR)
        )


def left_out() -> frozenset[str]:
    """The names in the list: one case of a test, or a whole function if all its cases are left out."""
    return frozenset(LIST.read_text(encoding="utf-8").split("\n")) if LIST.exists() else frozenset()


def chosen_by_name(arguments: Iterable[str]) -> bool:
    """Whether the command line names single tests. These are run even if the list has them."""
    return any("::" in argument for argument in arguments)


def nothing_is_left_out() -> bool:
    """Whether the lines of all tests are measured."""
    return MEASURED in os.environ and KEPT_ALONE not in os.environ


def is_left_out(name: str, names: frozenset[str]) -> bool:
    """Whether the short form leaves out the test with this name."""
    return name in names or name.partition("[")[0] in names


def read_notes(folder: Path) -> Iterator[Ran]:
    """What each test ran, from the notes that `lines_run` wrote into a folder."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            while file.peek(1):
                name, setup, own, children, lines = pickle.load(file)  # lines_run wrote it on this machine just before
                whole = own + children
                yield Ran(name, max(whole - max(setup - SHARED_SETUP, 0), 1e-3), children / max(whole, 1e-3), lines)


def chosen(tests: Iterable[Ran]) -> tuple[list[Ran], list[Ran]]:
    """The tests that the short form keeps, and those that it leaves out.

    Each file keeps at least its cheapest test. Tests that need not stay are added one by one, always the one with the most new lines per
    second, until `SHARE` of all lines are run.
    """
    every = sorted(tests, key=lambda test: test.name)
    cheapest: dict[str, Ran] = {}
    for test in sorted(every, key=lambda test: -test.seconds):
        cheapest[test.name.partition("::")[0]] = test
    size = 1 + max(int(test.lines.max()) for test in every if len(test.lines))
    run, known = np.zeros(size, bool), np.zeros(size, bool)
    at_once = {test.name for test in every if test.stays} | {test.name for test in cheapest.values()}
    kept, others = [test for test in every if test.name in at_once], [test for test in every if test.name not in at_once]
    for test in every:
        known[test.lines] = True
    for test in kept:
        run[test.lines] = True
    missing = SHARE * known.sum() - run.sum()
    new = [test.lines[~run[test.lines]] for test in others]

    def gain(place: int) -> float:
        new[place] = new[place][~run[new[place]]]
        return -len(new[place]) / others[place].seconds

    waiting = [(gain(place), place) for place in range(len(others))]
    heapify(waiting)
    taken: set[int] = set()
    while waiting and missing > 0:
        place = waiting[0][1]
        now = gain(place)
        if now > waiting[0][0]:  # lines that other tests have covered since then do not count
            heapreplace(waiting, (now, place))
            continue
        heappop(waiting)
        taken.add(place)
        run[new[place]] = True
        missing -= len(new[place])
    return kept + [others[place] for place in sorted(taken)], [test for place, test in enumerate(others) if place not in taken]


def listed(kept: Iterable[Ran], out: Iterable[Ran]) -> list[str]:
    """The lines of the list: a function of which no case is kept, and otherwise single cases."""
    functions = {test.name.partition("[")[0] for test in kept}
    names = defaultdict(list)
    for test in out:
        names[test.name.partition("[")[0]].append(test.name)
    return sorted(name for function, cases in names.items() for name in (cases if function in functions else [function]))


def main(folder: Path) -> None:
    """Write the list from the notes in a folder, and print what it keeps. Names of the list that were not measured stay."""
    kept, out = chosen(read_notes(folder))
    unmeasured = left_out() - {""} if KEPT_ALONE in os.environ else set()
    LIST.write_text("\n".join(sorted({*listed(kept, out), *unmeasured})) + "\n", encoding="utf-8")
    for words, tests in (("kept", kept), ("left to the long form", out)):
        print(f"{len(tests):,} tests {words}: {sum(test.seconds for test in tests):,.0f} processor seconds")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
