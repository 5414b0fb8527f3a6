"""Commands about sign-in: accounts and the audit log. They read and write files in the home folder, whether or not a dashboard runs."""

import argparse
import getpass
import sys
from pathlib import Path

from observability.cli.commands_case import inert_line
from observability.cli.outcome import Outcome, json_or_lines
from observability.core.errors import UsageError
from observability.server import accounts, audit_log
from observability.server.access_settings import NO_ROLE


def run_account(home: Path, args: argparse.Namespace) -> Outcome:
    """Add, list, change or disable local accounts. Raises UsageError, NotFoundError."""
    if args.action == "list":
        known = list(accounts.read_accounts(home).values())
        lines = [inert_line(accounts.account_line(account)) for account in known]
        return json_or_lines([accounts.public_account(account) for account in known], lines or ["No account yet: no sign-in."], args.json)
    if not args.name:
        raise UsageError("the name of the account is missing", attempt="See: python -m observability account list")
    first = not accounts.read_accounts(home)
    if args.action == "add":
        if args.role is None:
            raise UsageError("an account needs a role", expected="--role viewer, analyst, administrator, or none with --model M=ROLE")
        models = dict(_model_role(text) for text in args.model)
        account = accounts.add_account(home, args.name, args.role, _asked_password(), models)
        said = f"Added {account.name}, {account.role or NO_ROLE}."
        said += " Sign-in is on from now on." if first else ""
    elif args.action == "role":
        account, said = _change_role(home, args)
    elif args.action == "password":
        accounts.find_account(home, args.name)
        account = accounts.set_password(home, args.name, _asked_password())
        said = f"The password of {account.name} is changed, and open sessions have ended."
    else:
        account = accounts.disable_account(home, args.name, disabled=args.action == "disable")
        said = f"{account.name} is {'disabled; open sessions ended' if account.disabled else 'enabled'}."
    audit_log.note_access(home, audit_log.operating_user(), "changed", what=f"account {args.action} {account.name}")
    return json_or_lines(accounts.public_account(account), [said], args.json)


def _change_role(home: Path, args: argparse.Namespace) -> tuple[accounts.Account, str]:
    """Set the general role, or roles for single models."""
    if args.role is None and not args.model:
        raise UsageError("the role is missing", expected="--role ROLE or --model M=ROLE")
    if args.role is not None:
        account = accounts.set_role(home, args.name, args.role)
    for model, role in map(_model_role, args.model):
        account = accounts.set_role(home, args.name, role, model)
    return account, f"{accounts.account_line(account)}. Open sessions ended."


def _model_role(text: str) -> tuple[str, str]:
    """The model and the role in a text such as `loan=analyst`: ("loan", "analyst"). Raises UsageError if one of them is missing."""
    model, equals, role = text.rpartition("=")
    if not equals or not model:
        raise UsageError("the role for a model cannot be read", got=repr(text), expected="MODEL=ROLE, for instance loan=analyst")
    return model, role


def _asked_password() -> str:
    """The password, typed twice at a prompt, or read from the first line of the standard input. It is never taken from the command line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise UsageError("the two passwords differ", attempt="Try again")
    return first


def run_audit_log(home: Path, args: argparse.Namespace) -> Outcome:
    """List the newest entries of the audit log, and check that no entry was changed. The exit code is 1 if one was changed."""
    wanted = {"author": args.author, "does": args.does, "model": args.model, "prediction": args.prediction}
    entries = audit_log.access_entries(home, most=args.limit, subject=args.subject, **wanted)
    names = ("at", "author", "does", "what", "model", "prediction", "subject", "address")
    lines = [inert_line("  ".join(str(entry[name]) for name in names if entry.get(name))) for entry in entries]
    problem = audit_log.audit_problem(home)
    shown = json_or_lines(entries, lines or ["No entry."], args.json, 1 if problem else 0)
    return Outcome(shown.exit_code, shown.out, problem or "")
