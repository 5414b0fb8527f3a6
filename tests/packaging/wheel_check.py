"""Installs a built wheel in clean environments and uses it: `python tests/packaging/wheel_check.py WHEEL [PYTHON ...]`.

Each interpreter uses it twice. Alone: the SDK writes a record, and no heavy package can be imported. With the extra `dashboard`: the sample
fleet is loaded, one prediction is explained with its model file, and the first page is served, from a folder without any file of the
project. Exits 1 at the first failure. A short run explains a prediction only in the first interpreter.

If an interpreter has another version than that of the tests, everything is installed, and it loads the sample fleet: in a short run without
the two largest models, after a check that the wheel has every file (docs/decisions/0101-what-a-visit-costs.md). For the tests' own version,
pip only lists what it would install. Only these files are taken from the tests' environment, so an undeclared dependency would still be
missing. This version serves the fleet that another interpreter loaded, if there is one
(docs/decisions/0095-the-browser-part-of-the-tests.md).
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import cache_from_source
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "pandas", "duckdb", "streamlit", "plotly", "shap", "evidently", "sklearn", "numba", "pyarrow")
ALONE = f"""
import importlib.util, json, pathlib, sys
import observability as obs
log = obs.Logger(home="home")
log.prediction(id="p1", model="loan", version="1", features={{"age": 30}}, score=0.62)
log.label(id="p1", model="loan", value=1)
log.close()
lines = [line for path in pathlib.Path("home/landing").rglob("*.jsonl*") for line in path.read_text().splitlines()]
kinds = sorted(json.loads(line)["kind"] for line in lines)
assert kinds == ["label", "prediction"], lines
found = [name for name in {HEAVY!r} if importlib.util.find_spec(name)]
assert not found, found
print("alone:", sys.version.split()[0], obs.__version__, "wrote", len(lines), "records; no other package is installed")
"""
LEFT_OUT = ("flights-delay", "employment")
"""The largest models, which a short run does not load. The others have two tasks, with labels and with model files of two formats."""
LISTING = "import observability; print(observability.__path__[0] + '/bundle/sample_data/fleet.toml')"
CASE = ("case", "20130504-JFK-DL95", "--model", "flights-late")
START_SECONDS = 600
INSTALL = ("install", "-q", "--disable-pip-version-check", "--no-compile")
"""Options of pip that do not compile modules: most modules of the extra are never imported."""


def run(command: list[str | Path], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, without the Python paths of this environment; returns the finished process."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "OBSERVABILITY"))} | variables
    return subprocess.run([str(part) for part in command], cwd=folder, env=env, capture_output=True, text=True, timeout=1200, check=False)


def must(command: list[str | Path], folder: Path, **variables: str) -> str:
    """The output of a command that has to succeed."""
    done = run(command, folder, **variables)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def environment(python: str, folder: Path, name: str) -> Path:
    """The interpreter of a new virtual environment, without pip: the tests' own pip installs into it, if they have one."""
    own = [] if importlib.util.find_spec("pip") is None else ["--without-pip"]
    must([python, "-m", "venv", *own, folder / name], folder)
    return folder / name / "bin" / "python"


