"""The commands of the README's ten minutes run as written, on a new user's own file. Every other command is either run by a test named
here, or has a reason here why no test runs it.
"""

import io
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from observability.cli.main import main
from observability.cli.parser import WITHOUT_JSON
from observability.server.access import COMMANDS
from observability.store.ingest.importer import MAX_DECOMPRESSED
from observability.store.ingest.parse_json import MAX_LINE_BYTES
from tests.support.held_out import write_held_out
from tests.support.sample_home import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MINUTES = README.partition("## Ten minutes with your own logs")[2].partition("\n## ")[0]


TEN_MINUTES = "tests/cli/test_readme.py::test_the_ten_minutes_of_the_readme_run_as_written"
RUNNING = "tests/cli/test_commands.py::test_commands_go_to_the_dashboard_that_runs"
INSTALLS = "installs a package; tests/packaging/wheel_check.py installs the wheel so"
SERVES = "serves until it is stopped, with the commands `demo` and `serve`, which tests run"
RUN_BY = {
    "observability demo --live": "tests/cli/test_live_sample.py::test_a_load_killed_during_registration_is_repaired_by_the_next_load",
    "observability serve": RUNNING,
    "observability register --model loan --version 3 --task binary --reference held_out.csv --label defaulted --score probability "
    "--sensitive sex": TEN_MINUTES,
    "observability load predictions.parquet --kind prediction --model loan --version 3": TEN_MINUTES,
    "observability import": "tests/cli/test_import.py",
    "observability check --model loan": TEN_MINUTES,
    "observability COMMAND --help": "tests/cli/test_commands.py::test_every_command_has_help_with_an_example",
    "observability token create --scope read": TEN_MINUTES,
    "observability account add NAME --role administrator": TEN_MINUTES,
    "curl -H 'Authorization: Bearer TOKEN' localhost:8501/api/v1/predictions/ID": RUNNING,
}
"""The test that runs each command."""
NOT_RUN = {
    "make run": SERVES,
    "make live": SERVES,
    "make run PORT=9000": SERVES,
    "make test": "runs the tests",
    "make bench": "takes hours",
    "make format": "changes files of the project",
    "make wheel": "`make test` builds the wheel and tries it (tests/packaging/wheel_check.py)",
    "pip install observability-dashboard": INSTALLS,
    "pip install 'observability-dashboard[dashboard]'": INSTALLS,
    "pip install 'observability-dashboard[auth]'": INSTALLS,
    "observability …": "names the command line",
}
"""Why a command is run by no test."""


def readme_commands() -> set[str]:
    """Every command line in the README: from its blocks without a language, and from inline code."""
    block = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
    lines = [line for language, text in block.findall(README) if not language for line in text.replace("\\\n", " ").splitlines()]
    found = [part for line in lines for part in line.partition("#")[0].split("&&") if part.strip()]
    found += re.findall(r"`((?:(?:python\s+-m\s+)?observability|make|pip|curl)\s+[^`]+)`", block.sub("", README))
    return {" ".join(command.split()).removeprefix("python -m ") for command in found}


def test_every_command_of_the_readme_is_run_by_a_test_or_says_why_not() -> None:
    assert readme_commands() == RUN_BY.keys() | NOT_RUN.keys() and not RUN_BY.keys() & NOT_RUN.keys()
    for place in RUN_BY.values():
        file, _, name = place.partition("::")
        assert f"def {name or 'test_'}" in (ROOT / file).read_text(encoding="utf-8"), place


def test_the_readme_names_the_commands_that_print_no_json_and_the_limits_of_a_file() -> None:
    (listed,) = re.findall(r"; all but (.*?) answer in JSON", README)
    assert sorted(re.findall(r"`(.*?)`", listed)) == sorted(WITHOUT_JSON)
    assert f"of at most {MAX_LINE_BYTES // 2**20} MiB." in README
    assert f"A compressed file holds at most {MAX_DECOMPRESSED / 1e9:.1f} GB." in README


def test_every_command_of_the_readme_table_is_used_in_a_test() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", README.partition("## Commands")[2].partition("**HTTP**")[0], re.MULTILINE)
    named = {each for row in rows for each in re.findall(r"`([a-z-]+)", row)} & COMMANDS.keys()
    assert named == COMMANDS.keys()
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py") if path.name != "test_access.py"]
    sources += [(ROOT / "tests" / "support" / "running.py").read_text(encoding="utf-8")]
    assert [each for each in sorted(named) if not any(f'"{each}"' in source for source in sources)] == []


def blocks(language: str) -> list[str]:
    """The code blocks of the ten minutes in the given language, without their indentation."""
    found = re.findall(rf"^ {{3}}```{language}\n(.*?)^ {{3}}```", MINUTES, re.DOTALL | re.MULTILINE)
    return [re.sub(r"^ {3}", "", block, flags=re.MULTILINE) for block in found]


def words(command: str) -> list[str]:
    """A command of the README as arguments."""
    found = shlex.split(command)
    assert found[:3] == ["python", "-m", "observability"], command
    return found[3:]


def test_the_ten_minutes_of_the_readme_run_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OBSERVABILITY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write_held_out(tmp_path / "held_out.csv")
    [register], [log] = blocks(""), blocks("python")
    assert main(words(register.replace("\\\n", " "))) == 0
    scope: dict[str, Any] = {}
    exec(log, scope)
    scope["log"].close()
    assert main(["load"]) == 0
    at = [datetime.now(UTC) - timedelta(minutes=place) for place in range(5)]
    columns = {"id": [f"b{place}" for place in range(5)], "at": at, "age": [40] * 5, "income": [50_000] * 5, "score": [0.4] * 5}
    parquet.write_table(pa.table(columns), "predictions.parquet")
    [load] = re.findall(r"`(python -m\s+observability load [^`]*)`", MINUTES)
    assert main(words(load)) == 0
    capsys.readouterr()
    [check] = re.findall(r"`(python -m observability check [^`]*)`", MINUTES)
    assert main([*words(check), "--json"]) == 0
    assert {finding["model"] for finding in json.loads(capsys.readouterr().out)} == {"loan"}
    (tmp_path / "forms.json").write_text(
        '{"forms": [{"form": "int8", "latency_p99_ms": 1.8, "probes": 5000, "flips": 12}]}', encoding="utf-8"
    )
    assert main(["trade-offs", "loan", "--import", "forms.json"]) == 0
    assert "int8" in capsys.readouterr().out
    assert main(["status", "--json"]) == 0
    [model] = json.loads(capsys.readouterr().out)["models"]
    assert (model["model"], model["predictions"], model["reference_rows"]) == ("loan", 6, 300)
    for command in sorted(set(re.findall(r"`(python -m observability (?:token|account) [^`]*)`", README)), reverse=True):
        monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
        assert main(words(command.replace("NAME", "ada"))) == 0
