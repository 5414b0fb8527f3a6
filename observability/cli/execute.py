"""Runs one command against an open store."""

import os
from typing import TYPE_CHECKING

from observability.cli.outcome import Outcome, Say
from observability.cli.parser import parser
from observability.core.errors import ObservabilityError, UsageError

if TYPE_CHECKING:
    from observability.store.db.database import Store


def execute(store: "Store", argv: list[str], say: Say) -> Outcome:
    """Run a command against an open store; every failure becomes an outcome."""
    from observability.cli import commands, commands_case

    try:
        said = parser().parse_args(argv)
        run = {**commands.COMMANDS, "case": commands_case.case, "relabel": commands_case.relabel, "token": commands_case.token}.get(
            said.command
        )
        if run is None:
            raise UsageError(f"{said.command} does not run inside the dashboard")
        return run(store, said, say)
    except ObservabilityError as error:
        return Outcome(error.exit_code, error=str(error))
    except SystemExit:
        return Outcome(2, error="Help is printed by the command line itself.")
    except Exception as error:
        if os.environ.get("OBSERVABILITY_DEBUG"):
            raise
        return Outcome(3, error=f"Unexpected {type(error).__name__}: {error}. Set OBSERVABILITY_DEBUG=1 and run it again to see where.")
