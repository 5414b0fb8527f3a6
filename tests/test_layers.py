"""Does any module import upward, and does each heavy library stay in its one home? (docs/architecture.md, layers)"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = {
    "errors",
    "window",
    "aggregate",
    "finding",
    "incidents",
    "since",
    "incident_rules",
    "analyzer",
    "answers",
    "catalog",
    "settings",
    "metrics",
    "record",
    "record_check",
    "record_kinds",
    "record_values",
    "measure",
    "numerals",
    "energy",
    "money",
    "prices",
}
LAYERS = {
    "stats": 0,
    "client": 1,
    "analyzers": 2,
    "store": 2,
    "worker": 2,
    "run": 3,
    "compare": 3,
    "case": 3,
    "lab": 3,
    "late_labels": 3,
    "estimated_days": 3,
    "review": 3,
    "alerts": 3,
}
HOMES = {
    "streamlit": ("observability/views/", "observability/server.py", "app.py", "pages/"),
    "duckdb": ("observability/store/",),
    "plotly": ("observability/views/charts/",),
    "shap": ("observability/worker",),
    "lightgbm": ("observability/worker", "sample_data/"),
    "sklearn": ("observability/worker", "observability/stats/domain", "observability/case/tree", "sample_data/"),
    "skops": ("observability/worker", "sample_data/"),
    "xgboost": ("observability/worker",),
    "onnxruntime": ("observability/worker",),
    "statsmodels": ("observability/stats/",),
    "codecarbon": ("observability/client/power",),
    "evidently": ("observability/export/",),
    "jinja2": ("observability/export/",),
    "weasyprint": ("observability/export/",),
    "apprise": ("observability/alerts/send",),
}
HEAVY = ("sklearn", "shap", "evidently", "streamlit", "plotly", "lightgbm", "numba", "matplotlib", "statsmodels", "skops", "codecarbon")


def layer(module: str) -> int:
    """The layer of `observability.<module>`: core 0, stats 0, client 1, analyzers, store and worker 2, run, compare, case, lab, review, alerts and the like 3, everything else 4."""
    part = module.split(".")[1] if "." in module else ""
    return 0 if part in CORE or not part else LAYERS.get(part, 4)


def sources() -> list[Path]:
    """Every module of the product."""
    return [path for folder in ("observability", "pages", "sample_data") for path in sorted((ROOT / folder).rglob("*.py"))] + [
        ROOT / "app.py"
    ]


def imports(path: Path) -> list[tuple[str, bool]]:
    """Modules a file imports, each with whether it is for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for part in node.body
        for inner in ast.walk(part)
    }
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in typing_only) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(f"{node.module}.{alias.name}", id(node) in typing_only) for alias in node.names]
    return found


def module_name(path: Path) -> str:
    """observability/store/engine.py is observability.store.engine."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def upward(path: Path) -> list[str]:
    """Imports that go against the arrow."""
    name = module_name(path)
    own = 5 if name == "app" or name.startswith("pages") else layer(name)
    wrong = []
    for target, for_types in imports(path):
        if for_types or not target.startswith("observability."):
            continue
        other = layer(target)
        across = {name.split(".")[1] if "." in name else "", target.split(".")[1]} == {"analyzers", "store"}
        if other > own or across:
            wrong.append(f"{name} imports {target}")
    return wrong


def test_nobody_imports_upward() -> None:
    files = [path for path in sources() if not module_name(path).startswith("sample_data")]
    assert len(files) > 30
    assert [line for path in files for line in upward(path)] == []


def test_the_arrow_is_really_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "observability" / "analyzers" / "data" / "bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text("from observability.store import engine\nfrom observability.run import check\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert len(upward(bad)) == 2


@pytest.mark.parametrize("library", HOMES)
def test_each_heavy_library_stays_in_its_home(library: str) -> None:
    homes = HOMES[library]
    strangers = [
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if any(target.split(".")[0] == library and not for_types for target, for_types in imports(path))
        and not path.relative_to(ROOT).as_posix().startswith(homes)
    ]
    assert strangers == []


def test_the_core_needs_the_standard_library_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"observability"}
    light = CORE - {"measure", "energy", "money", "prices", "since"}
    for path in sorted((ROOT / "observability").glob("*.py")) + sorted((ROOT / "observability" / "client").glob("*.py")):
        if path.stem in light or path.parent.name == "client":
            strangers = {target.split(".")[0] for target, for_types in imports(path) if not for_types} - allowed
            assert strangers == set(), path.name


@pytest.mark.parametrize("code", ["import observability", "import observability.cli, sys; observability.cli.main(['status'])"])
def test_starting_is_light(code: str, tmp_path: Path) -> None:
    ending = f"\nimport sys; print('LOADED', sorted(set(sys.modules) & {set(HEAVY)!r}))"
    answer = subprocess.run(
        [sys.executable, "-c", code + ending],
        cwd=ROOT,
        env={"PATH": "", "OBSERVABILITY_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "LOADED []" in answer.stdout, answer.stdout + answer.stderr
