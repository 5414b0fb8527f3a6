"""The HTTP interface follows the contract: tokens, errors, evidence, findings. Records are on disk before the response."""

import json
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.routing import Route

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError
from observability.core.finding import Finding
from observability.dashboard import application
from observability.investigation.case import case
from observability.monitoring import check
from observability.monitoring.check import CheckReport
from observability.server import api, process_lock, tokens
from observability.store.db.database import Database
from observability.store.opener import open_store
from tests.support.case_world import HOSTILE, START, iso
from tests.support.case_world import build as build_cases
from tests.support.commanding import Command
from tests.support.http_routes import Answer, ask_routes
from tests.support.sample_home import copied

GOOD = {"kind": "prediction", "id": "new-1", "at": iso(START), "model": "price", "version": "1", "features": {"size": 3.5}, "score": 7.0}


@dataclass
class Site:
    """The HTTP routes over a store, without a port."""

    home: Path
    store: Database
    read: str
    write: str

    def ask(self, method: str, path: str, token: str | None = None, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """The response to one request."""
        return ask_routes(api.routes(), method, path, token, body, headers)


@pytest.fixture(scope="module")
def case_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the world of cases, closed."""
    world = build_cases(tmp_path_factory.mktemp("api"))
    world.store.close()
    return world.home


@pytest.fixture
def site(case_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A copy of that home, owned by this process, with one token per scope."""
    home = copied(case_home, tmp_path / "home")
    store = open_store(home, threads=2)
    monkeypatch.setattr(process_lock, "_current", process_lock.Owner(home, process_lock.Lock(-1), store))
    yield Site(home, store, tokens.create_token(home, "read")[1], tokens.create_token(home, "write")[1])
    store.close()


def test_nobody_is_let_in_without_a_token_of_the_right_scope(site: Site) -> None:
    paths = (("GET", "/api/v1/status"), ("GET", "/api/v1/findings"), ("GET", "/api/v1/predictions/loan-1"), ("POST", "/api/v1/records"))
    other = tokens.create_token(site.home, "read")
    tokens.revoke_token(site.home, other[0].id)
    for method, path in (*paths, ("GET", "/api/v1/none")):
        for wrong in (None, "", "x", "obs_00000000_" + 43 * "a", site.read[:-1], site.read + "a", other[1], "\u00e9"):
            answer = site.ask(method, path, wrong)
            assert answer.status == 401, (path, wrong)
            assert set(answer.json()) == {"error", "try"}
            assert answer.headers["www-authenticate"] == "Bearer"
    assert site.ask("POST", "/api/v1/records", site.read, b"{}").status == 403
    assert site.ask("GET", "/api/v1/status", site.write).status == 403
    assert site.ask("DELETE", "/api/v1/status", site.read).status == 405
    assert site.ask("GET", "/api/v1/none", site.read).status == 404
    assert site.ask("GET", "/api/v1/status", headers={"authorization": f"Basic {site.read}"}).status == 401
    assert site.ask("GET", "/api/v1/status", site.read).status == 200


@pytest.mark.parametrize("path", ["/api/v1/recrods", "/api/v2/records", "/v1/metrics", "/v1/logs"])
def test_an_address_that_is_not_served_is_not_found_whatever_the_method_and_the_token(site: Site, path: str) -> None:
    for method, token in (("POST", site.write), ("POST", site.read), ("GET", site.write), ("GET", site.read)):
        answer = site.ask(method, path, token, b"{}")
        assert (answer.status, answer.json()["error"]) == (404, "unknown address"), (method, path)
        assert "/api/v1/records" in answer.json()["try"]
    assert site.ask("POST", path).status == 401


def test_tokens_are_kept_hashed_and_private(tmp_path: Path) -> None:
    kept, text = tokens.create_token(tmp_path, "read", "grafana")
    file = tmp_path / tokens.FILE
    assert text not in file.read_text()
    assert text.split("_", 2)[2] not in file.read_text()
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert tokens.token_holder(tmp_path, text) == kept
    with pytest.raises(UsageError):
        tokens.create_token(tmp_path, "admin")
    tokens.revoke_token(tmp_path, text)
    assert tokens.token_holder(tmp_path, text) is None
    with pytest.raises(NotFoundError):
        tokens.revoke_token(tmp_path, kept.id)
    threads = [threading.Thread(target=tokens.create_token, args=(tmp_path, "write")) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(tokens.read_tokens(tmp_path)) == 8
    file.write_text("{")
    with pytest.raises(StoreBrokenError):
        tokens.token_holder(tmp_path, text)


def test_a_prediction_from_the_api_equals_the_output_of_the_case_command(site: Site, command: Command) -> None:
    answer = site.ask("GET", "/api/v1/predictions/loan-100?model=loan", site.read).json()
    assert answer["prediction"]["features"]["city"] == HOSTILE
    site.store.close()
    said = command(site.home, "case", "loan-100", "--model", "loan", "--json")
    assert said.code == 0, said.error
    assert said.out.isascii()
    assert json.loads(said.out) == answer


def test_unknown_or_malformed_requests_get_a_helpful_error(site: Site) -> None:
    missing = site.ask("GET", "/api/v1/predictions/nobody/else", site.read)
    assert missing.status == 404
    assert "nobody/else" in missing.json()["error"]
    for path in (
        "/api/v1/predictions/loan-1?modle=loan",
        "/api/v1/predictions/loan-1?model=loan&model=price",
        "/api/v1/findings?from=soon",
    ):
        answer = site.ask("GET", path, site.read)
        assert answer.status == 400, path
        assert set(answer.json()) == {"error", "try"}
    assert site.ask("GET", "/api/v1/predictions/loan-1?model=nobody", site.read).status == 404
    assert site.ask("GET", "/api/v1/predictions/reference%2F1".replace("%2F", "/") + "/7?model=loan", site.read).status == 200


def test_findings_and_status_are_those_of_the_commands(site: Site, command: Command) -> None:
    window = {"model": "loan", "from": "2026-03-02", "to": "2026-03-09"}
    answer = site.ask("GET", "/api/v1/findings?" + "&".join(f"{name}={value}" for name, value in window.items()), site.read).json()
    status = site.ask("GET", "/api/v1/status", site.read).json()
    site.store.close()
    said = command(site.home, "check", *(part for name, value in window.items() for part in (f"--{name}", value)), "--json").json()
    assert [each["id"] for each in answer] == [each["id"] for each in said]
    assert len(answer) > 5
    assert {each["model"] for each in status["models"]} == {"loan", "price", "kind", "stray"}


def test_findings_are_worst_first_whatever_leads_their_incident(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: a warning that leads a critical incident was listed before the critical findings."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    lead = Finding("data/labels", "loan", "1", "model", "label_agreement", 0.5, 90, "watch", "They differ.", at, at, "level")
    report = CheckReport((lead, replace(lead, subject="age", severity="act")))
    monkeypatch.setattr(check, "check", lambda *_of, **_more: report)
    answer = site.ask("GET", "/api/v1/findings", site.read).json()
    assert [each["severity"] for each in answer] == ["act", "watch"]


def test_records_are_synced_to_disk_before_the_answer_and_bad_lines_are_reported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.dumps(GOOD), "", "{", json.dumps({**GOOD, "id": "new-2", "at": "soon"}), json.dumps({**GOOD, "id": "new-3"})]
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(fd), real(fd))[1])
    answer = site.ask("POST", "/api/v1/records", site.write, "\n".join(lines).encode())
    assert answer.status == 202
    body = answer.json()
    assert body["accepted"] == 2
    assert [each["line"] for each in body["rejected"]] == [3, 4]
    assert all(set(each) == {"line", "reason"} and len(each["reason"]) > 10 for each in body["rejected"])
    assert synced
    process_lock.current_owner().records.publish()
    (segment,) = (site.store.landing / "ready").glob("*.jsonl")
    assert [json.loads(line)["id"] for line in segment.read_text().splitlines()] == ["new-1", "new-3"]
    report = site.store.load_landing()
    assert (report.stored, report.rejected) == (2, 0)
    assert case(site.store, "new-3").row.score == 7.0


