"""The outcome of a command: exit code, output, error."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a command leaves: the exit code, what to print, and what to print as an error."""

    exit_code: int = 0
    out: str = ""
    error: str = ""


def answered(body: Any, lines: list[str], as_json: bool, exit_code: int = 0) -> Outcome:
    """JSON where asked for, else lines."""
    return Outcome(exit_code, json.dumps(body, ensure_ascii=False, indent=2, default=str) if as_json else "\n".join(lines))
