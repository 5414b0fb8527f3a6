"""The table of roles: every action, command, route and method of the store, for every role, with and without roles for single models."""

import inspect
import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from observability.cli import execute
from observability.cli.parser import parser
from observability.core.errors import ForbiddenError, NotFoundError
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import application, links
from observability.server import audit_log, route_access
from observability.server.access import ACTIONS, COMMANDS, HERE, Person, may_do, require_action
from observability.server.guarded_store import AUTOMATIC_AUTHOR, guarded_store
from observability.server.store_methods import METHODS
from observability.store.db.database import Database
from observability.store.db.keeping import note_done
from observability.store.engine import Store
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from tests.support import engine_world
from tests.support.sample_home import ROOT

CHOICES = next(each for each in parser()._actions if each.dest == "command").choices
ROLES = ("viewer", "analyst", "administrator")
ALLOWED = {
    "viewer": {"read"},
    "analyst": {"read", "query", "write", "rules", "explain"},
    "administrator": set(ACTIONS),
}
"""What each role may do, written by hand."""
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(("action", "role"), list(itertools.product(ACTIONS, ROLES)))
def test_each_action_is_for_its_roles_in_general_and_for_one_model(action: Any, role: Any) -> None:
    right = action in ALLOWED[role]
    assert may_do(Person("ann", role), action) is right
    assert may_do(Person("ann", role), action, "loan") is right
    other = Person("ann", "viewer" if role == "administrator" else "administrator", (("loan", role),))
    if action != "query":
        assert may_do(other, action, "loan") is right
        assert may_do(other, action, "price") is (action in ALLOWED[other.role or "viewer"])
    assert may_do(Person("ann", role, (("loan", "none"),)), action, "loan") is False or action == "query"
    assert may_do(HERE, action)


@pytest.mark.parametrize("action", list(ACTIONS))
def test_nobody_without_a_role_may_do_anything(action: Any) -> None:
    assert not Person("ann").has_access
    assert not may_do(Person("ann"), action)
    assert not may_do(Person("ann"), action, "loan")
    with pytest.raises(NotFoundError):
        require_action(Person("ann", "administrator", (("loan", "none"),)), "remove", "loan")


def test_every_command_has_an_action() -> None:
    assert set(CHOICES) <= set(COMMANDS)
    assert set(COMMANDS.values()) <= set(ACTIONS)


@pytest.mark.parametrize(("command", "role"), list(itertools.product(sorted(CHOICES), ROLES)))
def test_each_command_is_for_its_roles(command: str, role: Any, tmp_path: Path) -> None:
    needed = [action for action in CHOICES[command]._actions if action.required and action.dest != "help"]
    words = [command]
    for action in needed:
        value = (list(action.choices) if action.choices else ["x"])[0]
        words += [action.option_strings[0], value] if action.option_strings else [value]
    words += ["--settings", "x.toml"] if command == "settings" else []

    class Home:
        home = tmp_path

        def __getattr__(self, name: str) -> Any:
            raise LookupError(f"the command ran and used {name}")

    outcome = execute.execute(Home(), words, lambda _text: None, Person("ann", role))  # type: ignore[arg-type]
    refused = "may not" in outcome.error
    assert refused is (COMMANDS[command] not in ALLOWED[role]), outcome


def test_showing_settings_needs_only_the_permission_to_read() -> None:
    assert execute.command_action(parser().parse_args(["settings", "loan"])) == "read"
    assert execute.command_action(parser().parse_args(["settings", "loan", "--settings", "x.toml"])) == "settings"


def test_every_method_of_the_store_is_in_the_table() -> None:
    public = {name for name in (*dir(Store), *Store.__annotations__) if not name.startswith("_")}
    assert public <= set(METHODS)
    for name, method in METHODS.items():
        found = inspect.getattr_static(Store, name, None)
        if method.model and inspect.isfunction(found):
            assert method.model in inspect.signature(found).parameters, name
        elif inspect.isfunction(found):
            about = {"model", "window", "name", "request", "records", "question", "questions"} & set(inspect.signature(found).parameters)
            assert about == set(), f"{name} is about a model and is not checked for it"


