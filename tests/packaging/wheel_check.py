"""Installs a built wheel in clean environments and uses it: `python tests/packaging/wheel_check.py WHEEL [PYTHON ...]`.

For each interpreter, twice: alone (the SDK writes a record, and no heavy package can be imported) and with the extra `dashboard` (the sample fleet
is loaded, one prediction is explained by its model file and the first page is served, from a folder that holds nothing of the project). Exits 1
at the first failure.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
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
CASE = ("case", "20130504-JFK-DL95", "--model", "flights-late")
START_SECONDS = 240
INSTALL = ("install", "-q", "--disable-pip-version-check", "--no-compile")
"""Modules are compiled when they are imported: most of what the extra brings never is."""


def run(command: list[str | Path], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A finished command in a folder, without the environment's Python paths."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "OBSERVABILITY"))} | variables
    return subprocess.run([str(part) for part in command], cwd=folder, env=env, capture_output=True, text=True, timeout=1200, check=False)


def must(command: list[str | Path], folder: Path, **variables: str) -> str:
    """The output of a command that has to succeed."""
    done = run(command, folder, **variables)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def environment(python: str, folder: Path, name: str) -> Path:
    """The `bin` folder of a new virtual environment."""
    must([python, "-m", "venv", folder / name], folder)
    return folder / name / "bin"


def check_alone(python: str, wheel: Path, folder: Path) -> str:
    """The SDK without any dependency, and a command that needs more says what to install."""
    bin_folder = environment(python, folder, "alone")
    must([bin_folder / "pip", *INSTALL, wheel], folder)
    said = must([bin_folder / "python", "-c", ALONE], folder)
    refused = run([bin_folder / "observability", "demo"], folder)
    if refused.returncode != 2 or "observability-dashboard[dashboard]" not in refused.stderr or "Traceback" in refused.stderr:
        raise SystemExit(f"`observability demo` without the extra: exit {refused.returncode}\n{refused.stdout}\n{refused.stderr}")
    return said.strip()


def check_dashboard(python: str, wheel: Path, folder: Path) -> str:
    """The dashboard from the wheel: the fleet is loaded, the server answers, and the first page names a model of the fleet."""
    bin_folder = environment(python, folder, "dashboard")
    extra = f"observability-dashboard[dashboard] @ {wheel.as_uri()}"
    must([bin_folder / "pip", *INSTALL, "-c", ROOT / "constraints.txt", extra], folder)
    home = str(folder / "home")
    must([bin_folder / "observability", "demo"], folder, OBSERVABILITY_HOME=home)
    case = json.loads(must([bin_folder / "observability", *CASE, "--json"], folder, OBSERVABILITY_HOME=home))
    if not case["attributions"]:
        raise SystemExit(f"an installed product does not explain a prediction: {case['why']}")
    title = served_title(bin_folder, folder, home)
    return f"dashboard: {must([bin_folder / 'python', '--version'], folder).strip()} serves {title}"


def served_title(bin_folder: Path, folder: Path, home: str) -> str:
    """What the served first page answers: readiness, the document and the findings behind it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
            server.wait(timeout=30)


def first_page(url: str) -> str:
    """The heading of the first page in chromium."""
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
    """Returns once the address answers 200."""
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
    """Check the wheel with each interpreter, side by side."""
    wheel, pythons = Path(arguments[0]).resolve(), arguments[1:] or [sys.executable]
    with tempfile.TemporaryDirectory() as place:
        folders = {python: Path(place) / str(number) for number, python in enumerate(pythons)}
        for python, folder in folders.items():
            folder.mkdir()
            print(check_alone(python, wheel, folder), flush=True)
        with ThreadPoolExecutor(len(pythons)) as pool:
            for said in pool.map(lambda item: check_dashboard(item[0], wheel, item[1]), folders.items()):
                print(said, flush=True)
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
