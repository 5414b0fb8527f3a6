"""Sign-in through an OpenID Connect provider, with a real dashboard and a real provider on loopback: roles, stolen and changed cookies,
sign-out.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from observability.server import audit_log
from tests.support.oidc_provider import CLIENT, SECRET, Provider, running_provider
from tests.support.ports import free_port
from tests.support.running import dashboard

ACCESS = """
url = "http://127.0.0.1:{port}"
session_hours = 8
[oidc]
server_metadata_url = "{metadata}"
client_id = "{client}"
[roles.people]
"ann@x.org" = "analyst"
[roles.groups]
admins = "administrator"
"""


@dataclass
class Place:
    """A dashboard and its provider."""

    url: str
    home: Path
    provider: Provider


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A dashboard without models, where people sign in through a provider."""
    home, port = tmp_path_factory.mktemp("oidc") / "home", free_port()
    home.mkdir()
    with running_provider(f"http://127.0.0.1:{port}/oauth2callback") as provider, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OBSERVABILITY_OIDC_SECRET", SECRET)
        text = ACCESS.format(port=port, metadata=provider.metadata_url, client=CLIENT)
        (home / "access.toml").write_text(text, encoding="utf-8")
        with dashboard(home, port) as running:
            yield Place(running.url, home, provider)


@contextlib.contextmanager
def claims(provider: Provider, **changed: object) -> Iterator[None]:
    """While the context lasts, the provider states other claims about the person."""
    before, provider.person = provider.person, {**provider.person, **changed}
    try:
        yield
    finally:
        provider.person = before


def login_address(place: Place, browser: httpx.Client) -> str:
    """The address behind the button of the sign-in page."""
    page = browser.get(f"{place.url}/sign-in")
    (found,) = re.findall(r'href="([^"]+)"', page.text)
    return f"{place.url}{unescape(found)}"


@contextlib.contextmanager
def signed_in(place: Place) -> Iterator[httpx.Client]:
    """A browser after a complete sign-in."""
    with httpx.Client(headers={"accept": "text/html"}, follow_redirects=True) as browser:
        assert browser.get(place.url).url.path == "/sign-in"
        ended = browser.get(login_address(place, browser))
        assert str(ended.url).startswith(place.url), ended.url
        yield browser


def enters(place: Place, cookie: str | None, origin: str | None = None) -> bool:
    """Whether a WebSocket with this cookie is accepted."""
    address = place.url.replace("http", "ws") + "/_stcore/stream"
    sent = {"Cookie": cookie} if cookie else {}
    options: dict[str, Any] = {"origin": origin or place.url, "additional_headers": sent, "subprotocols": ["streamlit"]}
    try:
        with connect(address, **options):
            return True
    except InvalidStatus:
        return False


def cookies(browser: httpx.Client) -> str:
    """The browser's cookies as a header."""
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)


def test_a_user_of_the_provider_gets_pages_and_websocket_and_loses_them_at_sign_out(place: Place) -> None:
    assert not enters(place, None)
    with signed_in(place) as browser:
        assert browser.get(place.url).status_code == 200
        stolen = cookies(browser)
        assert enters(place, stolen)
        upload = browser.put(f"{place.url}/_stcore/upload_file/a/b", headers={"origin": place.url})
        assert upload.status_code == 403 and upload.json()["error"] == "the role analyst does not allow it"
        ended = browser.get(f"{place.url}/auth/logout")
        assert ended.json()["end"]["client_id"] == CLIENT
        assert browser.get(place.url).url.path == "/sign-in"
    assert httpx.get(place.url, headers={"cookie": stolen}).status_code == 401
    assert not enters(place, stolen)
    does = [entry["does"] for entry in audit_log.access_entries(place.home, author="ann@x.org")]
    assert {"signed out", "refused"} <= set(does)


def test_the_role_comes_from_the_groups_and_without_a_role_there_is_no_access(place: Place) -> None:
    with claims(place.provider, email="root@x.org", groups=["admins"]), signed_in(place) as browser:
        assert browser.put(f"{place.url}/_stcore/upload_file/a/b", headers={"origin": place.url}).status_code != 401
        assert "does not allow" not in browser.put(f"{place.url}/_stcore/upload_file/a/b", headers={"origin": place.url}).text
    for wrong in ({"email": "eve@x.org"}, {"email_verified": False}):
        with claims(place.provider, **wrong), signed_in(place) as browser:
            assert browser.get(place.url).status_code == 403 or browser.get(place.url).url.path == "/sign-in"
            assert not enters(place, cookies(browser))


