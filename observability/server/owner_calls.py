"""Send calls to the owner (the process that owns the store) over HTTP, in the name of a person. Processes that can only read the store use
it for actions that only the owner can do.

`POST /api/v1/calls` accepts one call: {"method", "person", "arguments"}. It needs a token with write scope and the role administrator, even
without sign-in, because it acts for other people. If there are accounts, the owner looks up the rights of the person. People of a sign-in
provider have no account: the owner believes who they are, and gives them at most what its own lists of roles can give to that name. Whoever
has the token can therefore write in the name of any of them, and write entries of the audit log for anybody. If a call is sent twice
because a response was lost, its records are stored once.
"""

import http.client
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from observability.client.encode import RefusedError, encode_line
from observability.client.remote import collector_address
from observability.core.errors import ForbiddenError, StoreBusyError, UsageError
from observability.records.kinds import is_own_export
from observability.server import audit_log
from observability.server.access import HERE, ROLES, WRITING, Person
from observability.server.access_settings import NO_ROLE, Role, RoleLists, read_access_settings
from observability.server.accounts import read_accounts
from observability.server.guarded_store import guarded_store
from observability.server.settings_changes import settings_with_changes

if TYPE_CHECKING:
    from observability.store.engine import Store

ROUTE = "/api/v1/calls"
TRIES, ANSWER_SECONDS, PAUSE = 3, 20.0, 0.5
"""Number of attempts for a call that gets no response, seconds that each attempt waits, and seconds between attempts."""
MOST_BYTES = 16_000_000
CHANGING = ("write_records", "update_settings")
_changing = threading.Lock()
"""Lock that is held while settings are compared and changed."""
_noting = threading.Lock()
_noted: deque[str] = deque(maxlen=10_000)
"""The ids of the newest audit-log entries that other processes sent."""
ROLE_ORDER = (NO_ROLE, *ROLES)


class OwnerCalls:
    """Sends calls to the owner of a store. address: address of the owner's dashboard. told: a function that is called with the owner's time
    after the owner has stored a call.
    """

    def __init__(self, address: str, token: str, told: Callable[[datetime], object] = lambda at: None) -> None:
        self.address, self._token, self.told = address.rstrip("/"), token, told
        self._parts = collector_address(address)

    def send(self, method: str, **arguments: Any) -> Any:
        """The owner's result of a call that is made in the name of the acting person.

        Raises UsageError if the owner refuses the call, StoreBusyError if the owner does not respond. In the latter case it is unknown
        whether the call was executed.
        """
        try:
            if "records" in arguments:
                arguments["records"] = [json.loads(encode_line(each)) for each in arguments["records"]]
        except RefusedError as why:
            raise UsageError(str(why), attempt="Write less") from None
        person = WRITING.get()
        told = {"name": person.name, "role": person.role, "models": person.models, "source": person.source}
        body = json.dumps({"method": method, "person": told, "arguments": arguments}).encode()
        for tried in range(TRIES):
            if tried:
                time.sleep(PAUSE)  # an owner that restarts or is busy gets time before the next try
            with suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                status, answer = self._post(body)
                if status == 200:
                    if method in CHANGING:
                        self.told(datetime.fromisoformat(answer["at"]))
                    return answer["answer"]
                if status < 500:
                    raise UsageError(f"the owner of the store refused it: {answer['error']}", attempt=answer["try"])
        attempt = "Keep what you wrote, and look there before you save it again"
        raise StoreBusyError("the owner of the store does not answer, so it may not be saved", where=self.address, attempt=attempt)

    def _post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and body of the owner's response. Raises OSError, HTTPException, ValueError."""
        parts, host = self._parts, str(self._parts.hostname)
        connection = (
            http.client.HTTPSConnection(host, parts.port, timeout=ANSWER_SECONDS, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=ANSWER_SECONDS)
        )
        with closing(connection):
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            connection.request("POST", parts.path.rstrip("/") + ROUTE, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())


