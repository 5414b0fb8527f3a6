"""Do a page's findings, its own limit, another page or its own dates contradict anything that it shows?

    python tests/benchmarks/bench_pages_truth.py [HOME] [--windows "last week,June"] [--pages performance,health] [--models flights-late]

HOME: a home with the sample fleet (python -m observability demo), which is copied; one is made if it is missing. Opens every page in this
process, for every model and in five windows, and prints what tests/support/page_truth.py finds untrue: an OK for a value beyond its limit,
an OK without anything to judge it by, a row or sentence with another status than its finding, totals that disagree between pages, and
charts with days outside the period that they name. Ends with 1 if anything is printed.
"""

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

logging.disable(logging.WARNING)  # Streamlit warns about every cache that is made outside a server

from observability.core.errors import ObservabilityError
from observability.core.finding import Finding
from observability.core.window import Slice
from observability.dashboard import links, load, load_findings
from observability.dashboard.scope import Scope, parse_instant, scope_from_state
from observability.server import process_lock
from tests.support import page_truth
from tests.support.dashboard_pages import PAGES, opened

WINDOWS: dict[str, dict[str, str]] = {
    "last week": {},
    "June": {"window": "Chosen dates", "from": "2013-06-01T00:00", "to": "2013-07-01T00:00"},
    "July": {"window": "Chosen dates", "from": "2013-07-01T00:00", "to": "2013-08-01T00:00"},
    "everything": {"window": "Everything"},
    "one slice": {"slice": "carrier=AA"},
}
"""Windows by name, with the parameters of the page address."""


def own_copy(home: Path | None, folder: Path) -> None:
    """Make this process the owner of a copy of a home, or of a new home with the sample fleet."""
    if home is not None:
        shutil.copytree(home, folder)
    else:
        from observability.cli.demo_fleet import load_fleet
        from observability.store.opener import open_store

        with open_store(folder) as store:
            load_fleet(store, ROOT / "sample_data" / "fleet.toml", lambda _text: None)
    process_lock.own_home(folder)


def scope_of(name: str, model: str | None) -> Scope:
    """The scope that the page address of a window states."""
    state: dict[str, object] = {"model": model, **WINDOWS[name]}
    state |= {key: parse_instant(str(state[key])) for key in ("from", "to") if key in state}
    return scope_from_state(state)


def models_in(name: str, wanted: list[str]) -> Iterator[str]:
    """The models that a window shows. In a slice, only models that have its columns."""
    part = Slice.parse(WINDOWS[name].get("slice"))
    for model in load.catalog().models:
        columns = {column.name for column in model.columns}
        if (not wanted or model.name in wanted) and (part is None or columns >= {column for column, _ in part.conditions}):
            yield model.name


def view_of(name: str, page: str, model: str | None) -> page_truth.PageView:
    """A page as its link opens it."""
    app = opened(page, **({"model": model} if model else {}), **WINDOWS[name])
    window = load.window(scope_of(name, model), model) if model else None
    return page_truth.page_view(app, page, model, name, window and window.start, window and window.end)


def views_of(name: str, pages: list[str], models: list[str]) -> Iterator[page_truth.PageView]:
    """Each page in a window. A page about one model comes once per model; other pages come once, and not in a slice."""
    for path in PAGES:
        if pages and path.stem not in pages:
            continue
        for model in models_in(name, models) if links.is_model_page(path.stem) else [None] if "slice" not in WINDOWS[name] else []:
            try:
                yield view_of(name, path.stem, model)
            except RuntimeError as error:  # AppTest raises it if a page takes too long
                print(f"{path.stem} of {model}, {name} was not read: {error}", flush=True)


def findings_of(name: str, models: list[str]) -> dict[str | None, list[Finding]]:
    """The findings that pages show in a window, by model. Findings about other records are under their model, or under None."""
    found: dict[str | None, list[Finding]] = {}
    for model in models_in(name, models):
        try:
            found[model] = list(load_findings.findings_in_window(load.window(scope_of(name, model), model), wait=True))
        except ObservabilityError as error:
            print(f"{model}, {name}: {error}")
    if "slice" not in WINDOWS[name]:
        for each in load_findings.scope_record_findings(scope_of(name, None)):
            found.setdefault(each.model, []).append(each)
    return found


def main() -> int:
    """Open the pages, and print what is untrue."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path, nargs="?")
    parser.add_argument("--windows", default=",".join(WINDOWS))
    parser.add_argument("--pages", default="")
    parser.add_argument("--models", default="")
    options = parser.parse_args()
    pages, models = ([each for each in text.split(",") if each] for text in (options.pages, options.models))
    os.environ |= {"OBSERVABILITY_ENRICH": "off", "OBSERVABILITY_WATCH": "off"}
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        own_copy(options.home, Path(folder) / "home")
        for name in options.windows.split(","):
            began = time.monotonic()
            findings, views = findings_of(name, models), list(views_of(name, pages, models))
            settings = {each.name: each.settings for each in load.catalog().models}
            print(
                f"# {name}: {sum(map(len, findings.values())):,} findings, {len(views)} pages, {time.monotonic() - began:.0f} s", flush=True
            )
            for kind, line in page_truth.untrue(findings, views, settings):
                counts[kind] += 1
                print(f"{kind}: {line}", flush=True)
    print(", ".join(f"{kind} {n:,}" for kind, n in counts.items()) or "nothing untrue")
    return int(bool(counts))


if __name__ == "__main__":
    sys.exit(main())
