"""Runs the recipes of docs/exports.md with the tools they are written for: `python tests/packaging/recipes.py WHEEL [PYTHON]`.

The steps of the composite GitHub action run first, in a clean environment into which they install the wheel themselves. The `observability`
of that environment is then called by the line for cron (with cron's short PATH), by Airflow (`dag.test()`) and by Dagster, each in its own
environment. Every recipe is tried with a healthy model and with one that needs action. Exits 1 at the first failure. Part of `make
test-long`.
"""

import csv
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.clean_environment import installed, must

DOCS = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
ACTION = ROOT / "docs" / "examples" / "github-action" / "action.yml"
AIRFLOW, DAGSTER = ("apache-airflow-core", "apache-airflow-providers-standard"), ("dagster",)
DAG = """
import pendulum
from airflow.sdk import DAG

with DAG("loan", start_date=pendulum.datetime(2026, 1, 1), schedule=None):
{recipe}

if __name__ == "__main__":
    import sys
    run = check.dag.test(logical_date=pendulum.parse(sys.argv[1]))
    print("state:", run.state)
"""
ASSETS = """
{recipe}

@dg.asset
def loan_scores():
    return 1

if __name__ == "__main__":
    done = dg.materialize([loan_scores, loan_is_well])
    [check] = done.get_asset_check_evaluations()
    print("passed:", check.passed, len(str(check.metadata["findings"].value)) > 20)
"""


def write_table(path: Path, shift: float, seed: int, day: datetime | None = None) -> None:
    """Write 2,000 rows of two features, a score and a label that depends on it. shift: is added to the first feature. day: if given, the
    rows are predictions of that day.
    """
    dice = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow((*(("id", "at") if day else ()), "age", "income", "score", *(() if day else ("target",))))
        for number in range(2000):
            score = dice.random()
            row = (round(dice.gauss(40, 5) + shift, 2), round(dice.gauss(0, 1), 4), round(score, 4))
            own = (f"{seed}-{number}", (day + timedelta(seconds=40 * number)).isoformat()) if day else ()
            lines.writerow((*own, *row, *(() if day else (int(dice.random() < score),))))


def block(after: str) -> str:
    """The Python block of the documents that begins with this comment."""
    [found] = re.findall(rf"```python\n# {after}\n(.*?)```", DOCS, re.DOTALL)
    return str(found)


def run_action(bin_folder: Path, folder: Path, wheels: Path, current: Path, reference: Path) -> int:
    """The exit code of the action's steps. Each runs as on a runner: with its inputs in the environment, and with GitHub's shell
    command.
    """
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    inputs = {name: each.get("default", "") for name, each in action["inputs"].items()}
    inputs |= {"reference": str(reference), "current": str(current), "label": "target"}
    folder.mkdir()
    values = {f"inputs.{name}": value for name, value in inputs.items()} | {"runner.temp": str(folder)}
    assert [step.get("uses", "").partition("@")[0] for step in action["runs"]["steps"]] == ["actions/setup-python", ""]
    step = action["runs"]["steps"][1]
    env = {name: re.sub(r"\${{ *([\w.-]+) *}}", lambda found: values[found[1]], text) for name, text in step["env"].items()}
    env |= {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "HOME": str(folder)}
    env |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    env |= {"PATH": f"{bin_folder}:/usr/bin:/bin", "PIP_FIND_LINKS": f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}"}
    env |= {"PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "PIP_NO_COMPILE": "1"}
    (folder / "step.sh").write_text(step["run"], encoding="utf-8")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", folder / "step.sh"], env=env, cwd=folder, capture_output=True, text=True
    )
    if not (folder / "summary.md").exists() or "age" not in (folder / "summary.md").read_text(encoding="utf-8"):
        raise SystemExit(f"the action leaves no summary: {done}")
    return done.returncode


