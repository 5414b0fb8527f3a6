"""The list of tests that the short form leaves to the long form names tests that exist, and the choice keeps nearly all lines."""

import ast

import numpy as np
import pytest

from tests.house_report import ROOT
from tests.support.short_form import SHARE, Ran, chosen, chosen_by_name, is_left_out, left_out, listed


def test_every_name_of_the_list_is_a_test_that_exists() -> None:
    names = sorted(left_out() - {""})
    assert names
    missing = []
    functions: dict[str, set[str]] = {}
    for name in names:
        file, _, function = name.partition("::")
        if file not in functions:
            path = ROOT / file
            body = ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else []
            functions[file] = {each.name for each in body if isinstance(each, ast.FunctionDef)}
        if function.partition("[")[0] not in functions[file]:
            missing.append(name)
    assert not missing, f"tests/left_to_the_long_form.txt names tests that are gone: {missing}"


def ran(name: str, seconds: float, lines: range, children: float = 0) -> Ran:
    return Ran(f"tests/{name}", seconds, children, np.array(lines, np.int32))


def test_slow_tests_whose_lines_others_run_are_left_out_except_those_that_must_stay() -> None:
    tests = [
        ran("store/test_a.py::test_cheap", 0.01, range(10)),
        ran("store/test_a.py::test_same_lines[one]", 3, range(300)),
        ran("store/test_a.py::test_same_lines[two]", 4, range(299)),
        ran("store/test_a.py::test_all_lines", 2, range(300)),
        ran("store/test_a.py::test_elsewhere", 9, range(5), children=0.9),
        ran("store/test_erase.py::test_rows", 9, range(5)),
        ran("store/test_b.py::test_a_forgotten_subject_stays_away", 9, range(5)),
        ran("store/test_c.py::test_alone_in_its_file", 9, range(5)),
    ]
    kept, out = chosen(tests)
    assert [test.name for test in out] == ["tests/store/test_a.py::test_same_lines[one]", "tests/store/test_a.py::test_same_lines[two]"]
    names = frozenset(listed(kept, out))
    assert names == {"tests/store/test_a.py::test_same_lines"}, "a function without a kept case is one line"
    assert is_left_out("tests/store/test_a.py::test_same_lines[two]", names)
    assert not is_left_out("tests/store/test_a.py::test_all_lines", names)


def test_a_test_that_is_named_is_run() -> None:
    assert chosen_by_name(["-q", "tests/store/test_a.py::test_b"]) and not chosen_by_name(["-q", "tests/store/test_a.py"])


@pytest.mark.parametrize("seed", range(3))
def test_the_short_form_runs_nearly_all_lines_that_the_long_one_runs(seed: int) -> None:
    draw = np.random.default_rng(seed)
    tests = [
        Ran(
            f"tests/store/test_a.py::test_{place}", float(draw.uniform(0.1, 5)), 0, np.unique(draw.integers(0, 2_000, 150)).astype(np.int32)
        )
        for place in range(60)
    ]
    kept, out = chosen(tests)
    lines = [set(np.concatenate([test.lines for test in group]).tolist()) for group in (kept, tests)]
    assert out and len(lines[0]) >= SHARE * len(lines[1])
