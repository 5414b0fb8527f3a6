"""Access rights: the roles, the people, and the actions that need a role.

`ACTIONS` gives the role that an action needs. Three tables give the action: `COMMANDS` for a command, `METHODS` of store_methods.py for a
method of the store, route_access.py for a path. Pages, WebSocket, HTTP and the command line all decide by these tables, through
`require_action` and `guarded_store`. Without sign-in, nothing is checked, so nothing becomes slower.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, get_args

from observability.core.errors import ForbiddenError, NotFoundError
from observability.server.access_settings import NO_ROLE, Role

Source = Literal["here", "account", "oidc", "token", "command line"]
Action = Literal[
    "read",
    "query",
    "write",
    "rules",
    "explain",
    "load",
    "register",
    "settings",
    "remove",
    "forget",
    "tokens",
    "accounts",
    "audit",
    "reveal",
    "backup",
]
ROLES: tuple[str, ...] = get_args(Role)
ACTIONS: dict[Action, Role] = {
    "read": "viewer",
    "query": "analyst",
    "write": "analyst",
    "rules": "analyst",
    "explain": "analyst",
    "load": "administrator",
    "register": "administrator",
    "settings": "administrator",
    "remove": "administrator",
    "forget": "administrator",
    "tokens": "administrator",
    "accounts": "administrator",
    "audit": "administrator",
    "reveal": "administrator",
    "backup": "administrator",
}
"""The role that each action needs. query: SQL over every view. write: verdicts, decisions, acknowledgements, reviews and other entries by
people. rules: limits, thresholds and watched slices of a model. settings: its other settings, and who is alerted. reveal: seeing masked
values.
"""
WORDS: dict[Action, str] = {
    "read": "see it",
    "query": "query it with SQL",
    "write": "save verdicts, decisions and other entries",
    "rules": "change alarm rules",
    "explain": "compute explanations",
    "load": "load records",
    "register": "register models",
    "settings": "change settings",
    "remove": "remove models",
    "forget": "forget subjects",
    "tokens": "manage tokens",
    "accounts": "manage accounts",
    "audit": "read the audit log",
    "reveal": "reveal masked values",
    "backup": "back up, verify and restore, and write the lake",
}


@dataclass(frozen=True)
class Person:
    """Somebody who acts: the name, the general role, and the roles for single models where they differ (NO_ROLE: no access).

    role None: access only to the models in `models`. source: how the person is known; "here" is the person at a dashboard without sign-in.
    for_a_file: whether the results go to a file that leaves the product; masked values are then never revealed.
    """

    name: str
    role: Role | None = None
    models: tuple[tuple[str, str], ...] = ()
    source: Source = "account"
    for_a_file: bool = False

    def role_for(self, model: str | None) -> str | None:
        """The role for a model; if no model is given, the general role. None if there is no access."""
        found = dict(self.models).get(model, self.role) if model else self.role
        return None if found == NO_ROLE else found

    @property
    def sees_all(self) -> bool:
        """Whether this person can see every model."""
        return self.role is not None and all(role != NO_ROLE for _, role in self.models)

    @property
    def has_access(self) -> bool:
        """Whether this person can see anything at all."""
        return self.role is not None or any(role != NO_ROLE for _, role in self.models)


HERE = Person("", "administrator", source="here")
"""The person at a dashboard without sign-in."""
ACTING: ContextVar[Person] = ContextVar("acting person", default=HERE)
"""Who sent the request for which the code is running; in threads of the dashboard itself, HERE."""
WRITING: ContextVar[Person] = ContextVar("person who writes", default=HERE)
"""The person in whose name the store is writing. It is needed by a store that sends its writes to the owner (owner_calls.py)."""
COMMAND_LINE = Person("command line", "administrator", source="command line")
"""Anyone who can read the home folder. Such a person could also read and change its files without the dashboard."""


def may_do(person: Person, action: Action, model: str | None = None) -> bool:
    """Whether a person may do an action, about a model or in general."""
    if action == "query":
        return may_do_everywhere(person, "query")
    if action == "reveal" and person.for_a_file:
        return False
    if action == "read" and model is None:
        return person.has_access
    role = person.role_for(model)
    return role is not None and ROLES.index(role) >= ROLES.index(ACTIONS[action])


def may_do_everywhere(person: Person, action: Action) -> bool:
    """Whether the action is allowed by the general role and by every role for a single model."""
    if action == "reveal" and person.for_a_file:
        return False
    return all(role in ROLES and ROLES.index(role) >= ROLES.index(ACTIONS[action]) for role in (person.role, *dict(person.models).values()))


def may_do_somewhere(person: Person, action: Action) -> bool:
    """Whether the action is allowed by the general role or by the role for any model."""
    return any(may_do(person, action, model) for model in (None, *dict(person.models)))


def require_action(person: Person, action: Action, model: str | None = None) -> None:
    """Raise ForbiddenError if a person may not do an action. For a hidden model, raise NotFoundError, as for a model that does not
    exist.
    """
    if may_do(person, action, model):
        return
    if model is not None and not may_do(person, "read", model):
        raise NotFoundError(f"model {model!r} is not in the store", attempt="Ask an administrator for access")
    got = f"the role {person.role_for(model) or 'none'}{f' for {model}' if model else ''}"
    expected = f"{ACTIONS[action]}" if action != "query" else "the role analyst, for all models"
    who = f"the person {person.name}" if person.name else "you"
    raise ForbiddenError(f"{who} may not {WORDS[action]}", got=got, expected=expected, attempt="Ask an administrator")


COMMANDS: dict[str, Action] = {
    "demo": "load",
    "register": "register",
    "settings": "settings",
    "apply": "settings",
    "load": "load",
    "items": "load",
    "profile": "load",
    "probe": "settings",
    "gate": "write",
    "audit-data": "load",
    "audit": "explain",
    "audit-storage": "load",
    "report-storage": "load",
    "audit-augmentation": "load",
    "croissant": "query",
    "lineage": "query",
    "trade-offs": "load",
    "exports": "write",
    "energy": "settings",
    "retry": "load",
    "import": "load",
    "check": "read",
    "explain": "explain",
    "review": "write",
    "case": "read",
    "relabel": "read",
    "token": "tokens",
    "lab": "read",
    "sql": "query",
    "mcp": "query",
    "export": "query",
    "metrics": "read",
    "status": "read",
    "backup": "backup",
    "restore": "backup",
    "verify": "backup",
    "export-lake": "backup",
    "rollup-lake": "backup",
    "remove": "remove",
    "retention": "remove",
    "forget": "forget",
    "serve": "backup",
    "collect": "backup",
    "account": "accounts",
    "audit-log": "audit",
}
"""The action that each command is. A command that is missing here does not run."""
