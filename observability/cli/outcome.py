"""Outcomes of commands: exit code, output, error; and helpers that commands share."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observability.core.errors import StoreBrokenError, UsageError
from observability.core.formatting import STATUS_WORDS
from observability.core.json_values import json_plain

Say = Callable[[str], None]
"""Shows one line of progress."""
EXTRAS = {"obstore": "lake", "deltalake": "delta", "pyiceberg": "iceberg"}
"""The extra of this package that installs a dependency, if it is not `dashboard`."""


@dataclass(frozen=True)
class Outcome:
    """Result of a command: the exit code, the text for the standard output, the text for the error stream."""

    exit_code: int = 0
    out: str = ""
    error: str = ""


def refused_by_disk(error: OSError) -> Outcome:
    """The outcome of a command if the system refused to read or write a file."""
    attempt = "Check the disk that holds the home, its space and its permissions"
    broken = StoreBrokenError("the disk refused", where=error.filename, got=error.strerror or error, attempt=attempt)
    return Outcome(broken.exit_code, error=str(broken))


def json_or_lines(body: Any, lines: list[str], as_json: bool, exit_code: int = 0) -> Outcome:
    """An outcome that prints JSON if `as_json` is set, else lines."""
    return Outcome(exit_code, json.dumps(json_plain(body), ensure_ascii=False, indent=2, default=str) if as_json else "\n".join(lines))


def percent_progress(say: Say) -> Callable[[float, str], None]:
    """Report a share and a text as `40 % text`."""
    return lambda share, text: say(f"{100 * share:.0f} % {text}")


def severity_column(severity: str) -> str:
    """The word for a severity, padded to the width of the longest word."""
    return f"{STATUS_WORDS[severity]:8}"


def write_output(path: Path, content: bytes) -> None:
    """Write the file that `--out` names. Raises UsageError if it cannot be written."""
    try:
        path.write_bytes(content)
    except OSError as error:
        attempt = "Name an existing folder that you may write to"
        raise UsageError("the file cannot be written", where="--out", got=f"{path}: {error.strerror}", attempt=attempt) from None


def missing_package(error: ModuleNotFoundError) -> Outcome:
    """The outcome if a package is missing: exit code 2 and one sentence that names the package. If the missing module belongs to this
    product, the error is raised again.
    """
    if error.name is None or error.name.split(".")[0] == "observability":
        raise error
    package = error.name.split(".")[0]
    extra = EXTRAS.get(package, "dashboard")
    text = f"This command needs {package}, which is not installed; run pip install 'observability-dashboard[{extra}]'."
    return Outcome(2, error=text)
