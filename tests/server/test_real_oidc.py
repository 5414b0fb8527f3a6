"""Sign-in through a third-party provider: npm's oidc-provider, if OIDC_PROVIDER names the modules folder that contains it.

Run `npm install oidc-provider@8` in any folder, then `OIDC_PROVIDER=FOLDER/node_modules pytest tests/server/test_real_oidc.py`.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.support.oidc_provider import CLIENT, SECRET
from tests.support.ports import free_port
from tests.support.running import Dashboard, dashboard

MODULES = os.environ.get("OIDC_PROVIDER")
SCRIPT = Path(__file__).parents[1] / "support" / "real_oidc_provider.mjs"
ACCESS = """
url = "http://127.0.0.1:{port}"
[oidc]
server_metadata_url = "{issuer}/.well-known/openid-configuration"
client_id = "{client}"
[roles.people]
"ann@x.org" = "analyst"
[roles.groups]
admins = "administrator"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard where people sign in through the provider."""
    node = shutil.which("node")
    if node is None or MODULES is None or not Path(MODULES, "oidc-provider").is_dir():
        pytest.skip("OIDC_PROVIDER names no folder with npm's oidc-provider, or there is no node")
    home, port, other = tmp_path_factory.mktemp("real-oidc") / "home", free_port(), free_port()
    home.mkdir()
    issuer, back = f"http://127.0.0.1:{other}", f"http://127.0.0.1:{port}"
    command = [node, str(SCRIPT), MODULES, str(other), f"{back}/oauth2callback"]
    provider = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert provider.stdout is not None and provider.stdout.readline() == "ready\n"
        (home / "access.toml").write_text(ACCESS.format(port=port, issuer=issuer, client=CLIENT), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OBSERVABILITY_OIDC_SECRET", SECRET)
            with dashboard(home, port) as running:
                yield running
    finally:
        provider.kill()
        provider.wait()


def answered_forms(browser: httpx.Client, page: httpx.Response, name: str) -> httpx.Response:
    """Fill in the provider's forms (name and consent) like a person, until the provider sends the browser back."""
    for _ in range(3):
        action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
        if action is None:
            return page
        fields = {key: unescape(value) for key, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)}
        if 'name="login"' in page.text:
            fields |= {"login": name, "password": "of no use here"}
        page = browser.post(str(page.url.join(unescape(action[1]))), data=fields)
    return page


def sign_in(browser: httpx.Client, place: Dashboard, name: str) -> httpx.Response:
    """Sign in completely; returns the page after the sign-in."""
    page = browser.get(f"{place.url}/sign-in")
    (found,) = re.findall(r'href="([^"]+)"', page.text)
    return answered_forms(browser, browser.get(f"{place.url}{unescape(found)}"), name)


def upload(browser: httpx.Client, place: Dashboard) -> str:
    """The answer to an upload, which analysts are not allowed to make."""
    return browser.put(f"{place.url}/_stcore/upload_file/a/b", headers={"origin": place.url}).text


def test_people_of_a_real_provider_get_their_roles_and_nobody_else_gets_in(place: Dashboard) -> None:
    for name, role in (("ann", "analyst"), ("root", "administrator"), ("eve", None)):
        with httpx.Client(headers={"accept": "text/html"}, follow_redirects=True) as browser:
            assert browser.get(place.url).url.path == "/sign-in"
            ended = sign_in(browser, place, name)
            assert str(ended.url).startswith(place.url), (ended.url, ended.text[:500])
            entered = browser.get(place.url)
            if role is None:
                assert entered.status_code == 403 or entered.url.path == "/sign-in"
                continue
            assert entered.status_code == 200 and entered.url.path == "/"
            assert ("the role analyst does not allow it" in upload(browser, place)) == (role == "analyst")


def test_signing_out_ends_the_session_here_and_is_told_to_the_provider(place: Dashboard) -> None:
    with httpx.Client(headers={"accept": "text/html"}, follow_redirects=True) as browser:
        sign_in(browser, place, "ann")
        assert browser.get(place.url).url.path == "/"
        ended = browser.get(f"{place.url}/auth/logout")
        assert ended.url.path == "/session/end" and ended.status_code == 200, "the provider asks whether to sign out there too"
        assert browser.get(place.url).url.path == "/sign-in"
