"""The owner of a store in the process of the test, for a process that only reads the store."""

from typing import Any

from observability.core.errors import ForbiddenError, ObservabilityError
from observability.server import audit_log
from observability.server.access import Person
from observability.server.owner_calls import OwnerCalls, answer_call
from observability.store.duck_store import DuckStore

ADMINISTRATOR = Person("token replica", "administrator", source="token")
"""The person whose token a reading process must have."""


class CallsOfTest(OwnerCalls):
    """Calls to the owner of a store, answered in this process. lose: how many of the first answers get lost on their way."""

    def __init__(self, store: DuckStore, holder: Person = ADMINISTRATOR, lose: int = 0) -> None:
        super().__init__("http://owner:8501", "obs_token")
        self.store, self.holder, self.lose, self.sent = store, holder, lose, 0

    def _post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        self.sent += 1
        elsewhere, audit_log._elsewhere = audit_log._elsewhere, []  # the owner has its own list in its own process
        try:
            answer = answer_call(self.store, self.holder, body)
        except ObservabilityError as error:
            return 403 if isinstance(error, ForbiddenError) else 400, {"error": str(error), "try": "Ask"}
        finally:
            audit_log._elsewhere = elsewhere
        if self.sent <= self.lose:
            raise ConnectionResetError
        return 200, answer