TRACE = "a" * 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store with two models, and records by people about both."""
    home = tmp_path_factory.mktemp("access") / "home"
    home.mkdir()
    (home / "access.toml").write_text(
        'url = "https://obs.example"\n[oidc]\nclient_id = "c"\nserver_metadata_url = "https://id.example"\n', encoding="utf-8"
    )
    (home / "access.toml").chmod(0o600)
    store = open_store(home, threads=1)
    lines = [
        {
            "kind": "prediction",
            "id": f"{model}-{i}",
            "at": (NOON + timedelta(minutes=i)).isoformat(),
            "model": model,
            "version": "1",
            "features": {"a": 1.0 * i},
            "score": 0.5,
            "subject": "s1",
        }
        for model in ("loan", "price")
        for i in range(3)
    ]
    at = NOON.isoformat()
    for model in ("loan", "price"):
        lines.append({**lines[0], "id": f"{TRACE}-{'1' * 16}", "model": model, "subject": None})
        lines += [
            {"kind": "run", "run": f"run-{model}", "at": at, "event": "start", "model": model},
            {"kind": "step", "run": f"run-{model}", "at": at, "step": 1, "metrics": {"loss": 1.0}},
            {"kind": "annotation", "project": model, "item": "i", "annotator": "a", "at": at, "label": "x"},
        ]
    lines += [{"kind": "batch", "batch": "b1", "at": at, "source": "s", "rows": 1}]
    file = home.parent / "lines.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    assert store.load_files([file], LoadDefaults()).rejected == 0
    store.write_records(
        [
            {"kind": "decision", "decision": f"d-{model}", "at": NOON, "author": "ann", "model": model, "statement": "keep"}
            for model in ("loan", "price")
        ]
    )
    yield store
    store.close()


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's secret of the store's settings."""
    monkeypatch.setenv("OBSERVABILITY_OIDC_SECRET", "secret")


WHOLE = {"start": EPOCH, "end": NOON + timedelta(days=1)}
ONE = Person("ann", None, (("loan", "analyst"),), "oidc")


def test_a_person_of_one_model_sees_that_model_alone(store: Database) -> None:
    seen = guarded_store(store, ONE)
    assert [model.name for model in seen.catalog().models] == ["loan"]
    assert set(seen.activity()["model"]) == {"loan"}
    assert set(seen.rows_by_id_prefix("", 10)["model"]) == {"loan"}
    assert set(seen.rows_of_subject("s1", 10)["model"]) == {"loan"}
    assert set(store.trace_totals([TRACE])["model"]) == {"loan", "price"} and set(seen.trace_totals([TRACE])["model"]) == {"loan"}
    assert [item.id for item in seen.decisions()] == ["d-loan"]
    assert [each["model"] for each in seen.status()["models"]] == ["loan"]
    window = Window("", **WHOLE)
    assert set(seen.ask(Records("decision"), window)["decision"]) == {"d-loan"}
    assert set(store.ask(Records("decision"), window)["decision"]) == {"d-loan", "d-price"}
    assert set(seen.ask(Records("run"), window)["run"]) == set(seen.ask(Records("step", ("run",)), window)["run"]) == {"run-loan"}
    assert set(seen.ask(Records("annotation"), window)["project"]) == {"loan"}
    assert list(seen.ask(Records("annotation", ("item",)), window).columns) == ["item"]
    assert len(seen.ask(Records("annotation", ("item",)), window)) == 1
    assert list(seen.ask(Records("batch"), window)["batch"]) == ["b1"]
    assert len(guarded_store(store, Person("eve", None, (("other", "viewer"),))).ask(Records("step"), window)) == 0
    assert seen.row("loan", "loan-1")["id"] == "loan-1"
    for refused in (
        lambda: seen.row("price", "price-1"),
        lambda: seen.rows(Window("price", **WHOLE), ("score",)),
        lambda: seen.ask(Records("decision"), Window("price", **WHOLE)),
        lambda: seen.ask_many(pair for pair in [(Records("decision"), Window("price", **WHOLE))]),
        lambda: seen.decisions("price"),
        lambda: seen.counters("price", Window("price", **WHOLE)),
        lambda: seen.write_records([{"kind": "decision", "decision": "x", "at": NOON, "author": "a", "model": "price", "statement": "s"}]),
    ):
        with pytest.raises(NotFoundError):
            refused()
    with pytest.raises(ForbiddenError):
        seen.query_views("SELECT 1")