def uv() -> str | None:
    """The path of uv, from the tests' environment or the machine; it takes a fraction of pip's time. None if there is none."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def pip(made: Path, folder: Path, *arguments: str | Path) -> str:
    """The output of the installer for a virtual environment: of uv, or of pip if there is no uv or it fails."""
    if (fast := uv()) and not (done := run([fast, "pip", "install", "--python", made, *arguments], folder)).returncode:
        return done.stdout + done.stderr
    own = [made, "-m", "pip"] if importlib.util.find_spec("pip") is None else [sys.executable, "-m", "pip", "--python", made]
    return must([*own, *INSTALL, *arguments], folder)


def check_alone(python: str, wheel: Path, folder: Path) -> str:
    """Check that the SDK works without any dependency, and that a command which needs more says what to install."""
    made = environment(python, folder, "alone")
    pip(made, folder, wheel)
    said = must([made, "-c", ALONE], folder)
    refused = run([made.with_name("observability"), "demo"], folder)
    if refused.returncode != 2 or "observability-dashboard[dashboard]" not in refused.stderr or "Traceback" in refused.stderr:
        raise SystemExit(f"`observability demo` without the extra: exit {refused.returncode}\n{refused.stdout}\n{refused.stderr}")
    return said.strip()


def check_dashboard(python: str, wheel: Path, folder: Path, loaded: Path | None) -> str:
    """Check the dashboard from the wheel: the fleet is loaded (or an already loaded one is used), the server answers, and the first page
    names a model of the fleet.
    """
    made, home = environment(python, folder, "dashboard"), folder / "fleet"
    extra = f"observability-dashboard[dashboard] @ {wheel.as_uri()}"
    if version_of(python) == version_of(sys.executable):
        took = borrow(made, folder, extra)
        how = f"{took} libraries of the tests"
        pip(made, folder, "--no-deps", wheel)
    else:
        pip(made, folder, "-c", ROOT / "constraints.txt", extra)
        how = "everything installed"
    if loaded is None:
        listing = Path(must([made, "-c", LISTING], folder).strip())
        check_files(listing)
        if not os.environ.get("LONG_TESTS"):
            shorten(listing)
        must([made.with_name("observability"), "demo"], folder, OBSERVABILITY_HOME=str(home))
    else:
        shutil.copytree(loaded, home)
    if loaded is None or os.environ.get("LONG_TESTS"):
        case = json.loads(must([made.with_name("observability"), *CASE, "--json"], folder, OBSERVABILITY_HOME=str(home)))
        if not case["attributions"]:
            raise SystemExit(f"an installed product does not explain a prediction: {case['why']}")
    title = served_title(made.parent, folder, str(home))
    return f"dashboard: Python {version_of(python)}, {how}, serves {title}"


def check_files(listing: Path) -> None:
    """Check that the wheel contains every file of the sample fleet."""
    fleet = tomllib.loads(listing.read_text(encoding="utf-8"))
    files = [
        entry[kind] for entry in fleet["model"] + fleet["file"] for kind in ("path", "reference", "artifact", "settings") if kind in entry
    ]
    if missing := [name for name in files if not (listing.parent / name).is_file()]:
        raise SystemExit(f"the wheel leaves out {', '.join(missing)}")


def shorten(listing: Path) -> None:
    """Remove the largest models and their files from the list."""
    first, *tables = listing.read_text(encoding="utf-8").split("\n[[")
    kept = [table for table in tables if not any(f'"{name}' in table for name in LEFT_OUT)]
    listing.write_text("\n[[".join([first, *kept]), encoding="utf-8")


def version_of(python: str) -> str:
    """The minor version of an interpreter, and its ABI."""
    return must([python, "-c", "import sys, sysconfig; print(*sys.version_info[:2], sysconfig.get_config_var('SOABI'))"], ROOT).strip()


def borrow(made: Path, folder: Path, extra: str) -> int:
    """Link the files that pip would install with the extra from the tests' environment; install the rest. Returns the number of linked
    libraries.
    """
    wanted = would_install(made, folder, extra)
    place = Path(must([made, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())
    missing, linked = [], 0
    for name, version in wanted.items():
        try:
            source = distribution(name)
        except PackageNotFoundError:
            source = None
        if source is None or source.version != version:
            missing.append(f"{name}=={version}")
            continue
        linked += 1
        for file in source.files or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                link(Path(str(source.locate_file(file))), place / file)
    if missing:
        pip(made, folder, "--no-deps", *missing)
    return linked


def would_install(made: Path, folder: Path, extra: str) -> dict[str, str]:
    """The libraries that an installer would bring into an empty virtual environment with the extra: versions by name."""
    constrained = ("--dry-run", "-c", ROOT / "constraints.txt", extra)
    if (fast := uv()) and not (done := run([fast, "pip", "install", "--python", made, *constrained], folder)).returncode:
        found = re.findall(r"^ \+ (\S+?)==(\S+)", done.stderr, re.MULTILINE)
    else:
        report = folder / "would-install.json"
        pip(made, folder, "--ignore-installed", "--report", report, *constrained)
        found = [
            (each["metadata"]["name"], each["metadata"]["version"]) for each in json.loads(report.read_text(encoding="utf-8"))["install"]
        ]
    return {name: version for name, version in found if name != "observability-dashboard"}


def link(file: Path, to: Path) -> None:
    """Give a file, and its compiled form, a second name by a hard link; on another file system by a copy. Symbolic links are not used,
    because the confined worker may not follow them.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, to)
    except OSError:
        shutil.copy2(file, to)
    if file.suffix == ".py" and (compiled := Path(cache_from_source(file))).exists():
        link(compiled, to.parent / "__pycache__" / compiled.name)


def served_title(bin_folder: Path, folder: Path, home: str) -> str:
    """Start the server and check readiness, the document and the findings behind it; returns the heading of the first page."""
    sys.path.insert(0, str(ROOT))
    from tests.support.ports import free_port

    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    env |= {"OBSERVABILITY_HOME": home, "OBSERVABILITY_ENRICH": "off", "OBSERVABILITY_WATCH": "off"}
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen(
            [str(bin_folder / "observability"), "serve", "--port", str(port)], cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/readyz", server, folder / "serve.log")
            return first_page(f"http://127.0.0.1:{port}/")
        finally:
            server.terminate()
            server.wait(timeout=120)


def first_page(url: str) -> str:
    """The heading of the first page, read in chromium."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT))
    from tests.browser.conftest import CHROMIUM, FLAGS

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page()
            page.goto(url)
            page.get_by_text("flights-late").first.wait_for(timeout=START_SECONDS * 1000)
            return page.title()
        finally:
            browser.close()


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Returns once the address answers with 200."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"{url} does not answer\n{log.read_text()}")


def main(arguments: list[str]) -> int:
    """Check the wheel with each interpreter, beginning with those of another version than the tests'."""
    wheel, pythons = Path(arguments[0]).resolve(), arguments[1:] or [sys.executable]
    with tempfile.TemporaryDirectory() as place:
        loaded: Path | None = None
        for number, python in enumerate(sorted(pythons, key=lambda each: version_of(each) == version_of(sys.executable))):
            folder = Path(place) / str(number)
            folder.mkdir()
            print(check_alone(python, wheel, folder), flush=True)
            print(check_dashboard(python, wheel, folder, loaded), flush=True)
            loaded = folder / "fleet"
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
