"""Errors with separate fields: the problem, its place, the value found, the value expected, and what to try.

The command line, the pages and HTTP each show these fields in their own way. Code must branch by the type of an error, never by its text.
"""

from typing import Self


class ObservabilityError(Exception):
    """A failure that the user can resolve. `str()` gives one or two sentences.

    Parameters are sentences or values; a parameter that is None is left out. `attempt`: what to try next.
    """

    exit_code = 2

    def __init__(
        self, what: str, *, where: str | None = None, got: object = None, expected: object = None, attempt: str | None = None
    ) -> None:
        self.what, self.where, self.got, self.expected, self.attempt = what, where, got, expected, attempt
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """The whole error as one line of text."""
        parts = [self.what.rstrip(".")]
        if self.where:
            parts[0] += f" (in {self.where})"
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        line = "; ".join(parts).rstrip(".") + "."
        if not self.attempt:
            return line
        return f"{line} {self.attempt}" if self.attempt.endswith("?") else f"{line} {self.attempt.rstrip('.')}."

    def __reduce__(self) -> tuple[type[Self], tuple[str], dict[str, object]]:
        return type(self), (self.what,), self.__dict__


class UsageError(ObservabilityError):
    """The call, the file or a parameter is wrong: exit 2 on the command line, 400 over HTTP."""


class NotFoundError(UsageError):
    """A named model, version, column, prediction or file does not exist: exit 2, 404 over HTTP."""


class ForbiddenError(ObservabilityError):
    """The person's role does not allow it: exit 2, 403 over HTTP."""


class StoreBusyError(ObservabilityError):
    """Another process owns the store and did not answer: exit 3, 503 over HTTP."""

    exit_code = 3


class StoreBrokenError(ObservabilityError):
    """The store cannot be read or written (damage, a full disk, a newer schema): exit 3, 503 over HTTP."""

    exit_code = 3


class StoreDamagedError(StoreBrokenError):
    """The content of the store's files is wrong, while the disk itself works: a wrong checksum, a truncated or foreign file."""
