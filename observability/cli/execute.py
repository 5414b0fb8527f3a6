"""Run one command against an open store."""

import argparse
import os
from collections.abc import Callable
from importlib import import_module

from observability.cli.outcome import Outcome, Say, missing_package, refused_by_disk
from observability.cli.parser import parser
from observability.core.errors import ObservabilityError, UsageError
from observability.server import audit_log
from observability.server.access import ACTIONS, COMMAND_LINE, COMMANDS, Action, Person, require_action
from observability.server.guarded_store import guarded_store
from observability.store.engine import Store

MODULES = {
    "case": "commands_case.run_case",
    "relabel": "commands_case.run_relabel",
    "token": "commands_case.run_token",
    "load": "commands_load.run_load",
    "sql": "commands_sql.run_sql",
    "import": "commands_import.run_import",
    "items": "commands_labelling.run_items",
    "profile": "commands_data.run_profile",
    "audit-data": "commands_data.run_audit_data",
    "audit": "commands_audit.run_model_audit",
    "probe": "commands_serving.run_probe",
    "gate": "commands_serving.run_gate",
    "audit-storage": "commands_storage.run_audit_storage",
    "report-storage": "commands_places.run_report_storage",
    "croissant": "commands_storage.run_croissant",
    "lineage": "commands_storage.run_lineage",
    "audit-augmentation": "commands_augmentation.run_audit_augmentation",
    "export-lake": "commands_storage.run_export_lake",
    "rollup-lake": "commands_storage.run_rollup_lake",
    "trade-offs": "commands_trade_offs.run_trade_offs",
    "exports": "commands_exports.run_exports",
    "energy": "commands_energy.run_energy",
}
"""The module (in this package) and function of each command that is not in `commands.COMMANDS`."""


def execute(store: Store, argv: list[str], say: Say, person: Person = COMMAND_LINE) -> Outcome:
    """Run a command against an open store, with the rights of a person. Every failure becomes an outcome.

    Whoever can read the home folder runs commands as an administrator, because they could read and change its files without the dashboard
    anyway.
    """
    try:
        args = parser().parse_args(argv)
        action = command_action(args)
        model = args.model if isinstance(getattr(args, "model", None), str) else None
        require_action(person, action, model)
        if ACTIONS[action] != "viewer" or args.command == "case":
            audit_log.note_access(
                store.home,
                audit_log.operating_user() if person is COMMAND_LINE else person.name,
                "saw" if args.command == "case" else "ran",
                what=args.command,
                model=model,
                prediction=args.id if args.command == "case" else None,
            )
        run = command_function(args.command)
        if run is None:
            raise UsageError(f"the command {args.command} does not run inside the dashboard")
        return run(store if person is COMMAND_LINE else guarded_store(store, person), args, say)
    except ObservabilityError as error:
        return Outcome(error.exit_code, error=str(error))
    except ModuleNotFoundError as error:
        return missing_package(error)
    except OSError as error:
        return refused_by_disk(error)
    except SystemExit:
        return Outcome(2, error="The command line itself prints help.")
    except Exception as error:
        if os.environ.get("OBSERVABILITY_DEBUG"):
            raise
        return Outcome(3, error=f"Unexpected {type(error).__name__}: {error}. Run it again with OBSERVABILITY_DEBUG=1 for the traceback.")


def command_function(name: str) -> Callable[[Store, argparse.Namespace, Say], Outcome] | None:
    """The function that runs a command; None if it does not run against an open store. Only its own module is imported."""
    if name in MODULES:
        module, function = MODULES[name].split(".")
        found: Callable[[Store, argparse.Namespace, Say], Outcome] = getattr(import_module(f"observability.cli.{module}"), function)
        return found
    from observability.cli import commands

    return commands.COMMANDS.get(name)


def command_action(args: argparse.Namespace) -> Action:
    """The action of a command line. A command that only shows data has the action `read`."""
    if args.command == "settings" and not args.settings:
        return "read"
    return COMMANDS[args.command]