def main(wheel: Path, python: str) -> None:
    """Run every recipe in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
        reference, same, shifted = (folder / f"{each}.csv" for each in ("reference", "same", "shifted"))
        for path, shift, seed in ((reference, 0, 1), (same, 0, 2), (shifted, 12, 3)):
            write_table(path, shift, seed)

        must([python, "-m", "venv", folder / "runner"], folder)
        bins = folder / "runner" / "bin"
        codes = [run_action(bins, folder / f"runner {path.stem}", wheel.parent, path, reference) for path in (same, shifted)]
        assert codes == [0, 1], codes
        print("GitHub Action: passes an equal table, fails a shifted one", flush=True)

        homes = {}
        for state, shift in (("well", 0), ("ill", 12)):
            homes[state], data = folder / f"{state} home", folder / f"{state} data"
            data.mkdir()
            write_table(data / f"{day:%Y-%m-%d}.csv", shift, 4, day)
            options = ["--model", "loan", "--version", "1", "--task", "binary", "--label", "target", "--score", "score"]
            must([bins / "observability", "register", "--reference", reference, *options], folder, OBSERVABILITY_HOME=str(homes[state]))

        [line] = re.findall(r"^\*\*cron\*\*: `([^`]*)`", DOCS, re.MULTILINE)
        fields, command = re.fullmatch(r"((?:[\d*/,-]+ ){5})(.*)", line).groups()
        command = command.replace("/srv/observability", shlex.quote(str(homes["well"]))).replace(
            "/srv/metrics", shlex.quote(str(folder / "metrics"))
        )
        command = command.replace("/opt/observability/bin", shlex.quote(str(bins)))
        subprocess.run(
            ["/bin/sh", "-c", command], env={"PATH": "/usr/bin:/bin", "HOME": str(folder)}, check=True, stdout=subprocess.DEVNULL
        )
        assert (folder / "metrics" / "daily.parquet").exists()
        print(f"cron: {fields.strip()} writes {len(list((folder / 'metrics').rglob('*.parquet')))} tables", flush=True)

        made = installed(python, folder, "airflow", *AIRFLOW)
        recipe, found = block("Airflow").replace(".parquet", ".csv"), {}
        for state, home in homes.items():
            (folder / "airflow home" / state).mkdir(parents=True)
            own = folder / "airflow home" / state
            text = recipe.replace("/data/", f"'{folder / f'{state} data'}'/")
            (own / "loan.py").write_text(DAG.format(recipe="".join(f"    {row}\n" for row in text.splitlines())), encoding="utf-8")
            env = {
                "AIRFLOW_HOME": str(own), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
                "AIRFLOW__CORE__DAGS_FOLDER": str(own), "OBSERVABILITY_HOME": str(home), "PATH": f"{bins}:/usr/bin:/bin",
            }  # fmt: skip
            must([made, "-m", "airflow", "db", "migrate"], own, **env)
            found[state] = must([made, own / "loan.py", f"{day:%Y-%m-%d}"], own, **env).rsplit("state:", 1)[1].strip()
        assert "success" in found["well"] and "failed" in found["ill"], found
        print(f"Airflow {version_of(made, 'apache-airflow-core')}: the task is {found['well']} and {found['ill']}", flush=True)

        made = installed(python, folder, "dagster", *DAGSTER)
        (folder / "assets.py").write_text(ASSETS.format(recipe=block("Dagster")), encoding="utf-8")
        (folder / "dagster home").mkdir()
        (folder / "dagster home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        found = {}
        for state, home in homes.items():
            env = {"DAGSTER_HOME": str(folder / "dagster home"), "OBSERVABILITY_HOME": str(home), "PATH": f"{bins}:/usr/bin:/bin"}
            found[state] = must([made, folder / "assets.py"], folder, **env).rsplit("passed:", 1)[1].strip()
        assert found == {"well": "True True", "ill": "False True"}, found
        print(f"Dagster {version_of(made, 'dagster')}: the asset check passes and fails")


def version_of(made: Path, package: str) -> str:
    """The version of a package of an environment."""
    return must([made, "-c", f"from importlib.metadata import version; print(version({package!r}))"], ROOT).strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else sys.executable)
