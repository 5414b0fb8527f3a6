"""The parser of the command line: every command with its help and an example. Each family of commands is defined in a separate file."""

import argparse
from typing import NoReturn

from observability.cli.arguments_access import add_access_commands
from observability.cli.arguments_audits import add_audit_commands
from observability.cli.arguments_exports import add_export_commands
from observability.cli.arguments_models import add_model_commands
from observability.cli.arguments_operations import add_operation_commands
from observability.cli.arguments_records import add_record_commands
from observability.cli.arguments_review import add_lab, add_review_commands
from observability.core.errors import UsageError

WITHOUT_JSON = ("demo", "serve", "mcp", "collect")
"""Commands that print no data."""
FAMILIES = (
    add_model_commands,
    add_record_commands,
    add_audit_commands,
    add_review_commands,
    add_access_commands,
    add_lab,
    add_export_commands,
    add_operation_commands,
)
"""The functions that add the commands, in the order of the help."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of ending the process, because it also runs inside the owner's process."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError. argparse calls this for every wrong use."""
        raise UsageError(message, attempt=f"See {self.prog} --help")


def parser() -> Parser:
    """The parser of all commands."""
    root = Parser(prog="python -m observability", description="See, investigate and review the health of machine-learning models.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def add(name: str, text: str, example: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"Example: python -m observability {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    for add_family in FAMILIES:
        add_family(add)
    for name, command in commands.choices.items():
        if name not in WITHOUT_JSON:
            command.add_argument("--json", action="store_true", help="print JSON")
    return root
