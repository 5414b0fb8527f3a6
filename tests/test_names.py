"""Every analyzer file is found, pages have unique names in known sections, public objects have docstrings, and documents name only what
exists.
"""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from observability.analyzers import discover
from observability.core.metric_definitions import METRICS

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "observability").rglob("*.py"))
SECTIONS = ("overview", "data", "training", "serving", "trust", "operations")


def test_every_analyzer_file_is_found() -> None:
    files = [path for path in (ROOT / "observability" / "analyzers").rglob("*.py") if not path.name.startswith("_")]
    assert sorted(each.name for each in discover()) == sorted(f"{path.parent.name}/{path.stem}" for path in files)


def test_pages_are_in_known_sections_and_have_unique_names() -> None:
    pages = list((ROOT / "pages").rglob("*.py"))
    assert len(pages) >= 8
    assert {path.parent.name for path in pages} <= {*SECTIONS, "developer"}
    assert len({path.stem for path in pages}) == len(pages)


def bare_names(path: Path) -> list[str]:
    """The public objects of a module without a docstring, and the module itself if it has none."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = [] if ast.get_docstring(tree) else ["the module"]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            bare += [] if ast.get_docstring(node) else [node.name]
            if isinstance(node, ast.ClassDef):
                methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
                bare += [f"{node.name}.{each.name}" for each in methods if not each.name.startswith("_") and not ast.get_docstring(each)]
    return bare


def test_every_module_and_public_thing_has_a_docstring(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text('"""A module."""\n\n\nclass Box:\n    """A box."""\n\n    def open(self): ...\n\n\ndef shut(): ...\n')
    assert bare_names(planted) == ["Box.open", "shut"]
    assert {str(path.relative_to(ROOT)): bare for path in MODULES if (bare := bare_names(path))} == {}, "write a docstring for each"


def test_every_finding_names_a_known_metric() -> None:
    quoted = re.compile(r'metric="([a-z_0-9]+)"')
    used = {name for path in MODULES for name in quoted.findall(path.read_text(encoding="utf-8"))}
    assert used <= set(METRICS), used - set(METRICS)


def test_metrics_are_described_in_full() -> None:
    for each in METRICS.values():
        assert each.title and each.unit and each.meaning.endswith(".") and each.formula and each.source, each.name
        assert each.better in ("high", "low", None)


def test_the_metrics_command_lists_every_metric() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "observability", "metrics", "--json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [each["name"] for each in json.loads(answer.stdout)] == list(METRICS)


def test_the_readme_names_every_record_kind_and_command() -> None:
    from observability.cli.parser import parser
    from observability.records.kinds import KINDS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = next(iter(action.choices for action in parser()._actions if isinstance(action.choices, dict)))
    for name in (*KINDS, *commands):
        assert f"`{name}`" in readme or f"`{name} " in readme, f"add `{name}` to README.md"


def test_every_row_of_the_failure_table_names_an_existing_test() -> None:
    rows = [line for line in (ROOT / "docs/operations.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    for row in rows:
        last, named = "", re.findall(r"`([^`]*?(?:\.py|::)[^`]*)`", row.split("|")[4])
        assert named, row
        for test in named:
            file, _, function = test.partition("::")
            last = file or last
            assert (ROOT / last).is_file(), test
            assert not function or f"def {function}(" in (ROOT / last).read_text(encoding="utf-8"), test


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_linked_from_a_document_is_tracked_by_git(name: str) -> None:
    kept = set(subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    found = [link for link in re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text(encoding="utf-8")) if "://" not in link]
    for link in found:
        place = ((ROOT / name).parent / link).resolve().relative_to(ROOT).as_posix()
        assert place in kept or any(each.startswith(f"{place}/") for each in kept), link


def test_no_file_holds_a_path_of_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    files = [ROOT / name for name in listed if name.endswith((".py", ".md", ".toml", ".txt", ".cfg", "Makefile", "run"))]
    wrong = re.compile("/" + r"(home|root|work|Users)/\w|" + "pypi" + r"\.org|" + "python" + "hosted")
    assert [path.name for path in files if path.is_file() and wrong.search(path.read_text(encoding="utf-8"))] == []


def test_public_functions_of_the_statistics_say_their_source_or_formula() -> None:
    for name in ("distance", "interval", "change", "multiple_testing"):
        module = importlib.import_module(f"observability.stats.{name}")
        for label, thing in inspect.getmembers(module, inspect.isfunction):
            if thing.__module__ == module.__name__:
                assert len(inspect.getdoc(thing) or "") > 20, label


def test_the_chart_names_the_version_of_the_product() -> None:
    import observability

    chart = (ROOT / "docs/examples/containers/helm/observability/Chart.yaml").read_text(encoding="utf-8")
    assert f'appVersion: "{observability.__version__}"' in chart


def test_every_file_of_the_sample_is_in_the_wheel() -> None:
    import tomllib

    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = {f"sample_data/{path.name}" for path in (ROOT / "sample_data").iterdir() if path.is_file() and path.suffix != ".py"}
    assert files - set(build["force-include"]) == set()
