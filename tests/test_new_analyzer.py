"""A new analyzer consists of one file and its test. If it needs anything else, the test of this module fails and lists each missing part
with the line to write.
"""

import ast
from collections.abc import Collection
from pathlib import Path

from observability.analyzers import discover
from observability.core.metric_definitions import METRICS
from observability.dashboard.links import SHOWN_BESIDE
from observability.incidents.grouping_rules import ANALYZER_STAGES, SECTION_STAGES
from tests.support.capability_rows import capability_analyzers
from tests.support.clean_data import CLEAN_DATA
from tests.support.import_graph import imported_names, known_module, source_files

ROOT = Path(__file__).parents[1]
KEY = "tests/support/simulation_key.py"
LINKS = "observability.dashboard.links"
"""The module that defines SHOWN_BESIDE. It names analyzers but shows no findings."""
WITHOUT_FAULT = {
    "data/batches": "no model's log holds batches",
    "data/cleaning": "no model's log holds cleaning runs",
    "data/devices": "no model's log holds batches; faults of devices are planted on batches",
    "serving/batch_gate": "no model's log holds batches of predictions; faults of batches are planted on those",
    "serving/edge_fleet": "no model's log holds reports of devices; faults of fleets are planted on reports",
    "operations/controllers": "no model's log holds decisions of controllers; their faults are planted on decisions",
    "operations/trade_offs": "no model's log holds audits; faults of forms are planted on audits",
    "training/selection": "no model's log holds a version in shadow; better challengers are planted beside its answers",
    "training/studies": "no model's log holds audits of augmentations; their faults are planted on audits",
    "data/storage": "no model's log holds reports of places or audits of stored data; their faults are planted on those",
    "data/datasets": "no model's log holds versions of datasets; a second content is planted on those",
    "serving/device_agreement": "no simulated log holds answers of devices; their faults are planted beside those of a server",
    "serving/call_drift": "no simulated log holds calls of a language model; faults of calls are planted on those",
    "serving/vendors": "no model's log holds answers to fixed questions; faults of vendors are planted on those",
    "serving/why_changed": "explains what serving/performance found",
    "trust/exports": "no model's log holds exports; faults of exports are planted on those",
    "trust/audits": "needs audits of a model artifact, which simulated logs lack; regressions are planted on audits",
    "trust/explanations": "needs attributions, which simulated logs lack; other drivers are planted on those",
}
"""Analyzers that need not report any fault of the simulation, and why."""


def missing_parts(name: str, metrics: Collection[str], proven: Collection[str] = ()) -> list[str]:
    """The missing parts of an analyzer, each with the line to write. name: `section/name`; metrics: those of its findings; proven: those in
    its `proofs`.
    """
    section, _, stem = name.partition("/")
    found = []
    if not (ROOT / f"tests/analyzers/{section}/test_{stem}.py").is_file():
        found.append(f"tests/analyzers/{section}/test_{stem}.py: its test")
    page = SHOWN_BESIDE.get(name, stem)
    if not (ROOT / f"pages/{section}/{page}.py").is_file():
        found.append(f"pages/{section}/{page}.py: its page, with `findings.analyzer_findings(here, {name!r})`")
    elif name in SHOWN_BESIDE and not shows_findings(page, name):
        found.append(f"pages/{section}/{page}.py: the findings of {name!r}, which SHOWN_BESIDE of dashboard/links.py says it shows")
    found += [
        f"observability/core/metric_definitions.py, METRICS: `{metric} | title | unit | low | meaning | formula | source`"
        for metric in metrics
        if metric not in METRICS
    ]
    if not proven:
        found.append(f"observability/analyzers/{name}.py, proofs: `{{metric: what writes the SQL of its value, or why it has none}}`")
    if section not in SECTION_STAGES and name not in ANALYZER_STAGES:
        found.append(f'observability/incidents/grouping_rules.py, ANALYZER_STAGES: `{name!r}: "…",`, its stage in the pipeline')
    if name not in WITHOUT_FAULT and f'"{name}"' not in (ROOT / KEY).read_text(encoding="utf-8"):
        found.append(f"{KEY}: {name!r} among the areas of a fault that it finds, or a line of WITHOUT_FAULT in tests/test_new_analyzer.py")
    if name not in capability_analyzers():
        found.append(f"docs/capabilities.md: a row of its system, with {name} in the column Analyzer")
    if name not in CLEAN_DATA:
        found.append(f"tests/support/clean_data.py, CLEAN_DATA: `{name!r}: …`, its test of 300 clean cases")
    return found


def shows_findings(page: str, analyzer: str) -> bool:
    """Whether a page, or a dashboard module that it imports, names an analyzer: as text, or by NAME of the analyzer's module."""
    section, module, files = analyzer.partition("/")[0], f"observability.analyzers.{analyzer.replace('/', '.')}", source_files()
    here = f"pages.{section}.{page}"
    targets = {known_module(target, files) for target in imported_names(files[here])}
    parts = [here, *(name for name in targets if name is not None and name.startswith("observability.dashboard.") and name != LINKS)]
    return any(
        {module, f"{module}.NAME"} & set(imported_names(files[name])) or f'"{analyzer}"' in files[name].read_text(encoding="utf-8")
        for name in parts
    )


def stated_metrics(path: Path) -> set[str]:
    """Texts that an analyzer's module uses as metrics: the constant METRIC and every argument `metric=`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    stated = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "metric"]
    stated += [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(isinstance(name, ast.Name) and name.id == "METRIC" for name in node.targets)
    ]
    return {node.value for node in stated if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_analyzer_has_all_its_parts() -> None:
    missing = {
        analyzer.name: lines
        for analyzer in discover()
        if (
            lines := missing_parts(
                analyzer.name,
                {*analyzer.limits, *stated_metrics(ROOT / f"observability/analyzers/{analyzer.name}.py")},
                analyzer.proofs,
            )
        )
    }
    text = "\n".join(f"{name} needs\n  " + "\n  ".join(lines) for name, lines in missing.items())
    assert not missing, text


def test_what_a_new_analyzer_needs_is_listed_with_the_place_to_write_it() -> None:
    lines = missing_parts("weather/storms", {"storm_rate"})
    places = (
        "tests/analyzers/weather/test_storms.py",
        "pages/weather/storms.py",
        "metric_definitions.py",
        "proofs",
        "ANALYZER_STAGES",
        KEY,
        "docs/capabilities.md",
        "tests/support/clean_data.py",
    )
    assert len(lines) == len(places) and all(place in line for place, line in zip(places, lines, strict=True)), lines


def test_a_page_shows_an_analyzer_beside_another_only_where_it_asks_for_its_findings() -> None:
    assert shows_findings("vendors", "serving/call_drift") and shows_findings("edge_fleet", "serving/device_agreement")
    assert not shows_findings("vendors", "serving/device_agreement") and not shows_findings("latency", "serving/call_drift")


def test_exceptions_are_of_analyzers_that_exist_and_have_no_fault() -> None:
    key = (ROOT / KEY).read_text(encoding="utf-8")
    assert set(WITHOUT_FAULT) <= {analyzer.name for analyzer in discover()}
    assert [name for name in WITHOUT_FAULT if f'"{name}"' in key] == []