def test_a_changed_list_of_roles_counts_at_once(place: Place) -> None:
    file = place.home / "access.toml"
    before = file.read_text(encoding="utf-8")
    with signed_in(place) as browser:
        try:
            file.write_text(before.replace('"ann@x.org" = "analyst"', '"ann@x.org" = "none"'), encoding="utf-8")
            assert browser.get(place.url).status_code == 403
            assert not enters(place, cookies(browser))
            file.write_text("[nonsense", encoding="utf-8")
            assert browser.get(place.url).status_code in (400, 503)
        finally:
            file.write_text(before, encoding="utf-8")
        assert browser.get(place.url).status_code == 200


@pytest.mark.parametrize("change", ["audience", "issuer", "expired", "nonce", "key"])
def test_an_invalid_id_token_signs_nobody_in(place: Place, change: str) -> None:
    provider = place.provider
    wrong = {
        "audience": {"aud": "other"},
        "issuer": {"iss": "http://evil.example"},
        "expired": {"exp": 1, "iat": 0},
        "nonce": {"nonce": "x"},
    }
    provider.changes = dict(wrong.get(change, {}))
    provider.signing = RSAKey.generate_key(2048, {"kid": "k1"}) if change == "key" else None
    try:
        with httpx.Client(headers={"accept": "text/html"}, follow_redirects=True) as browser:
            browser.get(login_address(place, browser))
            assert browser.get(place.url).url.path == "/sign-in"
    finally:
        provider.changes, provider.signing = {}, None


def test_an_authorisation_code_works_only_once_and_only_in_its_own_browser(place: Place) -> None:
    with httpx.Client(headers={"accept": "text/html"}) as victim, httpx.Client(headers={"accept": "text/html"}) as thief:
        to_provider = victim.get(login_address(place, victim)).headers["location"]
        assert "select_account" not in to_provider, "a provider may refuse a prompt that it does not support"
        assert "code_challenge_method=S256" in to_provider and "nonce=" in to_provider and "state=" in to_provider
        back = victim.get(to_provider).headers["location"]
        thief.get(back)
        assert thief.get(place.url).headers["location"].startswith("/sign-in")
        victim.get(back)
        assert victim.get(place.url).status_code == 200
        with httpx.Client(headers={"accept": "text/html"}) as again:
            again.get(back)
            assert again.get(place.url).status_code == 303


def test_a_changed_or_invented_cookie_gives_no_access(place: Place) -> None:
    with signed_in(place) as browser:
        held = browser.cookies["_streamlit_user"]
    for wrong in (held[:-2] + "AA", held.split(".")[0] + ".x.y", "eyJhIjoxfQ.aaaa.bbbb", ""):
        assert httpx.get(place.url, headers={"cookie": f"_streamlit_user={wrong}"}).status_code == 401
        assert not enters(place, f"_streamlit_user={wrong}")
    assert httpx.get(place.url, headers={"cookie": f"_streamlit_user={held}"}).status_code == 200


def test_a_websocket_of_another_site_is_refused_with_the_right_cookie(place: Place) -> None:
    with signed_in(place) as browser:
        held = cookies(browser)
    assert enters(place, held)
    for origin in ("http://evil.example", "http://127.0.0.1:3000", "http://localhost", "null"):
        assert not enters(place, held, origin), origin
    port = place.url.rpartition(":")[2]
    assert httpx.get(place.url, headers={"host": f"evil.example:{port}", "cookie": held}).status_code == 421


def test_every_response_has_the_security_headers_and_pages_are_not_cached(place: Place) -> None:
    with signed_in(place) as browser:
        page = browser.get(place.url)
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "no-" in page.headers["cache-control"]
    for path in ("/", "/sign-in", "/readyz", "/api/v1/status", "/nothing"):
        answer = httpx.get(place.url + path)
        assert {"content-security-policy", "x-content-type-options", "referrer-policy"} <= set(answer.headers)
