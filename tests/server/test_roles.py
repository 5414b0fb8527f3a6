"""Every method of the store, every route and every page is called for every role in the way that people call them: through the guard and
through the middleware.

test_access.py tests the commands. WebSocket messages have one rule: a message is delivered if the person of its session may read.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from observability.core.errors import ForbiddenError, NotFoundError
from observability.core.questions import Sample
from observability.core.settings import ModelSettings
from observability.core.window import EPOCH, Window
from observability.dashboard import application, links
from observability.server import accounts, audit_log, route_access, sign_in
from observability.server.access import Person
from observability.server.access_settings import Role
from observability.server.guarded_store import GuardedStore
from observability.server.store_methods import METHODS
from observability.store.engine import Store
from tests.support.asgi import HOST, ORIGIN, http, websocket

ROLES: tuple[Role, ...] = get_args(Role)
ROLE_OF = {
    "query_views": "analyst", "export_views": "analyst", "write_records": "analyst", "update_settings": "analyst",
    "write_attributions": "analyst", "restart_attributions": "analyst", "write_estimates": "analyst", "restart_estimates": "analyst",
    "load_landing": "administrator", "retry_set_aside": "administrator", "load_files": "administrator", "load_source": "administrator",
    "mark_repairs_seen": "administrator", "register": "administrator", "remove_model": "administrator", "remove_sample": "administrator",
    "forget": "administrator", "waiting": "administrator", "erased": "administrator", "apply_retention": "administrator",
    "backup": "administrator", "publish": "administrator", "verify": "administrator", "verify_backup": "administrator", "export_lake": "administrator", "compute_lake_rollups": "administrator",
    "nightly": "administrator", "close": "administrator",
}  # fmt: skip
"""The role needed for each part of the store, written by hand; viewers may use everything else."""
OF_THE_GUARD = {"guarded", "whole_groups", "shown_findings", "require_shown_slice"}
"""What the guard has itself: it refuses nobody, but gives some people less (test_small_groups_on_pages.py)."""
WINDOW = Window("loan", EPOCH, EPOCH)
ARGUMENTS: dict[str, Any] = {
    "window": WINDOW,
    "questions": [(Sample("outcomes", ("score",), 1), WINDOW)],
    "question": Sample("outcomes", ("score",), 1),
    "records": [{"kind": "decision", "model": "loan", "decision": "d"}],
    "settings": ModelSettings(threshold=0.7),
    "request": SimpleNamespace(model="loan"),
}
"""The meaning of the arguments of a call; any other argument is the name of the model."""
PAGES = sorted(links.page_files())
PASSWORD = "correct horse battery"


def stub_store(home: Path) -> Any:
    """A store with the signatures of the real one, in which every call is only noted."""

    def method(name: str) -> Any:
        def run(self: Any, *_args: Any, **_kwargs: Any) -> Any:
            self.ran.append(name)
            return SimpleNamespace(model=lambda _: SimpleNamespace(settings=ModelSettings()), models=()) if name == "catalog" else ()

        if inspect.isfunction(real := inspect.getattr_static(Store, name, None)):
            run.__signature__ = inspect.signature(real)  # type: ignore[attr-defined]  # `inspect` reads it; a function type has none
            return run
        return name

    store = type("StubStore", (), {name: method(name) for name in METHODS})()
    store.home, store.ran = home, []
    return store


@pytest.mark.parametrize("role", [None, *ROLES])
@pytest.mark.parametrize("name", sorted(METHODS.keys() - OF_THE_GUARD))
def test_each_method_of_the_store_is_for_its_roles(name: str, role: Role | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(audit_log, "note_access", lambda _home, _author, does, **_about: logged.append(does))
    allowed = role is not None and ROLES.index(role) >= ROLES.index(ROLE_OF.get(name, "viewer"))  # type: ignore[arg-type]  # names of roles as text
    people = [Person("ann", role)]
    if METHODS[name].model and METHODS[name].answers != "whole":
        people += [Person("ann", other, (("loan", role or "none"),)) for other in (None, *ROLES)]  # the role for the model counts
    for person in people:
        store = stub_store(tmp_path)
        real = getattr(store, name)
        given = inspect.signature(real).parameters.values() if callable(real) else ()
        needed = [each for each in given if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
        positional = [ARGUMENTS.get(each.name, "loan") for each in needed if each.kind is not each.KEYWORD_ONLY]
        named = {each.name: ARGUMENTS.get(each.name, "loan") for each in needed if each.kind is each.KEYWORD_ONLY}
        about = METHODS[name].model
        if about and about not in {each.name for each in needed}:
            named[about] = ARGUMENTS.get(about, "loan")
        try:
            found = getattr(GuardedStore(store, person, whole=True), name)
            if callable(real):
                found(*positional, **named)
            done = True
        except (ForbiddenError, NotFoundError):
            done = False
        assert done is allowed and (name in store.ran) is (allowed and callable(real)), person
    assert allowed or role is None or "refused" in logged


def test_the_handwritten_table_names_only_existing_methods() -> None:
    assert ROLE_OF.keys() | OF_THE_GUARD <= METHODS.keys() and OF_THE_GUARD == METHODS.keys() & vars(GuardedStore).keys()


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str | None, dict[str, str]]]:
    """The headers of a browser for each role; under None, those of a browser without a session."""
    from argon2 import PasswordHasher

    home, patch = tmp_path_factory.mktemp("roles"), pytest.MonkeyPatch()
    patch.setattr(accounts, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    patch.setattr(accounts, "SESSIONS", accounts.Sessions())
    patch.setattr(application, "server_port", lambda: 8501)
    patch.setenv("OBSERVABILITY_HOME", str(home))
    patch.delenv("OBSERVABILITY_URL", raising=False)
    door = Starlette(routes=sign_in.sign_in_routes(lambda: "/"), middleware=application.app_parts()["middleware"])
    found: dict[str | None, dict[str, str]] = {None: {"origin": ORIGIN}}
    for role in reversed(ROLES):  # an administrator first
        accounts.add_account(home, role, role, PASSWORD)
        body = f"name={role}&password={PASSWORD.replace(' ', '+')}".encode()
        reply = http(door, "POST", "/sign-in", {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded"}, body)
        found[role] = {"origin": ORIGIN, "cookie": f"{sign_in.COOKIE}={reply.cookies()[sign_in.COOKIE]}"}
    yield found
    patch.undo()


@pytest.fixture(scope="module")
def site() -> Starlette:
    """The dashboard's middleware around one route that answers every request."""

    async def reached(_request: Request) -> Response:
        return PlainTextResponse("", 299)

    async def accepted(socket: WebSocket) -> None:
        await socket.accept()

    routes = [Route("/{rest:path}", reached, methods=list(route_access.ANY)), WebSocketRoute("/{rest:path}", accepted)]
    return Starlette(routes=routes, middleware=application.app_parts()["middleware"])


