"""The commands of the README's ten minutes run as they are written, on a file of one's own.

The commands of `make` are run by the suite itself, those of the wheel by tests/packaging/wheel_check.py, the others of the table by the
tests of what they do.
"""

import csv
import json
import random
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from observability.cli.main import main
from tests.support.sample_home import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MINUTES = README.partition("## Ten minutes with your own logs")[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    """The blocks of code of the ten minutes in a language, without their indent."""
    found = re.findall(rf"^ {{3}}```{language}\n(.*?)^ {{3}}```", MINUTES, re.DOTALL | re.MULTILINE)
    return [re.sub(r"^ {3}", "", block, flags=re.MULTILINE) for block in found]


def words(command: str) -> list[str]:
    """A command of the README as arguments."""
    found = shlex.split(command)
    assert found[:3] == ["python", "-m", "observability"], command
    return found[3:]


def write_held_out(path: Path) -> None:
    """A reference with the columns that the README's command names."""
    dice = random.Random(1)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("age", "income", "sex", "probability", "defaulted"))
        for _ in range(300):
            probability = round(dice.random(), 4)
            rows.writerow(
                (dice.randint(18, 80), dice.randint(20_000, 90_000), dice.choice("FM"), probability, int(dice.random() < probability))
            )


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
    for command in sorted(set(re.findall(r"`(python -m observability token [^`]*)`", README))):
        assert main(words(command)) == 0
