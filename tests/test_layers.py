"""Layers: no module imports from a higher layer, there are no import cycles, and each heavy library is imported in one place
(docs/architecture.md).
"""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.support.import_graph import ROOT, circles, import_graph, imported_names, package_graph, package_of, source_files
from tests.support.layers import FLOOR_OF, upward

NEVER = (
    ("metrics", ("detection", "analyzers", "store")),
    ("detection", ("analyzers", "store")),
    ("analyzers", ("store",)),
    ("store", ("analyzers", "detection", "metrics")),
    ("export", ("dashboard",)),
    ("review", ("dashboard",)),
    ("investigation", ("dashboard",)),
    ("server", ("dashboard", "cli")),
)
"""Packages that must never import certain others, directly or for types."""
ABOVE_THE_STORE = ("observability.store.engine", "observability.store.types.")
"""What packages above store/ may import of it: the boundary, and the data types that cross it."""
STORE_EXCEPTIONS = {
    "observability.server.process_lock": ("observability.store.opener",),  # opens the store of the process
    "observability.server.replica": (
        "observability.store.published",
        "observability.store.published_store",
    ),  # opens what an owner publishes
    "observability.simulation.temporary_store": ("observability.store.opener",),  # opens a temporary store
    "observability.dashboard.operations.intake": (
        "observability.store.registry.infer",
        "observability.store.registry.describe",
    ),  # reads an uploaded file
    "observability.cli.configuration": ("observability.store.db.keeping",),  # checks keeping.toml before it is written
    "observability.worker.query_job": ("observability.store.views.exported_query",),  # runs a query in the confined process
    "observability.server.collector": ("observability.store.ingest.parse",),  # validates records without a store
    "observability.cli.commands_data": ("observability.store.ingest.files",),  # reads a file that it does not load
    "observability.worker.requests": ("observability.store.registry.artifacts",),  # detects the kind of a model file
    "sample_data.audits": ("observability.store.opener",),  # opens a home with the demo
    "sample_data.trade_offs": ("observability.store.opener",),  # the same
    "sample_data.canaries": ("observability.store.opener",),  # the same
    "sample_data.meetings": ("observability.store.opener",),  # holds the meetings in its own home
}
"""Modules above store/ that import more of it, and what they import."""
CLIENT_MAY_IMPORT = ("observability.client", "observability.records", "observability.core.errors")
HOMES = {
    "streamlit": ("observability/dashboard/", "app.py", "pages/"),
    "duckdb": ("observability/store/",),
    "plotly": ("observability/dashboard/charts/", "observability/dashboard/frame.py", "observability/dashboard/theme.py"),
    "shap": ("observability/worker/",),
    "lightgbm": ("observability/worker/", "sample_data/"),
    "sklearn": (
        "observability/worker/",
        "observability/detection/default_scores",
        "observability/metrics/audit_model",
        "observability/stats/domain",
        "observability/stats/principal_plane",
        "observability/stats/text_similarity",
        "observability/investigation/error_tree",
        "sample_data/",
    ),
    "skops": ("observability/worker/", "sample_data/"),
    "xgboost": ("observability/worker/", "observability/client/callbacks"),
    "onnxruntime": ("observability/worker/",),
    "statsmodels": ("observability/stats/",),
    "codecarbon": ("observability/client/power",),
    "evidently": ("observability/export/",),
    "jinja2": ("observability/export/",),
    "weasyprint": ("observability/export/",),
    "apprise": ("observability/alerts/delivery",),
    "obstore": ("observability/lake/",),
    "deltalake": ("observability/lake/",),
    "pyiceberg": ("observability/lake/",),
    "pyspark": ("observability/store/spark_engine",),
}
HEAVY = ("sklearn", "shap", "evidently", "streamlit", "plotly", "lightgbm", "numba", "matplotlib", "statsmodels", "skops", "codecarbon")
LIGHT = ("core", "records", "client", "incidents")
"""Packages that need only the standard library. They name frames and arrays only in annotations."""

FILES = source_files()


@cache
def product_graph() -> dict[str, set[str]]:
    """The import graph of this checkout, read when the first test asks for it."""
    return import_graph(FILES)


@cache
def product_packages() -> dict[str, dict[str, list[tuple[str, str]]]]:
    """The packages of this checkout with the packages that each imports."""
    return package_graph(product_graph())


def test_every_module_belongs_to_a_known_layer() -> None:
    assert len(FILES) > 500
    unknown = {package_of(name) for name in FILES} - set(FLOOR_OF)
    assert unknown == set(), f"add the package to FLOORS: {sorted(unknown)}"


def test_no_module_is_outside_the_packages() -> None:
    loose = {path.name for path in (ROOT / "observability").glob("*") if path.is_file()}
    assert loose == {"__init__.py", "__main__.py", "py.typed"}


def test_no_package_imports_from_a_higher_layer() -> None:
    assert upward(product_packages()) == []


def test_no_modules_and_no_packages_import_in_a_circle() -> None:
    assert circles(product_graph()) == []
    assert circles({here: set(targets) for here, targets in product_packages().items()}) == []