OPEN = {"public", "token", "owner"}
"""Routes without sign-in; the route itself checks a token if it needs one."""
UPLOADERS = {"administrator"}


@pytest.mark.parametrize("role", [None, *ROLES])
def test_each_route_is_for_its_roles(role: Role | None, signed_in: dict[str | None, dict[str, str]], site: Starlette) -> None:
    who, wrong = signed_in[role], []
    for rule in route_access.RULES:
        path = rule.path.replace("*", "x")
        people = {"read": set(ROLES), "register": UPLOADERS, "nobody": set()}.get(rule.needs, {None, *ROLES})
        assert rule.needs in OPEN | {"read", "register", "nobody"}, f"say by hand who may use {rule.path}"
        for method in rule.methods:
            if method == "WEBSOCKET":
                let = websocket(site, {"host": HOST, **who}, path=path)[0] == "websocket.accept"
            else:
                status = http(site, method, path, who).status
                let = status == 299
                assert let or status in (401, 403), (method, path, status)
            if let is not (role in people):
                wrong.append((method, path))
    assert wrong == []


@pytest.mark.parametrize("role", [None, *ROLES])
def test_each_page_is_for_people_who_signed_in(role: Role | None, signed_in: dict[str | None, dict[str, str]], site: Starlette) -> None:
    let = [page for page in PAGES if http(site, "GET", f"/{page}", signed_in[role]).status == 299]
    assert let == (PAGES if role else [])
