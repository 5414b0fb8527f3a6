"""Define the arguments of commands about tokens, accounts and the audit log."""

from observability.cli.arguments import AddCommand


def add_access_commands(add: AddCommand) -> None:
    """Add the commands about accounts and their rights."""
    token = add("token", "Create, list or revoke tokens for the HTTP interface.", "token create --scope read --name grafana")
    token.add_argument("action", choices=("create", "list", "revoke"))
    token.add_argument("id", nargs="?", metavar="ID", help="id of the token to revoke")
    token.add_argument("--scope", choices=("read", "write"), help="read: status, findings, predictions; write: send records")
    token.add_argument("--name", default="", help="purpose of the token")
    without = "without it, a read token acts as a viewer, and a write token only sends records"
    token.add_argument("--role", choices=("viewer", "analyst", "administrator"), help=without)
    token.add_argument("--model", action="append", default=[], metavar="MODEL", help="only this model; repeatable; default: every model")

    account = add(
        "account",
        "Add, list, change or disable local accounts; the first one turns sign-in on. Passwords come from a prompt or from standard input.",
        "account add ann --role administrator",
    )
    account.add_argument("action", choices=("add", "list", "role", "password", "disable", "enable"))
    account.add_argument("name", nargs="?", metavar="NAME")
    account.add_argument("--role", choices=("viewer", "analyst", "administrator", "none"), help="none: only the models named by --model")
    account.add_argument("--model", action="append", default=[], metavar="MODEL=ROLE", help="another role for one model; repeatable")

    audit_log = add(
        "audit-log",
        "List sign-ins, views, exports, changes and removals with person and time, newest first.",
        "audit-log --author ann --json",
    )
    audit_log.add_argument("--author", metavar="NAME", help="only entries of this person")
    audit_log.add_argument("--does", metavar="WORD", help="only entries of this kind, for instance exported")
    audit_log.add_argument("--model", help="only entries about this model")
    audit_log.add_argument("--subject", metavar="S", help="only entries about this subject's predictions")
    audit_log.add_argument("--prediction", metavar="ID", help="only entries about this prediction")
    audit_log.add_argument("--limit", type=int, default=1000, metavar="N", help="maximum number of entries; default 1000")