def test_a_person_of_every_model_sees_what_the_store_gives(store: Database) -> None:
    seen = guarded_store(store, Person("ann", "viewer"))
    assert seen.catalog() == store.catalog()
    assert len(seen.rows_of_subject("s1", 10)) == 6
    for ask in (lambda: seen.query_views("SELECT 1 AS x"), lambda: seen.export_views("SELECT 1 AS x", store.home)):
        with pytest.raises(ForbiddenError):
            ask()
    assert guarded_store(store, Person("ann", "analyst")).query_views("SELECT 1 AS x").rows
    assert guarded_store(store, HERE) is store


def test_sql_needs_the_role_for_every_model() -> None:
    assert not may_do(Person("ann", "analyst", (("loan", "viewer"),)), "query")
    assert not may_do(Person("ann", "viewer", (("loan", "analyst"),)), "query")
    assert may_do(Person("ann", "analyst", (("loan", "administrator"),)), "query")


def test_sql_leaves_masked_columns_out_for_people_who_may_not_reveal_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[str, ...]] = []
    monkeypatch.setattr(audit_log, "note_access", lambda _home, author, does, **_about: logged.append((author, does)))
    masked = {"subject", "extra", "feature.sex", "feature.income", "feature.vip", "group.race"}
    refused = (
        'SELECT "feature.sex", count(*) FROM "loan.predictions" GROUP BY ALL',
        'SELECT p."group.race" FROM "loan.predictions" p',
        "SELECT count(*) FROM \"loan.predictions\" WHERE SUBJECT = 's1'",
        "SELECT subject FROM \"loan.predictions_as_of\"(TIMESTAMP '2026-07-01')",
        "SELECT extra FROM runs",
        "SELECT text FROM events",
        "SELECT changes FROM what_ifs",
        "SELECT title FROM saved_cases",
    )
    with engine_world.copied(tmp_path / "home") as store:
        everything = set(store.query_views('FROM "loan.predictions"', most_rows=1).columns)
        assert masked < everything
        for person in (Person("ann", "analyst"), Person("ada", "administrator", (("loan", "analyst"),))):
            seen = guarded_store(store, person)
            assert set(seen.query_views('FROM "loan.predictions"', most_rows=1).columns) == everything - masked
            for query in refused:
                with pytest.raises(ForbiddenError, match="is masked"):
                    seen.query_views(query, masked=False)
                with pytest.raises(ForbiddenError, match="is masked"):
                    seen.export_views(query, tmp_path)
            whole = seen.query_views('SELECT p FROM "loan.predictions" p', most_rows=1).rows[0][0]
            assert set(whole) == everything - masked
        ada = guarded_store(store, Person("ada", "administrator"))
        assert set(ada.query_views('FROM "loan.predictions"', most_rows=1).columns) == everything
        assert all(ada.query_views(query, most_rows=1).columns for query in refused)
    assert ("ann", "queried") in logged and ("ada", "queried") in logged


def test_records_carry_the_name_of_the_sign_in(store: Database) -> None:
    entry = {
        "kind": "verdict",
        "verdict": "v1",
        "at": NOON,
        "model": "loan",
        "prediction": "loan-1",
        "author": "somebody else",
        "source": "input",
    }
    with pytest.raises(ForbiddenError, match="analyst"):
        guarded_store(store, Person("vic", "viewer")).write_records([entry])
    assert store.verdicts("loan") == ()
    guarded_store(store, ONE).write_records([entry])
    assert store.verdicts("loan")[0].first.author == "ann"
    logged = audit_log.access_entries(store.home, most=2)
    assert [(each["author"], each["does"], each["model"]) for each in logged] == [("ann", "changed", "loan"), ("vic", "refused", "loan")]
    assert logged[0]["prediction"] == audit_log.prediction_mark(store.home, "loan-1")


