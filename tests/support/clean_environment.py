"""Virtual environments without the packages of the tests, for runs with real third-party packages."""

import os
import subprocess
from pathlib import Path


def must(command: list[object], folder: Path, given: str | None = None, **variables: str) -> str:
    """The output of a command that must succeed. It runs without the Python paths of this environment. given: its standard input."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "OBSERVABILITY"))} | variables
    done = subprocess.run(list(map(str, command)), cwd=folder, env=env, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def installed(python: str, folder: Path, name: str, *what: object) -> Path:
    """The interpreter of a new virtual environment in a folder, with packages."""
    must([python, "-m", "venv", folder / name], folder)
    made = folder / name / "bin" / "python"
    must([made, "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check", *what], folder)
    return made
