"""Run one command against an open store."""

import os

from observability.cli.outcome import Outcome, Say, missing_package
from observability.cli.parser import parser
from observability.core.errors import ObservabilityError, UsageError
from observability.store.engine import Store


def execute(store: Store, argv: list[str], say: Say) -> Outcome:
    """Run a command against an open store. Every failure becomes an outcome."""
    from observability.cli import commands, commands_case, commands_sql

    try:
        args = parser().parse_args(argv)
        run = {
            **commands.COMMANDS,
            "case": commands_case.run_case,
            "relabel": commands_case.run_relabel,
            "token": commands_case.run_token,
            "sql": commands_sql.run_sql,
        }.get(args.command)
        if run is None:
            raise UsageError(f"the command {args.command} does not run inside the dashboard")
        return run(store, args, say)
    except ObservabilityError as error:
        return Outcome(error.exit_code, error=str(error))
    except ModuleNotFoundError as error:
        return missing_package(error)
    except SystemExit:
        return Outcome(2, error="The command line itself prints help.")
    except Exception as error:
        if os.environ.get("OBSERVABILITY_DEBUG"):
            raise
        return Outcome(3, error=f"Unexpected {type(error).__name__}: {error}. Run it again with OBSERVABILITY_DEBUG=1 for the traceback.")