def answer_call(store: "Store", holder: Person, body: bytes) -> dict[str, Any]:
    """Execute a call with the rights of its person, and return {"answer", "at"}. holder: the person to whom the token belongs.

    Raises ForbiddenError, UsageError, StoreBrokenError.
    """
    if holder.source != "token" or holder.role != "administrator" or holder.models:
        attempt = "Make one at the owner: token create --scope write --role administrator"
        raise ForbiddenError("calls for other people need a token of an administrator", attempt=attempt)
    try:
        call = json.loads(body)
        told, method, given = call["person"], call["method"], call["arguments"]
        if method == "write_records":
            store_of_caller(store, told).write_records(given["records"])
            answer: list[str] | None = None
        elif method == "update_settings":
            shown = store_of_caller(store, told)
            with _changing:
                settings = settings_with_changes(shown.catalog().model(given["name"]).settings, given["changed"])
                answer = shown.update_settings(given["name"], settings)
        elif method == "note_access" and given["does"] in get_args(audit_log.Deed):
            _note_once(store.home, given)
            answer = None
        elif method == "note_exports" and all(is_own_export(record) for record in given["records"]):
            store.write_records(given["records"])
            answer = None
        else:
            raise UsageError("unknown call", got=repr(method)[:80], expected="write_records, update_settings, note_access or note_exports")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError("the call cannot be read", got=f"{type(error).__name__}: {error}"[:200]) from error
    return {"answer": answer, "at": datetime.now(UTC).isoformat()}


def _note_once(home: Path, given: Mapping[str, Any]) -> None:
    """Log an entry, unless it has been logged already. A call is sent again if its response was lost."""
    with _noting:
        if given["id"] not in _noted:
            audit_log.note_access(home, str(given["author"]), given["does"], **given["fields"])
            _noted.append(given["id"])


def store_of_caller(store: "Store", told: Mapping[str, Any]) -> "Store":
    """The owner's store with the rights of the person in a call."""
    return guarded_store(store, acting_person(store.home, told))


def acting_person(home: Path, told: Mapping[str, Any]) -> Person:
    """The person of a call, as the owner knows them. With accounts: the account. With a provider: the name and the roles that the other
    process received, limited to what the owner's lists permit. Raises ForbiddenError if there is no such person.
    """
    settings = read_access_settings(home)
    if settings.method == "none":
        return HERE
    account = read_accounts(home).get(told["name"]) if settings.method == "accounts" and told["source"] == "account" else None
    if account is not None and not account.disabled:
        return account.person
    if settings.method == "accounts":
        raise ForbiddenError("the account is disabled or gone", got=repr(told["name"]), attempt="Sign in again, or ask an administrator")
    if told["source"] != "oidc":
        raise ForbiddenError("the owner of the store knows people by its provider", got=repr(told["source"]), attempt="Sign in again")
    name, models = str(told["name"]), {str(model): role for model, role in told["models"]}
    most = _most_role(settings.roles, name, NO_ROLE)
    general = _lower_role(told["role"] or NO_ROLE, most)
    own = {
        model: _lower_role(
            models.get(model, told["role"] or NO_ROLE), _most_role(settings.models[model], name, most) if model in settings.models else most
        )
        for model in sorted({*models, *settings.models})
    }
    person = Person(name[:80], None if general == NO_ROLE else cast(Role, general), tuple(own.items()), "oidc")
    if not person.has_access:
        raise ForbiddenError("the owner of the store gives no role to this name", got=repr(name[:80]), attempt="Ask an administrator")
    return person


def _most_role(lists: RoleLists, name: str, otherwise: str) -> str:
    """The highest role that lists can give to a name whose groups are unknown. otherwise: the role if the lists give none."""
    named = lists.people.get(name.casefold())
    possible = [*lists.groups.values(), otherwise if lists.default is None else lists.default]
    return max(possible, key=ROLE_ORDER.index) if named is None else named


def _lower_role(one: str, other: str) -> str:
    """The lower of two roles. Raises ValueError for a word that is not a role."""
    return min(one, other, key=ROLE_ORDER.index)