def test_rows_of_a_hidden_model_that_retention_removed_are_not_reported(store: Database) -> None:
    removed = [{"what": "rows", "model": model, "before": "2026-01-01", "rows": 5} for model in ("loan", "price")]
    note_done(store.home, "retention", {"removed": removed})
    note_done(store.home, "night", {"retention": {"removed": removed}, "failures": []})
    for person, models in ((ONE, ["loan"]), (Person("vic", "viewer"), ["loan", "price"])):
        keeping = guarded_store(store, person).status()["keeping"]
        told = [[each["model"] for each in done["removed"]] for done in (keeping["retention"], keeping["night"]["retention"])]
        assert told == [models, models]


def test_who_changes_an_earlier_entry_needs_the_role_for_its_model(store: Database) -> None:
    """The record of a change names no model, but its id leads to the model."""
    opened = {"kind": "action", "action": "a-loan", "at": NOON, "author": "bo", "model": "loan", "text": "look at it"}
    store.write_records([opened, {**opened, "action": "a-price", "model": "price"}])
    closed = {"kind": "action", "action": "a-loan", "author": "ann", "state": "done"}
    viewer_of_loan = Person("vic", "analyst", (("loan", "viewer"),), "oidc")
    with pytest.raises(ForbiddenError, match="viewer for loan"):
        guarded_store(store, viewer_of_loan).write_records([closed])
    with pytest.raises(NotFoundError):
        guarded_store(store, ONE).write_records([{**closed, "action": "a-price"}])
    assert {item.state for item in store.actions()} == {"open"}
    guarded_store(store, ONE).write_records([closed])
    guarded_store(store, viewer_of_loan).write_records([{**closed, "action": "a-price"}])
    assert {item.id: (item.state, item.last.author) for item in store.actions()} == {"a-loan": ("done", "ann"), "a-price": ("done", "vic")}


def test_an_answer_gets_the_signed_in_name_and_a_project_is_as_visible_as_its_model(store: Database) -> None:
    """ONE may work only on `loan`. A label given in another name is stored under the name of ONE, and the project of the hidden model does
    not exist for ONE.
    """
    answer = {"kind": "annotation", "project": "loan", "item": "loan-1", "annotator": "somebody else", "label": "x"}
    with pytest.raises(NotFoundError):
        guarded_store(store, ONE).write_records([answer | {"project": "price"}])
    with pytest.raises(ForbiddenError, match="analyst"):
        guarded_store(store, Person("vic", "viewer")).write_records([answer])
    guarded_store(store, ONE).write_records([answer, {**answer, "kind": "skip", "item": "loan-2", "reason": "unclear"}])
    found = [store.ask(Records(kind, ever=True), Window("", EPOCH, datetime.now(UTC))) for kind in ("annotation", "skip")]
    assert [set(each["annotator"]) - {"a"} for each in found] == [{"ann"}, {"ann"}]


def test_an_analyst_changes_rules_and_an_administrator_the_other_settings(store: Database) -> None:
    from dataclasses import replace

    settings = store.catalog().model("loan").settings
    analyst = guarded_store(store, Person("ann", "analyst"))
    analyst.update_settings("loan", replace(settings, threshold=0.4, limits={"serving/drift/psi": 0.3}))
    with pytest.raises(ForbiddenError, match="administrator"):
        analyst.update_settings("loan", replace(settings, owner="me"))
    with pytest.raises(ForbiddenError):
        guarded_store(store, Person("vic", "viewer")).update_settings("loan", settings)
    guarded_store(store, Person("ada", "administrator")).update_settings("loan", replace(settings, owner="me"))
    assert store.catalog().model("loan").settings.owner == "me"


