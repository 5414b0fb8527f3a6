"""Find the lines that a person or a token may not send over HTTP, with the reason."""

import json
from collections.abc import Container, Sequence

from observability.records.kinds import KINDS
from observability.server.access import Person, may_do
from observability.server.dashboard_access import PERSONAL


def refused_lines(person: Person, lines: Sequence[bytes], known: Container[int]) -> dict[int, str]:
    """The lines that a person or token may not send: by line number (from 1), the reason.

    Entries by people (verdicts, decisions, alerts …) need the right `write`; if they name a model, for that model. A token for certain
    models may send only records of these models and records that name no model. Dashboards can be changed only on their page, and only
    administrators may send messages. known: numbers of lines that are already rejected; all other lines are records.
    """
    found = {}
    full = may_do(person, "write")
    for number, line in enumerate(lines, start=1):
        if number in known or not line.strip():
            continue
        personal = any(f'"{name}"'.encode() in line for name in (*PERSONAL, "message")) or b"\\u" in line
        if not (personal or (not full and (person.models or b'"author"' in line or b'"message"' in line))):
            continue
        record = json.loads(line)
        kind, model = KINDS.get(str(record.get("kind"))), record.get("model")
        if kind is not None and kind.name in PERSONAL and person.source != "here":
            found[number] = f"a {kind.name} is changed on the page Dashboards, not over HTTP"
        elif kind is not None and kind.name == "message" and not may_do(person, "settings"):
            found[number] = "a message is sent by the dashboard, or by an administrator"
        elif full:
            continue
        elif person.models and model is not None and str(model) not in dict(person.models):
            found[number] = f"the token is not for the model {str(model)[:100]!r}"
        elif kind is not None and "author" in kind.fields and not may_do(person, "write", model):
            found[number] = f"a {kind.name} is written by people: send it with a token of the role analyst"
    return found