@pytest.mark.parametrize(("package", "others"), NEVER, ids=[package for package, _ in NEVER])
def test_no_package_imports_what_it_must_never_import(package: str, others: tuple[str, ...]) -> None:
    broken = [
        f"{name} imports {target}"
        for here, targets in product_packages().items()
        if here.split(".")[0] == package
        for there, pairs in targets.items()
        if there.split(".")[0] in others
        for name, target in pairs
    ]
    assert broken == []


def test_only_the_boundary_of_the_store_is_imported_above_it() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, targets in product_graph().items()
        if package_of(name).split(".")[0] != "store"
        for target in sorted(targets)
        if target.startswith("observability.store") and not target.startswith((*ABOVE_THE_STORE, *STORE_EXCEPTIONS.get(name, ())))
    ]
    assert wrong == []
    unused = [name for name, allowed in STORE_EXCEPTIONS.items() if not set(allowed) <= product_graph()[name]]
    assert unused == [], "these exceptions are no longer needed"


def test_the_boundary_imports_no_engine() -> None:
    """An import of the boundary and its data types loads no database."""
    names = [name for name in FILES if name.startswith("observability.store.types") or name == "observability.store.engine"]
    code = f"import importlib, sys; [importlib.import_module(name) for name in {names}]; print('duckdb' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)
    assert answer.stdout.strip() == "False"


def test_no_code_checks_which_engine_it_has() -> None:
    """No code checks an engine with `isinstance`. It calls the engine's methods instead."""
    pattern = re.compile(r"isinstance\([^)]*\b(Engine|Store|DuckStore|MemoryEngine|Database)\b")
    assert [name for name, path in FILES.items() if pattern.search(path.read_text(encoding="utf-8"))] == []


def test_no_test_imports_another_test() -> None:
    """Helpers that two test files need belong in conftest.py or tests/support."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if "__pycache__" not in path.parts]
    found = [
        path.name for path in files if re.search(r"^\s*(from|import) [\w.]*\btest_\w+", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert len(files) > 500 and found == []


def test_the_client_imports_records_and_errors_only() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, targets in product_graph().items()
        if name.startswith("observability.client")
        for target in targets
        if not target.startswith(CLIENT_MAY_IMPORT)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("code", "upwards", "loops"),
    [
        ("from observability.store.query import plan", 1, 0),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from observability.monitoring.check import check", 1, 0),
        ("PLACE = 'observability.monitoring.check:check'", 1, 0),
        ("from observability.analyzers.data import other", 0, 1),
        ("from observability.core.window import Window", 0, 0),
    ],
)
def test_the_import_graph_shows_upward_imports_and_circles(tmp_path: Path, code: str, upwards: int, loops: int) -> None:
    written = {
        "observability/analyzers/data/bad.py": code,
        "observability/analyzers/data/other.py": "from observability.analyzers.data import bad",
        "observability/store/query/plan.py": "",
        "observability/monitoring/check.py": "",
        "observability/core/window.py": "",
    }
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    graph = import_graph(source_files(tmp_path))
    packages = package_graph(graph)
    broken = {sentence for sentence in upward(packages) if "analyzers.data.bad" in sentence}
    broken |= {
        f"{name} imports {target}"
        for there, pairs in packages.get("analyzers", {}).items()
        if there.startswith("store")
        for name, target in pairs
    }
    assert len(broken) == upwards
    assert len(circles(graph)) == loops


@pytest.mark.parametrize("library", HOMES)
def test_each_heavy_library_stays_in_its_home(library: str) -> None:
    strangers = [
        path.relative_to(ROOT).as_posix()
        for path in FILES.values()
        if any(target.split(".")[0] == library for target in imported_names(path))
        and not path.relative_to(ROOT).as_posix().startswith(HOMES[library])
    ]
    assert strangers == []


def test_of_the_libraries_that_the_type_checker_skips_only_numba_is_imported() -> None:
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["overrides"]
    (skipped,) = [each["module"] for each in overrides if each["follow_imports"] == "skip"]
    used = {target.partition(".")[0] for path in FILES.values() for target in imported_names(path)}
    assert used & {name.removesuffix(".*") for name in skipped} == {"numba"}, "its decorators have no types"


@pytest.mark.parametrize("package", LIGHT)
def test_light_packages_need_the_standard_library_only(package: str) -> None:
    allowed = set(sys.stdlib_module_names) | {"observability", "pandas", "numpy"}
    for name, path in FILES.items():
        if package_of(name) == package:
            assert {target.split(".")[0] for target in imported_names(path)} - allowed <= OPTIONAL.get(name, set()), name


OPTIONAL = {
    "observability.client.power": {"codecarbon", "pynvml", "psutil"},
    "observability.client.callbacks": {"xgboost", "lightning", "pytorch_lightning", "keras", "transformers"},
}
"""Libraries that a light module imports inside a function and uses only if they are installed."""


@pytest.mark.parametrize("code", ["import observability", "import observability.cli.main, sys; observability.cli.main.main(['status'])"])
def test_starting_the_product_imports_no_heavy_library(code: str, tmp_path: Path) -> None:
    ending = f"\nimport sys; print('LOADED', sorted(set(sys.modules) & {set(HEAVY)!r}))"
    answer = subprocess.run(
        [sys.executable, "-c", code + ending],
        cwd=ROOT,
        env={"PATH": "", "OBSERVABILITY_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert "LOADED []" in answer.stdout, answer.stdout + answer.stderr
