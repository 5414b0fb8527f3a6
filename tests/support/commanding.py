"""Run a command line in a test and read its result."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.sample_home import ROOT, environment


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    error: str

    def json(self) -> Any:
        """The answer as a Python value. The test fails if the command failed."""
        assert self.code == 0, self
        return json.loads(self.out)


Command = Callable[..., Done]


def spawn(home: Path, *argv: object, cwd: Path = ROOT) -> Done:
    """Runs a command line on a home in a separate process, as a person does."""
    done = subprocess.run(
        [sys.executable, "-m", "observability", *map(str, argv)],
        cwd=cwd, env=environment(home) | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def by_metric(findings: list[dict[str, Any]], analyzer: str = "serving/performance") -> dict[str, dict[str, Any]]:
    """The findings about the model itself, by metric."""
    return {each["metric"]: each for each in findings if each["analyzer"] == analyzer and each["subject"] == "model"}


def contents(home: Path, command: Command) -> dict[str, Any]:
    """The contents of a store: models with their counts, records, rejected lines, and files that remain in landing."""
    status = command(home, "status", "--json").json()
    models = {each["model"]: (each["versions"], each["predictions"], each["reference_rows"], each["labels"]) for each in status["models"]}
    left = sorted(each.name for each in home.rglob("*") if each.is_file() and each.parent.name in ("uploads", "ready", "tmp"))
    return {"models": models, "records": status["records"], "rejected": status["rejected"]["total"], "left": left}


def one_sentence(done: Done, code: int, *words: str) -> None:
    """Check that the output is empty, and that the error stream is one line: a sentence with these words."""
    assert done.code == code, done
    assert done.out == ""
    lines = done.error.strip().splitlines()
    assert len(lines) == 1 and lines[0].endswith((".", "?")), done.error
    assert "Traceback" not in lines[0] and "Unexpected" not in lines[0]
    for word in words:
        assert word in lines[0], lines[0]