def test_only_an_administrator_removes_a_model(store: Database) -> None:
    for role in ("viewer", "analyst"):
        with pytest.raises(ForbiddenError):
            guarded_store(store, Person("ann", role)).remove_model("price")  # type: ignore[arg-type]
    with pytest.raises(ForbiddenError):
        guarded_store(store, Person("ann", "administrator", (("price", "viewer"),))).remove_model("price")
    assert len(store.catalog().models) == 2


def test_attributes_of_the_store_that_are_not_in_the_table_are_refused(store: Database) -> None:
    with pytest.raises(ForbiddenError):
        guarded_store(store, Person("ann", "administrator")).connection


PATHS = {
    ("GET", "/readyz"): "public",
    ("GET", "/sign-in"): "public",
    ("POST", "/sign-in"): "public",
    ("POST", "/sign-out"): "public",
    ("GET", "/auth/login"): "public",
    ("GET", "/oauth2callback"): "public",
    ("GET", "/static/js/index.js"): "public",
    ("GET", "/_stcore/health"): "public",
    ("GET", "/_stcore/host-config"): "public",
    ("GET", "/"): "read",
    ("GET", "/case"): "read",
    ("GET", "/media/abc.csv"): "read",
    ("GET", "/_stcore/bidi-components/x"): "read",
    ("GET", "/component/x/index.html"): "read",
    ("WEBSOCKET", "/_stcore/stream"): "read",
    ("WEBSOCKET", "/other"): "nobody",
    ("PUT", "/_stcore/upload_file/a/b"): "register",
    ("DELETE", "/_stcore/upload_file/a/b"): "register",
    ("POST", "/_stcore/agent/interact"): "nobody",
    ("GET", "/_stcore/agent/openapi.json"): "nobody",
    ("POST", "/api/v1/records"): "token",
    ("GET", "/metrics"): "token",
    ("POST", "/v1/traces"): "token",
    ("POST", "/_owner/command"): "owner",
    ("POST", "/case"): "nobody",
    ("TRACE", "/"): "nobody",
    ("GET", "/sign-in/../case"): "read",
    ("GET", "/static"): "read",
    ("GET", "/%2e"): "read",
    ("GET", "/apix"): "read",
}


@pytest.mark.parametrize(
    ("request_line", "needs"), list(PATHS.items()), ids=lambda each: " ".join(each) if isinstance(each, tuple) else each
)
def test_each_route_needs_what_the_table_says(request_line: tuple[str, str], needs: str) -> None:
    assert route_access.route_needs(*request_line) == needs


def test_every_route_of_the_dashboard_is_in_the_table() -> None:
    public = {"/readyz", "/sign-in", "/sign-out"}
    for route in application.app_parts()["routes"]:
        assert isinstance(route, Route)
        path = route.path.replace("{id:path}", "x").replace("{rest:path}", "x")
        for method in route.methods or ():
            needs = route_access.route_needs(method, path)
            expected = (
                "public"
                if path in public
                else "token"
                if path.startswith(("/api/", "/metrics", "/mcp", "/v1/"))
                else "owner"
                if path.startswith("/_owner/")
                else "read"
            )
            assert needs == expected, (method, path)
    assert all(route_access.route_needs("GET", f"/{page}") == "read" for page in links.page_files())


def test_guarded_stores_of_one_person_are_equal_as_cache_keys(store: Database) -> None:
    assert guarded_store(store, ONE) == guarded_store(store, ONE)
    assert len({guarded_store(store, ONE), guarded_store(store, ONE), guarded_store(store, Person("bob", "viewer"))}) == 2
    assert AUTOMATIC_AUTHOR == "the dashboard"


def test_each_threat_names_tests_that_are_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)`", page.partition("## Threats")[2])
    files = [path for folder in ("server", "lake", "dashboard", "cli") for path in (ROOT / "tests" / folder).glob("test_*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert len(named) > 25
    assert [name for name in named if f"def {name}(" not in text] == []
