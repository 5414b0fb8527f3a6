"""The numbers of tests/house_report.py stay within their goals, and documents name only files that exist."""

import re

import pytest

from tests.house_report import ROOT, definitions, figures, product_files, repeated

PATH_IN_TEXT = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|md))`")


@pytest.fixture(scope="module")
def report() -> dict[str, float]:
    """The numbers for this checkout."""
    return figures(ROOT)


@pytest.mark.parametrize(
    ("title", "most"),
    [
        ("loose modules beside __init__ and __main__", 0),
        ("circles of modules", 0),
        ("circles of packages", 0),
        ("imports upward", 0),
        ("their share in per cent", 5),
        ("of them defined more than once", 0),
        ("fmt: skip", 59),
        ("lines over 140 characters", 0),
    ],
)
def test_each_code_metric_stays_within_its_goal(title: str, most: float, report: dict[str, float]) -> None:
    if report[title] > most:
        functions, classes = definitions(product_files(ROOT), ROOT)
        names = {"their share in per cent": repeated(functions), "of them defined more than once": repeated(classes)}
        pytest.fail(f"{title} is {report[title]}: {names.get(title, 'run tests/house_report.py')}")


@pytest.mark.parametrize("name", ["docs/architecture.md", "README.md", "CONTRIBUTING.md"])
def test_a_document_names_files_that_exist(name: str) -> None:
    places = (ROOT, ROOT / "observability", ROOT / "docs", ROOT / "observability" / "core", ROOT / "observability" / "dashboard")
    named = set(PATH_IN_TEXT.findall((ROOT / name).read_text(encoding="utf-8")))
    packages = [path for path in (ROOT / "observability").iterdir() if path.is_dir()]
    missing = [path for path in named if not any((place / path).exists() for place in (*places, *packages))]
    assert sorted(missing) == []
