"""Helpers for the arguments of several commands: how a command is added, and the types of values."""

import argparse
from collections.abc import Callable
from pathlib import Path

from observability.core.errors import UsageError

AddCommand = Callable[[str, str, str], argparse.ArgumentParser]
"""Adds a command: its name, its help text, an example."""
TABLE_FILES = ".jsonl, .csv (both also as .gz) or .parquet"
TIMEZONE_HELP = "time zone of times without an offset, for example Europe/Paris"
DECIMAL_HELP = "decimal sign of the numbers in a .csv file; with a comma, points may group thousands"


class AllowRejected(argparse.Action):
    """The option --allow-rejected: a share from 0 to 1, by default 1. If the argument after the option is not a number, it is taken as a
    file.
    """

    def __call__(self, parser: argparse.ArgumentParser, args: argparse.Namespace, value: object, option: str | None = None) -> None:
        """Set `allow_rejected` to the given share, or to 1 if none is given. A value that is not a number is taken as a further file.
        Raises UsageError for a share outside 0 to 1.
        """
        share = 1.0
        if value is not None:
            try:
                share = float(str(value))
            except ValueError:
                args.files = [*args.files, absolute_path(str(value))]
        if not 0 <= share <= 1:
            raise UsageError("--allow-rejected takes a share", got=value, expected="a number from 0 to 1")
        args.allow_rejected = share


def file_or_model(text: str) -> str:
    """The absolute path of a TOML file; any other text is the name of a model and stays as it is."""
    return absolute_path(text) if text.endswith(".toml") else text


def absolute_path(text: str) -> str:
    """The absolute path of a file; relative paths would fail, because the process that owns the store runs in another folder."""
    return str(Path(text).expanduser().absolute())


def folder_or_address(text: str) -> str:
    """The absolute path of a folder; an address with a scheme stays as it is."""
    return text if "://" in text else absolute_path(text)
