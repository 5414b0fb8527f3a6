"""The table of capabilities names only pages, kinds of records, analyzers, faults of the lab, documents and tests that exist."""

import ast
import re
from pathlib import Path

import pytest

from observability.dashboard import links
from observability.records.kinds import KINDS
from observability.simulation.fault_families import every_fault
from tests.support.capability_rows import TABLE, capability_rows
from tests.support.clean_data import CLEAN_DATA

ROOT = Path(__file__).parent.parent
ANALYZERS = ROOT / "observability" / "analyzers"
ROWS = capability_rows()


@pytest.mark.parametrize("row", ROWS, ids=[row["System"] for row in ROWS])
def test_each_capability_row_names_only_existing_pages_records_and_analyzers(row: dict[str, str]) -> None:
    titles = {links.page_description(path)[0] for path in links.page_files().values()}
    pages = [] if row["Page"] in ("–", "every page") else row["Page"].split(", ")
    assert set(pages) <= titles
    assert set(re.findall(r"`(\w+)`", row["Records"])) <= set(KINDS)
    known = {path.relative_to(ANALYZERS).with_suffix("").as_posix() for path in ANALYZERS.glob("*/*.py")}
    named = [] if row["Analyzer"] == "–" else row["Analyzer"].split(", ")
    assert set(named) <= known
    assert set(re.findall(r"`(\w+)`", row["Faults in the lab"])) <= {fault.name for fault in every_fault()}
    assert named == [] or row["Faults in the lab"] != "–", "an analyzer has a fault in the lab"
    assert (ROOT / row["Test"]).is_file()
    assert all((ROOT / "docs" / document).is_file() for document in re.findall(r"\]\(([^)#]+)", row["Docs"])) and "](" in row["Docs"]
    assert row["Not yet"] or (pages or row["Page"] == "every page" or "examples" in row["In the sample"]), (
        "a row without a page states what is missing"
    )


def test_the_capability_rows_cover_the_26_systems_that_the_document_counts() -> None:
    text = TABLE.read_text(encoding="utf-8")
    stated = {section: int(n) for section, n in re.findall(r"^\* ([A-Z][a-z ]+): (\d+) systems", text, re.MULTILINE)}
    across = re.findall(r"\*([^*]+)\*", next(line for line in text.splitlines() if line.startswith("* Across"))[1:])
    names = {(row["Section"], row["System"].partition(":")[0]) for row in ROWS}
    counted = {section: sum(own == section for own, _ in names) for section in stated}
    assert {("Across all stages", name) for name in across} <= names
    assert stated == counted | {"Across all stages": len(across)} and sum(stated.values()) == 26
    assert sum(row["System"].startswith("Storage: ") for row in ROWS) == 7 and "*Storage*, has seven rows" in text


def test_every_analyzer_judges_300_clean_cases_in_a_test() -> None:
    known = {path.relative_to(ANALYZERS).with_suffix("").as_posix() for path in ANALYZERS.glob("*/*.py") if path.name != "__init__.py"}
    assert set(CLEAN_DATA) == known
    for where in CLEAN_DATA.values():
        path, _, name = where.partition("::")
        assert judges_300((ROOT / "tests" / path).read_text(encoding="utf-8"), name), where


def judges_300(text: str, name: str) -> bool:
    """Whether a test of a module repeats something 300 times, itself or by a constant of the module. text: source of the module."""
    parts = ast.parse(text).body
    found = [ast.unparse(each) for each in parts if getattr(each, "name", None) == name]
    for each in (part for part in parts if isinstance(part, ast.Assign)):
        target, value = each.targets[0], each.value
        pairs = (
            zip(target.elts, value.elts, strict=True)
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            else [(target, value)]
        )
        found += [ast.unparse(to) for of, to in pairs if found and re.search(rf"\b{re.escape(ast.unparse(of))}\b", found[0])]
    return any(re.search(r"repeats\(\d+, 300\)|range\(300\)", part) for part in found)


def test_a_test_judges_300_cases_only_if_it_says_so_itself() -> None:
    """Regression: any test of a module passed if another one judged 300 cases."""
    text = "FEW, WEEKS = 3, repeats(2, 300)\ndef one():\n    for seed in range(WEEKS): pass\ndef two():\n    range(FEW)\n"
    assert judges_300(text, "one") and not judges_300(text, "two")