def test_a_body_that_is_too_large_is_refused_and_leaves_nothing(site: Site) -> None:
    line = json.dumps(GOOD).encode() + b"\n"
    large = line * (1_000_000 // len(line) + 1)
    for headers in ({}, {"content-length": str(len(large))}):
        answer = site.ask("POST", "/api/v1/records", site.write, large, headers)
        assert answer.status == 413
        assert set(answer.json()) == {"error", "try"}
    assert not list((site.store.landing / "ready").glob("*")) if (site.store.landing / "ready").exists() else True
    assert site.ask("POST", "/api/v1/records", site.write, b"").json() == {"accepted": 0, "rejected": []}


def test_a_full_disk_is_reported_with_status_503(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    answer = site.ask("POST", "/api/v1/records", site.write, json.dumps(GOOD).encode())
    assert answer.status == 503
    assert "No space" in answer.json()["error"]


@pytest.mark.parametrize("token", ["", "wrong", "obs_\u00e9"])
def test_commands_of_the_owner_need_its_token(site: Site, token: str) -> None:
    route = Route("/_owner/command", application.run_owner_command, methods=["POST"])
    assert ask_routes([route], "POST", "/_owner/command", token, b'{"argv": ["status"]}').status == 401


def test_the_commands_of_tokens(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = command(home, "token", "create", "--scope", "read", "--name", "\x1b[31mred", "--json").json()
    assert set(made) == {"id", "scope", "name", "created_at", "role", "models", "token"}
    listed = command(home, "token", "list", "--json").json()
    assert listed == [{name: value for name, value in made.items() if name != "token"}]
    assert "\x1b" not in command(home, "token", "list").out
    assert made["token"] not in command(home, "token", "list").out
    assert command(home, "token", "create").code == 2
    assert command(home, "token", "revoke", made["id"]).code == 0
    assert command(home, "token", "revoke", made["id"]).code == 2
    assert command(home, "token", "list", "--json").json() == []


def test_hostile_text_of_a_case_is_printed_escaped(site: Site, command: Command) -> None:
    site.store.close()
    said = command(site.home, "case", "loan-100")
    assert said.code == 0
    assert "\u202e" not in said.out
    assert "\\u202e" in said.out
    assert "Predicted" in said.out
    assert command(site.home, "case", "nobody").code == 2


def test_a_token_may_be_for_one_model(site: Site) -> None:
    _, text = tokens.create_token(site.home, "read", role="viewer", models=["price"])
    assert [each["model"] for each in site.ask("GET", "/api/v1/status", text).json()["models"]] == ["price"]
    assert site.ask("GET", "/api/v1/predictions/loan-100?model=loan", text).status == 404
    assert site.ask("GET", "/api/v1/predictions/loan-100?model=loan", site.read).status == 200
    assert site.ask("GET", "/api/v1/predictions/loan-100?model=loan", text).status == 404
    assert site.ask("GET", "/api/v1/findings?model=loan", text).status == 404


def test_a_token_for_one_model_sends_records_of_that_model_alone(site: Site) -> None:
    verdict = {"kind": "verdict", "verdict": "v", "at": iso(START), "model": "price", "prediction": "p", "author": "ann", "source": "input"}
    batch = {"kind": "batch", "batch": "b", "at": iso(START), "source": "s", "rows": 1}
    sent = [
        GOOD,
        {**GOOD, "model": "loan", "features": {}, "score": 0.5},
        {**GOOD, "model": "unheard"},
        batch,
        verdict,
        {**verdict, "model": "loan"},
    ]
    body = json.dumps(sent).encode()

    def rejected(token: str) -> list[int]:
        return [each["line"] for each in site.ask("POST", "/api/v1/records", token, body).json()["rejected"]]

    assert GOOD["model"] == "price"
    assert rejected(tokens.create_token(site.home, "write", models=["price"])[1]) == [2, 3, 5, 6]
    assert rejected(tokens.create_token(site.home, "write", role="analyst", models=["price"])[1]) == [2, 3, 6]
    assert rejected(site.write) == []


def test_entries_of_people_need_the_token_of_an_analyst_if_sign_in_is_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.server import access_settings

    verdict = {"kind": "verdict", "verdict": "v", "at": iso(START), "model": "price", "prediction": "p", "author": "ann", "source": "input"}
    hidden = json.dumps(verdict).replace('"author"', '"auth\\u006fr"').replace('"verdict", "verdict"', '"verd\\u0069ct", "verdict"')
    body = "\n".join([json.dumps(GOOD), json.dumps(verdict), hidden]).encode()
    assert site.ask("POST", "/api/v1/records", site.write, body).json()["accepted"] == 3
    settings = access_settings.AccessSettings(method="accounts")
    monkeypatch.setattr(tokens, "read_access_settings", lambda _home: settings)
    answer = site.ask("POST", "/api/v1/records", site.write, body).json()
    assert (answer["accepted"], [each["line"] for each in answer["rejected"]]) == (1, [2, 3])
    _, analyst = tokens.create_token(site.home, "write", role="analyst")
    assert site.ask("POST", "/api/v1/records", analyst, body).json()["accepted"] == 3
    assert site.ask("GET", "/api/v1/status", site.read).status == 200
